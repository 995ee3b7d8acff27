"""Write docs/demo.svg: what `guardrail check` prints in a terminal, as a picture.

    python scripts/make_demo_picture.py [--out docs/demo.svg]

Writes the sample corpus to a temporary folder, indexes it, and runs the command on some of the
sample's answers in a pseudo-terminal, so that the picture shows real output. The same program and
sample give the same picture. Needs Faker, as make_sample.py does.
"""

from __future__ import annotations

import argparse
import fcntl
import io
import json
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path

from rich.console import CONSOLE_SVG_FORMAT, Console
from rich.text import Text

from guardrail.keys import KEY_BYTES, Key, write_key

HERE = Path(__file__).resolve().parent
WIDTH = 100
COLLECTIONS = ("clinic", "mail", "tickets")
SHOWN = ("clean-mail", "leak-tickets", "leak-lookalikes", "leak-case", "phrase-project")
CHECK = ("check", "--jsonl", "answers.jsonl", "--index", "index", "--key-file", "index.key")
# By itself, rich has the viewer load fonts from elsewhere; the widths are fixed without them.
SVG_FORMAT = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


def guardrail(*arguments: str) -> list[str]:
    return [sys.executable, "-c", "from guardrail.cli import main; main()", *arguments]


def prepare(folder: Path) -> None:
    """The sample, an index of it, and the answers to show."""
    # Not secret: with a new key, ends of matches that fall by chance would differ each time.
    write_key(folder / "index.key", Key(bytes(range(KEY_BYTES))))
    access = ("--out", "index", "--key-file", "index.key")
    steps = [[sys.executable, str(HERE / "make_sample.py"), "sample"]]
    for number, name in enumerate(COLLECTIONS):
        verb = ("add",) if number else ("build", "--phrases", "sample/phrases.txt")
        source = (f"sample/corpus/{name}", "--collection", name)
        steps.append(guardrail("index", *verb, *source, *access))
    for step in steps:
        subprocess.run(step, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    lines = (folder / "sample" / "responses.jsonl").read_text("utf-8").splitlines()
    answers = {json.loads(line)["id"]: line for line in lines}
    (folder / "answers.jsonl").write_text("\n".join(answers[name] for name in SHOWN), "utf-8")


def terminal_output(command: list[str], folder: Path) -> str:
    """What a command writes to a terminal of WIDTH columns."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, WIDTH, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(WIDTH)}
    environment.pop("NO_COLOR", None)
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdin=slave, stdout=slave, stderr=slave
    )
    os.close(slave)
    chunks = []
    try:
        while chunk := os.read(master, 1 << 16):
            chunks.append(chunk)
    except OSError:  # how Linux tells that the other end is closed
        pass
    os.close(master)
    status = process.wait()
    output = b"".join(chunks).decode("utf-8").replace("\r\n", "\n")
    if status != 11:
        sys.exit(f"guardrail check ended with status {status}, expected 11\n{output}")
    return output


def picture(output: str) -> str:
    """The output as SVG, lines folded at the last column as a terminal does."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(f"[bold]$[/bold] guardrail {' '.join(CHECK)}", highlight=False)
    # Each line is decoded in the state in which the one before left the terminal.
    for line in Text.from_ansi(output.rstrip()).split("\n", allow_blank=True):
        for part in line.divide(range(WIDTH, len(line), WIDTH)):
            console.print(part, no_wrap=True, overflow="ignore", crop=False)
    return console.export_svg(title="guardrail check", code_format=SVG_FORMAT, unique_id="demo")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE.parent / "docs" / "demo.svg")
    out = parser.parse_args().out
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        prepare(folder)
        svg = picture(terminal_output(guardrail(*CHECK), folder))
    out.write_text(svg, "utf-8")
    print(f"{out}: {len(svg):,} characters")


if __name__ == "__main__":
    main()
