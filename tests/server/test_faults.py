"""The process is stopped or killed, the disk is full, the stores go away: what was answered is on
record once, nothing leaves without a record, and the service recovers by itself."""

from __future__ import annotations

import json
import os
import resource
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from guardrail.server.identity import Scope
from guardrail.server.stores.audit_verify import verify
from tests.server.conftest import CLEAN, KEY, SECRET
from tests.server.running import PATIENCE, Running, eventually, running

if TYPE_CHECKING:
    from tests.servers import Postgres, Redis


@dataclass
class Load:
    """Requests by several clients at once, until it is stopped. `ids` are those of the answers."""

    server: Running
    headers: dict[str, str]
    ids: list[str] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    _stopped: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        with httpx.Client(headers=self.headers, timeout=PATIENCE) as client:
            while not self._stopped.is_set():
                try:
                    answer = client.post(self.server.url + "/v1/check", json={"text": SECRET})
                except httpx.HTTPError:
                    time.sleep(0.05)
                    continue
                self.statuses[answer.status_code] += 1
                if answer.status_code == 200:
                    assert "Thornbury" not in answer.json()["text"]
                    self.ids.append(answer.json()["id"])

    @contextmanager
    def going(self, clients: int = 4) -> Iterator[Load]:
        threads = [threading.Thread(target=self.run) for _ in range(clients)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._stopped.set()
            for thread in threads:
                thread.join()

    def await_answers(self, count: int) -> None:
        wanted = len(self.ids) + count
        eventually(lambda: len(self.ids) >= wanted)


def check(server: Running, headers: dict[str, str], text: str = CLEAN) -> httpx.Response:
    return httpx.post(
        server.url + "/v1/check", json={"text": text}, headers=headers, timeout=PATIENCE
    )


def assert_recorded_once(server: Running, ids: list[str]) -> None:
    """What was answered is on record, nothing is on record twice, and the chain is whole."""
    recorded = Counter(json.loads(record.body)["request"] for record in server.records("check"))
    assert set(ids) <= set(recorded)
    assert set(recorded.values()) <= {1}
    assert verify(server.log).valid


@pytest.fixture
def fresh(settings: dict[str, Any], tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path, settings, KEY) as up:
        yield up


def test_stopped_under_load_it_answers_what_it_began(fresh: Running) -> None:
    load = Load(fresh, fresh.headers(Scope.MODERATE))
    with load.going():
        load.await_answers(20)
        assert fresh.stop() == 0
    assert set(load.statuses) <= {200, 503}
    assert_recorded_once(fresh, load.ids)


def test_killed_under_load_it_lost_no_record_and_goes_on(fresh: Running) -> None:
    load = Load(fresh, fresh.headers(Scope.MODERATE))
    with load.going():
        for _ in range(2):
            load.await_answers(20)
            fresh.kill()
            fresh.start()
        load.await_answers(5)
    assert set(load.statuses) <= {200, 503}
    assert_recorded_once(fresh, load.ids)


def test_with_a_full_disk_nothing_leaves(fresh: Running) -> None:
    headers = fresh.headers(Scope.MODERATE)
    assert check(fresh, headers).status_code == 200
    assert fresh.process is not None
    # No file of the server's may grow, as on a disk that is full.
    wal = fresh.folder / "guardrail.db-wal"
    hard = resource.RLIM_INFINITY
    resource.prlimit(fresh.process.pid, resource.RLIMIT_FSIZE, (wal.stat().st_size, hard))
    answer = check(fresh, headers, SECRET)
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "unavailable"
    assert "REDACTED" not in answer.text
    resource.prlimit(fresh.process.pid, resource.RLIMIT_FSIZE, (hard, hard))
    answer = check(fresh, headers, SECRET)
    assert answer.status_code == 200
    assert_recorded_once(fresh, [answer.json()["id"]])


def test_a_worker_that_dies_is_replaced(settings: dict[str, Any], tmp_path: Path) -> None:
    two = {**settings, "listen": {"workers": 2}, "limits": {"alone": True}}
    with running(tmp_path, two, KEY) as server:
        eventually(lambda: len(workers(server)) == 2)
        load = Load(server, server.headers(Scope.MODERATE))
        with load.going(2):
            load.await_answers(10)
            killed = workers(server)[0]
            os.kill(killed, signal.SIGKILL)
            eventually(lambda: len(workers(server)) == 2 and killed not in workers(server))
            load.await_answers(20)
        assert_recorded_once(server, load.ids)
        text = httpx.get(server.url + "/metrics", timeout=PATIENCE).text
        assert 'guardrail_checks_total{action="redact"}' in text


def workers(server: Running) -> list[int]:
    """The processes that answer."""
    assert server.process is not None
    pid = server.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [
        int(child)
        for child in children
        if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]


def test_postgresql_goes_away_and_returns(
    settings: dict[str, Any], tmp_path: Path, fragile_postgres: Postgres
) -> None:
    stores = {"database": fragile_postgres.empty_database()}
    with running(tmp_path, {**settings, "stores": stores}, KEY) as server:
        headers = server.headers(Scope.MODERATE)
        assert check(server, headers).status_code == 200
        fragile_postgres.kill()
        try:
            assert check(server, headers, SECRET).status_code == 503
            ready = httpx.get(server.url + "/readyz", timeout=PATIENCE)
            assert (ready.status_code, ready.json()["failing"]) == (503, ["database"])
            assert httpx.get(server.url + "/livez", timeout=PATIENCE).status_code == 200
        finally:
            fragile_postgres.start()
        eventually(lambda: check(server, headers).status_code == 200)
        eventually(lambda: httpx.get(server.url + "/readyz", timeout=PATIENCE).is_success)
        assert_recorded_once(server, [])


def test_redis_goes_away_and_returns(
    settings: dict[str, Any], tmp_path: Path, redis: Redis
) -> None:
    limits = {"per_key": {"requests": {"amount": 1000}}}
    stores = {"limits": redis.url}
    with running(tmp_path, {**settings, "limits": limits, "stores": stores}, KEY) as server:
        headers = server.headers(Scope.MODERATE)
        assert check(server, headers).status_code == 200
        redis.kill()
        try:
            answer = check(server, headers, SECRET)
            assert answer.status_code == 503
            assert "Thornbury" not in answer.text
            assert httpx.get(server.url + "/readyz", timeout=PATIENCE).json()["failing"] == [
                "limits"
            ]
        finally:
            redis.start()
        eventually(lambda: check(server, headers).status_code == 200)
        eventually(lambda: httpx.get(server.url + "/readyz", timeout=PATIENCE).is_success)
