"""A guardrail over a small corpus, for all integrations."""

from __future__ import annotations

from pathlib import Path

import pytest

from guardrail import Guardrail
from guardrail.indexes.build import build
from guardrail.keys import Key
from guardrail.policy_file import parse_policy

SECRET = (
    "Mrs Abigail Thornbury was admitted on the ninth of March with acute renal failure and was "
    "given furosemide before her transfer to the intensive care unit of Saint Columba hospital."
)
CLEAN = "Here is a recipe for pancakes: mix flour, milk and two eggs, then fry them in butter."
KEY = Key(bytes(range(32)))

REFUSING = """
version: 1
rules:
  - {name: long, when: {kind: verbatim, min_length: 48}, action: refuse}
  - {name: rest, action: allow}
refusal: Not this.
"""


@pytest.fixture(scope="session")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    (folder / "note.txt").write_text(SECRET)
    build([str(folder / "note.txt")], folder / "index", KEY, jobs=1)
    return folder / "index"


@pytest.fixture(scope="session")
def rail(index: Path) -> Guardrail:
    return Guardrail.from_policy(indexes=[index], key=KEY)


@pytest.fixture(scope="session")
def refusing(index: Path) -> Guardrail:
    return Guardrail.from_policy(parse_policy(REFUSING), indexes=[index], key=KEY)
