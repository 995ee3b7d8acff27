"""Places of tokens, alignment by characters, and windows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import ByteLevelBPETokenizer
from transformers import PreTrainedTokenizerFast

from guardrail.classifiers.memorization.batching import QUEUE_TOKENS
from guardrail.classifiers.memorization.scorer import MOST_TOKENS
from guardrail.classifiers.memorization.tokens import Decoder, align, encode
from guardrail.classifiers.memorization.windows import rows_for


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    made = ByteLevelBPETokenizer()
    lines = ["the quick brown fox of 1789", "naïve façade, 東京 and 🙂 smile"] * 20
    made.train_from_iterator(
        lines, vocab_size=320, special_tokens=["<|endoftext|>"], show_progress=False
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made._tokenizer, bos_token="<|endoftext|>", eos_token="<|endoftext|>"
    )


@given(st.text(max_size=60))
def test_places_cover_any_text(tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    tokens = encode(tokenizer, text)
    covered = {n for start, end in tokens.places.tolist() for n in range(start, end)}
    assert covered == set(range(len(text)))
    assert np.all(np.diff(tokens.places[:, 0]) >= 0)


@pytest.mark.parametrize("text", ["\ud800", "a\ud800\udc00b", "x\udfff\ud800 the fox", "", "\0"])
def test_lone_surrogates_keep_their_places(tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    tokens = encode(tokenizer, text)
    assert max(tokens.places[:, 1], default=0) == len(text)


@given(st.text(max_size=40), st.lists(st.integers(0, 60), max_size=5))
def test_decoded_in_any_pieces_the_places_are_those_of_the_whole(
    tokenizer: PreTrainedTokenizerFast, text: str, cuts: list[int]
) -> None:
    tokens = encode(tokenizer, text)
    decoder = Decoder(tokenizer)
    position = 0
    for cut in [*sorted(min(cut, len(tokens)) for cut in cuts), len(tokens)]:
        decoder.push(tokens.ids[position:cut])
        position = cut
    assert decoder.places == [tuple(place) for place in tokens.places.tolist()]


@given(st.text(alphabet="abc é東🙂", min_size=1, max_size=40), st.integers(0, 1000))
def test_alignment_keeps_the_sum(tokenizer: PreTrainedTokenizerFast, text: str, seed: int) -> None:
    onto = encode(tokenizer, text).places
    dice = np.random.default_rng(seed)
    cuts = np.unique(np.concatenate([[0, len(text)], dice.integers(0, len(text), 5)]))
    places = np.stack([cuts[:-1], cuts[1:]], 1)
    values = -dice.random(len(places)) * 9
    moved = align(values, places, onto)
    assert len(moved) == len(onto)
    assert moved.sum() == pytest.approx(values.sum())
    assert moved.max() <= 1e-9


def test_alignment_spreads_nats_over_characters() -> None:
    places = np.array([[0, 4], [4, 6]])
    onto = np.array([[0, 2], [2, 6]])
    assert align(np.array([-4.0, -1.0]), places, onto) == pytest.approx([-2.0, -3.0])
    # Two tokens of one character share its nats.
    assert align(np.array([-3.0]), np.array([[0, 1]]), np.array([[0, 1], [0, 1]])) == pytest.approx(
        [-1.5, -1.5]
    )


@given(st.integers(0, 60), st.integers(0, 150), st.integers(4, 40))
def test_windows_score_each_token_once_with_what_is_before_it(
    before: int, count: int, context: int
) -> None:
    prompt, ids = list(range(1000, 1000 + before)), list(range(count))
    scored: list[int] = []
    for row, first in rows_for(-1, prompt, ids, context):
        assert len(row) <= context
        assert row[0] == -1
        assert first >= 1
        whole = [-1, *prompt, *ids]
        tail = row[1:]
        assert any(whole[n : n + len(tail)] == tail for n in range(len(whole)))
        # Half a context before the first scored token, or all there is.
        assert first >= min(context // 2, 1 + before + len(scored))
        scored += row[first:]
    assert scored == ids


def test_the_longest_response_fits_into_the_queue() -> None:
    """Under four models, cut into the windows of a small context, without a prompt in common."""
    rows = rows_for(0, range(100_000), range(MOST_TOKENS), 512)
    assert 4 * sum(len(row) for row, _ in rows) <= QUEUE_TOKENS
