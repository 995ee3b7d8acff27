"""Compile every kernel: build an index of a few lines, change it, and check texts against it.

    python -m guardrail.warm_up

An installation does it (setup.py). Do it again where the machine code that came along is for
another processor or another numba: otherwise the first use compiles what it needs.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import json
import re
from pathlib import Path
from tempfile import TemporaryDirectory

from guardrail.assembly import Guardrail
from guardrail.indexes.build import add, build
from guardrail.indexes.lifecycle import compact, forget, merge
from guardrail.indexes.records import RecordRule, RecordRules
from guardrail.indexes.runs import Grid
from guardrail.keys import new_key

# No letter of it is in anybody's corpus; long enough for windows of long words.
_LINES = (
    "A traveller who crosses the northern ridge before sunrise will notice seven painted stones.",
    "Each of them marks a well that shepherds dug when the valley below had been flooded twice.",
    "Nobody remembers which family kept the ledger, although the harbour office claims otherwise.",
    "Lanterns were hung on quarry road 40917263 so that wagons could return with copper by night.",
)


def warm_up() -> None:
    """Use everything once that is compiled. Takes a minute where nothing is cached yet."""
    text = " ".join(_LINES)
    key = new_key()
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for number, line in enumerate(_LINES):
            # One copy more of each: places of a gram are chosen from all.
            (folder / f"{number}.txt").write_text(f"{line} {text}", "utf-8")
        first, second = folder / "first.index", folder / "second.index"
        sources = [str(folder / f"{number}.txt") for number in range(len(_LINES))]
        grid = Grid(16, 12, passages=True)
        rules = RecordRules((RecordRule("number", pattern=r"\d{8}"),))
        build(sources[:2], first, key, grid=grid, max_postings=1, records=[rules], jobs=1)
        build(sources[2:3], second, key, grid=grid, max_postings=1, jobs=1)
        add(sources[3:], first, key, jobs=1)
        forget(first, key, [sources[3]])
        compact(first, key)
        merge([first, second], folder / "both.index", key)
        guardrail = Guardrail.from_policy(indexes=[folder / "both.index"], key=key)
        for response in _responses(text):
            guardrail.check(response)
        lines = "\n".join(text.split())
        for streamed in (text, lines):
            stream = guardrail.open_stream()
            for chunk in (streamed[:150], streamed[150:]):
                stream.feed(chunk)
            stream.flush()


def _responses(text: str) -> list[str]:
    words = text.split()
    edited = " ".join("other" if place % 9 == 8 else word for place, word in enumerate(words))
    plain = [
        text,
        edited,
        text[::-1],
        codecs.encode(text, "rot13"),
        "x".join(text),
        "".join(2 * letter for letter in text),
        text.encode().hex(" "),
        " ".join(str(ord(letter)) for letter in text),
        base64.b64encode(text.encode()).decode(),
        base64.b64encode(text.encode("utf-16")).decode(),
        base64.b85encode(text.encode()).decode(),
        "".join(
            binascii.b2a_uu(text.encode()[at : at + 45]).decode() for at in range(0, len(text), 45)
        ),
        "".join(f"\\u{ord(letter):04x}" for letter in text),
        text.translate(str.maketrans("asit", "@$!+")),
        json.dumps({"note": text.replace(" ", "\n")}),
        json.dumps(json.dumps(text.replace(" ", "\n"))),
        "".join(chr(0x2800 + ord(letter) % 64) for letter in text),
        "".join("\u200b\u200c"[int(bit)] for letter in text for bit in f"{ord(letter):08b}"),
        "\n".join(f"{number}. {word}" for number, word in enumerate(words)),
        "\n".join(f"| a{number} | {word} | fine |" for number, word in enumerate(words)),
        "\n".join(f'a{number} = "{word}"  # {word}' for number, word in enumerate(words)),
    ]
    plain += [
        # Letters of words in another order, and syllables; words joined; keys of several shifts.
        " ".join(word[1:] + word[0] for word in words),
        re.sub("([aeiou])", r"ob\1", text),
        text.replace(" ", "x"),
        "".join(
            chr((ord(letter) - 97 + place) % 26 + 97) for place, letter in enumerate(text.lower())
        ),
        "".join(text.replace(" ", "")[place::4] for place in range(4)),
        # Every second word, and second words of lines.
        " ".join(f"{word} {other}" for word, other in zip(words, words[::-1], strict=True)),
        "\n".join(f"line {word} of more" for word in words),
    ]
    # Letters beyond ASCII take another path, and wider arrays.
    return [
        *plain,
        *(f"{response}\n\N{EM DASH} \N{GREEK SMALL LETTER OMEGA}" for response in plain),
    ]


if __name__ == "__main__":
    warm_up()
