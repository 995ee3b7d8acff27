#!/usr/bin/env python3
"""Write guardrail/background.txt: public text that may be said even where a corpus holds it.

    python scripts/make_background.py

Paragraphs that an empty line parts: the licence of this project, notices of other licences, and
scripts/background_phrases.txt, which was written for it: what assistants say around an answer, what
stands in mail and in code everywhere, and lists that all know. A paragraph that is too short to
excuse anything is an error.
"""

from __future__ import annotations

import calendar
import string
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from guardrail.text import canonical_units  # noqa: E402

TARGET = ROOT / "guardrail" / "background.txt"
# Nothing shorter excuses at the default of `ExcuseSettings.min_length`.
LEAST_UNITS = 27


def paragraphs() -> Iterator[str]:
    """All paragraphs, in the order of the file."""
    for name in ("LICENSE", "scripts/background_phrases.txt"):
        for paragraph in (ROOT / name).read_text(encoding="utf-8").split("\n\n"):
            if name != "LICENSE" or len(canonical_units(paragraph)[0]) >= LEAST_UNITS:
                yield " ".join(paragraph.split())
    yield from lists()


def lists() -> Iterator[str]:
    """Lists that all know."""
    days, months = list(calendar.day_name), list(calendar.month_name)[1:]
    yield " ".join(days + days)
    yield " ".join(days[-1:] + days)
    yield " ".join(months + months)
    yield " ".join(day[:3] for day in days + days)
    yield " ".join(month[:3] for month in months + months)
    yield " ".join(string.ascii_lowercase * 2)
    yield " ".join(map(str, range(101)))
    yield " ".join(f"{number:02}" for number in range(61))
    # Rows of one sign, of any length: zeros of a dump, ruled lines.
    for sign in string.ascii_lowercase + string.digits:
        yield sign * (LEAST_UNITS + 1)


def main() -> None:
    written = list(dict.fromkeys(paragraphs()))
    for paragraph in written:
        if len(canonical_units(paragraph)[0]) < LEAST_UNITS:
            raise SystemExit(f"fewer than {LEAST_UNITS} letters and digits: {paragraph!r}")
    TARGET.write_text("\n\n".join(written) + "\n", encoding="utf-8")
    sys.stdout.write(f"{TARGET}: {len(written)} paragraphs, {TARGET.stat().st_size:,} bytes\n")


if __name__ == "__main__":
    main()
