"""`guardrail check`: texts in, verdicts out."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from guardrail.cli.output import console, print_json, printable
from guardrail.errors import UsageError
from guardrail.findings import Action, Failure, Finding, Verdict

if TYPE_CHECKING:
    from guardrail.detector import Entitlements
    from guardrail.policy import Policy

# Exit status of the strongest verdict; 1 is an error, 2 a wrong command line.
STATUS = {Action.ALLOW: 0, Action.FLAG: 10, Action.REDACT: 11, Action.REFUSE: 12}
_STYLES = {
    Action.ALLOW: "bold green",
    Action.FLAG: "bold yellow",
    Action.REDACT: "bold magenta",
    Action.REFUSE: "bold red",
}


def check(
    text: Annotated[
        str | None, typer.Argument(help="A text. Default: standard input.", show_default=False)
    ] = None,
    file: Annotated[
        list[str] | None, typer.Option("--file", help="File with one text (repeatable).")
    ] = None,
    jsonl: Annotated[
        list[str] | None,
        typer.Option("--jsonl", help="JSON Lines, one text a record (repeatable)."),
    ] = None,
    text_field: Annotated[
        str, typer.Option("--text-field", help="Field of a record that holds the text.")
    ] = "text",
    index: Annotated[
        list[str] | None, typer.Option("--index", help="Folder of an index (repeatable).")
    ] = None,
    key_file: Annotated[
        str | None,
        typer.Option("--key-file", help="The key file. Default: the variable GUARDRAIL_KEY."),
    ] = None,
    policy: Annotated[
        str | None, typer.Option("--policy", help="A policy file. Default: the built-in policy.")
    ] = None,
    background: Annotated[
        list[str] | None,
        typer.Option("--background", help="Folder of a public index (repeatable)."),
    ] = None,
    prompt: Annotated[
        list[str] | None,
        typer.Option("--prompt", help="Text that the user supplied (repeatable)."),
    ] = None,
    prompt_file: Annotated[
        list[str] | None,
        typer.Option("--prompt-file", help="File with text that the user supplied (repeatable)."),
    ] = None,
    entitled: Annotated[
        list[str] | None,
        typer.Option(
            "--entitled",
            help="What the caller may see: COLLECTION, label:LABEL or document:COLLECTION/ID "
            "(repeatable).",
        ),
    ] = None,
    explained: Annotated[
        bool, typer.Option("--explain", help="Tell for each finding how the rules decided.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a text.")] = False,
) -> None:
    """Check texts against indexes and print what may be sent.

    The exit status is that of the strongest verdict: 0 allow, 10 flag, 11 redact, 12 refuse.
    """
    from guardrail.assembly import Guardrail
    from guardrail.explain import explain

    if sum(given is not None for given in (text, file or None, jsonl or None)) > 1:
        raise UsageError("give a text, --file or --jsonl, and only one of these")
    guardrail = Guardrail.from_policy(
        policy,
        indexes=index or [],
        background=background or [],
        key=key_file,
        check_indexes=True,
    )
    supplied = [*(prompt or []), *(_decode(_read(name)) for name in prompt_file or [])]
    entitlements = _entitlements(entitled or [])
    if explained and supplied and not guardrail.policy.excuses.prompt and not as_json:
        console().print(
            "  note  the prompt excuses nothing: the policy does not say excuses.prompt"
        )
    strongest = Action.ALLOW
    for source, item in _texts(text, file or [], jsonl or [], text_field):
        if isinstance(item, Failure):
            verdict = Verdict(Action.REFUSE, guardrail.policy.refusal, (), (item,), {"input": 0.0})
        else:
            verdict = guardrail.check(item, prompt=supplied, entitlements=entitlements)
        strongest = max(strongest, verdict.action)
        if as_json:
            told = verdict.to_dict()
            if explained:
                for finding, shown in zip(verdict.findings, told["findings"], strict=True):
                    shown["explanation"] = explain(
                        guardrail.policy, finding, verdict.findings
                    ).to_dict()
            print_json({"source": source, **told})
        else:
            _print_verdict(source, item, verdict, guardrail.policy if explained else None)
    raise typer.Exit(STATUS[strongest])


def _entitlements(given: list[str]) -> Entitlements:
    """Entitlements as the command line writes them; a collection's name may be `collection:NAME`
    where it begins like one of the other two."""
    from guardrail.detector import Entitlements

    collections, labels, documents = set(), set(), set()
    for item in given:
        kind, colon, name = item.partition(":")
        if not colon or kind not in ("collection", "label", "document"):
            collections.add(item)
        elif kind == "collection":
            collections.add(name)
        elif kind == "label":
            labels.add(name)
        else:
            collection, slash, identifier = name.partition("/")
            if not slash:
                raise UsageError(f"--entitled {item}: a document is document:COLLECTION/ID")
            documents.add((collection, identifier))
    return Entitlements(frozenset(collections), frozenset(labels), frozenset(documents))


def _texts(
    text: str | None, files: list[str], jsonl: list[str], field: str
) -> Iterator[tuple[str, str | Failure]]:
    if text is not None and text != "-":
        yield "argument", text
    elif files:
        for name in files:
            yield name, _decode(_read(name))
    elif jsonl:
        for name in jsonl:
            yield from _records(name, field)
    else:
        yield "standard input", _decode(sys.stdin.buffer.read())


def _read(name: str) -> bytes:
    if name == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {name}: {error.strerror}") from None


def _decode(data: bytes) -> str:
    # A byte that is not UTF-8 stays one code point, so that offsets stay true.
    return data.decode("utf-8", "surrogateescape")


def _records(name: str, field: str) -> Iterator[tuple[str, str | Failure]]:
    """The text of each record; one that has none is a failure in its place, so that nothing that
    could not be judged goes missing from the output."""
    try:
        stream = sys.stdin.buffer if name == "-" else Path(name).open("rb")  # noqa: SIM115
    except OSError as error:
        raise UsageError(f"cannot read {name}: {error.strerror}") from None
    with stream:
        for number, line in enumerate(stream, 1):
            if line.strip():
                yield f"{name}:{number}", _record(line, field)


def _record(line: bytes, field: str) -> str | Failure:
    try:
        record: Any = json.loads(line)
    except (ValueError, RecursionError):
        return Failure("input", "the line is not JSON")
    if isinstance(record, dict) and isinstance(record.get(field), str):
        text: str = record[field]
        return text
    return Failure("input", f"the record has no text in the field {field!r}; see --text-field")


def _print_verdict(
    source: str, item: str | Failure, verdict: Verdict, policy: Policy | None
) -> None:
    """A verdict for people; with `policy`, explained by it."""
    from rich.text import Text

    out = console()
    head = Text().append(f"{verdict.action!s:>7}", _STYLES[verdict.action])
    head.append(f"  {printable(source)}", "dim")
    out.print(head)
    for failure in verdict.failures:
        out.print(Text(f"         could not judge: {failure.detector}: {failure.reason}", "red"))
    for finding in verdict.findings:
        evidence = finding.evidence
        where = printable(evidence.document or "")
        if evidence.collection is not None:
            where += f" in {printable(evidence.collection)}"
        if evidence.corpus_start is not None:
            where += f", {evidence.corpus_start:,} to {evidence.corpus_end:,}"
        size = f"{evidence.matched} units" if evidence.matched is not None else ""
        if evidence.excuse is not None:
            where += f"; excused: {evidence.excuse}"
        out.print(
            Text(
                f"         {finding.action!s:<6} {finding.kind} {finding.span.start}..."
                f"{finding.span.end} ({size}) from {where}",
                "dim",
            )
        )
        if policy is not None:
            for line in _explained(policy, finding, verdict.findings):
                out.print(Text(f"                {printable(line)}", "dim"))
    if isinstance(item, str) and verdict.findings:
        out.print(_highlighted(item, verdict))
    if verdict.action >= Action.REDACT:
        sent = Text().append("    sent ", "bold")
        sent.append(printable(verdict.text), "")
        out.print(sent)
    out.print()


def _explained(policy: Policy, finding: Finding, findings: Sequence[Finding]) -> Iterator[str]:
    """An explanation, line by line."""
    from guardrail.explain import explain

    evidence = finding.evidence
    explanation = explain(policy, finding, findings)
    yield explanation.why
    yield from map(str, explanation.trials)
    if evidence.record is not None:
        yield f"marked as a record by {evidence.record}"
    if evidence.excused:
        yield (
            f"left of a match of {(evidence.matched or 0) + evidence.excused} units, of which "
            f"{evidence.excused} are excused; length and words are those of all that is left"
        )
    if evidence.copies is not None:
        yield f"documents that hold it: at least {evidence.copies}; index {evidence.index}"


def _highlighted(raw: str, verdict: Verdict) -> Any:
    """The text with the spans of findings in the colour of what happens to them."""
    from rich.text import Text

    shown = Text().append("   given ", "bold")
    position = 0
    for finding in sorted(verdict.findings, key=lambda finding: finding.span.start):
        if finding.action is Action.ALLOW or finding.span.end <= position:
            continue
        start = max(position, finding.span.start)
        shown.append(printable(raw[position:start]), "")
        shown.append(printable(raw[start : finding.span.end]), f"reverse {_STYLES[finding.action]}")
        position = finding.span.end
    shown.append(printable(raw[position:]), "")
    return shown
