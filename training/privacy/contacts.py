"""How people are reached: links, invites, e-mail addresses, telephone numbers, mentions, names of accounts."""

# ruff: noqa: RUF001 - the signs that people write

import re
from itertools import pairwise

from training.privacy.rule import PARTS, Match, Rule, one_of, rule
from training.privacy.telephone import CANDIDATE, FULL_NUMBER, is_phone_number, is_spaced_number

_NUMBERS = (
    "zero oh o null cero zéro",
    "one eins uno un",
    "two zwei zwo dos deux due",
    "three drei tres trois tre",
    "four vier cuatro quatre quattro",
    "five fünf cinco cinq cinque",
    "six sechs seis sei",
    "seven sieben siete sept sette",
    "eight acht ocho huit otto",
    "nine neun nueve neuf nove",
)
_DIGITS = {word: digit for digit, words in enumerate(_NUMBERS) for word in words.split()}


def _is_no_count(match: Match) -> bool:
    """Whether digits that are spelled out are more than counting, or than "oh oh oh"."""
    places = [_DIGITS[word] for word in re.findall(r"[^\W\d]+", match["out"].lower()) if word in _DIGITS]
    steps = {later - earlier for earlier, later in pairwise(places)}
    return len(set(places)) > 2 and not steps <= {1} and not steps <= {-1}


SERVICES = """insta instagram ig snap snapchat sc tik_tok twitter twitch steam psn xbox gt gamer_tag discord
    telegram tg kik skype whatsapp facebook fb messenger reddit github gitlab linkedin signal wechat qq vk viber
    mastodon
    bluesky bsky tumblr pinterest youtube yt spotify soundcloud onlyfans venmo cash_app paypal zelle epic riot
    origin uplay battle_net battle_tag btag bnet roblox minecraft mc nintendo aim msn icq xbl ea ubisoft ao3 wattpad
    strava lastfm
    lichess chess_com fortnite valorant osu vrchat runescape osrs hypixel faceit threema matrix"""


