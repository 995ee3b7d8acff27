"""Whether a value stands in what the user wrote."""

from __future__ import annotations

from functools import cached_property

from guardrail.text import CanonicalText, canonicalise


class Supplied:
    """The user's texts of one check. Values are compared as canonical text, so that case, spacing
    and separators do not count, and only from where a word starts to where one ends."""

    def __init__(self, prompt: tuple[str, ...]) -> None:
        self._prompt = prompt

    @cached_property
    def _canonical(self) -> list[tuple[CanonicalText, bytes]]:
        texts = [canonicalise(one) for one in self._prompt]
        return [(text, text.units.tobytes()) for text in texts]

    def holds(self, value: str) -> bool:
        """Whether one of the texts holds this value."""
        if not self._prompt:
            return False
        wanted = canonicalise(value).units.tobytes()
        return bool(wanted) and any(
            self._stands_in(text, units, wanted) for text, units in self._canonical
        )

    @staticmethod
    def _stands_in(text: CanonicalText, units: bytes, wanted: bytes) -> bool:
        start = units.find(wanted)
        while start >= 0:
            first = int(text.offsets[start])
            last = int(text.offsets[start + len(wanted) - 1]) + 1
            before, after = text.raw[first - 1 : first], text.raw[last : last + 1]
            if not before.isalnum() and not after.isalnum():
                return True
            start = units.find(wanted, start + 1)
        return False
