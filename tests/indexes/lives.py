"""Indexes that live through changes: their corpora, and the naive search as their specification."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from guardrail.indexes import build as building
from guardrail.indexes import lifecycle
from guardrail.indexes.documents import Document
from guardrail.indexes.index import Index
from guardrail.indexes.query import make_query
from guardrail.indexes.readers import ReadOptions
from guardrail.indexes.runs import Grid
from guardrail.text import canonical_units
from tests.indexes.builders import KEY

GRID = Grid(gram=8, stride=4, passages=True)
# No posting of a tiny alphabet is dropped, so that the naive search is the specification.
MAX_POSTINGS = 65535
# Two bits a unit let a match run on past its end by chance: by n units once in 4 ** n times.
CHANCE = 12
ROOT = Path(__file__).resolve().parent.parent.parent

Living = Mapping[tuple[str, str], Document]


def options(**more: Any) -> ReadOptions:
    """How the corpora of `write_corpus` are read."""
    return ReadOptions(collection_field="collection", label_field="labels", **more)


_USUAL: dict[str, Any] = {"jobs": 1, "options": options()}


def write_corpus(path: Path, documents: Iterable[Document]) -> str:
    """A JSON Lines file of documents; its path."""
    with path.open("w", encoding="utf-8") as file:
        for document in documents:
            record = {
                "id": document.id,
                "text": document.text,
                "collection": document.collection,
                "labels": list(document.labels),
            }
            file.write(json.dumps(record) + "\n")
    return str(path)


def build_index(path: Path, documents: Iterable[Document], **more: Any) -> building.BuildReport:
    """Build an index at `path`; its corpus lies beside it."""
    corpus = write_corpus(path.with_suffix(".jsonl"), documents)
    chosen: dict[str, Any] = {"grid": GRID, "max_postings": MAX_POSTINGS, **_USUAL, **more}
    return building.build([corpus], path, KEY, **chosen)


def add_to_index(path: Path, documents: Iterable[Document], **more: Any) -> building.BuildReport:
    """Add documents to the index at `path`."""
    corpus = write_corpus(path.with_suffix(".jsonl"), documents)
    chosen: dict[str, Any] = {**_USUAL, **more}
    return building.add([corpus], path, KEY, **chosen)


def named(documents: Iterable[Document]) -> dict[tuple[str, str], Document]:
    """Documents by collection and id."""
    return {(document.collection, document.id): document for document in documents}


def canonical(text: str) -> bytes:
    """The units of a text, as a string that can be searched naively."""
    return canonical_units(text)[0].tobytes()


def holders(path: Path, responses: Sequence[str]) -> list[set[tuple[str, str]]]:
    """Collection and id of the documents that the index names for each response."""
    index = Index.open(path, KEY)
    return [{name for name, *_ in matches(index, response)} for response in responses]


def matches(index: Index, response: str) -> list[tuple[tuple[str, str], int, int, int, Any]]:
    """What the index finds: document, start and end in the response, start in the document, and
    what the index says of the place."""
    query = make_query(canonical_units(response)[0], index.grid.gram, index.gram_key)
    found = []
    for segment, rows, _ in index.match(query, index.grid.bound):
        for start, end, row, origin, _ in rows.tolist():
            place = segment.place(row, origin, end - start)
            found.append(((place.collection, place.document), start, end, origin, place))
    return found


def check_against_naive(path: Path, living: Living, responses: Iterable[str]) -> None:
    """The index answers for the living documents as a naive search does, and for no others; it is
    sound, and tells its contents right."""
    index = Index.open(path, KEY)
    texts = {name: canonical(document.text) for name, document in living.items()}
    for response in responses:
        units = canonical(response)
        found = matches(index, response)
        for name, start, end, origin, place in found:
            assert name in living, f"{name} is forgotten or was never there"
            assert place.labels == living[name].labels
            assert holds_run(units[start:end], texts[name][origin : origin + end - start])
        covered = [(name[0], place.labels, start, end) for name, start, end, _, place in found]
        for name, text in texts.items():
            group = (name[0], living[name].labels)
            for start, end in shared_runs(units, text, index.grid.bound):
                assert any(
                    match[:2] == group and match[2] <= start and end <= match[3]
                    for match in covered
                ), (name, start, end, covered)
    check_census(path, living)
    assert lifecycle.verify(path, KEY) == []


def shared_runs(response: bytes, document: bytes, least: int) -> set[tuple[int, int]]:
    """Start and end in the response of all maximal runs of at least `least` shared units."""
    runs = set()
    for start in range(len(response) - least + 1):
        place = document.find(response[start : start + least])
        while place >= 0:
            if start == 0 or place == 0 or response[start - 1] != document[place - 1]:
                length = least
                while response[start : start + length + 1] == document[place : place + length + 1]:
                    if start + length >= len(response) or place + length >= len(document):
                        break
                    length += 1
                runs.add((start, start + length))
            place = document.find(response[start : start + least], place + 1)
    return runs


def holds_run(found: bytes, held: bytes) -> bool:
    """Whether a match is a true run but for what chance may add at its ends."""
    assert len(found) == len(held)
    edges = [-1, *(at for at in range(len(found)) if found[at] != held[at]), len(found)]
    return any(
        after - before > GRID.gram and before < CHANCE and len(found) - after < CHANCE
        for before, after in itertools.pairwise(edges)
    )


def check_census(path: Path, living: Living) -> None:
    """`info` counts what lives."""
    told = lifecycle.info(path, KEY)
    assert told["documents"] == len(living)
    assert told["collections"] == dict(Counter(collection for collection, _ in living))
    assert told["labels"] == dict(
        Counter(label for document in living.values() for label in document.labels)
    )


def command(
    *arguments: str | Path, environment: Mapping[str, str] | None = None, **more: Any
) -> subprocess.CompletedProcess[str]:
    """Run `guardrail` as a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", "from guardrail.cli import main; main()", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **more,
    )


def complaint(done: subprocess.CompletedProcess[str]) -> str:
    """The one error that a command ended with."""
    assert done.returncode == 1, done
    assert done.stderr.startswith("error: "), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert "internal error" not in done.stderr, done.stderr
    assert done.stdout == ""
    return done.stderr.removeprefix("error: ").strip()
