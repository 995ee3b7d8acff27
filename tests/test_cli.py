"""The command line as scripts use it: forms, JSON, exit statuses, errors."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_filter import CLEAN, OTHER, SECRET

Result = subprocess.CompletedProcess[str]


def run(*arguments: object, stdin: str | bytes = "", cwd: Path | None = None) -> Result:
    environment = {k: v for k, v in os.environ.items() if k != "GUARDRAIL_KEY"}
    code = "from guardrail.cli import main; main()"
    result = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        input=stdin if isinstance(stdin, bytes) else stdin.encode("utf-8", "surrogateescape"),
        capture_output=True,
        cwd=cwd,
        env={**environment, "PYTHONPATH": str(Path(__file__).parent.parent)},
        check=False,
    )
    out, err = result.stdout.decode(), result.stderr.decode()
    assert "Traceback" not in err
    return subprocess.CompletedProcess(result.args, result.returncode, out, err)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a key, and an index built by the command."""
    folder = tmp_path_factory.mktemp("cli")
    (folder / "notes.jsonl").write_text(
        json.dumps({"ref": "n1", "body": SECRET}) + "\n" + json.dumps({"ref": "n2"}) + "\n"
    )
    made = run("key", "new", folder / "key", "--json")
    assert json.loads(made.stdout)["key_id"]
    built = run(
        *("index", "build", folder / "notes.jsonl", "--out", folder / "index"),
        *("--key-file", folder / "key", "--text-field", "body", "--id-field", "ref"),
        *("--collection", "ward", "--label", "secret", "--label", "owner:ward"),
        *("--jobs", "1", "--json"),
    )
    assert built.returncode == 0, built.stderr
    report = json.loads(built.stdout)
    assert report["documents"] == 1
    assert report["unreadable_count"] == 1
    return folder


def test_check_prints_one_object_a_text(place: Path) -> None:
    options = ["--index", place / "index", "--key-file", place / "key", "--json"]
    result = run("check", f"Yes: {SECRET}", *options)
    assert result.returncode == 11
    told = json.loads(result.stdout)
    assert told["action"] == "redact"
    assert told["text"] == "Yes: [REDACTED]."
    (finding,) = told["findings"]
    assert (finding["start"], finding["end"]) == (5, 5 + len(SECRET) - 1)
    assert finding["evidence"]["document"] == "n1"
    assert finding["evidence"]["labels"] == ["secret", "owner:ward"]
    assert finding["evidence"]["matched"] > 100
    assert told["failures"] == []
    assert told["coverage"] == dict.fromkeys(("pii", "secrets", "overlap", "phrases"), 1.0)


def test_texts_come_from_arguments_stdin_files_and_records(place: Path, tmp_path: Path) -> None:
    options = ["--index", place / "index", "--key-file", place / "key", "--json"]
    assert run("check", CLEAN, *options).returncode == 0
    assert run("check", *options, stdin=SECRET).returncode == 11
    assert run("check", "-", *options, stdin=SECRET).returncode == 11
    (tmp_path / "a.txt").write_text(CLEAN)
    (tmp_path / "b.txt").write_text(SECRET)
    both = run("check", "--file", tmp_path / "a.txt", "--file", tmp_path / "b.txt", *options)
    assert both.returncode == 11
    assert [json.loads(line)["action"] for line in both.stdout.splitlines()] == ["allow", "redact"]
    lines = [{"answer": CLEAN}, {"answer": SECRET}, {"other": "x"}, {"answer": 7}]
    text = "\n".join([*map(json.dumps, lines), "not json", ""])
    result = run("check", "--jsonl", "-", "--text-field", "answer", *options, stdin=text)
    told = [json.loads(line) for line in result.stdout.splitlines()]
    assert [item["action"] for item in told] == ["allow", "redact", *["refuse"] * 3]
    assert told[4]["failures"][0]["reason"] == "the line is not JSON"
    assert result.returncode == 12


