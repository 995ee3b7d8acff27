"""`guardrail audit`: the record of what the service decided."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from guardrail.cli.output import STATUS_ERROR, console, print_json, printable, progress_bar
from guardrail.cli.stores import AsJson, Config, moment, operator, settings, shown
from guardrail.errors import UsageError

if TYPE_CHECKING:
    from guardrail.server.stores.audit_verify import Checkpoint

app = typer.Typer(help="Verify, export and erase audit records.", no_args_is_help=True)

Tenant = Annotated[str | None, typer.Option("--tenant", help="Only records that name it.")]
KeyId = Annotated[str | None, typer.Option("--key", help="Only records that name this key id.")]


@app.command("verify")
def verify(
    checkpoint: Annotated[
        str | None,
        typer.Option(
            "--checkpoint",
            help="A file that remembers the end of the trail: what it says has to stand there "
            "still, and it is then brought up to date.",
        ),
    ] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Prove that no record was changed, removed, added or reordered. Status 1 where one was."""
    chosen = settings(config)
    from guardrail.server.opening import open_log
    from guardrail.server.stores.audit_verify import verify as walk

    known = None if checkpoint is None else _read(checkpoint)
    with open_log(chosen) as log, progress_bar(quiet=as_json) as progress:
        found = walk(log, known, lambda share: progress("verifying", share))
    if found.valid and found.head is not None and checkpoint is not None:
        _write(checkpoint, found.head)
    if as_json:
        print_json(found.to_dict())
    else:
        out = console()
        for problem in found.problems:
            out.print(printable(problem))
        if found.problem_count > len(found.problems):
            out.print(f"and {found.problem_count - len(found.problems):,} more")
        out.print(
            f"{'valid' if found.valid else 'NOT VALID'}: {found.records:,} records, "
            f"{found.erased:,} of them erased, {_times(found.first_time, found.last_time)}"
        )
    if not found.valid:
        raise typer.Exit(STATUS_ERROR)


@app.command("export")
def export(
    since: Annotated[str | None, typer.Option("--since", help="From this time on.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="Before this time.")] = None,
    tenant: Tenant = None,
    key: KeyId = None,
    config: Config = None,
) -> None:
    """Print records as JSON, one a line, oldest first. That they were is itself on record."""
    chosen = settings(config)
    from guardrail.server.audit_record import administration
    from guardrail.server.opening import open_log
    from guardrail.server.stores.audit_erase import names

    begin = None if since is None else _microseconds(since, "--since")
    end = None if until is None else _microseconds(until, "--until")
    filters = [
        n for n, v in (("since", begin), ("until", end), ("tenant", tenant), ("key", key)) if v
    ]
    with open_log(chosen) as log:
        log.write([administration("audit.export", operator(), by=filters)])
        with log.database.read() as connection:
            for chunk in log.read(connection):
                for record in chunk:
                    if (
                        (begin is None or record.time >= begin)
                        and (end is None or record.time < end)
                        and names(record, tenant, key)
                    ):
                        sys.stdout.write(json.dumps(record.to_dict()) + "\n")


@app.command("erase")
def erase(
    before: Annotated[
        str | None, typer.Option("--before", help="Records before a date, or older than 90d.")
    ] = None,
    tenant: Tenant = None,
    key: KeyId = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Erase from records whom and which documents they name. The records themselves stay, and so
    does the proof that none was changed. Of several conditions all have to hold."""
    chosen = settings(config)
    from guardrail.server.opening import open_log
    from guardrail.server.stores.audit_erase import Erasure
    from guardrail.server.stores.audit_erase import erase as empty

    limit = None if before is None else _microseconds(before, "--before")
    erasure = Erasure(before=limit, tenant=tenant, key_id=key)
    with open_log(chosen) as log, progress_bar(quiet=as_json) as progress:
        count = empty(log, erasure, operator(), lambda share: progress("erasing", share))
    if as_json:
        print_json({"erased": count})
    else:
        console().print(f"erased from {count:,} records")


def _microseconds(text: str, option: str) -> int:
    return int(moment(text, option, ahead=False).timestamp() * 1_000_000)


def _times(first: int | None, last: int | None) -> str:
    if first is None or last is None:
        return "none yet"
    return f"from {shown(first / 1e6)} to {shown(last / 1e6)} UTC"


def _read(file: str) -> Checkpoint | None:
    from guardrail.server.stores.audit_verify import Checkpoint

    try:
        return Checkpoint.from_json(Path(file).read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError):
        raise UsageError(f"cannot read the checkpoint {file}") from None


def _write(file: str, head: Checkpoint) -> None:
    """Replaced by a rename: a checkpoint that is lost is a proof that is lost."""
    aside = f"{file}.new"
    try:
        with open(aside, "w", encoding="utf-8") as out:
            out.write(head.to_json() + "\n")
            out.flush()
            os.fsync(out.fileno())
        os.replace(aside, file)
    except OSError as error:
        raise UsageError(f"cannot write the checkpoint {file}: {error.strerror}") from None
