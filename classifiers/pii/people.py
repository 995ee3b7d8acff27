"""What records say of a person: ages, dates, numbers of cases, members, patients, passports."""

from __future__ import annotations

from guardrail.classifiers.pattern_rule import PatternRule
from guardrail.classifiers.pii import checksums as c

_MONTH = (
    r"(?i:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
_DAY = r"(?:0?[1-9]|[12]\d|3[01])"
_YEAR = r"(?:18|19|20)\d{2}"
_DATE = (
    rf"{_YEAR}[-/.](?:0?[1-9]|1[0-2])[-/.]{_DAY}"
    rf"|{_DAY}[-/. ](?:0?[1-9]|1[0-2])[-/. ](?:{_YEAR}|\d{{2}})"
    rf"|(?:0?[1-9]|1[0-2])[-/]{_DAY}[-/](?:{_YEAR}|\d{{2}})"
    rf"|{_DAY}(?:st|nd|rd|th|\.)?[ -](?:of )?{_MONTH}[ ,-]{{1,2}}(?:{_YEAR}|\d{{2}})"
)
_MONTH_FIRST = rf"{_MONTH} {_DAY}(?:st|nd|rd|th)?,? {_YEAR}"
_MONTHS = tuple(
    f"{month}{end}"
    for month in ("jan", "january", "feb", "february", "mar", "march", "apr", "april", "may", "jun", "june", "jul",
                  "july", "aug", "august", "sep", "sept", "september", "oct", "october", "nov", "november", "dec", "december")
    for end in (" ", ". ")
)  # fmt: skip
_BORN = ("born", "birth", "dob", "d.o.b", "date of birth", "birthday", "birthdate", "birth date", "geboren",
         "geburtsdatum", "né le", "née le", "naissance", "nacimiento", "nascimento", "nascita", "geboortedatum",
         "födelsedatum", "ur.")  # fmt: skip


def _age(value: str) -> bool:
    return 0 < int(value) <= 120


# What examples have for a number.
_COUNTED = ("123", "1234", "12345", "123456", "1234567", "12345678", "123456789", "1234567890")


def _reference(value: str) -> bool:
    return sum(char.isdecimal() for char in value) >= 3 and value not in _COUNTED


# An identifier that a word for it introduces: letters, digits and separators, three digits at least.
_VALUE = (
    r"(?P<value>(?=[\w/.-]{0,30}\d)[A-Za-z0-9](?:[ ]?[A-Za-z0-9/._-]){2,24}(?<![._/-]))(?![\w-])"
)
_WORD = r"(?i:(?: ?(?:number|no\.?|num\.?|nr\.?|id|#|code|ref(?:erence)?))?(?: (?:is|was)|[:=#])?\s{0,3})"


def _numbered(
    name: str, kind: str, words: str, needs: tuple[str, ...], score: float = 0.8
) -> PatternRule:
    value = r"(?P<value>(?=[A-Za-z/._-]{0,10}\d)[A-Za-z0-9](?:[-/.]?[A-Za-z0-9]){2,24})(?![\w-])"
    after = r"(?:[ -]?(?:number|no\.?|num\.?|nr\.?|id|code|ref(?:erence)?)){0,2}(?:\s?(?:is|was|[:=#]))?\s{0,3}#?"
    return PatternRule(name, kind, rf"(?<!\w)(?i:{words})(?i:{after}){value}", score, needs=needs, starts=True,
                       check=_reference)  # fmt: skip


PEOPLE = (
    PatternRule("age_years", "age",
                r"(?<![\w.-])(?P<value>\d{1,3})(?:[ -](?:year|yr|month|week)s?[ -]old|[ -]?y/?o\b|[ -]years? of age)", 0.75,
                digits=1, starts=True, check=_age),
    PatternRule("age_word", "age",
                r"(?<!\w)(?i:(?:aged?(?: of|:| is|=)?|turn(?:s|ed|ing)?(?: to)?)\s{1,2})(?P<value>\d{1,3})(?![\w%-]|[.,/]\d)", 0.7,
                needs=("age ", "aged ", "age:", "age=", "turn ", "turns ", "turned ", "turning "), starts=True, check=_age),
    PatternRule("age_stated", "age",
                r"(?i:\b(?:i am|i'm|she is|he is|she's|he's|who is)\s)(?P<value>\d{1,3})(?=[.,;!?]?(?:\s|$)(?! ?(?:%|percent|minutes|hours|miles|km|feet|kg|pounds|meters)))", 0.6,
                needs=("i am", "i'm", "she is", "he is", "she's", "he's", "who is"), starts=True, check=_age),
    PatternRule("date_of_birth", "date_of_birth", rf"(?<![\w./-])(?:{_DATE}|{_MONTH_FIRST})(?![\w/]|[-.]\d)", 0,
                digits=1, context=_BORN, context_score=0.85),
    PatternRule("date", "date_time", rf"(?<![\w./-])(?:{_DATE})(?:[ T]\d{{1,2}}:\d{{2}}(?::\d{{2}})?)?(?![\w/]|[-.]\d)", 0.6,
                digits=1, starts=True),
    PatternRule("date_month_first", "date_time", rf"(?<!\w){_MONTH_FIRST}(?!\w)", 0.6, needs=_MONTHS, starts=True),
    _numbered("medical_record", "medical_record_number",
              r"mrn|medical record|patient(?: id| number| no)|chart number|hospital number|nhs trust id",
              ("mrn", "medical record", "patient", "chart number", "hospital number", "nhs trust")),
    _numbered("health_plan", "health_id",
              r"health plan|insurance(?: id| number| no| policy)|medicare|medicaid|mbi|health card|beneficiary",
              ("health plan", "insurance", "medicare", "medicaid", "mbi", "health card", "beneficiary")),
    _numbered("member", "member_number", r"member(?:ship)?(?= ?(?:id|no|num|#|:))|loyalty|frequent flyer|subscriber(?= ?(?:id|no|num|#|:))",
              ("member", "loyalty", "frequent flyer", "subscriber")),
    _numbered("customer", "account_number",
              r"(?:customer|client|account|acct|policy|employee|student|staff)(?= ?(?:id|no\b|num|#|ref))",
              ("customer", "client", "account", "acct", "policy", "employee", "student", "staff")),
    _numbered("case", "case_number",
              r"(?:case|claim|docket|ticket|incident|matter|complaint|invoice|order)(?= ?(?:id\b|no\b|num|nr\b|#|ref))|docket",
              ("case", "claim", "docket", "ticket", "incident", "matter", "complaint", "invoice", "order")),
    _numbered("passport", "passport", r"passport|reisepass|passeport|pasaporte|passaporto|paszport",
              ("passport", "reisepass", "passeport", "pasaporte", "passaporto", "paszport"), 0.85),
    PatternRule("passport_form", "passport", r"(?<![\w-])(?:[A-Z]{1,2}\d{6,8}|\d{9}|[A-Z]\d[A-Z]{2}\d{5}|[A-Z0-9]{9})(?![\w-])", 0,
                digits=4, blanks=0, context=("passport", "passport number", "passport no"), check=_reference, context_score=0.8),
    _numbered("driver_license", "driver_license",
              r"driver'?s'? ?licen[cs]e|driving licen[cs]e|dl(?= ?(?:no|num|#|:))|führerschein(?:nummer)?|permis de conduire",
              ("driver", "driving", "dl", "führer", "permis"), 0.85),
    # Business has licences too: of its own, the word counts where the number has letters.
    _numbered("license", "driver_license", r"(?<!-)licen[cs]e(?= (?:no|num|#))(?=.{3,24}?\b\d{0,10}[A-Za-z]{1,5}\d)", ("licen",), 0.85),
    PatternRule("driver_license_form", "driver_license",
                r"(?<![\w-])(?:[A-Z]\d{3}-?\d{4}-?\d{4}(?:-?\d{1,2})?|[A-Z]{1,2}\d{5,14}|\d{7,9}|\d{4}-\d{2}-\d{4}|[A-Z]{5}\d{6}[A-Z0-9]{5})(?![\w-])", 0,
                digits=5, blanks=0, context=("driver", "driver's license", "drivers license", "driver license", "driving licence", "license", "licence"), context_score=0.75),
    PatternRule("vin", "vehicle_id", r"(?<![\w/-])(?=[A-Z0-9]{0,16}\d)[A-HJ-NPR-Z0-9]{8}[0-9X][A-HJ-NPR-Z0-9]{8}(?![\w-])", 0.85,
                digits=3, reach=17, blanks=0, run=17, check=c.vin, context=("vin", "vehicle", "chassis"), context_score=0.97),
    PatternRule("vin_in_context", "vehicle_id", r"(?<![\w/-])[A-HJ-NPR-Z0-9]{17}(?![\w-])", 0, digits=3, reach=17, blanks=0,
                check=_reference, context=("vin", "vehicle", "chassis", "vehicle identification"), context_score=0.85),
    PatternRule("plate", "license_plate", r"(?<![\w-])(?=[A-Z0-9 -]{0,10}\d)[A-Z0-9]{1,7}(?:[ -][A-Z0-9]{1,4}){0,2}(?![\w-])", 0,
                digits=1, context=("license plate", "licence plate", "number plate", "plate number", "plate", "registration", "kennzeichen", "reg"),
                check=_reference, context_score=0.75),
    PatternRule("npi", "provider_id", r"(?<![\w-])[12]\d{9}(?![\w-])", 0, digits=10, blanks=0, check=c.npi,
                context=("npi", "provider"), context_score=0.9),
    PatternRule("dea", "provider_id", r"(?<![\w-])[A-Z][A-Z9]\d{7}(?![\w-])", 0, digits=7, blanks=0, check=c.dea,
                context=("dea",), context_score=0.9),
)  # fmt: skip
