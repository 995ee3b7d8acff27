"""Streams: the same text for every chunking, and the one that a check of the whole gives."""

from __future__ import annotations

import asyncio
import base64
import codecs
import json
import random
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from guardrail import Action, Context, Finding, Guardrail, Policy, Span, StreamFilter
from guardrail.detector import EMPTY_CONTEXT
from guardrail.errors import UsageError
from guardrail.filter import VIEW_WAIT, Filter
from guardrail.indexes.build import build
from guardrail.indexes.detectors import OverlapDetector
from guardrail.indexes.excuses import Excuses
from guardrail.keys import Key
from guardrail.paced import LOOKBACK
from guardrail.policy_file import default_policy, parse_policy
from guardrail.release import MAX_HELD, Gradual
from guardrail.scanner import Scanner
from guardrail.segments import LONGEST_SEGMENT, segment_end
from guardrail.text import CanonicalText
from tests.cases.disguises import DISGUISES

SECRETS = (
    "Mrs Abigail Thornbury was admitted on the ninth of March with acute renal failure and was "
    "given furosemide before her transfer to the intensive care unit of Saint Columba hospital.",
    "The buyer shall pay the sum of nine hundred thousand euros in three equal instalments, the "
    "first of which falls due when this contract is signed by both of the parties named above.",
    "Mrs Abigail Thornbury was admitted on the tenth of April with a broken wrist, and went home.",
)
CLEAN = "Here is a recipe for pancakes: mix flour, milk and two eggs, then fry them in butter."
PHRASE = "Project Nightjar"
KEY = Key(bytes(range(32)))

# An example is hundreds of checks: to make one smaller would take minutes.
NO_SHRINK = (Phase.explicit, Phase.reuse, Phase.generate)

POLICIES = {
    "default": None,
    "refuse": "- {name: a, when: {kind: verbatim, min_length: 48}, action: refuse}\n"
    "- {name: b, when: {kind: phrase}, action: redact}",
    "low": "- {name: a, when: {min_length: 27}, action: redact}\n"
    "- {name: b, when: {kind: phrase}, action: refuse}",
    "flag": "- {name: a, action: flag}",
}
STYLES = ("{style: label, text: '<{kind}>'}", "{style: mask}", "{style: remove}")


def policy(rules: str, style: str = STYLES[0]) -> Policy:
    lines = "\n".join(f"  {line}" for line in rules.splitlines())
    return parse_policy(f"version: 1\nrules:\n{lines}\nredaction: {style}\nrefusal: 'No.'\n")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    records = [{"id": str(n), "text": text} for n, text in enumerate(SECRETS)]
    (folder / "docs.jsonl").write_text("\n".join(map(json.dumps, records)))
    build([str(folder / "docs.jsonl")], folder / "index", KEY, phrases=[PHRASE], jobs=1)
    return folder


@pytest.fixture(scope="module")
def rails(corpus: Path) -> dict[str, Guardrail]:
    made = {"default": Guardrail.from_policy(indexes=[corpus / "index"], key=KEY)}
    for name, rules in POLICIES.items():
        for style in STYLES if rules else ():
            made[f"{name} {style}"] = Guardrail.from_policy(
                policy(rules or "", style), indexes=[corpus / "index"], key=KEY
            )
    return made


def cut(text: str, cuts: Sequence[int]) -> list[str]:
    edges = [0, *sorted({min(place, len(text)) for place in cuts}), len(text)]
    return [text[a:b] for a, b in pairwise(edges)]


def streamed(rail: Guardrail, chunks: Sequence[str]) -> tuple[str, StreamFilter]:
    stream = rail.open_stream()
    out = [stream.feed(chunk) for chunk in chunks]
    return "".join([*out, stream.flush()]), stream


def is_beneath(finding: Finding) -> bool:
    """Whether it is judged by sentences in a stream."""
    return finding.evidence.view is not None or finding.kind in ("near-verbatim", "record")


