"""What is in force, and how it changes while the service runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from guardrail.indexes.build import add, build
from guardrail.indexes.lifecycle import forget
from guardrail.server.identity import Scope
from tests.server.conftest import CLEAN, KEY, SECRET
from tests.server.running import Running, eventually

NEWS = (
    "The Wrenfield contract ends without notice on the last day of June, and the tenants of the "
    "northern hall have until the first of October to clear their machines away."
)
POLICY = """
version: 1
detectors:
  overlap: {{type: overlap, indexes: {index}}}
rules:
  - {{name: all, action: {action}}}
"""


class Changing:
    """A server with an index and a policy of its own, which tests change."""

    def __init__(self, server: Running, folder: Path) -> None:
        self.server, self.folder = server, folder
        self.headers = server.headers(Scope.MODERATE, Scope.ADMIN)

    def write_policy(self, action: str) -> None:
        text = POLICY.format(index=self.folder / "index", action=action)
        (self.folder / "policy.new").write_text(text)
        (self.folder / "policy.new").rename(self.folder / "policy.yaml")

    def action(self, text: str) -> str:
        answer = httpx.post(
            self.server.url + "/v1/check", json={"text": text}, headers=self.headers, timeout=60
        )
        assert answer.status_code == 200
        return str(answer.json()["action"])

    def state(self) -> dict[str, Any]:
        answer = httpx.get(self.server.url + "/v1/admin/state", headers=self.headers, timeout=60)
        told: dict[str, Any] = answer.json()
        return told

    def reload(self) -> httpx.Response:
        return httpx.post(self.server.url + "/v1/admin/reload", headers=self.headers, timeout=60)


@pytest.fixture(scope="module")
def changing(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Changing]:
    folder = tmp_path_factory.mktemp("changing")
    (folder / "note.txt").write_text(SECRET)
    build([str(folder / "note.txt")], folder / "index", KEY, jobs=1)
    server = Running(
        folder / "server",
        {"guard": {"policy": str(folder / "policy.yaml"), "key_file": str(corpus / "index.key")}},
        KEY,
    )
    changing = Changing(server, folder)
    changing.write_policy("redact")
    try:
        server.start()
        yield changing
    finally:
        server.close()


def test_a_changed_index_is_taken_up(changing: Changing) -> None:
    assert changing.action(NEWS) == "allow"
    before = changing.state()["indexes"][0]
    (changing.folder / "news.txt").write_text(NEWS)
    add([str(changing.folder / "news.txt")], changing.folder / "index", KEY, jobs=1)
    eventually(lambda: changing.action(NEWS) == "redact")
    after = changing.state()["indexes"][0]
    assert (before["documents"], after["documents"]) == (1, 2)
    assert after["generation"] > before["generation"]
    assert forget(changing.folder / "index", KEY, ["news.txt"]).forgotten == 1
    eventually(lambda: changing.action(NEWS) == "allow")


def test_a_changed_policy_is_taken_up(changing: Changing) -> None:
    assert changing.action(SECRET) == "redact"
    before = changing.state()["policy"]
    changing.write_policy("refuse")
    eventually(lambda: changing.action(SECRET) == "refuse")
    assert changing.state()["policy"] != before
    changing.write_policy("redact")
    assert changing.reload().json()["policy"] == before
    assert changing.action(SECRET) == "redact"


def test_a_broken_policy_does_not_take_the_place_of_a_working_one(changing: Changing) -> None:
    policy = changing.state()["policy"]
    changing.write_policy("shred")
    answer = changing.reload()
    assert answer.status_code == 409
    assert "allowed: allow, flag, redact, refuse" in answer.json()["error"]["message"]
    assert changing.action(SECRET) == "redact"
    state = changing.state()
    assert state["policy"] == policy
    assert "shred" in state["policy_problem"]
    assert httpx.get(changing.server.url + "/readyz", timeout=60).status_code == 200
    changing.write_policy("redact")
    eventually(lambda: changing.state()["policy_problem"] is None)


def test_a_broken_index_does_not_take_the_place_of_a_working_one(changing: Changing) -> None:
    def ready() -> tuple[int, Any]:
        answer = httpx.get(changing.server.url + "/readyz", timeout=60)
        return answer.status_code, answer.json()["failing"]

    manifest = changing.folder / "index" / "manifest.json"
    whole = manifest.read_bytes()
    manifest.write_bytes(whole[: len(whole) // 2])
    eventually(lambda: ready() == (503, ["indexes"]))
    assert changing.action(SECRET) == "redact"  # by the one that was in use
    assert changing.state()["indexes"][0]["problem"]
    manifest.write_bytes(whole)
    eventually(lambda: ready() == (200, []))
    assert changing.action(SECRET) == "redact"


def test_reloads_are_on_record(changing: Changing) -> None:
    assert changing.reload().status_code == 200
    record = changing.server.records("admin.reload")[-1]
    assert json.loads(record.body) == {"done": True, "policy": changing.state()["policy"]}
    assert changing.action(CLEAN) == "allow"
