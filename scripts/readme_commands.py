"""Run the commands and examples that a Markdown document marks as runnable.

    python scripts/readme_commands.py README.md [MORE.md ...]

A fenced block is run when this comment stands on the line before it (an empty line between is
fine):

    <!-- run -->            the block has to succeed
    <!-- run exit=1 -->     its last command has to end with this status

`bash` and `sh` blocks run as they are, with every command required to succeed. Of a `console`
block the lines after `$ ` run, with their continuation lines after `> `; what it shows as output
is not compared. `python` blocks run as scripts. The blocks of one document share one temporary
folder and run from top to bottom, so that a later one finds what an earlier one wrote; `scripts`,
`docs` and `examples` of the checkout are linked there. The commands of the interpreter that runs
this script come first on the path.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINKED = ("scripts", "docs", "examples")
TIMEOUT = 600
MARK = re.compile(r"<!--\s*run\b(?P<options>.*?)-->\s*$")
FENCE = re.compile(r"(?P<indent>\s*)(?P<fence>`{3,}|~{3,})\s*(?P<language>[\w+-]*)")


class DocumentProblem(Exception):
    """A mark that cannot be obeyed; the message names the file and the line."""


@dataclass(frozen=True, slots=True)
class Block:
    line: int
    language: str
    text: str
    status: int


def expected_status(options: str, where: str) -> int:
    status = 0
    for option in options.split():
        name, _, value = option.partition("=")
        if name != "exit" or not value.isdecimal():
            raise DocumentProblem(f"{where}: unknown option {option!r}; known is exit=STATUS")
        status = int(value)
    return status


def console_commands(text: str) -> str:
    """The lines that a reader would type: `$ ` begins a command, `> ` or a backslash goes on."""
    commands: list[str] = []
    going_on = False
    for line in text.splitlines():
        if line.startswith("$ "):
            commands.append(line[2:])
        elif going_on or (commands and line.startswith("> ")):
            commands.append(line.removeprefix("> "))
        else:
            going_on = False
            continue
        going_on = commands[-1].endswith("\\")
    return "\n".join(commands)


def blocks(path: Path) -> Iterator[Block]:
    """The marked blocks of a document, in order."""
    lines = path.read_text("utf-8").splitlines()
    status: int | None = None
    number = 0
    while number < len(lines):
        line = lines[number]
        number += 1
        where = f"{path.name}:{number}"
        if mark := MARK.fullmatch(line.strip()):
            if status is not None:
                raise DocumentProblem(f"{where}: the mark above has no block")
            status = expected_status(mark["options"], where)
        elif fence := FENCE.match(line):
            begin = number
            indent, closing = len(fence["indent"]), fence["fence"]
            while number < len(lines) and not lines[number].strip().startswith(closing):
                number += 1
            if number == len(lines):
                raise DocumentProblem(f"{where}: the block is never closed")
            body = "\n".join(text[indent:] for text in lines[begin:number])
            number += 1
            if status is not None:
                yield Block(begin, fence["language"], body, status)
                status = None
        elif line.strip() and status is not None:
            raise DocumentProblem(f"{where}: a block has to follow the mark above")
    if status is not None:
        raise DocumentProblem(f"{path.name}: the last mark has no block")


def command_line(block: Block, where: str, folder: Path) -> list[str]:
    if block.language in ("bash", "sh", "console"):
        text = console_commands(block.text) if block.language == "console" else block.text
        if not text.strip():
            raise DocumentProblem(f"{where}: the block holds no command")
        return ["bash", "-euo", "pipefail", "-c", text]
    if block.language == "python":
        script = folder / f".line_{block.line}.py"
        script.write_text(block.text, "utf-8")
        return [sys.executable, str(script)]
    raise DocumentProblem(
        f"{where}: cannot run {block.language or 'a block without a language'}; "
        "allowed are bash, sh, console and python"
    )


def environment() -> dict[str, str]:
    variables = dict(os.environ)
    variables["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), variables["PATH"]])
    for name in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME"):
        variables.pop(name, None)
    return variables


def run(path: Path) -> int:
    """Run the marked blocks of one document; the number that ran."""
    count = 0
    with tempfile.TemporaryDirectory(prefix="readme-") as temporary:
        folder = Path(temporary)
        for name in LINKED:
            if (ROOT / name).is_dir():
                (folder / name).symlink_to(ROOT / name, target_is_directory=True)
        for block in blocks(path):
            where = f"{path.name}:{block.line}"
            began = time.monotonic()
            done = subprocess.run(
                command_line(block, where, folder),
                cwd=folder,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=TIMEOUT,
                check=False,
            )
            if done.returncode != block.status:
                raise DocumentProblem(
                    f"{where}: ended with status {done.returncode}, expected {block.status}\n"
                    f"{block.text}\n--- output ---\n{done.stdout}"
                )
            print(f"{where}: {block.language} ok, {time.monotonic() - began:.1f} s", flush=True)
            count += 1
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("documents", type=Path, nargs="+", metavar="DOCUMENT")
    try:
        for path in parser.parse_args().documents:
            if not run(path):
                raise DocumentProblem(f"{path.name}: no block is marked as runnable")
    except (DocumentProblem, OSError, subprocess.TimeoutExpired) as problem:
        sys.exit(f"{problem}")


if __name__ == "__main__":
    main()