PARTS |= {
    "service": rf"{one_of(SERVICES)}\b",
    "name_of": r"""(?:\s+(?:live|games|user\s?name|user|handle|name|id|tag|account|acct|acc|nick|code|profile
            |channel|page)\b)?""",
    "end": r"""(?=["')]?\s*(?:[,.!?;)\n]|$
        |(?:if|and|or|so|btw|lol|pls|please|add|hmu|on|but|for|pw|pass|password)\b))""",
    "at": r"""(?:\s?[(\[{<*]\s?(?:at|@|a|ät|arroba|chiocciola|arobase)\s?[)\]}>*]\s?|\s?@\s?
        |[\s_]+(?:at|ät)[\s_]+)""",
    "at_sign": r"(?:\s?[(\[{<*]\s?(?:at|@|ät)\s?[)\]}>*]\s?|\s?@\s?)",
    "dot": r"(?:\s?[(\[{<*]\s?(?:dot|\.|d|punkt|punto|ponto|point)\s?[)\]}>*]\s?|[\s_]+(?:dot|punkt)[\s_]+)",
    "digit_word": rf"(?:{'|'.join(_DIGITS)}|double|triple|doppel)",
    "mail_service": r"(?:gmail|hotmail|ymail|yahoo|outlook|aol|protonmail|proton|icloud|gmx|fastmail)",
}
_MAIL_SERVICES = "gmail hotmail ymail yahoo outlook aol protonmail proton icloud gmx fastmail"
LINKS: tuple[Rule, ...] = (
    rule(
        "mention",
        r"<(?:(?:@[!&]?|\#)\w{2,32}(?:\|[^<>\n]{0,100})?|/[^<>:\n]{1,100}:\d+|id:\w+)>",
        signs="<",
    ),
    rule(
        "invite",
        r"""<?(?:https?://)?(?:www\.)?(?:discord\s*[(\[]?(?:\.|dot)[)\]]?\s*gg|dsc\.gg|discord
            (?:app)?\s*\.\s*com\s*/\s*invite|
            discord\.me|invite\.gg|t\.me|telegram\.(?:me|dog)|chat\.whatsapp\.com|wa\.me|join\.slack\.com|
            signal\.(?:group|me)|guilded\.gg)\s*/\s*\#?[\w+/?=&%.-]+>?""",
        signs="/",
    ),
    rule("invite", r"\bdiscord\s+(?:dot\s+)?gg\s+(?:slash\s+)?[\w-]{2,32}", words="gg"),
    rule(
        "attachment",
        r"""<?https?://(?:cdn|media|images-ext-\d)\.discord(?:app)?\.(?:com|net)/\S+|<?https?://files\.slack\.com/\S+
            |<?https?://\S{0,200}/attachments/\S+|data:[\w/+.-]{1,60};base64,\S+""",
        signs="/",
    ),
    rule(
        "link",
        r"""<?\b[a-z][a-z0-9+.-]{1,20}://\S+|(?<![\w@.-])(?:[a-z0-9-]{1,63}\.){1,5}[a-z]{2,24}(?::\d+)?/\S*""",
        signs="/",
    ),
    rule(
        "link",
        r"""\bwww\.\S+|(?<![\w@.-])[a-z0-9-]{2,63}\.(?:tumblr|wordpress|blogspot|deviantart|bandcamp|neocities|substack|
            github|gitlab|itch|carrd|newgrounds)\.(?:com|io|org|co)\b""",
        words="""www tumblr wordpress blogspot deviantart bandcamp neocities substack gitlab github itch carrd
            newgrounds""",
    ),
    rule("link", r"(?<![\w@.-])(?:[a-z0-9-]{1,63}\.){1,5}[a-z]{2,24}:\d{2,5}(?!\w)", digits=2, signs=":"),
    rule("handle", r"\blive:\.?[\w.]{3,40}", signs=":", words="live"),
    rule("handle", r"[^\s!@]{1,32}![^\s!@]{1,32}@\S+", signs="!", run=8),  # nick!user@host, as IRC writes it
    rule(
        "email",
        r"""(?:(?<![\w.+-])[\w.+%&'*-]{1,64}|"[^"@\n]{1,64}")\s?@\s?(?:(?:[\w-]{1,63}\.){1,5}[a-z]{2,24}\b
            (?::[^\s:/]{4,64})?|\d{1,3}(?:\.\d{1,3}){3})
            |(?<![\w.+-])[\w.+-]{3,64}@[a-z][\w-]{2,63}\b""",
        signs="@",
    ),
    rule("email", r"(?<![\w.+-])[\w.+-]{1,64}%40(?:[\w-]{1,63}\.){1,5}[a-z]{2,24}\b", digits=2, signs="%"),
    rule(
        "email",
        r"""(?<![\w.+-])[\w.+-]{1,64}(?:{{dot}}[\w+-]{1,64}){0,3}{{at}}[\w-]{1,63}
            (?:{{dot}}(?!(?:dot|punkt|punto|ponto|point)\b)[a-z]{2,24}){1,3}\b""",
        words="dot punkt",
    ),
    rule(
        "email",
        r"(?<![\w.+-])[\w.+-]{2,64}{{at_sign}}[\w-]{1,63}(?:(?:\s?\.\s?|{{dot}})[a-z]{2,24}){1,3}\b",
        signs="@([{<*",
    ),
    rule(
        "email",
        r"""(?<![\w.+-])(?:[\w.+-]{2,64}\s+at\s+{{mail_service}}(?:\s?(?:\.|dot)\s?[a-z]{2,6})+
            |{{odd}}[\w.+-]{2,64}\s+at\s+{{mail_service}}|{{value}}[\w.+-]{3,64}\s+at\s+(?:gmail|hotmail))\b""",
        words=_MAIL_SERVICES,
    ),
    rule(
        "email",
        r"""(?<![\w.+-])[\w.+-]{1,64}(?:\s(?:punto|ponto|point|punt|kropka|punkt)\s[\w+-]{1,64}){0,3}
            \s?[(\[]?(?:arroba|chiocciola|arobase|apenstaartje|małpa|snabel-a|klammeraffe)[)\]]?\s?[\w-]{1,63}
            (?:(?:\s(?:punto|ponto|point|punt|kropka|punkt|dot)\s|\.)[a-z]{2,24}){1,3}\b""",
        words="arroba chiocciola arobase apenstaartje małpa snabel klammeraffe",
    ),
    rule("email", r"\b{{mail_service}}{{is}}(?P<out>(?={{odd}})[\w.+-]{3,64})", words=_MAIL_SERVICES),
    rule(
        "email",
        r"""\be?-?mail\b[^\n]{0,30}?\s(?P<out>{{value}}\w[\w.+-]{0,63}\s+at\s+
            (?:[\w-]{1,63}(?:\.|\s(?:dot|\.)\s)){1,3}[a-z]{2,24})\b""",
        words="mail email",
    ),
    rule(
        "email",
        r"(?<![\w.+-])(?=[\w+-]*[._\d])[\w.+-]{3,64}\s+at\s+(?:[\w-]{1,63}\.){1,3}(?:com|org|net|edu|gov)\b",
        words="com org net edu gov",
    ),
)
"""To be tried first: what they find has parts that look like other details."""

