"""Redaction: a table of cases, and properties over random JSON, Markdown and spans."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrail.errors import UsageError
from guardrail.findings import Span, merge_spans
from guardrail.pieces import JOIN_GAP
from guardrail.redact import Redactor, plan_edits, redact
from guardrail.redaction import MASK, Redaction

LABEL = Redaction(text="[X]")
MASKED = Redaction("mask")
REMOVED = Redaction("remove")
ANY_STYLE = st.sampled_from([LABEL, MASKED, REMOVED, Redaction(text="1."), Redaction(text='"\\')])


def marked(text: str) -> tuple[str, list[Span]]:
    """The text without the marks « and », and the spans that stood between them."""
    spans: list[Span] = []
    plain: list[str] = []
    length = start = 0
    for char in text:
        if char == "«":
            start = length
        elif char == "»":
            spans.append(Span(start, length))
        else:
            plain.append(char)
            length += 1
    return "".join(plain), spans


PLAIN = [
    # (text with «spans», label, mask, remove)
    ("nothing", "nothing", "nothing", "nothing"),
    ("«all»", "[X]", "███", ""),
    ("a «bc» d «ef» g", "a [X] d [X] g", "a ██ d ██ g", "a  d  g"),
    ("«a»«b»", "[X]", "██", ""),
    # Blanks at the ends of a span stay; a span of blanks only is left alone.
    ("a« b »c", "a [X] c", "a █ c", "a  c"),
    ("a«  »b", "a  b", "a  b", "a  b"),
    ("one\n«two\nthree\n»four", "one\n[X]\nfour", "one\n█████████\nfour", "one\n\nfour"),
    # Spans that only blanks and commas part become one label, on one line.
    ("«a», «b» and «c»", "[X] and [X]", "█, █ and █", ",  and "),
    ("«a»\n«b»", "[X]\n[X]", "█\n█", "\n"),
    ("«a»         «b»", "[X]         [X]", "█         █", "         "),
    ("«a»(«b»)", "[X]([X])", "█(█)", "()"),
    # What only changes the character before it goes with it.
    ("«e»\u0301x", "[X]x", "██x", "x"),
    ("«👩»\u200d💻", "[X]💻", "██💻", "💻"),
    ("«👍»🏽!", "[X]!", "██!", "!"),
    ("«❤»\ufe0f!", "[X]!", "██!", "!"),
    ("«क»ि!", "[X]!", "██!", "!"),
    ("«a »\u0301!", "[X] \u0301!", "█ \u0301!", " \u0301!"),
]

MARKDOWN = [
    # A fence keeps its line, its run and its line breaks; its info string can go.
    ("«a\n```py\nb\n```\nc»", "[X]\n```[X]\n[X]\n```\n[X]", "\n```\n\n```\n"),
    ("a\n«```»\nb\n```", "a\n```\nb\n```", "a\n```\nb\n```"),
    ("«~~~\nb\n~~~»", "~~~\n[X]\n~~~", "~~~\n\n~~~"),
    (
        "> «a\n> ```\n> b\n> ```\n> c»",
        "> [X]\n> ```\n> [X]\n> ```\n> [X]",
        "> \n> ```\n> \n> ```\n> ",
    ),
    ("> a\n«> b\n> c»\n", "> a\n> [X]\n", "> a\n> \n"),
    ("- «a\n  ```\n  b\n  ```»\n", "- [X]\n  ```\n  [X]\n  ```\n", "- \n  ```\n  \n  ```\n"),
    ("1. ```\n   «b\n   ```»\n", "1. ```\n   [X]\n   ```\n", "1. ```\n   \n   ```\n"),
    ("```\r\n«a\r\n```\r\nb»", "```\r\n[X]\r\n```\r\n[X]", "```\r\n\r\n```\r\n"),
    ("```\n«a»", "```\n[X]", "```\n"),
    # A number before a fence could be a secret, and has to stay a number.
    ("«123456789. ```\na\n```\n»", "1. ```\n[X]\n```\n", "1. ```\n\n```\n"),
    ("1«23. ```py\n»", "11. ```[X]\n", "11. ```\n"),
    # Blanks after a closing fence: a label there would keep the block open.
    ("```\na\n```«  »\nb", "```\na\n```  \nb", "```\na\n```  \nb"),
    # Not a closing fence; nothing in the place of b would make it one.
    ("```\n```«b»\n```", "```\n```[X]\n```", "```\n```[REDACTED]\n```"),
    # Nothing in the place of a would make a fence of the line.
    ("«a»```\nb", "[X]```\nb", "[REDACTED]```\nb"),
    ("«a» 1. ```\nb", "[X] 1. ```\nb", "[REDACTED] 1. ```\nb"),
    ("x\n``«a»`\nb", "x\n``[X]`\nb", "x\n``[REDACTED]`\nb"),
    # An inline code span goes whole, or its backticks stay.
    ("a «b `c` d» e", "a [X] e", "a  e"),
    ("a «b `c» d` e", "a [X] `[X] d` e", "a [REDACTED] `[REDACTED] d` e"),
    ("a `«b»` c", "a `[X]` c", "a `[REDACTED]` c"),
    ("a «`b`» c", "a [X] c", "a  c"),
    ("a `«`b`»` c", "a ``[X]`` c", "a ``[REDACTED]`` c"),
    # JSON in a block stays JSON; other code is only text.
    (
        '«x»\n```json\n{"a": «1», "b": "c «d»"}\n```\n',
        '[X]\n```json\n{"a": "[X]", "b": "c [X]"}\n```\n',
        '\n```json\n{"a": "", "b": "c "}\n```\n',
    ),
    ("```\n[«1»]\n```\n", '```\n["[X]"]\n```\n', '```\n[""]\n```\n'),
    ("```jsonl\n«[1]\n{}»\n```", '```jsonl\n["[X]"]\n{}\n```', '```jsonl\n[""]\n{}\n```'),
    ("```python\n[«1»]\n```\n", "```python\n[[X]]\n```\n", "```python\n[]\n```\n"),
    ('```json\n{"a": «b»}\n```\n', '```json\n{"a": [X]}\n```\n', '```json\n{"a": }\n```\n'),
]

JSON = [
    # (JSON with «spans», label, mask)
    ('{"a": "b «c» d"}', '{"a": "b [X] d"}', '{"a": "b █ d"}'),
    ('{"«key»": «12», "b": [true, «null»]}',
     '{"[X]": "[X]", "b": [true, "[X]"]}',
     '{"███": "██", "b": [true, "████"]}'),
    ('«{"a": [1, "b"]}»', '{"[X]": ["[X]", "[X]"]}', '{"█": ["█", "█"]}'),
    (' [1«2»3, 4]\n', ' ["[X]", 4]\n', ' ["███", 4]\n'),
    ('[-1.5e«3», «-Infinity»]', '["[X]", "[X]"]', '["██████", "█████████"]'),
    # Blanks inside a string are content; joining stays inside of one string.
    ('["«a », «b», «c»"]', '["[X]"]', '["██, █, █"]'),
    ('{"«a»": "«b»"}', '{"[X]": "[X]"}', '{"█": "█"}'),
    ('["«»", «""»]', '["", ""]', '["", ""]'),
    # An escape goes whole; a pair of surrogates is one character.
    (r'["a\«n»b"]', '["a[X]b"]', '["a█b"]'),
    (r'["a«\»nb"]', '["a[X]b"]', '["a█b"]'),
    (r'["\\«n»"]', r'["\\[X]"]', r'["\\█"]'),
    (r'["\u00«e9» \ud83d\ude«00»!"]', '["[X]!"]', '["█ █!"]'),
    (r'["«\ud8»3d\ude00x"]', '["[X]x"]', '["█x"]'),
    (r'["e«x»\u0301y", "«x»' + "\u0301" + '"]', '["e[X]y", "[X]"]', '["e██y", "██"]'),
    ('{"a": 1}\n\n{"b": "«c»"}\n', '{"a": 1}\n\n{"b": "[X]"}\n', '{"a": 1}\n\n{"b": "█"}\n'),
    ('{"a": «1»}\r\n{"b": 2}', '{"a": "[X]"}\r\n{"b": 2}', '{"a": "█"}\r\n{"b": 2}'),
]  # fmt: skip


@pytest.mark.parametrize(("text", "label", "mask", "remove"), PLAIN)
def test_plain_text(text: str, label: str, mask: str, remove: str) -> None:
    plain, spans = marked(text)
    assert redact(plain, spans, LABEL) == label
    assert redact(plain, spans, MASKED) == mask
    assert redact(plain, spans, REMOVED) == remove


@pytest.mark.parametrize(("text", "label", "remove"), MARKDOWN)
def test_markdown(text: str, label: str, remove: str) -> None:
    plain, spans = marked(text)
    assert redact(plain, spans, LABEL) == label
    assert redact(plain, spans, REMOVED) == remove


@pytest.mark.parametrize(("text", "label", "mask"), JSON)
def test_json(text: str, label: str, mask: str) -> None:
    plain, spans = marked(text)
    assert redact(plain, spans, LABEL) == label
    assert redact(plain, spans, MASKED) == mask


def test_without_spans_the_text_is_the_same_object() -> None:
    text = "as it was"
    for spans in ([], [Span(2, 2)], [Span(50, 60)], [Span(-4, 0)], [Span(3, 1)]):
        assert redact(text, spans, LABEL) is text


def test_spans_in_any_order_overlapping_and_beyond_the_text() -> None:
    assert redact("abcdefgh", [Span(5, 99), Span(2, 4), Span(-3, 3)], LABEL) == "[X]e[X]"


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        (["verbatim", "phrase"], "a <verbatim> b <phrase>"),
        (["verbatim", 'we`ird\n"kind'], "a <verbatim> b <we_ird__kind>"),
        (["b+a", "c"], "a <a+b> b <c>"),
        ([], "a <match> b <match>"),
    ],
)
def test_label_names_the_kind(kinds: list[str], expected: str) -> None:
    style = Redaction(text="<{kind}>")
    assert redact("a 1234 b 5678", [Span(2, 6), Span(9, 13)], style, kinds) == expected


def test_label_of_joined_spans_names_all_kinds() -> None:
    style = Redaction(text="<{kind}>")
    assert redact("ab, cd", [Span(4, 6), Span(0, 2)], style, ["x", "y"]) == "<x+y>"
    assert redact('["ab"]', [Span(2, 3), Span(3, 4)], style, ["x", "y"]) == '["<x+y>"]'
    assert redact("[12]", [Span(1, 2), Span(2, 3)], style, ["x", "y"]) == '["<x+y>"]'


def test_kinds_must_be_as_many_as_spans() -> None:
    with pytest.raises(UsageError, match="2 kinds for 1 spans"):
        redact("abc", [Span(0, 1)], LABEL, ["x", "y"])


@pytest.mark.parametrize(
    "text",
    ["", "  ", "a\nb", "a\tb", "`a`", "~~~", "{name}", "{}", "x" * 201, "\ud800", "\u202eabc"],
)
def test_labels_that_could_break_the_text_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="redaction text"):
        Redaction(text=text)


def test_an_unknown_style_is_refused() -> None:
    with pytest.raises(UsageError, match="allowed: label, mask, remove"):
        Redaction("blur")  # type: ignore[arg-type]


def test_json_nested_too_deep_for_a_parser_stays_json() -> None:
    text = "[" * 100_000 + "1" + "]" * 100_000
    assert redact(text, [Span(100_000, 100_001)], LABEL) == text.replace("1", '"[X]"')


def test_what_stops_being_json_is_prose_from_there_on() -> None:
    plain, spans = marked('{"a": «1», "b": maybe «2»}\n```\n«3»\n```')
    assert redact(plain, spans, LABEL) == '{"a": "[X]", "b": maybe [X]}\n```\n[X]\n```'
    plain, spans = marked("[1] «a `b` c» and «`d`»")
    assert redact(plain, spans, LABEL) == "[1] [X] and [X]"


def test_numbers_longer_than_python_reads_are_json() -> None:
    text = f'{{"a": {"1" * 6000}}}'
    assert json.loads(redact(text, [Span(10, 20)], LABEL)) == {"a": "[X]"}


def test_importing_needs_no_pydantic() -> None:
    code = "import sys, guardrail.redact; assert not {'pydantic', 'yaml'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


# --- properties -------------------------------------------------------------------------------


@st.composite
def spans_in(draw: st.DrawFn, text: str) -> list[Span]:
    ends = st.integers(0, len(text))
    pairs = draw(st.lists(st.tuples(ends, ends), max_size=6))
    return [Span(min(pair), max(pair)) for pair in pairs]


def covered(text: str, spans: list[Span]) -> set[int]:
    return {n for span in spans for n in range(max(0, span.start), min(span.end, len(text)))}


def check_outside(text: str, spans: list[Span], style: Redaction) -> None:
    """Edits only touch what is covered, what joining or widening takes, and cut escapes."""
    inside = covered(text, spans)
    position = 0
    for edit in plan_edits(text, spans, style):
        assert position <= edit.start < edit.end <= len(text)
        assert inside & set(range(edit.start, edit.end))
        position = edit.end


any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=12,
)
any_value = st.lists(any_json, max_size=4) | st.dictionaries(
    st.text(max_size=6), any_json, max_size=4
)


def as_text(value: Any, data: st.DataObject) -> str:
    return json.dumps(
        value,
        ensure_ascii=data.draw(st.booleans()),
        indent=data.draw(st.sampled_from([None, 1, "\t"])),
    )


def check_json_is_gone(text: str, spans: list[Span], style: Redaction) -> None:
    """Each covered character in a string or a scalar is in an edit; structure is in none."""
    inside = covered(text, spans)
    edited = {n for edit in plan_edits(text, spans, style) for n in range(edit.start, edit.end)}
    for token in re.finditer(r'"((?:[^"\\]|\\.)*)"|[^\s\[\]{},:"]+|[\[\]{},:]', text):
        if token.group(1) is not None:
            content = set(range(token.start(1), token.end(1)))
            assert content & inside <= edited
            assert not {token.start(), token.end() - 1} & edited
        elif token.group() in "[]{},:":
            assert token.start() not in edited
        elif inside & set(range(*token.span())):
            assert set(range(*token.span())) <= edited


@given(any_value, ANY_STYLE, st.data())
def test_json_stays_json(value: Any, style: Redaction, data: st.DataObject) -> None:
    text = as_text(value, data)
    spans = data.draw(spans_in(text))
    json.loads(redact(text, spans, style))
    check_json_is_gone(text, spans, style)
    check_outside(text, spans, style)


@given(st.lists(any_value, min_size=1, max_size=4), ANY_STYLE, st.data())
def test_json_lines_stay_json_lines(
    values: list[Any], style: Redaction, data: st.DataObject
) -> None:
    lines = [json.dumps(value, ensure_ascii=data.draw(st.booleans())) for value in values]
    text = data.draw(st.sampled_from(["\n", "\n\n", "\r\n", " \n"])).join(lines)
    spans = data.draw(spans_in(text))
    after = [line for line in redact(text, spans, style).split("\n") if line.strip()]
    assert len(after) == len(lines)
    for line in after:
        json.loads(line)
    check_json_is_gone(text, spans, style)


@given(any_value, ANY_STYLE, st.text("ab \n>", max_size=8), st.data())
def test_json_in_a_block_stays_json(
    value: Any, style: Redaction, around: str, data: st.DataObject
) -> None:
    text = f"{around}\n```json\n{as_text(value, data)}\n```\n{around}"
    spans = data.draw(spans_in(text))
    after = redact(text, spans, style)
    if not any(text[span.start : span.end].find("```json") >= 0 for span in spans):
        body = after[after.index("\n", after.index("```")) : after.rindex("\n```")]
        json.loads(body)


def test_a_long_number_in_two_spans_is_replaced_once() -> None:
    text = f'[{"7" * 60}, "kept"]'
    assert redact(text, [Span(0, 5), Span(40, 45)], Redaction(text="[X]")) == '["[X]", "kept"]'


PREFIX = re.compile(r"(?:[ \t]*(?:>|[-*+](?=[ \t])|\d{1,9}[.)](?=[ \t])))*[ \t]*$")


def fence_lines(text: str) -> list[tuple[str, bool, bool]]:
    """For each line that looks like a fence its run, and if it could open and close a block."""
    found = []
    for line in re.split(r"\r\n|\r|\n", text):
        run = re.search(r"`{3,}|~{3,}", line)
        if run and PREFIX.match(line[: run.start()]):
            info = line[run.end() :].strip()
            found.append((run.group(), run.group()[0] == "~" or "`" not in info, not info))
    return found


markdown = st.lists(
    st.sampled_from(
        [
            *"ab`~>-1. \n\r\t\u0301",
            "\n```json\n",
            "{}",
            "```",
            "~~~",
            "\n```",
            "\n~~~\n",
            "\n> ",
            "\n- ",
            "\n1. ",
            "``",
        ],
    ),
    max_size=30,
).map("".join)


@given(markdown, ANY_STYLE, st.data())
def test_fences_and_backticks_stay_balanced(
    text: str, style: Redaction, data: st.DataObject
) -> None:
    spans = data.draw(spans_in(text))
    after = redact(text, spans, style)
    before_lines, after_lines = fence_lines(text), fence_lines(after)
    assert [line[0] for line in after_lines] == [line[0] for line in before_lines]
    # What could not close a block must not begin to; an info string can go where it opens one.
    open_run = ""
    for (run, opens, closes), (_, opens_after, closes_after) in zip(
        before_lines, after_lines, strict=True
    ):
        if open_run:
            assert closes == closes_after
            if closes and run.startswith(open_run):
                open_run = ""
        else:
            assert opens == opens_after
            open_run = run if opens else ""
    for length in {len(run) for run in re.findall("`+", text + after)}:
        runs = [
            sum(len(run) == length for run in re.findall("`+", version))
            for version in (text, after)
        ]
        assert runs[0] % 2 == runs[1] % 2
    edited = {n for edit in plan_edits(text, spans, style) for n in range(edit.start, edit.end)}
    assert {n for n in covered(text, spans) if text[n].isalnum()} <= edited
    check_outside(text, spans, style)


def pieces_of(text: str, cuts: list[int]) -> list[str]:
    edges = [0, *sorted({min(cut, len(text)) for cut in cuts}), len(text)]
    return [text[a:b] for a, b in pairwise(edges)]


def in_pieces(text: str, spans: list[Span], style: Redaction, chunks: list[str]) -> str:
    """What a Redactor makes of the chunks, each span given as late as it may be."""
    redactor = Redactor(style)
    out: list[str] = []
    seen = settled = 0
    waiting = sorted(spans, key=lambda span: span.start)
    for chunk in chunks:
        seen += len(chunk)
        settled = min((span.start for span in waiting if span.end > seen), default=seen)
        now = [span for span in waiting if span.end <= seen and span.start < settled]
        waiting = [span for span in waiting if span not in now]
        parts = redactor.feed(chunk, now, (), settled)
        out += [part.text for part in parts]
    out += [part.text for part in redactor.feed("", waiting, (), seen, final=True)]
    return "".join(out)


@given(
    markdown
    | any_value.map(json.dumps)
    | st.lists(any_value, min_size=1, max_size=3).map(lambda v: "\n".join(map(json.dumps, v)))
    | any_value.map(lambda value: f"ab\n```json\n{json.dumps(value, indent=1)}\n```\nab"),
    st.text('ab{}[]"\\`~ \r\nu0d8\u0301', max_size=12),
    ANY_STYLE,
    st.data(),
)
def test_every_chunking_gives_the_same(
    text: str, after: str, style: Redaction, data: st.DataObject
) -> None:
    text += after
    spans = data.draw(spans_in(text))
    whole = redact(text, spans, style)
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=8))
    assert in_pieces(text, spans, style, pieces_of(text, cuts)) == whole
    assert in_pieces(text, spans, style, list(text)) == whole


def test_a_stream_keeps_no_more_than_it_looks_back_at() -> None:
    for unit in ("lorem ipsum ", "```\nab\n```\n", '{"a": "b\\u00e9"}\n', "- ", "\r\n", "> `"):
        redactor = Redactor(LABEL)
        for number in range(3000):
            redactor.feed(unit, (), (), number * len(unit) - 30)
        assert len(redactor._text) < 400


@given(st.text(st.characters(categories=("L", "N")), max_size=40), ANY_STYLE, st.data())
def test_every_covered_character_of_words_is_gone(
    text: str, style: Redaction, data: st.DataObject
) -> None:
    text = f"a{text}z"
    spans = data.draw(spans_in(text))
    edits = plan_edits(text, spans, style)
    edited = {n for edit in edits for n in range(edit.start, edit.end)}
    assert covered(text, spans) <= edited
    check_outside(text, spans, style)


@given(st.text("ab ,.;\n(é\u0301", max_size=40), st.data())
def test_text_between_labels_is_unchanged(text: str, data: st.DataObject) -> None:
    spans = merge_spans(data.draw(spans_in(text)))
    position = 0
    inside = covered(text, spans)
    for edit in plan_edits(text, spans, LABEL):
        assert edit.start >= position
        position = edit.end
        for n in set(range(edit.start, edit.end)) - inside:
            assert text[n] in " ,.;\u0301"
    assert JOIN_GAP < 20


# --- cost -------------------------------------------------------------------------------------

SIZE = 10_000_000
HEAVY = [
    ("prose", "lorem ipsum dolor\n", None),
    ("json", '{"a": ["lorem \\n ipsum", 12345]},', "[{}]"),
    ("one string", "lorem \\n ipsum ", '["{}"]'),
    ("blanks", " ", None),
    ("quotes", ">", None),
    ("marks", "\u0301", None),
    ("backticks", "`a``", None),
    ("fences", "```\nab\n", None),
    ("one line of fences", "```a", None),
    ("list markers", "- ", None),
    ("blocks", "```json\n[1]\n```\n", None),
]


@pytest.mark.timed
@pytest.mark.parametrize(("name", "unit", "frame"), HEAVY, ids=[case[0] for case in HEAVY])
@pytest.mark.parametrize("style", [LABEL, REMOVED], ids=str)
def test_time_is_linear(name: str, unit: str, frame: str | None, style: Redaction) -> None:
    text = unit * (SIZE // 100 // len(unit))
    if frame == "[{}]":
        text = f"[{text[:-1]}]"
    elif frame:
        text = frame.format(text)
    spans = [Span(n, n + 5) for n in range(0, len(text), 10)]
    started = time.process_time()
    after = redact(text, spans, style)
    assert time.process_time() - started < 10  # a quadratic step takes minutes
    if frame:
        json.loads(after)


@pytest.mark.timed
def test_ten_megabytes_with_a_hundred_thousand_spans() -> None:
    """Slow for its size; `test_time_is_linear` is the small one."""
    text = "lorem ipsum dolor sit amet " * (SIZE // 27)
    spans = [Span(n, n + 11) for n in range(0, 9_000_000, 90)]
    started = time.perf_counter()
    after = redact(text, spans, MASKED)
    assert time.perf_counter() - started < 15
    assert len(after) == len(text)
    assert after.count(MASK) > 900_000
