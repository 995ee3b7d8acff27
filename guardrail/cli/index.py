"""`guardrail index`: build indexes of private corpora and maintain them."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from guardrail.cli.output import complain, console, print_json, progress_bar
from guardrail.errors import UsageError

if TYPE_CHECKING:
    from guardrail.indexes.build import BuildReport
    from guardrail.indexes.readers import ReadOptions
    from guardrail.indexes.records import RecordFinder
    from guardrail.keys import Key

app = typer.Typer(help="Build and maintain indexes of private corpora.", no_args_is_help=True)

Paths = Annotated[
    list[str], typer.Argument(help="Files, folders, globs or fsspec URLs.", show_default=False)
]
Index = Annotated[str, typer.Argument(help="The folder of an index.", show_default=False)]
KeyFile = Annotated[
    str | None,
    typer.Option("--key-file", help="The key file. Default: the variable GUARDRAIL_KEY."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
TextFields = Annotated[
    list[str], typer.Option("--text-field", help="Field of a record that holds text (repeatable).")
]
IdField = Annotated[str, typer.Option("--id-field", help="Field of a record that names it.")]
Collection = Annotated[str, typer.Option("--collection", help="Collection of these documents.")]
Labels = Annotated[
    list[str], typer.Option("--label", help="Label of these documents (repeatable).")
]
CollectionField = Annotated[
    str | None, typer.Option("--collection-field", help="Field that names a record's collection.")
]
LabelField = Annotated[
    str | None, typer.Option("--label-field", help="Field with a record's labels.")
]
Phrases = Annotated[
    list[str],
    typer.Option("--phrases", help="File of protected phrases, one a line (repeatable)."),
]
RecordPatterns = Annotated[
    list[str],
    typer.Option(
        "--record-pattern",
        help="NAME=REGEX: protect what matches, however short (repeatable).",
    ),
]
RecordFields = Annotated[
    list[str],
    typer.Option("--record-field", help="Field whose values are protected (repeatable)."),
]
RecordLabels = Annotated[
    list[str],
    typer.Option("--record-label", help="Label of documents whose lines are (repeatable)."),
]
RecordBits = Annotated[
    float | None,
    typer.Option("--record-bits", help="Least information of a record. Default: 18, six digits."),
]
WithIdentifiers = Annotated[
    bool,
    typer.Option(
        "--identifiers", help="Store the personal data and secrets found in documents, sealed."
    ),
]
Jobs = Annotated[int | None, typer.Option("--jobs", min=1, help="Processes. Default: all cores.")]
Strict = Annotated[
    bool, typer.Option("--strict", help="Stop at the first document that cannot be read.")
]


def load(key_file: str | None, *indexes: str) -> Key:
    """The key from a file, or from the environment; for public indexes the one known to all."""
    from guardrail.errors import CorpusIndexError
    from guardrail.indexes.manifest import peek_manifest
    from guardrail.keys import PUBLIC_KEY, key_from_environment, load_key

    if key_file is not None:
        return load_key(key_file)
    with suppress(CorpusIndexError):
        if indexes and all(peek_manifest(Path(index)).public for index in indexes):
            return PUBLIC_KEY
    return key_from_environment()


@app.command("build")
def build(
    paths: Paths,
    out: Annotated[str, typer.Option("--out", help="Folder for the index.")],
    key_file: KeyFile = None,
    text_field: TextFields = ["text"],  # noqa: B006 (typer copies it)
    id_field: IdField = "id",
    collection: Collection = "default",
    label: Labels = [],  # noqa: B006
    collection_field: CollectionField = None,
    label_field: LabelField = None,
    phrases: Phrases = [],  # noqa: B006
    record_pattern: RecordPatterns = [],  # noqa: B006
    record_field: RecordFields = [],  # noqa: B006
    record_label: RecordLabels = [],  # noqa: B006
    record_bits: RecordBits = None,
    gram: Annotated[int | None, typer.Option("--gram", help="Units of a gram.")] = None,
    stride: Annotated[int | None, typer.Option("--stride", help="Units between grams.")] = None,
    max_postings: Annotated[
        int | None, typer.Option("--max-postings", help="Places kept of one gram and group.")
    ] = None,
    passages: Annotated[
        bool,
        typer.Option("--passages", help="Store long words, to find reworded passages."),
    ] = False,
    identifiers: WithIdentifiers = False,
    jobs: Jobs = None,
    strict: Strict = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace the index that is there already.")
    ] = False,
    public: Annotated[
        bool,
        typer.Option("--public", help="Of public text, to be used as background; needs no key."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Build an index of the documents under PATHS. Interrupted, it goes on where it stopped when
    the same command is given again."""
    from guardrail.indexes import build as building
    from guardrail.indexes.runs import Grid
    from guardrail.keys import PUBLIC_KEY

    if public and key_file is not None:
        raise UsageError("a public index has no secret key: leave --key-file or --public out")
    key = PUBLIC_KEY if public else load(key_file)
    default = building.DEFAULT_GRID
    grid = Grid(gram or default.gram, stride or default.stride, passages)
    options = read_options(text_field, id_field, collection, label, collection_field, label_field)
    with progress_bar(quiet=as_json) as progress:
        report = building.build(
            paths,
            out,
            key,
            options=options,
            grid=grid,
            max_postings=max_postings or building.DEFAULT_MAX_POSTINGS,
            phrases=_phrases(phrases),
            records=[
                *_records(record_pattern, record_field, record_label, record_bits),
                *_identifiers(identifiers),
            ],
            jobs=jobs,
            strict=strict,
            replace_existing=replace,
            progress=progress,
        )
    _print_report(report, out, "built", grid.bound, as_json)