def test_bytes_that_are_no_text_keep_offsets_true(place: Path) -> None:
    options = ["--index", place / "index", "--key-file", place / "key", "--json"]
    result = run("check", *options, stdin=b"\xff\xfe \r\n" + SECRET.encode())
    assert json.loads(result.stdout)["findings"][0]["start"] == 5
    human = run("check", *options[:-1], stdin=b"\xff\xfe \x1b[31m" + SECRET.encode())
    assert human.returncode == 11
    assert "\x1b[31m" not in human.stdout


def test_human_output_shows_verdict_span_and_what_is_sent(place: Path) -> None:
    shown = run("check", SECRET, "--index", place / "index", "--key-file", place / "key").stdout
    assert "redact" in shown
    assert "n1 in ward" in shown
    assert "sent [REDACTED]." in shown


def test_a_terminal_gets_colours(place: Path) -> None:
    master, slave = pty.openpty()
    code = "from guardrail.cli import main; main()"
    command = [sys.executable, "-c", code, "check", SECRET]
    command += ["--index", str(place / "index"), "--key-file", str(place / "key")]
    process = subprocess.Popen(
        command,
        stdout=slave,
        env={**os.environ, "TERM": "xterm-256color", "PYTHONPATH": str(Path.cwd())},
    )
    os.close(slave)
    shown = b""
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:
            break
        if not part:
            break
        shown += part
    assert process.wait() == 11
    assert b"\x1b[" in shown


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["index", "build", "notes.jsonl", "--out", "index"], "run the same command again"),
        (["check", "text", "--index", "index"], "error: interrupted\n"),
    ],
)
def test_an_interrupt_says_what_is_left(tmp_path: Path, arguments: list[str], says: str) -> None:
    """The key comes through a pipe, at which the command waits for us."""
    os.mkfifo(tmp_path / "key")
    process = subprocess.Popen(
        [sys.executable, "-c", "from guardrail.cli import main; main()", *arguments,
         "--key-file", "key"],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)},
        stderr=subprocess.PIPE, text=True,
        # A shell that runs something in the background has interrupts ignored in it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    with process, (tmp_path / "key").open("w"):
        process.send_signal(signal.SIGINT)
        try:
            _, complaint = process.communicate(timeout=120)
        finally:
            process.kill()
    assert process.returncode == 130
    assert complaint.startswith("error: interrupted")
    assert complaint.count("\n") == 1
    assert says in complaint


