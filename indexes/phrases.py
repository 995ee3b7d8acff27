"""Protected phrases: stored sealed with an index or listed in files, found with Aho-Corasick.

Phrases are compared as canonical text, so that case, spacing, look-alikes and punctuation do not
hide them. A match is named by its place in its list, never by its text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import ahocorasick

from guardrail.errors import IndexDamagedError, UsageError
from guardrail.findings import Span
from guardrail.indexes.manifest import Manifest
from guardrail.indexes.sealed import Sealer
from guardrail.indexes.tombstones import write_durably
from guardrail.keys import Key
from guardrail.text import CanonicalText, canonical_units

# Shorter phrases stand in every other word.
LEAST_UNITS = 3


@dataclass(frozen=True, slots=True)
class PhraseMatch:
    """`place` is the phrase's place in its list, `units` its canonical length."""

    span: Span
    place: str
    units: int


class PhraseSet:
    """Phrases compiled to one automaton. Thread-safe once built."""

    def __init__(self, phrases: Iterable[tuple[str, str]], *, whole_words: bool) -> None:
        """`phrases`: pairs of place and phrase. Raises UsageError for one that is too short."""
        self._whole_words = whole_words
        self._automaton = ahocorasick.Automaton()
        self._longest = 0
        for place, phrase in phrases:
            canonical = _canonical(phrase)
            if len(canonical) < LEAST_UNITS:
                raise UsageError(
                    f"{place}: a phrase needs at least {LEAST_UNITS} letters or digits, this one "
                    f"has {len(canonical)}; make it longer or take it out"
                )
            self._automaton.add_word(canonical, (place, len(canonical)))
            self._longest = max(self._longest, len(canonical))
        if len(self._automaton):
            self._automaton.make_automaton()

    def __len__(self) -> int:
        return len(self._automaton)

    def find(self, text: CanonicalText) -> list[PhraseMatch]:
        """All matches but those inside a longer one, and those that two others of the same phrase
        cover, in order."""
        if not len(self._automaton):
            return []
        matches = list(self._matches(text))
        if len(matches) < 2:
            return matches
        matches.sort(key=lambda match: (match.span.start, -match.span.end))
        kept: list[PhraseMatch] = []
        for match in matches:
            if kept and match.span.end <= kept[-1].span.end:
                continue
            while (
                len(kept) > 1
                and match.place == kept[-1].place == kept[-2].place
                and match.span.start <= kept[-2].span.end
            ):
                kept.pop()
            kept.append(match)
        return kept

    def unfinished(self, text: CanonicalText) -> int:
        """The first unit from which on the text, to its end, begins a phrase; its length if there
        is none."""
        total, raw, offsets = len(text), text.raw, text.offsets
        first = max(0, total - self._longest + 1)
        end = text.units[first:].tobytes().decode("latin-1")
        for skipped in range(len(end)):
            if self._automaton.longest_prefix(end[skipped:]) == len(end) - skipped:
                start = int(offsets[first + skipped])
                if not (self._whole_words and start > 0 and raw[start - 1].isalnum()):
                    return first + skipped
        return total

    def _matches(self, text: CanonicalText) -> Iterator[PhraseMatch]:
        raw, offsets = text.raw, text.offsets
        for last, (place, units) in self._automaton.iter(text.units.tobytes().decode("latin-1")):
            start, end = int(offsets[last - units + 1]), int(offsets[last]) + 1
            if self._whole_words and (
                (start > 0 and raw[start - 1].isalnum()) or (end < len(raw) and raw[end].isalnum())
            ):
                continue
            yield PhraseMatch(Span(start, end), place, units)


def read_phrase_file(path: str | Path) -> Iterator[tuple[str, str]]:
    """Place and phrase of each line of a file; empty lines and lines that start with # are none."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8 text; save it as UTF-8") from None
    except OSError as error:
        raise UsageError(f"cannot read the phrase file {path}: {error.strerror}") from None
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            yield f"{path.name}:{number}", line.strip()


def write_phrases(
    index: Path, manifest: Manifest, key: Key, phrases: Iterable[str]
) -> dict[str, tuple[int, str]]:
    """Store an index's phrases, sealed, each once; returns what the manifest is to name."""
    unique = list(dict.fromkeys(phrases))
    PhraseSet(
        ((f"phrase {place}", phrase) for place, phrase in enumerate(unique, 1)), whole_words=False
    )
    if not unique:
        return {}
    # The id keeps the file apart from that of an index that is being replaced in the same folder.
    name = f"phrases-{manifest.index_id}-{manifest.generation}.sealed"
    blob = _sealer(manifest, key).seal(json.dumps(unique).encode(), name)
    return {name: write_durably(index / name, blob)}


def read_phrases(index: Path, manifest: Manifest, key: Key) -> list[str]:
    """The phrases stored with an index. Raises IndexDamagedError."""
    phrases: list[str] = []
    for name in manifest.phrases:
        if not name.startswith("phrases-"):
            continue
        try:
            blob = (index / name).read_bytes()
        except OSError as error:
            raise IndexDamagedError(
                f"{index / name} cannot be read: {error.strerror}; restore it from a backup or "
                "build the index again"
            ) from None
        phrases += json.loads(_sealer(manifest, key).open(blob, name))
    return phrases


def _canonical(phrase: str) -> str:
    return canonical_units(phrase)[0].tobytes().decode("latin-1")


def _sealer(manifest: Manifest, key: Key) -> Sealer:
    return Sealer.derive(key, f"index {manifest.index_id}")
