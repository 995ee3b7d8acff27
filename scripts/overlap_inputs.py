"""What the sections of bench_overlap.py share: the inputs, the index of them, and clocks."""

from __future__ import annotations

import gzip
import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from guardrail import Guardrail, default_policy
from guardrail.indexes.build import build
from guardrail.indexes.detectors import OverlapDetector
from guardrail.indexes.manifest import FORMAT_VERSION
from guardrail.indexes.watched import WatchedIndex
from guardrail.keys import Key, new_key, write_key

MB = 1_000_000
ROOT = Path(__file__).resolve().parent.parent
# Programs find the package, and keep its bytecode: without, each would compile the sources anew.
AS_USERS_DO = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": ""}


class Bench:
    """What the sections share: the inputs, and the index of the whole corpus, built once."""

    def __init__(self, corpus: Path, large: Path | None, answers: Path, work: Path) -> None:
        self.corpus, self.large, self.work = corpus, large, work
        with gzip.open(answers, "rt", encoding="utf-8") as lines:
            self.answers = [json.loads(line)["text"] for line in lines]
        self.key_file = work / "key"
        if not self.key_file.exists():
            write_key(self.key_file, new_key())

    @property
    def key(self) -> Key:
        from guardrail import load_key

        return load_key(self.key_file)

    def index(self) -> Path:
        # One for each format: an older one could not be opened.
        out = self.work / f"whole-{FORMAT_VERSION}.index"
        if not (out / "manifest.json").exists():
            build([str(self.corpus)], out, self.key, jobs=2)
        return out

    def guardrail(self) -> Guardrail:
        """With the default policy's rules, and overlap and phrases alone."""
        policy = default_policy().model_copy(update={"detectors": {}})
        return Guardrail.from_policy(policy, indexes=[self.index()], key=self.key)

    def detector(self, guardrail: Guardrail) -> OverlapDetector:
        watched = WatchedIndex(self.index(), self.key, check=False)
        return OverlapDetector(
            "overlap", [watched], passes=partial(guardrail.policy.passes, "overlap")
        )

    def responses(self, length: int = 2048) -> list[str]:
        """Clean responses of one length: answers one after the other, cut."""
        joined = "\n\n".join(self.answers)
        return [joined[i : i + length] for i in range(0, len(joined) - length, length)]

    def documents(self, every: int = 1) -> Iterator[str]:
        with self.corpus.open("rb") as lines:
            for number, line in enumerate(lines):
                if number % every == 0:
                    yield json.loads(line)["text"]


def microseconds(work: Callable[[str], object], texts: Sequence[str]) -> tuple[float, float]:
    """Median and 99th percentile over the texts, after a warm-up."""
    for text in texts[:100]:
        work(text)
    times = []
    for text in texts:
        began = time.perf_counter_ns()
        work(text)
        times.append(time.perf_counter_ns() - began)
    times.sort()
    return statistics.median(times) / 1000, times[int(len(times) * 0.99)] / 1000
