"""API keys: what opens, what no longer does, and what somebody with the database can do."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from guardrail.detector import Entitlements
from guardrail.errors import StoreDamagedError, UsageError
from guardrail.keys import Key
from guardrail.server.identity import Identity, Limits, Rate, Scope
from guardrail.server.stores import key_secret
from guardrail.server.stores.audit import AuditLog
from guardrail.server.stores.audit_erase import Erasure, erase
from guardrail.server.stores.audit_verify import verify
from guardrail.server.stores.database import Database
from guardrail.server.stores.key_secret import new_secret, well_formed
from guardrail.server.stores.keys import IssuedKey, KeyStore
from tests.server.stores.conftest import KEY

# How long PostgreSQL's notification may take on a busy machine; a heartbeat comes each second.
PATIENCE = 30


@pytest.fixture
def keys(log: AuditLog) -> Iterator[KeyStore]:
    store = KeyStore(log, KEY)
    yield store
    store.close()


def who(keys: KeyStore, token: str) -> Identity | None:
    return asyncio.run(keys.authenticate(token))


def becomes(keys: KeyStore, token: str, wanted: Callable[[Identity | None], bool]) -> None:
    """With SQLite the first answer is the one; PostgreSQL tells by a notification."""
    patience = 0 if keys._database.is_sqlite else PATIENCE
    end = time.monotonic() + patience
    while not wanted(found := who(keys, token)):
        assert time.monotonic() < end, found
        time.sleep(0.01)


def create(keys: KeyStore, tenant: str = "acme", *scopes: Scope) -> IssuedKey:
    return keys.create(tenant, scopes or [Scope.MODERATE], actor="root")


def test_a_key_stands_for_what_it_was_made_with(keys: KeyStore) -> None:
    entitled = Entitlements(frozenset({"c"}), frozenset({"l"}), frozenset({("c", "d")}))
    limits = Limits(requests=Rate(10, 60, 2), tokens=Rate(1000))
    issued = keys.create(
        "acme",
        [Scope.PROXY, Scope.AUDIT],
        ["gpt", "*"],
        ["mail"],
        entitled,
        int(time.time()) + 1000,
        limits,
        actor="root",
    )
    becomes(keys, issued.secret, lambda found: found == issued.key.identity)
    identity = issued.key.identity
    assert identity.limits == limits
    assert identity.entitlements == entitled
    assert identity.may(Scope.PROXY)
    assert not identity.may(Scope.ADMIN)
    assert keys.list() == [issued.key]


def test_unknown_tokens_open_nothing(keys: KeyStore) -> None:
    secret = create(keys).secret
    becomes(keys, secret, lambda found: found is not None)
    for token in ("", "gr_", new_secret(), secret[:-1], secret + "0", secret.lower(), "é" * 52):
        assert who(keys, token) is None


def test_another_process_learns_of_keys_and_revocations(url: str, keys: KeyStore) -> None:
    elsewhere = Database(url)
    others = KeyStore(AuditLog(elsewhere, KEY), KEY)
    try:
        first, second = create(keys), create(keys)
        becomes(others, first.secret, lambda found: found is not None)
        keys.revoke(first.key.identity.key_id, actor="root")
        becomes(others, first.secret, lambda found: found is None)
        becomes(others, second.secret, lambda found: found is not None)
    finally:
        others.close()
        elsewhere.close()


def test_a_rotated_key_is_replaced(keys: KeyStore) -> None:
    old = create(keys, "acme", Scope.PROXY)
    new = keys.rotate(old.key.identity.key_id, actor="root")
    becomes(keys, new.secret, lambda found: found == new.key.identity)
    assert who(keys, old.secret) is None
    assert new.key.identity.scopes == old.key.identity.scopes
    overlapping = keys.rotate(new.key.identity.key_id, actor="root", overlap=1000)
    becomes(keys, overlapping.secret, lambda found: found is not None)
    assert who(keys, new.secret) is not None
    expires = {key.identity.key_id: key.expires for key in keys.list()}
    assert 0 < (expires[new.key.identity.key_id] or 0) - time.time() <= 1000
    with pytest.raises(UsageError, match="create a new one"):
        keys.rotate(old.key.identity.key_id, actor="root")


def test_an_expired_key_opens_nothing(keys: KeyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    end = int(time.time()) + 100
    issued = keys.create("acme", [Scope.PROXY], expires=end, actor="root")
    becomes(keys, issued.secret, lambda found: found is not None)
    monkeypatch.setattr("guardrail.server.stores.keys.time.time", lambda: end)
    assert who(keys, issued.secret) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scopes": []}, "without scopes"),
        ({"tenant": ""}, "tenant"),
        ({"tenant": "a\x00b"}, "tenant"),
        ({"tenant": "x" * 201}, "tenant"),
        ({"models": ["\n"]}, "model"),
        ({"expires": 1}, "expired already"),
        ({"limits": Limits(requests=Rate(0))}, "limit of requests"),
        ({"limits": Limits(tokens=Rate(1, 1, 0))}, "limit of tokens"),
    ],
)
def test_a_key_that_makes_no_sense_is_refused(
    keys: KeyStore, arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        keys.create(**{"tenant": "acme", "scopes": [Scope.PROXY], **arguments}, actor="root")  # type: ignore[arg-type]


def test_a_key_that_is_not_there_is_told(keys: KeyStore) -> None:
    for act in (keys.revoke, keys.rotate):
        with pytest.raises(UsageError, match="guardrail keys list"):
            act("key_0", actor="root")


def test_every_act_is_on_record_and_no_secret_is(keys: KeyStore, log: AuditLog) -> None:
    admin = Identity("key_admin", "ops")
    issued = keys.create("acme", [Scope.PROXY], actor="root")
    new = keys.rotate(issued.key.identity.key_id, actor=admin)
    keys.revoke(new.key.identity.key_id, actor=admin)
    keys.revoke(new.key.identity.key_id, actor=admin)  # nothing happens twice
    with log.database.read() as connection:
        records = [stored.to_dict() for chunk in log.read(connection) for stored in chunk]
    assert [record["event"] for record in records] == ["key.create", "key.rotate", "key.revoke"]
    assert [record["personal"].get("user") for record in records] == ["root", None, None]
    assert records[2]["personal"]["about"] == {
        "tenant": "acme",
        "key": new.key.identity.key_id,
    }
    assert records[1]["personal"]["about"]["replaces"] == issued.key.identity.key_id
    assert records[0]["body"]["scopes"] == ["proxy"]
    for record in records[:2]:
        assert issued.key.identity.key_id not in json.dumps(record["body"])
    written = json.dumps(records)
    assert "gr_" not in written
    assert "acme" not in json.dumps([r["body"] for r in records])
    assert verify(log).valid


def test_a_key_is_erased_from_the_records_of_its_acts(keys: KeyStore, log: AuditLog) -> None:
    old = create(keys).key.identity.key_id
    keys.rotate(old, actor="root")
    assert erase(log, Erasure(key_id=old), "root") == 2
    with log.database.read() as connection:
        records = [stored.to_dict() for chunk in log.read(connection) for stored in chunk]
    assert old not in json.dumps(records)


def test_an_act_that_cannot_be_put_on_record_does_not_happen(keys: KeyStore, log: AuditLog) -> None:
    issued = create(keys)
    with log.database.write() as connection:
        connection.execute(text("UPDATE guardrail_audit_head SET seq = 99"))
    with pytest.raises(StoreDamagedError):
        keys.revoke(issued.key.identity.key_id, actor="root")
    with pytest.raises(StoreDamagedError):
        create(keys)
    assert [key.revoked for key in keys.list()] == [None]


def test_secrets_are_not_in_the_database(keys: KeyStore) -> None:
    issued = create(keys)
    with keys._database.read() as connection:
        rows = connection.execute(text("SELECT * FROM guardrail_keys")).all()
    assert len(rows) == 1
    assert issued.secret not in str(rows)
    assert issued.secret[3:40] not in str(rows)
    assert issued.secret not in repr(issued)


WIDENING = {
    "more scopes": "UPDATE guardrail_keys SET body = replace(body, 'moderate', 'admin')",
    "another digest": "UPDATE guardrail_keys SET digest = seal",
    "a later revision": "UPDATE guardrail_keys SET revision = 1000",
    "a negative revision": "UPDATE guardrail_keys SET revision = -1",
    "a body that is none": "UPDATE guardrail_keys SET body = ''",
}


@pytest.mark.parametrize("how", WIDENING)
def test_a_key_that_was_changed_in_the_database_opens_nothing(
    log: AuditLog, keys: KeyStore, how: str
) -> None:
    issued = create(keys)
    with log.database.write() as connection:
        connection.execute(text(WIDENING[how]))
        connection.execute(text("UPDATE guardrail_keys_revision SET revision = 1000"))
    restarted = KeyStore(log, KEY)
    try:
        assert who(restarted, issued.secret) is None
        with pytest.raises(StoreDamagedError, match="master key"):
            restarted.list()
    finally:
        restarted.close()


def test_a_key_of_another_master_key_opens_nothing(log: AuditLog, keys: KeyStore) -> None:
    issued = create(keys)
    other = KeyStore(log, Key(bytes(32)))
    try:
        assert who(other, issued.secret) is None
    finally:
        other.close()


def test_secrets_differ_and_have_one_form() -> None:
    made = {new_secret() for _ in range(1000)}
    assert len(made) == 1000
    assert all(map(well_formed, made))
    assert {len(secret) for secret in made} == {key_secret.LENGTH}


@given(st.integers(0, key_secret.LENGTH - 1), st.sampled_from("0aA_-é"))
def test_one_wrong_letter_is_seen(place: int, letter: str) -> None:
    secret = "gr_" + "A" * 43
    secret += key_secret._checksum(secret)
    changed = secret[:place] + letter + secret[place + 1 :]
    assert well_formed(changed) == (changed == secret)
