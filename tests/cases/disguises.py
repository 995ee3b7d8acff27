"""Ways to write a text that must be seen through: tests and benchmarks use them all.

`DISGUISES` leave the canonical form as it is; `HIDDEN` do not, and are seen in views. A way that
got past the filter is added here, with a word on why it worked.
"""

from __future__ import annotations

import base64
import binascii
import html
import json
import quopri
import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import partial
from itertools import cycle
from urllib.parse import quote

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
    # Letters by their category: they cut every word into pieces that no index knew.
    "letters that show nothing": lambda text: "\u3164\u115f\u1160\uffa0".join(text),
    "apostrophes, tones and stretches": lambda text: "\u02bc\u02c8\u02d0\u0640\ua78c".join(text),
    "letter spacing": lambda text: " ".join(text),
    "Cyrillic": lambda text: text.translate(LOOK_ALIKES),
    "Greek": lambda text: text.translate(GREEK),
    "digits for letters": lambda text: text.translate(LEET),
    "mathematical bold": _bold,
    "emoji between": lambda text: "🙂‍↔️".join(text),
    "nulls": lambda text: "\0".join(text),
    "lone surrogates": lambda text: "\ud800".join(text),
    "concatenated strings": lambda text: " + ".join(f'"{word} "' for word in text.split()),
    "direction marks": lambda text: "\u202e" + text + "\u202c\u200f",
}


# --- what canonical text does not see ------------------------------------------------------------


def caesar(text: str, shift: int) -> str:
    """ASCII letters moved on by so many places."""
    return "".join(
        chr((ord(c) - base + shift) % 26 + base)
        if (base := 97 if "a" <= c <= "z" else 65 if "A" <= c <= "Z" else 0)
        else c
        for c in text
    )


def atbash(text: str) -> str:
    letters = "abcdefghijklmnopqrstuvwxyz"
    mirrored = letters[::-1]
    return text.translate(str.maketrans(letters + letters.upper(), mirrored + mirrored.upper()))


def rot47(text: str) -> str:
    return "".join(chr(33 + (ord(c) + 14) % 94) if "!" <= c <= "~" else c for c in text)


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def hexed(text: str, apart: str = "") -> str:
    return text.encode().hex(apart) if apart else text.encode().hex()


def lines(text: str, form: Callable[[int, str], str], words: int = 1) -> str:
    """A line for every so many words."""
    parts = text.split()
    pieces = [" ".join(parts[first : first + words]) for first in range(0, len(parts), words)]
    return "\n".join(form(number, piece) for number, piece in enumerate(pieces, 1))


_MORSE_SIGNS = (
    ".- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. -- -. --- .--. --.- .-. ... - ..- ...- .-- "
    "-..- -.-- --.. ----- .---- ..--- ...-- ....- ..... -.... --... ---.. ----."
)
MORSE = dict(zip("abcdefghijklmnopqrstuvwxyz0123456789", _MORSE_SIGNS.split(), strict=True))
BRAILLE = dict(zip("abcdefghijklmnopqrstuvwxyz", "⠁⠃⠉⠙⠑⠋⠛⠓⠊⠚⠅⠇⠍⠝⠕⠏⠟⠗⠎⠞⠥⠧⠺⠭⠽⠵", strict=True))
MIRRORED = str.maketrans("abcdefghjkpqrst", "ɒdɔbɘʇǫʜꞁʞqpɿƨƚ")
UPSIDE_DOWN = str.maketrans("abcdefghijklmnopqrstuvwxyz", "ɐqɔpǝɟƃɥᴉɾʞlɯuodbɹsʇnʌʍxʎz")


SIGNS = str.maketrans({"a": "@", "s": "$", "i": "!", "t": "+", "c": "(", "l": "|", "o": "0"})
# fmt: off
NATO = {name[0].lower(): name for name in (
    "Alfa", "Bravo", "Charlie", "Delta", "Echo", "Foxtrot", "Golf", "Hotel", "India", "Juliett",
    "Kilo", "Lima", "Mike", "November", "Oscar", "Papa", "Quebec", "Romeo", "Sierra", "Tango",
    "Uniform", "Victor", "Whiskey", "X-ray", "Yankee", "Zulu",
)}
# fmt: on


