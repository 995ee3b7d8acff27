"""`guardrail serve`: the filter over HTTP."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from guardrail.cli.output import console, print_json
from guardrail.errors import UsageError


def serve(
    config: Annotated[
        str | None, typer.Argument(help="A settings file (YAML). Default: built-in settings.")
    ] = None,
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option("--port", help="Port; 0: any free one.")] = None,
    workers: Annotated[int | None, typer.Option("--workers", help="Processes.")] = None,
    check_config: Annotated[
        bool,
        typer.Option("--check-config", help="Only say whether settings, policy and indexes serve."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Answer requests over HTTP: checks, moderation, and a proxy for models. Settings of the
    environment (GUARDRAIL_SECTION__FIELD) count before those of the file, options before both."""
    try:
        from guardrail.server.settings_file import PREFIX, load_settings
    except ImportError:
        raise UsageError(
            "the service needs an extra: pip install 'corpus-guardrail[server]'"
        ) from None
    # Options travel as variables, so that worker processes see them as well.
    for name, value in (("HOST", host), ("PORT", port), ("WORKERS", workers)):
        if value is not None:
            os.environ[f"{PREFIX}LISTEN__{name}"] = str(value)
    settings = load_settings(config)
    if check_config:
        from guardrail.server.guard import Guard

        guard = Guard(settings.guard)
        detectors = [detector.name for detector in guard.now.rail.detectors]
        if as_json:
            print_json({"valid": True, "policy": guard.now.digest, "detectors": detectors})
        else:
            console().print(f"valid; policy {guard.now.digest}, detectors {', '.join(detectors)}")
        return
    from guardrail.server.serving import serve as run

    run(settings, config)
