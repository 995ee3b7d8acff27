"""Settings: one file, the environment over it, and errors that say where."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from guardrail.cli.app import app
from guardrail.errors import SettingsError
from guardrail.server.settings import Section, Settings
from guardrail.server.settings_file import load_settings

ROOT = Path(__file__).resolve().parent.parent.parent


def settings(tmp_path: Path, text: str, **environment: str) -> Settings:
    file = tmp_path / "service.yaml"
    file.write_text(text)
    return load_settings(file, environment)


def test_without_a_file_all_have_defaults() -> None:
    told = load_settings(None, {})
    assert told == Settings()
    assert told.stores.database.get_secret_value() == "sqlite:///guardrail.db"
    assert told.stores.limits.get_secret_value() == "memory://"


def test_the_environment_counts_before_the_file(tmp_path: Path) -> None:
    told = settings(
        tmp_path,
        "listen: {port: 1, host: 127.0.0.2}\nguard: {indexes: mail}",
        GUARDRAIL_LISTEN__PORT="2",
        GUARDRAIL_OUTPUTS__EMBEDDINGS="true",
        GUARDRAIL_UPSTREAMS__LOCAL__URL="http://127.0.0.1:1/v1",
        GUARDRAIL_LIMITS__PER_KEY__REQUESTS__AMOUNT="7",
        GUARDRAIL_PORT="tcp://10.0.0.1:8080",
        GUARDRAIL_KEY="of the indexes",
    )
    assert (told.listen.host, told.listen.port) == ("127.0.0.2", 2)
    assert told.outputs.embeddings
    assert told.upstreams["local"].url == "http://127.0.0.1:1/v1"
    assert told.limits.per_key.requests is not None
    assert told.limits.per_key.requests.amount == 7
    assert told.guard.indexes == (tmp_path / "mail",)


def test_a_secret_may_stand_in_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("postgresql://guardrail:hush@database/guardrail\n")
    variables = {
        "GUARDRAIL_STORES__DATABASE_FILE": str(tmp_path / "url"),
        "GUARDRAIL_GUARD__KEY_FILE": "/run/secrets/index_key",
    }
    told = load_settings(None, variables)
    assert told.stores.database.get_secret_value().endswith("@database/guardrail")
    assert told.guard.key_file == Path("/run/secrets/index_key")
    assert "hush" not in repr(told)
    with pytest.raises(SettingsError, match="GUARDRAIL_STORES__DATABASE_FILE"):
        load_settings(None, {"GUARDRAIL_STORES__DATABASE_FILE": str(tmp_path / "none")})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"empty; a settings file needs fields such as guard and listen"),
        ("listen: {prot: 1}", r":1: listen.prot: unknown field \(did you mean port\?\)"),
        ("\nlisten:\n  port: 99999", r":3: listen.port: given 99999; allowed: 65535 or less"),
        ("lisen: {}", r":1: lisen: unknown field \(did you mean listen\?\)"),
        ("listen: 8080", r":1: listen: given 8080; a mapping of fields is needed"),
        ("listen: {port: no}", r":1: listen.port: given false"),
        ("bounds: {threads: 0}", r":1: bounds.threads: given 0; allowed: 1 or more"),
        ("bounds: {body_seconds: 0}", r"given 0; allowed: more than 0"),
        ("listen: {tls_cert: a.pem}", r"TLS needs both tls_cert and tls_key, or neither"),
        ("upstreams: {a: {}}", r":1: upstreams.a.url: missing; it has no default"),
        ("upstreams: {a: {url: 'http://a', timeout: 1}}", r"upstreams.a.timeout: unknown field"),
        ("limits: {per_key: {requests: {amount: 0}}}", r"requests.amount: given 0; allowed: 1"),
        ("observe: {log_level: loud}", r"given 'loud'; allowed: 'debug', 'info', 'warning', 'er"),
        ("listen: {workers: 2}", r"rate limits in memory are counted by each process for itself"),
        ("a: &x [*x]", r"aliases \(\*name\) are not supported"),
        ("- 1", r"given a list of 1; a settings file is a mapping"),
    ],
)
def test_an_error_says_where_and_what_is_allowed(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message) as raised:
        settings(tmp_path, text)
    assert str(raised.value).startswith(str(tmp_path / "service.yaml"))


def test_an_error_of_a_variable_names_it(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="from the variable GUARDRAIL_LISTEN__PORT: given 'x'"):
        settings(tmp_path, "{}", GUARDRAIL_LISTEN__PORT="x")
    with pytest.raises(SettingsError, match=r"listen.prot: from the variable .*: unknown"):
        settings(tmp_path, "{}", GUARDRAIL_LISTEN__PROT="1")
    with pytest.raises(SettingsError, match="names no setting"):
        settings(tmp_path, "listen: 3", GUARDRAIL_LISTEN__PORT="1")


def test_no_error_shows_a_secret(tmp_path: Path) -> None:
    for text in ("stores: {database: [hush]}", "upstreams: {a: {url: hush, api_key: [hush]}}"):
        with pytest.raises(SettingsError) as raised:
            settings(tmp_path, text.replace("url: hush", "url: ftp://a"))
        assert "hush" not in str(raised.value)


def test_the_document_has_every_setting() -> None:
    text = (ROOT / "docs" / "service.md").read_text("utf-8")
    section = text.partition("## Settings\n")[2].partition("\n## ")[0]
    told = set(re.findall(r"^\| `([a-z_.]+)` \|", section, re.MULTILINE))
    assert told == set(names(Settings))


def names(model: type[Section], prefix: str = "") -> list[str]:
    found = []
    for name, field in model.model_fields.items():
        kind: Any = field.annotation
        inner = [k for k in (kind, *getattr(kind, "__args__", ())) if is_section(k)]
        if name in ("requests", "characters", "tokens", "upstreams"):
            found.append(f"{prefix}{name}")
        elif inner:
            found += names(inner[0], f"{prefix}{name}.")
        else:
            found.append(f"{prefix}{name}")
    return found


def is_section(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, Section)


def test_check_config_says_whether_all_serves(corpus: Path, tmp_path: Path) -> None:
    config = tmp_path / "service.yaml"
    guard = {"indexes": str(corpus / "index"), "key_file": str(corpus / "index.key")}
    config.write_text(yaml.safe_dump({"guard": guard}))
    done = CliRunner().invoke(app, ["serve", str(config), "--check-config", "--json"])
    assert done.exit_code == 0
    assert '"valid": true' in done.output
    config.write_text(yaml.safe_dump({"guard": {**guard, "indexes": "nowhere"}}))
    done = CliRunner().invoke(app, ["serve", str(config), "--check-config"])
    assert "nowhere" in str(done.exception)
    assert not (tmp_path / "guardrail.db").exists()
