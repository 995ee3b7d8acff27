"""Sections of bench_overlap.py: building an index, and starting with one."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench_report import table
from overlap_inputs import AS_USERS_DO, MB, ROOT, Bench


def building(bench: Bench) -> str:
    """Build speed and memory at the corpus's size, on one core and two: from the start of the
    command to its end, the least of three runs."""
    return _builds(bench, [(bench.corpus, 1), (bench.corpus, 2)], runs=3)


def large(bench: Bench) -> str:
    """The same for the varied corpus, eight times as large."""
    if bench.large is None:
        raise SystemExit("the section `large` needs --large")
    return _builds(bench, [(bench.large, 1), (bench.large, 2)])


def _builds(bench: Bench, cases: Sequence[tuple[Path, int]], runs: int = 1) -> str:
    _build_once(bench, bench.corpus, 2)  # kernels are compiled, files are in the page cache
    rows = []
    first = 0.0
    for source, jobs in cases:
        results = [_build_once(bench, source, jobs) for _ in range(runs)]
        wall, seconds, _, report = min(results, key=lambda result: result[0])
        peak = max(result[2] for result in results)
        first = first or wall
        size = source.stat().st_size
        rows.append(
            (
                f"{size / MB:,.0f}",
                jobs,
                f"{wall:.1f}",
                f"{seconds:.1f}",
                f"{size / MB / wall:.1f}",
                f"{first / wall:.2f}",
                f"{size / MB / seconds:.1f}",
                f"{peak / MB:,.0f}",
                f"{report['index_bytes'] / size:.3f}",
                f"{report['dropped_postings'] / report['grams']:.2%}",
            )
        )
    head = ["MB of JSON Lines", "jobs", "wall s", "CPU s", "MB/s", "times one job"]
    head += ["MB per CPU s", "peak memory MB", "index B/B", "places not searched"]
    return table(head, rows)


def _build_once(bench: Bench, source: Path, jobs: int) -> tuple[float, float, int, dict[str, Any]]:
    """Seconds by the clock, CPU seconds, peak memory and report of one build."""
    with tempfile.TemporaryDirectory(dir=bench.work) as folder:
        command = [sys.executable, str(ROOT / "scripts" / "build_index.py"), str(source)]
        command += ["--out", f"{folder}/index", "--key-file", str(bench.key_file)]
        command += ["--collection-field", "collection", "--jobs", str(jobs), "--json"]
        began = time.perf_counter()
        seconds, peak, printed = _watched(command)
        return time.perf_counter() - began, seconds, peak, json.loads(printed)


def _watched(command: Sequence[str]) -> tuple[float, int, str]:
    """CPU seconds of a command and its children, their highest total of resident memory (shared
    pages counted once, as PSS), and what it printed."""
    environment = {**os.environ, **AS_USERS_DO}
    before = os.times()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    peak = 0
    while process.poll() is None:
        peak = max(peak, _resident(process.pid))
        time.sleep(0.1)
    assert process.stdout is not None
    printed = process.stdout.read()
    after = os.times()
    assert process.returncode == 0, process.returncode
    used = after.children_user + after.children_system
    return used - before.children_user - before.children_system, peak, printed


def _resident(pid: int) -> int:
    total = 0
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            # Pages of files can be dropped at any time; what a process holds is the rest.
            if line.startswith(("Pss_Anon:", "Pss_Shmem:")):
                total += int(line.split()[1]) * 1024
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in (thread / "children").read_text().split():
                total += _resident(int(child))
    except OSError:
        return total
    return total


def starting(bench: Bench) -> str:
    """What a fresh process waits for."""
    index, key = str(bench.index()), str(bench.key_file)
    programs = {
        "`import guardrail`": "import guardrail",
        "opening the index (imports and kernels loaded before)": (
            "from guardrail.indexes.index import Index; from guardrail import load_key;"
            f"k = load_key({key!r}); Index.open({index!r}, k, check=False)\n"
            "began = time.perf_counter()\n"
            f"Index.open({index!r}, k)"
        ),
        "import, open and first check, kernels cached": (
            "from guardrail import Guardrail\n"
            f"Guardrail.from_policy(indexes=[{index!r}], key={key!r}).check({'x y z ' * 300!r})"
        ),
    }
    rows = []
    for name, program in programs.items():
        times = [_timed(program, {}) for _ in range(7)]
        rows.append((name, f"{statistics.median(times) * 1000:.0f}"))
    last = programs["import, open and first check, kernels cached"]
    with tempfile.TemporaryDirectory() as folder:
        # Installed as users do it; no other cache is in reach.
        venv, nothing = Path(folder) / "venv", {"XDG_CACHE_HOME": folder, "PYTHONPATH": ""}
        python = str(venv / "bin" / "python")
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        install = [python, "-m", "pip", "install", "--quiet", "--quiet", str(ROOT)]
        began = time.perf_counter()
        subprocess.run([*install, "-c", str(ROOT / "constraints.txt")], check=True, cwd=folder)
        took = time.perf_counter() - began
        first = _timed(last, nothing, python)
        (compiled,) = venv.glob("lib/*/site-packages/guardrail/compiled")
        shutil.rmtree(compiled)
        cold = _timed(last, nothing, python)
    rows.append(("the same, the first process after `pip install .`", f"{first * 1000:.0f}"))
    rows.append(("the same with another processor or numba than installed", f"{cold * 1000:.0f}"))
    note = f"\n\n`pip install .` took {took:.0f} s, most of it to compile the kernels."
    return table(["fresh process", "ms"], rows) + note


def _timed(program: str, environment: dict[str, str], python: str = sys.executable) -> float:
    code = (
        f"import time\nbegan = time.perf_counter()\n{program}\nprint(time.perf_counter() - began)"
    )
    result = subprocess.run(
        [python, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, **AS_USERS_DO, **environment},
    )
    return float(result.stdout)
