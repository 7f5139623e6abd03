"""What personal details and secrets look like: one table of rules.

Most rules go by form (an IBAN has a checksum, a key a prefix or no pattern at all); where the form says nothing, as
with a password, the words before it do. Every pattern takes time linear in the text.
"""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass

from training.telephone import CANDIDATE, is_phone_number

Match = re.Match[str]


@dataclass(frozen=True, slots=True)
class Rule:
    """What one kind of detail looks like, and what a text must hold for the pattern to be worth trying.

    Attributes:
        kind: the name it is counted under.
        pattern: the form; its group `out` is taken out.
        check: confirms a match by what no pattern can express, such as a checksum.
        words: the text holds one of these words, in any case, if there are any.
        signs: the text holds one of these characters, if there are any.
        digits: the text holds at least so many digits.
        run: the text holds at least so many characters without a space.
    """

    kind: str
    pattern: re.Pattern[str]
    check: Callable[[Match], bool]
    words: frozenset[str]
    signs: str
    digits: int
    run: int


class Glance:
    """What is seen of a text at first glance; for most messages that is enough to be done with them."""

    __slots__ = ("_digits", "_run", "_text", "_words", "suspicious")

    def __init__(self, text: str) -> None:
        self._text = text
        self._words = text.translate(_WORDS_ONLY).split()
        self.suspicious = bool(_SIGNS.search(text)) or not _TELLING_WORDS.isdisjoint(self._words)
        if self.suspicious:
            self._digits = len(_DIGIT.findall(text))
            self._run = max(map(len, text.split()))

    def allows(self, rule: Rule) -> bool:
        """Whether the rule's pattern could match."""
        return (
            self._digits >= rule.digits
            and self._run >= rule.run
            and (not rule.words or not rule.words.isdisjoint(self._words))
            and (not rule.signs or any(sign in self._text for sign in rule.signs))
        )


def _rule(
    kind: str,
    pattern: str,
    check: Callable[[Match], bool] = lambda match: True,
    *,
    words: str = "",
    signs: str = "",
    digits: int = 0,
    run: int = 0,
) -> Rule:
    """Compile a rule: `{{name}}` in the pattern stands for a part; without a group `out` all of it is taken out."""
    while "{{" in pattern:
        pattern = re.sub(r"\{\{(\w+)\}\}", lambda name: _PARTS[name[1]], pattern)
    if "(?P<out>" not in pattern:
        pattern = f"(?P<out>{pattern})"
    return Rule(
        kind, re.compile(pattern, re.IGNORECASE | re.VERBOSE), check, frozenset(words.split()), signs, digits, run
    )


def _passes_luhn(match: Match) -> bool:
    """The checksum of card numbers (ISO/IEC 7812-1, annex B); sixteen digits in fours are a card even if mistyped."""
    digits = [int(character) for character in match["out"] if character.isdigit()]
    total = sum(digits[-1::-2]) + sum(sum(divmod(2 * digit, 10)) for digit in digits[-2::-2])
    return len(set(digits)) > 1 and (total % 10 == 0 or bool(_FOUR_FOURS.fullmatch(match["out"])))


def _passes_mod_97(match: Match) -> bool:
    """The checksum of IBANs (ISO 13616)."""
    iban = "".join(filter(str.isalnum, match["out"]))
    return len(iban) >= 15 and int("".join(str(int(character, 36)) for character in iban[4:] + iban[:4])) % 97 == 1


def _is_ip_address(match: Match) -> bool:
    try:
        ipaddress.ip_address(match["ip"])
    except ValueError:
        return False
    return len(re.findall(r"[0-9a-f]+", match["ip"], re.IGNORECASE)) > 2


def _is_random(match: Match) -> bool:
    """Whether letters and digits alternate as they do in keys, not in words, names and dates."""
    kinds = ["0" if c.isdigit() else "a" if c.islower() else "A" for c in match["out"] if c.isalnum()]
    switches = sum(a != b for a, b in zip(kinds, kinds[1:], strict=False))
    often = max(5, len(kinds) / (6 if "0" in kinds else 3))
    return switches >= often and len(set(match["out"])) > 7


def _is_identifier(match: Match) -> bool:
    """Whether what stands behind "order number", say, is one: neither a year, a time nor a rank."""
    return not _NO_IDENTIFIER.fullmatch(match["out"])


