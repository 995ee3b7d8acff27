"""Write guardrail/canonical.npz: what each code point becomes in canonical text.

The table is committed, so that an index does not depend on the Unicode version of the interpreter
that queries it. Run this only to change the canonical form, and raise CANONICAL_VERSION in
guardrail/text.py with it: indexes built before are then refused instead of silently finding less.

For each code point: NFKD, case folding, NFKD again; then letters, digits and spacing marks stay
and all else (combining and format characters, spaces, punctuation, symbols) drops out. Letters
that TR39 holds to look like an ASCII letter become that letter. Classes of ASCII characters are
merged where keeping them apart would break one of the promised invariances (see MERGED).
"""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from collections import Counter, defaultdict
from pathlib import Path

import confusable_homoglyphs
import numpy as np

TARGET = Path(__file__).resolve().parent.parent / "guardrail" / "canonical.npz"

# Each character of a group is written as the first. Digits keep apart from one another, so two
# different numbers never become equal. `l1` and `i`: capital I, small l and 1 look alike. `nv` and
# `uy`: Greek nu and upsilon look like v and u in small letters, N and Y in capitals, and case must
# not matter. The rest are the usual digits for letters.
MERGED = ("il1", "o0", "nv", "uy", "e3", "a4", "s5", "t7", "b8", "z2")
REPRESENTATIVE = {char: group[0] for group in MERGED for char in group}

# What Unicode counts among letters and a reader does not see as one: the lines that stretch Arabic
# and N'Ko words, fillers of Hangul, which show nothing, and the saltillo; and by their names
# apostrophes and marks of tone (modifier letters that decompose to a letter are that letter).
NO_LETTERS = "\u0640\u07fa\u115f\u1160\ua78b\ua78c"
NAMES_OF_MARKS = ("MODIFIER LETTER", "CARON", "LISU LETTER TONE", "NKO HIGH TONE", "NKO LOW TONE")
# Letters of Arabic and those by which Persian, Urdu and hasty writers put them.
SAME = str.maketrans("\u0649\u06cc\u06a9\u0629\u0671", "\u064a\u064a\u0643\u0647\u0627")

HAN = ("CJK UNIFIED IDEOGRAPH", "CJK COMPATIBILITY IDEOGRAPH", "TANGUT", "NUSHU")
LATIN_NAME = re.compile(
    r"(?:LATIN|REGIONAL INDICATOR SYMBOL|NEGATIVE|CROSSED NEGATIVE|SQUARED|CIRCLED)\b.*?"
    r"\bLETTER (?:SMALL CAPITAL )?([A-Z])(?: WITH\b.*)?$"
)
PAIR_NAME = re.compile(r"LATIN (?:SMALL|CAPITAL) (?:LETTER|LIGATURE) ([A-Z]{2})$")
DIGIT_NAME = re.compile(
    r"(?:NEGATIVE|DOUBLE|DINGBAT).* (?:CIRCLED|SANS-SERIF) .*DIGIT "
    r"(ZERO|ONE|TWO|THREE|FOUR|FIVE|SIX|SEVEN|EIGHT|NINE)$"
)
DIGITS = ("ZERO", "ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE")


def look_alikes() -> dict[str, str]:
    """Single code points to the ASCII letter or digit that TR39 holds them to resemble, folded."""
    folder = Path(confusable_homoglyphs.__file__).parent
    data = json.loads((folder / "confusables.json").read_text(encoding="utf-8"))
    pairs: dict[str, str] = {}
    for target in map(chr, range(0x21, 0x7F)):
        if not target.isalnum():
            continue
        for entry in data.get(target, []):
            char = entry["c"].replace("\u200e", "")
            if len(char) == 1 and ord(char) > 0x7F:
                pairs[char] = target.casefold()
    return pairs


def folded(char: str) -> str:
    """The letters, digits and spacing marks of the compatibility decomposition, case folded."""
    text = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", char).casefold())
    kept = (
        c for c in text if unicodedata.category(c)[0] in "LN" or unicodedata.category(c) == "Mc"
    )
    return "".join(c for c in kept if not _is_no_letter(c)).translate(SAME)


