"""Ways to leak a passage that change its words, its order, its surroundings or its letters.

`disguises` holds those that leave the canonical form as it is. Each function here takes a passage
and `Material` and returns parts of text: pairs of a text and whether it is leaked. All that is
random comes from the material's dice, so that one seed gives one text.

A way that got past the filter is added here, with a word on why it worked.
"""

from __future__ import annotations

import base64
import codecs
import json
import random
import re
import string
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle

from tests.cases.disguises import (
    DISGUISES,
    GREEK,
    HIDDEN,
    LONGER,
    LOOK_ALIKES,
    MIRRORED,
    pig_latin,
    uuencoded,
)

Parts = list[tuple[str, bool]]


@dataclass(frozen=True, slots=True)
class Material:
    """What the ways draw on besides the passage: dice, words to put in, clean text to put between
    (a list of words of other responses)."""

    dice: random.Random
    words: Sequence[str]
    filler: Sequence[str]

    def clean(self, count: int) -> str:
        """Some words of clean text, in their order."""
        start = self.dice.randrange(max(1, len(self.filler) - count))
        return " ".join(self.filler[start : start + count])


Way = Callable[[str, Material], Parts]


def _whole(change: Callable[[str], str]) -> Way:
    return lambda passage, material: [(change(passage), True)]


def _over_words(change: Callable[[list[str], Material], list[str]]) -> Way:
    return lambda passage, material: [(" ".join(change(passage.split(), material)), True)]


# --- edits: one word in so many ------------------------------------------------------------------


def _chosen(count: int, every: int, dice: random.Random) -> set[int]:
    """One place in each `every` of `count`, by chance."""
    places = (start + dice.randrange(every) for start in range(0, count, every))
    return {place for place in places if place < count}


def replaced(every: int) -> Way:
    """Another word of the corpus in the place of one word in `every`."""

    def change(words: list[str], material: Material) -> list[str]:
        places = _chosen(len(words), every, material.dice)
        return [material.dice.choice(material.words) if n in places else w for n, w in _n(words)]

    return _over_words(change)


def dropped(every: int) -> Way:
    """One word in `every` left out."""

    def change(words: list[str], material: Material) -> list[str]:
        places = _chosen(len(words), every, material.dice)
        return [word for n, word in _n(words) if n not in places]

    return _over_words(change)


def inserted(every: int) -> Way:
    """Another word of the corpus after one word in `every`."""

    def change(words: list[str], material: Material) -> list[str]:
        places = _chosen(len(words), every, material.dice)
        return [
            part
            for n, word in _n(words)
            for part in ((word, material.dice.choice(material.words)) if n in places else (word,))
        ]

    return _over_words(change)


def moved(every: int) -> Way:
    """One word in `every` put two to four words further on."""

    def change(words: list[str], material: Material) -> list[str]:
        changed = list(words)
        for place in sorted(_chosen(len(words), every, material.dice), reverse=True):
            changed.insert(place + material.dice.randint(2, 4), changed.pop(place))
        return changed

    return _over_words(change)


def respelled(every: int) -> Way:
    """One letter in the middle of one word in `every` replaced, as a slip of the pen does."""

    def change(words: list[str], material: Material) -> list[str]:
        places = _chosen(len(words), every, material.dice)
        return [_slip(w, material.dice) if n in places else w for n, w in _n(words)]

    return _over_words(change)


def _slip(word: str, dice: random.Random) -> str:
    place = len(word) // 2
    return word[:place] + dice.choice(string.ascii_lowercase) + word[place + 1 :]


def _n(words: list[str]) -> Iterator[tuple[int, str]]:
    return enumerate(words)


# --- splices: in pieces, out of order, among other text ------------------------------------------


def sentences(passage: str) -> list[str]:
    """The sentences or lines of a passage; where there is one only, pieces of a dozen words."""
    parts = [part for part in re.split(r"(?<=[.!?;])\s+|\n+", passage) if part.strip()]
    return parts if len(parts) > 1 else chunks(passage, 12)


def chunks(passage: str, count: int) -> list[str]:
    words = passage.split()
    return [" ".join(words[n : n + count]) for n in range(0, len(words), count)]


def _shuffled(parts: list[str], dice: random.Random) -> list[str]:
    """The parts in another order."""
    if len(parts) < 2:
        return parts
    while (order := dice.sample(parts, len(parts))) == parts and len(set(parts)) > 1:
        pass
    return order


