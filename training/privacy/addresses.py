"""Where people are: streets and houses, postcodes, coordinates."""

# ruff: noqa: RUF001 - the signs that people write

from training.privacy.rule import PARTS, Rule, one_of, rule

_COMPOUNDS = """stra Stra str weg Weg platz Platz allee Allee gasse Gasse damm ufer chaussee laan gracht plein
    kade dreef gata gränd torget vägen vej veg gade katu tie kuja utca"""
_STREETS = "street avenue ave road rd lane ln boulevard blvd crescent cres terrace parkway pkwy highway hwy"
_WAYS = f"""{_STREETS} st drive dr way court ct place pl circle cir close square sq gardens gdns grove hill row walk
    mews trail loop plaza park view green rise quay wharf heights alley broadway pike pass path ridge run creek"""
_ROMANCE = """calle c avenida avda av plaza paseo carrera cra camino ronda rua r travessa trav praça largo estrada
    alameda beco via viale piazza corso vicolo strada largo salita rue boulevard bd place chemin allée impasse quai
    cours
    route faubourg"""
_SLAVIC = "ul ulica al aleja aleje os osiedle plac pl ул улица пр проспект vul ulice nám náměstí trg strada str"
_GERMANIC = r"""straße|strasse|str\.?|weg|platz|allee|gasse|damm|ufer|chaussee|straat|laan|gracht|plein|kade|
    dreef|steenweg|gatan|vägen|gata|gränd|torget|veien|vegen|vej|gade|allé|katu|tie|kuja|utca"""
_ADDRESS = """address addy adress addres adresse anschrift dirección direccion domicilio endereço morada indirizzo adres
    adressen osoite adresa cím wohnadresse lieferadresse rechnungsadresse"""
_POSTCODE = """zip zip_code zipcode post_code postcode postal postal_code plz postleitzahl code_postal cp código_postal
    cep cap codice_postale kod_pocztowy postnummer postnr pincode"""

