"""Hidden passages through a real index: redacted, and nothing of them is left when read again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from guardrail import Action, Guardrail
from guardrail.indexes.build import build
from guardrail.keys import Key
from guardrail.views.unmask import unmask
from tests.cases.disguises import HIDDEN, LONGER, b64, caesar, pig_latin

PASSAGE = (
    "Mrs Abigail Thornbury of Larkspur Gardens was admitted on the ninth of March with acute renal "
    "failure and was given furosemide before her transfer to the intensive care unit of Saint "
    "Columba hospital, where her daughter Marguerite asked twice that neither the pension fund nor "
    "the brother in Lisbon should hear of the diagnosis before the notary had opened both of the "
    "sealed envelopes kept in the cellar."
)
CLEAN = "Here is a recipe for pancakes: mix flour, milk and two eggs, then fry them in butter.\n"
NAMES = ("thornbury", "larkspur", "furosemide", "columba", "marguerite", "lisbon", "notary")


@pytest.fixture(scope="module")
def rail(tmp_path_factory: pytest.TempPathFactory) -> Guardrail:
    folder = tmp_path_factory.mktemp("views")
    (folder / "note.txt").write_text(PASSAGE)
    (folder / "other.txt").write_text("Nothing in this document has to do with the one before it.")
    key = Key(bytes(range(32)))
    build([str(folder)], folder / "index", key, jobs=1)
    return Guardrail.from_policy(indexes=[folder / "index"], key=key)


# Not every word is read as it was, but most are.
WAYS = {**HIDDEN, **LONGER, "pig Latin": pig_latin}


@pytest.mark.parametrize("hide", WAYS.values(), ids=WAYS.keys())
def test_a_hidden_leak_leaves_nothing_behind(rail: Guardrail, hide: Callable[[str], str]) -> None:
    verdict = rail.check(f"{CLEAN * 5}\n{hide(PASSAGE)}\n{CLEAN * 5}")
    assert verdict.action >= Action.REDACT
    assert any(finding.evidence.view for finding in verdict.findings)
    # Letters that are four bytes each look like more layers than there are: refused, and safe.
    assert verdict.failures == () or verdict.text == rail.policy.refusal
    said = [verdict.text]
    masked = unmask(verdict.text)
    if masked is not None:
        said += [view.text for view in masked.views]
    for text in said:
        letters = "".join(filter(str.isalpha, text.lower()))
        assert sum(name in letters for name in NAMES) <= 1


def test_what_surrounds_a_hidden_leak_stays(rail: Guardrail) -> None:
    for hide in (b64, lambda text: caesar(text, 13)):
        verdict = rail.check(f"{CLEAN}\n{hide(PASSAGE)}\n{CLEAN}")
        assert verdict.action is Action.REDACT
        assert verdict.text.startswith(CLEAN)
        assert verdict.text.endswith(CLEAN)
        assert len(verdict.text) < 2 * len(CLEAN) + 40


def test_a_finding_says_through_which_view_it_was_seen(rail: Guardrail) -> None:
    (finding,) = rail.check(b64(caesar(PASSAGE, 13))).findings
    assert finding.evidence.view == "base64>rot13"
    assert finding.evidence.document == "note.txt"
    told = rail.check(b64(PASSAGE)).to_dict()["findings"][0]
    assert told["evidence"]["view"] == "base64"
    (finding,) = rail.check(PASSAGE).findings
    assert finding.evidence.view is None


def test_what_is_hidden_too_deep_was_not_judged(rail: Guardrail) -> None:
    text = PASSAGE
    for _ in range(6):
        text = b64(text)
    verdict = rail.check(text)
    assert verdict.action is Action.REFUSE
    assert {failure.reason for failure in verdict.failures} == {"disguised more than 4 times over"}
