"""Street addresses and postal codes."""

from __future__ import annotations

import re

from guardrail.classifiers.pattern_rule import PatternRule
from guardrail.classifiers.pii.reserved import is_government

_NAME = r"[^\W\d_a-zß-öø-ÿ][\w'’.-]{0,24}"
_PLACE = rf"(?:[ ]{{1,2}}(?:{_NAME}|d[aeiou]s?|del|la|le|les|el|von|am|an|der|den|of|the|sur|sous|nad|pod|na)){{1,5}}"
_TYPE = (
    r"(?i:Street|St|Avenue|Ave|Av|Road|Rd|Boulevard|Blvd|Drive|Dr|Lane|Ln|Court|Ct|Place|Pl|Square|Sq|Terrace|Ter"
    r"|Trail|Trl|Parkway|Pkwy|Highway|Hwy|Circle|Cir|Way|Crescent|Cres|Close|Alley|Grove|Gardens|Mews|Row|Walk"
    r"|Quay|Route|Loop|Plaza|Heights|Hts|Ridge|Pike|Turnpike|Expressway|Park|Point|Pt|Crossing|Landing|Manor|Hill|Hills|View|Run|Mall|Bypass|Causeway)\b\.?"
)
_UNIT = r"(?i:(?:apt|apartment|suite|ste|unit|flat|room|rm|floor|fl|bldg|building|lot|#)\b\.? ?#? ?\d{0,5}[A-Za-z]?\d{0,5}\b|#\s?\d{1,5})"
_COMMA = r"\s{0,3},?\s{0,3}"
_STATES = r"(?:A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|P[AR]|RI|S[CD]|T[NX]|UT|V[AT]|W[AIVY])"
_ZIP = r"\d{5}(?:-\d{4})?"
_CITY_STATE = rf"(?:{_COMMA}{_NAME}(?: {_NAME}){{0,3}},?\s{{1,3}}{_STATES}\b,?(?:\s{{1,2}}{_ZIP})?)"
_TAIL = rf"(?:{_COMMA}{_UNIT})?{_CITY_STATE}?"

_MONTH = r"(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"


# Where nobody lives: what forms and examples are filled in with.
_SPECIMEN = re.compile(
    r"(?:12|123|1234|12345|100|1000?1?|456|789) (?:Main|Elm|Oak|Maple|Any|Example|Sample|Fake|Test|Street|First|1st)"
    r" ?(?:St|Street|Ave|Avenue|Rd|Road|Ln|Lane|Dr|Drive|Name)\b\.?",
    re.IGNORECASE,
)


# Seats of governments, courts and international bodies, and addresses of stories, which all know.
_PUBLIC = re.compile(
    r"1600 Pennsylvania|1[0-2] Downing|24 Sussex Dr|1 Observatory Circle|1 First St\w*,? N|"
    r"(?:935|950|1111) (?:Pennsylvania|Constitution) Ave|2201 C St|405 (?:E|East) 42nd|"
    r"1 United Nations Plaza|700 Pennsylvania Ave|1000 Colonial Farm|1849 C St|"
    r"11 Wall St|55 rue du Faubourg Saint[- ]Honor|"
    r"221B? Baker|742 Evergreen Terrace|(?:4|12) (?:Privet Dr|Grimmauld Pl)|1313 Mockingbird|"
    r"42 Wallaby Way|1630 Revello Dr|31 Spooner",
    re.IGNORECASE,
)


# A year and a clause: "in 2017, Kite Hill was".
_NO_YEAR = r"(?!(?:(?<=[Ii]n )|(?<=[Ss]ince )|(?<=[Bb]y ))(?:1[89]|20)\d\d, )"

# A year before a clause ("in 2017, the Supreme Court"), how many times ("2x NL Home Run") or of what
# ("50 Years Down the Highway"), and a decade ("the 80s the way").
_NO_NUMBER = re.compile(
    r"\d+, (?:the|of) |\d+x |\d*0s |\d+ (?:Supreme|High|District|Circuit) Court|\d+ (?:Years?|Months?|Weeks?|Days?|Hours?|Minutes?|Miles?|Ways?|Steps?|Things?) "
)