def check_stream(rail: Guardrail, text: str, chunkings: Sequence[Sequence[str]]) -> None:
    """Every chunking gives one text, and what `check` does unless something shows in sentences
    only; a refused text is cut, everywhere alike."""
    whole = rail.check(text)
    outs = set()
    for chunks in chunkings:
        out, stream = streamed(rail, chunks)
        outs.add(out)
        verdict = stream.verdict
        if any(map(is_beneath, [*whole.findings, *verdict.findings])):
            continue
        assert verdict.action is whole.action
        spans = {(f.kind, f.span, f.action) for f in verdict.findings}
        if whole.action is not Action.REFUSE:
            assert out == whole.text
            assert spans == {(f.kind, f.span, f.action) for f in whole.findings}
    assert len(outs) == 1
    (out,) = outs
    for finding in whole.findings:
        if finding.action >= Action.REDACT and not is_beneath(finding):
            leaked = re.findall(r"\w{4,}", text[finding.span.start : finding.span.end])
            sure = [word for word in leaked if text.count(word) == 1]
            assert not any(word in out for word in sure)


@st.composite
def a_slice(draw: st.DrawFn) -> str:
    secret = draw(st.sampled_from(SECRETS))
    start = draw(st.integers(0, len(secret) - 1))
    return secret[start : start + draw(st.integers(1, 120))]


piece = st.one_of(
    a_slice(),
    st.builds(lambda text, name: DISGUISES[name](text), a_slice(), st.sampled_from([*DISGUISES])),
    st.sampled_from([CLEAN, CLEAN[:30], PHRASE, "project-night", "NIGHTJAR", "Project  N"]),
    st.text('ab .\n`>{}[]",:\\\u0301\u200b\ud83d\ude00王', max_size=12),
    st.builds(json.dumps, a_slice()),
    st.builds(lambda text: f"\n```json\n{json.dumps([text, 1])}\n```\n", a_slice()),
)
texts = st.lists(piece, min_size=1, max_size=6).flatmap(
    lambda pieces: st.sampled_from(["", " ", "\n"]).map(lambda join: join.join(pieces))
)


@settings(max_examples=60, phases=NO_SHRINK)
@given(texts, st.data())
def test_every_chunking_equals_the_check_of_the_whole(
    rails: dict[str, Guardrail], text: str, data: st.DataObject
) -> None:
    rail = rails[data.draw(st.sampled_from(sorted(rails)))]
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=6))
    check_stream(rail, text, [list(text), [text], cut(text, cuts), ["", *cut(text, cuts), ""]])


