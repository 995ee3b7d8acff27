"""What a stream holds back because it may become a finding: nothing of it leaks, and what comes out
is what a check of the whole gives."""

from __future__ import annotations

import base64
import codecs
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import cycle

import pytest

from guardrail import Action, Guardrail, StreamFilter
from guardrail.classifiers.pii.detector import PiiDetector
from guardrail.classifiers.secrets import SecretsDetector
from guardrail.filter import Filter
from guardrail.findings import Finding
from guardrail.indexes.build import DEFAULT_GRID, build
from guardrail.keys import Key
from guardrail.paced import LONGEST_LATE, LONGEST_OPEN
from guardrail.policy_file import default_policy, parse_policy
from guardrail.release import MAX_HELD
from tests.cases.disguises import HIDDEN, LONGER, lines
from tests.cases.evasions import GROUPS, Material, interleaved
from tests.cases.pii import CASES as PII
from tests.cases.secrets import TEMPLATES, fill

KEY = Key(bytes(range(32)))
CLEAN = "Here is a recipe for pancakes: mix flour, milk and two eggs. Fry them in butter."
TOLD = (
    "The harbour master kept four brass keys in the long drawer. None of them fitted the northern "
    "gate of the yard. He wrote to the council about the locks in autumn. The council sent a "
    "ledger and two clerks instead. Nobody read the ledger before May of the following year."
)
MORE = (
    "In the spring a surveyor came with chains and a brass level. He measured the yard twice and "
    "wrote the figures on the back of a shipping bill. The gate turned out to be a foot too wide "
    "for its hinges, which nobody had noticed since the wall was raised after the flood."
)
OTHER = (
    "Bread keeps longer when it is wrapped in cloth, and stale crusts make good soup with onions. "
    "Cut the vegetables small so that they cook evenly, salt the water well, and let everything "
    "simmer slowly while you set the table for supper. Leave the lid slightly open meanwhile."
)
ALL = parse_policy("version: 1\nrules: [{name: a, action: redact}]")


def redacted(findings: Sequence[Finding]) -> set[int]:
    """The code points that findings take out."""
    spans = [f.span for f in findings if f.action >= Action.REDACT]
    return {place for span in spans for place in range(span.start, span.end)}


def check_stream(filter_: Filter, text: str, pace: str | None = None) -> None:
    """Character by character and whole: what the check gives, and nothing of what it takes out."""
    want = filter_.check(text)
    assert want.action is Action.REDACT
    for chunks in (list(text), [text]):
        stream = StreamFilter(filter_, pace=pace)  # type: ignore[arg-type]
        out = "".join([*map(stream.feed, chunks), stream.flush()])
        assert redacted(want.findings) <= redacted(stream.verdict.findings)
        assert out == want.text


def taken_out(filter_: Filter, text: str) -> set[int]:
    """The code points that a stream takes out of a text, all of which is fed."""
    stream = StreamFilter(filter_)
    for at in range(0, len(text), 7):
        stream.feed(text[at : at + 7])
    stream.flush()
    assert not stream.refused
    return redacted(stream.verdict.findings)


@pytest.fixture(scope="module")
def rail(tmp_path_factory: pytest.TempPathFactory) -> Guardrail:
    folder = tmp_path_factory.mktemp("corpus")
    told = [{"id": "1", "text": TOLD}, {"id": "2", "text": f"{TOLD} {MORE}"}]
    (folder / "docs.jsonl").write_text("\n".join(map(json.dumps, told)))
    grid = replace(DEFAULT_GRID, passages=True)
    build([str(folder / "docs.jsonl")], folder / "index", KEY, grid=grid, jobs=1)
    return Guardrail.from_policy(indexes=[folder / "index"], key=KEY)


def pem(kind: str = "RSA ") -> str:
    body = base64.encodebytes(random.Random(4).randbytes(900)).decode().strip()
    return f"-----BEGIN {kind}PRIVATE KEY-----\n{body}\n-----END {kind}PRIVATE KEY-----"


@pytest.mark.parametrize(
    "secret",
    [
        pem(),
        pem().replace("\n", "\n\n", 3),
        "export DATABASE_URL=postgres://admin:Xq7-v9Lw2e@db.example.org:5432/main",
        'curl https://example.org \\\n  --user "deploy:Xq7-v9Lw2e41"',
    ],
    ids=["private key", "key with empty lines", "connection", "two lines"],
)
def test_secrets_of_several_lines(secret: str) -> None:
    check_stream(Filter(ALL, [SecretsDetector("secrets")]), f"{CLEAN} {secret}\n{CLEAN}")