def _street(value: str) -> bool:
    """Neither a specimen, nor what all know, nor all capitals, as SQL is: ROWS BETWEEN 2 PRECEDING
    AND CURRENT ROW."""
    known = _SPECIMEN.match(value) or _PUBLIC.match(value) or is_government(value)
    return any(map(str.islower, value)) and not (known or _NO_NUMBER.match(value))


def _town(value: str) -> bool:
    return not is_government(value)


# What parts the lines of an address, a mail's quote signs included.
_SEP = r"[ ,]{0,3}(?:\n[>|?*\s]{0,8})?"
_PIECE = (
    rf"(?:{_NAME}|\d{{1,6}}[A-Za-z]?|d[aeiou]s?|del|la|le|nad|pod|na|upon|am|an der|im|of)\b[.']?"
)
# An address goes on after its street or unit up to a postal code, or for two words at least.
_REST = rf"(?:(?:{_SEP}{_PIECE}){{0,7}}?{_SEP}\d{{3,6}}\b|(?:{_SEP}{_PIECE}){{0,2}})"

# What may follow a street and a number: up to six words, a postal code, and a town.
_TOWN = rf"(?:(?:[,\s]{{1,3}}{_PIECE}){{0,6}}?[,\s]{{1,3}}(?:[A-Z]{{1,2}}-)?\d{{2,3}}[- ]?\d{{2,3}}\b(?: {_NAME}){{0,2}})?"

# Words for streets that stand before their names.
_BEFORE = (
    "rue", "avenue", "av.", "boulevard", "bd", "place", "chemin", "allée", "impasse", "quai", "route de", "via",
    "viale", "piazza", "piazzetta", "corso", "largo", "vicolo", "calle", "carrer", "avenida", "avda", "avda.",
    "paseo", "plaza", "camino", "ronda", "rua", "travessa", "praça", "estrada", "alameda", "rruga", "ul.",
    "ulica", "ulice", "aleja", "al.", "plac", "pl.", "os.", "ulitsa", "str.", "strada", "calea", "bulevardul",
    "jalan", "jl.",
)  # fmt: skip
_STREET = rf"(?i:{'|'.join(map(re.escape, sorted(_BEFORE, key=len, reverse=True)))})"
# Endings of words for streets that are written with their names, or after them.
_ENDINGS = (
    "straße", "strasse", "str.", "weg", "gasse", "platz", "allee", "ring", "damm", "ufer", "gatan", "vägen",
    "gata", "veien", "vegen", "vei", "gate", "gade", "vej", "allé", "stræde", "straat", "laan", "plein",
    "gracht", "kade", "dijk", "singel", "katu", "tie", "kuja", "polku", "tänav", "iela", "gatve", "utca",
    "utcája", "út", "útja", "tér", "körút",
)  # fmt: skip
_ENDING = rf"(?i:{'|'.join(map(re.escape, _ENDINGS))})"
_UNITS = ("apt", "apt.", "apartment", "suite", "ste", "ste.", "unit", "flat")
_DIGITS = "0123456789"

