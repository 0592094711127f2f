"""The least that intake can be: decode a batch, store it packed, answer.

    BENCH_DATABASE_URL=… uvicorn --loop asyncio --lifespan on benchmarks.floor_intake:app

What is accepted is durable, in one packed row a request. Nothing is checked beyond its types, and no token is asked
for.
"""

from __future__ import annotations

import os
from typing import Any

import asyncpg
import msgspec
from starlette.types import Message, Receive, Scope, Send

from benchmarks.floor_hop import Snapshot

SCHEMA = """
CREATE TABLE IF NOT EXISTS taken (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, count integer, body bytea);
ALTER TABLE taken ALTER COLUMN body SET STORAGE EXTERNAL;
"""


class Event(msgspec.Struct, gc=False):
    """A CloudEvent from the card system."""

    id: str
    source: str
    type: str
    time: str
    data: Snapshot


_decode = msgspec.json.Decoder(list[Event]).decode
_pack = msgspec.msgpack.Encoder().encode
_state: dict[str, Any] = {}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one request, or start and stop."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    body, more = bytearray(), True
    while more:
        message: Message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    if body:
        taken = _decode(body)
        async with _state["pool"].acquire(timeout=10) as connection:
            await connection.execute("INSERT INTO taken (count, body) VALUES ($1, $2)", len(taken), _pack(taken))
    await send({"type": "http.response.start", "status": 202, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def _lifespan(receive: Receive, send: Send) -> None:
    await receive()
    _state["pool"] = await asyncpg.create_pool(os.environ["BENCH_DATABASE_URL"], min_size=1, max_size=4)
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await _state["pool"].close()
    await send({"type": "lifespan.shutdown.complete"})