@settings(max_examples=30, phases=NO_SHRINK)
@given(
    st.recursive(
        a_slice() | st.just(CLEAN) | st.just(PHRASE) | st.integers() | st.none(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(a_slice(), inner, max_size=3),
        max_leaves=8,
    ).map(lambda value: [value]),
    st.booleans(),
    st.data(),
)
def test_streamed_json_stays_json(
    rails: dict[str, Guardrail], value: object, plain: bool, data: st.DataObject
) -> None:
    rail = rails[data.draw(st.sampled_from(sorted(rails)))]
    text = json.dumps(value, indent=data.draw(st.sampled_from([None, 1])), ensure_ascii=plain)
    check_stream(rail, text, [list(text), [text], cut(text, [7, 50, 51, 90])])
    out, stream = streamed(rail, list(text))
    if out != rail.policy.refusal:  # a stream that is refused after it began is closed
        json.loads(out)
    assert stream.refused == (rail.check(text).action is Action.REFUSE)


@pytest.mark.parametrize("disguise", DISGUISES.values(), ids=DISGUISES.keys())
def test_disguises_at_every_alignment(
    rails: dict[str, Guardrail], disguise: Callable[[str], str]
) -> None:
    rng = random.Random(6)
    for start in range(0, 60, 7):
        text = f"{CLEAN[: 20 + start]} {disguise(SECRETS[1][start : start + 70])} {CLEAN}"
        cuts = [rng.randrange(len(text)) for _ in range(12)]
        check_stream(rails["default"], text, [list(text), cut(text, cuts)])


def test_nothing_of_a_leak_comes_out_before_its_verdict(rails: dict[str, Guardrail]) -> None:
    """At no time does the text so far hold a word of the leak; what is clean before it is out."""
    stream = rails["default"].open_stream(pace="token")
    out = ""
    for char in f"{CLEAN} {SECRETS[1]}":
        out += stream.feed(char)
        assert "buyer" not in out
    assert out.strip() == CLEAN
    assert out + stream.flush() == f"{CLEAN} [REDACTED]."
    assert stream.verdict.action is Action.REDACT


EDITED = SECRETS[1].replace("nine hundred", "eight hundred").replace("equal", "even")
BENEATH = {
    "edited": EDITED.replace("contract", "paper"),
    "reversed": SECRETS[1][::-1].replace(".", ""),
    "base64": base64.b64encode(SECRETS[1].encode()).decode(),
    "rot13": codecs.encode(SECRETS[1], "rot13"),
    "hex": SECRETS[1].encode().hex(),
}


@pytest.mark.parametrize("text", BENEATH.values(), ids=BENEATH.keys())
@pytest.mark.parametrize("rule", ["default", f"refuse {STYLES[0]}"])
def test_nothing_of_a_sentence_comes_out_before_it_was_seen_through(
    rails: dict[str, Guardrail], text: str, rule: str
) -> None:
    """A copy that is edited or disguised, in one sentence: its verdict comes before any of it."""
    rail = rails[rule]
    if rule != "default":
        rail = Guardrail(policy("- {name: a, action: refuse}"), rail.detectors)
    whole = f"{CLEAN} {text} {CLEAN}"
    found = [f.span for f in rail.check(whole).findings if f.action >= Action.REDACT]
    assert found
    first = min(span.start for span in found)
    stream, out = rail.open_stream(), ""
    for char in whole:
        out += stream.feed(char)
        if stream.verdict.action is Action.ALLOW:
            assert len(out) <= first
    out += stream.flush()
    assert stream.verdict.action is rail.check(whole).action
    assert not any(word in out for word in set(text.split()) - set(CLEAN.split()) if len(word) > 5)
    assert streamed(rail, [whole])[0] == out


def test_a_copy_over_several_sentences_stops_where_it_is_known(tmp_path: Path) -> None:
    """Each sentence by itself is too little; with those before, the rest is held back."""
    told = (
        "The harbour master kept four brass keys. None of them fitted the northern gate. He wrote "
        "to the council about locks. The council sent a ledger instead. Nobody read it before May."
    )
    (tmp_path / "docs.jsonl").write_text(json.dumps({"id": "1", "text": told}))
    build([str(tmp_path / "docs.jsonl")], tmp_path / "index", KEY, jobs=1)
    rail = Guardrail.from_policy(indexes=[tmp_path / "index"], key=KEY)
    edited = told.replace(". ", ", so it went. ")
    assert rail.check(edited).action is Action.REDACT
    out, stream = streamed(rail, list(edited))
    assert stream.verdict.action is Action.REDACT
    assert "ledger" not in out
    assert streamed(rail, [edited])[0] == out


def test_excuses_count_when_a_run_is_complete(rails: dict[str, Guardrail]) -> None:
    rules = policy("- {name: a, when: {kind: verbatim}, action: redact}")
    excuses = Excuses(prompt=True)
    live = next(d for d in rails["default"].detectors if isinstance(d, OverlapDetector))
    detector = OverlapDetector("overlap", live._indexes, excuses)
    rail = Guardrail(rules, [detector])
    text = f"{CLEAN} {SECRETS[0]} {SECRETS[1]} {CLEAN}"
    want = rail.check(text, prompt=SECRETS[0])
    assert SECRETS[0] in want.text
    assert "instalments" not in want.text
    for chunks in ([text], list(text), cut(text, [150, 200, 300])):
        assert "".join(rail.stream(chunks, prompt=SECRETS[0])) == want.text
    entitled = rail.check(text, entitlements=["default"]).text
    assert "".join(rail.stream(list(text), entitlements=["default"])) == entitled


def test_a_refused_stream_ends_and_says_nothing_of_what_it_found(
    rails: dict[str, Guardrail],
) -> None:
    rail = rails[f"refuse {STYLES[0]}"]
    stream = rail.open_stream()
    out = "".join(map(stream.feed, f"{CLEAN} {SECRETS[1]} And more. {5 * (CLEAN + ' ')}"))
    assert stream.refused
    assert out == f"{CLEAN} No."
    assert stream.feed("more") == stream.flush() == ""
    assert stream.verdict.action is Action.REFUSE
    assert not any(word in repr(stream.verdict) for word in ("buyer", "instalments"))
    assert streamed(rail, [SECRETS[1]])[0] == "No."
    assert streamed(rail, [f"```\n{CLEAN}\n", SECRETS[1]])[0] == f"```\n{CLEAN}\n\n```\nNo."
    silent = rail.open_stream(announce=False)
    assert silent.feed(f"{CLEAN} {SECRETS[1]} {5 * (CLEAN + ' ')}") == f"{CLEAN} "


def test_json_that_is_refused_is_closed(rails: dict[str, Guardrail]) -> None:
    rail = rails[f"refuse {STYLES[0]}"]
    frames = ['{{"a": [1, {{"b": "x {}"}}], "c": 2}}', '{{"a": 1, "{}": 2}}', '["a", "{}"]']
    for frame in frames:
        text = frame.format(SECRETS[1])
        check_stream(rail, text, [list(text), [text]])
        json.loads(streamed(rail, list(text))[0])


# --- what is held back --------------------------------------------------------------------------


def test_clean_text_is_held_back_by_the_bound_and_no_more(rails: dict[str, Guardrail]) -> None:
    """26 letters, the blanks between them, and the word that the first of them stands in."""
    stream = rails[f"low {STYLES[0]}"].open_stream(pace="token")
    held = []
    for char in CLEAN * 12:
        stream.feed(char)
        held.append(stream.held)
    assert sorted(held)[len(held) // 2] <= 40
    assert max(held) <= 55


def test_nothing_is_held_back_where_the_policy_only_flags(rails: dict[str, Guardrail]) -> None:
    stream = rails[f"flag {STYLES[0]}"].open_stream(pace="token")
    for char in f"{CLEAN} {SECRETS[0]}":
        assert stream.feed(char) == char
    assert stream.flush() == ""
    assert [f.action for f in stream.verdict.findings] == [Action.FLAG]


def test_a_phrase_is_held_back_as_far_as_it_goes(corpus: Path) -> None:
    rules = "- {name: p, when: {detector: phrases}, action: redact}"
    rail = Guardrail.from_policy(policy(rules), indexes=[corpus / "index"], key=KEY)
    stream = rail.open_stream(pace="token")
    assert stream.feed("The pro") == "The "
    assert stream.feed("ject") == ""
    assert stream.feed(" mana") == "project mana"
    assert stream.feed("ger of projectnightj") == "ger of "
    assert stream.feed("ars") == "projectnightjars"
    assert stream.feed("; project night-") == "; "
    assert stream.feed("jar") + stream.feed(".") + stream.flush() == "<phrase>."


def test_what_is_kept_does_not_grow_with_the_stream(rails: dict[str, Guardrail]) -> None:
    stream = rails["default"].open_stream()
    for number in range(3000):
        stream.feed(f"{number} bottles of beer, ")
    gradual = stream._release
    assert isinstance(gradual, Gradual)
    # Words that come again may be a disguise.
    assert len(gradual._scanner._buffer.raw) < LOOKBACK + VIEW_WAIT + 3 * LONGEST_SEGMENT
    assert len(gradual._redactor._text) + len(stream._shape._text) < 600


def test_a_leak_longer_than_may_be_held_is_refused(tmp_path: Path) -> None:
    rng = random.Random(1)
    words = [f"w{rng.randrange(10**9)}" for _ in range(MAX_HELD // 8)]
    (tmp_path / "doc.txt").write_text(" ".join(words))
    build([str(tmp_path / "doc.txt")], tmp_path / "index", KEY, jobs=1)
    rail = Guardrail.from_policy(indexes=[tmp_path / "index"], key=KEY)
    # More comes before it than waits for a copy that is only known when more of it is here.
    before = 9 * f"{CLEAN} "
    text = f"{before}{' '.join(words)} {CLEAN}"
    out = streamed(rail, [text])[0]
    assert out.startswith(CLEAN)
    assert before.startswith(out.removesuffix(rail.policy.refusal))
    chunks = [text[n : n + 997] for n in range(0, len(text), 997)]
    assert streamed(rail, chunks)[0] == out


# --- other detectors ----------------------------------------------------------------------------


class Pattern:
    """A detector with a window."""

    name = "pattern"
    window = 12

    def scan(self, text: CanonicalText, context: Context) -> Sequence[Finding]:
        found = re.finditer(r"(?<!\d)\d{4}-\d{4}(?!\d)", text.raw)
        return [Finding(self.name, "number", Span(*match.span())) for match in found]


class Sentences:
    """A detector of whole segments: one that says `bad` is found where it says `very` as well."""

    name = "sentences"
    window = None

    def __init__(self) -> None:
        self.seen: list[str] = []

    def scan(self, text: CanonicalText, context: Context) -> Sequence[Finding]:
        self.seen.append(text.raw)
        if "broken" in text.raw:
            raise ValueError(text.raw)
        if "very" not in text.raw:
            return []
        found = re.finditer("bad", text.raw)
        return [Finding(self.name, "bad", Span(*match.span())) for match in found]


ALL = policy("- {name: a, action: redact}")


@given(st.text("0123- a", max_size=60), st.data())
def test_detectors_with_a_window(text: str, data: st.DataObject) -> None:
    filter_ = Filter(ALL, [Pattern()])
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=6))
    for chunks in (list(text), [text], cut(text, cuts)):
        stream = StreamFilter(filter_)
        assert "".join([*map(stream.feed, chunks), stream.flush()]) == filter_.check(text).text


def test_segments_are_judged_at_the_ends_of_sentences() -> None:
    detector = Sentences()
    stream = StreamFilter(Filter(ALL, [detector]), pace="token")
    assert stream.feed("That is bad, ") == ""
    assert stream.feed("Dr. Who. Very") == ""
    assert stream.feed(" ") == ""
    assert stream.feed("nice! This is very ") == "That is bad, Dr. Who. Very nice! "
    assert stream.feed("bad.\nOh") == "This is very "
    assert stream.feed("") + stream.flush() == "<bad>.\nOh"
    assert detector.seen == [
        "That is bad, Dr. Who. Very nice! ",
        "This is very bad.\n",
        "Oh",
    ]


def segments(chunks: Sequence[str]) -> list[str]:
    detector = Sentences()
    scanner = Scanner([detector], ALL, EMPTY_CONTEXT, cut=segment_end)
    for chunk in chunks:
        scanner.feed(chunk)
    scanner.feed("", final=True)
    return detector.seen


@given(st.text("ab.!\n Dr", max_size=60), st.data())
def test_segments_are_the_same_for_every_chunking(text: str, data: st.DataObject) -> None:
    want = segments([text])
    assert "".join(want) == text
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=6))
    for chunks in (list(text), cut(text, cuts)):
        assert segments(chunks) == want