PARTS |= {
    "address": one_of(_ADDRESS),
    "postcode": one_of(_POSTCODE),
    "street": rf"{one_of(_STREETS)}\b\.?",
    "way": rf"{one_of(_WAYS)}\b\.?",
    "flat": r"(?:apt|apartment|unit|flat|suite|ste|floor|fl|room|rm|level|box|\#)\.?\s*\#?\w{1,6}\b",
    "number": r"(?<![\w$€£.,:-])(?:{{flat}},?\s+)?\d{1,5}(?:[-/]\d{1,4})?[a-z]?,?\s+",
    "name": r"(?-i:[A-ZÀ-ÞŁŚŻŹĆ])(?:[^\W\d]|['’.-]){1,30}(?!\w)",
    "direction": r"(?:[NSEW]{1,2}|North|South|East|West)\b\.?",
    "no_name": r"""(?!(?:the|an?|my|your|our|hours?|hrs?|min(?:ute)?s?|days?|weeks?|months?|years?|yrs?|miles?|blocks?|
        km|of|in|on|down|up|per|to|from|at|and|for|more|other|this|last|next|first|second|most|people|way|times|or
            |is|was|different|percent|lane|mph|kmh)\b)""",
    "state": r"""\b(?-i:A[BLKZR]|BC|C[AOT]|D[CE]|FL|GA|HI|I[DLNA]|K[SY]|LA|M[BEDAINSOT]|N[BEVHJMYCDSL]|O[HKRN]|P[AE]|
        QC|RI|S[CDK]|T[NX]|UT|V[TA]|W[AVIY]|NSW|VIC|QLD|TAS)\b""",
    "uk_postcode": r"""\b(?=[a-z]{1,2}\d[a-z\d]?\s?\d[a-z]{2}\b)(?:A[BL]|B[ABDHLNRST]?|C[ABFHMORTVW]|D[ADEGHLNTY]
            |E[CHNX]?|F[KY]|G[LUY]?|H[ADGPRSUX]|I[GPV]|JE|
        K[ATWY]|L[ADELNSU]?|M[EKL]?|N[EGNPRW]?|O[LX]|P[AEHLOR]|R[GHM]|S[AEGKLMNOPRSTWY]?|T[ADFNQRSW]|UB|W[ACDFNRSV]?|YO|
        ZE)\d[A-Z\d]?\s?\d(?!(?:ST|ND|RD|TH|AM|PM)\b)[ABD-HJLNP-UW-Z]{2}\b""",
    "ca_postcode": r"\b(?-i:[ABCEGHJ-NPRSTVXY]\d[A-Z]\s?\d[A-Z]\d)\b",
    # A postcode that shows by its form: of Poland, Portugal, Brazil, the Netherlands, Sweden; or of five digits.
    "euro_postcode": r"""(?:(?-i:[A-Z]{1,2})-)?(?:\d{2}-\d{3}|\d{4}-\d{3}|\d{5}-\d{3}|\d{4}\s?(?-i:[A-Z]{2})
            |\d{3}\s\d{2}
        |\d{5})(?!\d)""",
    "town": r"""(?:[,\s]{1,2}(?:{{euro_postcode}}|(?!(?:19|20)\d\d)\d{4})\s+{{name}}(?:[\s-]{{name}})?
            |,\s*{{euro_postcode}}\s+[^\W\d]+|\s?[,–-]\s?{{name}}(?:\s{{name}})?)""",
    "house": r"""(?:n[º°o.]{0,2}\s*|\#\s*|д\.?\s*|nr\.?\s*|number\s)?\d{1,4}(?:\s?[/-]\s?\d{1,4}|\s?(?:bis|ter)\b
            |\s?[a-z]\b)?""",
    "floor": r"""(?:,?\s*(?:\d{1,2}\s?[ºª°oa]\.?\s?[a-z]{0,4}\b|(?:piso|étage|etage|esc|dto|dcha|izq|lok|m
            (?=[.\s]\s?\d)|bte|bus|lgh|int|scala|
        apto|appt|bât|og|eg|whg|wohnung)\.?\s?\w{1,5}\b|{{flat}})){0,3}""",
    "rest": r"""(?:,?\s*{{flat}})?
        (?:,?\s*{{name}}(?:\s{{name}}){0,2}(?=\s*(?:[,.!?;)\n\d]|$|(?-i:[A-Z]{1,3}\d|[A-Z]{2}\s+[\dA-Z]{3})))){0,3}
        (?:(?:[,\s]+[a-z]{3,15}){0,2}[,\s]+{{uk_postcode}}|{{town}}|,?\s*(?:{{state}},?\s+)?(?:{{ca_postcode}}|\d{5}
            (?:-\d{4})?\b|\d{4}\b)
        |,\s*[a-z]{3,15}(?:\s[a-z]{2,15})?,?\s(?:[a-z]{2}\s)?\d{4,5}\b)?""",
    "degrees": r"\d{1,3}\s?°\s?(?:\d{1,2}(?:\.\d+)?\s?['′’]\s?)?(?:\d{1,2}(?:\.\d+)?\s?[\"″”]\s?)?[NSEWO]\b",
    "article": r"(?:(?:de|del|d[ou]s?|des|da|das|la|las|los|le|les|della|dei|degli)\s+|d['’]|l['’]|dell['’])*",
}

