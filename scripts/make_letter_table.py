"""Write guardrail/views/letters.npz: how often letters follow one another in Latin scripts.

    python scripts/make_letter_table.py PROFILES

PROFILES is the folder `langdetect/profiles` of the source distribution of langdetect (Apache-2.0),
which counts letters and pairs of letters in the Wikipedia of each language. The table is committed;
run this only to change which languages it is made of.
"""

from __future__ import annotations

import json
import sys
import unicodedata
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TARGET = Path(__file__).resolve().parent.parent / "guardrail" / "views" / "letters.npz"
LETTERS = 26
# Share of each language; those not named share what is left.
SHARES = {"en": 0.3, "de": 0.08, "fr": 0.08, "es": 0.08, "it": 0.06, "pt": 0.06, "nl": 0.05}
OTHERS = "sv da no pl cs ro fi hu tr id ca hr sk sl et lt lv sq af sw tl"
# Steps of the base-2 logarithms in the table; finer ones change no decision.
SCALE = 16
FLOOR = 1e-6


def index(char: str) -> int:
    """0 to 25 for a letter, its accents apart, 26 for a blank, -1 for what is neither."""
    if char == " ":
        return LETTERS
    base = unicodedata.normalize("NFKD", char.lower())[0]
    return ord(base) - ord("a") if "a" <= base <= "z" else -1


def counts(path: Path) -> NDArray[np.float64]:
    """Share of each pair of letters (and of word edges, index 26) in a language; sums to 1."""
    pairs = np.zeros((LETTERS + 1, LETTERS + 1))
    for gram, count in json.loads(path.read_text("utf-8"))["freq"].items():
        if len(gram) == 2:
            first, second = index(gram[0]), index(gram[1])
            if first >= 0 and second >= 0:
                pairs[first, second] += count
    return pairs / pairs.sum()


def main(folder: Path) -> None:
    rest = (1 - sum(SHARES.values())) / len(OTHERS.split())
    shares = {**SHARES, **dict.fromkeys(OTHERS.split(), rest)}
    pairs = sum(share * counts(folder / name) for name, share in shares.items()) + FLOOR
    single = pairs[:LETTERS].sum(axis=1)
    single = single / single.sum()
    language = np.round(SCALE * np.log2(pairs * LETTERS**2)).astype(np.int16)
    order = np.round(SCALE * np.log2(pairs / pairs.T)).astype(np.int16)
    letters = np.round(SCALE * np.log2(single * LETTERS)).astype(np.int16)
    np.savez_compressed(TARGET, language=language, order=order, letters=letters)
    sys.stdout.write(f"{TARGET.name}: {len(shares)} languages, {TARGET.stat().st_size} bytes\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