def morse(text: str, word: str = " / ") -> str:
    return word.join(
        " ".join(MORSE[c] for c in part if c in MORSE) for part in text.lower().split()
    )


def pig_latin(text: str) -> str:
    return re.sub(
        r"[A-Za-z]+",
        lambda m: (
            m[0] + "way"
            if m[0][0] in "aeiouAEIOU"
            else re.sub(r"^([^aeiouyAEIOUY]+|[yY])(.*)$", r"\2\1ay", m[0])
        ),
        text,
    )


def uuencoded(text: str) -> str:
    data = text.encode()
    return "".join(binascii.b2a_uu(data[n : n + 45]).decode() for n in range(0, len(data), 45))


def rails(text: str, count: int) -> list[str]:
    """The letters of a text on so many rails, up and down."""
    places = [min(n % (2 * count - 2), -n % (2 * count - 2)) for n in range(len(text))]
    return ["".join(c for c, at in zip(text, places, strict=True) if at == n) for n in range(count)]


def shifted_by_key(text: str, key: Sequence[int], words: bool = False) -> str:
    """Each letter, or each word, shifted by the next number of a key that comes round."""
    if words:
        return " ".join(caesar(w, key[n % len(key)]) for n, w in enumerate(text.split()))
    shifts = cycle(key)
    return "".join(caesar(c, next(shifts)) if c.isascii() and c.isalpha() else c for c in text)


def dump(text: str, form: str) -> str:
    """As hexdump and xxd show bytes."""
    rows = []
    for at in range(0, len(data := text.encode()), 16):
        row = data[at : at + 16]
        shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        halves = f"{row[:8].hex(' '):<23}  {row[8:].hex(' '):<23}"
        rows.append(form.format(at=at, pairs=row.hex(" ", 2), halves=halves, shown=shown))
    return "\n".join(rows)


_SQUARE, _TAPPED = "abcdefghiklmnopqrstuvwxyz", "abcdefghijlmnopqrstuvwxyz"
_KEYS = ("abc", "def", "ghi", "jkl", "mno", "pqrs", "tuv", "wxyz")
KEYS = {c: str(n) * (m + 1) for n, cs in enumerate(_KEYS, 2) for m, c in enumerate(cs)}
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def squared(text: str, square: str = _SQUARE) -> list[str]:
    """Row and column of each letter in a square of five."""
    known = text.lower().replace(*("ji" if square == _SQUARE else "kc"))
    places = [square.index(c) for c in known if c in square]
    return [f"{place // 5 + 1}{place % 5 + 1}" for place in places]


# Encodings of text into text: any two of them, one in the other, must be seen through.
NESTING: dict[str, Callable[[str], str]] = {
    "base64": b64,
    "base32": lambda text: base64.b32encode(text.encode()).decode(),
    "hexadecimal": hexed,
    "percent": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
    "entities": lambda text: "".join(f"&#{ord(c)};" for c in text),
    "escapes": lambda text: "".join(f"\\u{ord(c):04x}" for c in text),
    "ROT13": lambda text: caesar(text, 13),
    "Atbash": atbash,
    "reversed": lambda text: text[::-1],
}

