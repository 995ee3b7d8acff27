"""What the documents of benchmarks share: tables, and the machine that was measured on."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def processor() -> str:
    """The processor's name, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return "unknown"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "unknown"


def machine() -> str:
    load = os.getloadavg()[0]
    python = sys.version.split()[0]
    return f"{processor()}, {os.cpu_count()} cores, Python {python}, load {load:.1f}"
