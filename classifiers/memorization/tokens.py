"""Tokens and their places in a text, in code points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Nats = NDArray[np.float64]
Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Tokens:
    """The tokens of a text: `ids`, and `places`, shape (tokens, 2), half-open ranges of code
    points. Tokens that share the bytes of one character share its place."""

    ids: list[int]
    places: Places

    def __len__(self) -> int:
        return len(self.ids)


def encode(tokenizer: Any, text: str) -> Tokens:
    """The tokens of any string, without special tokens. A lone surrogate, which no tokenizer
    takes, counts as the replacement character, which is as long."""
    clean = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if len(clean) != len(text):  # two lone surrogates in a row became one character
        clean = "".join("�" if 0xD800 <= ord(char) < 0xE000 else char for char in text)
    made = tokenizer(clean, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    return Tokens(
        list(made["input_ids"]), np.array(made["offset_mapping"], np.int64).reshape(-1, 2)
    )


class Decoder:
    """Text from tokens as they come, and the place of each."""

    # Tokens before the undecided ones that are decoded with them: some tokenizers drop a blank at
    # the start of what they decode.
    BEFORE = 4

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._ids: list[int] = []
        self._settled = 0
        self._length = 0
        self.places: list[tuple[int, int]] = []

    def push(self, ids: Sequence[int]) -> None:
        """Take tokens. Those of an unfinished character have the place of one code point."""
        for token in ids:
            self._ids.append(int(token))
            before = self._ids[max(0, self._settled - self.BEFORE) : self._settled]
            head = self._decode(before)
            new = self._decode([*before, *self._ids[self._settled :]])[len(head) :]
            undecided = len(self._ids) - self._settled
            if new.endswith("�") and undecided < 4:  # no character has more than four bytes
                self.places.append((self._length, self._length + 1))
                continue
            start, self._length = self._length, self._length + len(new)
            if undecided > 1:
                self.places[-undecided + 1 :] = [(start, self._length)] * (undecided - 1)
            self.places.append((start, self._length))
            self._settled = len(self._ids)

    def _decode(self, ids: list[int]) -> str:
        text: str = self._tokenizer.decode(
            ids, skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        return text


def align(values: Nats, places: Places, onto: Places) -> Nats:
    """Nats of one tokenizer's tokens as nats of another's, by the characters they stand for.

    A token's nats are spread evenly over its characters, and a character's over the tokens that
    cover it, so that the sum stays the same where both cover the same characters.
    """
    if len(values) == 0 or len(onto) == 0:
        return np.zeros(len(onto))
    length = int(max(places[:, 1].max(), onto[:, 1].max()))
    widths = np.maximum(places[:, 1] - places[:, 0], 1)
    density = np.zeros(length + 2)
    np.add.at(density, places[:, 0], values / widths)
    np.add.at(density, places[:, 0] + widths, -values / widths)
    covering = np.zeros(length + 2)
    wide = np.maximum(onto[:, 1] - onto[:, 0], 1)
    np.add.at(covering, onto[:, 0], 1.0)
    np.add.at(covering, onto[:, 0] + wide, -1.0)
    cover = np.cumsum(covering)
    share = np.divide(np.cumsum(density), cover, out=np.zeros(length + 2), where=cover > 0.5)
    sums = np.concatenate(([0.0], np.cumsum(share)))
    return np.asarray(sums[onto[:, 0] + wide] - sums[onto[:, 0]])
