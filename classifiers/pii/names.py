"""Names of persons that stand beside a word which only names stand beside."""

from __future__ import annotations

from guardrail.classifiers.patterns import PatternRule

_NAME = r"[^\W\d_a-zß-öø-ÿ](?:[^\W\d_]|['’-](?=[^\W\d_])){1,24}"
_MIDDLE = r"(?:[^\W\d_a-zß-öø-ÿ]\.?|van|von|de|der|den|del|della|di|da|dos|du|la|le|ten|ter|bin|ibn|al|el|af|av)"
_FULL = rf"{_NAME}(?: {{1,2}}(?:{_MIDDLE} ){{0,2}}{_NAME}){{0,2}}"

# What introduces a name in running text and in forms. A word of a sentence that follows by chance
# does not start with a capital.
_CUES = (
    r"my name is|my name's|name is|names? (?:was|are)|named|called|call me|calls me|call (?:him|her)"
    r"|(?:first|last|full|given|family|maiden|middle|sur)[ -]?names? ?(?:is|:|\?)|surname (?:is|:)|i am called"
    r"|under (?:the|my|his|her) name|in the name of|on behalf of|signed(?: by)?:?|directed by:?|written by:?"
    r"|sung by|prepared by:?|reviewed by:?|authored by:?|attn\.?:?|attention:|c/o"
)

NAMES = (
    PatternRule("titled", "person",
                rf"(?<!\w)(?i:mr|mrs|ms|miss|mx|dr|prof|professor|sir|madam|herr|frau|monsieur|madame|señora?|sr|sra|signora?|rev|capt|sgt|judge|nurse)\.? (?P<value>{_FULL})", 0.8,
                needs=("mr", "ms ", "ms.", "miss ", "dr", "prof", "sir ", "madam", "herr ", "frau ", "monsieur", "señor", "sr", "signor", "rev", "capt", "sgt", "judge", "nurse", "mx")),
    PatternRule("introduced", "person", rf"(?<!\w)(?i:{_CUES})\s{{1,3}}(?:(?i:mr|mrs|ms|miss|dr|prof)\.? )?(?P<value>{_FULL})", 0.75,
                needs=("name", "called", "call ", "calls ", "behalf", "signed", " by", "att", "c/o")),
    PatternRule("form_field", "person",
                rf"(?im:^[ \t>*|\"'-]{{0,8}}(?:full |first |last |patient |customer |client |employee |contact )?(?:name|patient|customer|client|employee|contact|author|sender|recipient|from|to|cc)[\"']?(?: ?name)?[ \t]*[:=][ \t\"'*]{{0,6}})(?P<value>{_FULL})", 0.7,
                needs=("name", "patient", "customer", "client", "employee", "contact", "author", "sender", "recipient", "from", "to:", "cc")),
    PatternRule("greeting", "person", rf"(?m:^[ \t>]{{0,8}})(?i:dear|hi|hello|hey|regards|best|sincerely|cheers|thanks|yours|love),?\s{{1,3}}(?P<value>{_FULL})(?=[ \t]*[,.!:\n]|[ \t]*$)", 0.6,
                needs=("dear", "hi ", "hello", "hey", "regards", "best", "sincerely", "cheers", "thanks", "yours", "love")),
)  # fmt: skip
