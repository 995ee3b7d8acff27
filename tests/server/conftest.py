"""An index with one secret, and a server that guards it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from guardrail.indexes.build import build
from guardrail.keys import Key, write_key
from tests.integrations.upstream import Upstream, upstream
from tests.server.running import Running, running

SECRET = (
    "Mrs Abigail Thornbury was admitted on the ninth of March with acute renal failure and was "
    "given furosemide before her transfer to the intensive care unit of Saint Columba hospital."
)
CLEAN = "Here is a recipe for pancakes: mix flour, milk and two eggs, then fry them in butter."
PHRASE = "Operation Copper Heron 9"  # 24 characters, refused; SECRET is redacted
POLICY = """
version: 1
rules:
  - {name: phrases, when: {kind: phrase}, action: refuse}
  - {name: verbatim, when: {kind: verbatim, min_length: 48}, action: redact}
  - {name: rest, action: allow}
refusal: Not this.
"""
KEY = Key(bytes(range(32)))


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `index` and `index.key`."""
    folder = tmp_path_factory.mktemp("corpus")
    (folder / "note.txt").write_text(SECRET)
    build([str(folder / "note.txt")], folder / "index", KEY, jobs=1)
    write_key(folder / "index.key", KEY)
    return folder


@pytest.fixture(scope="session")
def settings(corpus: Path) -> dict[str, Any]:
    """What every server of these tests is told."""
    return {"guard": {"indexes": str(corpus / "index"), "key_file": str(corpus / "index.key")}}


@pytest.fixture(scope="session")
def strict_settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Settings with POLICY, and an index that protects PHRASE too."""
    folder = tmp_path_factory.mktemp("strict")
    (folder / "note.txt").write_text(SECRET)
    build([str(folder / "note.txt")], folder / "index", KEY, phrases=[PHRASE], jobs=1)
    write_key(folder / "index.key", KEY)
    (folder / "policy.yaml").write_text(POLICY)
    files = {"policy": "policy.yaml", "indexes": "index", "key_file": "index.key"}
    return {"guard": {name: str(folder / file) for name, file in files.items()}}


@pytest.fixture(scope="module")
def fake() -> Iterator[Upstream]:
    """A model server that answers what it is told to."""
    with upstream() as running_upstream:
        yield running_upstream


@pytest.fixture(scope="session")
def server(settings: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One server for all tests that leave it as it is."""
    with running(tmp_path_factory.mktemp("server"), settings, KEY) as up:
        yield up