def _is_no_count(match: Match) -> bool:
    """Whether digits that are spelled out are more than counting, or than "oh oh oh"."""
    words = re.findall(r"[a-z]+", match["out"].lower())
    return len(set(words)) > 2 and not re.search(r"one two three four|four three two one", " ".join(words))


_DIGIT = re.compile(r"\d")
_SIGNS = re.compile(r"[\d@/<]|\S{20}")
_WORDS_ONLY = {code: " " if not chr(code).isalnum() else chr(code).lower() for code in range(128)}
_FOUR_FOURS = re.compile(r"\d{4}([ -])\d{4}\1\d{4}\1\d{4}")
_NO_IDENTIFIER = re.compile(r"(?:19|20)\d\d|\d{1,3}(?:st|nd|rd|th|am|pm|k|x|s)|\d\d?:\d\d|\$.*", re.IGNORECASE)

_PARTS = {
    "is": r"""(?:\s*(?:'s|’s|[:=]+|-+>|=>|→)\s*
        |\s+(?:is|was|are|ist|es|est|-)\s+(?:(?:now|just|literally|currently|still)\s+)?)""",
    # Where a name or a password is told after "is", none of these words stands there.
    "value": r"""(?!(?:the|an?|not|wrong|right|correct|incorrect|required|needed|too|so|very|my|your|our|his|her|their|
        its?|in|on|at|to|for|of|and|or|but|that|this|these|what|when|where|how|still|just|really|always|never|already|
        being|been|changed|reset|saved|stored|weak|strong|long|short|safe|secure|hard|easy|invalid|expired|hacked|
        stolen|leaked|broken|gone|lost|if|because|protected|hashed|encrypted|same|different|only|like|literally|also|
        now|no|yes|there|something|nothing|anything|everything|set|asked|is|was|are|were|as|all|i|im|you|he|she|we|
        they|me|please|pls|plz|later|tonight|tomorrow|today|bro|guys|with|by|from|than|then|going|down|dead|private|
        public|full|boring|cool|great|good|bad|fine|nice|better|best|working|acting|blowing|pretty|kinda|mostly|more|
        much|about|taken|locked|banned|deleted|empty|old|new|fun|up|out|off|here|online|offline|any|some|one|who|why|
        which|can|will|would|could|should|do|did|does|have|has|had|get|got|every|u|ur|lol|haha|super|actually|
        probably|maybe|called|named|under|lagging|crashing|free|sick|trash|awesome|amazing|horrible|terrible|weird|
        crazy|awful|dumb|stupid|used|way|getting|making|doing|trying|having|looking|coming|being)\b)""",
    "clause": r"""(?:"[^"\n]{1,80}"|'[^'\n]{1,80}'|`[^`\n]{1,80}`
        |[^\s]{2,200}(?:[ ](?![-–(&|])[^\s,.!?;]{1,40}){0,4})""",
    "month": r"""(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|
        oct(?:ober)?|nov(?:ember)?|dec(?:ember)?|januar|februar|märz|mai|juni|juli|oktober|dezember|enero|febrero|marzo|
        abril|mayo|junio|julio|agosto|septiembre|octubre|noviembre|diciembre|janvier|février|mars|avril|juin|juillet|
        août|septembre|octobre|novembre|décembre)\b\.?""",
    "date": r"""(?:\d{1,4}\s?[./-]\s?\d{1,2}\s?[./-]\s?\d{1,4}
        |{{month}}\s*\d{1,2}(?:st|nd|rd|th)?\b(?:,?\s*'?\d{2,4})?
        |(?:the\s+)?\d{1,2}(?:st|nd|rd|th|\.)?\s*(?:of\s+|de\s+)?{{month}}(?:,?\s*(?:de\s+|of\s+)?'?\d{2,4})?
        |\d{1,2}[./-]\d{1,2}|\d{8}|\d{6})""",
    "service": r"""(?:insta(?:gram)?|ig|snap(?:chat)?|sc|tik\s?tok|twitter|twitch|steam|psn|xbox(?:\slive)?|gamer\s?tag|
        discord|telegram|tg|kik|skype|whats\s?app|facebook|fb|messenger|reddit|github|gitlab|linkedin|signal|wechat|qq|
        vk|viber|mastodon|bluesky|bsky|tumblr|pinterest|youtube|yt|spotify|soundcloud|onlyfans|venmo|cash\s?app|paypal|
        zelle|epic(?:\sgames)?|riot|origin|uplay|battle\.?\s?(?:net|tag)|bnet|roblox|minecraft|nintendo|aim|msn|icq|ao3|
        wattpad|strava|last\.?fm|lichess|chess\.com)\b""",
    "name_of": r"(?:\s+(?:user\s?name|user|handle|name|id|tag|account|acct|acc|nick|code|profile)\b)?",
    "handle": r"@?\w[\w.\-]{0,30}\w(?:\#\d{3,5})?\b",
    # A digit, an underscore or a capital inside: no word of a language.
    "odd": r"(?=@|(?=\S*[a-z])[\w.\-]*(?:\w[\d_]|\d\w|_\w|\w\.\w)|\w*(?-i:[a-z][A-Z]))",
    "end": r"(?=[\"')]?\s*(?:[,.!?;)\n]|$|(?:if|and|or|so|btw|lol|pls|please|add|hmu|on|but|for)\b))",
    "street": r"(?:street|avenue|ave|road|rd|lane|ln|boulevard|blvd|crescent|cres|terrace|parkway|pkwy|highway|hwy)\b\.?",
    "way": r"""(?:street|st|drive|dr|way|court|ct|place|pl|circle|cir|close|square|sq|gardens|gdns|grove|hill|row|walk|
        mews|trail|loop|plaza|park|view|green|rise|quay|wharf|heights|alley|broadway|pike|pass|path|ridge|run|creek
        |{{street}})\b\.?""",
    "rest": r"""(?:,?\s*(?:apt|apartment|unit|flat|suite|ste|floor|fl|room|rm|box|\#)\.?\s*\#?\w{1,6}\b)?
        (?:,?\s*(?-i:[A-Z])[\w'’.-]{1,30}(?:\s(?-i:[A-Z])[\w'’.-]{1,30}){0,2}
            (?=\s*(?:[,.!?;)\n\d]|$|(?-i:[A-Z]{1,2}\d)))){0,3}
        (?:,?\s*(?:{{state}},?\s+)?\d{5}(?:-\d{4})?\b|,?\s*{{uk_postcode}}|,?\s*\d{4,5}\s+(?-i:[A-ZÄÖÜ])\w+)?""",
    "state": r"""\b(?-i:A[LKZR]|C[AOT]|D[CE]|FL|GA|HI|I[DLNA]|K[SY]|LA|M[EDAINSOT]|N[EVHJMYCD]|O[HKR]|PA|RI|S[CD]|T[NX]|
        UT|V[TA]|W[AVIY])\b""",
    "uk_postcode": r"""\b(?:A[BL]|B[ABDHLNRST]?|C[ABFHMORTVW]|D[ADEGHLNTY]|E[CHNX]?|F[KY]|G[LUY]?|H[ADGPRSUX]|I[GPV]|JE|
        K[ATWY]|L[ADELNSU]?|M[EKL]?|N[EGNPRW]?|O[LX]|P[AEHLOR]|R[GHM]|S[AEGKLMNOPRSTWY]?|T[ADFNQRSW]|UB|W[ACDFNRSV]?|YO|
        ZE)\d[A-Z\d]?\s?\d(?!(?:ST|ND|RD|TH|AM|PM)\b)[ABD-HJLNP-UW-Z]{2}\b""",
    "at": r"(?:\s?[(\[{<*]\s?(?:at|@|a)\s?[)\]}>*]\s?|\s?@\s?|[\s_]+at[\s_]+)",
    "dot": r"(?:\s?[(\[{<*]\s?(?:dot|\.|d|punkt)\s?[)\]}>*]\s?|[\s_]+(?:dot|punkt)[\s_]+)",
    "at_sign": r"(?:\s?[(\[{<*]\s?(?:at|@)\s?[)\]}>*]\s?|\s?@\s?)",
    "octet": r"(?:25[0-5]|2[0-4]\d|1?\d?\d)",
    "degrees": r"""\d{1,3}\s?°\s?(?:\d{1,2}(?:\.\d+)?\s?['′’]\s?)?(?:\d{1,2}(?:\.\d+)?\s?["″”]\s?)?[NSEW]\b""",
    "article": r"(?:(?:de|del|d[ou]s?|des|da|das|la|las|los|le|les|della|dei)\s+|d['’]|l['’]|dell['’])*",
}
_SERVICES = """insta instagram ig snap snapchat sc tik tiktok twitter twitch steam psn xbox gamer gamertag discord telegram tg
    kik skype whats whatsapp facebook fb messenger reddit github gitlab linkedin signal wechat qq vk viber mastodon bluesky
    bsky tumblr pinterest youtube yt spotify soundcloud onlyfans venmo cash cashapp paypal zelle epic riot origin uplay
    battle battlenet battletag bnet roblox minecraft nintendo aim msn icq ao3 wattpad strava last lastfm lichess chess"""
