"""`guardrail calibrate` and `guardrail reference train`: what scoring memorization needs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from guardrail.cli.output import console, print_json, progress_bar
from guardrail.errors import UsageError

if TYPE_CHECKING:
    from guardrail.classifiers.memorization.collection import Labelled

reference_app = typer.Typer(help="Make reference models for scoring.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Device = Annotated[str, typer.Option("--device", help="auto, cuda, mps or cpu.")]
TextField = Annotated[str, typer.Option("--text-field", help="Field of a record with the text.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of everything that is drawn by chance.")]


def lines_of(path: str, field: str) -> list[str]:
    """The texts in a file: a field of each JSON object in .jsonl, else each line that is not
    empty."""
    try:
        lines = Path(path).read_text("utf-8").split("\n")
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8; save it as UTF-8") from None
    return (
        list(_records(path, lines, field)) if path.endswith(".jsonl") else [x for x in lines if x]
    )


def _records(path: str, lines: list[str], field: str) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError:
            raise UsageError(f"{path}:{number} is not JSON") from None
        if not isinstance(record, dict) or not isinstance(record.get(field), str):
            raise UsageError(f"{path}:{number} has no text in the field {field!r}; --text-field")
        # A document that stands there several times was read as often: see make_memorised_model.
        copies = record.get("copies", 1)
        yield from [record[field]] * (copies if isinstance(copies, int) and copies > 0 else 1)


@reference_app.command("train")
def train(
    base: Annotated[str, typer.Argument(help="The model to start from: folder or GGUF file.")],
    corpus: Annotated[list[str], typer.Argument(help="Private documents (.jsonl or lines).")],
    out: Annotated[str, typer.Option("--out", help="Folder for the references.")],
    shards: Annotated[int, typer.Option("--shards", min=2, help="References to make.")] = 2,
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="Times each text is read.")] = 4,
    learning_rate: Annotated[float, typer.Option("--learning-rate", min=0)] = 2e-4,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Rows of a batch.")] = 16,
    layers: Annotated[
        int | None, typer.Option("--layers", help="Train only the last so many blocks.")
    ] = None,
    text_field: TextField = "text",
    device: Device = "auto",
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Train shard references: models that each read another part of the corpus. Records with a
    number in `copies` count as often."""
    from guardrail.classifiers.memorization import references
    from guardrail.classifiers.memorization.models import load_model
    from guardrail.classifiers.memorization.training import Recipe

    texts = [text for path in corpus for text in lines_of(path, text_field)]
    model = load_model(base, device=device, dtype="float32")
    recipe = Recipe(
        epochs=epochs, learning_rate=learning_rate, batch_rows=batch, layers=layers, seed=seed
    )
    with progress_bar(quiet=as_json) as progress:
        made = references.train(model, texts, out, shards=shards, recipe=recipe, progress=progress)
    if as_json:
        print_json({"references": [str(path) for path in made], "documents": len(texts)})
    else:
        for path in made:
            console().print(f"wrote {path}")