def _is_no_letter(char: str) -> bool:
    named = unicodedata.name(char, "").startswith(NAMES_OF_MARKS)
    return char in NO_LETTERS or (unicodedata.category(char) == "Lm" and named)


def letter_targets() -> dict[str, str]:
    """Folded non-ASCII letters to an ASCII letter.

    A letter's own likeness counts before that of its capital: only where the small form resembles
    nothing does the capital's likeness stand for both, as case must not matter.
    """
    own: dict[str, str] = {}
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    for char, target in sorted(look_alikes().items()):
        letter = folded(char)
        if len(letter) != 1 or ord(letter) < 0x80 or unicodedata.category(letter)[0] not in "LM":
            continue
        if letter == char:
            own[letter] = target
        else:
            votes[letter][target] += 1
    for letter, counter in votes.items():
        own.setdefault(letter, min(counter, key=lambda t: (-counter[t], t)))
    return own


def named(char: str) -> str:
    """The ASCII letters or digit that a character's Unicode name says it is, or nothing."""
    name = unicodedata.name(char, "")
    if match := LATIN_NAME.match(name) or PAIR_NAME.match(name):
        return match[1].lower()
    if match := DIGIT_NAME.match(name):
        return str(DIGITS.index(match[1]))
    return ""


def units(char: str, targets: dict[str, str]) -> bytes:
    """The canonical units (one byte each) of a code point."""
    letters = folded(char)
    if not letters or all(unicodedata.category(c) == "No" for c in letters):
        letters = named(char) or letters
    out = bytearray()
    for letter in letters:
        out += _letter_units(letter, targets)
    return bytes(out)


def _letter_units(letter: str, targets: dict[str, str]) -> bytes:
    value = unicodedata.decimal(letter, None)
    if value is not None:
        letter = str(value)
    elif ord(letter) > 0x7F:
        letter = targets.get(letter) or named(letter) or letter
    if letter.isascii():
        return "".join(REPRESENTATIVE.get(char, char) for char in letter).encode()
    name = unicodedata.name(letter, "")
    code = ord(letter)
    low = 0x80 | (code & 0x7F)
    if name.startswith(HAN):
        # An ideograph carries about as much as three letters of an alphabet.
        return bytes((low, 0x80 | (code >> 7 & 0x7F), 0x80 | (code >> 14 & 0x7F)))
    if name.startswith(("HIRAGANA", "KATAKANA")):
        # A mora is about two letters; both kana write the same sounds, 0x60 apart.
        kana = code - 0x60 if 0x30A1 <= code <= 0x30F6 else code
        return bytes((0x80 | (kana & 0x7F), 0xE1))
    return bytes((low,))


def main() -> None:
    targets = letter_targets()
    pool = bytearray()
    blocks: dict[bytes, int] = {}
    pages = np.zeros(0x110000 >> 8, np.uint16)
    for page in range(len(pages)):
        block = np.zeros(256, np.uint32)
        for low in range(256):
            char = chr(page << 8 | low)
            if 0xD800 <= ord(char) < 0xE000:
                continue
            written = units(char, targets)
            if len(written) <= 3:
                packed = int.from_bytes(written.ljust(3, b"\0"), "little")
                block[low] = len(written) << 24 | packed
            else:
                block[low] = len(written) << 24 | len(pool)
                pool += written
        pages[page] = blocks.setdefault(block.tobytes(), len(blocks))
    table = np.concatenate([np.frombuffer(block, np.uint32) for block in blocks])
    np.savez_compressed(TARGET, pages=pages, table=table, pool=np.frombuffer(bytes(pool), np.uint8))
    sys.stdout.write(
        f"{TARGET.name}: Unicode {unicodedata.unidata_version}, {len(blocks)} blocks, "
        f"{len(pool)} pooled units, {TARGET.stat().st_size} bytes\n"
    )


if __name__ == "__main__":
    main()
