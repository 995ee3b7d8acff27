"""Personal data as a detector."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from guardrail.classifiers.hits import Hit, resolve
from guardrail.classifiers.pii.cues import cue_engine
from guardrail.classifiers.pii.entities import refine
from guardrail.classifiers.pii.pool import CUSTOM, MODEL, AnalyzerPool
from guardrail.classifiers.pii.prose import prose
from guardrail.classifiers.pii.rules import engine
from guardrail.classifiers.supplied import Supplied
from guardrail.classifiers.unfinished import certain_progress, progress
from guardrail.detector import Context, Progress, Unfinished
from guardrail.errors import DetectorError, UsageError
from guardrail.findings import Evidence, Finding, Span
from guardrail.text import CanonicalText


class PiiDetector:
    """Finds personal data: always by rules, and by named entities and custom recognizers where a
    pool of analyzers is given. Thread-safe."""

    window: int | None = None

    def __init__(
        self,
        name: str,
        pool: AnalyzerPool | None = None,
        *,
        kinds: Collection[str] | None = None,
        allow_list: Sequence[str] = (),
        allow_list_match: str = "exact",
    ) -> None:
        """`kinds`: those that are reported (None: all). `allow_list`: values that are never
        reported, or with `allow_list_match` "regex" expressions that match all of such a value.
        Raises UsageError for an expression that cannot be used.
        """
        self.name = name
        self._engine = engine()
        self._kinds = None if kinds is None else frozenset(kinds)
        self._pool = pool
        if pool is not None and self._kinds is not None and not self._kinds & pool.kinds:
            self._pool = None  # nothing that it finds is asked for
        self._allowed = frozenset(allow_list) if allow_list_match == "exact" else frozenset()
        self._allowed_form: re.Pattern[str] | None = None
        if allow_list_match == "regex" and allow_list:
            try:
                self._allowed_form = re.compile("|".join(f"(?:{form})" for form in allow_list))
            except re.error as error:
                raise UsageError(f"an expression in allow_list cannot be used: {error}") from None

    @property
    def uses_model(self) -> bool:
        """Whether a text is also read by Presidio, which takes a hundred times as long."""
        return self._pool is not None

    def scan(self, text: CanonicalText, context: Context) -> Sequence[Finding]:
        """See `Detector.scan`."""
        return self._scan(text, context, self._engine.scan(text.raw))

    def scan_pieces(self, text: CanonicalText, context: Context, first: int) -> Sequence[Finding]:
        """See `PiecesDetector`."""
        return self._scan(text, context, self._engine.scan_pieces(text.raw, first))

    def scan_whole(self, text: CanonicalText, context: Context) -> Progress:
        """See `WholeDetector`: what is open are values that may not have ended. A model sees no
        more than the segment and what comes shortly before it."""
        hits = self._engine.scan(text.raw)
        found = self._scan(text, context, hits)
        return progress(self._engine, text.raw, hits, found, self.name, self._kinds)

    def open_pieces(self, text: CanonicalText, context: Context) -> Progress:
        """See `PiecesDetector`."""
        return certain_progress(self._engine, text.raw, self.name, self._kinds)

    def _scan(self, text: CanonicalText, context: Context, hits: list[Hit]) -> Sequence[Finding]:
        raw = text.raw
        if self._pool is None:
            return self._findings(hits, text, context)
        try:
            found = self._pool.scan(raw, context.deadline)
        except DetectorError as error:
            raise Unfinished(str(error), self._findings(hits, text, context)) from None
        named = refine(
            raw, [hit for hit in found if hit.rule == MODEL], hits, cue_engine().scan(prose(raw))
        )
        # What a user's own recognizer finds is reported, whatever else it is.
        own = [hit for hit in found if hit.rule == CUSTOM]
        return self._findings([*resolve([*hits, *named], len(raw)), *own], text, context)

    def _findings(
        self, hits: Sequence[Hit], text: CanonicalText, context: Context
    ) -> list[Finding]:
        supplied = context.once(Supplied, lambda: Supplied(context.prompt))
        return [
            Finding(
                self.name,
                hit.kind,
                Span(hit.start, hit.end),
                hit.score,
                Evidence(in_prompt=supplied.holds(text.raw[hit.start : hit.end])),
            )
            for hit in hits
            if (self._kinds is None or hit.kind in self._kinds)
            and not self._is_allowed(text.raw[hit.start : hit.end])
        ]

    def _is_allowed(self, value: str) -> bool:
        if self._allowed_form is not None:
            return self._allowed_form.fullmatch(value) is not None
        return value in self._allowed
