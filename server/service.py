"""The running service: what every protocol uses to judge, and the order in which it does so."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from guardrail.findings import Verdict
from guardrail.server.audit_record import AuditRecord, decision
from guardrail.server.checks import CheckPool
from guardrail.server.errors import ForbiddenError, InvalidRequestError
from guardrail.server.guard import Guard
from guardrail.server.identity import Identity
from guardrail.server.metrics import Metrics
from guardrail.server.ports import OpenStores
from guardrail.server.settings import Settings
from guardrail.server.tracing import Tracing
from guardrail.server.upstreams import Upstreams

# Up to this size a check by quick detectors takes about as long as handing it to a thread and back,
# so that it is done at once.
QUICK_CHARS = 4096


@dataclass(frozen=True, slots=True)
class Question:
    """A text to judge, and what is known besides; see `guardrail.Context`."""

    text: str
    prompt: tuple[str, ...] = ()
    model: str | None = None
    logprobs: Sequence[float] | None = None
    conversation: str | None = None


@dataclass(frozen=True, slots=True)
class Service:
    """All that a request needs. There is one to a process; requests find it in their state.

    `turn`: who holds it filters a piece of a stream. Those who wait get it one by one, and the loop
    looks at its sockets and timers in between: with hundreds of streams at once, connections and
    records would wait for all of them and be given up.
    """

    settings: Settings
    guard: Guard
    pool: CheckPool
    stores: OpenStores
    metrics: Metrics
    tracing: Tracing
    upstreams: Upstreams
    turn: asyncio.Lock

    async def judge(
        self, caller: Identity, questions: Sequence[Question], *, event: str, request: str
    ) -> list[Verdict]:
        """The verdicts on some texts of one request, in order. Each is on record when this
        returns: `event` names the protocol, `request` is the request's id.

        Raises InvalidRequestError, ForbiddenError, RateLimitedError, OverloadedError,
        UnavailableError or StoreError; then nothing may leave.
        """
        self.bound(questions)
        for question in questions:
            self.allow_model(caller, question.model)
        await self.admit(caller, sum(len(question.text) for question in questions))
        if len(questions) == 1:
            return [await self._judge(caller, questions[0], event, request)]
        return await asyncio.gather(
            *(self._judge(caller, question, event, request) for question in questions)
        )

    async def held_back(
        self, caller: Identity, questions: Sequence[Question], safe: Sequence[str]
    ) -> list[int]:
        """How much of the end of each safe text must wait where its question is only the beginning
        of a response: all that a stream would not have let go yet."""
        return [
            await self.pool.run(partial(self._held_back, caller, question, text))
            for question, text in zip(questions, safe, strict=False)
        ]

    def _held_back(self, caller: Identity, question: Question, safe: str, deadline: float) -> int:
        stream = self.guard.now.rail.open_stream(
            prompt=question.prompt,
            identity=caller.key_id,
            entitlements=caller.entitlements,
            conversation=question.conversation,
        )
        let_go = stream.feed(question.text)
        if stream.refused:
            return len(safe)
        pairs = enumerate(zip(let_go, safe, strict=False))
        return len(safe) - next((at for at, (a, b) in pairs if a != b), min(len(let_go), len(safe)))

    async def admit(
        self, caller: Identity, characters: int = 0, *, preset: str | None = None
    ) -> None:
        """Count one request against the caller's limits. Raises LimitError."""
        await self.stores.limiter.admit(caller, requests=1, characters=characters, preset=preset)

    async def record(self, record: AuditRecord) -> None:
        """Put something on record; it is durable when this returns. Raises StoreError."""
        await self.stores.audit.append(record)

    def allow_model(self, caller: Identity, model: str | None) -> None:
        """Raise ForbiddenError where a caller may not use a model."""
        if model is not None and not caller.may_use_model(model):
            raise ForbiddenError("this key does not open that model")

    def bound(self, questions: Sequence[Question]) -> None:
        """Raise InvalidRequestError where there is more to judge than one request may ask for."""
        bounds = self.settings.bounds
        if len(questions) > bounds.batch_texts:
            raise InvalidRequestError(
                f"{len(questions)} texts; allowed: up to {bounds.batch_texts} in one request",
                413,
                "too_large",
            )
        longest = max((len(question.text) for question in questions), default=0)
        if longest > bounds.text_chars:
            raise InvalidRequestError(
                f"a text of {longest} characters; allowed: up to {bounds.text_chars}",
                413,
                "too_large",
            )

    async def _judge(
        self, caller: Identity, question: Question, event: str, request: str
    ) -> Verdict:
        in_force = self.guard.now

        def check(deadline: float) -> Verdict:
            return in_force.rail.check(
                question.text,
                prompt=question.prompt,
                identity=caller.key_id,
                entitlements=caller.entitlements,
                model=question.model,
                logprobs=question.logprobs,
                timeout=max(0.0, deadline - time.monotonic()),
                conversation=question.conversation,
            )

        began = time.time_ns()
        size = len(question.text) + sum(map(len, question.prompt))
        if in_force.is_quick and size <= QUICK_CHARS:
            verdict = check(time.monotonic() + self.settings.bounds.check_seconds)
        else:
            with self.metrics.waiting.track_inprogress():
                verdict = await self.pool.run(check)
        self.metrics.verdict(verdict, len(question.text))
        self.tracing.check(verdict, len(question.text), began, time.time_ns())
        await self.record(
            decision(
                event,
                caller,
                verdict,
                request=request,
                policy=in_force.digest,
                model=question.model,
                prompt_chars=sum(map(len, question.prompt)),
                response_chars=len(question.text),
            )
        )
        return verdict
