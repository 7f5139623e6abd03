"""Who and where people are: addresses, coordinates, network addresses, numbers of documents, dates of birth."""

# ruff: noqa: RUF001 - the signs that people write

import ipaddress
import re

from training.privacy.rule import PARTS, Match, Rule, rule

_NO_IDENTIFIER = re.compile(r"(?:19|20)\d\d|\d{1,3}(?:st|nd|rd|th|am|pm|k|x|s)|\d\d?:\d\d", re.IGNORECASE)


def _is_ip_address(match: Match) -> bool:
    try:
        ipaddress.ip_address(match["ip"])
    except ValueError:
        return False
    return len(re.findall(r"[0-9a-f]+", match["ip"], re.IGNORECASE)) > 2


def _is_identifier(match: Match) -> bool:
    """Whether what stands behind "order number", say, is one: neither a year, a time nor a rank."""
    return not _NO_IDENTIFIER.fullmatch(match["out"])


PARTS |= {
    "month": r"""(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|
        oct(?:ober)?|nov(?:ember)?|dec(?:ember)?|januar|februar|märz|mai|juni|juli|oktober|dezember|enero|febrero|marzo|
        abril|mayo|junio|julio|agosto|septiembre|octubre|noviembre|diciembre|janvier|février|mars|avril|juin|juillet|
        août|septembre|octobre|novembre|décembre)\b\.?""",
    "date": r"""(?:\d{1,4}\s?[./-]\s?\d{1,2}\s?[./-]\s?\d{1,4}
        |{{month}}\s*\d{1,2}(?:st|nd|rd|th)?\b(?:,?\s*'?\d{2,4})?|{{month}},?\s+'?\d{2,4}\b
        |(?:the\s+)?\d{1,2}(?:st|nd|rd|th|\.)?\s*(?:of\s+|de\s+)?{{month}}(?:,?\s*(?:de\s+|of\s+)?'?\d{2,4})?
        |\d{1,2}[./-]\d{1,2}|\d{8}|\d{6})""",
    "street": r"""(?:street|avenue|ave|road|rd|lane|ln|boulevard|blvd|crescent|cres|terrace|parkway|pkwy|highway|hwy)
        \b\.?""",
    "way": r"""(?:{{street}}|st|drive|dr|way|court|ct|place|pl|circle|cir|close|square|sq|gardens|gdns|grove|hill|row|
        walk|mews|trail|loop|plaza|park|view|green|rise|quay|wharf|heights|alley|broadway|pike|pass|path|ridge|run|creek)
        \b\.?""",
    "flat": r"(?:apt|apartment|unit|flat|suite|ste|floor|fl|room|rm|level|box|\#)\.?\s*\#?\w{1,6}\b",
    "number": r"(?<![\w$€£.,:-])(?:{{flat}},?\s+)?\d{1,5}(?:[-/]\d{1,4})?[a-z]?,?\s+",
    "name": r"(?-i:[A-ZÀ-Þ])(?:[^\W\d]|['’.-]){1,30}(?!\w)",
    "direction": r"(?:[NSEW]{1,2}|North|South|East|West)\b\.?",
    "no_name": r"""(?!(?:the|an?|my|your|our|hours?|hrs?|min(?:ute)?s?|days?|weeks?|months?|years?|yrs?|miles?|blocks?|
        km|of|in|on|down|up|per|to|from|at|and|for|more|other|people|way|times|or|is|was|different|percent|lane|mph|kmh)\b)""",
    "state": r"""\b(?-i:A[BLKZR]|BC|C[AOT]|D[CE]|FL|GA|HI|I[DLNA]|K[SY]|LA|M[BEDAINSOT]|N[BEVHJMYCDSL]|O[HKRN]|P[AE]|
        QC|RI|S[CDK]|T[NX]|UT|V[TA]|W[AVIY]|NSW|VIC|QLD|TAS)\b""",
    "uk_postcode": r"""\b(?:A[BL]|B[ABDHLNRST]?|C[ABFHMORTVW]|D[ADEGHLNTY]|E[CHNX]?|F[KY]|G[LUY]?|H[ADGPRSUX]|I[GPV]|JE|
        K[ATWY]|L[ADELNSU]?|M[EKL]?|N[EGNPRW]?|O[LX]|P[AEHLOR]|R[GHM]|S[AEGKLMNOPRSTWY]?|T[ADFNQRSW]|UB|W[ACDFNRSV]?|YO|
        ZE)\d[A-Z\d]?\s?\d(?!(?:ST|ND|RD|TH|AM|PM)\b)[ABD-HJLNP-UW-Z]{2}\b""",
    "ca_postcode": r"\b(?-i:[ABCEGHJ-NPRSTVXY]\d[A-Z]\s?\d[A-Z]\d)\b",
    "town": r"(?:,?\s*(?:\d{2}-\d{3}|\d{4}\s?(?-i:[A-Z]{2})|(?:[A-Z]-)?\d{4,6})\s+{{name}}(?:\s{{name}})?)?",
    "rest": r"""(?:,?\s*{{flat}})?
        (?:,?\s*{{name}}(?:\s{{name}}){0,2}(?=\s*(?:[,.!?;)\n\d]|$|(?-i:[A-Z]{1,3}\d|[A-Z]{2}\s+[\dA-Z]{3})))){0,3}
        (?:,?\s*{{uk_postcode}}|,?\s*(?:{{state}},?\s+)?(?:{{ca_postcode}}|\d{5}(?:-\d{4})?\b|\d{4}\b)|{{town}})""",
    "degrees": r"\d{1,3}\s?°\s?(?:\d{1,2}(?:\.\d+)?\s?['′’]\s?)?(?:\d{1,2}(?:\.\d+)?\s?[\"″”]\s?)?[NSEW]\b",
    "article": r"(?:(?:de|del|d[ou]s?|des|da|das|la|las|los|le|les|della|dei)\s+|d['’]|l['’]|dell['’])*",
}
_STREETS = "street avenue ave road rd lane ln boulevard blvd crescent cres terrace parkway pkwy highway hwy"
_WAYS = f"""{_STREETS} st drive dr way court ct place pl circle cir close square sq gardens gdns grove hill row walk
    mews trail loop plaza park view green rise quay wharf heights alley broadway pike pass path ridge run creek"""