@app.command("add")
def add(
    paths: Paths,
    out: Annotated[str, typer.Option("--out", "--index", help="Folder of the index.")],
    key_file: KeyFile = None,
    text_field: TextFields = ["text"],  # noqa: B006
    id_field: IdField = "id",
    collection: Collection = "default",
    label: Labels = [],  # noqa: B006
    collection_field: CollectionField = None,
    label_field: LabelField = None,
    phrases: Phrases = [],  # noqa: B006
    record_pattern: RecordPatterns = [],  # noqa: B006
    record_field: RecordFields = [],  # noqa: B006
    record_label: RecordLabels = [],  # noqa: B006
    record_bits: RecordBits = None,
    identifiers: WithIdentifiers = False,
    jobs: Jobs = None,
    strict: Strict = False,
    public: Annotated[bool, typer.Option("--public", help="The index is a public one.")] = False,
    as_json: AsJson = False,
) -> None:
    """Add the documents under PATHS to an index; one that it holds already (same collection and
    id) is replaced."""
    from guardrail.indexes import build as building
    from guardrail.indexes.manifest import read_manifest
    from guardrail.keys import PUBLIC_KEY

    key = PUBLIC_KEY if public else load(key_file)
    options = read_options(text_field, id_field, collection, label, collection_field, label_field)
    with progress_bar(quiet=as_json) as progress:
        report = building.add(
            paths,
            out,
            key,
            options=options,
            phrases=_phrases(phrases),
            records=[
                *_records(record_pattern, record_field, record_label, record_bits),
                *_identifiers(identifiers),
            ],
            jobs=jobs,
            strict=strict,
            progress=progress,
        )
    bound = read_manifest(Path(out), key).grid.bound
    _print_report(report, out, "added to", bound, as_json)