def test_the_life_of_an_index(place: Path, tmp_path: Path) -> None:
    key = ["--key-file", place / "key"]
    (tmp_path / "more.txt").write_text(OTHER)
    index = tmp_path / "index"
    assert run("index", "build", place / "notes.jsonl", "--out", index, *key,
               "--text-field", "body", "--id-field", "ref").returncode == 0  # fmt: skip
    added = run("index", "add", tmp_path / "more.txt", "--out", index, *key, "--json")
    assert json.loads(added.stdout)["documents"] == 1
    assert run("check", OTHER, "--index", index, *key).returncode == 11
    told = json.loads(run("index", "info", index, *key, "--json").stdout)
    assert told["documents"] == told["parts"] == 2
    assert told["bound"] == told["gram"] + told["stride"] - 1
    assert run("index", "verify", index, *key, "--json").returncode == 0
    assert run("index", "forget", index, "more.txt", *key).returncode == 0
    missing = run("index", "forget", index, "never-there", *key, "--json")
    assert missing.returncode == 1
    assert json.loads(missing.stdout)["missing"] == ["never-there"]
    assert run("check", OTHER, "--index", index, *key).returncode == 0
    compacted = json.loads(run("index", "compact", index, *key, "--json").stdout)
    assert (compacted["segments_after"], compacted["erased"]) == (1, 1)
    merged = run("index", "merge", index, place / "index", "--out", tmp_path / "all", *key)
    assert merged.returncode == 0
    assert run("check", SECRET, "--index", tmp_path / "all", *key).returncode == 11
    assert "documents" not in json.loads(run("index", "info", index, "--json").stdout)


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["check", "x", "--index", "none"], 1, "GUARDRAIL_KEY"),
        (["check", "x", "--index", "none", "--key-file", "{key}"], 1, "there is no index in none"),
        (["check", "x", "--key-file", "{key}", "--index", "{notes}"], 1, "there is no index"),
        (["check", "x", "--file", "y", "--index", "{index}", "--key-file", "{key}"], 1, "only one"),
        (["check", "--file", "none", "--index", "{index}", "--key-file", "{key}"], 1, "none"),
        (["check", "--jsonl", "none", "--index", "{index}", "--key-file", "{key}"], 1, "none"),
        (["check", "x", "--policy", "none"], 1, "none"),
        (["check", "x", "--index", "{index}", "--key-file", "{notes}"], 1, "holds no key"),
        (["key", "new", "{key}"], 1, "exists already"),
        (["key", "new", "none/none"], 1, "No such file"),
        (["index", "build", "none", "--out", "o", "--key-file", "{key}"], 1, "none"),
        (["index", "build", "{notes}", "--out", "{index}", "--key-file", "{key}"], 1, "--replace"),
        (["index", "build", "{notes}", "--out", "{notes}", "--key-file", "{key}"], 1, "notes"),
        (["index", "build", "{notes}", "--out", "o", "--key-file", "{key}", "--gram", "3"], 1, "8"),
        (
            ["index", "build", "{notes}", "--out", "o", "--key-file", "{key}", "--jobs", "0"],
            2,
            "jobs",
        ),
        (
            ["index", "build", "{notes}", "--out", "o", "--key-file", "{key}", "--strict"],
            1,
            "strict",
        ),
        (["index", "forget", "{index}", "--key-file", "{key}"], 1, "nothing to forget"),
        (["index", "info", "none"], 1, "there is no index"),
        (["index", "add", "{notes}", "--out", "none", "--key-file", "{key}"], 1, "no index"),
        (["index", "merge", "none", "--out", "o", "--key-file", "{key}"], 1, "no index"),
        (["nonsense"], 2, "No such command"),
        (["check", "--nonsense"], 2, "No such option"),
    ],
)
def test_errors_are_one_clear_line(
    place: Path, tmp_path: Path, arguments: list[str], status: int, says: str
) -> None:
    names = {"key": place / "key", "index": place / "index", "notes": place / "notes.jsonl"}
    result = run(*(argument.format(**names) for argument in arguments), cwd=tmp_path)
    assert result.returncode == status, result
    assert says in result.stderr
    if status == 1:
        assert result.stderr.startswith("error: ")
        assert result.stderr.count("\n") == 1
    assert SECRET[:20] not in result.stderr


def test_policy_commands(tmp_path: Path) -> None:
    shown = run("policy", "show")
    assert shown.returncode == 0
    (tmp_path / "p.yaml").write_text(shown.stdout)
    assert run("policy", "check", tmp_path / "p.yaml").returncode == 0
    (tmp_path / "p.yaml").write_text("version: 1\nrules:\n  - {name: a, when: {}, action: explode}")
    wrong = run("policy", "check", tmp_path / "p.yaml")
    assert wrong.returncode == 1
    assert "p.yaml:3" in wrong.stderr
    assert "redact" in wrong.stderr
    assert json.loads(run("policy", "schema").stdout)["title"]
    assert json.loads(run("policy", "show", "--json").stdout)["version"] == 1


def test_build_index_script(place: Path, tmp_path: Path) -> None:
    script = Path(__file__).parent.parent / "scripts" / "build_index.py"
    command = [sys.executable, str(script), str(place / "notes.jsonl"), "--text-field", "body"]
    command += ["--out", str(tmp_path / "index"), "--key-file", str(place / "key")]
    environment = {**os.environ, "PYTHONPATH": str(script.parent.parent)}
    assert (
        subprocess.run(command, capture_output=True, env=environment, check=False).returncode == 0
    )
    key = ["--key-file", place / "key"]
    assert run("check", SECRET, "--index", tmp_path / "index", *key).returncode == 11


def test_version_and_help() -> None:
    assert run("--version").stdout.startswith("corpus-guardrail 0.")
    for command in ("key", "index", "check", "policy"):
        assert run(command, "--help").returncode == 0