IDENTITY: tuple[Rule, ...] = (
    rule(
        "network address",
        r"""(?<![\w:.])(?P<out>(?P<ip>[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}(?::\d{1,3}(?:\.\d{1,3}){3})?)
            (?:/\d{1,3}|%\w+)?)(?![\w:])""",
        _is_ip_address,
        signs=":",
    ),
    rule(
        "network address",
        r"""(?<![\w.])(?<!version\s)(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.|\[\.\]|\(\.\)|\s?\(?\bdot\b\)?\s?)){3}
            (?:25[0-5]|2[0-4]\d|1?\d?\d)(?:[:/]\d{1,5})?(?!\w|\.\d|-\w)""",
        digits=4,
    ),
    rule(
        "network address",
        r"""(?<![\w:-])(?:[0-9a-f]{2}(?P<sep>[:-])(?:[0-9a-f]{2}(?P=sep)){4}[0-9a-f]{2}
            |(?=[a-f.]{0,11}\d)(?:[0-9a-f]{4}\.){2}[0-9a-f]{4})(?![\w:])""",
        run=14,
    ),
    rule("id number", r"(?<![\d-])\d{3}(?P<sep>[- ])\d{2}(?P=sep)\d{4}(?![\d-])", digits=9),  # US social security
    rule("id number", r"\b[A-CEGHJ-PR-TW-Z]{2}\s?\d{2}\s?\d{2}\s?\d{2}\s?[A-D]\b", digits=6),  # UK national insurance
    rule(
        "id number",
        r"""\b(?:passport|(?:driver'?s?\s|driving\s)?licen[cs]e|plates?|id(?:\scard)?|ssn|social\ssecurity|insurance|ni|
            nhs|medicare|medicaid|tax(?:payer)?|tin|ein|vin|account|acct?|routing|sort\s?code|cpf|cnpj|dni|nie|nino|bsn|
            pesel|aadhaar|pan|member(?:ship)?|policy|order|tracking|booking|confirmation|student|employee|patient|iban|
            card|serial|reference|visa|swift|bic|imei|phone)
            (?:\s?(?:number|num|no|nr|n°|id|code|ref|card|ending(?:\sin)?|pin|plates?|[\#.]))*(?:{{is}}|\s+)
            (?P<out>(?=[\w./-]*\d)\#?[a-z0-9][\w./-]{4,}(?:[ -][a-z]?\d[\w-]*)*
                |[a-z]{0,3}\d{2,4}(?:[ -]\w{0,3}\d\w{0,3}){1,6})""",
        _is_identifier,
        words="""passport license licence plate plates id ssn social insurance ni nhs medicare medicaid tax taxpayer tin
            ein vin account acc acct routing sort cpf cnpj dni nie nino bsn pesel aadhaar pan member membership policy
            order
            tracking booking confirmation student employee patient iban card serial reference visa swift bic imei""",
        digits=1,
    ),
    rule(
        "id number",
        r"""\b(?:(?:number)?plates?|registration|reg)(?:\s(?:number|no))?(?:{{is}}|\s+)
            (?P<out>{{value}}(?=[a-z -]{0,5}\d)[a-z0-9]{1,4}[ -]?[a-z0-9]{2,5})\b""",
        words="plate plates numberplate registration reg",
        digits=1,
    ),
    rule(
        "birth date",
        r"""\b(?:born|dob|d\.o\.b\.?|date\s+of\s+birth|birth\s?da(?:y|te)|b-?day|geboren|geburtstag|nac[ií]|née?|nat[oa])
            (?:{{is}}|\s+)?(?:(?:on|in|the|am|el|le|il)\s+)*\W{0,3}(?P<out>{{date}})""",
        words="born dob b birth birthday birthdate bday geboren geburtstag nací naci né née nato nata",
        digits=1,
    ),
    rule(
        "coordinates",
        r"""(?<![\w.])[-+]?\d{1,3}\.\d{3,}\s?°?\s?[NSEW]?\s?[,;/ ]\s?[-+]?\d{1,3}\.\d{3,}\s?°?\s?(?:[NSEW]\b)?
            |{{degrees}}(?:[,\s]*{{degrees}})?
            |\blat(?:itude)?\W{0,3}[-+]?\d{1,3}\.\d+\W{1,4}(?:lon|lng|long)(?:gitude)?\W{0,3}[-+]?\d{1,3}\.\d+""",
        digits=4,
    ),
    rule("address", r"\bp\.?\s?o\.?\s?box\s+\#?\d+{{rest}}", words="box", digits=1),
    rule(
        "address",
        r"""{{number}}(?:{{direction}}\s+)?(?:{{no_name}}[\w'’-]{2,20}\.?\s+){1,3}?{{street}}(?:\s{{direction}})?
            {{rest}}""",
        words=_STREETS,
        digits=1,
    ),
    rule(
        "address",
        r"""{{number}}(?:(?-i:[NSEW])\.?\s+)?(?:(?:(?-i:[A-ZÀ-Þ])[\w'’-]{1,20}|\d{1,3}(?:st|nd|rd|th))\s+){1,3}?
            (?-i:(?=[A-Z])){{way}}{{rest}}""",
        words=_WAYS,
        digits=1,
    ),
    rule(
        "address",
        r"""\b(?-i:[A-ZÄÖÜÅØ])[\w-]{1,30}\s?(?:stra(?:ß|ss)e|str\.|weg|platz|allee|gasse|damm|ufer|straat|laan|gracht|plein|
            gatan|vägen|gata|veien|vej|gade)\s+\d{1,4}\s?[a-z]?\b{{town}}""",
        digits=1,
    ),
    rule(
        "address",
        r"""\b\d{1,4}(?:\s?(?:bis|ter))?,?\s+(?:rue|avenue|av\.?|boulevard|bd|place|chemin|allée|impasse|quai|cours|route)
            \s+(?=(?-i:[A-ZÉ])|d[eu]s?\s|d['’]|l[ae]s?\s|l['’]){{article}}[\w'’-]+(?:\s(?-i:[A-Z])[\w'’-]+)*{{town}}""",
        words="rue avenue av boulevard bd place chemin allée impasse quai cours route",
        digits=1,
    ),
    rule(
        "address",
        r"""\b(?:calle|c/|avenida|avda\.?|av\.|plaza|paseo|carrera|cra\.?|camino|ronda|rua|travessa|praça|via|viale|piazza|
            corso|vicolo|ul\.|ulica|ул\.|улица)\s*{{article}}(?-i:[^\W\d_a-z])[\w'’-]+(?:\s[\w'’-]+){0,3}?,?\s+
            (?:n[º°o.]{0,2}\s*|\#\s*|д\.?\s*)?\d{1,4}\w?\b(?:[\s-]+\d+)?{{town}}""",
        words="""calle c avenida avda av plaza paseo carrera cra camino ronda rua travessa praça via viale piazza corso
            vicolo ul ulica ул улица""",
        digits=1,
    ),
    rule(
        "address",
        r"\b{{name}}(?:\s[\w'’-]+){0,3}\s\d{1,4}\s?[a-z]?,\s*(?!(?:19|20)\d\d\b)\d{4,5}\s+{{name}}|〒\s?\d{3}-?\d{4}[^\n]{0,60}",
        digits=6,
    ),
    rule(
        "address",
        r"""(?:\baddress(?:\s+here)?{{is}}|\b(?:live|lives|living|wohne|staying|located|ship\s(?:it\s)?|send\sit\s)\s*
            (?:at|to|in\sder|in)\s+|\bhabite\s+(?:au\s+)?|\bvivo\s+en\s+)
            (?P<out>(?:{{flat}},?\s+)?\#?\d{1,5}[a-z]?,?\s+(?!(?:min|hour|mile|block|am|pm|year|month|week|day|people|
            degrees|bed|story|different|states|countries|cities|places|other|of|in|or|to|and|km|ish)\w*)[^\n.!?;]{3,80})""",
        words="address live lives living wohne staying located ship send habite vivo",
        digits=1,
    ),
    rule("address", r"{{uk_postcode}}|{{ca_postcode}}", digits=2),
    rule("address", r"(?:{{name}}(?:\s{{name}}){0,2},?\s+)?{{state}},?\s+\d{5}(?:-\d{4})?\b", digits=5),
    rule(
        "address",
        r"\b(?:zip|post|postal|plz)\s?(?:code)?(?:{{is}}|\s+)(?P<out>\d{4,5}(?:-\d{4})?)\b",
        words="zip zipcode postcode post postal plz",
        digits=4,
    ),
)
