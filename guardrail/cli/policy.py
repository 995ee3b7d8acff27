"""`guardrail policy`: check, show and describe policies."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from guardrail.cli.output import console, print_json

app = typer.Typer(help="Check, show and describe policies.", no_args_is_help=True)

File = Annotated[
    str | None, typer.Argument(help="A policy file (YAML). Default: the built-in one.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("check")
def check(
    file: Annotated[str, typer.Argument(help="A policy file (YAML).")], as_json: AsJson = False
) -> None:
    """Say whether FILE is a policy that can be obeyed; every problem with its line."""
    from guardrail.policy_file import load_policy

    policy = load_policy(file)
    if as_json:
        print_json({"file": file, "valid": True, "rules": len(policy.rules)})
    else:
        console().print(f"{file}: valid, {len(policy.rules)} rules")


@app.command("show")
def show(file: File = None, as_json: AsJson = False) -> None:
    """Print a policy with every default filled in."""
    from guardrail import policy_file

    policy = policy_file.default_policy() if file is None else policy_file.load_policy(file)
    if as_json:
        print_json(policy.model_dump(mode="json", exclude_none=True))
    else:
        sys.stdout.write(policy_file.show(policy))


@app.command("schema")
def schema() -> None:
    """Print the JSON schema of policies, for editors."""
    from guardrail.policy_file import policy_schema

    print_json(policy_schema())
