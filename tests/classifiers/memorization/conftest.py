"""The models and the scorer that the tests share."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from guardrail.indexes.build import build
from guardrail.keys import Key, write_key

if TYPE_CHECKING:
    from guardrail.classifiers.memorization.scorer import MemorizationScorer
    from tests.classifiers.memorization import fixture

if find_spec("torch") is None:  # without the extra score
    collect_ignore = [
        "test_cuda.py",
        "test_detector.py",
        "test_models.py",
        "test_scorer.py",
        "test_tokens.py",
    ]


@pytest.fixture(scope="session")
def models(pytestconfig: pytest.Config) -> fixture.Memorised:
    import torch

    from tests.classifiers.memorization import fixture

    torch.set_num_threads(1)
    assert pytestconfig.cache is not None
    return fixture.memorised(pytestconfig.cache.mkdir("memorised"))


@pytest.fixture(scope="session")
def scorer(models: fixture.Memorised) -> Iterator[MemorizationScorer]:
    """A scorer with base and shards, without a calibration."""
    from guardrail.classifiers.memorization.scorer import MemorizationScorer

    made = MemorizationScorer(models.target, models.base, models.shards, device="cpu")
    yield made
    made.close()


@pytest.fixture(scope="session")
def corpus(models: fixture.Memorised, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a key, an index of the private documents, and lists for a calibration."""
    folder = tmp_path_factory.mktemp("corpus")
    key = Key(bytes(range(32)))
    write_key(folder / "key", key)
    build([str(models.folder / "private.jsonl")], folder / "index", key, jobs=1)
    prompts = [text[: 20 + 2 * (n % 8)] for n, text in enumerate(models.held_out)]
    (folder / "prompts.jsonl").write_text("".join(json.dumps({"text": p}) + "\n" for p in prompts))
    return folder
