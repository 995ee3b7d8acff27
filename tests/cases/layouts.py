"""Clean texts that are laid out in so many pieces that each could be looked at for each other."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterator
from itertools import cycle

WORDS = ("time", "year", "people", "way", "thing", "life", "child", "world", "school", "state")


def words(rng: random.Random, count: int) -> str:
    return " ".join(rng.choice(WORDS) for _ in range(count))


def layouts(size: int) -> dict[str, str]:
    """Texts of so many characters, by name."""
    rng = random.Random(1)
    marks = cycle("-*+0123456789")
    row = "|".join(f"c{n}" for n in range(120))
    made = {
        "list": (f"- {rng.choice('abcdefgh')}x{n}\n" for n in range(size)),
        "alternating marks": (f"{next(marks)} {words(rng, 2)}\n" for n in range(size)),
        "nested list": (f"{'  ' * (n % 6)}- {words(rng, 2)}\n" for n in range(size)),
        "one word a line": (f"{rng.choice(WORDS)}\n" for n in range(size)),
        "numbered": (f"{n}. {words(rng, 3)}\n" for n in range(1, size)),
        "table": (f"| {rng.choice(WORDS)} | {n} | {rng.random():.2f} |\n" for n in range(size)),
        "wide table": (f"{row}\n" for n in range(size)),
        "open quotes": (f'"{rng.choice(WORDS)} ' for n in range(size)),
        "open brackets": (f"([{{{rng.choice(WORDS)} " for n in range(size)),
        "log": (f"2024-05-{n % 28 + 1:02d} INFO {words(rng, 4)}\n" for n in range(size)),
        "code": (f"def f{n}(a):\n    return b[{n}]  # {words(rng, 2)}\n" for n in range(size)),
        "JSON": (json.dumps({"id": n, "name": rng.choice(WORDS)}) + "\n" for n in range(size)),
        "base64": (base64.b64encode(rng.randbytes(48)).decode() for n in range(size)),
    }  # fmt: skip
    return {name: filled(pieces, size) for name, pieces in made.items()}


def filled(pieces: Iterator[str], size: int) -> str:
    text = ""
    while len(text) < size:
        text += next(pieces)
    return text[:size]