def shuffled_sentences(passage: str, material: Material) -> Parts:
    return [(" ".join(_shuffled(sentences(passage), material.dice)), True)]


def shuffled_chunks(count: int) -> Way:
    return lambda passage, material: [
        (" ".join(_shuffled(chunks(passage, count), material.dice)), True)
    ]


def interleaved(count: int, between: int) -> Way:
    """After each `count` words, `between` words of other text."""

    def write(passage: str, material: Material) -> Parts:
        parts: Parts = []
        for piece in chunks(passage, count):
            parts += [(piece, True), (f" {material.clean(between)} ", False)]
        return parts[:-1]

    return write


def listed(count: int, mark: str, *, shuffle: bool = False, between: int = 0) -> Way:
    """A list whose items hold `count` words each, and `between` words of other text after them."""

    def write(passage: str, material: Material) -> Parts:
        pieces = chunks(passage, count)
        if shuffle:
            pieces = _shuffled(pieces, material.dice)
        parts: Parts = []
        for number, piece in enumerate(pieces, 1):
            parts += [(mark.format(number), False), (piece, True)]
            parts.append((f" {material.clean(between)}\n" if between else "\n", False))
        return parts

    return write


# --- encodings ------------------------------------------------------------------------------------

_MORSE_SIGNS = """
.- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. -- -. --- .--. --.- .-. ... - ..- ...- .-- -..-
-.-- --.. ----- .---- ..--- ...-- ....- ..... -.... --... ---.. ----.
"""
_NATO_NAMES = """
Alfa Bravo Charlie Delta Echo Foxtrot Golf Hotel India Juliett Kilo Lima Mike November Oscar Papa
Quebec Romeo Sierra Tango Uniform Victor Whiskey Xray Yankee Zulu
"""
_MORSE = dict(zip(string.ascii_lowercase + string.digits, _MORSE_SIGNS.split(), strict=True))
_NATO = dict(zip(string.ascii_lowercase, _NATO_NAMES.split(), strict=True))


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _hex(text: str) -> str:
    return text.encode().hex()


