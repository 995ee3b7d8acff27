"""`guardrail keys` and `guardrail audit`, as an operator uses them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from guardrail.cli.app import app
from guardrail.errors import GuardrailError
from guardrail.keys import Key, write_key
from guardrail.server.audit_record import AuditRecord
from guardrail.server.opening import open_log
from guardrail.server.settings import Settings
from guardrail.server.settings_file import load_settings


def run(*arguments: object) -> Result:
    """In this process: starting one for each command takes longer than all of the rest."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def config(tmp_path: Path) -> Path:
    write_key(tmp_path / "key", Key(bytes(range(32))))
    file = tmp_path / "service.yaml"
    file.write_text(
        f"guard: {{key_file: key}}\nstores: {{database: 'sqlite:///{tmp_path}/service.db'}}\n"
    )
    return file


@pytest.fixture
def settings(config: Path) -> Settings:
    return load_settings(config)


def told(result: Result) -> list[Any]:
    assert result.exit_code == 0, result.exception
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_key_is_made_listed_rotated_and_revoked(config: Path) -> None:
    options = ("--config", config, "--json")
    made = told(
        run(
            *("keys", "create", "--tenant", "acme", "--scope", "moderate", "--scope", "proxy"),
            *("--model", "*", "--requests", "600/60/50", "--expires", "90d", *options),
        )
    )[0]
    assert str(made["secret"]).startswith("gr_")
    limits = made["limits"]
    assert isinstance(limits, dict)
    assert limits["requests"] == {"amount": 600, "seconds": 60, "burst": 50}
    listed = told(run("keys", "list", *options))[0]
    assert [key["key_id"] for key in listed] == [made["key_id"]]
    assert "secret" not in str(listed)
    rotated = told(run("keys", "rotate", made["key_id"], *options))[0]
    assert rotated["secret"] != made["secret"]
    revoked = told(run("keys", "revoke", rotated["key_id"], *options))[0]
    assert revoked["revoked"]
    assert told(run("keys", "list", *options)) == [[]]
    everything = run("keys", "list", "--all", "--config", config)
    assert str(made["key_id"]) in everything.stdout
    assert str(made["secret"]) not in everything.stdout


def test_the_secret_alone_is_on_standard_output(config: Path) -> None:
    made = run("keys", "create", "--tenant", "a", "--scope", "audit", "--config", config)
    assert made.stdout.startswith("gr_")
    assert len(made.stdout.split()) == 1
    assert "never again" in made.stderr


CREATE = ("keys", "create", "--tenant", "a", "--scope", "audit")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((*CREATE, "--scope", "root"), "moderate, proxy, admin, audit"),
        ((*CREATE, "--tenant", ""), "tenant"),
        ((*CREATE, "--requests", "5"), "600/60"),
        ((*CREATE, "--requests", "0/0"), "at least 1"),
        ((*CREATE, "--expires", "soon"), "2026-12-31"),
        ((*CREATE, "--expires", "2020-01-01"), "later"),
        ((*CREATE, "--expires", "9" * 30 + "d"), "30m"),
        (("keys", "revoke", "key_0"), "guardrail keys list"),
        (("audit", "erase"), "a date, a tenant or a key"),
        (("audit", "erase", "--before", "x"), "2026-12-31"),
    ],
)
def test_what_makes_no_sense_is_told(
    config: Path, arguments: tuple[str, ...], message: str
) -> None:
    result = run(*arguments, "--config", config)
    assert isinstance(result.exception, GuardrailError)
    assert message in str(result.exception)


def fill(settings: Settings) -> None:
    with open_log(settings) as log:
        log.write(
            [
                AuditRecord("check", {"request": f"r{n}"}, {"tenant": tenant}, time=n * 1_000_000)
                for n, tenant in enumerate(["acme", "globex", "acme"])
            ]
        )


def test_the_trail_is_exported_erased_and_verified(
    config: Path, settings: Settings, tmp_path: Path
) -> None:
    fill(settings)
    options = ("--config", config)
    checkpoint = tmp_path / "checkpoint.json"
    found = told(run("audit", "verify", "--checkpoint", checkpoint, "--json", *options))[0]
    assert found["valid"] is True
    assert found["records"] == 3
    assert json.loads(checkpoint.read_text())["seq"] == 3
    exported = told(run("audit", "export", "--tenant", "acme", *options))
    assert [record["seq"] for record in exported] == [1, 3]
    exported = told(run("audit", "export", "--since", "1970-01-01T00:00:01", *options))
    assert [record["event"] for record in exported[:2]] == ["check", "check"]
    assert exported[-1]["event"] == "audit.export"  # that it was exported is on record
    assert told(run("audit", "erase", "--tenant", "acme", "--json", *options)) == [{"erased": 2}]
    assert told(run("audit", "export", "--tenant", "acme", *options)) == []
    shown = run("audit", "verify", "--checkpoint", checkpoint, *options)
    assert shown.exit_code == 0
    assert "valid: 7 records, 2 of them erased" in shown.stdout


def test_a_trail_that_was_changed_is_told(config: Path, settings: Settings) -> None:
    from sqlalchemy import text

    fill(settings)
    with open_log(settings) as log, log.database.write() as connection:
        connection.execute(text("DELETE FROM guardrail_audit WHERE seq = 2"))
    result = run("audit", "verify", "--config", config)
    assert result.exit_code == 1
    assert "records 2 to 2 are missing" in result.stdout
    assert "NOT VALID" in result.stdout
    result = run("audit", "verify", "--json", "--config", config)
    assert result.exit_code == 1
    assert json.loads(result.stdout)["valid"] is False


def test_a_checkpoint_stays_where_the_trail_was_cut(
    config: Path, settings: Settings, tmp_path: Path
) -> None:
    fill(settings)
    checkpoint = tmp_path / "checkpoint.json"
    assert run("audit", "verify", "--checkpoint", checkpoint, "--config", config).exit_code == 0
    (tmp_path / "service.db").unlink()
    before = checkpoint.read_text()
    result = run("audit", "verify", "--checkpoint", checkpoint, "--config", config)
    assert result.exit_code == 1
    assert "checkpoint" in result.stdout
    assert checkpoint.read_text() == before
