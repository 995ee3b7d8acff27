"""Numbers that states give to persons and taxpayers.

A form that checks itself well (letters and check digits, or a date and check digits) counts
wherever it stands. A bare row of digits counts beside a word for it only: of ten random numbers
one has the right check digit.
"""

from __future__ import annotations

from collections.abc import Callable

from guardrail.classifiers.pattern_rule import PatternRule
from guardrail.classifiers.pii import checksums as c

STRONG = 0.95
FORM = 0.8
"""Scores: with check digits or a form of its own; with a form and a word for it."""


def _rule(
    name: str,
    kind: str,
    digits: int,
    pattern: str,
    check: Callable[[str], bool] | None = None,
    context: tuple[str, ...] = (),
    score: float = 0.0,
    context_score: float | None = None,
    back: int = 0,
) -> PatternRule:
    """A rule over `digits` digits or more, with at most `back` characters before the first."""
    return PatternRule(
        name,
        kind,
        rf"(?<![\w.,/+-])(?:{pattern})(?![\w+/]|[-.,]\d)",
        score,
        digits=digits,
        starts=True,
        back=back,
        check=check,
        context=context,
        context_score=(STRONG if check else FORM) if context_score is None else context_score,
    )


_ID = (
    "identity number",
    "identity card",
    "national id",
    "id number",
    "id no",
    "id card",
    "personal number",
    "personal id",
    "citizen id",
)
_TAX = ("tax", "taxpayer", "tax id", "tax number", "tax identification", "tin", "vat", "vat number")

