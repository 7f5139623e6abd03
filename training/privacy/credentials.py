"""What lets one in: keys and tokens, told by their form."""

# ruff: noqa: RUF001 - the signs that people write

from itertools import pairwise

from training.privacy.rule import Match, Rule, rule


def _is_random(match: Match) -> bool:
    """Whether letters and digits alternate as they do in keys, not in words, names and dates."""
    kinds = ["0" if c.isdigit() else "a" if c.islower() else "A" for c in match["out"] if c.isalnum()]
    switches = sum(earlier != later for earlier, later in pairwise(kinds))
    if "0" not in kinds and kinds.count("A") < 0.3 * len(kinds):  # as in CamelCase
        return False
    return switches >= max(6, len(kinds) / 6) and len(set(match["out"])) > 7


KEYS: tuple[Rule, ...] = (
    rule(
        "key",
        r"-{3,}\s?BEGIN\s[A-Z0-9 ]{1,40}-{3,}[\s\S]*?(?:-{3,}\s?END\s[A-Z0-9 ]{1,40}-{3,}|\Z)",
        words="begin",
    ),
    rule(
        "key",
        r"""(?:sk-)?(?:ssh-(?:rsa|ed25519|dss)|ecdsa-sha2-[\w-]{1,30})(?:@[\w.]{1,30})?\s+[A-Za-z0-9+/=]{16,}
            (?:\s+[\w.-]+@[\w.-]+)?""",
        words="ssh ecdsa",
    ),
    rule(
        "token",
        r"\beyJ[\w-]{8,}(?:\.[\w-]*){0,4}|\bmfa\.[\w-]{20,}|\b[\w-]{23,28}\.[\w-]{5,7}\.[\w-]{25,50}",
        run=16,
    ),
    rule(
        "token",
        r"""\b(?:gh[pousr]_\w{16,}|github_pat_\w{16,}|gl[a-z]{2,4}-[\w-]{16,}|[\w-]{8,16}:APA91b[\w-]+
            |\d{8,14}-[a-z0-9]{20,}\.apps\.googleusercontent\.com|xox[a-z]-[\w-]{8,}|xapp-[\w-]{8,}
            |(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{12,}|AIza[\w-]{20,}|ya29\.[\w-]{10,}|sk-[\w-]{12,}
            |[srp]k_(?:live|test)_\w{8,}|whsec_\w{8,}|\d{6,12}:\s?AA[\w-]{20,}|(?:AC|SK)[0-9a-f]{32}
            |SG\.[\w-]{10,}\.[\w-]{10,}|npm_\w{16,}|pypi-[\w-]{12,}|hf_\w{16,}|EAA\w{20,}|shp[a-z]{2}_\w{16,}
            |AGE-SECRET-KEY-\w{10,}|[a-z]{2,10}(?:[_-][a-z]{2,10}){0,2}[_-](?=\w*\d)(?=\w*[a-z])\w{24,})""",
        run=20,
    ),
)
"""To be tried before any number."""

TOKENS: tuple[Rule, ...] = (
    rule("user id", r"(?<![\w.])\d{15,20}(?![\w.]\d)\b", digits=15, run=15),
    rule(
        "user id",
        r"\bSTEAM_\d:\d:\d+|\[U:\d:\d+\]|\b(?-i:[UWTDCGB]0[A-Z0-9]{7,10})\b",
        digits=1,
        run=9,
    ),
    rule("token", r"(?<![\w+/=-])[\w+/=%.-]{16,}", _is_random, digits=1, run=16),
    rule("token", r"(?<![\w+/=-])[\w+/=-]{20,}", _is_random, run=20),
    rule(
        "token",
        r"""\b(?:(?=[A-Z-]*\d)(?-i:(?:[A-Z0-9]{4,6}-){2,7}[A-Z0-9]{4,6})
            |(?=[a-f-]*\d)(?:[0-9a-f]{4,8}-){2,7}[0-9a-f]{4,12})\b""",
        digits=2,
        run=14,
    ),
    rule(
        "token",
        r"""\b(?:key|secret|token|bearer|basic|otp|session|cookie|(?:recovery|backup)\scodes?)\w{0,3}{{for_what}}
            (?:{{is}}|\s+(?=[\w-]*\d[\w-]{5}|[\w-]{5,}\d)){{value}}
            (?P<out>(?=\S{0,99}\d)\S{6,}(?:\s(?![-–(&|])(?=\S{0,40}\d)[^\s,.!?;]{1,40}){0,23})""",
        words="key keys secret token tokens bearer basic otp session sessionid cookie recovery backup",
        digits=1,
    ),
)