ACCOUNTS: tuple[Rule, ...] = (
    rule("phone", FULL_NUMBER, digits=10),
    rule("phone", CANDIDATE, is_phone_number, digits=6),
    rule("phone", r"(?<![\w.,:])\d(?:[ ._-]{1,2}\d){6,15}(?![\w.,:])", is_spaced_number, digits=7),
    rule(
        "phone",
        r"\b(?:{{digit_word}}[\s,.-]+){6,40}{{digit_word}}\b",
        _is_no_count,
        words="""zero three four five six seven eight nine null eins drei vier fünf sechs sieben acht neun cuatro
    cinco seis siete
            ocho nueve trois quatre cinq sept huit neuf quattro cinque sette otto nove""",
    ),
    rule("handle", r"(?<!\w)@(?!(?:everyone|here)\b)\w[\w.-]*(?:[:@][\w.-]+\.\w+)?", signs="@"),
    rule("handle", r"(?<!\w)[\w.-]{2,32}\#\d{4,5}\b", signs="#", digits=4),
    rule("handle", r"(?<!\w)(?:(?-i:[A-Z])\w{1,15}\s)?\w{2,16}\#(?-i:[A-Z][A-Z0-9]{1,4}|[A-Z0-9]{2,5})\b", signs="#"),
    rule(
        "handle",
        r"""\b(?:{{service}}|gamer)\s(?:user\s?name|user|handle|name|id|tag|account|acct?|nick|gt|gamertag|ign)s?\b
            (?:{{is}}|\s+)["'(]?(?P<out>{{value}}(?-i:[A-Z]|(?=\w*[\d_]))[\w.-]{2,30}(?:\s(?-i:[A-Z]\w{1,15}
            |\d{1,4}\b)){0,2}(?:\#\w{2,5})?)""",
        words=SERVICES,
    ),
    rule(
        "handle",
        r"""\b(?:my|his|her|their|our|the)\s+(?:\w+\s+)?{{service}}{{name_of}}{{is}}["'(]?
            (?P<out>{{value}}{{handle}}(?:\s(?-i:[A-Z])\w+){0,2}){{end}}""",
        words=SERVICES,
    ),
    rule(
        "handle",
        r"""\b{{service}}{{name_of}}(?:\s*[:=@]+\s*|\s*-+>?\s+
            |\??\s+(?:is\s+|me\s+(?:at\s+|on\s+)?|handle\s+|name\s+|id\s+)?(?={{odd}})|{{is}}
            (?={{odd}}))["'(]?(?P<out>{{value}}{{handle}})""",
        words=SERVICES,
    ),
    rule(
        "handle",
        r"""\b{{service}}\b[^\n]{0,60}?\b(?:mine|it|its|i'?m|am|name)(?:{{is}}|'?s?\s+)(?P<out>{{odd}}{{handle}})""",
        words=SERVICES,
    ),
    rule(
        "handle",
        r"""\b(?:add|follow|find|dm|message|msg|hmu|text|hit|pm|friend|reach|contact|get|tag)\s+
            (?:(?:me|us|him|her|them)\s+)?(?:up\s+)?(?:on|at|via|through)\s+(?:(?:my|the)\s+)?{{service}}\W{0,4}
            (?:(?:it'?s|i'?m|as|at|under|my\sname\sis|name\sis|is|user(?:name)?|handle)\W{1,3}){0,2}
            (?P<out>{{value}}{{handle}})""",
        words=SERVICES,
    ),
    rule(
        "handle",
        r"\b(?:add|friend)\s+(?P<out>{{value}}{{handle}})\s+(?:on|over\son)\s+{{service}}",
        words=SERVICES,
    ),
    rule(
        "handle",
        r"""\b(?:i'?m|am|it'?s|is|called|find|follow|me|as|under|name)\s+(?P<out>{{odd}}{{handle}})\s+
            (?:on|over\son|in)\s+{{service}}""",
        words=SERVICES,
    ),
    rule(
        "handle",
        r"""\b(?:user\s?name|user(?:\s?id)?(?!['’])|gamer\s?tag|login|ign|friend\scode|handle|screen\s?name
            |(?:riot|psn|steam|epic|account|player|line|zoom|meeting)\sid){{is}}["'(]?(?P<out>{{value}}{{handle}}
            (?:\s(?-i:[A-Z])\w+){0,2}){{end}}""",
        words="username user userid gamer gamertag login ign id code handle screen screenname",
    ),
    rule(
        "handle",
        r"""\b{{service}}\s(?:user\s?name|user|handle|tag|gt|gamertag|ign|nick|@)\s
            (?P<out>{{value}}\w[\w.-]{3,31}){{end}}""",
        words=SERVICES,
    ),
    rule(
        "handle",
        r"\b(?:me\sas|under|called|named)\s(?P<out>{{value}}[\w.-]{4,31})\s(?:on|over\son)\s{{service}}",
        words=SERVICES,
    ),
    rule(
        "handle",
        r"""\b(?:user|login)\s(?P<out>(?=\w*\d)[a-z][\w.-]{2,31}|{{value}}\w[\w.-]{2,31}(?=,?\s(?:pw|pass
            |password|pwd)\b))""",
        words="user login",
    ),
    rule("handle", r"\bxbl\s(?P<out>(?-i:[A-Z])\w+(?:\s(?-i:[A-Z])\w+|\s\d{1,4}\b){0,2})", words="xbl"),
    rule("handle", r"(?<!\S)\$[a-z][a-z_]\w{2,20}", words="cash cashapp cashtag venmo tip"),
    rule("handle", r"(?<![\w/.])/?u/[\w-]{3,20}\b", signs="/"),
    rule(
        "path",
        r"""[/\\](?:var[/\\](?:spool[/\\])?(?:mail|cron)|export[/\\]home|mnt[/\\]c[/\\]users|(?:run[/\\])?media
            |(?:documents[ ]and[ ]settings))[/\\]{1,2}
            [^/\\"'<>|:\n]{1,32}(?=[/\\])|[/\\]var[/\\](?:spool[/\\])?(?:mail|cron)[/\\]\w[^\s"'<>|:]*
            |(?<!\w)~\w[\w.-]*(?=/)""",
        signs="/\\",
    ),
    rule(
        "path",
        r"""(?:[a-z]:)?(?<![/\\])[/\\]{1,2}(?:home|users)[/\\]{1,2}(?:[^/\\"'<>|:\n]{1,32}(?=[/\\])[^\s"'<>|:]*
            |[^\s"'<>|:]+)""",
        signs="/\\",
    ),
)
"""To be tried last: what is left of digits and names."""
