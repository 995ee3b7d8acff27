"""The proxy, asked by OpenAI's client, in front of a server that answers what it is told to."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

import openai
import pytest
from faker import Faker
from openai import AsyncOpenAI, OpenAI

from guardrail import Guardrail
from guardrail.server.identity import Limits, Rate, Scope
from tests.integrations.upstream import Upstream
from tests.server.conftest import CLEAN, KEY, PHRASE, SECRET
from tests.server.running import Running, running
from tests.server.scripts import chunk, events, send

LEAK = f"{CLEAN} {SECRET} {CLEAN}"
REFUSED = f"{CLEAN} It is called {PHRASE}. {CLEAN}"
BEFORE = f"{CLEAN} It is called "
# More than waits, in a stream, for what it may be part of.
FAKER = Faker("en_US")
FAKER.seed_instance(5)
PROSE = FAKER.paragraph(nb_sentences=40)
ARGUMENTS = json.dumps({"note": SECRET, "to": ["a", 1]})
UPSTREAM_KEY = "sk-upstream-0123456789"
ASK: Any = {"model": "m", "messages": [{"role": "user", "content": "Tell me"}]}


@pytest.fixture(scope="module")
def settings_of(strict_settings: dict[str, Any], fake: Upstream) -> dict[str, Any]:
    model = {"url": fake.url, "api_key": UPSTREAM_KEY}
    return {
        **strict_settings,
        "upstreams": {
            "plain": model,
            "hasty": {**model, "models": ["hasty"], "read_seconds": 0.5},
            "away": {"url": "http://127.0.0.1:9/v1", "models": ["away"]},
        },
        "outputs": {"max_n": 2},
        "bounds": {"body_bytes": 200_000},
    }


@pytest.fixture(scope="module")
def proxy(
    settings_of: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("proxy"), settings_of, KEY) as up:
        yield up


@pytest.fixture(scope="module")
def key(proxy: Running) -> str:
    return proxy.key(Scope.PROXY)


@pytest.fixture(scope="module")
def client(proxy: Running, key: str) -> OpenAI:
    return OpenAI(base_url=f"{proxy.url}/v1", api_key=key, max_retries=0, timeout=60)


@pytest.fixture(scope="module")
def redacted(settings_of: dict[str, Any]) -> str:
    guard = settings_of["guard"]
    rail = Guardrail.from_policy(guard["policy"], indexes=[guard["indexes"]], key=KEY)
    return rail.check(LEAK).text


def bodies(proxy: Running, event: str) -> list[dict[str, Any]]:
    return [json.loads(record.body) for record in proxy.records(event)]


# --- chat completions


def test_a_completion(proxy: Running, client: OpenAI, fake: Upstream, redacted: str) -> None:
    fake.answers(LEAK, REFUSED, arguments=ARGUMENTS)
    answer = client.chat.completions.create(
        **ASK, n=2, logprobs=True, extra_body={"unheard_of": {"a": [1]}}
    )
    first, second = answer.choices
    assert first.message.content == redacted
    assert (first.finish_reason, first.logprobs) == ("tool_calls", None)
    call: Any = (first.message.tool_calls or [])[0]
    assert json.loads(call.function.arguments) == {"note": "[REDACTED].", "to": ["a", 1]}
    assert (call.id, call.function.name) == ("call_1", "note")
    assert (second.message.content, second.message.refusal) == (None, "Not this.")
    assert second.finish_reason == "content_filter"
    assert answer.usage is not None
    assert fake.requests[-1]["unheard_of"] == {"a": [1]}
    assert fake.headers[-1]["authorization"] == f"Bearer {UPSTREAM_KEY}"
    record = bodies(proxy, "chat")[-1]
    assert (record["action"], record["ended"], record["upstream"]) == (
        "refuse",
        "complete",
        "plain",
    )
    assert {rule["rule"] for rule in record["rules"]} == {"phrases", "verbatim"}
    assert record["prompt_chars"] == len("Tell me")


@pytest.mark.parametrize("size", [1, 11])
def test_a_streamed_completion(
    proxy: Running, client: OpenAI, fake: Upstream, redacted: str, size: int
) -> None:
    fake.answers(LEAK, REFUSED, size=size)
    texts, refusals, finish, usage = ["", ""], ["", ""], {}, None
    stream: Any = client.chat.completions.create(
        **ASK, n=2, stream=True, stream_options={"include_usage": True}
    )
    for piece in stream:
        usage = piece.usage or usage
        for choice in piece.choices:
            assert choice.logprobs is None
            texts[choice.index] += choice.delta.content or ""
            refusals[choice.index] += choice.delta.refusal or ""
            if choice.finish_reason:
                finish[choice.index] = choice.finish_reason
    assert texts == [redacted, BEFORE]
    assert refusals == ["", "Not this."]
    assert finish == {0: "stop", 1: "content_filter"}
    assert usage is not None
    request = bodies(proxy, "chat")[-1]["request"]
    trail = [
        (record.event, body["action"])
        for record in proxy.records()
        if (body := json.loads(record.body)).get("request") == request
    ]
    assert trail[0] == ("chat.request", "forward")
    assert {event for event, _ in trail[1:-1]} <= {"chat.decision"}
    assert trail[-1] == ("chat", "refuse")


def test_a_decision_is_on_record_while_the_answer_goes_on(
    proxy: Running, client: OpenAI, fake: Upstream
) -> None:
    before = len(bodies(proxy, "chat.decision"))

    def script(handler: BaseHTTPRequestHandler) -> None:
        events(handler, chunk(CLEAN), chunk(f"{REFUSED} {PROSE}", index=1))
        end = time.monotonic() + 60
        while len(bodies(proxy, "chat.decision")) == before and time.monotonic() < end:
            time.sleep(0.01)
        handler.wfile.write(chunk("", "stop") + b"data: [DONE]\n\n")

    fake.script = script
    stream = client.chat.completions.create(**ASK, n=2, stream=True)
    said = [choice.delta.content or "" for piece in stream for choice in piece.choices]
    assert PHRASE not in "".join(said)
    [made] = bodies(proxy, "chat.decision")[before:]
    ended = bodies(proxy, "chat")[-1]
    assert (made["action"], made["request"]) == ("refuse", ended["request"])
    assert ended["action"] == "refuse"


def test_streamed_arguments_of_tools(client: OpenAI, fake: Upstream) -> None:
    fake.answers("Let me see.", arguments=ARGUMENTS, size=5)
    tools: Any = [{"type": "function", "function": {"name": "note", "parameters": {}}}]
    with client.chat.completions.stream(**ASK, tools=tools) as stream:
        final = stream.get_final_completion()
    [call] = final.choices[0].message.tool_calls or []
    assert json.loads(call.function.arguments)["note"] == "[REDACTED]."
    assert call.function.name == "note"


def test_the_asynchronous_client(proxy: Running, key: str, fake: Upstream, redacted: str) -> None:
    fake.answers(LEAK)

    async def run() -> tuple[str | None, str, str]:
        async with AsyncOpenAI(base_url=f"{proxy.url}/v1", api_key=key) as client:
            whole = await client.chat.completions.create(**ASK)
            text = ""
            async for chunk in await client.chat.completions.create(**ASK, stream=True):
                text += chunk.choices[0].delta.content or ""
            response = await client.responses.create(model="m", input="Tell me")
            return whole.choices[0].message.content, text, response.output_text

    assert asyncio.run(run()) == (redacted,) * 3


def test_legacy_completions(client: OpenAI, fake: Upstream) -> None:
    def script(handler: BaseHTTPRequestHandler) -> None:
        choice = {"index": 0, "text": REFUSED, "finish_reason": "stop"}
        send(handler, 200, {"id": "c", "object": "text_completion", "choices": [choice]})

    fake.script = script
    answer = client.completions.create(model="m", prompt="Tell me")
    assert answer.choices[0].text == "Not this."
    assert answer.choices[0].finish_reason == "content_filter"


# --- responses


def test_responses(proxy: Running, client: OpenAI, fake: Upstream, redacted: str) -> None:
    fake.answers(LEAK, arguments=ARGUMENTS)
    answer = client.responses.create(model="m", input="Tell me")
    assert answer.output_text == redacted
    call: Any = answer.output[1]
    assert json.loads(call.arguments)["note"] == "[REDACTED]."
    fake.answers(REFUSED)
    refused = client.responses.create(model="m", input="Tell me")
    assert refused.status == "incomplete"
    assert refused.incomplete_details is not None
    assert refused.incomplete_details.reason == "content_filter"
    assert PHRASE not in refused.to_json()
    assert bodies(proxy, "responses")[-1]["action"] == "refuse"


def test_streamed_responses(proxy: Running, client: OpenAI, fake: Upstream, redacted: str) -> None:
    fake.answers(LEAK, arguments=ARGUMENTS, size=4)
    events = list(client.responses.create(model="m", input="x", stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    assert text == redacted
    assert "Thornbury" not in "".join(event.to_json() for event in events)
    assert bodies(proxy, "responses")[-1]["response_chars"] == len(LEAK) + len(ARGUMENTS)
    fake.answers(REFUSED, size=4)
    events = list(client.responses.create(model="m", input="x", stream=True))
    text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    assert text == BEFORE
    last: Any = events[-1]
    assert last.type == "response.incomplete"
    assert last.response.incomplete_details.reason == "content_filter"


# --- what a request may ask for


@pytest.mark.parametrize(
    "asked",
    [
        {"n": 3},
        {"n": 0},
        {"best_of": 5},
        {"best_of": "many"},
        {"logit_bias": {"50256": 100}},
        {"echo": True},
        {"background": True},
        {"modalities": ["text", "audio"]},
        {"tools": [{"type": "image_generation"}]},
        {"previous_response_id": "resp_of_another"},
        {"conversation": {"id": "conv_of_another"}},
        {"input": [{"type": "item_reference", "id": "msg_of_another"}]},
        {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "file-1"}]}]},
        {"tools": [{"type": "file_search", "vector_store_ids": ["vs_of_another"]}]},
        {"tools": [{"type": "code_interpreter", "container": "cntr_of_another"}]},
        {"tools": [{"type": "code_interpreter", "container": {"file_ids": ["file-1"]}}]},
    ],
)
def test_what_tells_too_much_is_refused(
    client: OpenAI, fake: Upstream, asked: dict[str, Any]
) -> None:
    fake.answers(CLEAN)
    before = len(fake.requests)
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(**ASK, extra_body=asked)
    assert len(fake.requests) == before


def test_what_only_looks_like_a_file_is_passed_on(client: OpenAI, fake: Upstream) -> None:
    fake.answers(CLEAN)
    schema = {"type": "object", "properties": {"file_id": {"type": "string"}}}
    tool = {"type": "function", "function": {"name": "open", "parameters": schema}}
    more = {"tools": [tool], "metadata": {"file_id": "mine"}, "previous_response_id": None}
    client.chat.completions.create(**ASK, extra_body=more)
    assert fake.requests[-1]["tools"] == [tool]


def test_token_ids_are_neither_asked_for_nor_passed_on(client: OpenAI, fake: Upstream) -> None:
    def script(handler: BaseHTTPRequestHandler) -> None:
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": CLEAN, "token_ids": [1, 2]},
            "finish_reason": "stop",
            "token_ids": [1, 2],
            "logprobs": {"content": [{"token": "x", "logprob": -1.0}]},
            "stop_reason": PHRASE,
        }
        body = {"id": "c", "choices": [choice], "prompt_logprobs": [{"1": {"logprob": -1.0}}]}
        send(handler, 200, {**body, "note": PHRASE, "speed": 7})

    fake.script = script
    raw = client.chat.completions.with_raw_response.create(
        **ASK, extra_body={"return_token_ids": True}
    )
    assert "return_token_ids" not in fake.requests[-1]
    assert PHRASE not in raw.text
    assert "-1.0" not in raw.text
    assert "[1, 2]" not in raw.text
    assert json.loads(raw.text)["speed"] == 7


def test_embeddings_are_closed(proxy: Running, client: OpenAI, fake: Upstream) -> None:
    before = len(fake.requests)
    with pytest.raises(openai.PermissionDeniedError):
        client.embeddings.create(model="m", input="x")
    assert len(fake.requests) == before
    assert bodies(proxy, "embeddings")[-1]["action"] == "refuse"


def test_a_key_opens_its_models_only(proxy: Running, fake: Upstream) -> None:
    fake.answers(CLEAN)
    narrow = OpenAI(
        base_url=f"{proxy.url}/v1", api_key=proxy.key(Scope.PROXY, models=("m",)), max_retries=0
    )
    assert narrow.chat.completions.create(**ASK).choices[0].message.content == CLEAN
    for more in ({"models": ["m", "other"]}, {"fallbacks": [{"model": "other"}]}):
        with pytest.raises(openai.PermissionDeniedError):
            narrow.chat.completions.create(**ASK, extra_body=more)
    with pytest.raises(openai.PermissionDeniedError):
        narrow.responses.create(model="other", input="x")
    assert bodies(proxy, "responses")[-1]["reason"] == "model"


def test_tokens_are_counted(proxy: Running, fake: Upstream) -> None:
    fake.answers(CLEAN)
    few = Limits(tokens=Rate(5, seconds=3600))
    limited = OpenAI(
        base_url=f"{proxy.url}/v1", api_key=proxy.key(Scope.PROXY, limits=few), max_retries=0
    )
    stream = limited.chat.completions.create(**ASK, stream=True)
    assert "".join(c.choices[0].delta.content or "" for c in stream if c.choices) == CLEAN
    with pytest.raises(openai.RateLimitError):
        limited.chat.completions.create(**ASK)


def test_only_what_the_user_said_counts_as_prompt(
    proxy: Running, client: OpenAI, fake: Upstream
) -> None:
    fake.answers(CLEAN)
    client.chat.completions.create(
        model="m",
        messages=[
            {"role": "system", "content": SECRET},
            {"role": "user", "content": [{"type": "text", "text": "One"}]},
            {"role": "assistant", "content": SECRET},
            {"role": "user", "content": "Two!"},
        ],
    )
    assert bodies(proxy, "chat")[-1]["prompt_chars"] == 7


# --- the model server fails


def streamed(client: OpenAI, **options: Any) -> str:
    """What came before the stream broke off, as it stood on the wire."""
    asked = {**ASK, "stream": True, **options}
    with client.with_streaming_response.chat.completions.create(**asked) as response:
        return str(response.read(), "utf-8")


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(
    "parts",
    [
        [b"data: {tru"],
        [b"data: not json\n\n", chunk("more", "stop"), b"data: [DONE]\n\n"],
        [b'data: "text"\n\n'],
        [b"data: " + b"[" * 100_000 + b"\n\n"],
        [b'data: {"type": "response.output_text.delta", "delta": "%s"}\n\n' % PHRASE.encode()],
        [b'data: {"error": {"message": "at http://10.0.0.7 with sk-upstream-0123456789"}}\n\n'],
        [b"data: " + b"x" * 50_000] * 5,
        [b"\xff\xfe\x00"],
        [b'data: {"choices": [{"index": [1], "delta": {"content": "x"}}]}\n\n'],
    ],
    ids=[
        "dies",
        "malformed",
        "string",
        "deep",
        "other",
        "error",
        "endless",
        "binary",
        "shape",
    ],
)
def test_a_stream_that_goes_wrong_ends_with_an_error(
    proxy: Running, client: OpenAI, fake: Upstream, parts: list[bytes], chunked: bool
) -> None:
    start = f"{CLEAN} It is called {PHRASE[:-1]}"  # what waits when it happens
    fake.script = lambda handler: events(handler, chunk(start), *parts, chunked=chunked)
    raw = streamed(client)
    assert raw.count("event: ") == 0
    *before, last = raw.strip().split("\n\n")
    assert json.loads(last.removeprefix("data: "))["error"]["code"] == "upstream_error"
    assert "[DONE]" not in raw
    assert "Copper" not in raw
    assert "sk-upstream" not in raw
    assert "10.0.0.7" not in raw
    text = "".join(
        json.loads(line.removeprefix("data: "))["choices"][0]["delta"].get("content") or ""
        for line in before
    )
    assert BEFORE.startswith(text)
    assert bodies(proxy, "chat")[-1]["ended"] == "cut"
    stream = client.chat.completions.create(**ASK, stream=True)
    with pytest.raises(openai.APIError):
        list(stream)


@pytest.mark.parametrize(
    "hidden",
    [
        chunk("", message={"content": PHRASE}),
        chunk("", text=PHRASE),
        chunk("", stop_reason=PHRASE),
        chunk("", logprobs={"content": [{"token": PHRASE, "logprob": -1.0}]}),
        chunk("", token_ids=[7]),
        b'data: {"choices": [{"index": 0, "delta": "%s"}]}\n\n' % PHRASE.encode(),
        b"event: " + PHRASE.encode() + b"\nid: " + PHRASE.encode() + b"\n" + chunk("x"),
        b": " + PHRASE.encode() + b"\n\n",
        chunk("x").replace(b'"id": "c"', b'"id": "c", "note": "%s"' % PHRASE.encode()),
        chunk("").replace(b'"delta": {', b'"delta": {"audio": {"data": "UUFB"}, '),
        chunk("").replace(
            b'"delta": {',
            b'"delta": {"tool_calls": [{"index": 0, "function": {"name": "Operation Copper "}}], ',
        )
        + chunk("").replace(
            b'"delta": {',
            b'"delta": {"tool_calls": [{"index": 0, "function": {"name": "Heron 9"}}], ',
        ),
    ],
)
def test_nothing_hides_beside_the_text(client: OpenAI, fake: Upstream, hidden: bytes) -> None:
    parts = (chunk("One"), hidden, chunk(" two", "stop"), b"data: [DONE]\n\n")
    fake.script = lambda handler: events(handler, *parts)
    raw = streamed(client)
    for word in ("Copper", "Heron", "UUFB", "[7]", "-1.0"):
        assert word not in raw
    assert raw.endswith("data: [DONE]\n\n")


def test_a_slow_model_server(client: OpenAI, fake: Upstream) -> None:
    fake.script = lambda handler: events(handler, chunk("One two three"), 1.5, chunk("", "stop"))
    raw = streamed(client, model="hasty")
    assert json.loads(raw.strip().split("data: ")[-1])["error"]["type"] == "server_error"
    fake.script = lambda handler: time.sleep(1.5)
    with pytest.raises(openai.InternalServerError) as raised:
        client.chat.completions.create(**{**ASK, "model": "hasty"})
    assert raised.value.status_code == 504


@pytest.mark.parametrize(
    ("status", "body", "seen", "said"),
    [
        (400, {"error": {"message": "too long", "code": "length", "param": "n"}}, 400, "too long"),
        (404, {"error": {"message": "no such model"}}, 404, "no such model"),
        (400, {"error": {"message": f"failed: {PHRASE}"}}, 400, "refuses the request"),
        (400, {"error": {"message": f"key {UPSTREAM_KEY}"}}, 400, "refuses the request"),
        (429, {"error": {"message": "slow down"}}, 429, "slow down"),
        (401, {"error": {"message": f"bad key {UPSTREAM_KEY}"}}, 502, "key"),
        (500, {"error": {"message": "stack trace"}}, 500, "failed"),
        (418, b"teapot", 502, "failed"),
        (302, b"", 502, "failed"),
        (400, b"[" * 50_000, 400, "refuses the request"),
        (200, b"[" * 50_000, 502, "cannot be filtered"),
        (200, {"choices": "none"}, 502, "cannot be filtered"),
        (200, {"choices": [PHRASE]}, 502, "cannot be filtered"),
        (200, {"answer": PHRASE}, 502, "cannot be filtered"),
        (200, {"choices": [], "more": "x" * 200_000}, 502, "too large"),
    ],
)
def test_errors_of_the_model_server(
    client: OpenAI, fake: Upstream, status: int, body: Any, seen: int, said: str
) -> None:
    fake.script = lambda handler: send(handler, status, body, location=fake.url, retry_after="7")
    with pytest.raises(openai.APIStatusError) as raised:
        client.chat.completions.create(**ASK)
    assert raised.value.status_code == seen
    assert said in str(raised.value)
    for word in ("Copper", UPSTREAM_KEY, "teapot", "trace"):
        assert word not in raised.value.response.text
    assert set(raised.value.response.json()) == {"error"}
    if seen == 429:
        assert raised.value.response.headers["retry-after"] == "7"


@pytest.mark.parametrize("headers", [{"content_encoding": "gzip"}, {"content_type": "text/plain"}])
def test_what_cannot_be_read_is_not_passed_on(
    client: OpenAI, fake: Upstream, headers: dict[str, str]
) -> None:
    fake.script = lambda handler: send(handler, 200, PHRASE.encode(), **headers)
    with pytest.raises(openai.InternalServerError):
        client.chat.completions.create(**ASK)


def test_nobody_there(client: OpenAI) -> None:
    with pytest.raises(openai.InternalServerError) as raised:
        client.chat.completions.create(**{**ASK, "model": "away"})
    assert raised.value.status_code == 502
    assert "127.0.0.1" not in raised.value.response.text


def test_a_client_that_goes_away_ends_the_request_of_the_model_server(
    proxy: Running, client: OpenAI, fake: Upstream
) -> None:
    broken = threading.Event()

    def script(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("content-type", "text/event-stream")
        handler.end_headers()
        try:
            for _ in range(3000):
                handler.wfile.write(chunk(CLEAN + " "))
                time.sleep(0.01)
        except (BrokenPipeError, ConnectionResetError):
            broken.set()

    fake.script = script
    with client.chat.completions.create(**ASK, stream=True) as stream:
        next(iter(stream))
    assert broken.wait(30)
    end = time.monotonic() + 30
    while bodies(proxy, "chat")[-1]["ended"] != "gone":
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_client_that_does_not_read_holds_up_the_model_server(
    proxy: Running, key: str, fake: Upstream
) -> None:
    held_up = threading.Event()

    def script(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("content-type", "text/event-stream")
        handler.end_headers()
        handler.connection.settimeout(2)
        data = b'data: {"choices": [], "pad": [' + b"0," * 20_000 + b"0]}\n\n"
        try:
            for _ in range(2000):  # 80 MB: more than the buffers of all sockets between
                handler.wfile.write(data)
        except TimeoutError:
            held_up.set()
        except OSError:
            pass

    fake.script = script
    with socket.create_connection(("127.0.0.1", proxy.port)) as slow:
        body = json.dumps({**ASK, "stream": True})
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n"
        slow.sendall(f"{head}content-length: {len(body)}\r\n\r\n{body}".encode())
        assert held_up.wait(60)


# --- nothing leaves without a record


@contextmanager
def lock_at_first(proxy: Running, came: list[str], locked: threading.Event) -> Iterator[None]:
    """From the first text that came on, nothing can be written to the database."""
    over = threading.Event()

    def lock() -> None:
        while not came and not over.wait(0.01):
            pass
        with proxy.database.write() as connection:
            locked.set()
            over.wait(60)
            connection.rollback()

    thread = threading.Thread(target=lock)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_without_a_record_nothing_leaves(proxy: Running, client: OpenAI, fake: Upstream) -> None:
    locked = threading.Event()

    def script(handler: BaseHTTPRequestHandler) -> None:
        events(handler, chunk(f"{CLEAN} " * 12))
        locked.wait(60)
        handler.wfile.write(chunk("Unrecorded end.", "stop") + b"data: [DONE]\n\n")

    fake.script = script
    came: list[str] = []

    def read() -> None:
        for piece in client.chat.completions.create(**ASK, stream=True):
            came.append(piece.choices[0].delta.content or "")

    with pytest.raises(openai.APIError), lock_at_first(proxy, came, locked):
        read()
    assert CLEAN.startswith("".join(came)[:60])
    assert "Unrecorded" not in "".join(came)
