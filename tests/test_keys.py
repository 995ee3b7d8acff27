"""Keys: where they come from, and that they never show."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from guardrail.errors import SecretKeyError
from guardrail.keys import (
    Key,
    key_from_environment,
    key_from_hook,
    load_key,
    new_key,
    parse_key,
    write_key,
)


def test_a_key_survives_its_file_and_is_its_owners(tmp_path: Path) -> None:
    key = new_key()
    write_key(tmp_path / "key", key)
    assert load_key(tmp_path / "key") == key
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    with pytest.raises(SecretKeyError, match="not overwritten"):
        write_key(tmp_path / "key", new_key())
    assert load_key(tmp_path / "key") == key


def test_keys_differ_and_so_do_purposes() -> None:
    assert new_key() != new_key()
    key = new_key()
    assert key.derive("one") != key.derive("other")
    assert key.derive("one", 16) == key.derive("one", 64)[:16]


def test_a_key_does_not_show() -> None:
    key = new_key()
    for shown in (repr(key), str(key), f"{key}", key.id):
        assert key.secret.hex() not in shown
        assert key.serialise() not in shown


def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    key = new_key()
    monkeypatch.setenv("GUARDRAIL_KEY", key.serialise() + "\n")
    assert key_from_environment() == key
    monkeypatch.delenv("GUARDRAIL_KEY")
    with pytest.raises(SecretKeyError, match="not set"):
        key_from_environment()


def secret_of_service() -> bytes:
    return bytes(range(32))


def secret_of_wrong_type() -> str:
    return "secret"


def secret_that_fails() -> bytes:
    raise RuntimeError("token s3cr3t rejected")


def test_hooks() -> None:
    here = "tests.test_keys"
    assert key_from_hook(f"{here}:secret_of_service") == Key(bytes(range(32)))
    with pytest.raises(SecretKeyError, match="RuntimeError") as caught:
        key_from_hook(f"{here}:secret_that_fails")
    assert "s3cr3t" not in str(caught.value)
    for wrong in ("nothing", "no.such:thing", f"{here}:none", f"{here}:secret_of_wrong_type"):
        with pytest.raises(SecretKeyError):
            key_from_hook(wrong)


@pytest.mark.parametrize(
    "text", ["", "hello", "guardrail-key-1:", "guardrail-key-1:AAAA", "\udcff"]
)
def test_what_is_no_key(text: str) -> None:
    with pytest.raises(SecretKeyError, match="holds no key"):
        parse_key(text, "the file k")


def test_files_that_are_no_keys(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff" * 40)
    for name in ("none", "binary", "."):
        with pytest.raises(SecretKeyError):
            load_key(tmp_path / name)
    with pytest.raises(SecretKeyError, match="32 bytes"):
        Key(b"short")
