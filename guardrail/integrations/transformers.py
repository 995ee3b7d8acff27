"""Models of transformers: generation that goes around protected text, and filtered streams.

    model.generate(**inputs, logits_processor=LogitsProcessorList([MemFree(guardrail, tokenizer)]))

`MemFree` is MemFree decoding (Ippolito et al. 2022, 2210.17546) over a guardrail's indexes: a token
that would complete a run which the policy redacts or refuses is never chosen, so that the model
says something else instead of being cut. It follows the text from token to token; candidates are
only looked at where a run is near the length that counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from transformers import LogitsProcessor, PreTrainedTokenizerBase, TextStreamer

from guardrail.assembly import Guardrail
from guardrail.detector import EMPTY_CONTEXT, LiveDetector, is_live
from guardrail.errors import UsageError
from guardrail.findings import Action, Finding
from guardrail.rolling import CONTEXT
from guardrail.stream import StreamFilter
from guardrail.text import canonicalise

# Candidates that are looked at, likeliest first, where a run is near, and how much less likely than
# the first they are at most, as a logarithm; the others are not chosen.
CANDIDATES = 40
MASS = 10.0
# The text a run may have before it is too long ago to matter: more than any threshold that is set.
LONGEST_TAIL = 4096
# Tokens that are decoded together: a character may be made of several.
_PENDING = 8
# Units that a token adds at most. The few that add more are never chosen: one of them could take a
# run from shorter than an index finds to as long as counts.
LONGEST_TOKEN = 20


class MemFree(LogitsProcessor):
    """Refuses tokens that would complete a protected run. One for each call of `generate`."""

    def __init__(self, guardrail: Guardrail, tokenizer: PreTrainedTokenizerBase) -> None:
        """Raises UsageError where no detector of the guardrail can tell what is open."""
        self._policy = guardrail.policy
        self._tokenizer = tokenizer
        self._detectors = [
            detector
            for detector in guardrail.detectors
            if is_live(detector) and self._policy.may_act_on(detector.name)
        ]
        if not self._detectors:
            raise UsageError(
                "no detector of this guardrail can steer generation: it needs an index or phrases, "
                "and a rule that redacts or refuses what they find"
            )
        self._too_long = torch.tensor(_long_tokens(tokenizer), dtype=torch.long)
        self._prompt = -1
        self._rows: dict[tuple[int, ...], _Row] = {}
        self.avoided = 0
        """How often the likeliest token was refused."""

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        if self._prompt < 0:
            self._prompt = input_ids.shape[1]
        scores.index_fill_(1, self._never(scores), float("-inf"))
        rows: dict[tuple[int, ...], _Row] = {}
        for number, ids in enumerate(input_ids[:, self._prompt :].tolist()):
            rows[tuple(ids)] = row = self._row(tuple(ids))
            if row.near:
                scores[number] = self._masked(row, scores[number])
        self._rows = rows
        return scores

    def mask(self, generated: Sequence[int], scores: torch.Tensor) -> torch.Tensor:
        """The scores of one sequence's next token, given what was generated; for other libraries'
        processors. Call it with each token added."""
        ids = tuple(generated)
        row = self._row(ids)
        self._rows = {ids: row}
        scores.index_fill_(0, self._never(scores), float("-inf"))
        return self._masked(row, scores) if row.near else scores

    def _never(self, scores: torch.Tensor) -> torch.Tensor:
        """The tokens that are too long, where the scores are."""
        if self._too_long.device != scores.device:
            self._too_long = self._too_long.to(scores.device)
        return self._too_long

    def _row(self, ids: tuple[int, ...]) -> _Row:
        if ids in self._rows:
            return self._rows[ids]
        before = self._rows.get(ids[:-1]) if ids else None
        if before is not None:
            return self._added(before, ids[-1])
        row = _Row("", (), ())
        for token in ids:  # not one more than a sequence that is known: begin anew
            row = self._added(row, token)
        return row

    def _added(self, row: _Row, token: int) -> _Row:
        text, pending = self._text(row.pending, token)
        raw = (row.text + text)[-LONGEST_TAIL:]
        if not text:
            return _Row(raw, pending, row.near)
        canonical = canonicalise(raw)
        near: list[LiveDetector] = []
        start = len(raw)
        for detector in self._detectors:
            progress = detector.scan_live(canonical, EMPTY_CONTEXT)
            start = min([start, progress.settled, *(f.span.start for f in progress.open)])
            # What is not found yet is shorter than the bound, and could count with one token more.
            units = len(canonical) - int(np.searchsorted(canonical.offsets, progress.settled))
            words = len(raw[progress.settled :].split())
            if (units and self._counts(detector, units, words)) or any(
                self._counts(detector, f.evidence.matched or 0, f.evidence.words or 0, f)
                for f in progress.open
            ):
                near.append(detector)
        return _Row(raw[max(0, start - CONTEXT) :], pending, tuple(near))

    def _counts(
        self, detector: LiveDetector, units: int, words: int, finding: Finding | None = None
    ) -> bool:
        """Whether a rule could act on a run of this length with one token more."""
        units, words = units + LONGEST_TOKEN, words + 2
        return self._policy.could_act(detector.name, units, words, finding)

    def _text(self, pending: tuple[int, ...], token: int) -> tuple[str, tuple[int, ...]]:
        """What a token adds to the text, and the tokens that have to be decoded with the next."""
        before = self._decoded(pending)
        after = self._decoded((*pending, token))
        if after.endswith("\ufffd") and len(pending) < _PENDING:
            return "", (*pending, token)
        return after[len(before.rstrip("\ufffd")) :], (token,)

    def _decoded(self, ids: tuple[int, ...]) -> str:
        return str(
            self._tokenizer.decode(
                list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
        )

    def _masked(self, row: _Row, scores: torch.Tensor) -> torch.Tensor:
        """The scores with all but the candidates that complete nothing at minus infinity."""
        masked = torch.full_like(scores, float("-inf"))
        count, mass = CANDIDATES, MASS
        while True:
            top = torch.topk(scores, min(count, scores.shape[-1]))
            order = top.indices[top.values >= top.values[0] - mass].tolist()
            safe = [token for token in order if not self._completes(row, token)]
            if safe or count >= scores.shape[-1]:
                break
            count, mass = count * 8, float("inf")
        self.avoided += bool(order) and (not safe or safe[0] != order[0])
        if not safe:
            end = self._tokenizer.eos_token_id
            masked[end] = 0.0
            return masked
        masked[safe] = scores[safe]
        return masked

    def _completes(self, row: _Row, token: int) -> bool:
        text, _ = self._text(row.pending, token)
        if not text:
            return False
        canonical = canonicalise(row.text + text)
        # A run may count letters of the new token by chance, and end before them all the same.
        last = len(row.text)
        while last > 0 and not row.text[last - 1].isalnum():
            last -= 1
        for detector in row.near:
            findings = [
                finding
                for finding in detector.scan(canonical, EMPTY_CONTEXT)
                if finding.span.end >= last
            ]
            if self._policy.decide(findings, ()).action >= Action.REDACT:
                return True
        return False


class _Row(NamedTuple):
    """A sequence so far: the end of its text, tokens still to be decoded with the next one, and the
    detectors that have something near."""

    text: str
    pending: tuple[int, ...]
    near: tuple[LiveDetector, ...]


def _long_tokens(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    longest = LONGEST_TOKEN // 2  # of a token's own form, in which a letter is one sign or more
    candidates = [number for form, number in tokenizer.get_vocab().items() if len(form) > longest]
    special = set(tokenizer.all_special_ids)
    return [
        number
        for number in candidates
        if number not in special
        and len(canonicalise(str(tokenizer.decode([number])))) > LONGEST_TOKEN
    ]


class FilteredStreamer(TextStreamer):
    """A streamer for `generate` that hands filtered text to a function."""

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        stream: StreamFilter,
        write: Callable[[str], object],
        *,
        skip_prompt: bool = True,
    ) -> None:
        super().__init__(tokenizer, skip_prompt=skip_prompt, skip_special_tokens=True)
        self._stream, self._write = stream, write

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        out = self._stream.feed(text)
        if stream_end:
            out += self._stream.flush()
        if out:
            self._write(out)
