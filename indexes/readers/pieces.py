"""Texts of any length as documents of bounded length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from guardrail.indexes.documents import Document
from guardrail.indexes.readers.options import ReadOptions


def documents(
    chunks: Iterable[str],
    id: str,
    options: ReadOptions,
    collection: str | None = None,
    labels: tuple[str, ...] | None = None,
) -> Iterator[Document]:
    """One document, or overlapping pieces of one, from the chunks of its text.

    When the chunks end in an error, the text so far is yielded before the error goes on: what
    could be read of a damaged file is protected.
    """
    collection = options.collection if collection is None else collection
    labels = options.labels if labels is None else labels
    longest, step = options.piece_chars, options.piece_chars - options.piece_overlap
    held: list[str] = []
    length = offset = 0
    failure: Exception | None = None
    chunk_iterator = iter(chunks)
    while True:
        try:
            chunk = next(chunk_iterator, None)
        except Exception as error:
            failure = error
            chunk = None
        if chunk is None:
            break
        held.append(chunk)
        length += len(chunk)
        if length <= longest:
            continue
        text = "".join(held)
        cut = 0
        while length - cut > longest:
            yield Document(id, text[cut : cut + longest], collection, labels, offset + cut)
            cut += step
        held = [text[cut:]]
        length -= cut
        offset += cut
    if failure is None or length:
        yield Document(id, "".join(held), collection, labels, offset)
    if failure is not None:
        raise failure
