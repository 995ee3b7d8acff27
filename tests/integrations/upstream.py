"""A server on the loopback that speaks OpenAI's wire format and answers what it is told to."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LOGPROBS = {
    "content": [{"token": "x", "logprob": -0.5, "bytes": [120], "top_logprobs": []}],
    "refusal": None,
}
USAGE = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}


class Upstream(ThreadingHTTPServer):
    """`texts`: one for each choice. `arguments`: of a tool call in each choice, if any. `script`
    answers in the place of all that."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.texts: list[str] = []
        self.arguments: str | None = None
        self.size = 3
        self.script: Callable[[BaseHTTPRequestHandler], None] | None = None
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def answers(self, *texts: str, arguments: str | None = None, size: int = 3) -> None:
        self.texts, self.arguments, self.size = list(texts), arguments, size
        self.script = None


@contextmanager
def upstream() -> Iterator[Upstream]:
    server = Upstream()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: Upstream

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.requests.append(body)
        self.server.headers.append({name.lower(): value for name, value in self.headers.items()})
        if self.server.script is not None:
            self.server.script(self)
            return
        chat = self.path.endswith("/chat/completions")
        if not body.get("stream"):
            self._send_json(self._chat(body) if chat else self._response("completed"))
            return
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.end_headers()
        try:
            for event in self._chunks(body) if chat else self._events():
                name = "" if chat else f"event: {event['type']}\n"
                # As servers do, events and characters are cut wherever the network likes.
                data = f"{name}data: {json.dumps(event, ensure_ascii=False)}\n\n".encode()
                self.wfile.write(data[:17])
                self.wfile.flush()
                self.wfile.write(data[17:])
            if chat:
                self.wfile.write(b"data: [DONE]\n\n")
        except (BrokenPipeError, ConnectionResetError):
            pass

    def _send_json(self, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    # --- chat completions

    def _chat(self, body: dict[str, Any]) -> dict[str, Any]:
        server = self.server
        choices = []
        for index, text in enumerate(server.texts):
            message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
            if server.arguments is not None:
                call = {"name": "note", "arguments": server.arguments}
                message["tool_calls"] = [{"id": "call_1", "type": "function", "function": call}]
            choices.append(
                {
                    "index": index,
                    "message": message,
                    "finish_reason": "tool_calls" if server.arguments else "stop",
                    "logprobs": LOGPROBS if body.get("logprobs") else None,
                }
            )
        head = {"id": "chatcmpl-7", "object": "chat.completion", "created": 1, "model": "m"}
        return {**head, "choices": choices, "usage": USAGE}

    def _chunks(self, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        server, size = self.server, self.server.size
        head = {"id": "chatcmpl-7", "object": "chat.completion.chunk", "created": 1, "model": "m"}

        def chunk(index: int, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
            choice = {"index": index, "delta": delta, "finish_reason": finish}
            return {**head, "choices": [{**choice, "logprobs": LOGPROBS}], "usage": None}

        for index in range(len(server.texts)):
            yield chunk(index, {"role": "assistant", "content": "", "refusal": None})
        for at in range(0, max(map(len, server.texts)), size):
            for index, text in enumerate(server.texts):
                if at < len(text):
                    yield chunk(index, {"content": text[at : at + size]})
        if server.arguments is not None:
            call: dict[str, Any] = {"index": 0, "id": "call_1", "type": "function"}
            call["function"] = {"name": "note", "arguments": ""}
            yield chunk(0, {"tool_calls": [call]})
            for at in range(0, len(server.arguments), size):
                part = {"arguments": server.arguments[at : at + size]}
                yield chunk(0, {"tool_calls": [{"index": 0, "function": part}]})
        for index in range(len(server.texts)):
            yield chunk(index, {}, "tool_calls" if server.arguments else "stop")
        if (body.get("stream_options") or {}).get("include_usage"):
            yield {**head, "choices": [], "usage": USAGE}

    # --- responses

    def _item(self, text: str) -> dict[str, Any]:
        part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
        content = [part] if text else []
        head = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed"}
        return {**head, "content": content}

    def _response(self, status: str) -> dict[str, Any]:
        text = self.server.texts[0]
        output: list[dict[str, Any]] = [self._item(text)] if status == "completed" else []
        if output and self.server.arguments is not None:
            call = {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "note"}
            output.append({**call, "arguments": self.server.arguments, "status": "completed"})
        return {
            "id": "resp_1", "object": "response", "created_at": 1, "model": "m", "status": status,
            "output": output, "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
            "error": None, "incomplete_details": None, "instructions": None, "metadata": {},
        }  # fmt: skip

    def _events(self) -> Iterator[dict[str, Any]]:
        for number, event in enumerate(self._plain_events()):
            yield {**event, "sequence_number": number}

    def _plain_events(self) -> Iterator[dict[str, Any]]:
        text, size = self.server.texts[0], self.server.size
        place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
        part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
        yield {"type": "response.created", "response": self._response("in_progress")}
        yield {"type": "response.output_item.added", "output_index": 0, "item": self._item("")}
        empty = {**part, "text": ""}
        yield {"type": "response.content_part.added", "part": empty, **place}
        for at in range(0, len(text), size):
            delta = {"delta": text[at : at + size], "logprobs": [{"token": "x", "logprob": -1.0}]}
            yield {"type": "response.output_text.delta", **delta, **place}
        done = {"text": text, "logprobs": [{"token": "x", "logprob": -1.0}]}
        yield {"type": "response.output_text.done", **done, **place}
        yield {"type": "response.content_part.done", "part": part, **place}
        item = self._item(text)
        yield {"type": "response.output_item.done", "output_index": 0, "item": item}
        if self.server.arguments is not None:
            arguments = self.server.arguments
            call = {"item_id": "fc_1", "output_index": 1}
            for at in range(0, len(arguments), size):
                delta = {"delta": arguments[at : at + size]}
                yield {"type": "response.function_call_arguments.delta", **delta, **call}
            done = {"arguments": arguments, "name": "note"}
            yield {"type": "response.function_call_arguments.done", **done, **call}
        yield {"type": "response.completed", "response": self._response("completed")}