@app.command("forget")
def forget(
    index: Index,
    ids: Annotated[list[str] | None, typer.Argument(help="Ids of documents.")] = None,
    collection: Annotated[
        str | None, typer.Option("--collection", help="Only there; without ids: all of it.")
    ] = None,
    key_file: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Forget documents at once: nothing matches them any more. `compact` erases them from disk."""
    from guardrail.indexes.lifecycle import forget as forget_documents

    report = forget_documents(index, load(key_file, index), ids or [], collection=collection)
    if as_json:
        print_json({"forgotten": report.forgotten, "missing": list(report.missing)})
    else:
        console().print(
            f"forgot {report.forgotten} documents; `guardrail index compact` erases them"
        )
    if report.missing:
        complain(f"not in the index: {', '.join(report.missing[:20])}")
        raise typer.Exit(1)


@app.command("compact")
def compact(index: Index, key_file: KeyFile = None, as_json: AsJson = False) -> None:
    """Erase forgotten documents from disk, and join the parts that additions left."""
    from dataclasses import asdict

    from guardrail.indexes.lifecycle import compact as compact_index

    with progress_bar(quiet=as_json) as progress:
        report = compact_index(index, load(key_file, index), progress=progress)
    _print_compaction(asdict(report), as_json)


@app.command("merge")
def merge(
    indexes: Annotated[list[str], typer.Argument(help="Folders of indexes.", show_default=False)],
    out: Annotated[str, typer.Option("--out", help="Folder for the new index.")],
    key_file: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Make one new index of several that share key, gram and stride."""
    from dataclasses import asdict

    from guardrail.indexes.lifecycle import merge as merge_indexes

    with progress_bar(quiet=as_json) as progress:
        report = merge_indexes(indexes, out, load(key_file, *indexes), progress=progress)
    _print_compaction(asdict(report), as_json)


@app.command("verify")
def verify(index: Index, key_file: KeyFile = None, as_json: AsJson = False) -> None:
    """Compare every file of an index with its digest, and open every sealed part."""
    from guardrail.indexes.lifecycle import verify as verify_index

    problems = verify_index(index, load(key_file, index))
    if as_json:
        print_json({"index": index, "sound": not problems, "problems": problems})
    elif not problems:
        console().print(f"{index}: sound")
    if problems:
        if not as_json:
            for problem in problems:
                complain(problem)
        raise typer.Exit(1)


@app.command("info")
def info(index: Index, key_file: KeyFile = None, as_json: AsJson = False) -> None:
    """Tell what an index holds and which spans it is bound to find. Without the key, only what
    is not secret."""
    import os

    from guardrail.indexes.lifecycle import info as tell
    from guardrail.indexes.manifest import peek_manifest
    from guardrail.keys import ENVIRONMENT_VARIABLE

    given = key_file is not None or ENVIRONMENT_VARIABLE in os.environ
    keyed = given or peek_manifest(Path(index)).public
    told = tell(index, load(key_file, index) if keyed else None)
    if as_json:
        print_json(told)
        return
    _print_table(told)
    console().print(
        f"\nEvery span of at least {told['bound']} letters and digits that a response shares with "
        "a document is found, however it is cased, spaced or punctuated, but for phrases in more "
        f"than {told['max_postings']} different surroundings. The policy says which spans are "
        "acted on."
    )


def read_options(
    text_field: list[str],
    id_field: str,
    collection: str,
    label: list[str],
    collection_field: str | None,
    label_field: str | None,
) -> ReadOptions:
    from guardrail.indexes.readers import ReadOptions

    return ReadOptions(
        text_fields=tuple(text_field),
        id_field=id_field,
        collection=collection,
        labels=tuple(label),
        collection_field=collection_field,
        label_field=label_field,
    )


def _phrases(files: list[str]) -> list[str]:
    from guardrail.indexes.phrases import read_phrase_file

    phrases = [phrase for file in files for _, phrase in read_phrase_file(file)]
    if files and not phrases:
        raise UsageError(f"{files[0]} holds no phrases: write one a line")
    return phrases


def _records(
    patterns: list[str], fields: list[str], labels: list[str], bits: float | None
) -> list[RecordFinder]:
    from guardrail.indexes.records import DEFAULT_BITS, RecordRule, RecordRules

    if not patterns and not fields and not labels:
        return []
    least = DEFAULT_BITS if bits is None else bits
    rules = []
    for given in patterns:
        name, equals, pattern = given.partition("=")
        if not equals or not pattern:
            raise UsageError(f"--record-pattern {given}: write NAME=REGEX")
        rules.append(RecordRule(name, pattern=pattern, min_bits=least))
    rules += [RecordRule(_rule_name(name), field=name, min_bits=least) for name in fields]
    rules += [RecordRule(_rule_name(name), label=name, min_bits=least) for name in labels]
    return [RecordRules(tuple(rules))]


def _rule_name(name: str) -> str:
    """A field or label as the name of a rule."""
    return re.sub(r"[^A-Za-z0-9_.-]", "-", name)[:64]


def _identifiers(wanted: bool) -> list[RecordFinder]:
    if not wanted:
        return []
    from guardrail.classifiers.identifiers import identifiers
    from guardrail.indexes.records import Identifiers

    return [Identifiers(identifiers)]


def _print_report(report: BuildReport, out: str, done: str, bound: int, as_json: bool) -> None:
    if as_json:
        print_json({"index": out, "bound": bound, **report.to_dict()})
        return
    out_console = console()
    share = report.index_bytes / max(1, report.chars)
    out_console.print(
        f"{done} {out}: {report.documents:,} documents, {report.chars:,} characters, "
        f"{report.index_bytes:,} bytes ({share:.2f} a character) in {report.seconds:.1f} s"
    )
    if report.resumed_units:
        out_console.print(
            f"went on from an interrupted build: {report.resumed_units} parts were there"
        )
    if report.records:
        out_console.print(f"{report.records:,} records are protected whatever their length")
    if report.replaced:
        out_console.print(f"{report.replaced:,} documents were there already and are replaced")
    if report.short:
        out_console.print(
            f"{report.short:,} documents are shorter than {bound} letters and digits: no search is "
            "bound to find them; protect what they hold as phrases"
        )
    if report.unreadable_count:
        out_console.print(f"{report.unreadable_count:,} could not be read:")
        for item in report.unreadable[:20]:
            out_console.print(f"  {item.source}: {item.reason}")
        if report.unreadable_count > 20:
            out_console.print("  ... (--json lists up to 1,000)")


def _print_compaction(told: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(told)
    else:
        _print_table(told)


def _print_table(told: dict[str, Any]) -> None:
    from rich.table import Table

    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in told.items():
        if isinstance(value, dict):
            value = ", ".join(f"{key} ({count:,})" for key, count in value.items()) or "none"
        elif isinstance(value, int):
            value = f"{value:,}"
        table.add_row(name.replace("_", " "), str(value))
    console().print(table)