def test_every_format_of_a_token() -> None:
    filter_ = Filter(ALL, [SecretsDetector("secrets")])
    random_ = random.Random(1)
    for _, template in TEMPLATES[::9]:
        text = f"{CLEAN}\nThe key: {fill(template, random_)}.\nIt is new. {CLEAN}"
        if filter_.check(text).action is Action.REDACT:
            check_stream(filter_, text)


def test_personal_data_whose_context_follows() -> None:
    filter_ = Filter(ALL, [PiiDetector("pii")])
    for case in PII[::4]:
        text = f"{CLEAN} {case.text} {CLEAN}"
        if filter_.check(text).action is Action.REDACT:
            check_stream(filter_, text)


def test_an_edited_copy_over_several_sentences(rail: Guardrail) -> None:
    edited = TOLD.replace(". ", ", so it went. ").replace("northern", "eastern")
    check_stream(rail._filter, f"{CLEAN} {edited} {CLEAN}")
    check_stream(rail._filter, f"{CLEAN}\n\n{edited.replace('. ', '.' + chr(10))}\n{CLEAN}")


EDITED = {
    "edits": ("replaced, 1 in 6", "replaced, 1 in 4", "dropped, 1 in 4", "inserted, 1 in 3",
              "moved, 1 in 6", "respelled, 1 in 3"),
    "splices": ("sentences shuffled", "8 words at a time, shuffled", "8 words, then 6 others",
                "5 words, then 5 others"),
}  # fmt: skip


@pytest.mark.parametrize(("group", "name"), [(g, n) for g, ns in EDITED.items() for n in ns])
def test_nothing_of_an_edited_copy_comes_out_before_it_is_known(
    rail: Guardrail, group: str, name: str
) -> None:
    """The first words of a copy were let go where no run of a gram told of it for some sentences,
    and pieces in another order where the piece before them in the document came later."""
    overlap = next(d for d in rail.detectors if d.name == "overlap")
    filter_ = Filter(rail.policy, [overlap])
    acted = 0
    for seed in range(3):
        material = Material(random.Random(seed), OTHER.split(), OTHER.split())
        # In another order, pieces add up in a stream within 200 units of the response.
        told = TOLD if "shuffled" in name else f"{TOLD} {MORE}"
        planted = "".join(part for part, _ in GROUPS[group][name](told, material))
        text = f"{CLEAN} {planted} {OTHER} {OTHER}"
        want = redacted(filter_.check(text).findings)
        acted += bool(want)
        stream = StreamFilter(filter_)
        for at in range(0, len(text), 5):
            stream.feed(text[at : at + 5])
        stream.flush()
        assert want <= redacted(stream.verdict.findings)
    assert acted


PIECES = ((3, 3), (4, 4), (4, 8), (5, 5), (5, 20), (6, 12), (6, 30), (8, 30))


@pytest.mark.parametrize(("words", "others"), PIECES)
def test_pieces_between_other_text_wait_for_each_other(
    rail: Guardrail, words: int, others: int
) -> None:
    """The first pieces were let go where the link between two went by a piece far off, which a
    stream did not take into a chain."""
    overlap = next(d for d in rail.detectors if d.name == "overlap")
    filter_ = Filter(rail.policy, [overlap])
    acted = 0
    for seed in range(6):
        material = Material(random.Random(seed), OTHER.split(), OTHER.split())
        parts = interleaved(words, others)(f"{TOLD} {MORE}", material)
        text = f"{CLEAN} {''.join(part for part, _ in parts)} {OTHER}"
        want = redacted(filter_.check(text).findings)
        acted += bool(want)
        assert want <= taken_out(filter_, text)
    assert acted or (words, others) == (3, 3)


def test_what_comes_far_behind_a_copy_and_goes_on_with_it(rail: Guardrail) -> None:
    """A piece is taken out that says little by itself, but more of what is known by then."""
    overlap = next(d for d in rail.detectors if d.name == "overlap")
    filter_ = Filter(rail.policy, [overlap])
    first, second = TOLD[:124], "about the locks in autumn"
    text = f"{first}\n\n{OTHER} {OTHER}\n\nIt went on {second} of late. {OTHER}"
    place = text.index(second)
    assert place > len(first)
    assert place in redacted(filter_.check(text).findings)
    assert place in taken_out(filter_, text)


