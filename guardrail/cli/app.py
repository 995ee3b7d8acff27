"""The commands and where they are written."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from guardrail.cli import audit, audit_trail, check, index, keys, policy, scoring, serve
from guardrail.cli.output import Interrupted, console, print_json


class _Commands(TyperGroup):
    """Leaves interrupts to `main`, which says in what state things are: typer says nothing."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise Interrupted(ctx.invoked_subcommand) from None


app = typer.Typer(
    name="guardrail",
    cls=_Commands,
    help="Keep private text out of the responses of language models.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("check")(check.check)
app.command("serve")(serve.serve)
index.app.command("audit")(audit.audit)
app.add_typer(index.app, name="index")
app.add_typer(policy.app, name="policy")
app.add_typer(keys.app, name="keys")
app.add_typer(audit_trail.app, name="audit")
app.command("calibrate")(scoring.calibrate)
app.add_typer(scoring.reference_app, name="reference")

key_app = typer.Typer(help="Make secret keys.", no_args_is_help=True)
app.add_typer(key_app, name="key")


@key_app.command("new")
def new(
    file: Annotated[str, typer.Argument(help="Where to write the key; must not exist yet.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write a new secret key to FILE, readable by its owner only. Keep it: an index is useless
    without the key that it was built with."""
    from guardrail.keys import new_key, write_key

    key = new_key()
    write_key(file, key)
    if as_json:
        print_json({"file": file, "key_id": key.id})
    else:
        console().print(f"wrote key {key.id} to {file}")


def _version(wanted: bool) -> None:
    if wanted:
        from guardrail import __version__

        console().print(f"corpus-guardrail {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Keep private text out of the responses of language models."""
