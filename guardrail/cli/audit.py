"""`guardrail index audit`: what personal data and secrets a corpus holds, and what repeats."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from guardrail.cli.index import (
    AsJson,
    Collection,
    CollectionField,
    IdField,
    Jobs,
    LabelField,
    Labels,
    Paths,
    TextFields,
    read_options,
)
from guardrail.cli.output import console, print_json, printable, progress_bar
from guardrail.errors import UsageError


def audit(
    paths: Paths,
    html: Annotated[
        str | None, typer.Option("--html", help="Write a page with plots to this file.")
    ] = None,
    text_field: TextFields = ["text"],  # noqa: B006 (typer copies it)
    id_field: IdField = "id",
    collection: Collection = "default",
    label: Labels = [],  # noqa: B006
    collection_field: CollectionField = None,
    label_field: LabelField = None,
    jobs: Jobs = None,
    as_json: AsJson = False,
) -> None:
    """Tell what personal data and secrets the documents under PATHS hold, by kind, collection and
    document, and how often passages repeat. No value is shown or stored."""
    from guardrail.classifiers.identifiers import values
    from guardrail.indexes.census import take

    options = read_options(text_field, id_field, collection, label, collection_field, label_field)
    with progress_bar(quiet=as_json) as progress:
        told = take(paths, values, options=options, jobs=jobs, progress=progress).to_dict()
    if html is not None:
        from guardrail.cli.audit_page import page

        try:
            Path(html).write_text(page(told), encoding="utf-8")
        except OSError as error:
            raise UsageError(f"cannot write {html}: {error.strerror}") from None
    if as_json:
        print_json(told)
    else:
        _print(told)
        if html is not None:
            console().print(f"wrote {html}")


def _print(told: dict[str, Any]) -> None:
    from rich.table import Table

    out = console()
    out.print(f"{told['documents']:,} documents, {told['chars']:,} characters")
    if told["unreadable_count"]:
        out.print(f"{told['unreadable_count']:,} could not be read:")
        for item in told["unreadable"][:20]:
            out.print(f"  {printable(item['source'])}: {printable(item['reason'])}")
    names = list(told["collections"])
    table = Table("kind", box=None, pad_edge=False)
    for column in ("values", "different", "documents", *names[:8]):
        table.add_column(printable(column), justify="right")
    for kind, row in told["kinds"].items():
        by_collection = [told["collections"][name]["kinds"].get(kind, 0) for name in names[:8]]
        cells = (row["values"], row["distinct"], row["documents"], *by_collection)
        table.add_row(kind, *(f"{cell:,}" for cell in cells))
    if told["kinds"]:
        out.print(table)
    else:
        out.print("no personal data and no secrets of a known form")
    if told["most"]:
        most = Table("documents with the most", "collection", box=None, pad_edge=False)
        most.add_column("values", justify="right")
        for row in told["most"][:10]:
            most.add_row(
                printable(row["document"]), printable(row["collection"]), f"{row['values']:,}"
            )
        out.print(most)
    repeats = Table(
        f"passages of {told['duplication']['passage_units']} letters in", box=None, pad_edge=False
    )
    repeats.add_column("of passages", justify="right")
    repeats.add_column("of the text", justify="right")
    for row in told["duplication"]["copies"]:
        repeats.add_row(copies_label(row), f"{row['passages']:.2%}", f"{row['text']:.2%}")
    out.print(repeats)


def copies_label(row: dict[str, Any]) -> str:
    """How many documents a step of the histogram means."""
    if row["most"] is None:
        return f"{row['least']} documents or more"
    if row["most"] == row["least"]:
        return f"{row['least']} document{'s' if row['least'] > 1 else ''}"
    return f"{row['least']} to {row['most']} documents"
