"""Values that may not have ended yet: what of a text, as far as it has come, may become a hit.

Each rule is matched once more with partial matches: what runs into the end of the text may go on
behind it (the package regex; the standard library has no such matches).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

import regex

from guardrail.classifiers.digit_clusters import DIGIT_GAP, digit_clusters
from guardrail.classifiers.hits import Hit
from guardrail.classifiers.pattern_rule import CONTEXT_AFTER, PatternRule, unnamed
from guardrail.classifiers.patterns import TIERS, PatternEngine
from guardrail.classifiers.plain import plain
from guardrail.detector import Progress
from guardrail.findings import Finding, Span

# How far from the end, in code points, something may begin whose literal has not come yet; and how
# much is looked at again before what is not settled: what stands around a value, and its words.
NEAR = 128
NEEDED = 256


def unfinished(
    engine: PatternEngine, raw: str, hits: list[Hit], kinds: frozenset[str] | None = None
) -> list[Hit]:
    """What may still become a hit of these kinds (None: of any), or another one, as hits up to the
    end of the text. `hits` are those of the text as it is."""
    text, offsets = plain(raw)
    size = len(text)
    content = len(text.rstrip())
    found: dict[tuple[str, int], Hit] = {}
    if kinds is not None and any(hit.kind in kinds for hit in hits):
        kinds = None  # one of another kind may take the place of a hit

    def add(rule: PatternRule, start: int) -> None:
        first = start if offsets is None else offsets[start]
        found[rule.kind, first] = Hit(first, len(raw), 0.0, rule.kind, rule.name)

    places, there = _at_literals(engine, text)
    for rule, place in _at_digits(engine, kinds, text):
        places.setdefault(rule, set()).add(place)
    for rule, some in places.items():
        if kinds is not None and rule.kind not in kinds:
            continue
        form = _form(rule.pattern)
        for place in sorted(some):
            match = form.match(text, place, partial=True)
            if match is not None and _is_open(rule, match, content) and match.start() < size:
                add(rule, match.start())
                break
    near = max(0, size - NEAR)
    word = max(near, _word_start(text, content, 0))
    for rule in engine.anywhere:
        if kinds is not None and rule.kind not in kinds:
            continue
        first = 0 if rule in there else near
        if rule.blanks == 0 and not rule.context and first:
            # Whatever word it is.
            add(rule, word) if word < size else None
            continue
        if rule.blanks is not None:
            until = content - CONTEXT_AFTER if rule.context else content
            first = max(first, _word_start(text, until, rule.blanks))
        while (match := _form(rule.pattern).search(text, first, partial=True)) is not None:
            if match.start() == size:
                break
            if _is_open(rule, match, content):
                add(rule, match.start())
                break
            first = max(match.end(), first + 1)
    # A better hit may take the place of one that it overlaps.
    opened = min((hit.start for hit in found.values()), default=0)
    for hit in sorted(hits, key=lambda hit: -hit.end):
        if hit.start < opened < hit.end:
            opened = hit.start
            found[hit.kind, hit.start] = hit._replace(end=len(raw))
    return list(found.values())


def _at_literals(
    engine: PatternEngine, text: str
) -> tuple[dict[PatternRule, set[int]], set[PatternRule]]:
    """Where to try the rules that start at a literal in the text, and the others of which one is
    there."""
    places: dict[PatternRule, set[int]] = {}
    there: set[PatternRule] = set()
    for at, here, others in engine.literals(text):
        there.update(others)
        for rule in here:
            places.setdefault(rule, set()).update(range(max(0, at - rule.back), at + 1))
    return places, there


def _at_digits(
    engine: PatternEngine, kinds: frozenset[str] | None, text: str
) -> Iterator[tuple[PatternRule, int]]:
    """The rules of these kinds that start at digits, with places near the end where they match in
    part or whole: of a cluster that is complete, those that it has enough digits for."""
    size = len(text)
    for cluster in digit_clusters(text):
        if cluster.runs[-1] < size - 2 * NEAR:
            continue
        known = cluster.digits if cluster.end + DIGIT_GAP < size else size
        for tier in _tiers(engine, kinds):
            if tier.digits > known:
                break
            for run in cluster.runs:
                if run < size - 2 * NEAR:
                    continue
                for place in range(max(0, run - tier.back), run + 1):
                    if place and ((char := text[place - 1]).isalnum() or char == "_"):
                        continue
                    if tier.any.match(text, place, partial=True) is not None:
                        for rule in tier.rules:
                            if rule.digits <= known and run - place <= rule.back:
                                yield rule, place


class _Tier(NamedTuple):
    """Rules that start at a run of digits, for clusters of at least so many; outside of a word.
    `any` matches where one of them does."""

    digits: int
    back: int
    any: regex.Pattern[str]
    rules: list[PatternRule]


@cache
def _tiers(engine: PatternEngine, kinds: frozenset[str] | None) -> list[_Tier]:
    tiers = []
    wanted = [rule for rule in engine.at_digits if kinds is None or rule.kind in kinds]
    for least, end in zip(TIERS, (*TIERS[1:], 1000), strict=True):
        some = [rule for rule in wanted if least <= rule.digits < end]
        # One that refers to a group of its own stands by itself.
        alone = [[rule] for rule in some if _own_groups(rule)]
        for rules in ([rule for rule in some if not _own_groups(rule)], *alone):
            if rules:
                form = "|".join(f"(?:{unnamed(rule.pattern)})" for rule in rules)
                back = max(rule.back for rule in rules)
                tiers.append(_Tier(least, back, _form(form), rules))
    return tiers


def _own_groups(rule: PatternRule) -> bool:
    return bool(_form(unnamed(rule.pattern)).groups)


def _word_start(text: str, place: int, blanks: int) -> int:
    """Where the word begins that reaches up to a place; or one so many blanks before it."""
    start = max(0, place) + 1
    for _ in range(blanks + 1):
        start = (
            max(text.rfind(" ", 0, max(0, start - 1)), text.rfind("\n", 0, max(0, start - 1))) + 1
        )
        if start == 0:
            break
    return start


def _is_open(rule: PatternRule, match: regex.Match[str], content: int) -> bool:
    """Whether a match could be another one if more were there: it runs into the end, or a word that
    counts for it may follow."""
    if match.partial or match.end() >= content:
        return True
    return bool(rule.context) and match.end() > content - CONTEXT_AFTER


@cache
def _form(pattern: str) -> regex.Pattern[str]:
    return regex.compile(pattern)


def progress(
    engine: PatternEngine,
    raw: str,
    hits: list[Hit],
    findings: Sequence[Finding],
    name: str,
    kinds: frozenset[str] | None = None,
) -> Progress:
    """What a detector knows at the end of a segment, if it is an engine; see `unfinished`."""
    opened = unfinished(engine, raw, hits, kinds)
    asked = [hit for hit in opened if kinds is None or hit.kind in kinds]
    open_ = [Finding(name, hit.kind, Span(hit.start, hit.end)) for hit in asked]
    first = min((hit.start for hit in opened), default=len(raw))
    needed = max(0, first - NEEDED)
    while 0 < needed < first and not raw[needed - 1].isspace():
        needed += 1
    return Progress(findings, open_, len(raw), needed)


def certain_progress(
    engine: PatternEngine, raw: str, name: str, kinds: frozenset[str] | None = None
) -> Progress:
    """The same of values that may be certain alone, and without findings."""
    return progress(engine.sure, raw, [], (), name, kinds)
