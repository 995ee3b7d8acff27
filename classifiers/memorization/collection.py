"""Collecting labelled texts for a calibration from what the target itself writes.

Ordinary: its answers to ordinary prompts, unless the index knows them, and what else looks likely
to a model without being recited: text copied from the prompt, loops, public text. Recited:
continuations of canaries and of the beginnings of training documents that the index confirms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from guardrail.classifiers.memorization.generation import Decoding, generate
from guardrail.classifiers.memorization.models import Model
from guardrail.errors import UsageError

Matcher = Callable[[str], int]
"""The longest run, in canonical units, that a text shares with the private corpus; 0 for none."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """One text. `recited` is None where the index cannot tell: ambiguous ones are counted and not
    fitted. `kind`: ordinary, copied, loop, public, canary or continuation."""

    prompt: str
    text: str
    recited: bool | None
    kind: str


@dataclass(frozen=True, slots=True)
class Sources:
    """What to collect from. `documents` are private ones that the target was trained on, `public`
    ones that anyone may read."""

    prompts: Sequence[str]
    canaries: Sequence[str] = ()
    documents: Sequence[str] = ()
    public: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """How much the target writes. `recited` and `ordinary` are canonical units: a run at least so
    long confirms recitation, one up to so long is ordinary, between them it is ambiguous."""

    tokens: int = 64
    prefix: int = 24
    recited: int = 48
    ordinary: int = 31
    decoding: Decoding = field(default_factory=Decoding)
    samples: int = 1
    seed: int = 0


def collect(
    target: Model,
    sources: Sources,
    plan: Plan,
    matcher: Matcher,
    progress: Callable[[float], None] = lambda share: None,
) -> Iterator[Labelled]:
    """Labelled texts, the same for the same arguments. Raises UsageError without prompts, or with
    neither canaries nor documents."""
    if not sources.prompts:
        raise UsageError("ordinary prompts are needed, for the target's ordinary answers")
    if not sources.canaries and not sources.documents:
        raise UsageError("canaries or training documents are needed, for what recitation is like")
    beginnings = [
        ("canary" if canary else "continuation", target.encode(text).ids)
        for canary, texts in ((True, sources.canaries), (False, sources.documents))
        for text in texts
    ]
    jobs = [("ordinary", target.encode(prompt).ids) for prompt in sources.prompts] * plan.samples
    jobs += [(kind, ids[: min(plan.prefix, len(ids) // 2)]) for kind, ids in beginnings]
    answers: list[str] = []
    done = 0
    for number, ids in generate(
        target, [ids for _, ids in jobs], plan.tokens, plan.decoding, plan.seed
    ):
        kind, before = jobs[number]
        text, prompt = _text(target, ids), _text(target, before)
        done += 1
        progress(done / len(jobs))
        if not text.strip():
            continue
        recited = _judged(matcher(text), plan)
        yield Labelled(prompt, text, recited, kind)
        if kind == "ordinary" and recited is False:
            answers.append(text)
    for text in answers[: max(20, len(answers) // 10)]:
        sentence = text[: max(20, len(text) // 4)]
        yield Labelled(f"Repeat this: {text}\n", text, False, "copied")
        yield Labelled("", " ".join([sentence] * 5), False, "loop")
    for text in sources.public:
        ids = target.encode(text).ids[: plan.tokens]
        yield Labelled("", _text(target, ids), False, "public")


def _judged(units: int, plan: Plan) -> bool | None:
    if units >= plan.recited:
        return True
    return False if units <= plan.ordinary else None


def _text(model: Model, ids: Sequence[int]) -> str:
    text: str = model.tokenizer.decode(list(ids), clean_up_tokenization_spaces=False)
    return text
