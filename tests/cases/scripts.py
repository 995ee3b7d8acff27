"""Ways to write a passage that one script or language has: each leaves other text as it is.

A reader of the language sees the same words. `WAYS` are pairs of a pattern that tells which text a
way is for, and what it does. Those in `SPELLED` put other letters in: canonical text differs, and a
passage is found as an edited one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

ARABIC, HANGUL, KANA, CYRILLIC = "[\u0621-\u064a\u0671-\u06d3]", "[가-힣]", "[ぁ-ヿ]", "[а-яё]"
_MARKS = "\u064e\u064f\u0650\u0651\u0652\u064b"
_HALF_KANA = {
    ord(unicodedata.normalize("NFKC", half)): half
    for half in map(chr, range(0xFF66, 0xFF9E))
    if half != "ｰ"
}
_UNICODE_DIGITS = {
    "Arabic": str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩"),
    "Devanagari": str.maketrans("0123456789", "०१२३४५६७८९"),
    "Thai": str.maketrans("0123456789", "๐๑๒๓๔๕๖๗๘๙"),
}
_CHINESE_MARKS = str.maketrans("。，、；：？！「」（）", '.,,;:?!""()')
_ALEFS = str.maketrans("أإآٱ", "اااا")
_PERSIAN = str.maketrans("يكىة", "یکیه")
_HALF_MARKS = {"゙": "ﾞ", "゚": "ﾟ"}


def _vowelled(text: str) -> str:
    marks = iter(range(1 << 30))
    return re.sub(ARABIC, lambda m: m[0] + _MARKS[next(marks) % len(_MARKS)], text)


def _katakana(text: str) -> str:
    return "".join(chr(ord(c) + 0x60) if "ぁ" <= c <= "ゖ" else c for c in text)


def _half_width(text: str) -> str:
    plain = unicodedata.normalize("NFD", _katakana(text))
    return "".join(_HALF_KANA.get(ord(c), _HALF_MARKS.get(c, c)) for c in plain)


def _umlauts(text: str) -> str:
    for letter, spelled in {
        "ä": "ae",
        "ö": "oe",
        "ü": "ue",
        "Ä": "Ae",
        "Ö": "Oe",
        "Ü": "Ue",
    }.items():
        text = text.replace(letter, spelled)
    return text.replace("ß", "ss")


def _without_marks(text: str) -> str:
    plain = unicodedata.normalize("NFD", text)
    return "".join(c for c in plain if not unicodedata.combining(c))


WAYS: dict[str, tuple[str, Callable[[str], str]]] = {
    "umlauts spelled out": ("[äöüß]", _umlauts),
    "ss for ß": ("ß", lambda t: t.replace("ß", "ss")),
    "without accents": ("[à-ÿ]", _without_marks),
    "capitals of Turkish": ("[ğış]", lambda t: t.replace("i", "İ").replace("ı", "I").upper()),
    "without marks, Turkish": ("[ğış]", lambda t: _without_marks(t).replace("ı", "i")),
    "tatweel": (ARABIC, lambda t: re.sub(f"({ARABIC})", "\\1ـ", t)),
    "vowel marks": (ARABIC, _vowelled),
    "alef for alef with hamza": ("[أإآ]", lambda t: t.translate(_ALEFS)),
    "Persian letters": ("[يكىة]", lambda t: t.translate(_PERSIAN)),
    "digits of Arabic": (ARABIC, lambda t: t.translate(_UNICODE_DIGITS["Arabic"])),
    "digits of Devanagari": ("[क-ह]", lambda t: t.translate(_UNICODE_DIGITS["Devanagari"])),
    "digits of Thai": ("[ก-ฮ]", lambda t: t.translate(_UNICODE_DIGITS["Thai"])),
    "without nukta": (
        "\u093c|[\u0958-\u095f]",
        lambda t: unicodedata.normalize("NFD", t).replace("\u093c", ""),
    ),
    "single jamo": (HANGUL, lambda t: unicodedata.normalize("NFD", t)),
    "katakana": (KANA, _katakana),
    "half-width kana": (KANA, _half_width),
    "е for ё": ("ё", lambda t: t.replace("ё", "е").replace("Ё", "Е")),
    "Latin look-alikes": (
        CYRILLIC,
        lambda t: t.translate(str.maketrans("аеорсухіАВЕКМНОРСТХ", "aeopcyxiABEKMHOPCTX")),
    ),
    "ASCII punctuation": ("[。，、]", lambda t: t.translate(_CHINESE_MARKS)),
    "a blank between all": ("[一-鿿ぁ-ヿ가-힣ก-๙]", " ".join),
}

SPELLED = {"umlauts spelled out"}