ADDRESSES = (
    PatternRule("street_number_first", "street_address",
                rf"(?<![\w.,$€£:/-]){_NO_YEAR}(?:\d{{2,6}} )?\d{{1,6}}(?:-\d{{1,4}})?[A-Za-z]?,? (?:(?:N|S|E|W|NE|NW|SE|SW|North|South|East|West)\.? )?(?:(?:{_NAME}|\d{{1,3}}(?:st|nd|rd|th)|of|the|de|la) ){{1,4}}{_TYPE}(?: (?:N|S|E|W|NE|NW|SE|SW)\b)?{_TAIL}",
                0.8, digits=1, starts=True, check=_street),
    PatternRule("street_word_after_number", "street_address",
                rf"(?<![\w.,$€£:/-])(?:\d{{2,6}} )?\d{{1,5}}(?: ?(?:bis|ter))?,? {_STREET}{_PLACE}{_TOWN}", 0.75, digits=1, starts=True),
    PatternRule("street_word_first", "street_address",
                rf"(?<!\w){_STREET}{_PLACE},? (?:n[º°o]\.? ?|nr\.? )?\d{{1,5}}[A-Za-z]?\b(?:/\d{{1,4}})?{_TOWN}", 0.75,
                needs=tuple(f"{word} " for word in _BEFORE), starts=True),
    PatternRule("street_compound", "street_address",
                rf"(?<!\w)(?:(?:{_NAME} ){{0,2}}[^\W\d_]{{2,24}}{_ENDING}|(?:{_NAME}[ -]){{1,3}}{_ENDING}) ?\d{{1,4}} ?[A-Za-z]?\b{_TOWN}", 0.75,
                needs=tuple(f"{ending} {digit}" for ending in _ENDINGS for digit in _DIGITS), digits=1, reach=100, blanks=5),
    PatternRule("address_block", "street_address",
                rf"(?<![\w.,$€£:/-])(?:\d{{1,6}}[A-Za-z]?\b,?|{_NAME}(?: {_NAME}){{0,2}} \d{{1,5}}\b)(?: {_PIECE}){{0,6}}?{_SEP}{_UNIT}{_REST}", 0.75,
                needs=tuple(f"{unit} {digit}" for unit in _UNITS for digit in "#" + _DIGITS), digits=1, reach=200),
    PatternRule("military", "street_address",
                rf"(?<!\w)(?i:(?:psc|cmr|unit) \d{{1,5}},? box \d{{1,5}}|us(?:s|ns|cgc|nv) [\w'-]{{2,30}}){_SEP}(?i:[afd]po),? (?i:a[aep]),? \d{{5}}\b", 0.9,
                needs=("apo a", "fpo a", "dpo a", "apo, a", "fpo, a", "dpo, a")),
    PatternRule("number_name_number", "street_address",
                rf"(?<![\w.,$€£:/-])\d{{2,6}} (?!{_MONTH})(?:{_NAME} ){{1,4}}\d{{1,4}}\b{_REST}", 0.55,
                digits=2, starts=True),
    PatternRule("post_box", "street_address",
                r"(?<!\w)(?i:p\.? ?o\.? ?box|post office box|postfach|boîte postale|apartado(?: de correos)?|casilla|caixa postal|postbus|postboks) ?#?\d{1,7}\b", 0.8,
                needs=("p.o", "p. o", "po box", "p o box", "pobox", "post office box", "postfach", "boîte postale", "apartado", "casilla", "caixa postal", "postbus", "postboks"), starts=True),
    PatternRule("unit", "street_address", rf"(?<!\w)(?i:{'|'.join(map(re.escape, _UNITS[:-2]))}) #?\d{{1,5}}[A-Za-z]?\b", 0.65,
                needs=tuple(f"{unit} {digit}" for unit in _UNITS[:-2] for digit in "#" + _DIGITS), starts=True),
    PatternRule("city_state_zip", "street_address",
                rf"(?<!\w){_NAME}(?: {_NAME}){{0,3}},?\s{{1,2}}{_STATES},?\s{{1,2}}{_ZIP}(?![\w-])", 0.75, digits=5, reach=80, check=_town),
    PatternRule("uk_postcode", "postal_code",
                r"(?<![\w-])(?:[A-PR-UWYZ]\d[\dA-HJKPSTUW]?|[A-PR-UWYZ][A-HK-Y]\d[\dABEHMNPRVWXY]?) \d[ABD-HJLNP-UW-Z]{2}(?![\w-])", 0.7,
                digits=2, starts=True, back=2),
    PatternRule("ca_postcode", "postal_code", r"(?<![\w-])[ABCEGHJ-NPRSTVXY]\d[ABCEGHJ-NPRSTV-Z] ?\d[ABCEGHJ-NPRSTV-Z]\d(?![\w-])", 0.7,
                digits=3, starts=True, back=1),
    PatternRule("nl_postcode", "postal_code", r"(?<![\w-])[1-9]\d{3} [A-Z]{2}(?![\w-])", 0,
                digits=4, starts=True, context=("postcode", "adres", "address", "straat", "laan", "weg", "netherlands", "nederland", "amsterdam", "rotterdam", "utrecht"), context_score=0.75),
    PatternRule("postcode", "postal_code", r"(?<![\w.$€£-])(?:[A-Z]{1,2}-)?\d{3,6}(?:[ -]\d{2,4})?(?![\w%-]|[.,]\d)", 0,
                digits=3, starts=True, back=3, context=("zip", "zip code", "zipcode", "postal code", "postal", "postcode", "post code", "plz", "postleitzahl", "code postal", "código postal", "pin code", "postnummer"), context_score=0.8),
)  # fmt: skip
