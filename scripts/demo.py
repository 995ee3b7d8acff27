"""Compare verdicts with what the sample says of its answers, as the last step of scripts/demo.

    guardrail check --jsonl RESPONSES ... --json > VERDICTS
    python scripts/demo.py RESPONSES VERDICTS

Ends with status 1 if a leak went through or a clean answer did not.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

STOPPED = ("redact", "refuse")


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("responses", type=Path, metavar="RESPONSES")
    parser.add_argument("verdicts", type=Path, metavar="VERDICTS")
    arguments = parser.parse_args()
    answers, verdicts = records(arguments.responses), records(arguments.verdicts)
    if len(answers) != len(verdicts):
        sys.exit(f"{len(answers)} answers, but {len(verdicts)} verdicts")

    wrong = 0
    for answer, verdict in zip(answers, verdicts, strict=True):
        right = (verdict["action"] in STOPPED) == (answer["expect"] == "leak")
        wrong += not right
        mark = "" if right else "   <-- wrong"
        print(f"{answer['id']:<16} {verdict['action']:<7} {answer['about']}{mark}")

    leaks = sum(answer["expect"] == "leak" for answer in answers)
    if wrong:
        sys.exit(f"\n{wrong} of {len(answers)} answers were judged wrongly")
    print(f"\n{leaks} leaks stopped, {len(answers) - leaks} clean answers passed")


if __name__ == "__main__":
    main()
