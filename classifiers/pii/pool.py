"""A few analyzers, each with a thread, for all checks of a process."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from threading import BoundedSemaphore, Event
from time import monotonic
from typing import Protocol

from guardrail.classifiers.hits import Hit
from guardrail.errors import DetectorError

SEGMENT = 4000
"""The longest piece of a text, in code points, that an analyzer is given at once."""
BATCH = 8
"""Segments a batch: between two batches a check that nobody waits for any longer is given up."""
QUEUE = 32
"""Texts that may wait for each analyzer; one more is refused at once."""


MODEL, CUSTOM = "model", "custom"


class Analyzes(Protocol):
    """What the pool needs of an analyzer. The `rule` of a hit says whether a model named it (MODEL)
    or a recognizer that the user wrote (CUSTOM)."""

    kinds: frozenset[str]

    def scan(self, segments: list[str]) -> Iterable[list[Hit]]: ...


class AnalyzerPool:
    """Runs analyzers, made and warmed at once, in as many threads. Thread-safe."""

    def __init__(self, make: Callable[[], Analyzes], workers: int, timeout: float) -> None:
        """`timeout`: seconds that a text may take, waiting included."""
        self._timeout = timeout
        self._free: SimpleQueue[Analyzes] = SimpleQueue()
        for _ in range(workers):
            analyzer = make()
            self.kinds = analyzer.kinds
            for _ in analyzer.scan(["Warm up in Paris."]):
                pass
            self._free.put(analyzer)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="guardrail-pii")
        self._places = BoundedSemaphore(workers * (QUEUE + 1))

    def scan(self, text: str, deadline: float | None) -> list[Hit]:
        """What the analyzers find in a text. `deadline`: a value of `time.monotonic()`.

        Raises DetectorError where too many texts wait or time runs out.
        """
        if not self._places.acquire(blocking=False):
            raise DetectorError("too many texts wait for named entities; set more `workers`")
        given_up = Event()
        future = self._threads.submit(self._run, text, given_up)
        future.add_done_callback(lambda _: self._places.release())
        seconds = self._timeout
        if deadline is not None:
            seconds = min(seconds, max(0.0, deadline - monotonic()))
        try:
            return future.result(seconds)
        except TimeoutError:
            given_up.set()
            future.cancel()
            raise DetectorError(
                f"named entities were not found within {seconds:.3g} seconds"
            ) from None

    def _run(self, text: str, given_up: Event) -> list[Hit]:
        segments = list(split(text))
        analyzer = self._free.get()
        try:
            hits: list[Hit] = []
            for first in range(0, len(segments), BATCH):
                if given_up.is_set():
                    break
                batch = segments[first : first + BATCH]
                found = analyzer.scan([text[start:end] for start, end in batch])
                for (start, _), inside in zip(batch, found, strict=True):
                    hits += [h._replace(start=h.start + start, end=h.end + start) for h in inside]
            return hits
        finally:
            self._free.put(analyzer)


_BREAKS = tuple(re.compile(pattern) for pattern in (r"\n\s*\n", r"\n", r"[.!?]\s", r"\s"))


def split(text: str, longest: int = SEGMENT) -> Iterable[tuple[int, int]]:
    """A text in pieces of at most so many code points, cut at paragraphs, else at lines, sentences
    or words, in the second half of a piece."""
    start = 0
    while len(text) - start > longest:
        end = start + longest
        for pattern in _BREAKS:
            ends = [match.end() for match in pattern.finditer(text, start + longest // 2, end)]
            if ends:
                end = ends[-1]
                break
        yield start, end
        start = end
    if start < len(text):
        yield start, len(text)
