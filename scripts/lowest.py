"""Print the oldest release that each requirement of pyproject.toml admits, in the form of pip.

    python scripts/lowest.py [EXTRA ...] > lowest.txt

For the base install and the extras named. `scripts/check --lowest` tests that they serve.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement


def main() -> None:
    path = Path(__file__).resolve().parent.parent / "pyproject.toml"
    project = tomllib.loads(path.read_text("utf-8"))["project"]
    lines = list(project["dependencies"])
    for extra in sys.argv[1:]:
        lines += project["optional-dependencies"][extra]
    for requirement in map(Requirement, lines):
        oldest = [part.version for part in requirement.specifier if part.operator == ">="]
        if not oldest:
            sys.exit(f"{requirement} has no lower bound")
        print(f"{requirement.name}=={oldest[0]}")


if __name__ == "__main__":
    main()
