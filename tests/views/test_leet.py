"""Signs in the place of letters, mixed with letters and digits by chance."""

from __future__ import annotations

import random

import numpy as np

from guardrail.text import canonical_units
from guardrail.views.leet import find_leet
from guardrail.views.view import Source
from tests.cases.evasions import MIXED_LEET

# What stands between two telling signs is long here, and some stand between digits and signs.
SPARSE = (
    "agreemen+$: +he p4tien+ und3r$74nd5 and 4gre35 w1th +h3 r3(0mmended med|(a1 7r3@+men7 p|an.\n"
    "\n[d0(+0r] h| , j0hn . h0w 4re y0u ?\n[pa7ien+] h3y . w311 , re|4+iv3|y spe4k!ng , okay . "
    "6ood +o $33 you .\n[doc70r] g00d t0 $33 y0u @5 w3l1 . $0 | kn0w th3 nur$3 told y0u 480ut d4x"
)
PROSE = (
    "The second valve of the northern pump was opened by hand in the early morning of the third "
    "day, and nobody in the control room had been told of it before the pressure in the main line "
    "began to fall; an alarm that should have called had been switched off since the last test."
)


def form(text: str) -> bytes:
    return canonical_units(text)[0].tobytes()


def seen(text: str) -> int:
    return sum(len(view.text) for view in find_leet(Source(text)))


def test_what_stands_far_apart_is_one_stretch() -> None:
    (view,) = find_leet(Source(SPARSE))
    assert form("understands") in form(view.text)
    assert len(view.text) > 0.8 * len(SPARSE)


def test_mixed_by_chance() -> None:
    """Of 200 ways to write a passage, nearly all show from end to end."""
    dice = random.Random(5)
    whole = 0
    for _ in range(200):
        text = "".join(dice.choice(MIXED_LEET.get(c, c)) for c in PROSE.lower())
        whole += seen(text) > 0.8 * len(text)
    assert whole >= 196


def test_codes_and_programs_are_left_alone() -> None:
    random_bytes = np.random.default_rng(3).integers(0, 64, 4000)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    assert seen("".join(alphabet[n] for n in random_bytes)) == 0
    assert (
        seen("if (a || b) { x += 1; y = z | w; } // mail me @ home! it cost $5, or 3+4\n" * 30) == 0
    )