_PASSWORDS = """password passwords passcode passphrase passwd pass pwd pw pin psk wifi fi kennwort passwort clave contraseña
    passe senha parola hasło haslo"""

RULES: tuple[Rule, ...] = (
    _rule(
        "key",
        r"-{3,}\s?BEGIN\s[A-Z0-9 ]{1,40}-{3,}[\s\S]*?(?:-{3,}\s?END\s[A-Z0-9 ]{1,40}-{3,}|\Z)",
        words="begin",
    ),
    _rule(
        "key",
        r"""(?:sk-)?(?:ssh-(?:rsa|ed25519|dss)|ecdsa-sha2-[\w-]{1,30})(?:@[\w.]{1,30})?\s+[A-Za-z0-9+/=]{16,}
            (?:\s+[\w.-]+@[\w.-]+)?""",
        words="ssh ecdsa",
    ),
    _rule(
        "mention",
        r"<(?:@[!&]?\w{2,32}(?:\|[^<>\n]{0,100})?|\#\w{2,32}(?:\|[^<>\n]{0,100})?|/[^<>:\n]{1,100}:\d+|id:\w+)>",
        signs="<",
    ),
    _rule(
        "invite",
        r"""<?(?:https?://)?(?:www\.)?(?:discord\s*\.\s*gg|dsc\.gg|discord(?:app)?\s*\.\s*com\s*/\s*invite|discord\.me|
            invite\.gg|t\.me|telegram\.(?:me|dog)|chat\.whatsapp\.com|wa\.me|join\.slack\.com|signal\.(?:group|me)|
            guilded\.gg)\s*/\s*\#?[\w+/?=&%.-]+>?""",
        signs="/",
    ),
    _rule(
        "attachment",
        r"""<?https?://(?:cdn|media|images-ext-\d)\.discord(?:app)?\.(?:com|net)/\S+|<?https?://files\.slack\.com/\S+
            |<?https?://\S{0,200}/attachments/\S+|data:[\w/+.-]{1,60};base64,\S+""",
        signs="/",
    ),
    _rule(
        "link",
        r"""<?\b[a-z][a-z0-9+.-]{1,20}://\S+
            |(?<![\w@.-])(?:[a-z0-9-]{1,63}\.){1,5}[a-z]{2,24}(?::\d+)?/\S*""",
        signs="/",
    ),
    _rule("link", r"\bwww\.\S+", words="www"),
    _rule("handle", r"[^\s!@]{1,32}![^\s!@]{1,32}@\S+", signs="!", run=8),
    _rule(
        "email",
        r"""(?<![\w.+-])[\w.+%&'*-]{1,64}\s?@\s?(?:[\w-]{1,63}\.){1,5}[a-z]{2,24}\b
            |(?<![\w.+-])[\w.+-]{3,64}@[a-z][\w-]{2,63}\b""",
        signs="@",
    ),
    _rule(
        "email",
        r"(?<![\w.+-])[\w.+-]{1,64}(?:{{dot}}[\w+-]{1,64}){0,3}{{at}}[\w-]{1,63}(?:{{dot}}[a-z]{2,24}){1,3}\b",
        words="dot punkt d",
    ),
    _rule(
        "email",
        r"(?<![\w.+-])[\w.+-]{2,64}{{at_sign}}[\w-]{1,63}(?:\s?\.\s?[a-z]{2,24}){1,3}\b",
        signs="@([{<*",
    ),
    _rule(
        "email",
        r"""(?<![\w.+-])[\w.+-]{2,64}\s+at\s+(?:gmail|hotmail|ymail|yahoo|outlook|aol|proton|protonmail|icloud|gmx|
            web|live|fastmail|mail)(?:\s?(?:\.|dot)\s?[a-z]{2,6})+\b""",
        words="gmail hotmail ymail yahoo outlook aol proton protonmail icloud gmx web live fastmail mail",
    ),
    _rule(
        "token",
        r"\beyJ[\w-]{8,}(?:\.[\w-]*){0,4}|\bmfa\.[\w-]{20,}|\b[\w-]{23,28}\.[\w-]{5,7}\.[\w-]{25,50}",
        run=16,
    ),
    _rule(
        "token",
        r"""\b(?:gh[pousr]_\w{16,}|github_pat_\w{16,}|glpat-[\w-]{16,}|xox[a-z]-[\w-]{8,}|xapp-[\w-]{8,}
            |(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{12,}|AIza[\w-]{20,}|ya29\.[\w-]{10,}|sk-[\w-]{12,}
            |[srp]k_(?:live|test)_\w{8,}|whsec_\w{8,}|\d{6,12}:\s?AA[\w-]{20,}|(?:AC|SK)[0-9a-f]{32}
            |SG\.[\w-]{10,}\.[\w-]{10,}|npm_\w{16,}|pypi-[\w-]{12,}|hf_\w{16,}|EAA\w{20,}|shp[a-z]{2}_\w{16,}
            |AGE-SECRET-KEY-\w{10,}|[a-z]{2,10}(?:[_-][a-z]{2,10}){0,2}[_-](?=\w*\d)(?=\w*[a-z])\w{24,})""",
        run=12,
    ),
    _rule(
        "wallet",
        r"\b(?:0x[0-9a-f]{16,}|(?:bc|tb|ltc)1[a-z0-9]{20,80})\b",
        digits=1,
        run=18,
    ),
    _rule(
        "iban",
        r"""\b[A-Z]{2}\d{2}(?:[ -]?[A-Z]{4})?(?:[ -]?(?=[A-Z]{0,3}\d)[A-Z0-9]{4}){2,7}
            (?:[ -]?(?=[A-Z]{0,2}\d)[A-Z0-9]{1,3})?\b""",
        _passes_mod_97,
        digits=10,
    ),
    _rule("card", r"(?<![\d.])[2-6]\d{3}(?:[ -]?\d){9,15}(?!\d)", _passes_luhn, digits=13),
    _rule(
        "user id",
        r"(?<![\w.])\d{15,20}(?![\w.]\d)\b|\bSTEAM_\d:\d:\d+|\[U:\d:\d+\]|\b(?-i:[UWTDCGB]0[A-Z0-9]{7,10})\b",
        digits=1,
        run=9,
    ),
    _rule("token", r"(?<![\w+/=-])[\w+/=-]{20,}", _is_random, run=20),
    _rule("token", r"\b(?=[A-Z-]*\d)(?-i:(?:[A-Z0-9]{4,6}-){2,7}[A-Z0-9]{4,6})\b", digits=1, run=14),
    _rule(
        "network address",
        r"""(?<![\w:.])(?P<out>(?P<ip>[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}(?::\d{1,3}(?:\.\d{1,3}){3})?)
            (?:/\d{1,3}|%\w+)?)(?![\w:])""",
        _is_ip_address,
        signs=":",
    ),
    _rule(
        "network address",
        r"""(?<![\w.])(?<!version\s)(?:{{octet}}(?:\.|\[\.\]|\(\.\)|\s?\(?\bdot\b\)?\s?)){3}{{octet}}(?:[:/]\d{1,5})?
            (?!\w|\.\d|-\w)""",
        digits=4,
    ),
    _rule(
        "network address",
        r"(?<![\w:-])(?:[0-9a-f]{2}(?P<sep>[:-])(?:[0-9a-f]{2}(?P=sep)){4}[0-9a-f]{2}|(?=\S*\d)(?:[0-9a-f]{4}\.){2}[0-9a-f]{4})(?![\w:])",
        run=14,
    ),
    _rule("national id", r"(?<![\d-])\d{3}(?P<sep>[- ])\d{2}(?P=sep)\d{4}(?![\d-])", digits=9),
    _rule("national id", r"\b[A-CEGHJ-PR-TW-Z]{2}\s?\d{2}\s?\d{2}\s?\d{2}\s?[A-D]\b", digits=6),
    _rule(
        "id number",
        r"""\b(?:passport|(?:driver'?s?\s|driving\s)?licen[cs]e|plates?|id(?:\scard)?|ssn|social\ssecurity|insurance|
            ni|nhs|medicare|medicaid|tax(?:payer)?|tin|ein|vin|account|acct?|routing|sort\s?code|cpf|cnpj|dni|nie|nino|bsn|
            pesel|aadhaar|pan|member(?:ship)?|policy|order|tracking|booking|confirmation|student|employee|patient|iban|card|
            serial|reference|visa|swift|bic)
            (?:\s?(?:number|num|no|nr|n°|id|code|ref|card|ending(?:\sin)?|pin|plates?|[\#.]))*(?:{{is}}|\s+)
            (?P<out>(?=[\w./-]*\d)\#?[a-z0-9][\w./-]{4,}(?:[ -][a-z]?\d[\w-]*)*|[a-z]{0,3}\d{2,4}(?:[ -]\w{0,3}\d\w{0,3}){1,6})""",
        _is_identifier,
        words="""passport license licence plate plates id ssn social insurance ni nhs medicare medicaid tax taxpayer tin ein vin
            account acc acct routing sort cpf cnpj dni nie nino bsn pesel aadhaar pan member membership policy order
            tracking booking confirmation student employee patient iban card serial reference visa swift bic""",
        digits=3,
    ),
    _rule(
        "code",
        r"""\b(?:cvv2?|cvc|security\scode|(?:card\s)?exp(?:iry|ires)?(?:\sdate)?|(?:2fa|verification|one.time|otp|backup|login|
            auth|sms|access|gate|door|alarm|garage|lock)\s(?:code|pin)|otp|\bpin(?:\s(?:code|number|no))?)(?:{{is}}|\s+)(?P<out>\d[\d /-]{1,9}\d)""",
        words="cvv cvv2 cvc code exp expiry expires otp pin",
        digits=3,
    ),
    _rule(
        "birth date",
        r"""\b(?:born|dob|d\.o\.b\.?|date\s+of\s+birth|birth\s?da(?:y|te)|b-?day|geboren|geburtstag|nac[ií]|née?|nat[oa])
            (?:{{is}}|\s+)?(?:(?:on|the|am|el|le|il)\s+)*\W{0,3}(?P<out>{{date}})""",
        words="born dob b birth birthday birthdate bday geboren geburtstag nací naci né née nato nata",
        digits=1,
    ),
    _rule(
        "password",
        r"""\b(?:\w{0,10}pass\s?(?:word|code|wd|wort|phrase)s?|(?<!movie\s)(?<!league\s)(?<!season\s)(?<!bus\s)pass|pwd?|pw|pin(?:\s?(?:code|number))?|psk|kennwort|
            wi-?fi\s(?:key|code)|contraseña|clave|mot\sde\spasse|senha|parola|has[lł]o)
            (?:\s(?:for|to|of|on)\s[\w'.-]{1,20}(?:\s[\w'.-]{1,20}){0,3}?)?{{is}}(?P<out>{{value}}{{clause}})""",
        words=_PASSWORDS,
    ),
    _rule(
        "password",
        r"\b(?:password|passcode|pwd?|pw|login|creds?|credentials?)\s+(?P<out>(?=\S*\d)\S{4,})",
        words="password passcode pwd pw login cred creds credentials",
        digits=1,
    ),
    _rule(
        "password",
        r"\b(?:use|enter|type)\s+(?:the\s)?(?:password|passcode|code|pin)\s+(?P<out>{{value}}\S+)",
        words="use enter type",
    ),
    _rule(
        "token",
        r"""\b(?:key|secret|token|bearer|otp|seed(?:\s?(?:phrase|words))?|mnemonic
            |(?:recovery|backup|mnemonic|secret)\s(?:phrase|words|codes?))\w{0,3}
            (?:\s(?:for|to|of)\s[\w'.-]{1,20}(?:\s[\w'.-]{1,20})?)?(?:{{is}}|\s+(?=[\w-]*\d[\w-]{5}|[\w-]{5,}\d)){{value}}
            (?P<out>(?=\S*\d|[a-z]+(?:\s[a-z]+){10})\S{6,}(?:\s(?![-–(&|])[^\s,.!?;]{1,40}){0,23})""",
        words="key keys secret token bearer otp seed mnemonic recovery backup",
    ),
    _rule(
        "coordinates",
        r"""(?<![\w.])[-+]?\d{1,3}\.\d{3,}\s?°?\s?[NSEW]?\s?[,;/ ]\s?[-+]?\d{1,3}\.\d{3,}\s?°?\s?(?:[NSEW]\b)?
            |{{degrees}}(?:[,\s]*{{degrees}})?""",
        digits=4,
    ),
    _rule("address", r"\bp\.?\s?o\.?\s?box\s+\#?\d+{{rest}}", words="box"),
    _rule(
        "address",
        r"""(?<![\w$€£.,:-])\d{1,5}(?:-\d{1,4})?[a-z]?,?\s+(?:(?:[NSEW]|North|South|East|West)\.?\s+)?
            (?:(?!(?:the|an?|my|your|our|hours?|hrs?|min(?:ute)?s?|days?|weeks?|months?|years?|yrs?|miles?|blocks?|km|of|in|
            on|down|up|per|to|from|at|and|for|more|other|people|way|times|or|is|was|different|percent|lane|mph|kmh)\b)
            [\w'’-]{2,20}\.?\s+){1,3}?{{street}}(?:\s(?:[NSEW]{1,2}|North|South|East|West)\b)?{{rest}}""",
        words="street avenue ave road rd lane ln boulevard blvd crescent cres terrace parkway pkwy highway hwy",
        digits=1,
    ),
    _rule(
        "address",
        r"""(?<![\w$€£.,:-])\d{1,5}(?:-\d{1,4})?[a-z]?,?\s+(?:(?-i:[NSEW])\.?\s+)?
            (?:(?-i:[A-Z])[\w'’-]{1,20}\s+){1,3}?(?-i:(?=[A-Z])){{way}}{{rest}}""",
        digits=1,
    ),
    _rule(
        "address",
        r"""\b(?-i:[A-ZÄÖÜÅØ])[\w-]{1,30}\s?(?:stra(?:ß|ss)e|str\.|weg|platz|allee|gasse|damm|ufer|straat|laan|gracht|plein|
            gatan|vägen|gata|veien|vej|gade)\s+\d{1,4}\s?[a-z]?\b(?:,?\s*\d{4,5}\s+\w+)?""",
        digits=1,
    ),
    _rule(
        "address",
        r"""\b\d{1,4}(?:\s?(?:bis|ter))?,?\s+(?:rue|avenue|av\.?|boulevard|bd|place|chemin|allée|impasse|quai|cours|route)\s+
            (?=(?-i:[A-ZÉ])|d[eu]s?\s|d['’]|l[ae]s?\s|l['’]){{article}}[\w'’-]+(?:\s(?-i:[A-Z])[\w'’-]+)*
            (?:,?\s*\d{5}\s+\w+)?""",
        digits=1,
    ),
    _rule(
        "address",
        r"""\b(?:calle|c/|avenida|avda\.?|plaza|paseo|carrera|cra\.?|camino|ronda|rua|travessa|praça|via|viale|piazza|corso|
            vicolo|ul\.|ulica|ул\.|улица)\s*{{article}}(?-i:[^\W\d_a-z])[\w'’-]+(?:\s[\w'’-]+){0,3}?,?\s+
            (?:n[º°o.]{0,2}\s*|\#\s*|д\.?\s*)?\d{1,4}\w?\b(?:[\s-]+\d+)?(?:,?\s*\d{5}\s+\w+)?""",
        digits=1,
    ),
    _rule(
        "address",
        r"""(?:\baddress(?:\s+here)?{{is}}|\b(?:live|lives|living|wohne|staying|located|ship\s(?:it\s)?|send\sit\s)\s*
            (?:at|to|in\sder|in)\s+|\bhabite\s+(?:au\s+)?|\bvivo\s+en\s+)
            (?P<out>\#?\d{1,5}[a-z]?,?\s+(?!(?:min|hour|mile|block|am|pm|year|month|week|day|people|degrees|bed|story|different|
            states|countries|cities|places|other|of|in|or|to|and|km|ish)\w*)[^\n.!?;]{3,80})""",
        words="address live lives living wohne staying located ship send habite vivo",
        digits=1,
    ),
    _rule("address", r"{{uk_postcode}}|\b(?-i:[ABCEGHJ-NPRSTVXY]\d[A-Z]\s?\d[A-Z]\d)\b", digits=2),
    _rule(
        "address",
        r"(?:(?-i:[A-Z])[\w'.-]{1,30}(?:\s(?-i:[A-Z])[\w'.-]{1,30}){0,2},?\s+)?{{state}},?\s+\d{5}(?:-\d{4})?\b",
        digits=5,
    ),
    _rule(
        "address",
        r"\b(?:zip|post|postal|plz)\s?(?:code)?(?:{{is}}|\s+)(?P<out>\d{4,5}(?:-\d{4})?)\b",
        words="zip zipcode postcode post postal plz",
        digits=4,
    ),
    _rule("phone", CANDIDATE, is_phone_number, digits=6),
    _rule(
        "phone",
        r"""\b(?:(?:oh|zero|one|two|three|four|five|six|seven|eight|nine|double|triple)[\s,.-]+){6,14}
            (?:oh|zero|one|two|three|four|five|six|seven|eight|nine)\b""",
        _is_no_count,
        words="zero one two three four five six seven eight nine",
    ),
    _rule("handle", r"(?<!\w)@(?!(?:everyone|here)\b)\w[\w.-]*(?:[:@][\w.-]+\.\w+)?", signs="@"),
    _rule("handle", r"(?<!\w)[\w.-]{2,32}\#\d{4,5}\b", signs="#", digits=4),
    _rule(
        "handle",
        r"""\b(?:my|his|her|their|our|the)\s+(?:\w+\s+)?{{service}}{{name_of}}{{is}}["'(]?(?P<out>{{value}}{{handle}}){{end}}""",
        words=_SERVICES,
    ),
    _rule(
        "handle",
        r"""\b{{service}}{{name_of}}(?:\s*[:=@]+\s*|\s*-+>?\s+|\s+(?:is\s+|handle\s+|name\s+|id\s+)?(?={{odd}})|{{is}}(?={{odd}}))
            ["'(]?(?P<out>{{value}}{{handle}})""",
        words=_SERVICES,
    ),
    _rule(
        "handle",
        r"""\b(?:add|follow|find|dm|message|msg|hmu|text|hit|pm|friend|reach|contact|get|tag)\s+(?:(?:me|us|him|her|them)\s+)?
            (?:up\s+)?(?:on|at|via|through)\s+(?:(?:my|the)\s+)?{{service}}\W{0,4}
            (?:(?:it'?s|i'?m|as|at|under|my\sname\sis|name\sis|is|user(?:name)?|handle)\W{1,3}){0,2}(?P<out>{{value}}{{handle}})""",
        words=_SERVICES,
    ),
    _rule(
        "handle",
        r"\b(?:add|friend)\s+(?P<out>{{value}}{{handle}})\s+(?:on|over\son)\s+{{service}}",
        words=_SERVICES,
    ),
    _rule(
        "handle",
        r"\b(?:i'?m|am|it'?s|is|called|find|me|as|under|name)\s+(?P<out>{{odd}}{{handle}})\s+(?:on|over\son|in)\s+{{service}}",
        words=_SERVICES,
    ),
    _rule(
        "handle",
        r"""\b(?:user\s?name|user(?:\s?id)?|gamer\s?tag|login|ign|in[- ]game\sname|(?:riot|psn|steam|epic|account|player)\sid
            |friend\scode|handle|screen\s?name){{is}}["'(]?(?P<out>{{value}}{{handle}}){{end}}""",
        words="username user gamer gamertag login ign game id friend handle screen screenname",
    ),
    _rule("path", r"""(?:[a-z]:)?[/\\]+(?:home|users)[/\\]+[^\s"'<>|:]+""", signs="/\\"),
)
"""In the order in which they are tried: what holds others inside comes first."""

_TELLING_WORDS = frozenset().union(*(rule.words for rule in RULES if not (rule.digits or rule.signs or rule.run)))
