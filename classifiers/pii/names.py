"""Names of persons that stand beside a word which only names stand beside."""

from __future__ import annotations

import re

from guardrail.classifiers.pattern_rule import PatternRule

NAME = r"[^\W\d_a-zß-öø-ÿ](?:[^\W\d_]|['’-](?=[^\W\d_])){1,24}"
_MIDDLE = r"(?:[^\W\d_a-zß-öø-ÿ]\.?|van|von|de|der|den|del|della|di|da|dos|du|la|le|ten|ter|bin|ibn|al|el|af|av)"
FULL = rf"{NAME}(?: {{1,2}}(?:{_MIDDLE} ){{0,2}}{NAME}){{0,2}}"


def words(row: str) -> tuple[str, ...]:
    """Words parted by blanks; `_` stands for a blank within one."""
    return tuple(word.replace("_", " ") for word in row.split())


# What introduces a name in running text and in forms. A word of a sentence that follows by chance
# does not start with a capital.
_CUES = (
    "my name is", "my name's", "name is", "names are", "name was", "named", "called", "call me", "calls me",
    "call him", "call her", "first name:", "last name:", "full name:", "surname:", "surname is", "last name?",
    "first name?", "i am called", "under the name", "under my name", "under his name", "under her name",
    "in the name of", "on behalf of", "signed", "signed by", "directed by", "written by", "sung by",
    "prepared by", "reviewed by", "authored by", "attn", "attention:", "c/o",
)  # fmt: skip
_TITLES = ("mr", "mrs", "ms", "miss", "mx", "dr", "prof", "professor", "sir", "madam", "herr", "frau", "monsieur",
           "madame", "señor", "señora", "sr", "sra", "signor", "signora", "rev", "capt", "sgt", "judge", "nurse")  # fmt: skip
_FIELDS = ("name", "patient", "customer", "client", "employee", "contact", "author", "sender", "recipient",
           "from", "to", "cc")  # fmt: skip
_GREETINGS = (
    "dear",
    "hi",
    "hello",
    "hey",
    "regards",
    "best,",
    "best\n",
    "sincerely",
    "cheers",
    "thanks",
    "yours",
    "love",
)


def _any(words: tuple[str, ...]) -> str:
    return "(?i:" + "|".join(map(re.escape, sorted(words, key=len, reverse=True))) + ")"


_TITLE = rf"{_any(_TITLES)}\.?"

NAMES = (
    PatternRule("titled", "person", rf"(?<!\w){_TITLE} (?P<value>{FULL})", 0.8, needs=tuple(f"{title}{end}" for title in _TITLES for end in (" ", ". ")), starts=True),
    PatternRule("introduced", "person", rf"(?<!\w){_any(_CUES)}:?\s{{1,6}}(?:{_TITLE} )?(?P<value>{FULL})", 0.75,
                needs=tuple(f"{cue}{end}" for cue in _CUES for end in (" ", ": ")), starts=True),
    PatternRule("form_field", "person", rf"(?<!\w){_any(_FIELDS)}[\"']?(?: ?(?i:name))?[ \t]{{0,3}}:[ \t\"'*]{{0,8}}(?:{_TITLE} )?(?P<value>{FULL})", 0.7,
                needs=tuple(f"{field}{end}" for field in _FIELDS for end in (":", " :", " name:", "\":", "':")), starts=True),
    PatternRule("greeting", "person", rf"(?<!\w){_any(_GREETINGS)},?\s{{1,3}}(?!{_TITLE}(?!\w))(?P<value>{FULL})(?=[ \t]{{0,3}}(?:[,.!:\n]|$))", 0.6,
                needs=tuple(f"{word}{end}" for word in _GREETINGS for end in (" ", ",", "\n")), starts=True),
)  # fmt: skip