def test_segments_are_capped_in_length_and_time() -> None:
    text = "word " * 1000
    assert "".join(StreamFilter(Filter(ALL, [Sentences()])).over(text)) == text
    assert max(map(len, segments(text))) <= LONGEST_SEGMENT
    now = [0.0]
    filter_ = Filter(ALL, [Sentences()])
    stream = StreamFilter(filter_, pace="token", max_wait=2.0, clock=lambda: now[0])
    assert stream.feed("no end in si") == ""
    now[0] = 1.9
    assert stream.feed("ght, ") == ""
    now[0] = 2.1
    assert stream.feed("we") == "no end in sight, "
    assert stream.flush() == "we"


def test_a_detector_that_fails_ends_the_stream() -> None:
    stream = StreamFilter(Filter(ALL, [Sentences(), Pattern()]), pace="token")
    assert stream.feed("Fine so far. And ") == "Fine "
    assert stream.feed("then a private thing is broken. ") == "so far. No."
    assert stream.refused
    assert "private" not in repr(stream.verdict)
    failure = stream.verdict.failures[0]
    assert (failure.detector, failure.reason) == ("sentences", "ValueError")
    assert 0 < failure.covered < 1
    rules = "version: 1\nrules: [{name: a, action: redact}]\nfailure: flag"
    stream = StreamFilter(Filter(parse_policy(rules), [Sentences(), Pattern()]))
    text = "It is broken. It is 1234-5678, and very bad."
    assert "".join(map(stream.feed, text)) + stream.flush() == text.replace(
        "1234-5678", "[REDACTED]"
    )
    assert stream.verdict.coverage["sentences"] < 1


