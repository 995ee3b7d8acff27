"""Views: what is hidden is seen, it is known where it stands, and hostile texts are no trouble."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from hashlib import sha1

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardrail.detector import SURE
from guardrail.findings import Evidence, Finding, Span
from guardrail.text import canonical_units
from guardrail.views.unmask import DEPTH, EACH, FACTOR, SPARE, unmask, unmasked_findings
from guardrail.views.view import View
from tests.cases.disguises import HIDDEN, NESTING, b64

PASSAGE = (
    "Mrs Abigail Thornbury was admitted on the ninth of March with acute renal failure and was "
    "given furosemide before her transfer to the intensive care unit of Saint Columba hospital."
)
HOST = "Here is a recipe for pancakes: mix flour, milk and two eggs, then fry them in butter.\n"


def form(text: str) -> bytes:
    return canonical_units(text)[0].tobytes()


def seen_in(text: str, passage: str) -> list[View]:
    """The views of a text that hold a passage, but for its ends."""
    masked = unmask(text)
    middle = form(passage)[4:-8]
    return [view for view in masked.views if middle in form(view.text)] if masked else []


@pytest.mark.parametrize("hide", HIDDEN.values(), ids=HIDDEN.keys())
def test_what_is_hidden_is_seen_where_it_stands(hide: Callable[[str], str]) -> None:
    hidden = hide(PASSAGE)
    views = seen_in(f"{HOST}\n{hidden}\n{HOST}", PASSAGE)
    assert views
    start, end = len(HOST) + 1, len(HOST) + 1 + len(hidden)
    for view in views:
        place = view.text.lower().find("columba")
        if place >= 0:
            assert start <= view.starts[place : place + 7].min()
            assert view.ends[place : place + 7].max() <= end


@pytest.mark.parametrize(
    ("outer", "inner"), list(itertools.product(NESTING, NESTING)), ids=lambda name: str(name)
)
def test_twice_hidden_is_seen(outer: str, inner: str) -> None:
    hidden = NESTING[outer](NESTING[inner](PASSAGE))
    if form(hidden) == form(PASSAGE):
        return
    assert seen_in(f"{HOST}\n{hidden}\n{HOST}", PASSAGE)


def test_a_letter_is_seen_between_signs_of_a_program() -> None:
    """Between digits and brackets it was not: there are too few letters to be weighed."""
    code = "2322 return; 2323 --__last1; 2324 --__last2; 2325 { 2326 if (__comp(__last2))"
    assert seen_in(f"{HOST}\n{'x'.join(code)}\n{HOST}", code)


# --- maps ----------------------------------------------------------------------------------------

# What each code point is encoded as must decode to itself, so no lone surrogates; enough of them
# that a run is long enough to be looked at.
TEXTS = st.text(
    st.characters(codec="utf-8", categories=("L", "M", "N", "P", "S", "Z")),
    min_size=24,
    max_size=60,
)
PLAIN = st.text(st.sampled_from("abc def, ghi. "), max_size=40)
EXACT = ("base64", "base32", "hexadecimal", "percent", "entities")


@pytest.mark.parametrize("name", EXACT)
@settings(max_examples=10)
@given(TEXTS, PLAIN, PLAIN)
def test_an_encoding_maps_back_to_exactly_where_it_stands(
    name: str, text: str, before: str, after: str
) -> None:
    hidden = NESTING[name](text)
    whole = f"{before} \t{hidden} \t{after}"
    masked = unmask(whole)
    assert masked is not None
    views = [view for view in masked.views if text in view.text]
    assert views
    start = len(before) + 2
    for view in views[:1]:
        first = view.text.index(text)
        last = first + len(text)
        assert int(view.starts[first]) == start
        assert int(view.ends[last - 1]) == start + len(hidden.rstrip("="))
        assert (view.starts < view.ends).all()
        assert int(view.ends.max()) <= len(whole)


@settings(max_examples=40)
@given(st.text(st.characters(codec=None, exclude_categories=()), max_size=300))
def test_every_view_of_any_text_has_a_map(text: str) -> None:
    masked = unmask(text)
    for view in masked.views if masked else ():
        assert len(view.text) == len(view.starts) == len(view.ends)
        if len(view.text):
            assert (view.starts < view.ends).all()
            assert int(view.ends.max()) <= len(text)


def test_findings_are_mapped_and_said_once() -> None:
    text = f"{HOST}{b64(PASSAGE)}\n{HOST}"
    masked = unmask(text)
    assert masked is not None
    place = masked.text.raw.index("Abigail")
    evidence = Evidence(document="note", matched=7)
    finding = Finding("any", "word", Span(place, place + 7), evidence=evidence)
    (mapped,) = unmasked_findings(masked, [finding, finding], [])
    assert mapped.evidence.view == "base64"
    # Outward to the groups of four characters that hold the word.
    start = len(HOST) + 4 * (4 // 3)
    assert mapped.span == Span(start, start + 4 * 3)
    wider = Finding("any", "word", Span(0, len(text)), evidence=evidence)
    assert unmasked_findings(masked, [finding], [wider]) == []
    assert len(unmasked_findings(masked, [finding], [Finding("other", "word", wider.span)])) == 1


@pytest.mark.parametrize(
    ("score", "document", "counts"),
    [(0.9, None, False), (SURE, None, True), (0.1, "note", True)],
)
def test_what_pieces_make_by_chance_is_left_out(
    score: float, document: str | None, counts: bool
) -> None:
    lines = "\n".join(f"{word} and more of it" for word in PASSAGE.split())
    masked = unmask(lines)
    assert masked is not None
    names = [view.name for view in masked.views]
    first = masked.firsts[names.index("first words")]
    finding = Finding("any", "word", Span(first, first + 9), score, Evidence(document=document))
    assert bool(unmasked_findings(masked, [finding], [])) == counts
    code = unmask(f"{HOST}{b64(PASSAGE)}\n{HOST}")
    assert code is not None
    inside = Finding("any", "word", Span(0, 7), score, Evidence(document=document))
    assert unmasked_findings(code, [inside], [])


# --- hostile texts -------------------------------------------------------------------------------


def _nested(size: int) -> str:
    text = PASSAGE
    while len(text) < size:
        text = b64(text)
    return text[:size]


HOSTILE: dict[str, Callable[[int], str]] = {
    "one letter": lambda n: "A" * n,
    "base64 of base64 of base64": _nested,
    "base64 of a word, over and over": lambda n: "VGhl" * (n // 4),
    "hashes": lambda n: ("3f9a8bcd" * 5 + " ") * (n // 41),
    # Each may be text under some shift, so each is tried in all ways.
    "hashes without end": lambda n: "\n".join(
        sha1(bytes([number % 256, number // 256])).hexdigest() for number in range(n // 41)
    ),
    # Pluses were taken for letters, and each stretch of them was searched again.
    "base64 of noise": lambda n: " ".join(
        b64(sha1(bytes([number % 256, number // 256])).hexdigest()[:30])
        for number in range(n // 41)
    ),
    "groups of four": lambda n: "dGhl " * (n // 5),
    "a table of numbers": lambda n: "481516,234242,108\n" * (n // 18),
    "digits": lambda n: "0" * n,
    "numbers": lambda n: "65 66 " * (n // 6),
    "percent": lambda n: "%25" * (n // 3),
    "percent signs": lambda n: "%" * n,
    "entities": lambda n: "&amp;" * (n // 5),
    "ampersands": lambda n: "&a" * (n // 2),
    "backslashes": lambda n: "\\" * n,
    "escapes": lambda n: "\\u0041" * (n // 6),
    "soft line breaks": lambda n: "=\n" * (n // 2),
    "Morse": lambda n: ".- " * (n // 3),
    "quotes": lambda n: '"' * n,
    "strings": lambda n: '"a":' * (n // 4),
    "brackets": lambda n: "(a)" * (n // 3),
    "open brackets": lambda n: "([" * (n // 2),
    "comments": lambda n: "<!-- /* // # " * (n // 13),
    "lines": lambda n: "a\n" * (n // 2),
    "a wide table": lambda n: "|" * n,
    "a long table": lambda n: "a|b\n" * (n // 4),
    "spaced": lambda n: "a " * (n // 2),
    "letters of no language": lambda n: "qxzjvk wq" * (n // 9),
    "reversed": lambda n: (PASSAGE[::-1] * (n // len(PASSAGE) + 1))[:n],
    "foreign": lambda n: "слово " * (n // 6),
    "letters moved round": lambda n: "het nda fo ot ni si " * (n // 20),
    "syllables": lambda n: "thobe cobat sobat obon " * (n // 23),
    "echoes of vowels": lambda n: "epepepapapa " * (n // 12),
    "joined": lambda n: ("thexcatxsatxonxthexmatxandxlookedxoutxofxit" * 9 + " ") * (n // 388),
    "joined without end": lambda n: "thexcatxsatxonxit" * (n // 17),
    # No key fits, and all are tried on each stretch.
    "letters of no language, and then some": lambda n: (
        f"{PASSAGE} {'qxzjvkwqpfhgmbdlcy' * 12} " * (n // 390 + 1)
    )[:n],
    "letters of one language in no order": lambda n: (
        f"{PASSAGE} {''.join(sorted(PASSAGE[::2])) + PASSAGE[::3] + PASSAGE[1::3]} " * (n // 380)
    ),
    "lines of no language": lambda n: "eatnoirshl dtesuco\n" * (n // 19),
    "a dump": lambda n: "00000000: 5468 6520  The \n" * (n // 26),
    "dumps of nothing": lambda n: "abcdef   " * (n // 9),
    "places and blanks": lambda n: ("abcd" + " " * 4000 + "\n") * (n // 4005 + 1),
    "squares": lambda n: "11 23 45 " * (n // 9),
    "taps": lambda n: ". .. ... " * (n // 9),
    "keys": lambda n: "44 33 555 " * (n // 10),
    "numbers in words": lambda n: "zero one " * (n // 9),
    "names of characters": lambda n: "\\N{LATIN SMALL LETTER A}" * (n // 24),
    "names that never end": lambda n: "\\N{" * (n // 3),
    "parameters": lambda n: "?a=b&" * (n // 5),
    "words of lines": lambda n: "of the one\n" * (n // 11),
    "every other word": lambda n: "of cat the dog and house to tree in " * (n // 36),
    "groups, full stops": lambda n: "dGhl.IHBh." * (n // 10),
    "hyphens": lambda n: "dGhl-IHBh" * (n // 9),
    "braille": lambda n: "\u2801" * n,
    "zero width": lambda n: "\u200b\u200c" * (n // 2),
    "tags": lambda n: "\U000e0041" * n,
}


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE.keys())
def test_views_are_bounded_by_the_text(make: Callable[[int], str]) -> None:
    text = make(32_000)
    masked = unmask(text)
    if masked is not None:
        size = sum(len(view.text) + EACH for view in masked.views)
        assert size <= FACTOR * len(text) + SPARE


NOISE = b"".join(sha1(bytes([n % 256, n // 256])).digest() for n in range(800))
CLEAN: dict[str, Callable[[], str]] = {
    "bytes and text": lambda: "".join(
        f"{at:08x}: {(row := NOISE[at : at + 16]).hex(' ', 2)}  "
        f"{''.join(chr(byte) if 32 <= byte < 127 else '.' for byte in row)}\n"
        for at in range(0, 16_000, 16)
    ),
    "sums of files": lambda: "".join(
        f"{sha1(bytes([n % 256, n // 256])).hexdigest()}  file{n}.txt\n" for n in range(1500)
    ),
    "rows of letters as numbers": lambda: "".join(
        f"row: {' '.join(str(97 + byte % 26) for byte in NOISE[at : at + 13])} is fine.\n\n"
        for at in range(0, 15_000, 13)
    ),
}


@pytest.mark.parametrize("make", CLEAN.values(), ids=CLEAN.keys())
def test_clean_dumps_are_judged_to_their_end(make: Callable[[], str]) -> None:
    """They have views by the thousand, all by chance."""
    masked = unmask(make())
    assert masked is not None
    assert masked.unseen is None


@pytest.mark.timed
@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE.keys())
def test_time_grows_with_the_text_and_not_faster(make: Callable[[int], str]) -> None:
    """Quadratic work would take 64 times as long for 8 times the text."""

    def seconds(text: str) -> float:
        began = time.process_time()
        unmask(text)
        return time.process_time() - began

    seconds(make(32_000))  # compiles what is not compiled yet
    base = max(seconds(make(4_000)), 0.02)
    # The least of several: a machine that does something else takes longer, and never less.
    assert min(seconds(make(32_000)) for _ in range(4)) < 32 * base


def test_what_is_nested_too_deep_is_said_and_not_passed_over() -> None:
    text = PASSAGE
    for _ in range(DEPTH):
        text = b64(text)
    masked = unmask(text)
    assert masked is not None
    assert masked.unseen is None
    masked = unmask(b64(text))
    assert masked is not None
    assert masked.unseen is not None


def test_other_scripts_are_turned_round_once() -> None:
    """They were again in each view that changed their letters, and clean pages were refused."""
    page = "راهنمای دبیان برای مدیر سیستم\u200cها\nفصل 1. پروژه دبیان چیست؟ apt-get\n"
    masked = unmask(page * 60)
    assert masked is not None
    assert masked.unseen is None
    names = [view.name.split(">") for view in masked.views]
    assert ["reversed"] in names
    assert not any("reversed" in name[1:] for name in names)


def test_clean_prose_has_no_views() -> None:
    assert unmask(" ".join([HOST.strip()] * 8)) is None
    assert unmask("") is None


def test_groups_of_a_code_end_where_they_end() -> None:
    """Padding cost the row three characters, and one that was shorter than that was a failure."""
    code = b64(PASSAGE[:76])
    grouped = " ".join(code[at : at + 4] for at in range(0, len(code), 4))
    views = [view.text for view in seen_in(f"{HOST}\n{grouped} \n{HOST}", PASSAGE[:76])]
    assert any(PASSAGE[:76] in text for text in views)
    data = PASSAGE.encode()
    dump = "\n".join(f"{at:08x}: {data[at : at + 16].hex(' ', 2)}" for at in range(0, 176, 16))
    unmask(f"{HOST}\n{dump}\n{HOST}")