def _percent(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


def _caesar(text: str, shift: int) -> str:
    lower, upper = string.ascii_lowercase, string.ascii_uppercase
    turned = lower[shift:] + lower[:shift] + upper[shift:] + upper[:shift]
    return text.translate(str.maketrans(lower + upper, turned))


def _rot47(text: str) -> str:
    return "".join(chr(33 + (ord(c) + 14) % 94) if 33 <= ord(c) <= 126 else c for c in text)


def _any_caesar(passage: str, material: Material) -> Parts:
    return [(_caesar(passage, material.dice.randint(1, 25)), True)]


def _atbash(text: str) -> str:
    lower, upper = string.ascii_lowercase, string.ascii_uppercase
    return text.translate(str.maketrans(lower + upper, lower[::-1] + upper[::-1]))


def _wrapped(text: str, width: int) -> str:
    return "\n".join(text[n : n + width] for n in range(0, len(text), width))


def _reversed_words(text: str) -> str:
    return " ".join(reversed(text.split()))


def _each_reversed(text: str) -> str:
    return " ".join(word[::-1] for word in text.split())


def _reversed_sentences(text: str) -> str:
    return " ".join(map(_reversed_words, sentences(text)))


def _glued(form: str) -> Callable[[str], str]:
    return lambda text: " ".join(form.format(word) for word in text.split())


def pairs_swapped(text: str) -> str:
    """Every two letters the other way round."""
    return re.sub(r"(.)(.)", r"\2\1", text, flags=re.DOTALL)


def _each_swapped(text: str) -> str:
    return " ".join(map(pairs_swapped, text.split()))


def _each_rotated(text: str) -> str:
    return " ".join(word[1:] + word[0] for word in text.split())


def _each_rotated_back(text: str) -> str:
    return " ".join(word[-1] + word[:-1] for word in text.split())


def _morse(text: str) -> str:
    words = (" ".join(_MORSE[c] for c in w.lower() if c in _MORSE) for w in text.split())
    return " / ".join(word for word in words if word)


def _nato(text: str) -> str:
    words = (" ".join(_NATO.get(c, c) for c in w.lower() if c.isalnum()) for w in text.split())
    return ", ".join(word for word in words if word)


def _tags(text: str) -> str:
    """Invisible: the tag characters of the printable part of ASCII."""
    return "".join(chr(0xE0000 + ord(c)) for c in text if 0x20 <= ord(c) < 0x7F)


def _variations(text: str) -> str:
    """Invisible: each byte as a variation selector behind one visible sign."""
    selectors = (chr(0xFE00 + b if b < 16 else 0xE0100 + b - 16) for b in text.encode())
    return "🙂" + "".join(selectors)


# --- containers -----------------------------------------------------------------------------------


def _lines(mark: str) -> Callable[[str], str]:
    return lambda text: "\n".join(mark.format(n) + w for n, w in enumerate(text.split(), 1))


def first_words(passage: str, material: Material) -> Parts:
    """A list whose items begin with the passage's words and go on with something else."""
    parts: Parts = []
    for word in passage.split():
        parts += [("- ", False), (word, True), (f": {material.clean(4)}\n", False)]
    return parts


def last_words(passage: str, material: Material) -> Parts:
    """Lines of other text that end with the passage's words."""
    parts: Parts = []
    for word in passage.split():
        parts += [(material.clean(4) + " ", False), (word, True), ("\n", False)]
    return parts


def initials(passage: str, material: Material) -> Parts:
    """An acrostic: the first letters of lines of other text."""
    parts: Parts = []
    for letter in re.sub(r"[\W_]", "", passage):
        parts += [(letter, True), (f" {material.clean(3)}\n", False)]
    return parts


def _table(columns: int, *, numbered: bool = False) -> Callable[[str], str]:
    def write(text: str) -> str:
        rows = []
        for number, row in enumerate(chunks(text, columns), 1):
            cells = [*([str(number)] if numbered else []), *row.split()]
            rows.append("| " + " | ".join(cells) + " |")
        width = columns + numbered
        head = "| " + " | ".join(f"column {n}" for n in range(width)) + " |"
        return "\n".join([head, "|" + " --- |" * width, *rows])

    return write


def table_column(passage: str, material: Material) -> Parts:
    """A table whose second column holds the passage, some words a cell, between other columns."""
    parts: Parts = [("| item | text | remark |\n|---|---|---|\n", False)]
    for number, piece in enumerate(chunks(passage, 5), 1):
        parts += [(f"| {number} | ", False), (piece, True), (f" | {material.clean(3)} |\n", False)]
    return parts


def _csv(text: str) -> str:
    return "\n".join(",".join(f'"{w}"' for w in row.split()) for row in chunks(text, 6))


def _json_string(text: str) -> str:
    return json.dumps({"answer": text}, ensure_ascii=True)


def _json_values(text: str) -> str:
    return json.dumps({f"field_{n}": part for n, part in enumerate(chunks(text, 4), 1)}, indent=1)


def _json_words(text: str) -> str:
    return json.dumps(text.split())


def _commented(mark: str) -> Callable[[str], str]:
    return lambda text: "\n".join(mark + line for line in chunks(text, 6))


def _code(text: str) -> str:
    """String pieces that a program joins."""
    letters = " ".join(text.split())
    pieces = (letters[n : n + 9] for n in range(0, len(letters), 9))
    return "```python\nvalue = (\n" + "".join(f"    {p!r} +\n" for p in pieces) + "    '')\n```"


def _assigned(text: str) -> str:
    lines = [f'part{n} = "{piece}"' for n, piece in enumerate(chunks(text, 3), 1)]
    return "```js\n" + ";\n".join(lines) + ";\n```"


def _html(text: str) -> str:
    return " ".join(f"<span class='w{n}'>{word}</span>" for n, word in enumerate(text.split()))


def _two_columns(text: str) -> str:
    words = text.split()
    half = (len(words) + 1) // 2
    left, right = words[:half], [*words[half:], ""]
    return "\n".join(f"{a:<24}{b}" for a, b in zip(left, right, strict=False))


def vowels_starred(text: str) -> str:
    """As words are bleeped out: every second vowel a star."""
    turn = cycle((False, True))
    return re.sub(r"[aeiou]", lambda m: "*" if next(turn) else m[0], text)


def _islands(passage: str, material: Material) -> Parts:
    """Every second six words in letters spaced out, so that one view alone shows half."""
    spaced = cycle((False, True))
    written = (" ".join(p) if next(spaced) else p for p in chunks(passage, 6))
    return [("  ".join(written), True)]


def _nested(*changes: Callable[[str], str]) -> Way:
    def change(text: str) -> str:
        for step in changes:
            text = step(text)
        return text

    return _whole(change)


RATES = (12, 8, 6, 4, 3, 2)

EDITS: dict[str, Way] = {
    f"{name}, 1 in {rate}": way(rate)
    for name, way in (
        ("replaced", replaced),
        ("dropped", dropped),
        ("inserted", inserted),
        ("moved", moved),
        ("respelled", respelled),
    )
    for rate in RATES
}

SPLICES: dict[str, Way] = {
    "words shuffled": _over_words(lambda words, m: m.dice.sample(words, len(words))),
    "sentences shuffled": shuffled_sentences,
    "12 words at a time, shuffled": shuffled_chunks(12),
    "8 words at a time, shuffled": shuffled_chunks(8),
    "list items": listed(10, "- "),
    "numbered list items": listed(10, "{}. "),
    "list items, shuffled": listed(10, "* ", shuffle=True),
    "list items with other text": listed(8, "- ", between=6),
    "20 words, then 20 others": interleaved(20, 20),
    "12 words, then 8 others": interleaved(12, 8),
    "8 words, then 6 others": interleaved(8, 6),
    "5 words, then 5 others": interleaved(5, 5),
    "3 words, then 3 others": interleaved(3, 3),
}

LEET = str.maketrans("aeiostlbgz", "4310571892")
SYMBOL_LEET = str.maketrans(
    {"a": "@", "e": "3", "i": "!", "o": "0", "s": "$", "t": "+", "l": "|", "c": "("}
)

ENCODINGS: dict[str, Way] = {
    "base64": _whole(_base64),
    "base64, wrapped": _whole(lambda t: _wrapped(_base64(t), 76)),
    "base64, URL-safe, unpadded": _whole(
        lambda t: base64.urlsafe_b64encode(t.encode()).decode().rstrip("=")
    ),
    "base64, each line": _whole(lambda t: "\n".join(map(_base64, chunks(t, 8)))),
    "base32": _whole(lambda t: base64.b32encode(t.encode()).decode()),
    "hex": _whole(_hex),
    "hex, spaced": _whole(lambda t: " ".join(f"{byte:02X}" for byte in t.encode())),
    "hex, escapes": _whole(lambda t: "".join(f"\\x{byte:02x}" for byte in t.encode())),
    "URL": _whole(lambda t: urllib.parse.quote(t, safe="")),
    "URL, every letter": _whole(_percent),
    "Unicode escapes": _whole(lambda t: "".join(f"\\u{ord(c):04x}" for c in t)),
    "HTML entities": _whole(lambda t: "".join(f"&#{ord(c)};" for c in t)),
    "character codes": _whole(lambda t: " ".join(str(ord(c)) for c in t)),
    "binary": _whole(lambda t: " ".join(f"{byte:08b}" for byte in t.encode())),
    "ROT13": _whole(lambda t: codecs.encode(t, "rot13")),
    "ROT-n": _any_caesar,
    "ROT47": _whole(_rot47),
    "Atbash": _whole(_atbash),
    "reversed": _whole(lambda t: t[::-1]),
    "words in reverse": _whole(_reversed_words),
    "each word reversed": _whole(_each_reversed),
    "words in reverse, each sentence": _whole(_reversed_sentences),
    "a letter before each word": _whole(_glued("x{}")),
    "a letter after each word": _whole(_glued("{}e")),
    "a syllable before each word": _whole(_glued("ub{}")),
    "two letters swapped": _whole(pairs_swapped),
    "two letters swapped, each word": _whole(_each_swapped),
    "first letters behind": _whole(_each_rotated),
    "last letters in front": _whole(_each_rotated_back),
    "pig latin": _whole(pig_latin),
    "base85": _whole(lambda t: base64.b85encode(t.encode()).decode()),
    "Ascii85": _whole(lambda t: base64.a85encode(t.encode()).decode()),
    "uuencode": _whole(uuencoded),
    "quoted-printable": _whole(lambda t: "".join(f"={byte:02X}" for byte in t.encode())),
    "zero-width bits": _whole(
        lambda t: "".join("\u200b\u200c"[int(b)] for byte in t.encode() for b in f"{byte:08b}")
    ),
    "Morse": _whole(_morse),
    "NATO spelling": _whole(_nato),
    "Unicode tags": _whole(_tags),
    "variation selectors": _whole(_variations),
    "base64 of base64": _nested(_base64, _base64),
    "base64 of hex": _nested(_hex, _base64),
    "hex of base64": _nested(_base64, _hex),
    "URL of base64": _nested(_base64, _percent),
    "base64 of ROT13": _nested(lambda t: codecs.encode(t, "rot13"), _base64),
    "reversed ROT13": _nested(lambda t: codecs.encode(t, "rot13"), lambda t: t[::-1]),
    "base64 of reversed": _nested(lambda t: t[::-1], _base64),
    "reversed base64": _nested(_base64, lambda t: t[::-1]),
    "base64 of words in reverse": _nested(_reversed_words, _base64),
    "ROT13 of words in reverse": _nested(_reversed_words, lambda t: codecs.encode(t, "rot13")),
    "hex of leet": _nested(lambda t: t.lower().translate(SYMBOL_LEET), _hex),
}

CONTAINERS: dict[str, Way] = {
    "one word a line": _whole(_lines("")),
    "one word a line, numbered": _whole(_lines("{}. ")),
    "one word a line, marked": _whole(_lines("- ")),
    "words with commas": _whole(lambda t: ", ".join(t.split())),
    "first words of a list": first_words,
    "last words of lines": last_words,
    "first letters of lines": initials,
    "table": _whole(_table(6)),
    "table, numbered rows": _whole(_table(6, numbered=True)),
    "column of a table": table_column,
    "two columns": _whole(_two_columns),
    "CSV": _whole(_csv),
    "JSON string": _whole(_json_string),
    "JSON string of look-alikes": _nested(lambda t: t.translate(LOOK_ALIKES), _json_string),
    "JSON values": _whole(_json_values),
    "JSON words": _whole(_json_words),
    "comments, #": _whole(_commented("# ")),
    "comments, //": _whole(_commented("    // ")),
    "string pieces of a program": _whole(_code),
    "assignments": _whole(_assigned),
    "HTML, a tag a word": _whole(_html),
    "numbered lines of base64": _nested(
        lambda t: "\n".join(map(_base64, chunks(t, 6))), _lines("{}. ")
    ),
    "stars for vowels": _whole(vowels_starred),
    "half of it letter-spaced": _islands,
    "look-alikes in reverse": _nested(lambda t: t.translate(GREEK), _reversed_words),
}

# --- what an attacker thinks of next --------------------------------------------------------------


def _thirds(passage: str, material: Material) -> Parts:
    """Each third in another code, as an answer may be asked for in parts."""
    words = passage.split()
    third = len(words) // 3
    parts = (" ".join(words[n : n + third + 3]) for n in range(0, len(words), third + 3))
    codes: Iterator[Callable[[str], str]] = cycle(
        (_base64, lambda t: codecs.encode(t, "rot13"), _hex, lambda t: t[::-1])
    )
    return [(" Then: ".join(code(part) for code, part in zip(codes, parts, strict=False)), True)]


def _every(count: int) -> Way:
    """Lines of other text, and every so many a line of the passage."""

    def write(passage: str, material: Material) -> Parts:
        parts: Parts = []
        for piece in chunks(passage, 5):
            parts.append((piece + "\n", True))
            parts.append((f"{material.clean(6)}\n" * (count - 1), False))
        return parts

    return write


def _initials_of_words(passage: str, material: Material) -> Parts:
    """The first letters of words of other text."""
    letters = [c for c in passage.lower() if "a" <= c <= "z"]
    words: dict[str, list[str]] = {}
    for word in material.words:
        words.setdefault(word[0].lower(), []).append(word)
    parts: Parts = []
    for letter in letters:
        word = material.dice.choice(words.get(letter, [letter]))
        parts += [(word[0], True), (word[1:] + " ", False)]
    return parts


def _shift_each(text: str) -> str:
    return " ".join(_caesar(word, 1 + n % 25) for n, word in enumerate(text.split()))


def _alphabet_numbers(text: str) -> str:
    words = ("-".join(str(ord(c) - 96) for c in w if "a" <= c <= "z") for w in text.lower().split())
    return " ".join(word for word in words if word)


def _numbered_pieces(text: str, dice: random.Random) -> str:
    pieces = [f"({n}) {piece}" for n, piece in enumerate(chunks(text, 2), 1)]
    return " ".join(_shuffled(pieces, dice))


def _columns_down(text: str) -> str:
    words = text.split()
    rows = (len(words) + 3) // 4
    return "\n".join(" | ".join(words[row::rows]) for row in range(rows))


def _rails(text: str) -> str:
    return f"{text[::2]}\n{text[1::2]}"


def _word_of_lines(place: int) -> Way:
    """Lines of other text with the passage's words behind so many others."""

    def write(passage: str, material: Material) -> Parts:
        parts: Parts = []
        for word in passage.split():
            parts += [(material.clean(place) + " ", False), (word, True)]
            parts.append((f" {material.clean(3)}\n", False))
        return parts

    return write


def _shuffled_middle(word: str, dice: random.Random) -> str:
    middle = word[1:-1]
    return word[:1] + "".join(dice.sample(middle, len(middle))) + word[1:][-1:]


def _telephone(text: str) -> str:
    return text.lower().translate(
        str.maketrans(string.ascii_lowercase, "22233344455566677778889999")
    )


def _square(text: str) -> str:
    """Row and column of each letter in a square of five (Polybius)."""
    alphabet = "abcdefghiklmnopqrstuvwxyz"
    places = (alphabet.find(c) for c in text.lower().replace("j", "i") if c in alphabet)
    return " ".join(f"{place // 5 + 1}{place % 5 + 1}" for place in places)


def _dump(text: str) -> str:
    data = text.encode()
    rows = ((n, data[n : n + 16]) for n in range(0, len(data), 16))
    return "\n".join(f"{n:08x}: {row.hex(' ', 2)}  {'.' * len(row)}" for n, row in rows)


_SOUNDS = str.maketrans("abvgdezijklmnoprstufhc", "абвгдезийклмнопрстуфхц")

ATTACKS: dict[str, Way] = {
    "a word for each blank": _whole(lambda t: " banana ".join(t.split())),
    "two words for each blank": _whole(lambda t: " and then ".join(t.split())),
    "each word twice": _whole(lambda t: " ".join(f"{w} {w}" for w in t.split())),
    "a number behind each word": _whole(
        lambda t: " ".join(f"{w} {n}" for n, w in enumerate(t.split(), 1))
    ),
    "numbered pieces in one line": _whole(
        lambda t: " ".join(f"({n}) {p}" for n, p in enumerate(chunks(t, 2), 1))
    ),
    "numbered pieces in one line, shuffled": lambda t, m: [(_numbered_pieces(t, m.dice), True)],
    "first letters of words": _initials_of_words,
    "every second line": _every(2),
    "every third line": _every(3),
    "a code for each third": _thirds,
    "another shift for each word": _whole(_shift_each),
    "numbers of the alphabet": _whole(_alphabet_numbers),
    "calls of chr": _whole(lambda t: " + ".join(f"chr({ord(c)})" for c in t)),
    "columns, read down": _whole(_columns_down),
    "odd and even letters": _whole(_rails),
    "LaTeX": _whole(lambda t: " ".join(f"\\textbf{{{w}}}" for w in t.split())),
    "links": _whole(lambda t: " ".join(f"[{w}](https://a.example/{w})" for w in t.split())),
    "entities in comments": _whole(
        lambda t: "<p>x</p>\n".join(
            "<!-- " + "".join(f"&#x{ord(c):x};" for c in p) + " -->" for p in chunks(t, 6)
        )
    ),
    "JSON keys": _whole(lambda t: json.dumps(dict.fromkeys(chunks(t, 2), 0))),
    "one vowel for all": _whole(lambda t: re.sub("[aeiou]", "o", t)),
    "no vowels": _whole(lambda t: re.sub("[aeiou]", "", t)),
    "base64 of each word": _whole(lambda t: " ".join(map(_base64, t.split()))),
    "hex of each word": _whole(lambda t: " ".join(map(_hex, t.split()))),
    "ob before vowels": _whole(lambda t: re.sub(r"([aeiouAEIOU])", r"ob\1", t)),
    "a letter between, in code": _nested(lambda t: "x".join(t), _base64),
    "reversed, in Cyrillic, in JSON": _nested(
        lambda t: t[::-1], lambda t: t.translate(LOOK_ALIKES), _json_string
    ),
    "base64 in groups of four": _whole(lambda t: " ".join(re.findall(".{1,4}", _base64(t)))),
    "hex in groups of eight": _whole(lambda t: " ".join(re.findall(".{1,8}", _hex(t)))),
    "seven bits": _whole(lambda t: " ".join(f"{ord(c):07b}" for c in t if c.isascii())),
    "in a mirror": _whole(lambda t: t.lower().translate(MIRRORED)),
    "comments in words": _whole(
        lambda t: " ".join(f"{w[:1]}<!-- so -->{w[1:]}" for w in t.split())
    ),
    "second words of lines": _word_of_lines(1),
    "third words of lines": _word_of_lines(2),
    "every second word": interleaved(1, 1),
    "comments between words": _whole(lambda t: " /* so */ ".join(t.split())),
    "middles of words shuffled": _over_words(
        lambda words, m: [_shuffled_middle(word, m.dice) for word in words]
    ),
    "x for blanks": _whole(lambda t: "x".join(t.split())),
    "keys of a telephone": _whole(_telephone),
    "a square of letters": _whole(_square),
    "hexadecimal dump": _whole(_dump),
    "Cyrillic by sound": _whole(lambda t: t.lower().translate(_SOUNDS)),
    "words sorted, with places": _whole(
        lambda t: ", ".join(sorted(f"{w} ({n})" for n, w in enumerate(t.split(), 1)))
    ),
}

MIXED_LEET = {
    "a": "a@4", "b": "b8", "c": "c(", "e": "e3", "g": "g69", "i": "i!1|", "l": "l1|", "o": "o0",
    "s": "s$5", "t": "t7+", "z": "z2",
}  # fmt: skip


def _mixed_leet(passage: str, material: Material) -> Parts:
    """Letters, digits and signs for them by chance."""
    dice = material.dice
    return [("".join(dice.choice(MIXED_LEET.get(c, c)) for c in passage.lower()), True)]


def sprinkled(separators: str) -> Way:
    """One of some signs after every letter."""

    def write(passage: str, material: Material) -> Parts:
        signs = material.dice.choices(separators, k=len(passage))
        return [("".join(map("".join, zip(passage, signs, strict=True))), True)]

    return write


def _mixed_case(passage: str, material: Material) -> Parts:
    turns = material.dice.choices((str.upper, str.lower), k=len(passage))
    return [("".join(turn(c) for turn, c in zip(turns, passage, strict=True)), True)]


WRITINGS: dict[str, Way] = {
    **{name: _whole(disguise) for name, disguise in DISGUISES.items()},
    "random case": _mixed_case,
    "leet": _whole(lambda t: t.lower().translate(LEET)),
    "leet with symbols": _whole(lambda t: t.lower().translate(SYMBOL_LEET)),
    "leet, mixed": _mixed_leet,
    "dots between letters": _whole(".".join),
    "signs between letters": sprinkled("-_.~*|/"),
    "a letter joined by x": _whole(lambda t: "x".join("".join(t.split()))),
    "bold words": _whole(lambda t: " ".join(f"**{w}**" for w in t.split())),
    "block quote": _whole(lambda t: "\n".join(f"> {line}" for line in chunks(t, 9))),
}

GROUPS: dict[str, dict[str, Way]] = {
    "writings": WRITINGS,
    "edits": EDITS,
    "splices": SPLICES,
    "encodings": ENCODINGS,
    "containers": CONTAINERS,
    "attacks": ATTACKS,
}

# Those of `disguises` that the ways above do not have.
_AS_CASES = (
    *("a dump, as by xxd", "a dump, as by hexdump", "taps", "keys of a telephone"),
    *("places in the alphabet from 0", "bits in words", "decimal in words", "names of characters"),
    *("parameters", "base64 in groups, hyphens", "first and last letters swapped"),
    *("halves of words swapped", "a syllable before each vowel", "each vowel twice, with p"),
    *("each consonant twice, with o", "a digit for blanks", "a word for blanks"),
)
ATTACKS |= {name: _whole(HIDDEN[name]) for name in _AS_CASES}
ATTACKS |= {name: _whole(LONGER[name]) for name in LONGER if "word" not in name}
ATTACKS |= {
    "each word shifted by one more": _whole(LONGER["each word shifted by one more"]),
    "every third word": interleaved(1, 2),
    "vowels as digits": _whole(lambda t: t.translate(str.maketrans("aeiouAEIOU", "1234512345"))),
    "middles of words reversed": _whole(
        lambda t: " ".join(w[:1] + w[1:-1][::-1] + w[1:][-1:] for w in t.split())
    ),
}
