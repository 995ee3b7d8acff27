"""Signs: what a search finds is never passed over for want of its sign."""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardrail.views import signs
from guardrail.views.letters import ORDERS
from guardrail.views.put_together import PUT_TOGETHER, put_together
from guardrail.views.unmask import FAMILIES, unmask
from guardrail.views.view import Source, View
from tests.cases.disguises import HIDDEN
from tests.views.test_unmask import HOST, HOSTILE, PASSAGE

# What is asked for by other signs than those of its search: read backwards on a sign of its own.
FREE = {signs.SCRIPTS, signs.LETTERS, signs.SPACED | signs.WIDE}


def passed_over(text: str) -> Iterator[tuple[str, View]]:
    """The views of searches that no sign of a text would begin."""
    source = Source(text)
    seen = signs.signs_of(source.letters)
    for needed, family in FAMILIES:
        if needed not in FREE and not seen & needed:
            for view in family(source):
                yield family.__name__, view
    for view in put_together(source, PUT_TOGETHER & ~seen):
        yield "put_together", view


# Characters that signs look at, in pieces of which texts are made that have many of them.
ALPHABETS = (
    "ab \n",
    "0123456789 abcdefx,",
    "%&=\\#;x0123456789ABCDEFabcdef \n\r\t",
    "\"'`*([<#/-)>]} a\n",
    "ABCDEFGHIJKLMNOPabcdef0123456789+/=- \n",
    "|\t,;:= ab1\n",
    ".-/ \nab",
    "@$!|+(<69abc ",
    "слово abcè ⓐℂ",
    "a.b? Cd\nE f",
    '!"#$%&()*+;<=>?@^_`{|}~aZ0 ',
)
PIECES = st.sampled_from(ALPHABETS).flatmap(
    lambda alphabet: st.lists(st.text(alphabet, max_size=30), min_size=1, max_size=12)
)


@settings(max_examples=300, deadline=None)
@given(PIECES, st.lists(st.integers(0, 11), min_size=1, max_size=60), st.booleans())
def test_no_search_finds_what_has_no_sign(
    pieces: list[str], order: list[int], among_words: bool
) -> None:
    text = "".join(pieces[number % len(pieces)] for number in order)
    if among_words:
        text = f"{HOST}{text}{HOST}"
    assert list(passed_over(text)) == []


@pytest.mark.parametrize("hide", HIDDEN.values(), ids=HIDDEN.keys())
def test_no_disguise_lacks_the_sign_of_its_search(hide: object) -> None:
    assert callable(hide)
    for text in (hide(PASSAGE), f"{HOST}\n{hide(PASSAGE)}\n{HOST}"):
        assert list(passed_over(text)) == []


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE.keys())
def test_no_hostile_text_lacks_the_sign_of_a_search(make: object) -> None:
    assert callable(make)
    assert list(passed_over(make(2000))) == []


def test_pieces_of_disguises_show_the_sign_of_their_search() -> None:
    """At every length, as signs count in steps and searches do not."""
    dice = random.Random(3)
    for hide in HIDDEN.values():
        for _ in range(12):
            words = " ".join(dice.sample(PASSAGE.split(), dice.randrange(3, 20)))
            text = "x" * dice.randrange(9) + " " + hide(words)
            assert list(passed_over(text[: dice.randrange(len(text) + 1)])) == []


@pytest.mark.parametrize("size", range(20, 32))
def test_codes_show_from_the_shortest_on(size: int) -> None:
    code = base64.b64encode(b"what a secret this is, so that nobody may read it")[:size].decode()
    for before in range(9):
        seen = signs.signs_of(np.frombuffer((" " * before + code + " ").encode(), np.uint8))
        assert bool(seen & signs.CODES) == (size >= signs.SHORTEST)


@pytest.mark.parametrize(
    "text",
    [
        "It is at https://example.org/of-words.html now.",
        "The don'ts of 'it's' and isn't, can't, won't, shan't, mustn't, needn't, oughtn't, ain't!",
        "Oak - elm - beech - ash - lime - alder - maple - birch - plane - fir - a list of words.",
        "R & D costs 5 % = 7 % of all, a\\(b is (no) escape & nothing = nothing, 100 % = all.",
        "What a day! Go! Run! Hide! Now! $5 + $6 = $11! Yes! No! Why! How! Stop!",
    ],
)
def test_prose_shows_no_sign(text: str) -> None:
    assert unmask(text) is None
    assert signs.signs_of(Source(text).letters) & ~(signs.WORDS | signs.REVERSED) == 0


def test_words_in_their_order_have_no_order_reversed() -> None:
    masked = unmask(" ".join(PASSAGE.split()[::-1]) * 2)
    assert masked is not None
    assert ORDERS[-1] in [view.name for view in masked.views]
