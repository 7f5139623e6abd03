"""Who people are: network addresses, numbers of documents and contracts, dates of birth."""

import ipaddress
import re

from training.privacy.rule import PARTS, Match, Rule, one_of, rule

_NO_IDENTIFIER = re.compile(r"(?:19|20)\d\d|\d{1,3}(?:st|nd|rd|th|am|pm|k|x|s)|\d\d?:\d\d", re.IGNORECASE)

DOCUMENTS = """passport driver_license drivers_license driving_licence driving_license licence license plate plates
    license_plate licence_plate numberplate number_plate id id_card ssn social_security social insurance ni nhs medicare
    medicaid tax taxpayer tin ein itin vat vin cpf cnpj rg cnh dni nie nif niss nino bsn pesel nip regon dowód paszport
    aadhaar aadhar pan gstin sin abn tfn curp rut cuit cédula cedula nss sécu sécurité_sociale siret siren cni
    carte_d_identité passeport permis pasaporte passaporte patente carta_d_identità codice_fiscale partita_iva tessera
    targa matricola matrícula matricula reisepass personalausweis ausweis ausweisnummer führerschein kennzeichen
    steuernummer steuer_id steueridentifikationsnummer sozialversicherungsnummer svnr ahv krankenkasse
    versichertennummer versicherungsnummer matrikelnummer kundennummer vertragsnummer bestellnummer auftragsnummer
    rechnungsnummer sendungsnummer mitgliedsnummer aktenzeichen paspoort paspoortnummer rijbewijs kenteken klantnummer
    burgerservicenummer personnummer pnr samordningsnummer fødselsnummer cpr henkilötunnus rodné_číslo cnp dowodu
    ups dhl fedex usps hermes sendung colis paquete pakke przesyłka mrn flight booking_reference
    member membership policy claim order order_no tracking parcel shipment booking pnr reservation confirmation
    invoice case ticket customer client student employee staff patient badge card serial reference ref visa imei meid
    iccid meter contract registration reg account_id meeting_id record_locator frequent_flyer loyalty
    pedido encomenda commande dossier zamówienie overenskomst uid npi dea bvn nin nric hkid"""
_DATE = re.compile(r"\d{1,4}-\d{1,2}-\d{1,4}")
_PLATES = """plate plates numberplate number_plate license_plate licence_plate registration reg kennzeichen targa plaque
    immatriculation matrícula matricula placa placas kenteken registreringsnummer rejestracja tablica"""
BIRTH = """born dob d_o_b birth date_of_birth birthday birth_day birthdate birth_date bday b_day bdate geboren geb
    geburtstag geburtsdatum gebdatum nací naci nacido nacida nació nac nasc nacimiento fecha_de_nacimiento
    cumpleaños cumple
    née né
    date_de_naissance naissance anniversaire anniv nato nata data_di_nascita nascita compleanno nasci nascido nascida
    nasceu data_de_nascimento nascimento aniversário niver geboortedatum verjaardag jarig urodzony urodzona urodziny
    urodziłem urodziłam data_urodzenia urodzenia född födelsedag födelsedatum fyller ur født fødselsdag fødselsdato
    syntynyt
    syntymäaika родился родилась"""


def _is_ip_address(match: Match) -> bool:
    try:
        ipaddress.ip_address(match["ip"])
    except ValueError:
        return False
    return len(re.findall(r"[0-9a-f]+", match["ip"], re.IGNORECASE)) > 2


def _is_identifier(match: Match) -> bool:
    """Whether what stands behind "order number", say, is one: neither a year, a time nor a rank."""
    return not _NO_IDENTIFIER.fullmatch(match["out"])


def _is_serial(match: Match) -> bool:
    """Whether digits in groups are more than a date or a few counts."""
    return len(re.findall(r"\d", match["out"])) > 7 and not _DATE.fullmatch(match["out"])


PARTS |= {
    "document": one_of(DOCUMENTS),
    "birth": one_of(BIRTH),
    "of": r"(?:\s*(?:of|de|d[ie]l?|den)\s+|\s*)",
    "date": r"""(?:\d{1,4}\s?[./-]\s?\d{1,2}\s?[./-]\s?\d{1,4}|\d{1,2}\s\d{1,2}\s(?:19|20)?\d\d\b
        |{{month}}\s*\d{1,2}(?:st|nd|rd|th)?\b(?:,?\s*(?:of\s+)?'?\d{2,4})?|{{month}},?\s+'?\d{2,4}\b
        |(?:the\s+)?\d{1,2}(?:st|nd|rd|th|er|[.ºo°])?{{of}}{{month}}(?:,?{{of}}'?\d{2,4})?
        |\d{1,2}[./-]\d{1,2}|\d{8}|\d{6})""",
}

