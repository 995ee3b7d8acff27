"""What is made of the entities that a model names: spans put right, doubtful ones dropped, and the
same name found wherever it stands.

Small models are trained on news. They take numbers of houses for dates, run over line ends, and
name a person once of three times. None of this needs another model.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from guardrail.classifiers.patterns import Hit

# A date that says which day or year it is. "Two weeks ago" and "8+ years" tell nothing of a person.
_DAY = re.compile(
    r"\b(?:jan(?:uary)?|feb(?:ruary)?|march|apr(?:il)?|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?|(?:mon|tues|wednes|thurs|fri|satur|sun)day)\b"
    r"|^(?:in |the |early |late )?(?:1[89]|20)\d\d$|\b\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}\b"
    r"|\b\d{1,2}:\d\d\b|\bmay \d|\d(?:st|nd|rd|th)? may\b",
    re.IGNORECASE,
)
_EDGES = " \t\r\n.,;:!?\"'()[]{}<>|*_#`~-–—“”‘’…"
_NAME_WORD = re.compile(r"[^\W\d_](?:[^\W\d_]|['’-](?=[^\W\d_])){2,}")
_DIGITS_AT_END = re.compile(r"^[^\W\d_][^\d\n]* \d{1,5}$")
_GENITIVE = re.compile(r"['’]s?$")
# Never a name by themselves, and often taken for one.
_NO_NAMES = frozenset(
    [
        "the",
        "and",
        "for",
        "you",
        "your",
        "his",
        "her",
        "its",
        "our",
        "their",
        "this",
        "that",
        "these",
        "those",
        "with",
        "from",
        "not",
        "but",
        "hi",
        "hello",
        "hey",
        "dear",
        "thanks",
        "sir",
        "madam",
        "yes",
        "note",
        "please",
        "api",
        "html",
        "json",
        "sql",
        "http",
        "url",
        "pdf",
        "csv",
        "iban",
        "atm",
        "zip",
        "ssn",
        "pin",
        "box",
        "apt",
        "suite",
        "street",
        "road",
        "avenue",
        "lane",
        "drive",
        "city",
        "state",
        "country",
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ]
)


def refine(raw: str, found: Iterable[Hit], known: Sequence[Hit]) -> list[Hit]:
    """The hits of a model over a text, those of rules given as `known`, as they are to be reported.

    A hit that `known` hits cover by half is dropped: what has a form is what the form says.
    """
    covered = bytearray(len(raw))
    for hit in known:
        covered[hit.start : hit.end] = b"\1" * (hit.end - hit.start)
    kept: list[Hit] = []
    for hit in found:
        for part in _parts(raw, hit):
            length = part.end - part.start
            if 2 * covered.count(1, part.start, part.end) < length:
                kept.append(part)
    for hit in kept:
        covered[hit.start : hit.end] = b"\1" * (hit.end - hit.start)
    kept += _again(raw, kept, covered)
    return sorted(kept)


def _parts(raw: str, hit: Hit) -> Iterable[Hit]:
    """A hit line by line, without what does not belong to a name; none where none is left."""
    start = hit.start
    for line in raw[hit.start : hit.end].split("\n"):
        end = start + len(line)
        first, last = start, end
        start = end + 1
        while first < last and raw[first] in _EDGES:
            first += 1
        while last > first and raw[last - 1] in _EDGES:
            last -= 1
        text = raw[first:last]
        if hit.kind == "person" and (genitive := _GENITIVE.search(text)):
            last -= len(genitive.group())
            text = raw[first:last]
        kind = _kind(hit.kind, text)
        if kind:
            yield hit._replace(start=first, end=last, kind=kind)


def _kind(kind: str, text: str) -> str | None:
    if kind == "date_time":
        return kind if _DAY.search(text) else None
    if kind not in ("person", "organization", "location", "nrp"):
        return kind
    if len(text) < 2 or text.lower() in _NO_NAMES or not any(map(str.isalpha, text)):
        return None
    if kind in ("person", "organization") and _DIGITS_AT_END.match(text):
        return "location"  # a street and a number: persons have none
    if kind == "person" and any(map(str.isdecimal, text)):
        return None
    return kind


def _again(raw: str, hits: Sequence[Hit], covered: bytearray) -> Iterable[Hit]:
    """Where else the names of persons stand, or one word of them."""
    words: dict[str, Hit] = {}
    for hit in hits:
        if hit.kind == "person":
            for word in _NAME_WORD.findall(raw[hit.start : hit.end]):
                if word[0].isupper() and word.lower() not in _NO_NAMES:
                    words.setdefault(word, hit)
    if not words:
        return
    for match in _NAME_WORD.finditer(raw):
        named = words.get(match.group())
        if named and not covered.find(1, match.start(), match.end()) >= 0:
            yield named._replace(start=match.start(), end=match.end())
