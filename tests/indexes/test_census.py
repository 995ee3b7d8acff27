"""The census against naive counting, and what its report and page say and do not say."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from guardrail.cli.app import app
from guardrail.cli.audit_page import page
from guardrail.indexes.census import COPIES, PASSAGE_UNITS, Sample, take
from guardrail.indexes.readers import ReadOptions
from guardrail.text import canonical_units

BADGE = re.compile(r"BX-\d{6}")
SECRETS = ("ottilie.brandt@kestrel-foundries.com", "DE89370400440532013000")


def badges(text: str) -> Iterator[tuple[str, str, int, int]]:
    for match in BADGE.finditer(text):
        yield "badge", match.group(), *match.span()


def naive_copies(texts: list[str]) -> Counter[int]:
    """How many different windows stand in so many of the texts."""
    held: Counter[bytes] = Counter()
    for text in texts:
        units = canonical_units(text)[0].tobytes()
        last = len(units) - PASSAGE_UNITS + 1
        held.update({units[start : start + PASSAGE_UNITS] for start in range(max(0, last))})
    return Counter(held.values())


def test_counts_are_those_of_a_naive_census(tmp_path: Path) -> None:
    words = [
        "amber",
        "birch",
        "cobalt",
        "dune",
        "ember",
        "fjord",
        "granite",
        "harbour",
        "iris",
        "juniper",
    ]
    texts = [" ".join(words[(n + k * (n % 3 + 1)) % 10] for k in range(60)) for n in range(12)]
    texts += [texts[0], texts[0] + " BX-111111, BX-111111, BX-222222", "BX-111111"]
    with (tmp_path / "x.jsonl").open("w") as file:
        for number, text in enumerate(texts):
            collection = "even" if number % 2 == 0 else "odd"
            file.write(json.dumps({"id": str(number), "text": text, "c": collection}) + "\n")
    options = ReadOptions(collection_field="c")
    told = take([str(tmp_path)], badges, options=options, jobs=1).to_dict()
    assert told["documents"] == len(texts)
    assert told["chars"] == sum(map(len, texts))
    assert told["kinds"] == {"badge": {"values": 4, "distinct": 2, "documents": 2}}
    assert told["collections"]["odd"]["kinds"] == {"badge": 3}
    assert told["collections"]["even"]["kinds"] == {"badge": 1}
    assert [row["values"] for row in told["most"]] == [3, 1]
    naive = naive_copies(texts)
    assert told["duplication"]["sampled"] == naive.total()
    for row in told["duplication"]["copies"]:
        most = row["most"] or 10**9
        inside = {n: count for n, count in naive.items() if row["least"] <= n <= most}
        assert row["passages"] == pytest.approx(sum(inside.values()) / naive.total())
        whole = sum(n * count for n, count in naive.items())
        assert row["text"] == pytest.approx(sum(n * c for n, c in inside.items()) / whole)


def test_worker_processes_count_the_same(tmp_path: Path) -> None:
    for number in range(6):
        (tmp_path / f"{number}.txt").write_text(f"BX-{number % 2:06} " + f"word{number % 3} " * 40)
    options = ReadOptions(unit_bytes=500)
    one, two = (take([str(tmp_path)], badges, options=options, jobs=n).to_dict() for n in (1, 2))
    for told in (one, two):
        del told["seconds"]
    assert one == two


@given(
    st.lists(st.lists(st.integers(0, 2**64 - 1), max_size=40, unique=True), max_size=6),
    st.integers(1, 30),
)
def test_a_merged_sample_is_that_of_the_whole(parts: list[list[int]], limit: int) -> None:
    whole, merged = Sample(limit), Sample(limit)
    for part in parts:
        whole.add(part)
        one = Sample(limit)
        one.add(part)
        merged.merge(one)
    level = max(whole.level, merged.level)
    counts = Counter(value for part in parts for value in part)
    for sample in (whole, merged):
        assert len(sample.counts) <= limit
        mask = (1 << sample.level) - 1
        assert sample.counts == {v: n for v, n in counts.items() if not v & mask}
    assert level == 0 or whole.distinct >= len(whole.counts)


def test_a_sample_estimates_how_many_there_are() -> None:
    sample = Sample(1000)
    sample.add((value * 0x9E3779B97F4A7C15) % 2**64 for value in range(50_000))
    assert len(sample.counts) <= 1000
    assert 45_000 < sample.distinct < 55_000


def corpus(folder: Path) -> Path:
    folder.mkdir()
    (folder / "<b>one.txt").write_text(f"Write to {SECRETS[0]}, IBAN {SECRETS[1]}.")
    (folder / "two.txt").write_text("Nothing at all.")
    (folder / "three.pdf").write_bytes(b"no pdf")
    return folder


def test_the_command_shows_numbers_and_never_values(tmp_path: Path) -> None:
    html = tmp_path / "out.html"
    command = ["index", "audit", str(corpus(tmp_path / "c")), "--jobs", "1"]
    plain = CliRunner().invoke(app, [*command, "--html", str(html)])
    as_json = CliRunner().invoke(app, [*command, "--json"])
    assert plain.exit_code == as_json.exit_code == 0
    told = json.loads(as_json.output)
    assert told["documents"] == 2
    assert told["unreadable_count"] == 1
    assert {"email_address", "iban_code"} <= set(told["kinds"])
    for shown in (plain.output, as_json.output, html.read_text()):
        assert "iban_code" in shown
        assert "three.pdf" in shown
        assert not any(secret in shown for secret in SECRETS)


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        for name, value in attrs:
            assert name not in ("src", "href", "onload"), (tag, name, value)
        if tag not in ("meta",):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_stands_by_itself_and_escapes_names(tmp_path: Path) -> None:
    told = take([str(corpus(tmp_path / "c"))], badges, jobs=1).to_dict()
    told["most"] = [
        {"collection": "<i>", "document": "<script>x", "values": 2, "kinds": {"badge": 2}}
    ]
    tags = Tags()
    tags.feed(page(told))
    assert tags.open == []
    assert {"svg", "table"} <= tags.seen
    assert not tags.seen & {"script", "b", "i", "img", "link"}
    assert len(told["duplication"]["copies"]) == len(COPIES)