def test_text_that_a_detector_must_not_miss_waits_for_it() -> None:
    """The detector could only flag; but where a failure refuses, what it has not seen is not
    clean."""
    rules = "version: 1\nrules: [{name: a, action: flag}]\nfailure: refuse"
    stream = StreamFilter(Filter(parse_policy(rules), [Sentences()]))
    assert stream.feed("This is broken") == ""
    assert stream.flush() == default_policy().refusal


# --- wrappers -----------------------------------------------------------------------------------


def test_iterators_sync_and_async(rails: dict[str, Guardrail]) -> None:
    rail = rails["default"]
    text = f"{CLEAN} {SECRETS[0]} {CLEAN}"

    async def source() -> AsyncIterator[str]:
        for char in text:
            yield char

    async def collect() -> list[str]:
        return [chunk async for chunk in rail.stream(source())]

    want = rail.check(text).text
    for chunks in (list(rail.stream(iter(text))), asyncio.run(collect())):
        assert "".join(chunks) == want
        assert "" not in chunks


def test_a_refusal_closes_the_source(rails: dict[str, Guardrail]) -> None:
    rail = rails[f"refuse {STYLES[0]}"]
    closed = []

    def source() -> Iterator[str]:
        try:
            yield from f"{SECRETS[0]} {CLEAN} {CLEAN} {CLEAN} {CLEAN}"
            raise AssertionError("read past the refusal")
        finally:
            closed.append("sync")

    async def asource() -> AsyncIterator[str]:
        try:
            for char in source():
                yield char
        finally:
            closed.append("async")

    async def collect() -> str:
        return "".join([chunk async for chunk in rail.stream(asource())])

    assert "".join(rail.stream(source())) == "No."
    assert asyncio.run(collect()) == "No."
    assert "async" in closed
    assert closed.count("sync") >= 1


def test_waiting_ends_without_another_chunk() -> None:
    async def source() -> AsyncIterator[str]:
        yield "no end in sight "
        await asyncio.sleep(0.3)
        yield "at all"

    async def first() -> str:
        stream = StreamFilter(Filter(ALL, [Sentences()]), max_wait=0.05)
        async for chunk in stream.over_async(source()):
            return chunk
        return ""

    assert asyncio.run(first()) == "no end in sight "


def test_misuse_is_an_error(rails: dict[str, Guardrail]) -> None:
    stream = rails["default"].open_stream()
    with pytest.raises(UsageError, match="a string, not bytes"):
        stream.feed(b"x")  # type: ignore[arg-type]
    stream.flush()
    assert stream.flush() == ""
    with pytest.raises(UsageError, match="flushed"):
        stream.feed("x")