def test_a_passage_in_another_order(rail: Guardrail) -> None:
    words = TOLD.split()
    random.Random(3).shuffle(words)
    passages = next(d for d in rail.detectors if d.name == "passages")
    filter_ = Filter(rail.policy, [passages])
    sentences = [" ".join(words[n : n + 7]) + ". " for n in range(0, len(words), 7)]
    text = f"{3 * (CLEAN + ' ')}{''.join(sentences)}{3 * (' ' + CLEAN)}"
    want = filter_.check(text)
    assert want.action is Action.REDACT
    for chunks in (list(text), [text]):
        stream = StreamFilter(filter_)
        out = "".join([*map(stream.feed, chunks), stream.flush()])
        # In a view of the words in reverse the check takes out some of what is clean as well.
        assert not any(word in out for word in words if len(word) > 6 and word not in want.text)


LAID_OUT = (
    *("base64 in lines", "hexadecimal, spaced", "binary", "decimal", "Morse code in lines"),
    *("ROT13", "reversed", "percent", "code points", "three words a line, numbered"),
    *("last words", "a table", "CSV", "keys and words", "strings"),
)


@pytest.mark.parametrize("name", LAID_OUT)
def test_disguises_over_many_sentences_and_lines(rail: Guardrail, name: str) -> None:
    overlap = next(d for d in rail.detectors if d.name == "overlap")
    filter_ = Filter(rail.policy, [overlap])
    check_stream(filter_, f"{CLEAN}\n\n{HIDDEN[name](TOLD)}\n\n{CLEAN}")


# Let go before they showed: lines and cells before there are enough of them, rows of more than 60
# characters, pieces in marks, and words before their letters or their order told.
BEGINNINGS: dict[str, Callable[[str], str]] = {
    **{name: HIDDEN[name] for name in (
        "first words", "first letters", "emphasis", "every other line", "JSON values", "comments",
        "one word a line, numbered", "keys and words", "numbers between", "a word between",
        "words in reverse", "a letter in front", "letters moved", "numbered and shuffled",
        "base64 in groups", "base32 in groups", "base64 of each word", "base64 in groups, hyphens",
        "a dump, as by xxd", "a square", "taps", "keys of a telephone", "bits in words",
        "names of characters", "parameters", "first letters behind", "halves of words swapped",
        "a syllable before each vowel", "x for blanks", "a digit for blanks",
    )},
    **{name: LONGER[name] for name in (
        "Vigenère", "each word shifted by one more", "rows of five, read down", "second words",
    )},
    "a syllable in front": lambda text: " ".join(f"ub{word}" for word in text.split()),
    "rows of a program": lambda text: lines(
        text, lambda n, word: f"    $rows[{n}] = array('key', {n}, '{word}', 'nothing at all');"
    ),
    "two columns": lambda text: lines(text, lambda n, word: f"{word:<20} filler{n}"),
    "sentences in reverse": lambda text: " ".join(
        " ".join(reversed(part.split())) for part in text.split(". ")
    ),
}  # fmt: skip


BEFORE = (f"{CLEAN}\n\n", f"{CLEAN} So: ", "- One item\n- Another\n")


@pytest.mark.parametrize(("name", "before"), list(zip(BEGINNINGS, cycle(BEFORE), strict=False)))
def test_the_beginning_of_a_disguise_waits(rail: Guardrail, name: str, before: str) -> None:
    overlap = next(d for d in rail.detectors if d.name == "overlap")
    filter_ = Filter(rail.policy, [overlap])
    text = f"{before}{BEGINNINGS[name](TOLD)}\n\n{OTHER}"
    want = redacted(filter_.check(text).findings)
    assert want
    stream = StreamFilter(filter_)
    for at in range(0, len(text), 7):
        stream.feed(text[at : at + 7])
    stream.flush()
    assert want <= redacted(stream.verdict.findings)


def rows(text: str, form: Callable[[int, bytes, str], str], width: int = 16) -> str:
    """The bytes of a text in rows of a place, the bytes and what they show."""
    data, out = text.encode(), []
    for at in range(0, len(data), width):
        row = data[at : at + width]
        shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        out.append(form(at, row, shown))
    return "\n".join(out)


def coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