NATIONAL = (
    # America
    _rule("us_ssn", "us_ssn", 9, r"\d{3}-\d{2}-\d{4}", c.us_ssn, ("ssn", "social security"), FORM),
    _rule("us_ssn_plain", "us_ssn", 9, r"\d{3}[ .]?\d{2}[ .]?\d{4}", c.us_ssn,
          ("ssn", "ss#", "social security", "social security number", "soc sec")),
    _rule("us_itin", "tax_id", 9, r"9\d{2}[- ]?\d{2}[- ]?\d{4}", c.us_itin, ("itin", *_TAX)),
    _rule("us_ein", "tax_id", 9, r"\d{2}-?\d{7}", c.varied, ("ein", "fein", "employer identification", "federal tax id")),
    _rule("ca_sin", "national_id", 9, r"\d{3}[- ]?\d{3}[- ]?\d{3}", c.luhn,
          ("sin", "social insurance", "nas", "assurance sociale")),
    _rule("mx_curp", "national_id", 7, r"[A-Z][AEIOUX][A-Z]{2}\d{6}[HMX][A-Z]{2}[B-DF-HJ-NP-TV-Z]{3}[A-Z0-9]\d",
          c.mx_curp, score=STRONG, back=4),
    _rule("mx_rfc", "tax_id", 6, r"[A-ZÑ&]{3,4}\d{6}[A-Z0-9]{2}[A0-9]", None, ("rfc", "contribuyente", *_TAX), back=4),
    _rule("br_cpf", "national_id", 11, r"\d{3}\.\d{3}\.\d{3}-\d{2}", c.br_cpf, score=STRONG),
    _rule("br_cpf_plain", "national_id", 11, r"\d{11}", c.br_cpf, ("cpf",)),
    _rule("br_cnpj", "tax_id", 14, r"\d{2}\.\d{3}\.\d{3}/\d{4}-\d{2}", c.br_cnpj, score=STRONG),
    _rule("br_cnpj_plain", "tax_id", 14, r"\d{14}", c.br_cnpj, ("cnpj",)),
    _rule("ar_cuit", "tax_id", 11, r"(?:2[03478]|3[034])-\d{8}-\d", c.ar_cuit, score=STRONG),
    _rule("ar_cuit_plain", "tax_id", 11, r"(?:2[03478]|3[034])\d{9}", c.ar_cuit, ("cuit", "cuil", "afip")),
    _rule("ar_dni", "national_id", 7, r"\d{1,2}\.?\d{3}\.?\d{3}", None, ("dni", "documento")),
    _rule("cl_rut", "national_id", 7, r"\d{1,2}\.\d{3}\.\d{3}-[\dkK]", c.cl_rut, score=STRONG),
    _rule("cl_rut_plain", "national_id", 7, r"\d{7,8}-?[\dkK]", c.cl_rut, ("rut", "run")),
    _rule("co_cedula", "national_id", 7, r"\d{1,3}(?:\.?\d{3}){2,3}", None, ("cédula", "cedula", "nuip")),
    # Britain and Ireland
    _rule("uk_nino", "national_id",6,
          r"(?i:(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D])",
          None, ("national insurance", "nino", "ni number", "ni no"), FORM, STRONG, back=3),
    _rule("uk_nhs", "health_id", 10, r"\d{3}[- ]?\d{3}[- ]?\d{4}", c.uk_nhs,
          ("nhs", "nhs number", "nhs no", "national health")),
    _rule("uk_utr", "tax_id", 10, r"\d{5} ?\d{5}", c.varied, ("utr", "unique taxpayer reference", "self assessment")),
    _rule("ie_pps", "national_id", 7, r"\d{7}[A-W][A-IW]?", c.ie_pps, ("pps", "ppsn", "public service"), 0.75, STRONG),
    # Western and southern Europe
    _rule("de_tax_id", "tax_id", 11, r"\d{2} ?\d{3} ?\d{3} ?\d{3}", c.de_tax_id,
          ("steuer-id", "steuerid", "steueridentifikationsnummer", "identifikationsnummer", "idnr", "steuernummer", *_TAX)),
    _rule("de_social", "national_id", 11, r"\d{2} ?[0-7]\d[01]\d{3} ?[A-Z] ?\d{3}", c.de_social, score=STRONG),
    _rule("de_identity_card", "national_id", 1, r"[CFGHJKLMNPRTVWXYZ][CFGHJKLMNPRTVWXYZ0-9]{7}\d[0-9D]?", None,
          ("personalausweis", "ausweisnummer", "ausweis"), back=8),
    _rule("fr_nir", "national_id", 14, r"[1-478] ?\d{2} ?[0-9]{2} ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2}", c.fr_nir, score=STRONG),
    _rule("fr_siret", "tax_id", 9, r"\d{3} ?\d{3} ?\d{3}(?: ?\d{5})?", c.luhn, ("siret", "siren")),
    _rule("es_dni", "national_id", 7, r"\d{8}[- ]?[A-HJ-NP-TV-Z]|[XYZ]-?\d{7}-?[A-HJ-NP-TV-Z]", c.es_dni, score=STRONG, back=2),
    _rule("it_fiscal_code", "national_id",7,
          r"(?i:[A-Z]{6} ?\d{2}[A-EHLMPRST]\d{2} ?[A-Z]\d{3}[A-Z])", c.it_fiscal_code, score=STRONG, back=7),
    _rule("it_vat", "tax_id", 11, r"\d{11}", c.luhn, ("partita iva", "p.iva", "p. iva", "iva")),
    _rule("pt_nif", "tax_id", 9, r"[1-9]\d{2} ?\d{3} ?\d{3}", c.pt_nif, ("nif", "contribuinte", "contribuintes")),
    _rule("nl_bsn", "national_id", 9, r"\d{4}[. ]?\d{2}[. ]?\d{3}|\d{9}", c.nl_bsn,
          ("bsn", "burgerservicenummer", "burger service number", "sofinummer")),
    _rule("be_national", "national_id", 11, r"\d{2}\.\d{2}\.\d{2}-\d{3}\.\d{2}", c.be_national, score=STRONG),
    _rule("be_national_plain", "national_id", 11, r"\d{6}[- ]?\d{3}[- .]?\d{2}", c.be_national,
          ("rijksregisternummer", "rijksregister", "registre national", "numéro national", "national number", *_ID)),
    _rule("ch_ahv", "national_id", 13, r"756[. ]?\d{4}[. ]?\d{4}[. ]?\d{2}", c.ch_ahv, score=STRONG),
    _rule("at_svnr", "national_id", 10, r"\d{4}[- ]?[0-3]\d[01]\d{3}", c.at_svnr,
          ("svnr", "sozialversicherungsnummer", "versicherungsnummer", "sv-nummer")),
    _rule("gr_amka", "national_id", 11, r"[0-3]\d[01]\d{8}", c.gr_amka, ("amka", "αμκα")),
    # The north
    _rule("se_personal", "national_id", 10, r"(?:19|20)?\d{6}[-+]\d{4}", c.se_personal, score=STRONG),
    _rule("se_personal_plain", "national_id", 10, r"(?:19|20)?\d{10}", c.se_personal,
          ("personnummer", "samordningsnummer", "personal identity number", *_ID)),
    _rule("no_birth_number", "national_id", 11, r"\d{6} ?\d{5}", c.no_birth_number, score=FORM,
          context=("fødselsnummer", "fodselsnummer", "personnummer", "d-nummer"), context_score=STRONG),
    _rule("dk_cpr", "national_id", 10, r"[0-3]\d[01]\d{3}-?\d{4}", c.dk_cpr,
          ("cpr", "cpr-nummer", "cpr number", "personnummer")),
    _rule("fi_personal", "national_id", 9, r"[0-3]\d[01]\d{3}[-+ABCDEFYXWVU]\d{3}[0-9A-FHJ-NPR-Y]", c.fi_personal, score=STRONG),
    _rule("is_kennitala", "national_id", 10, r"[0-7]\d[01]\d{3}-\d{4}", c.is_kennitala,
          ("kennitala", "kt"), FORM, STRONG),
    # Central and eastern Europe
    _rule("pl_pesel", "national_id", 11, r"\d{11}", c.pl_pesel, ("pesel",), FORM, STRONG),
    _rule("pl_nip", "tax_id", 10, r"\d{3}-?\d{3}-?\d{2}-?\d{2}|\d{3}-\d{2}-\d{2}-\d{3}", c.pl_nip, ("nip",)),
    _rule("cz_birth_number", "national_id", 10, r"\d{6}/\d{4}", c.cz_birth_number, score=STRONG),
    _rule("cz_birth_number_plain", "national_id", 10, r"\d{10}", c.cz_birth_number,
          ("rodné číslo", "rodne cislo", "rodného čísla", "birth number")),
    _rule("ro_cnp", "national_id", 13, r"[1-9]\d{12}", c.ro_cnp, score=FORM, context=("cnp", "cod numeric personal"),
          context_score=STRONG),
    _rule("bg_egn", "national_id", 10, r"\d{10}", c.bg_egn, ("egn", "егн")),
    _rule("emso", "national_id", 13, r"[0-3]\d[01]\d[09]\d{8}", c.emso, score=FORM,
          context=("jmbg", "emšo", "emso", "јмбг"), context_score=STRONG),
    _rule("hr_oib", "tax_id", 11, r"\d{11}", c.hr_oib, ("oib",)),
    _rule("baltic_code", "national_id", 11, r"[1-6]\d{10}", c.baltic_code,
          ("isikukood", "asmens kodas", "personal code", "personal identification code"), FORM, STRONG),
    _rule("lv_code", "national_id", 11, r"\d{6}-\d{5}", c.lv_code, ("personas kods", "personal code"), 0.75, STRONG),
    _rule("ru_inn", "tax_id", 10, r"\d{12}|\d{10}", c.ru_inn, ("инн", "inn")),
    _rule("ru_snils", "national_id", 11, r"\d{3}-\d{3}-\d{3}[- ]\d{2}", c.ru_snils, score=STRONG),
    _rule("ru_passport", "passport", 10, r"\d{2} ?\d{2} ?№? ?\d{6}", None, ("паспорт", "passport", "паспорта")),
    _rule("ua_tax", "tax_id", 10, r"\d{10}", c.ua_tax, ("рнокпп", "іпн", "rnokpp", "ipn")),
    _rule("tr_identity", "national_id", 11, r"[1-9]\d{10}", c.tr_identity, ("tckn", "t.c. kimlik", "tc kimlik", "kimlik"), FORM, STRONG),
    # Asia, Africa, Oceania
    _rule("cn_identity", "national_id", 17, r"[1-8]\d{5}(?:18|19|20)\d{2}[01]\d[0-3]\d{4}[\dXx]", c.cn_identity, score=STRONG),
    _rule("hk_identity", "national_id", 6, r"[A-Z]{1,2}\d{6} ?\([0-9A]\)", c.hk_identity, score=STRONG, back=2),
    _rule("tw_identity", "national_id", 9, r"[A-Z][1289]\d{8}", c.tw_identity, _ID, 0.75, STRONG, back=1),
    _rule("kr_resident", "national_id", 13, r"\d{2}[01]\d[0-3]\d-[1-8]\d{6}", c.kr_resident, score=FORM,
          context=("resident registration", "rrn", "주민등록번호"), context_score=STRONG),
    _rule("jp_my_number", "national_id", 12, r"\d{4}[- ]?\d{4}[- ]?\d{4}", c.jp_my_number,
          ("my number", "mynumber", "individual number", "マイナンバー", "個人番号")),
    _rule("sg_nric", "national_id", 7, r"[STFGM]\d{7}[A-Z]", c.sg_nric, score=STRONG, back=1),
    _rule("my_nric", "national_id", 12, r"\d{2}[01]\d[0-3]\d-\d{2}-\d{4}", c.my_nric, ("nric", "mykad", "ic number", "kad pengenalan"), FORM, STRONG),
    _rule("th_identity", "national_id", 13, r"[1-8]-\d{4}-\d{5}-\d{2}-\d", c.th_identity, score=STRONG),
    _rule("th_identity_plain", "national_id", 13, r"[1-8]\d{12}", c.th_identity, _ID),
    _rule("id_nik", "national_id", 16, r"\d{6}[0-7]\d[01]\d{7}", None, ("nik", "ktp")),
    _rule("in_aadhaar", "national_id", 12, r"[2-9]\d{3}[ -]\d{4}[ -]\d{4}", c.in_aadhaar, ("aadhaar", "aadhar", "uidai"), FORM, STRONG),
    _rule("in_aadhaar_plain", "national_id", 12, r"[2-9]\d{11}", c.in_aadhaar, ("aadhaar", "aadhar", "uid", "uidai")),
    _rule("in_pan", "tax_id", 4, r"[A-Z]{3}[ABCFGHJLPT][A-Z]\d{4}[A-Z]", None, ("pan", "permanent account", "income tax"), 0.75, FORM, back=5),
    _rule("pk_cnic", "national_id", 13, r"\d{5}-\d{7}-\d", None, ("cnic", "nicop"), 0.75, STRONG),
    _rule("il_identity", "national_id", 9, r"\d{9}", c.il_identity, ("teudat zehut", "ת.ז", "תעודת זהות", "israeli id")),
    _rule("za_identity", "national_id", 13, r"\d{6} ?\d{4} ?[01]\d{2}", c.za_identity, score=FORM,
          context=("id number", "rsa id", "south african"), context_score=STRONG),
    _rule("ng_nin", "national_id", 11, r"\d{11}", c.varied, ("nin", "national identification number")),
    _rule("au_tfn", "tax_id", 9, r"\d{3} ?\d{3} ?\d{3}", c.au_tfn, ("tfn", "tax file")),
    _rule("au_medicare", "health_id", 10, r"[2-6]\d{3} ?\d{5} ?\d(?:[ /-]?\d)?", c.au_medicare, ("medicare",)),
    _rule("au_abn", "tax_id", 11, r"\d{2} ?\d{3} ?\d{3} ?\d{3}", c.au_abn, ("abn", "australian business")),
    _rule("nz_ird", "tax_id", 8, r"\d{2,3}[- ]?\d{3}[- ]?\d{3}", c.nz_ird, ("ird", "inland revenue")),
    # Anywhere
    _rule("eu_vat", "tax_id", 6, r"(?:ATU|BE[01]|BG|CY|CZ|DE|DK|EE|EL|ES|FI|FR|HR|HU|IE|IT|LT|LU|LV|MT|NL|PL|PT|RO|SE|SI|SK|XI|GB) ?[A-Z0-9]{0,2}\d{6,10}[A-Z0-9]{0,3}",
          None, ("vat", "vat id", "vat number", "ust-id", "ust-idnr", "umsatzsteuer", "tva", "iva", "btw", "moms"), back=6),
    _rule("tax_number", "tax_id", 4, r"(?=[\w -]{0,20}\d{4})[A-Z0-9]{2,5}(?:[- /]?\d{2,5}){1,4}[A-Z]?", c.varied, ("tax id", "tax number", "tin", "taxpayer", "tax identification"), back=6),
    _rule("national_number", "national_id", 5, r"(?=[\w.-]{0,20}\d{5})[A-Z0-9]{0,3}\d{5,12}[A-Z0-9-]{0,3}", c.varied, _ID, back=3),
)  # fmt: skip
