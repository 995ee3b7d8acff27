"""Measure the proxy, and write docs/benchmarks/proxy.md.

    scripts/bench_proxy.py [--corpus FILE] [--rounds 200] [--streams 500] [--out FILE]

Starts `guardrail serve` as it is shipped, with real records in SQLite, in front of a model server
of this script's own that streams clean sentences, and asks both from the same machine. The first
piece of each answer has twelve sentences, so that the first of them need not be held back: what the
first text comes later by is the proxy's own time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from bench_server import POLICY, documents, free_port, process, row  # noqa: E402

from guardrail.indexes.build import build  # noqa: E402
from guardrail.keys import Key, write_key  # noqa: E402
from guardrail.server.identity import ANY, Scope  # noqa: E402
from guardrail.server.opening import open_keys  # noqa: E402
from guardrail.server.settings_file import load_settings  # noqa: E402

GOAL_MS = 3.0
PIECES, PIECE = 40, "Mix flour with milk. Then fry it in butter. "
# Sentences of the first piece, so that some of them need not wait for what follows.
FIRST = 12
# Milliseconds until the model server says its first word.
DELAYS = (0, 50)
# Streams at once: seconds between two pieces of each.
PAUSE = 0.25

UPSTREAM = f"""
import asyncio, json, re, sys
PIECE, PIECES = {PIECE!r}, {PIECES}
def event(said, finish=None):
    choice = {{"index": 0, "delta": {{"content": said}}, "finish_reason": finish}}
    body = {{"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}}
    data = f"data: {{json.dumps({{**body, 'choices': [choice]}})}}\\n\\n".encode()
    return b"%x\\r\\n%s\\r\\n" % (len(data), data)
FIRST, NEXT, LAST = event(PIECE * {FIRST}), event(PIECE), event("", "stop")
HEAD = b"HTTP/1.1 200 OK\\r\\ncontent-type: text/event-stream\\r\\n"
HEAD += b"transfer-encoding: chunked\\r\\n\\r\\n"
async def answer(reader, writer):
    try:
        while True:
            head = await reader.readuntil(b"\\r\\n\\r\\n")
            size = int(re.search(rb"(?i)content-length: (\\d+)", head)[1])
            body = json.loads(await reader.readexactly(size))
            await asyncio.sleep(body["delay"])
            writer.write(HEAD + FIRST)
            for _ in range(body["pieces"]):
                await asyncio.sleep(body["pause"])
                writer.write(NEXT)
                await writer.drain()
            writer.write(LAST + b"e\\r\\ndata: [DONE]\\n\\n\\r\\n0\\r\\n\\r\\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()
async def main():
    server = await asyncio.start_server(answer, "127.0.0.1", int(sys.argv[1]), backlog=1000)
    await server.serve_forever()
asyncio.run(main())
"""


@dataclass(frozen=True)
class Place:
    """What is asked: a port, and the headers of each request."""

    port: int
    headers: dict[str, str]


@dataclass(frozen=True)
class Stream:
    """Seconds to the first text and to the end, and the text."""

    first: float
    whole: float
    text: str


class Connection:
    """One connection that is kept."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, delay: float, pieces: int, pause: float) -> Stream:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._place.port)
        reader, writer = self._streams
        asked = {"model": "m", "messages": [], "stream": True}
        body = json.dumps({**asked, "delay": delay, "pieces": pieces, "pause": pause}).encode()
        lines = ["POST /v1/chat/completions HTTP/1.1", "host: localhost"]
        lines += [f"{name}: {value}" for name, value in self._place.headers.items()]
        lines += ["content-type: application/json", f"content-length: {len(body)}", "", ""]
        began = time.perf_counter()
        writer.write("\r\n".join(lines).encode() + body)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        first, text = 0.0, ""
        while size := int(await reader.readline(), 16):
            data = (await reader.readexactly(size + 2)).decode()
            for line in data.splitlines():
                if line.startswith("data: {"):
                    event = json.loads(line.removeprefix("data: "))
                    assert "error" not in event, event
                    text += event["choices"][0]["delta"].get("content") or ""
            if text and not first:
                first = time.perf_counter() - began
        await reader.readexactly(2)
        return Stream(first, time.perf_counter() - began, text)


async def first_texts(
    places: dict[str, Place], delay: float, rounds: int
) -> dict[str, list[float]]:
    """Seconds to the first text, one request at a time, in turn."""
    connections = {name: Connection(place) for name, place in places.items()}
    times: dict[str, list[float]] = {name: [] for name in places}
    for number in range(rounds + 20):
        for name, connection in connections.items():
            stream = await connection.ask(delay, 1, 0)
            assert stream.text == PIECE * (FIRST + 1)
            if number >= 20:
                times[name].append(stream.first)
    return times


async def at_once(place: Place, count: int) -> tuple[list[Stream], float]:
    """So many streams at the same time, and the seconds until all have ended."""
    began = time.perf_counter()
    asked = (Connection(place).ask(0.05, PIECES, PAUSE) for _ in range(count))
    streams = await asyncio.gather(*asked)
    assert all(stream.text == PIECE * (PIECES + FIRST) for stream in streams)
    return list(streams), time.perf_counter() - began


def middle_first(streams: list[Stream]) -> str:
    return f"{statistics.median(stream.first for stream in streams) * 1000:.0f}"


@contextmanager
def proxy(folder: Path, upstream: int, workers: int = 1) -> Iterator[tuple[Place, Path]]:
    """`guardrail serve` in front of a model server, and its settings."""
    port = free_port()
    config = folder / f"settings-{port}.yaml"
    told = {
        "listen": {"port": port, "workers": workers},
        "limits": {"alone": True},
        "guard": {"policy": str(folder / "policy.yaml"), "key_file": str(folder / "index.key")},
        "stores": {"database": f"sqlite:///{folder}/guardrail-{port}.db"},
        "upstreams": {"fake": {"url": f"http://127.0.0.1:{upstream}/v1"}},
    }
    config.write_text(json.dumps(told))  # JSON is YAML
    with open_keys(load_settings(str(config))) as keys:
        secret = keys.create("bench", [Scope.PROXY], [ANY], [ANY], actor="bench").secret
    command = [sys.executable, "-c", "from guardrail.cli import main; main()", "serve", str(config)]
    with process(command, port, folder / "log", {"PYTHONPATH": str(ROOT)}):
        yield Place(port, {"authorization": f"Bearer {secret}"}), config


@dataclass(frozen=True)
class Used:
    """What the processes of a proxy have used: megabytes at most, and seconds of processors."""

    memory: float
    seconds: float


def used(config: Path) -> Used:
    """Of the process that was started with a file, and its workers."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if str(config) not in (folder / "cmdline").read_text():
                continue
            children = (folder / "task" / folder.name / "children").read_text().split()
            every = [folder, *(folder.parent / child for child in children)]
            return Used(sum(map(peak, every)), sum(map(processor, every)))
        except OSError:  # it has ended meanwhile
            continue
    sys.exit("the proxy does not run any more")


def peak(folder: Path) -> float:
    lines = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) / 1024


def processor(folder: Path) -> float:
    fields = (folder / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--streams", type=int, default=500)
    parser.add_argument("--out", type=Path, default=ROOT / "docs/benchmarks/proxy.md")
    options = parser.parse_args()
    lines = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        key = Key(bytes(range(32)))
        write_key(folder / "index.key", key)
        report = build([documents(options.corpus, folder)], folder / "index", key, jobs=1)
        (folder / "policy.yaml").write_text(POLICY.format(index=folder / "index"))
        port = free_port()
        command = [sys.executable, "-c", UPSTREAM, str(port)]
        with process(command, port, folder / "upstream.log"):
            with proxy(folder, port) as (ours, _):
                places = {"direct": Place(port, {}), "proxy": ours}
                added = []
                for delay in DELAYS:
                    times = asyncio.run(first_texts(places, delay / 1000, options.rounds))
                    middle = {n: statistics.median(taken) * 1000 for n, taken in times.items()}
                    least = {name: min(taken) * 1000 for name, taken in times.items()}
                    added.append(middle["proxy"] - middle["direct"])
                    lines.append(
                        row(
                            f"{delay} ms",
                            f"{middle['direct']:.1f}",
                            f"{middle['proxy']:.1f}",
                            f"{added[-1]:.1f}",
                            f"{least['proxy'] - least['direct']:.1f}",
                        )
                    )
            streams, seconds = asyncio.run(at_once(places["direct"], options.streams))
            many = [row("direct", f"{seconds:.1f}", middle_first(streams), "", "")]
            for workers in (1, 2):
                with proxy(folder, port, workers) as (ours, config):
                    asyncio.run(at_once(ours, 8 * workers))  # each process has begun
                    before = used(config)
                    streams, seconds = asyncio.run(at_once(ours, options.streams))
                    after = used(config)
                each = (after.seconds - before.seconds) / options.streams / (PIECES + 1)
                many.append(
                    row(
                        f"{workers} {'process' if workers == 1 else 'processes'}",
                        f"{seconds:.1f}",
                        middle_first(streams),
                        f"{each * 1e6:,.0f}",
                        f"{after.memory:,.0f}",
                    )
                )
    told = [
        "# The proxy",
        "",
        f"`scripts/bench_proxy.py`: `guardrail serve`, one process unless said, in front of a "
        f"model server that streams clean sentences; an index of {report.documents:,} documents "
        f"({report.chars:,} characters), the overlap layer alone, records in SQLite. Client, "
        "proxy and model server share the machine.",
        "",
        f"Time to the first text, in milliseconds, medians of {options.rounds} requests one after "
        "the other. The first piece has twelve sentences, so that the first of them are not held "
        "back. The record of the request is written while the model server thinks.",
        "",
        row("the model server's own time", "direct", "through the proxy", "added", "added, minima"),
        "|---|---|---|---|---|",
        *lines,
        "",
        f"Wanted: at most {GOAL_MS:g} ms added: "
        f"{'reached' if added[-1] <= GOAL_MS else 'not reached'} where the model server takes "
        f"{DELAYS[-1]} ms.",
        "",
        f"{options.streams} streams at once of {PIECES} pieces, one every {PAUSE:g} s "
        f"({options.streams / PAUSE:,.0f} pieces a second), each compared with what was sent:",
        "",
        row(
            "",
            "all ended after, s",
            "median to the first text, ms",
            "processor µs a piece",
            "memory, MB",
        ),
        "|---|---|---|---|---|",
        *many,
        "",
        f"Python {platform.python_version()}, {os.cpu_count()} cores, "
        f"load {os.getloadavg()[0]:.1f} at the end.",
    ]
    options.out.write_text("\n".join(told) + "\n", encoding="utf-8")
    print("\n".join(told))


if __name__ == "__main__":
    main()
