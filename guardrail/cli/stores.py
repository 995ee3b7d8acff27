"""What the commands share that use the service's database."""

from __future__ import annotations

import getpass
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from guardrail.errors import UsageError

if TYPE_CHECKING:
    from guardrail.server.settings import Settings

Config = Annotated[
    str | None,
    typer.Option("--config", help="The service's settings file. Default: the environment's."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


def settings(config: str | None) -> Settings:
    """The service's settings. Raises UsageError where the service is not installed."""
    try:
        import sqlalchemy  # noqa: F401

        from guardrail.server.settings_file import load_settings
    except ImportError:
        raise UsageError(
            "the service needs an extra: pip install 'corpus-guardrail[server]'"
        ) from None
    return load_settings(config)


def operator() -> str:
    """Who gives the command, for the record: the login name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def moment(text: str, option: str, *, ahead: bool) -> datetime:
    """A time: a date, a date with a time (UTC where it names no zone), or `90d`, `12h` or `30m`
    from now, ahead or back."""
    now = datetime.now(UTC)
    number, unit = text[:-1], text[-1:]
    try:
        if unit in _UNITS and number.isdecimal():
            distance = int(number) * _UNITS[unit]
            return now + distance if ahead else now - distance
        time = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise UsageError(
            f"{option} {text[:40]!r} is no time; write 2026-12-31, 2026-12-31T18:00+01:00, or "
            "90d, 12h or 30m from now"
        ) from None
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


def shown(seconds: float | None) -> str:
    """A time in seconds since 1970 for people."""
    if seconds is None:
        return "-"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