# Rows in which plain words stand beside codes: these were taken for the end of what is a code.
ROWS: dict[str, Callable[[str], str]] = {
    "hexdump": lambda t: rows(
        t, lambda at, row, shown: f"{at:08x}  {row[:8].hex(' ')}  {row[8:].hex(' ')}  |{shown}|"
    ),
    "xxd, short": lambda t: rows(
        t, lambda at, row, shown: f"{at:08x}: {row.hex(' ', 2)}  {shown}", 8
    ),
    "xxd, long": lambda t: rows(
        t, lambda at, row, shown: f"{at:08X}: {row.hex(' ', 4).upper()}  {shown}", 32
    ),
    "quoted": lambda t: rows(t, lambda at, row, shown: f"> {at:04x}  {row.hex(' ')}  {shown}"),
    "od": lambda t: rows(t, lambda at, row, shown: f"{at:07o} {row.hex(' ')}"),
    "a debugger": lambda t: rows(
        t, lambda at, row, _: f"{at:#x}:\t" + "\t".join(f"{byte:#04x}" for byte in row), 8
    ),
    "an array": lambda t: rows(
        t, lambda at, row, _: "  " + ", ".join(f"{byte:#04x}" for byte in row) + ",", 12
    ),
    "a table": lambda t: rows(t, lambda at, row, shown: f"| {at:04x} | {row.hex(' ')} | {shown} |"),
    "decimal": lambda t: rows(t, lambda at, row, _: f"{at:04}: {' '.join(map(str, row))}"),
    "base64 with numbers": lambda t: rows(
        coded(t), lambda at, row, _: f"{at // 64 + 1:4}  {row.decode()}", 64
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_rows_of_a_dump_wait(rail: Guardrail, name: str) -> None:
    """The first rows were let go where the words beside the bytes are plain, or where the first row
    does not begin a line, so that it is a code of its own."""
    overlap = next(d for d in rail.detectors if d.name == "overlap")
    filter_ = Filter(rail.policy, [overlap])
    words = f"{TOLD} {MORE}".split()
    for first in (8, 28, 48):
        planted = ROWS[name](" ".join(words[first : first + 34]))
        for before in ("So ", f"{CLEAN}\n"):
            text = f"{before}{planted}\n\n{OTHER}"
            inside = range(len(before), len(before) + len(planted))
            want = redacted(filter_.check(text).findings) & set(inside)
            assert want
            assert want <= taken_out(filter_, text)


def test_a_code_in_a_table_in_a_code_waits(rail: Guardrail) -> None:
    """What a disguise in a disguise may begin with waits as it would outside."""
    overlap = next(d for d in rail.detectors if d.name == "overlap")
    filter_ = Filter(rail.policy, [overlap])
    table = "\n".join(f"{number} | {word} | nothing" for number, word in enumerate(TOLD.split()))
    text = f"{CLEAN} {coded(table)}\n{OTHER}"
    want = redacted(filter_.check(text).findings)
    assert want
    assert want <= taken_out(filter_, text)


SECOND = ("melancholic", "into", "{", "then", "==", "percentage", "0%", "<<", "|", "design")


def test_second_words_of_lines_wait(rail: Guardrail) -> None:
    """They tell their order late where signs stand between words."""
    overlap = next(d for d in rail.detectors if d.name == "overlap")
    filter_ = Filter(rail.policy, [overlap])
    words = f"{TOLD} {MORE}".split()
    random_ = random.Random(5)
    text = "\n".join(f"{random_.choice(SECOND)} {w} grasp {random_.choice(SECOND)}" for w in words)
    want = redacted(filter_.check(f"{CLEAN}\n{text}\n{OTHER}").findings)
    assert want
    assert want <= taken_out(filter_, f"{CLEAN}\n{text}\n{OTHER}")


def test_what_is_no_disguise_goes_on(rail: Guardrail) -> None:
    """Lists, tables and marks wait for so much of a view, and not for their end."""
    overlap = next(d for d in rail.detectors if d.name == "overlap")
    filter_ = Filter(rail.policy, [overlap])
    for line in ("- Item and more of it", "| 4 | 7 | of these |", "We use **bold** words here."):
        stream = StreamFilter(filter_)
        for number in range(400):
            stream.feed(f"{number} {line}\n")
        assert not stream.refused
        assert stream.held < 7000


@pytest.mark.parametrize("name", ["emphasis", "numbered and shuffled"])
def test_a_response_can_wait_as_a_whole(rail: Guardrail, name: str) -> None:
    """What shows in many lines or marks only is found before any of it is out at this pace."""
    check_stream(rail._filter, f"{CLEAN}\n\n{HIDDEN[name](TOLD)}\n\n{CLEAN}", "response")


def test_far_pieces_add_up_where_a_response_waits(rail: Guardrail) -> None:
    """Pieces in another order, with more between them than a stream looks back for."""
    parts = [" ".join(TOLD.split()[at : at + 6]) for at in range(0, 48, 6)]
    random.Random(2).shuffle(parts)
    filler = OTHER.split(". ")
    text = "\n".join(f"- {filler[n % 3]}: {OTHER[:150]} {part}" for n, part in enumerate(parts))
    check_stream(rail._filter, text, "response")


def test_a_response_that_waits_is_refused_as_a_check_refuses_it(rail: Guardrail) -> None:
    refusing = parse_policy("version: 1\nrules: [{name: a, action: refuse}]")
    for announce in (True, False):
        filter_ = Filter(refusing, rail.detectors)
        stream = StreamFilter(filter_, pace="response", announce=announce)
        assert "".join(map(stream.feed, f"{CLEAN} {TOLD}")) == ""
        assert stream.held == stream.fed == len(f"{CLEAN} {TOLD}")
        assert stream.verdict.coverage == dict.fromkeys(stream.verdict.coverage, 0.0)
        assert stream.flush() == (refusing.refusal if announce else "")
        assert stream.refused
        assert stream.verdict.findings
        assert stream.verdict.text == ""
    long = StreamFilter(Filter(refusing, rail.detectors), pace="response")
    assert "".join(long.over([CLEAN] * (MAX_HELD // len(CLEAN) + 2))) == refusing.refusal


def test_a_paragraph_waits_as_a_whole() -> None:
    stream = StreamFilter(Filter(ALL, [SecretsDetector("secrets")]), pace="paragraph")
    assert stream.feed(f"{OTHER}\n{OTHER}") == ""
    assert stream.feed(f"\n\nMore of it, {CLEAN}").startswith(OTHER[:200])
    assert stream.held < 2 * len(OTHER)


def test_what_is_open_for_too_long_is_a_failure() -> None:
    begun = f"{CLEAN} -----BEGIN RSA PRIVATE KEY-----\n"
    long = "Word upon word, and no end of it. " * (LONGEST_OPEN // 30)
    stream = StreamFilter(Filter(ALL, [SecretsDetector("secrets")]))
    out = "".join(map(stream.feed, [begun, *[long[n : n + 90] for n in range(0, len(long), 90)]]))
    assert stream.refused
    assert out == f"{CLEAN} {ALL.refusal}"
    assert "in time" in stream.verdict.failures[0].reason
    flagging = parse_policy("version: 1\nfailure: flag\nrules: [{name: a, action: redact}]")
    stream = StreamFilter(Filter(flagging, [SecretsDetector("secrets")]))
    assert stream.feed(begun + long) != ""
    assert stream.feed("And more. ") + stream.flush() != ""
    assert not stream.refused
    assert stream.verdict.coverage["secrets"] < 1


def test_what_is_open_when_time_is_up_waits_on_or_is_a_failure() -> None:
    now = [0.0]
    filter_ = Filter(ALL, [SecretsDetector("secrets")])
    stream = StreamFilter(filter_, max_wait=2.0, clock=lambda: now[0])
    assert stream.feed("It is -----BEGIN RSA PRIVATE KEY-----\n") == ""
    now[0] = 3.0
    assert stream.feed("MIIE") == "It is "
    assert not stream.refused
    now[0] = 6.0
    assert stream.feed("word " * LONGEST_LATE) == filter_.policy.refusal


def test_the_policy_sets_the_pace() -> None:
    text = default_policy().model_dump()
    assert text["stream"] == {"pace": "sentence", "max_wait": None}
    rules = "version: 1\nrules: [{name: a, action: redact}]\nstream: {pace: response, max_wait: 5}"
    stream = StreamFilter(Filter(parse_policy(rules), [SecretsDetector("secrets")]))
    assert stream.max_wait == 5
    assert stream.feed(f"{CLEAN}\n\n{CLEAN}\n\n") == ""
    assert stream.flush() == f"{CLEAN}\n\n{CLEAN}\n\n"


def test_rot13_of_short_sentences(rail: Guardrail) -> None:
    """Each has fewer letters than it takes to see a shift."""
    overlap = next(d for d in rail.detectors if d.name == "overlap")
    check_stream(Filter(rail.policy, [overlap]), f"{CLEAN} {codecs.encode(TOLD, 'rot13')} {CLEAN}")
