"""Attacks on the files of an index without its key (guarantee G4).

Each attack is run twice: on an index of a secret key, where it must do no better than chance, and
on the same index made with a key that the attacker has, where it must succeed. The second run
proves that the attack works and so that the first could fail.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from guardrail.indexes.build import build
from guardrail.indexes.documents import Document
from guardrail.indexes.grams import GramKey, Hashes, hash_grams, roll_grams
from guardrail.indexes.readers import ReadOptions
from guardrail.indexes.runs import Grid, RunWriter
from guardrail.indexes.segment import Segment
from guardrail.keys import Key, new_key
from guardrail.text import canonical_units
from tests.indexes.builders import make_segment

PUBLIC = Key(b"a key that the attacker knows...")
GRID = Grid(16, 4)


class Thief:
    """Has the files and the program, and a key that is the right one only in the second run."""

    def __init__(self, segment: Segment) -> None:
        folder, self.bits = segment.folder, segment.info.bucket_bits
        self.directory = np.frombuffer((folder / "directory").read_bytes(), np.uint32)
        self.remainders = np.frombuffer((folder / "remainders").read_bytes(), np.uint16)
        self.key = GramKey.derive(PUBLIC)

    def known_grams(self, text: str) -> int:
        """How many grams of a text are in the index, as far as the thief can tell."""
        rolled = roll_grams(canonical_units(text)[0], GRID.gram, self.key)
        hits = 0
        for value in hash_grams(rolled, self.key).tolist():
            bucket, rest = value >> (64 - self.bits), value >> (48 - self.bits) & 0xFFFF
            entries = self.remainders[self.directory[bucket] : self.directory[bucket + 1]]
            hits += bool((entries == rest).any())
        return hits

    def best(self, candidates: Sequence[str]) -> int | None:
        scores = [self.known_grams(candidate) for candidate in candidates]
        top = max(scores)
        return scores.index(top) if top and scores.count(top) == 1 else None


def both_ways(tmp_path: Path, documents: list[Document]) -> tuple[Thief, Thief]:
    """The thief of the index with a secret key, and of the one with a public key."""
    thieves = []
    for name, key in (("secret", new_key()), ("public", PUBLIC)):
        (tmp_path / name).mkdir()
        thieves.append(Thief(make_segment(tmp_path / name, documents, GRID, key=key)))
    return thieves[0], thieves[1]


def test_guessing_the_next_word_after_a_known_beginning(tmp_path: Path) -> None:
    dice = random.Random(4)
    words = ["".join(dice.choices("abcdefghijklmnop", k=9)) for _ in range(40)]
    secrets = [dice.randrange(40) for _ in range(60)]
    seeds = [f"the findings of patient {n:02} show " for n in range(60)]
    documents = [
        Document(str(n), seeds[n] + words[word] + " and nothing else was seen that day")
        for n, word in enumerate(secrets)
    ]
    secret, public = both_ways(tmp_path, documents)

    def guessed(thief: Thief) -> int:
        return sum(
            thief.best([seed[-20:] + word for word in words]) == answer
            for seed, answer in zip(seeds, secrets, strict=True)
        )

    assert guessed(public) >= 55
    assert guessed(secret) <= 6  # 1.5 expected by chance


def test_trying_all_digits_of_a_known_template(tmp_path: Path) -> None:
    dice = random.Random(5)
    numbers = [f"{dice.randrange(1000):03}" for _ in range(12)]
    documents = [
        Document(str(n), f"of all pins in this house account {n:02} has pin {number}, do not tell")
        for n, number in enumerate(numbers)
    ]
    secret, public = both_ways(tmp_path, documents)

    def found(thief: Thief) -> int:
        right = 0
        for n, number in enumerate(numbers):
            tried = [f"account {n:02} has pin {digits:03}, do not" for digits in range(1000)]
            right += thief.best(tried) == int(number)
        return right

    assert found(public) >= 11
    assert found(secret) <= 1  # 0.012 expected by chance


def solve_base(first: np.uint64, second: np.uint64, step: int) -> int:
    """The base of a polynomial hash, from the hashes of two grams that differ by `step` (odd) in
    their last unit but one: their difference is step * base modulo 2 ** 64."""
    return (int(second) - int(first)) * pow(step, -1, 1 << 64) % (1 << 64)


def test_solving_for_the_base_from_known_pairs() -> None:
    """The attacker is even given the full hashes of grams of his choice."""
    key = GramKey.derive(new_key())
    grams = [b"knownplaintext.a!", b"knownplaintext.b!", b"completely other1"]
    units = [np.frombuffer(gram[1:], np.uint8) for gram in grams]
    rolled = [roll_grams(unit, 16, key) for unit in units]
    hashed = [hash_grams(value, key) for value in rolled]

    def predicts(values: list[Hashes]) -> bool:
        base = solve_base(values[0][0], values[1][0], int(units[1][14]) - int(units[0][14]))
        value = 0
        for unit in units[2].tolist():
            value = (value * base + unit + 1) % (1 << 64)
        return value == int(values[2][0])

    assert predicts(rolled)
    assert not predicts(hashed)


def test_masked_arrays_show_no_pattern(tmp_path: Path) -> None:
    """A text that repeats itself: its tags and ordinals do, what is on disk does not."""
    documents = [Document(str(n), "the same sentence again and again. " * 40) for n in range(40)]
    segments = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        segments.append(make_segment(tmp_path / name, documents, Grid(16, 12), max_postings=9999))
    for name in ("tags", "marks", "ordinals"):
        words = np.frombuffer((segments[0].folder / name).read_bytes(), np.uint64)
        assert len(np.unique(words)) >= len(words) - 1
        ones = np.unpackbits(words.view(np.uint8)).mean()
        assert 0.45 < ones < 0.55
    plain, _ = segments[0].tag_words(0, int(segments[0].spans.sum()))
    assert len(np.unique(plain)) < len(plain) / 2


def test_two_segments_of_one_corpus_are_masked_apart(tmp_path: Path) -> None:
    """One mask used twice would give the difference of two contents away."""
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("one and the same text in two indexes of one key, word for word " * 20)
    key = new_key()
    tags = []
    for name in ("one", "two"):
        build([str(corpus)], tmp_path / name, key, jobs=1)
        (file,) = (tmp_path / name).glob("segments/*/tags")
        tags.append(np.frombuffer(file.read_bytes(), np.uint64))
    assert not (tags[0] == tags[1]).any()


SECRETS = [
    "Projekt Nachtfalter",
    "nachtfalter",
    "Q-991-lambda",
    "fischgraetenmuster",
    "geheimlabel",
]


@pytest.mark.parametrize("state", ["finished", "interrupted"])
def test_no_file_holds_a_name_a_label_or_text(tmp_path: Path, state: str) -> None:
    source = tmp_path / "Projekt Nachtfalter"
    source.mkdir()
    record = {"id": "Q-991-lambda", "text": "fischgraetenmuster " * 30}
    (source / "docs.jsonl").write_text(json.dumps(record))
    options = ReadOptions(collection="nachtfalter", labels=("geheimlabel",))
    out = tmp_path / "index"
    if state == "finished":
        phrases = ["fischgraetenmuster und mehr"]
        build([str(source)], out, new_key(), options=options, phrases=phrases, jobs=1)
    else:
        (out / "work").mkdir(parents=True)
        writer = RunWriter(out / "work", "unit", GRID, new_key())
        writer.add(Document("Q-991-lambda", record["text"], "nachtfalter", ("geheimlabel",)))
        writer.flush()
    files = [path for path in out.rglob("*") if path.is_file()]
    assert len(files) >= 5
    for path in files:
        content = path.read_bytes()
        for secret in SECRETS:
            assert secret.encode() not in content, path
            assert canonical_units(secret)[0].tobytes() not in content, path
    assert any(secret in json.dumps(record) for secret in SECRETS)  # the search does find them


def test_an_interrupted_build_masks_tags_too(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path, "unit", Grid(16, 12), new_key())
    writer.add(Document("d", "the same sentence again and again. " * 400))
    writer.flush()
    words = np.load(tmp_path / "unit-000.tags.npy")
    assert len(np.unique(words)) == len(words)
