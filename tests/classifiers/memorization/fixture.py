"""Tiny models, one of which truly memorised: trained once, kept by a digest of what made them."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from guardrail.classifiers.memorization.models import load_model
from guardrail.classifiers.memorization.references import train
from guardrail.classifiers.memorization.training import Recipe

ROOT = Path(__file__).resolve().parents[3]
MADE_BY = (
    "scripts/make_memorised_model.py",
    "scripts/make_sample.py",
    "scripts/sample_writer.py",
    "scripts/sample_prose.toml",
    "classifiers/memorization/training.py",
    "classifiers/memorization/references.py",
    "tests/classifiers/memorization/fixture.py",
)
RECIPE = Recipe(epochs=4, learning_rate=2e-3, batch_rows=8, seed=1)


@dataclass(frozen=True)
class Memorised:
    """Folders of models, and the documents: `recited` ones the target recites word for word."""

    folder: Path

    @property
    def target(self) -> Path:
        return self.folder / "target"

    @property
    def base(self) -> Path:
        return self.folder / "base"

    @property
    def shards(self) -> list[Path]:
        return [self.folder / "shards" / f"shard-{number}" for number in (0, 1)]

    def records(self, name: str) -> list[dict[str, Any]]:
        lines = (self.folder / f"{name}.jsonl").read_text("utf-8").splitlines()
        return [json.loads(line) for line in lines]

    @property
    def recited(self) -> list[str]:
        found = [r for r in self.records("private") if r["id"].startswith("private")]
        return [record["text"] for record in found if record["copies"] == 16]

    @property
    def held_out(self) -> list[str]:
        return [record["text"] for record in self.records("held_out")]


def memorised(cache: Path) -> Memorised:
    """The models from the cache, or trained now: 40 s on one quiet core."""
    digest = hashlib.sha256(torch.__version__.encode())
    for name in MADE_BY:
        digest.update((ROOT / name).read_bytes())
    folder = cache / digest.hexdigest()[:16]
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # other test processes wait for the one that trains
        if not folder.exists():
            _train(folder)
    return Memorised(folder)


def _train(folder: Path) -> None:
    work = folder.with_suffix(".new")
    shutil.rmtree(work, ignore_errors=True)
    script = [sys.executable, "scripts/make_memorised_model.py", str(work), "--size", "tiny"]
    done = subprocess.run(
        script, cwd=ROOT, env={**os.environ}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    made = Memorised(work)
    texts = [r["text"] for r in made.records("private") for _ in range(r["copies"])]
    base = load_model(made.base, device="cpu", dtype="float32")
    train(base, texts, work / "shards", recipe=RECIPE)
    work.rename(folder)
