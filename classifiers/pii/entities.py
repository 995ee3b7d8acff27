"""What is made of the entities that a model names: spans put right, doubtful ones dropped, and the
same name found wherever it stands.

Small models are trained on news. They take numbers of houses for dates, run over line ends, and
name a person once of three times. None of this needs another model.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from guardrail.classifiers.hits import Hit
from guardrail.classifiers.pii.cues import GAP_SCORE
from guardrail.classifiers.pii.names import NAME, words

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
    words(
        "a an the and or for i you he she it we they me him her us them who what when where why how which my your his its our"
        " their this that these those with from not but if then so as hi hello hey dear thanks sir madam yes no well note"
        " please also however now sure therefore here there someone everyone nobody anyone people api html json sql http url"
        " pdf csv iban atm zip ssn pin box apt suite street road avenue lane drive city state country monday tuesday wednesday"
        " thursday friday saturday sunday january february march april may june july august september october november"
        " december"
    )
)


def refine(
    raw: str, found: Iterable[Hit], known: Sequence[Hit], cues: Iterable[Hit] = ()
) -> list[Hit]:
    """The hits of a model over a text, those of rules given as `known`, as they are to be reported.

    A hit that `known` hits cover by half is dropped: what has a form is what the form says. `cues`
    count where nothing else is.
    """
    covered = bytearray(len(raw))
    _cover(covered, known)
    kept: list[Hit] = []
    for some in (found, cues):
        parts = [part for hit in some for part in _parts(raw, hit)]
        new = [
            hit for hit in parts if 2 * covered.count(1, hit.start, hit.end) < hit.end - hit.start
        ]
        _cover(covered, new)
        kept += new
    for more in (_listed, _around, _again):
        new = more(raw, [*known, *kept], covered)
        _cover(covered, new)
        kept += new
    return sorted(kept)


def _cover(covered: bytearray, hits: Iterable[Hit]) -> None:
    for hit in hits:
        covered[hit.start : hit.end] = b"\1" * (hit.end - hit.start)


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


def _is_free(covered: bytearray, start: int, end: int) -> bool:
    return covered.find(1, start, end) < 0


_ITEM = rf"{NAME}(?:[ -]{NAME}){{0,2}}"
_ITEMS = re.compile(_ITEM)
_LIST = re.compile(rf"{_ITEM}(?:, {_ITEM}){{0,20}},? (?:and|or|&) {_ITEM}")


def _listed(raw: str, hits: Sequence[Hit], covered: bytearray) -> list[Hit]:
    """Names in a row with others: of "Efua, Mary and Jo" all are what most of those found are."""
    by_place = {(hit.start, hit.end): hit for hit in hits}
    new: list[Hit] = []
    for row in _LIST.finditer(raw):
        items = [match.span() for match in _ITEMS.finditer(raw, row.start(), row.end())]
        found = [by_place[item] for item in items if item in by_place]
        kinds = [hit.kind for hit in found if hit.kind in ("person", "organization", "location")]
        if kinds:
            usual = max(found, key=lambda hit: kinds.count(hit.kind))
            new += [
                usual._replace(start=start, end=end)
                for start, end in items
                if _is_free(covered, start, end)
            ]
    return new


_NUMBER_BEFORE = re.compile(r"(?<![\w.,$€£:/-])\d{1,6} \Z")
# What goes on after a street: a town, a region, a country, in lines or between commas, each with its
# number. After a place only a number does.
_ONWARD = re.compile(
    r"[ \t]*(?:,[ \t]*|\n[>|?* \t]*,?[ \t]*| )(?:"
    r"(?P<number>\d{4,6}(?!\w|[,.:/-]\d| ?[%$€£]| [a-z]))|"
    rf"(?P<name>{NAME}\.?(?:[ -](?:{NAME}|\w{{1,3}})){{0,6}}(?: \d{{3,6}}\b)?)(?=[ \t]*(?:[,.\n]|$)))"
)
_LINES = 4


def _around(raw: str, hits: Sequence[Hit], covered: bytearray) -> list[Hit]:
    """What belongs to an address that was found in part: the number before it, what comes below."""
    new: list[Hit] = []

    def add(start: int, end: int) -> None:
        if _is_free(covered, start, end):
            new.append(Hit(start, end, GAP_SCORE, "location", "around"))

    for hit in hits:
        if hit.kind not in ("street_address", "location"):
            continue
        if before := _NUMBER_BEFORE.search(raw, max(0, hit.start - 8), hit.start):
            add(before.start(), before.end() - 1)
        end = hit.end
        for _ in range(_LINES):
            match = _ONWARD.match(raw, end)
            if match is None or (hit.kind == "location" and not match["number"]):
                break
            first, end = match.span(match.lastgroup or 0)
            add(first, end)
    return new


def _again(raw: str, hits: Sequence[Hit], covered: bytearray) -> list[Hit]:
    """Where else the names of persons stand, or one word of them."""
    named: dict[str, Hit] = {}
    for hit in hits:
        if hit.kind == "person":
            for word in _NAME_WORD.findall(raw[hit.start : hit.end]):
                if word[0].isupper() and word.lower() not in _NO_NAMES:
                    named.setdefault(word, hit)
    return [
        named[match.group()]._replace(start=match.start(), end=match.end())
        for match in (_NAME_WORD.finditer(raw) if named else ())
        if match.group() in named and _is_free(covered, *match.span())
    ]
