"""What pays: cards, bank accounts, wallets and the words that restore one."""

import re

from training.privacy.mnemonic import PATTERN as MNEMONIC
from training.privacy.mnemonic import is_mnemonic
from training.privacy.rule import PARTS, Match, Rule, one_of, rule

_FOUR_FOURS = re.compile(r"\d{4}([ .-])\d{4}\1\d{4}\1\d{4}")
_CVV = """cvv cvv2 cvc cvc2 csc cvn cid security_code security_number digits_on_the_back digits_on_back sec_code
    card_code prüfnummer prüfziffer kartenprüfnummer
    sicherheitscode cryptogramme code_de_sécurité código_de_seguridad código_de_segurança codice_di_sicurezza
    beveiligingscode kod_cvv säkerhetskod"""
_EXPIRY = """exp expiry expires expiration expiring valid_thru valid_until valid_till valid_til valid_to good_thru
    gültig_bis ablaufdatum expire_le valable_jusqu'au caduca vence validade válido_até scade scadenza geldig_tot
    ważna_do giltigt_till utgår"""
BANK = """account acct acc sort sc branch agency checking savings bank accno routing aba sort_code sortcode bsb
    konto kontonummer kontonr blz bankleitzahl
    clearing clearingnummer clearingnr rekening rekeningnummer cuenta conta compte conto agência agencia iban
    ifsc clabe cbu cvu transit institution zelle bizum pix iban_nr nr_konta numer_konta account_no bank_account"""


def _passes_luhn(match: Match) -> bool:
    """The checksum of card numbers (ISO/IEC 7812-1, annex B); sixteen digits in fours are a card even if mistyped."""
    digits = [int(character) for character in match["number"] if character.isdigit()]
    total = sum(digits[-1::-2]) + sum(sum(divmod(2 * digit, 10)) for digit in digits[-2::-2])
    return len(set(digits)) > 1 and (total % 10 == 0 or bool(_FOUR_FOURS.fullmatch(match["number"])))


def _passes_mod_97(match: Match) -> bool:
    """The checksum of IBANs (ISO 13616)."""
    iban = "".join(filter(str.isalnum, match["out"]))
    return len(iban) >= 15 and int("".join(str(int(character, 36)) for character in iban[4:] + iban[:4])) % 97 == 1


PARTS |= {
    "month_year": r"(?:0?[1-9]|1[0-2])\s?[/-]\s?(?:20)?[2-4]\d(?![\d/-])",
    "cvv": one_of(_CVV),
    "expiry": one_of(_EXPIRY),
    "bank": one_of(BANK),
    "few_words": r"(?:[^\W\d]{1,14}\.?[ :]{1,2}){0,3}",
}

PAYMENT: tuple[Rule, ...] = (
    rule("wallet", r"\b(?:0x[0-9a-f]{16,}|(?:bc|tb|ltc)1[a-z0-9]{20,80})\b", digits=1, run=18),
    rule(
        "wallet",
        r"""\b(?:seed|recovery|backup|mnemonic|secret|wiederherstellung|semilla|wallet)s?
            (?:\s?(?:phrase|words?|wörter|frase))?{{for_what}}(?:{{is}}|\s+)
            (?P<out>(?:\d{1,2}[.):]?\s*)?[a-z]{3,8}(?:[\s,]+(?:\d{1,2}[.):]?\s*)?[a-z]{3,8}){11,23})\b""",
        is_mnemonic,
        words="seed recovery backup mnemonic secret wiederherstellung semilla wallet",
    ),
    rule(
        "wallet",
        r"(?:\b\d{1,2}[.):]\s?[a-z]{3,8}[\s,]+){11,23}\d{1,2}[.):]\s?[a-z]{3,8}\b",
        digits=12,
    ),
    rule("wallet", MNEMONIC, is_mnemonic),
    rule(
        "iban",
        r"""\b[A-Z]{2}\d{2}(?:[ -]?[A-Z]{4})?(?:[ -]?(?=[A-Z]{0,3}\d)[A-Z0-9]{4}){2,7}
            (?:[ -]?(?=[A-Z]{0,2}\d)[A-Z0-9]{1,3})?\b""",
        _passes_mod_97,
        digits=10,
    ),
    rule(
        "iban",
        r"\b[A-Z]{2}\d{2}(?:[ ]?[A-Z]{4})?(?:[ ]?(?=[A-Z]{0,3}\d)[A-Z0-9]{4}){2,7}[ ]?(?-i:[A-Z0-9]{0,2}[A-Z])\b",
        _passes_mod_97,
        digits=10,
    ),
    rule(
        "card",
        r"""(?<![\d.])(?P<number>[2-6]\d{3}(?:(?P<sep>[ .-]?)\d{4}(?P=sep)\d{4}(?P=sep)\d{4}|[ -]?\d{6}[ -]?\d{4,5}
            |(?:[ -]?\d){9,15}))(?!\d)
            (?:[\s,;|/]{1,3}{{few_words}}(?:{{month_year}}|\d{3,4}(?![\w/-]|[.,]\d))){0,2}""",
        _passes_luhn,
        digits=13,
    ),
    rule(
        "card",
        r"\b(?:0[1-9]|1[0-2])\s?/\s?(?:20)?[2-4]\d[\s,;|/]{1,3}{{few_words}}\d{3,4}(?![\w/:%-]|[.,]\d)",
        digits=7,
    ),
    rule("card", r"\b{{cvv}}[^\n\d]{0,25}?(?P<out>\d{3,4})(?![\w/-]|[.,]\d)", words=_CVV, digits=3),
    rule("card", r"\b{{expiry}}[^\n\d]{0,25}?(?P<out>{{month_year}})", words=_EXPIRY, digits=3),
    rule(
        "card",
        r"""\b(?:last\s(?:4|four)|ends?\s(?:in|with)|ending(?:\s(?:in|with))?|letzten\s(?:4|vier))\b[^\n\d]{0,30}
            (?P<out>(?!(?:19|20)\d\d)\d{4})\b""",
        words="last ends end ending letzten",
        digits=4,
    ),
    rule("wallet", r"\b(?:bitcoincash|bitcoin|ethereum|litecoin|monero|solana):[a-z0-9]{20,}", signs=":", run=26),
    rule(
        "account",
        r"\b(?:bic|swift)\b[^\n]{0,12}?(?P<out>(?-i:[A-Z]{6}[A-Z0-9]{2}(?:[A-Z0-9]{3})?))\b",
        words="bic swift",
    ),
    rule(
        "account",
        r"""\b(?:{{bank}}|a/[cn]|s/c|inst)(?:[ ]?(?:{{no}}|numbers?|konta)[.:]?)*(?:{{is}}|\s+){{few_words}}
            (?P<out>(?!(?:19|20)\d\d\b)(?=(?:[\w./-]*\d){3})[\w./-]{3,}(?:[ -](?=\w*\d)\w[\w-]{0,11}){0,6}|\d{2,4}
            (?:[ -]\d{2,4}){1,6})""",
        words=f"{BANK} a s inst",
        digits=4,
    ),
)
"""To be tried among the credentials."""
