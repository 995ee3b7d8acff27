#!/usr/bin/env python3
"""Measure the overlap index, check its answers while doing so, and write docs/benchmarks.md.

    python scripts/bench_overlap.py --corpus corpus.jsonl --answers answers.jsonl.gz [SECTION ...]

CORPUS is what scripts/make_debian_corpus.py writes; ANSWERS are clean texts, JSON Lines with a
field "text"; --large is the varied corpus for the section `large`. Each section writes its
part of the document to docs/benchmarks/, so that one can be measured again alone; a run of all that
was interrupted goes on with the section that it was in, if it is started again. Ratios are
between figures of one run; absolute figures depend on the machine, which each part names.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from bench_report import machine  # noqa: E402
from overlap_builds import building, large, starting  # noqa: E402
from overlap_inputs import Bench  # noqa: E402
from overlap_quality import exactness, grids, thresholds  # noqa: E402
from overlap_speed import latency, peers  # noqa: E402

OUT = ROOT / "docs" / "benchmarks"

SECTIONS: dict[str, tuple[str, Callable[[Bench], str]]] = {
    "latency": ("Latency of a check", latency),
    "peers": ("Other ways", peers),
    "building": ("Building", building),
    "large": ("Building at eight times the size", large),
    "starting": ("Starting", starting),
    "exactness": ("Verbatim spans", exactness),
    "thresholds": ("Clean text", thresholds),
    "grids": ("Gram and stride", grids),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--large", type=Path)
    parser.add_argument("--answers", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "bench-overlap")
    parser.add_argument("sections", nargs="*", choices=[[], *SECTIONS])
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    OUT.mkdir(exist_ok=True)
    bench = Bench(arguments.corpus, arguments.large, arguments.answers, arguments.work)
    left = arguments.work / "left"  # the sections that an interrupted run has not measured
    names = arguments.sections or (left.read_text().split() if left.exists() else list(SECTIONS))
    for place, name in enumerate(names):
        if not arguments.sections:
            left.write_text("\n".join(names[place:]))
        title, section = SECTIONS[name]
        if name == "large" and bench.large is None:
            continue
        sys.stdout.write(f"{title} ...\n")
        sys.stdout.flush()
        where = machine()
        lines = " ".join((section.__doc__ or "").split())
        part = f"## {title}\n\n{lines}\n\n{section(bench)}\n\n{where}.\n"
        (OUT / f"{name}.md").write_text(part, encoding="utf-8")
        _write_document()
        sys.stdout.write(part + "\n")
    if not arguments.sections:
        left.unlink()


def _write_document() -> None:
    """Put the parts that there are together."""
    parts = [path.read_text() for name in SECTIONS if (path := OUT / f"{name}.md").exists()]
    head = (
        "# Benchmarks\n\nWritten by `scripts/bench_overlap.py`, which asserts the answers whose "
        "time it takes. The corpus is text of Debian's documentation packages "
        "(`scripts/make_debian_corpus.py`).\n\n"
    )
    (ROOT / "docs" / "benchmarks.md").write_text(head + "\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
