"""What a stream looks at again: in proportion to its text, however that is laid out or cut."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from guardrail import Finding, Span, StreamFilter
from guardrail.detector import Context, Progress
from guardrail.filter import Filter
from guardrail.policy_file import parse_policy
from guardrail.text import CanonicalText
from tests.cases.layouts import layouts

REDACTING = parse_policy("version: 1\nrules: [{name: a, action: redact}]")


class Counting:
    """Finds nothing, and counts the code points that it is shown."""

    name, window = "counting", None

    def __init__(self) -> None:
        self.seen = 0

    def scan(self, text: CanonicalText, context: Context) -> Sequence[Finding]:
        self.seen += len(text.raw)
        return ()

    def scan_whole(self, text: CanonicalText, context: Context) -> Progress:
        self.seen += len(text.raw)
        return Progress((), (), len(text.raw))


def looked_at(text: str, step: int = 40) -> list[int]:
    """How many code points were shown to a detector, in views as well, up to the end of each
    fourth of a text."""
    detector = Counting()
    stream = StreamFilter(Filter(REDACTING, [detector]))
    seen = []
    out = ""
    for at in range(0, len(text), step):
        out += stream.feed(text[at : at + step])
        seen.append(detector.seen)
    assert out + stream.flush() == text
    return [seen[len(seen) * part // 4 - 1] for part in (1, 2, 3, 4)]


LAYOUTS = layouts(6000)


@pytest.mark.parametrize("name", LAYOUTS)
def test_what_is_looked_at_again_does_not_grow(name: str) -> None:
    """Each line of eight characters was looked at with 2,000 before it, in eight views."""
    first, second, third, fourth = looked_at(LAYOUTS[name])
    assert fourth < 150 * len(LAYOUTS[name])
    # What waits grows up to 6,000 code points.
    assert fourth - third < 4 * max(third - second, second - first)


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_chunking_gives_one_text(name: str) -> None:
    hidden = "Nothing of Anna-Maria Quill comes out."
    text = f"{LAYOUTS[name][:500]}\n{hidden}\n{LAYOUTS[name][500:900]}"
    outs = set()
    for step in (1, 7, 100, len(text)):
        stream = StreamFilter(Filter(REDACTING, [Names()]))
        out = "".join(stream.feed(text[at : at + step]) for at in range(0, len(text), step))
        outs.add(out + stream.flush())
    (out,) = outs
    assert "Anna" not in out
    assert out.startswith(LAYOUTS[name][:490])


class Names:
    """Finds one name, and says that it may go on."""

    name, window = "names", None

    def scan(self, text: CanonicalText, context: Context) -> Sequence[Finding]:
        found = re.finditer("Anna-Maria Quill", text.raw)
        return [Finding(self.name, "name", Span(*match.span())) for match in found]

    def scan_whole(self, text: CanonicalText, context: Context) -> Progress:
        size = len(text.raw)
        begun = text.raw.rfind("Anna", size - 20)
        return Progress(self.scan(text, context), (), begun if begun >= 0 else size)