HIDDEN: dict[str, Callable[[str], str]] = {
    **NESTING,
    "base64 for URLs, no padding": lambda text: (
        base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
    ),
    # Letters of four bytes each, the last of which was taken for a fault.
    "base64 of styled letters": lambda text: b64(_bold(text)),
    "base64 in lines": lambda text: base64.encodebytes(text.encode()).decode(),
    "base64 in quoted lines": lambda text: (
        "> " + base64.encodebytes(text.encode()).decode().strip().replace("\n", "\n> ")
    ),
    "base64 of UTF-16": lambda text: base64.b64encode(text.encode("utf-16")).decode(),
    "base64 that lacks its beginning": lambda text: b64("Well: " + text)[3:],
    # It decodes to zeros, which are no text: the run must be looked at in parts.
    "base64 behind a run of As": lambda text: "A" * 150 + b64(text),
    "base64 in another alphabet": lambda text: b64(text).translate(FULL_WIDTH),
    "base64, one by one": lambda text: " ".join(b64(text)),
    "base64 with zero width": lambda text: "\u200b".join(b64(text)),
    "base32 in small letters": lambda text: base64.b32encode(text.encode()).decode().lower(),
    "HEXADECIMAL": lambda text: hexed(text).upper(),
    "hexadecimal, spaced": lambda text: hexed(text, " "),
    "hexadecimal, colons": lambda text: hexed(text, ":"),
    "hexadecimal, 0x": lambda text: ", ".join(f"0x{byte:02X}" for byte in text.encode()),
    "hexadecimal, \\x": lambda text: "".join(f"\\x{byte:02x}" for byte in text.encode()),
    "code points": lambda text: " ".join(f"U+{ord(c):04X}" for c in text),
    "binary": lambda text: " ".join(f"{byte:08b}" for byte in text.encode()),
    "binary in one": lambda text: "".join(f"{byte:08b}" for byte in text.encode()),
    "decimal": lambda text: " ".join(str(byte) for byte in text.encode()),
    "a list of numbers": lambda text: str(list(text.encode())),
    # Code points in decimal are as likely.
    "seven bits": lambda text: " ".join(f"{ord(c):07b}" for c in text),
    # No run is long enough to be told from a word.
    "base64 in groups": lambda text: " ".join(re.findall(".{1,4}", b64(text))),
    "base32 in groups": lambda text: " ".join(
        re.findall(".{1,8}", base64.b32encode(text.encode()).decode())
    ),
    "base64 of each word": lambda text: " ".join(map(b64, text.split())),
    "base64 of each word, no padding": lambda text: " ".join(
        b64(word).rstrip("=") for word in text.split()
    ),
    # Numbers of several bytes are no code points.
    "hexadecimal of each word": lambda text: " ".join(map(hexed, text.split())),
    "hexadecimal in groups": lambda text: " ".join(re.findall(".{1,8}", hexed(text))),
    # No closing tag shows that these are marks.
    "comments in words": lambda text: re.sub(r"\b(\w)(\w)", r"\1<!-- so -->\2", text),
    "octal": lambda text: " ".join(f"{byte:o}" for byte in text.encode()),
    "octal escapes": lambda text: "".join(f"\\{byte:03o}" for byte in text.encode()),
    "Morse code": morse,
    "Morse code in lines": lambda text: morse(text, "\n"),
    "URL": quote,
    "URL twice": lambda text: quote(quote(text)),
    # Canonical text takes `nbsp` for letters.
    "HTML": lambda text: html.escape(text).replace(" ", "&nbsp;"),
    "tags": lambda text: "".join(f"<li>{word}</li>" for word in text.split()),
    # `n` is a letter, so each escaped line break cuts a run in two.
    "JSON": lambda text: json.dumps({"note": text.replace(" ", "\n")}),
    "JSON in JSON": lambda text: json.dumps(json.dumps(text.replace(" ", "\n"))),
    "JSON of styled letters": lambda text: json.dumps(_bold(text)),
    "braces": lambda text: "".join(f"\\u{{{ord(c):x}}}" for c in text),
    "quoted-printable": lambda text: quopri.encodestring(text.encode(), quotetabs=True).decode(),
    **{f"shifted by {n}": partial(caesar, shift=n) for n in range(1, 26)},
    "shifted without spaces": lambda text: caesar(text.replace(" ", ""), 5),
    "ROT47": rot47,
    # In canonical text they are no letters, so that runs end at each.
    "signs for letters": lambda text: text.lower().translate(SIGNS),
    "words in reverse": lambda text: " ".join(reversed(text.split())),
    "words in reverse, look-alikes": lambda text: " ".join(reversed(text.split())).translate(
        LOOK_ALIKES
    ),
    # Look-alikes were taken for a foreign script, and nothing in that can be weighed.
    "reversed look-alikes": lambda text: text[::-1].translate(GREEK),
    "NATO": lambda text: " / ".join(
        " ".join(NATO.get(c, c) for c in word if c.isalnum()) for word in text.lower().split()
    ),
    "a letter in front": lambda text: " ".join(f"k{word}" for word in text.split()),
    "a letter behind": lambda text: " ".join(f"{word}o" for word in text.split()),
    "base85": lambda text: base64.b85encode(text.encode()).decode(),
    "Ascii85": lambda text: base64.a85encode(text.encode(), adobe=True).decode(),
    # More than a quarter of it is beyond ASCII, which was taken for chance.
    "base85 of styled letters": lambda text: base64.b85encode(_bold(text).encode()).decode(),
    "uuencode": uuencoded,
    "uuencode, no blanks at the ends": lambda text: re.sub(" +\n", "\n", uuencoded(text)),
    # What is glued on stands behind a comma, too, and was no letter of the word.
    "a letter behind commas": lambda text: re.sub(
        r" ", "e ", re.sub(r"(\S+ \S+ \S+)", r"\1,", text)
    ),
    "letters moved": lambda text: re.sub(r"(\w)(\w)", r"\2\1", text),
    # No code and no other letters: only words that are too many.
    "a word between": lambda text: " banana ".join(text.split()),
    "each word twice": lambda text: " ".join(f"{word} {word}" for word in text.split()),
    "LaTeX": lambda text: " ".join(f"\\textbf{{{word}}}" for word in text.split()),
    # Digits are letters to canonical text.
    "numbers between": lambda text: lines(text, lambda n, word: f"{word} {n}").replace("\n", " "),
    "numbered and shuffled, in one line": lambda text: " ".join(
        sorted(lines(text, lambda n, word: f"({n}) {word}", 2).splitlines(), key=len)
    ),
    "places in the alphabet": lambda text: " ".join(
        "-".join(str(ord(c) - 96) for c in word if c.isalpha()) for word in text.lower().split()
    ),
    # A number of the text before joined the row, and was of no base that the row is of.
    "hexadecimal behind a number": lambda text: "page 7 " + hexed(text, " "),
    "letters reversed": lambda text: " ".join(word[::-1] for word in text.split()),
    "a letter between": lambda text: "x".join(text),
    "doubled": lambda text: "".join(2 * c for c in text),
    "dashed ROT13": lambda text: "-".join(caesar(text, 13)),
    "tag characters": lambda text: "hi" + "".join(chr(0xE0000 + ord(c)) for c in text),
    "variation selectors": lambda text: (
        "x" + "".join(chr(0xFE00 + b if b < 16 else 0xE00F0 + b) for b in text.encode())
    ),
    "zero-width bits": lambda text: "".join(
        "\u200b\u200c"[int(bit)] for byte in text.encode() for bit in f"{byte:08b}"
    ),
    "braille": lambda text: "".join(BRAILLE.get(c, c) for c in text.lower()),
    "in a mirror": lambda text: text.lower().translate(MIRRORED),
    "upside down": lambda text: text.lower().translate(UPSIDE_DOWN)[::-1],
    "one word a line, numbered": lambda text: lines(text, lambda n, word: f"{n}. {word}"),
    "three words a line, numbered": lambda text: lines(text, lambda n, word: f"{n}. {word}", 3),
    "numbered and shuffled": lambda text: "\n".join(
        sorted(lines(text, lambda n, word: f"{n}. {word}", 2).splitlines(), key=len)
    ),
    "first words": lambda text: lines(text, lambda n, word: f"- {word} comes before others"),
    "last words": lambda text: lines(text, lambda n, word: f"The next word is: {word}."),
    "first letters": lambda text: "\n".join(f"{c}ome line" for c in text if c.isalpha()),
    "a table": lambda text: lines(text, lambda n, word: f"| a{n} | {word} | fine |"),
    "CSV": lambda text: lines(text, lambda n, word: f"{n},{word},fine"),
    "keys and words": lambda text: lines(text, lambda n, word: f"key{n}: {word}"),
    "JSON values": lambda text: json.dumps({f"key{n}": w for n, w in enumerate(text.split())}),
    "strings": lambda text: lines(text, lambda n, word: f'a{n} = "{word}"'),
    "comments": lambda text: lines(text, lambda n, word: f"x{n} = run({n})  # {word}"),
    "emphasis": lambda text: " ".join(f"**{word}** and so on" for word in text.split()),
    "every other line": lambda text: lines(text, lambda n, word: f"{word}\nfiller number {n}", 2),
    # Places were numbers of the row, and text behind the bytes ended it.
    "a dump, as by xxd": lambda text: dump(text, "{at:08x}: {pairs:<39}  {shown}"),
    "a dump, as by hexdump": lambda text: dump(text, "{at:08x}  {halves}  |{shown}|"),
    # No number of these is a letter in any base.
    "a square": lambda text: " ".join(squared(text.replace("j", "i"))),
    "a square, each word": lambda text: " ".join("".join(squared(w)) for w in text.split()),
    "taps": lambda text: " / ".join(
        "." * int(place[0]) + " " + "." * int(place[1]) for place in squared(text, _TAPPED)
    ),
    "keys of a telephone": lambda text: " ".join(KEYS[c] for c in text.lower() if c in KEYS),
    "places in the alphabet from 0": lambda text: " ".join(
        str(ord(c) - 97) for c in text.lower() if c.isalpha()
    ),
    "bits in words": lambda text: ", ".join(
        " ".join(DIGITS[int(bit)] for bit in f"{byte:08b}") for byte in text.encode()
    ),
    "decimal in words": lambda text: ", ".join(
        "-".join(DIGITS[int(digit)] for digit in str(byte)) for byte in text.encode()
    ),
    "names of characters": lambda text: "".join(
        f"\\N{{{name}}}" if (name := unicodedata.name(c, "")) else c for c in text
    ),
    "parameters": lambda text: (
        "https://a.example/?" + "&".join(f"q{n}={w}" for n, w in enumerate(text.split()))
    ),
    # A hyphen is a digit of base64 for URLs, and anything but blanks ended a row of groups.
    "base64 in groups, hyphens": lambda text: "-".join(re.findall(".{1,8}", b64(text))),
    "base64 in groups, full stops": lambda text: ".".join(re.findall(".{1,6}", b64(text))),
    # Neighbours stay neighbours, so that it weighs as a language does.
    "first letters behind": lambda text: " ".join(w[1:] + w[0] for w in text.split()),
    "last letters in front": lambda text: " ".join(w[-1] + w[:-1] for w in text.split()),
    "first and last letters swapped": lambda text: " ".join(
        w[-1] + w[1:-1] + w[0] if len(w) > 1 else w for w in text.split()
    ),
    "halves of words swapped": lambda text: " ".join(
        w[len(w) // 2 :] + w[: len(w) // 2] for w in text.split()
    ),
    "a syllable before each vowel": lambda text: re.sub(r"([aeiouAEIOU])", r"idig\1", text),
    "each vowel twice, with p": lambda text: re.sub(r"([aeiou]+)", r"\1p\1", text),
    "each consonant twice, with o": lambda text: re.sub(r"([b-df-hj-np-tv-z])", r"\1o\1", text),
    # A letter, or what canonical text takes for one, in every place between two words.
    "x for blanks": lambda text: text.replace(" ", "x"),
    "a digit for blanks": lambda text: text.replace(" ", "7"),
    "a word for blanks": lambda text: text.replace(" ", "SPACE"),
}

# What takes more words to show, with the reason why it was not seen.
LONGER: dict[str, Callable[[str], str]] = {
    # No one shift makes a language of it.
    "Vigenère": lambda text: shifted_by_key(text, (10, 4, 24)),
    "a shift up, a shift down": lambda text: shifted_by_key(text, (1, -1)),
    "each letter shifted by one more": lambda text: shifted_by_key(text, range(26)),
    "each word shifted by one more": lambda text: shifted_by_key(text, range(26), words=True),
    # The letters are those of a language, and their neighbours no more than chance.
    "three rails": lambda text: "".join(rails(text.replace(" ", ""), 3)),
    "rows of five, read down": lambda text: "".join(text.replace(" ", "")[n::5] for n in range(5)),
    # Of the words of each line the first and the last ones were put together.
    "second words": lambda text: lines(text, lambda n, word: f"Number {word} is the next word."),
    "third words": lambda text: lines(text, lambda n, word: f"Here comes {word} and no more."),
    # No word comes again and again.
    "every second word": lambda text: " ".join(
        f"{word} {other}" for word, other in zip(text.split(), cycle(_OTHERS.split()), strict=False)
    ),
}
_OTHERS = """
river candle under seventeen blue carpet almost window sugar turning paper yellow bench garden
engine quickly stone letter among copper
"""
