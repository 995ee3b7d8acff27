"""Whether a value stands in what the user wrote."""

from __future__ import annotations

from functools import cached_property

from guardrail.text import CanonicalText, canonicalise


class Supplied:
    """The prompt of one check. Values are compared as canonical text, so that case, spacing and
    separators do not count, and only from where a word starts to where one ends."""

    def __init__(self, prompt: str | None) -> None:
        self._prompt = prompt

    @cached_property
    def _canonical(self) -> tuple[CanonicalText, bytes]:
        text = canonicalise(self._prompt or "")
        return text, text.units.tobytes()

    def holds(self, value: str) -> bool:
        """Whether the prompt holds this value."""
        if not self._prompt:
            return False
        wanted = canonicalise(value).units.tobytes()
        if not wanted:
            return False
        text, units = self._canonical
        start = units.find(wanted)
        while start >= 0:
            if self._is_whole(text, start, start + len(wanted)):
                return True
            start = units.find(wanted, start + 1)
        return False

    @staticmethod
    def _is_whole(text: CanonicalText, start: int, end: int) -> bool:
        first, last = int(text.offsets[start]), int(text.offsets[end - 1]) + 1
        before, after = text.raw[first - 1 : first], text.raw[last : last + 1]
        return not before.isalnum() and not after.isalnum()
