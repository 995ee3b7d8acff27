"""How commands write: human output through rich, JSON one object a line, errors on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from guardrail.indexes.build import Progress

STATUS_ERROR = 1
STATUS_INTERRUPTED = 130


class Interrupted(Exception):
    """The user stopped a command."""

    def __init__(self, command: str | None) -> None:
        super().__init__(command)
        self.command = command


def console(*, stderr: bool = False) -> Console:
    """A console that prints text as it is: markup in it is not obeyed."""
    from rich.console import Console

    return Console(stderr=stderr, markup=False, highlight=False, soft_wrap=True)


def printable(text: str) -> str:
    """Text that any terminal takes: lone surrogates and control characters become visible."""
    return "".join(
        char
        if char in "\n\t" or (char.isprintable() and not 0xD800 <= ord(char) < 0xE000)
        else ascii(char)[1:-1]
        for char in text
    )


def complain(message: str) -> None:
    """One error on standard error."""
    sys.stderr.write(f"error: {printable(message)}\n")


def print_json(value: Any) -> None:
    """One JSON value on one line."""
    sys.stdout.write(json.dumps(value) + "\n")


@contextmanager
def progress_bar(*, quiet: bool) -> Iterator[Progress]:
    """A progress bar on standard error; nothing where that is not a terminal or `quiet` is set."""
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    names = {
        "read": "reading documents",
        "merge": "writing the index",
        "writing": "the target writes",
        "scoring": "scoring",
    }
    terminal = console(stderr=True)
    with Progress(
        TextColumn("{task.description:<18}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=terminal,
        disable=quiet or not terminal.is_terminal,
    ) as bar:
        tasks: dict[str, Any] = {}

        def show(stage: str, share: float) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(names.get(stage, stage), total=1.0)
            bar.update(tasks[stage], completed=share)

        yield show
