"""What a model server is told to answer."""

from __future__ import annotations

import json
import time
from http.server import BaseHTTPRequestHandler
from typing import Any


def send(handler: BaseHTTPRequestHandler, status: int, body: Any, **headers: str) -> None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    handler.send_response(status)
    for name, value in {"content-type": "application/json", **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("content-length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data)


def events(handler: BaseHTTPRequestHandler, *parts: bytes | float, chunked: bool = False) -> None:
    """A stream of these parts; a number waits so many seconds. `chunked` has an end of its own,
    which does not come."""
    handler.send_response(200)
    handler.send_header("content-type", "text/event-stream")
    if chunked:
        handler.send_header("transfer-encoding", "chunked")
    handler.end_headers()
    try:
        for part in parts:
            if isinstance(part, float):
                time.sleep(part)
            elif chunked:
                handler.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            else:
                handler.wfile.write(part)
    except (BrokenPipeError, ConnectionResetError):
        pass
    handler.close_connection = True


def chunk(said: str, finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": {"content": said}, "finish_reason": finish} | more
    body = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return f"data: {json.dumps({**body, 'choices': [choice]})}\n\n".encode()
