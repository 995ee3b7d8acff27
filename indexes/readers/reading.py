"""From a unit of work to its documents."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from guardrail.errors import SourceError
from guardrail.indexes.documents import Document, Unreadable
from guardrail.indexes.readers.decoding import decode_blocks
from guardrail.indexes.readers.formats import Kind, identify
from guardrail.indexes.readers.options import ReadOptions
from guardrail.indexes.readers.pieces import documents
from guardrail.indexes.readers.places import look, open_member
from guardrail.indexes.readers.problems import explain
from guardrail.indexes.readers.streams import Budget, Source, decompress, read_whole
from guardrail.indexes.readers.unit import Member, Unit

Results = Iterator[Document | Unreadable]


def read(unit: Unit, options: ReadOptions) -> Results:
    """The documents of a unit, streamed; whatever cannot be read comes as `Unreadable`.

    A damaged file gives what could be read of it and then an `Unreadable`. Memory is bounded by
    the limits of the options, not by the size of the files. Raises nothing for any content.
    """
    for member in unit.members:
        try:
            yield from _read_member(member, unit, options)
        except Exception as error:
            doing = f"reading it as {identify(member.name).kind.value}"
            yield Unreadable(member.name, _reason(error, doing))


def changed(unit: Unit) -> tuple[str, ...]:
    """The names of the unit's files that are gone or no longer as they were planned."""
    return tuple(
        member.name for member in unit.members if member.problem is None and not _unchanged(member)
    )


def _unchanged(member: Member) -> bool:
    try:
        return look(member.path) == (member.size, member.stamp)
    except Exception:
        return False


def _read_member(member: Member, unit: Unit, options: ReadOptions) -> Results:
    if member.problem is not None:
        yield Unreadable(member.name, member.problem)
        return
    with open_member(member.path) as stream:
        if unit.end is not None and not _unchanged(member):
            yield Unreadable(
                member.name,
                "changed since it was planned: some lines may be missed or read twice; plan again",
            )
        budget = Budget.for_size(member.size)
        yield from _dispatch(
            Source(member.name, stream, options, budget, start=unit.start, end=unit.end)
        )


def _descend(source: Source) -> Results:
    """What a container holds: its failures stay its own."""
    try:
        yield from _dispatch(source)
    except Exception as error:
        doing = f"reading it as {identify(source.name).kind.value}"
        yield Unreadable(source.name, _reason(error, doing))


def _reason(error: Exception, doing: str) -> str:
    return str(error) if isinstance(error, SourceError) else explain(error, doing)


def _dispatch(source: Source) -> Results:
    form = identify(source.name)
    if form.compression is not None:
        stream = decompress(source.stream, form.compression, source.budget)
        source = replace(source, stream=stream)
    return _reader(form.kind)(source)


def _reader(kind: Kind) -> Callable[[Source], Results]:
    # Imported one by one, so that a corpus of plain text loads no mail, zip or CSV machinery.
    if kind is Kind.JSON_LINES:
        from guardrail.indexes.readers.json_lines import read_json_lines

        return read_json_lines
    if kind is Kind.JSON:
        from guardrail.indexes.readers.json_values import read_json

        return read_json
    if kind is Kind.CSV:
        from guardrail.indexes.readers.csv_rows import read_csv

        return read_csv
    if kind is Kind.PARQUET:
        from guardrail.indexes.readers.parquet import read_parquet

        return read_parquet
    if kind in (Kind.PDF, Kind.DOCX):
        from guardrail.indexes.readers.office import read_docx, read_pdf

        return read_pdf if kind is Kind.PDF else read_docx
    if kind in (Kind.MBOX, Kind.MAIL):
        from guardrail.indexes.readers.mail import read_mail, read_mailbox

        with_parts = read_mailbox if kind is Kind.MBOX else read_mail
        return lambda source: with_parts(source, _descend)
    if kind in (Kind.ZIP, Kind.TAR):
        from guardrail.indexes.readers.archives import read_tar, read_zip

        with_members = read_zip if kind is Kind.ZIP else read_tar
        return lambda source: with_members(source, _descend)
    return _read_page if kind is Kind.HTML else _read_text


def _read_text(source: Source) -> Results:
    return documents(decode_blocks(source.stream), source.name, source.options)


def _read_page(source: Source) -> Results:
    from guardrail.indexes.readers.markup import page_text

    yield from documents((page_text(read_whole(source)),), source.name, source.options)
