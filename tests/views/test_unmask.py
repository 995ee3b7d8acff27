"""Views: what is hidden is seen, it is known where it stands, and hostile texts are no trouble."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from guardrail.text import canonical_units
from guardrail.views.unmask import unmask
from guardrail.views.view import View
from tests.cases.disguises import HIDDEN, NESTING

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
