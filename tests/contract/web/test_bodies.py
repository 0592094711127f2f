from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

LIMIT = 65_536
JSON = {"content-type": "application/json"}
GOOD = b'{"until":"2026-02-27T18:00:00+08:00","amount":3,"reason":"x"}'


async def post(
    http: httpx.AsyncClient, path: str, body: bytes | AsyncIterator[bytes], headers: dict[str, str]
) -> httpx.Response:
    return await http.post(path, content=body, headers={**JSON, **headers})


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        (b"", 422, "invalid_fields", "body"),
        (b"{", 400, "malformed_body", "body"),
        (b'{"a":1,"a":2}', 400, "malformed_body", "a"),
        (b'{"amount":NaN}', 400, "malformed_body", "amount"),
        (b'{"amount":1e999}', 400, "malformed_body", "amount"),
        (b'{"amount":' + b"9" * 30 + b"}", 400, "malformed_body", "amount"),
        (b'{"reason":"\\u0000"}', 400, "malformed_body", "reason"),
        (b'{"reason":"\\ud800"}', 400, "malformed_body", "reason"),
        (b'{"reason":"\xff"}', 400, "malformed_body", "body"),
        (b"[" * 2000, 400, "malformed_body", "body"),
        (b"null", 422, "invalid_fields", "body"),
        (b"[]", 422, "invalid_fields", "body"),
        (b'"text"', 422, "invalid_fields", "body"),
        (b"{}", 422, "invalid_fields", "until"),
        (GOOD.replace(b"+08:00", b""), 422, "invalid_fields", "until"),
        (GOOD.replace(b":3", b":-3"), 422, "invalid_fields", "amount"),
        (GOOD.replace(b":3", b":300"), 422, "invalid_fields", "amount"),
        (GOOD.replace(b":3", b":3.5"), 422, "invalid_fields", "amount"),
        (GOOD.replace(b'"x"', b'"%s"' % (b"x" * 21)), 422, "invalid_fields", "reason"),
        (GOOD.replace(b"{", b'{"other":1,', 1), 422, "invalid_fields", "other"),
    ],
)
async def test_a_wrong_body_is_a_problem_with_field_fault_and_remedy(
    http: httpx.AsyncClient, supervisor: dict[str, str], body: bytes, status: int, code: str, field: str
) -> None:
    answer = await post(http, "/v1/extensions", body, supervisor)
    members = answer.json()
    assert (answer.status_code, members["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert members["type"] == f"/problems/{code}"
    assert (await http.get(members["type"])).status_code == 200
    first = members["errors"][0]
    assert first["field"].startswith(field)
    assert all(first[name] for name in ("fault", "fault_en", "remedy", "remedy_en"))


async def test_a_good_body_passes_unchanged(http: httpx.AsyncClient, supervisor: dict[str, str]) -> None:
    answer = await post(http, "/v1/extensions", GOOD, supervisor)
    assert (answer.status_code, answer.json()) == (201, {"amount": 3})


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (b"[]", 202, None),
        (b'[{"id":"018f0000-0000-7000-8000-000000000000","amount":1}]', 202, None),
        (b'[{"id":"018f0000-0000-7000-8000-000000000000","amount":-1}]', 422, "[0].amount"),
        (b'[{"id":"x","amount":1}]', 422, "[0].id"),
        (b'[{"amount":1}]', 422, "[0].id"),
        (b'[{"id":"x","id":"y"}]', 400, "[0].id"),
        (b"{}", 422, "body"),
    ],
)
async def test_a_body_that_msgspec_decodes_has_the_same_problems(
    http: httpx.AsyncClient, supervisor: dict[str, str], body: bytes, status: int, field: str | None
) -> None:
    answer = await post(http, "/v1/events", body, supervisor)
    assert answer.status_code == status
    assert field is None or answer.json()["errors"][0]["field"] == field


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": ""},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "application/cloudevents+avro"},
        {"content-type": "application/json; charset=gb18030"},
        {"content-type": "application/json", "content-encoding": "gzip"},
        {"content-type": "multipart/form-data; boundary=x"},
        {"content-type": "nonsense"},
    ],
)
async def test_a_body_of_another_kind_is_415(
    http: httpx.AsyncClient, supervisor: dict[str, str], headers: dict[str, str]
) -> None:
    answer = await http.post("/v1/extensions", content=GOOD, headers={**supervisor, **headers})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    "kind", ["application/json; charset=UTF-8", "Application/JSON", "application/cloudevents-batch+json"]
)
async def test_json_under_any_of_its_names_passes(
    http: httpx.AsyncClient, supervisor: dict[str, str], kind: str
) -> None:
    answer = await http.post("/v1/extensions", content=GOOD, headers={**supervisor, "content-type": kind})
    assert answer.status_code == 201


