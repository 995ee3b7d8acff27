"""Ways to write a text that leave its canonical form as it is: tests and benchmarks use them all.

A way that got past the filter is added here, with a word on why it worked.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

ZERO_WIDTH = "\u200b\u200c\u200d\u2060\ufeff\u00ad\u034f\u180e\u202e\u2066\ufe0f\U000e0100"
LOOK_ALIKES = str.maketrans("aeopcxyABEKMHOPCTX", "аеорсхуАВЕКМНОРСТХ")
GREEK = str.maketrans("ovABEZHIKMNOPTYX", "ονΑΒΕΖΗΙΚΜΝΟΡΤΥΧ")
FULL_WIDTH = {ord(c): ord(c) + 0xFEE0 for c in map(chr, range(0x21, 0x7F))}
LEET = str.maketrans(
    {"o": "0", "l": "1", "e": "3", "a": "4", "s": "5", "t": "7", "b": "8", "z": "2"}
)


def _bold(text: str) -> str:
    return "".join(chr(ord(c) - ord("a") + 0x1D41A) if "a" <= c <= "z" else c for c in text)


DISGUISES: dict[str, Callable[[str], str]] = {
    "plain": lambda text: text,
    "upper case": lambda text: text.upper(),
    "lower case": lambda text: text.lower(),
    "swapped case": lambda text: text.swapcase(),
    "full width": lambda text: text.translate(FULL_WIDTH),
    "no spaces": lambda text: text.replace(" ", ""),
    "double spaces": lambda text: text.replace(" ", "  \t\u00a0\u3000"),
    "wrapped": lambda text: text.replace(" ", "\r\n"),
    "hyphen joins": lambda text: re.sub(r"(\w)(\w)", "\\1-\n\\2", text, count=3),
    "punctuation": lambda text: re.sub(r"(\w)", r"\1.,;:!?…'\"", text),
    "Markdown": lambda text: "> **" + text.replace(" ", "** _*`~#|") + "**",
    "accents": lambda text: re.sub(r"([a-zA-Z])", "\\1\u0301\u0323\u20dd", text),
    "decomposed": lambda text: unicodedata.normalize("NFD", text),
    "composed": lambda text: unicodedata.normalize("NFKC", text),
    "zero width": lambda text: ZERO_WIDTH.join(text),
    "letter spacing": lambda text: " ".join(text),
    "Cyrillic": lambda text: text.translate(LOOK_ALIKES),
    "Greek": lambda text: text.translate(GREEK),
    "digits for letters": lambda text: text.translate(LEET),
    "mathematical bold": _bold,
    "emoji between": lambda text: "🙂‍↔️".join(text),
    "nulls": lambda text: "\0".join(text),
    "lone surrogates": lambda text: "\ud800".join(text),
    "direction marks": lambda text: "\u202e" + text + "\u202c\u200f",
}
