"""Write guardrail/views/words.npz: in which order words follow one another.

    python scripts/make_word_table.py CORPUS.jsonl [MAN]

CORPUS has English documents in a field "text"; MAN is a folder of manual pages with a folder for
each other language, as /usr/share/man. Words are told apart where they are common, and else by
their last two letters. The table holds how much more often one word follows another than the other
way round, and no text; it is committed. Run this only to change what it is made of.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

TARGET = Path(__file__).resolve().parent.parent / "guardrail" / "views" / "words.npz"
LANGUAGES = "de es fr it nl pl pt_BR sv"
# Common words and common endings, and letters of a word at most.
WORDS, ENDINGS, LONGEST = 500, 120, 8
# Share of each of the other languages in what is common, English being 1; a pair of words of theirs
# counts for no more than so much.
SHARE, MOST = 0.12, 0.6
# What is added to each count, in pairs of a million, and steps of a bit in the table.
PRIOR, SCALE = 1.2, 8


def words(text: str) -> list[str]:
    found = (unicodedata.normalize("NFKD", word.lower()) for word in re.findall(r"[^\W\d_]+", text))
    plain = ("".join(char for char in word if "a" <= char <= "z") for word in found)
    return [word for word in plain if word]


def sentences(text: str) -> Iterator[list[str]]:
    for piece in re.split(r"[.!?;:\n]\s|\n\s*\n|[()\[\]{}=<>|/\\#*\"`]", text):
        if len(found := words(piece)) > 3:
            yield found


def manual(folder: Path) -> Iterator[str]:
    for path in sorted(folder.glob("man*/*.gz")):
        text = gzip.decompress(path.read_bytes()).decode("utf-8", "replace")
        text = re.sub(r"(?m)^[.'].*$", " . ", text)
        yield re.sub(r"\\f.|\\-|\\\(..|\\[a-z&]", "", text)


def packed(word: str) -> int:
    """Five bits a letter, the last in the lowest."""
    value = 0
    for char in word:
        value = value << 5 | (ord(char) - 96)
    return value


def main(corpus: Path, man: Path | None) -> None:
    with corpus.open(encoding="utf-8") as lines:
        texts = {"en": [s for line in lines for s in sentences(json.loads(line)["text"])]}
    for language in LANGUAGES.split() if man else ():
        texts[language] = [s for text in manual(Path(str(man)) / language) for s in sentences(text)]
    texts = {language: found for language, found in texts.items() if found}
    common: Counter[str] = Counter()
    for language, found in texts.items():
        size = sum(map(len, found))
        for word, count in Counter(word for sentence in found for word in sentence).items():
            common[word] += (1.0 if language == "en" else SHARE) * count / size  # type: ignore[assignment]
    kept = [word for word, _ in common.most_common(2 * WORDS) if len(word) <= LONGEST][:WORDS]
    classes = {word: number for number, word in enumerate(kept, 1)}
    rest: Counter[str] = Counter()
    for word, weight in common.items():
        if word not in classes:
            rest[word[-2:]] += weight
    endings = {e: WORDS + n for n, (e, _) in enumerate(rest.most_common(ENDINGS), 1)}
    pairs = np.zeros((WORDS + ENDINGS + 1, WORDS + ENDINGS + 1))
    for language, found in texts.items():
        size = sum(map(len, found))
        weight = 1e6 / size if language == "en" else min(1e6 * SHARE / size, MOST)
        for sentence in found:
            known = [classes.get(word) or endings.get(word[-2:], 0) for word in sentence]
            np.add.at(pairs, (known[:-1], known[1:]), weight)
    order = np.round(SCALE * np.log2((pairs + PRIOR) / (pairs.T + PRIOR)))
    order = np.clip(order, -60, 60).astype(np.int8)
    first, second = np.nonzero(np.triu(order))
    np.savez_compressed(
        TARGET,
        words=np.array([packed(word) for word in kept], np.int64),
        endings=np.array([packed(ending) for ending in endings], np.int64),
        first=first.astype(np.uint16),
        second=second.astype(np.uint16),
        order=order[first, second],
    )
    sys.stdout.write(f"{TARGET.name}: {len(texts)} languages, {TARGET.stat().st_size} bytes\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
