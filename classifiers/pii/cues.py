"""Names of persons, places, companies and peoples by the words around them.

A model of news knows few of the world's names. What stands before "said", after "my sister" or
after "moved to" is a name whoever bears it. These rules run beside a model only, over the text as
prose, and fill its gaps: they are no evidence against what a model or a form says.
"""

from __future__ import annotations

from functools import cache

from guardrail.classifiers.pattern_rule import PatternRule
from guardrail.classifiers.patterns import PatternEngine
from guardrail.classifiers.pii.names import FULL, NAME, words

GAP_SCORE = 0.5
"""Less than what a model names: a cue counts where the model says nothing."""
FORM_SCORE = 0.7


def _any(some: tuple[str, ...]) -> str:
    return "(?:" + "|".join(sorted(some, key=len, reverse=True)) + ")"


_SPEAKS = words(
    "said says asked asks replied replies answered shouted whispered explained wrote writes exclaimed laughed smiled"
    " nodded sighed complained"
)
_KIN = words(
    "kid child son daughter wife husband brother sister mother father mom mum dad uncle aunt cousin nephew niece"
    " grandmother grandfather grandson granddaughter friend girlfriend boyfriend fiancé fiancée partner neighbor"
    " neighbour colleague coworker boss manager assistant roommate doctor lawyer teacher patient client"
)
_LIVES = words(
    "lives lived resides resided studied graduated grew_up retired was_born is_married was_married got_married"
    " passed_away was_diagnosed works_for works_as works_at worked_for worked_as worked_at gave_birth"
)
_STAYS = words(
    "live lives lived living reside resides resided residing located based born raised headquartered arrive arrives"
    " arrived arriving landed stay stayed staying settled"
)
_GOES = words(
    "move moved moving fly flew flying travel traveled travelled traveling travelling relocate relocated relocating"
    " return returned emigrate emigrated immigrated drove sail sailed"
)
_FORMS = words(
    "Inc LLC Ltd Limited Corp Corporation Company GmbH AG KG SAS SARL SpA BV NV AB ASA Oy Oyj ApS PLC LLP Group"
    " Holdings Partners Associates Technologies Solutions Systems Industries Enterprises Bank"
)
_PEOPLES = words(
    "Afghan Albanian Algerian American Angolan Argentinian Armenian Australian Austrian Azerbaijani Bahraini"
    " Bangladeshi Belarusian Belgian Bolivian Bosnian Brazilian British Bruneian Bulgarian Cambodian Cameroonian"
    " Canadian Chilean Chinese Colombian Congolese Croatian Cuban Cypriot Danish Dutch Ecuadorian Egyptian English"
    " Eritrean Estonian Ethiopian Filipino Finnish French Georgian German Ghanaian Greek Guatemalan Haitian Honduran"
    " Hungarian Icelandic Indian Indonesian Iranian Iraqi Irish Israeli Italian Jamaican Japanese Jordanian Kenyan"
    " Korean Kuwaiti Laotian Latvian Lebanese Liberian Libyan Lithuanian Malaysian Maltese Mexican Moldovan Mongolian"
    " Moroccan Namibian Nepalese Nicaraguan Nigerian Norwegian Omani Pakistani Palestinian Panamanian Paraguayan"
    " Peruvian Portuguese Qatari Romanian Russian Rwandan Samoan Saudi Scottish Senegalese Serbian Singaporean Slovak"
    " Slovenian Somali Spanish Sudanese Swedish Swiss Syrian Taiwanese Tanzanian Thai Tunisian Turkish Ugandan"
    " Ukrainian Uruguayan Venezuelan Vietnamese Welsh Yemeni Zambian Zimbabwean Christian Muslim Jewish Hindu Buddhist"
    " Sikh Catholic Protestant"
)
_PLACE = rf"{NAME}(?:(?: d[aeiou][a-z]{{0,3}}| la| le| les| el| von| am| of| the| upon| sur| nad)?[ -]{NAME}){{0,3}}"


def _cue(
    name: str, kind: str, pattern: str, needs: tuple[str, ...], score: float = GAP_SCORE
) -> PatternRule:
    return PatternRule(name, kind, pattern, score, needs=tuple(word.lower() for word in needs))


CUES = (
    _cue("speaker", "person", rf"(?<![\w.])(?P<value>{FULL}),? {_any(_SPEAKS)}\b", _SPEAKS),
    _cue("kin", "person", rf"(?i:\b(?:my|his|her|our|their|your|an?|the) {_any(_KIN)}),? (?P<value>{FULL})", _KIN),
    _cue("whose", "person", rf"(?<![\w.])(?P<value>{FULL})['’]s {_any(_KIN)}\b", _KIN),
    _cue("lives", "person", rf"(?<![\w.])(?P<value>{FULL}) {_any(_LIVES)}\b", _LIVES),
    _cue("stays", "location", rf"\b{_any(_STAYS)} (?:in|at|near) (?P<value>{_PLACE})", _STAYS),
    _cue("goes", "location", rf"\b{_any(_GOES)} (?:here |there |back )?(?:to|from|via) (?P<value>{_PLACE})", _GOES),
    _cue("company", "organization",
         rf"(?<![\w.&])(?:{NAME}(?:,? (?:&|and|of) |[ -])){{1,4}}{_any(_FORMS)}\b(?! {NAME})", _FORMS, FORM_SCORE),
    _cue("employer", "organization",
         rf"\b(?:work(?:s|ed|ing)? (?:for|at)|employed (?:by|at)|CEO of|joined|founder of|president of) (?P<value>{NAME}(?:[ -]{NAME}){{0,3}})",
         ("work", "employed", "ceo of", "joined", "founder of", "president of")),
    _cue("people", "nrp", rf"(?<!\w)(?i:{_any(_PEOPLES)})s?(?!\w)", _PEOPLES),
)  # fmt: skip


@cache
def cue_engine() -> PatternEngine:
    """The engine over `CUES`, compiled at the first call."""
    return PatternEngine(CUES)
