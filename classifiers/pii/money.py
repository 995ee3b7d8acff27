"""Cards, bank accounts and wallets."""

from __future__ import annotations

from guardrail.classifiers.pattern_rule import PatternRule
from guardrail.classifiers.pii import checksums as c


def _account(value: str) -> bool:
    """Neither a placeholder nor a range: 2750-3600."""
    first, _, last = value.partition("-")
    ordered = len(first) == len(last) and first.isdecimal() and last.isdecimal() and first < last
    return c.varied(value) and not ordered


def _card(value: str) -> bool:
    """Lengths and prefixes of the networks, and Luhn."""
    numbers = "".join(map(str, c.digits(value)))
    return len(set(numbers)) > 1 and c.luhn(numbers)


_CARD = (
    # American Express, Diners and the old JCB; then Visa, Mastercard, Discover, JCB, UnionPay, Maestro.
    r"3[47]\d{2}[ .-]?\d{6}[ .-]?\d{5}|3(?:0[0-5]|[689]\d)\d[ .-]?\d{6}[ .-]?\d{4}|(?:2131|1800)\d{11}"
    r"|(?:5[0-8]\d{2}|6\d{3})(?:[ .-]?\d{4}){2}|(?:4\d{3}|5[0-8]\d{2}|2[2-7]\d{2}|6\d{3}|35\d{2}|9[27]\d{2}|81\d{2})(?:[ .-]?\d{4}){2}[ .-]?(?:\d{4}(?:[ .-]?\d{1,3})?|\d{1,3})"
)

_ACCOUNT = (
    "account",
    "account number",
    "account no",
    "acct",
    "a/c",
    "checking",
    "savings",
    "konto",
    "kontonummer",
    "compte",
    "cuenta",
    "conto",
    "rekening",
    "bank account",
)

MONEY = (
    PatternRule("credit_card", "credit_card", rf"(?<![\w.+-])(?:{_CARD})(?![\w+]|[-.]\d)", 0.9,
                digits=12, starts=True, check=_card, context=("card", "visa", "mastercard", "amex", "credit", "debit"), context_score=0.98),
    PatternRule("credit_card_spaced", "credit_card", r"(?<![\w.+-])\d(?:[ .-]{0,2}\d){11,18}(?![\w+]|[-.]\d)", 0,
                digits=12, starts=True, check=_card, context=("card", "visa", "mastercard", "amex", "credit", "debit"), context_score=0.9),
    PatternRule("card_security_code", "card_security_code", r"(?<![\w.-])\d{3,4}(?![\w-]|\.\d)", 0,
                digits=3, starts=True, context=("cvv", "cvc", "cvv2", "cvc2", "card security code", "security code"), context_score=0.75),
    PatternRule("iban", "iban_code", r"(?<![\w])(?i:[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]{4}){2,7}(?:[ -]?[A-Z0-9]{1,4})?)(?![\w])", 0.97,
                digits=2, starts=True, back=2, check=c.iban),
    PatternRule("swift", "swift_code", r"(?<!\w)[A-Z]{4}(?:A[DELRTUZ]|B[EGHRY]|C[AHLNOYZ]|D[EK]|E[EGS]|F[IR]|G[BIR]|H[KRU]|I[ELNST]|JP|K[RWZ]|L[ITUV]|M[CTXY]|N[LOZ]|P[AKLT]|QA|R[OSU]|S[AEGIKM]|T[HNRW]|U[AS]|VN|ZA)[A-Z0-9]{2}(?:[A-Z0-9]{3})?(?!\w)", 0,
                blanks=0, context=("swift", "bic", "swift code", "swift/bic", "bank identifier"), context_score=0.85),
    PatternRule("us_routing", "bank_account", r"(?<![\w.-])\d{9}(?![\w-]|\.\d)", 0,
                digits=9, starts=True, check=c.routing_number, context=("routing", "aba", "rtn", "transit"), context_score=0.9),
    PatternRule("account", "bank_account", r"(?<![\w.$€£-])(?:\d{6,17}|\d{2,6}(?:[ -]\d{2,6}){1,4})(?![\w%]|[.,]\d)", 0,
                digits=6, starts=True, check=_account, context=_ACCOUNT, context_score=0.75),
    PatternRule("uk_sort_code", "bank_account", r"(?<![\w-])\d{2}[- ]\d{2}[- ]\d{2}(?![\w-])", 0,
                digits=6, starts=True, context=("sort code", "sort-code", "sortcode"), context_score=0.9),
    PatternRule("bitcoin", "crypto", r"[13LMT](?<!\w.)[1-9A-HJ-NP-Za-km-z]{25,34}(?!\w)", 0.97,
                digits=1, reach=40, blanks=0, run=26, check=c.base58_check),
    PatternRule("bech32", "crypto", r"(?<!\w)(?i:bc1|tb1|ltc1)[a-zA-Z0-9]{11,87}(?!\w)", 0.97,
                needs=("bc1", "tb1", "ltc1"), starts=True, check=c.bech32),
    PatternRule("ethereum", "crypto", r"(?<!\w)0x[0-9a-fA-F]{40}(?!\w)", 0.85, needs=("0x",), starts=True,
                check=lambda value: len(set(value[2:].lower())) > 6),
)  # fmt: skip