async def test_a_long_body_is_413_with_the_limit(http: httpx.AsyncClient, supervisor: dict[str, str]) -> None:
    answer = await post(http, "/v1/extensions", b" " * (LIMIT + 1), supervisor)
    assert (answer.status_code, answer.json()["limit_bytes"]) == (413, LIMIT)
    assert (await post(http, "/v1/extensions", GOOD + b" " * (LIMIT - len(GOOD)), supervisor)).status_code == 201


async def raw(app: FastAPI, headers: dict[str, str], chunks: AsyncIterator[bytes]) -> tuple[int, int]:
    """Send a body in chunks as a server hands them on; returns the status and the bytes that were taken."""
    taken, sent = 0, []

    async def receive() -> dict[str, Any]:
        nonlocal taken
        try:
            chunk = await anext(chunks)
        except StopAsyncIteration:
            return {"type": "http.request", "body": b"", "more_body": False}
        taken += len(chunk)
        return {"type": "http.request", "body": chunk, "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/v1/extensions",
        "raw_path": b"/v1/extensions",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in {**JSON, **headers}.items()],
    }
    await app(scope, receive, send)
    return sent[0]["status"], taken


async def unread() -> AsyncIterator[bytes]:
    """Give a byte to whoever reads; the tests see that nobody has."""
    yield b"x"


async def test_a_chunked_body_is_read_no_further_than_the_limit(app: FastAPI, supervisor: dict[str, str]) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 1000

    status, taken = await raw(app, supervisor, endless())
    assert status == 413
    assert LIMIT < taken <= LIMIT + 1000


async def test_a_chunked_body_within_the_limit_passes(app: FastAPI, supervisor: dict[str, str]) -> None:
    async def bytewise() -> AsyncIterator[bytes]:
        for byte in GOOD:
            yield bytes([byte])

    assert await raw(app, supervisor, bytewise()) == (201, len(GOOD))


async def test_a_declared_length_over_the_limit_is_refused_before_a_byte_is_read(
    app: FastAPI, supervisor: dict[str, str]
) -> None:
    assert await raw(app, {**supervisor, "content-length": str(LIMIT + 1)}, unread()) == (413, 0)


async def test_without_a_token_no_byte_of_the_body_is_read(app: FastAPI) -> None:
    assert await raw(app, {}, unread()) == (401, 0)


@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 428), ({"idempotency-key": ""}, 422), ({"idempotency-key": "x" * 201}, 422), ({"idempotency-key": "k"}, 201)],
)
async def test_a_command_needs_a_key(
    http: httpx.AsyncClient, supervisor: dict[str, str], headers: dict[str, str], status: int
) -> None:
    assert (await post(http, "/v1/commands", b"{}", {**supervisor, **headers})).status_code == status


async def test_a_commands_hash_tells_contents_apart_and_nothing_else(
    http: httpx.AsyncClient, supervisor: dict[str, str]
) -> None:
    keyed = {**supervisor, "idempotency-key": "k"}
    hashes = [(await post(http, path, body, keyed)).json()["hash"] for path, body in SENT]
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == 3


SENT = [
    ("/v1/commands", b'{"a":1}'),
    ("/v1/commands", b'{"a":1}'),
    ("/v1/commands", b'{"a":2}'),
    ("/v1/commands?x=1", b'{"a":1}'),
]

PIECES = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    '"until"',
    '"amount"',
    '"2026-02-27T18:00:00Z"',
    "1",
    "-1e5",
    "NaN",
    "\x00",
    "é",
]


@given(st.lists(st.sampled_from(PIECES), max_size=12), st.sampled_from(["/v1/extensions", "/v1/events"]))
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
async def test_no_body_is_ever_a_500(
    http: httpx.AsyncClient, supervisor: dict[str, str], pieces: list[str], path: str
) -> None:
    answer = await post(http, path, "".join(pieces).encode(), supervisor)
    assert answer.status_code in {201, 202, 400, 422}
