"""`guardrail keys`: the API keys of the service."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from guardrail.cli.output import console, print_json, printable
from guardrail.cli.stores import AsJson, Config, moment, operator, settings, shown
from guardrail.errors import UsageError

if TYPE_CHECKING:
    from guardrail.server.identity import Limits, Rate, Scope
    from guardrail.server.stores.key_record import StoredKey
    from guardrail.server.stores.keys import IssuedKey

app = typer.Typer(help="Manage the API keys of the service.", no_args_is_help=True)

KeyId = Annotated[str, typer.Argument(help="The key's id, as `guardrail keys list` shows it.")]


@app.command("create")
def create(
    tenant: Annotated[str, typer.Option("--tenant", help="Whose key it is.")],
    scope: Annotated[
        list[str], typer.Option("--scope", help="moderate, proxy, admin or audit. Repeatable.")
    ],
    model: Annotated[
        list[str], typer.Option("--model", help="A model it may use; * for any. Repeatable.")
    ] = [],  # noqa: B006 (typer copies it)
    collection: Annotated[
        list[str], typer.Option("--collection", help="A collection, or * for any. Repeatable.")
    ] = [],  # noqa: B006
    entitle_collection: Annotated[
        list[str],
        typer.Option("--entitle", help="A collection whose text its holder may see. Repeatable."),
    ] = [],  # noqa: B006
    entitle_label: Annotated[
        list[str],
        typer.Option("--entitle-label", help="A label whose documents it may see. Repeatable."),
    ] = [],  # noqa: B006
    expires: Annotated[
        str | None, typer.Option("--expires", help="A date, or 90d, 12h. Default: never.")
    ] = None,
    requests: Annotated[
        str | None,
        typer.Option("--requests", help="AMOUNT/SECONDS or AMOUNT/SECONDS/BURST, as 600/60/50."),
    ] = None,
    characters: Annotated[
        str | None, typer.Option("--characters", help="The same, in characters judged.")
    ] = None,
    tokens: Annotated[str | None, typer.Option("--tokens", help="The same, in tokens.")] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and show its secret, once. Limits given here hold instead of the service's."""
    chosen = settings(config)
    from guardrail.detector import Entitlements
    from guardrail.server.identity import Limits
    from guardrail.server.opening import open_keys

    until = None if expires is None else int(moment(expires, "--expires", ahead=True).timestamp())
    given = {"requests": requests, "characters": characters, "tokens": tokens}
    limits: Limits | None = None
    if any(given.values()):
        limits = Limits(**{what: _rate(text, f"--{what}") for what, text in given.items()})
    with open_keys(chosen) as keys:
        issued = keys.create(
            tenant,
            [_scope(name) for name in scope],
            model,
            collection,
            Entitlements(
                collections=frozenset(entitle_collection), labels=frozenset(entitle_label)
            ),
            until,
            limits,
            actor=operator(),
        )
    _tell(issued, as_json)


@app.command("list")
def list_keys(
    tenant: Annotated[str | None, typer.Option("--tenant", help="Only of this tenant.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Revoked and expired ones too.")] = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show the keys that are valid. Secrets are not kept, so none is shown."""
    chosen = settings(config)
    from guardrail.server.opening import open_keys

    with open_keys(chosen) as store:
        keys = store.list()
    now = time.time()
    keys = [
        key for key in keys if (every or key.lives(now)) and tenant in (None, key.identity.tenant)
    ]
    if as_json:
        print_json([key.to_dict() for key in keys])
    else:
        _print(keys)


@app.command("revoke")
def revoke(key_id: KeyId, config: Config = None, as_json: AsJson = False) -> None:
    """Close a key for good: no further request is taken with it."""
    chosen = settings(config)
    from guardrail.server.opening import open_keys

    with open_keys(chosen) as keys:
        key = keys.revoke(key_id, actor=operator())
    if as_json:
        print_json(key.to_dict())
    else:
        console().print(f"revoked {key_id}")


@app.command("rotate")
def rotate(
    key_id: KeyId,
    overlap: Annotated[
        int, typer.Option("--overlap", min=0, help="Seconds for which the old one stays valid.")
    ] = 0,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Make a new key in place of one, with the same rights, and show its secret, once."""
    chosen = settings(config)
    from guardrail.server.opening import open_keys

    with open_keys(chosen) as keys:
        issued = keys.rotate(key_id, actor=operator(), overlap=overlap)
    _tell(issued, as_json)


def _tell(issued: IssuedKey, as_json: bool) -> None:
    if as_json:
        print_json({"secret": issued.secret, **issued.key.to_dict()})
    else:
        # The secret alone on standard output, so that it can be piped into a secret store.
        console(stderr=True).print(
            f"{issued.key.identity.key_id}, expires {shown(issued.key.expires)}; "
            "the secret is shown now and never again:"
        )
        console().print(issued.secret)


def _print(keys: list[StoredKey]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("key", no_wrap=True, min_width=max(map(_id_length, keys), default=0))
    for column in ("tenant", "scopes", "state"):
        table.add_column(column, overflow="fold")
    for key in keys:
        identity = key.identity
        scopes = " ".join(sorted(identity.scopes))
        table.add_row(identity.key_id, printable(identity.tenant), scopes, _state(key))
    console().print(table if keys else "no keys")


def _id_length(key: StoredKey) -> int:
    return len(key.identity.key_id)


def _state(key: StoredKey) -> str:
    if key.revoked is not None:
        return f"revoked {shown(key.revoked)}"
    if key.expires is None:
        return "valid"
    return f"{'valid until' if key.lives(time.time()) else 'expired'} {shown(key.expires)}"


def _scope(name: str) -> Scope:
    from guardrail.server.identity import Scope

    try:
        return Scope(name)
    except ValueError:
        raise UsageError(f"--scope {name[:40]!r} is none; choose of {', '.join(Scope)}") from None


def _rate(text: str | None, option: str) -> Rate | None:
    from guardrail.server.identity import Rate

    if text is None:
        return None
    parts = text.split("/")
    if len(parts) not in (2, 3) or not all(part.isdecimal() for part in parts):
        raise UsageError(f"{option} {text[:40]!r} is no rate; write 600/60, or 600/60/50")
    numbers = [int(part) for part in parts]
    return Rate(numbers[0], numbers[1], numbers[2] if len(numbers) == 3 else None)
