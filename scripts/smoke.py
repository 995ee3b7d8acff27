"""Try an installed corpus-guardrail: the command and the library, in an empty current folder.

scripts/check runs this outside of the checkout, with the interpreter that the wheel went into.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import sysconfig
from importlib.metadata import files, version
from pathlib import Path

import guardrail

SECRET = (
    "The quarterly figures of the Aldermoor plant stay in the blue safe until the merger with "
    "Kestrel Foundries is announced, and only Ottilie Brandt may open it before the ninth of May."
)
CLEAN = "A partial index covers only those rows of a table that satisfy its condition."


def require(condition: bool, what: str) -> None:
    if not condition:
        sys.exit(f"smoke test: {what}")


def command(*arguments: str, status: int = 0) -> str:
    done = subprocess.run(
        ["guardrail", *arguments], capture_output=True, text=True, timeout=300, check=False
    )
    require(
        done.returncode == status,
        f"guardrail {arguments[0]} ended with {done.returncode}, expected {status}\n{done.stderr}",
    )
    return done.stdout


def main() -> None:
    home = Path(sysconfig.get_paths()["purelib"])
    require(Path(guardrail.__file__).is_relative_to(home), f"imported from {guardrail.__file__}")
    require(guardrail.__version__ == version("corpus-guardrail"), "two versions")
    for name in ("indexes", "classifiers", "server", "tests"):
        require(importlib.util.find_spec(name) is None, f"a bare {name} is importable")

    Path("corpus").mkdir()
    Path("corpus/safe.txt").write_text(SECRET, "utf-8")
    command("key", "new", "smoke.key")
    command("index", "build", "corpus", "--out", "smoke.index", "--key-file", "smoke.key")
    access = ("--index", "smoke.index", "--key-file", "smoke.key")
    leak = f"I recall this: {SECRET.upper()}"
    verdict = json.loads(command("check", leak, *access, "--json", status=11))
    require(verdict["action"] == "redact", f"the leak was judged {verdict['action']}")
    require("OTTILIE" not in verdict["text"], "the leak is in the text to send")
    require(command("check", CLEAN, *access, "--json") != "", "no verdict")

    library = guardrail.Guardrail.from_policy(indexes=["smoke.index"], key="smoke.key")
    require(library.check(leak).action is guardrail.Action.REDACT, "the library let the leak pass")
    require(library.check(CLEAN).action is guardrail.Action.ALLOW, "a clean text was stopped")
    # What the wheel brought along served: nothing had to be compiled.
    compiled = {path.name for path in Path(guardrail.__file__).parent.glob("compiled/*/*")}
    brought = {Path(file).name for file in files("corpus-guardrail") or ()}
    require(compiled <= brought, f"compiled at the first use: {sorted(compiled - brought)}")
    print(
        f"smoke test passed, corpus-guardrail {guardrail.__version__} on {sys.version.split()[0]}"
    )


if __name__ == "__main__":
    main()