IDENTITY: tuple[Rule, ...] = (
    rule(
        "network address",
        r"""(?<![\w:.])(?P<out>(?P<ip>[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}(?:(?<=:)\d{1,3}(?:\.\d{1,3}){3})?)
            (?:/\d{1,3}|%\w+)?)(?![\w:]|\.\d)""",
        _is_ip_address,
        signs=":",
    ),
    rule(
        "network address",
        r"""(?<![\w.])(?<!version\s)(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\s?\.\s?|\[\.\]|\(\.\)|\s?\(?\bdot\b\)?\s?)){3}
            (?:25[0-5]|2[0-4]\d|1?\d?\d)(?:[:/]\d{1,5})?(?!\w|\.\d|-\w)""",
        digits=4,
    ),
    rule(
        "network address",
        r"""(?<![\w:-])(?:[0-9a-f]{2}(?P<sep>[:-])(?:[0-9a-f]{2}(?P=sep)){4}[0-9a-f]{2}
            |(?=[a-f.]{0,11}\d)(?:[0-9a-f]{4}\.){2}[0-9a-f]{4})(?![\w:])""",
        run=14,
    ),
    rule(
        "network address",
        r"(?<![\w.])(?:\d{1,3}\.){3}(?:[x*]{1,3})(?!\w)|(?<![\w.-])\d{1,3}(?:-\d{1,3}){3}(?:\.[a-z][\w.-]+|(?![\w-]))",
        digits=3,
    ),
    rule("user id", r"\bPlayer-\d+-[0-9A-F]{6,8}\b|_\|WARNING:\S+", digits=4, signs="-"),
    rule("id number", r"(?<![\d-])\d{3}(?P<sep>[- ])\d{2}(?P=sep)\d{4}(?![\d-])", digits=9),  # US social security
    rule("id number", r"\b[A-CEGHJ-PR-TW-Z]{2}\s?\d{2}\s?\d{2}\s?\d{2}\s?[A-D]\b", digits=6),  # UK national insurance
    rule(
        "id number",
        r"""\b{{document}}(?:[ ]?(?:{{no}}|card|ending(?:\sin)?|pin|plates?)[.:]?)*(?:{{is}}|\s+)(?:(?:is|de|of|my)\s+)?
            (?P<out>(?=\#?[\w./-]*\d)\#?[a-z0-9][\w./-]{4,}(?:[ -][a-z]?\d[\w-]*)*
                |[a-z]{0,3}\d{1,4}(?:[ -]\w{0,3}\d\w{0,3}){1,8})""",
        _is_identifier,
        words=DOCUMENTS,
        digits=1,
    ),
    rule(
        "id number",
        r"""\b[^\W\d]{0,20}(?:number|nummer|numer|numero|numéro|número|nr|n°)(?:{{is}}|[.:]?\s+)
            (?P<out>(?=(?:[\w/-]*\d){5})[\w/-]{5,}(?:[ -]\w?\d[\w-]*)*)""",
        _is_identifier,
        digits=5,
    ),
    rule(
        "id number",
        rf"""\b{one_of(_PLATES)}(?:\s(?:number|no))?(?:{{{{is}}}}|\s+)
            (?P<out>{{{{value}}}}(?=[a-z -]{{0,7}}\d)[a-z0-9]{{1,4}}(?:[ -]?[a-z0-9]{{1,5}}){{1,3}})\b""",
        words=_PLATES,
        digits=1,
    ),
    rule("id number", r"(?<![\w-])(?-i:(?=[A-Z0-9]*[A-Z])(?=(?:[A-Z]*\d){6})[A-Z0-9]{7,})(?![\w-])", digits=6, run=7),
    rule(
        "id number",
        r"""(?<![\w.,/+-])(?<!\+\d\s)(?<!\+\d\d\s)(?<!\+\d{3}\s)(?<!isbn\s)
            (?!\d{3}-\d{3}-\d{4})(?:[A-Z]?\d{2,8}(?:-\d{1,8}){2,5}|\d{7,9}-[\dK])(?![\w-])""",
        _is_serial,
        digits=8,
    ),
    rule(
        "birth date",
        r"(?<![\w./-])(?P<out>{{date}})(?!\w)\*?\s(?:(?:is|was|ist|es|est|è|é|=)\s)?(?:[^\W\d]{1,8}\s){0,2}{{birth}}\b",
        words=BIRTH,
        digits=2,
    ),
    rule(
        "birth date",
        r"\bturn(?:ed|ing|s)?\s\d{1,3}\s(?:on\s)?(?:the\s)?(?P<out>{{date}})",
        words="turn turns turned turning",
        digits=2,
    ),
    rule(
        "birth date",
        r"""\b{{birth}}(?:{{is}}|[.:\s]+)?(?:(?:on|in|the|am|el|le|il|a|em|no|op|dnia|den|d\.|is|es)\s+)*\W{0,3}
            (?P<out>{{date}})""",
        words=f"{BIRTH} b",
        digits=1,
    ),
)
"""To be tried after the credentials."""
