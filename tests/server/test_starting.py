"""A service that cannot start says why in one line, and ends with a status that supervisors see."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.server.conftest import KEY
from tests.server.running import PATIENCE, Running

BROKEN = {
    "key_file": "no key\n",
    "indexes": "no index\n",
    "policy": """
version: 1
detectors:
  memory:
    {type: memorization, target: missing, reference: missing, calibration: missing}
rules:
  - {name: recited, when: {kind: memorized}, action: redact}
""",
}


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("broken", "reason"), [("key_file", "broken"), ("indexes", "broken"), ("policy", "missing")]
)
def test_it_does_not_start(
    settings: dict[str, Any], tmp_path: Path, broken: str, reason: str, workers: int
) -> None:
    file = tmp_path / "broken"
    file.write_text(BROKEN[broken])
    server = Running(
        tmp_path,
        {
            "guard": {**settings["guard"], broken: str(file)},
            "listen": {"workers": workers},
            "limits": {"alone": True},
        },
        KEY,
    )
    try:
        with pytest.raises(AssertionError, match="it did not start"):
            server.start()
        assert server.process is not None
        assert server.process.wait(PATIENCE) not in (0, -9)
    finally:
        server.close()
    logged = server.logged()
    assert "Traceback" not in logged
    assert f"{tmp_path}/{reason}" in logged