ADDRESSES: tuple[Rule, ...] = (
    rule("address", r"\bPSC\s\d{1,4}\s*,?\s*Box\s\d+[^\n]{0,30}?\d{5}\b|\b[AFD]PO,?\sA[AEP]\s\d{5}", digits=5),
    rule(
        "coordinates",
        r"""(?<![\w.])[-+]?\d{1,3}\.\d{3,}\s?°?\s?[NSEW]?\s?[,;/ ]\s?[-+]?\d{1,3}\.\d{3,}\s?°?\s?(?:[NSEW]\b)?
            |{{degrees}}(?:[,\s]*{{degrees}})?
            |\blat(?:itude)?\W{0,3}[-+]?\d{1,3}\.\d+\W{1,4}(?:lon|lng|long)(?:gitude)?\W{0,3}[-+]?\d{1,3}\.\d+""",
        digits=4,
    ),
    rule(
        "coordinates", r"\b(?=[2-9CFGHJMPQRVWX]*\d)[2-9CFGHJMPQRVWX]{4,8}\+[2-9CFGHJMPQRVWX]{2,3}\b", signs="+", run=7
    ),
    rule(
        "address",
        r"""\b(?:p\.?\s?o\.?\s?box|postfach|postbus|apartado(?:\sde\scorreos)?|bo[iî]te\spostale|b\.?p\.?
            |casella\spostale|skrytka\spocztowa|caixa\spostal)\s+\#?\d+(?:[ ]\d+)*{{rest}}""",
        words="box postfach postbus apartado postale boîte boite bp casella skrytka caixa",
        digits=1,
    ),
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
            (?-i:(?=[A-Z])){{way}}(?:\s{{direction}})?{{rest}}""",
        words=_WAYS,
        digits=1,
    ),
    rule(
        "address",
        r"""\b(?:{{name}}\s){1,2}(?:{{street}}|(?-i:(?=[A-Z])){{way}}),?\s+(?:(?:number|no\.?|nr\.?|house
            |\#)\s?\d{1,4}[a-z]?\b
            |(?!(?:19|20)\d\d\b)\d{2,4}[a-z]?\b(?=\s*(?:[,.!?;)\n]|$))){{rest}}""",
        words=_WAYS,
        digits=1,
    ),
    rule(
        "address",
        rf"""\b(?-i:[A-ZÄÖÜÅØÆ])[\w-]{{1,30}}\s?(?:{_GERMANIC})\s+{{{{house}}}}(?!\w){{{{floor}}}}(?:{{{{town}}}})?
            |\b[\w-]{{3,30}}(?:straße|strasse|str\.?|gasse|platz|allee|weg|straat|gracht|gatan
            |vägen)\s\d{{1,3}}\s?[a-z]?\b(?:{{{{town}}}})?""",
        signs=_COMPOUNDS,
        digits=1,
    ),
    rule(
        "address",
        r"""(?<!\bI\s)\b(?-i:Am|An\sde[rmn]|Auf\sde[rm]|Im|Zu[mr]|Unter\sden|Hinter\sde[rmn]|Vor\sde[rm])\s
            (?!{{month}}|\w+tag\b|\w+abend\b)(?:{{name}}\s){1,2}\d{1,3}\s?[a-z]?\b(?!\s?(?:uhr|%|km|€))(?:{{town}})?""",
        words="am an auf im zum zur unter hinter vor",
        digits=1,
    ),
    rule(
        "address",
        r"""\b\d{1,4}(?:\s?(?:bis|ter))?,?\s+(?:rue|avenue|av\.?|boulevard|bd|place|chemin|allée|impasse|quai|cours
            |route|
            faubourg|passage|square|sentier)
            \s+(?=(?-i:[A-ZÉ])|d[eu]s?\s|d['’]|l[ae]s?\s|l['’]){{article}}[\w'’-]+(?:\s
            (?-i:[A-Z])[\w'’-]+)*{{floor}}(?:{{town}})?""",
        words="rue avenue av boulevard bd place chemin allée impasse quai cours route faubourg passage square sentier",
        digits=1,
    ),
    rule(
        "address",
        rf"""\b(?:c/|{one_of(_ROMANCE)}\.?\s|{one_of(_SLAVIC)}\.?\s)\s*{{{{article}}}}(?-i:[^\W\d_a-z])[\w'’.-]*
            (?:\s[\w'’-]+){{0,3}}?,?\s+{{{{house}}}}\b{{{{floor}}}}(?:{{{{town}}}})?""",
        words=f"{_ROMANCE} {_SLAVIC}",
        digits=1,
    ),
    rule(
        "address",
        r"""\b{{name}}(?:\s[\w'’-]+){0,3}\s{{house}},\s*(?!(?:19|20)\d\d\b)(?:{{euro_postcode}}|\d{4})\s+{{name}}
            |〒\s?\d{3}-?\d{4}[^\n]{0,60}""",
        digits=6,
    ),
    rule(
        "address",
        r"""(?:\b{{address}}(?:\s+here)?(?:{{is}}|\s+)|\b(?:(?:live|lives|living|staying)(?!\s+to\b)|wohne|located|ship\s(?:it\s)?
            |send\sit\s|deliver|liefern)\s*
            (?:at|to|in\sder|in|an)\s+|\bhabite\s+(?:au\s+)?|\bvivo\s+en\s+|\babito\s+in\s+|\bmoro\s+(?:em|na|no)\s+
            |\bmieszkam\s+(?:na|przy)\s+)
            (?P<out>(?:{{flat}},?\s+)?\#?\d{1,5}[a-z]?,?\s+(?!(?:min|hour|mile|block|am|pm|year|month|week|day|people|
            degrees|bed|story|different|states|countries|cities|places|other|of|in|or|to|and|km
            |ish)\w*)[^\n.!?;]{3,80})""",
        words=f"""{_ADDRESS} live lives living wohne staying located ship send deliver liefern habite vivo abito moro
            mieszkam""",
        digits=1,
    ),
    rule(
        "address",
        r"""\b{{address}}\b(?:\s+[^\W\d]{1,8}){0,2}(?:{{is}}|[\s:]+)
            (?P<out>[^\W\d][^\n!?;]{2,40}?\s\d{1,4}\s?[a-z]?\b[^\n.!?;]{0,40})""",
        words=_ADDRESS,
        digits=1,
    ),
    rule(
        "address",
        r"\b(?:number|no\.?|nr\.?|\#)\s?\d{1,4}[a-z]?,?\s(?:on|in|at)\s{{name}}(?:\s{{name}})?\s{{way}}",
        words=_WAYS,
        digits=1,
    ),
    rule(
        "address",
        r"\b\d{1,4}[a-z]?\s(?:{{no_name}}[a-z]{3,15}\s){1,2}(?:st|dr|ct|sq|cir)\b(?!\.?\s?[a-z]+\s(?:day|church|said))",
        words="st dr ct sq cir",
        digits=1,
    ),
    rule("address", r"\b\d{1,3}-\d{1,3}(?:-\d{1,3})?\s{{name}},\s{{name}}(?:,?\s\d{3}-\d{4})?", digits=2),
    rule("address", r"///\w+\.\w+\.\w+", signs="/"),
    rule("address", r"{{uk_postcode}}|{{ca_postcode}}", digits=2),
    rule("address", r"(?:{{name}}(?:\s{{name}}){0,2},?\s+)?{{state}},?\s+\d{5}(?:-\d{4})?\b", digits=5),
    rule(
        "address",
        r"""(?<![\w$€£.,/:-])(?<![$€£]\s)(?:(?!\d{5}\b(?!-)){{euro_postcode}}|(?!\d{2}000|[02468]{5}\b)\d{5})\s+
            (?!(?:{{no_name}})(?!)){{name}}(?:[\s-]{{name}})?|(?<![\w.,/:-])0\d{4}\s[a-zäöüß]{3,20}\b""",
        digits=5,
    ),
    rule(
        "address",
        r"\b{{postcode}}(?:{{is}}|\s+)(?P<out>\d{2,6}(?:[ -]\d{2,4})?)\b(?:\s+{{name}})?",
        words=_POSTCODE,
        digits=4,
    ),
)

"""To be tried when digits that are no place are gone."""