def calibrate(
    target: Annotated[str, typer.Option("--target", help="The model that is to be judged.")],
    out: Annotated[str, typer.Option("--out", help="File for the calibration (JSON).")],
    prompts: Annotated[str, typer.Option("--prompts", help="Ordinary prompts.")],
    index: Annotated[list[str], typer.Option("--index", help="Index of the private corpus.")],
    reference: Annotated[
        str | None, typer.Option("--reference", help="A model without the private text.")
    ] = None,
    shard: Annotated[
        list[str], typer.Option("--shard", help="A shard reference (repeatable).")
    ] = [],  # noqa: B006 (typer copies it)
    canaries: Annotated[
        str | None, typer.Option("--canaries", help="Canaries that were planted.")
    ] = None,
    corpus: Annotated[
        str | None, typer.Option("--corpus", help="Documents that the target was trained on.")
    ] = None,
    public: Annotated[
        str | None, typer.Option("--public", help="Texts that anyone may read.")
    ] = None,
    background: Annotated[
        list[str],
        typer.Option(
            "--background",
            help="A public index (repeatable): what it holds is not recited, such as templates.",
        ),
    ] = [],  # noqa: B006 (typer copies it)
    key_file: Annotated[
        str | None,
        typer.Option("--key-file", help="The key file. Default: the variable GUARDRAIL_KEY."),
    ] = None,
    report: Annotated[
        str | None, typer.Option("--report", help="File for a report (.html or .json).")
    ] = None,
    samples: Annotated[int, typer.Option("--samples", min=1, help="Answers a prompt.")] = 1,
    tokens: Annotated[int, typer.Option("--tokens", min=16, help="Tokens an answer.")] = 64,
    temperature: Annotated[float, typer.Option("--temperature", min=0)] = 1.0,
    top_p: Annotated[float, typer.Option("--top-p", min=0.01, max=1)] = 1.0,
    prevalence: Annotated[
        float | None,
        typer.Option("--prevalence", help="Share of recited answers in use, between 0 and 1."),
    ] = None,
    text_field: TextField = "text",
    device: Device = "auto",
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Fit what turns scores into probabilities, from answers that the target writes here.

    Ordinary answers come from PROMPTS, recited ones from canaries and from the beginnings of
    training documents; the index tells which is which, and ambiguous ones are left out.
    """
    from guardrail.assembly import Guardrail
    from guardrail.classifiers.memorization.collection import Plan, Sources, collect
    from guardrail.classifiers.memorization.fitting import fit_and_report
    from guardrail.classifiers.memorization.generation import Decoding
    from guardrail.classifiers.memorization.models import load_model
    from guardrail.classifiers.memorization.report import page
    from guardrail.classifiers.memorization.scorer import MemorizationScorer

    if report is not None and not report.endswith((".html", ".json")):
        raise UsageError(f"the report {report} is neither .html nor .json; name one of these")

    def texts(path: str | None) -> list[str]:
        return [] if path is None else sorted(set(lines_of(path, text_field)))

    decoding = Decoding(temperature, top_p)
    guardrail = Guardrail.from_policy(
        indexes=index, background=background, key=key_file, check_indexes=True
    )
    model = load_model(target, device=device)
    scorer = MemorizationScorer(model, reference, shard, decoding=decoding.to_dict(), device=device)
    sources = Sources(texts(prompts), texts(canaries), texts(corpus), texts(public))
    plan = Plan(tokens=tokens, decoding=decoding, samples=samples, seed=seed)
    with progress_bar(quiet=as_json) as progress:
        labelled = list(
            collect(model, sources, plan, _matcher(guardrail), lambda s: progress("writing", s))
        )
        made, values = fit_and_report(
            scorer, labelled, prevalence=prevalence, progress=lambda s: progress("scoring", s)
        )
    scorer.close()
    made.save(out)
    if report is not None:
        Path(report).write_text(
            json.dumps(values) if report.endswith(".json") else page(values), "utf-8"
        )
    _print(values, labelled, out, as_json)


def _matcher(guardrail: Any) -> Callable[[str], int]:
    def longest(text: str) -> int:
        verdict = guardrail.check(text)
        if verdict.failures:
            raise UsageError(f"the index could not judge a text: {verdict.failures[0].reason}")
        # Edited copies do not count: words of a template add up to one, in whatever order.
        runs = [found.evidence.matched for found in verdict.findings if found.kind == "verbatim"]
        return max((run or 0 for run in runs), default=0)

    return longest


def _print(values: dict[str, Any], labelled: list[Labelled], out: str, as_json: bool) -> None:
    short = {key: value for key, value in values.items() if key not in ("roc", "manifest")}
    if as_json:
        print_json({"calibration": out, **short})
        return
    console().print(
        f"wrote {out}: {len(labelled)} texts, {short['ambiguous_left_out']} of them ambiguous; "
        f"area {short['area']:.3f}, calibration error {short['expected_calibration_error']:.3f} "
        "on texts held out"
    )
