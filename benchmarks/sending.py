"""The card system of a run: posts prepared batches to intake, as fast as it answers or at a given rate."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator, Sequence

import httpx

IN_FLIGHT = 4
LINES_TYPE = "application/x-ndjson"
_ACCEPTED = b'"outcome":"accepted"'
_TIMEOUT = httpx.Timeout(60.0)


class Refused(Exception):
    """Intake did not take a batch."""


async def post_all(
    urls: Sequence[str], bodies: Iterable[bytes], headers: dict[str, str], in_flight: int = IN_FLIGHT
) -> None:
    """Post all bodies, some at a time, to the replicas in turn.

    Raises:
        Refused: a batch was not taken.
    """
    waiting = iter(enumerate(bodies))
    async with httpx.AsyncClient(timeout=_TIMEOUT, headers=headers) as client:
        await asyncio.gather(*(_post_rest(client, urls, waiting) for _ in range(in_flight)))


async def _post_rest(client: httpx.AsyncClient, urls: Sequence[str], waiting: Iterator[tuple[int, bytes]]) -> None:
    for number, body in waiting:
        await _post(client, urls[number % len(urls)], body)


async def _post(client: httpx.AsyncClient, url: str, body: bytes) -> None:
    answer = await client.post(url, content=body)
    if not _is_taken(answer, body):
        raise Refused(f"{url} answered {answer.status_code}: {answer.text[:300]}")


def _is_taken(answer: httpx.Response, body: bytes) -> bool:
    """Tell whether every event was taken: a batch as a whole says so, of lines each does."""
    if answer.headers.get("content-type", "").startswith(LINES_TYPE):
        return answer.content.count(_ACCEPTED) == body.count(b"\n")
    return answer.status_code == 202


async def post_paced(
    url: str, batches: Sequence[tuple[bytes, Sequence[str]]], headers: dict[str, str], every: float
) -> dict[str, float]:
    """Post one batch each `every` seconds; return when each key was accepted, on the monotonic clock.

    Raises:
        Refused: a batch was not taken.
    """
    accepted: dict[str, float] = {}
    async with httpx.AsyncClient(timeout=_TIMEOUT, headers=headers) as client, asyncio.TaskGroup() as group:

        async def one(body: bytes, keys: Sequence[str]) -> None:
            await _post(client, url, body)
            accepted.update(dict.fromkeys(keys, time.monotonic()))

        start = time.monotonic()
        for number, (body, keys) in enumerate(batches):
            await asyncio.sleep(max(start + number * every - time.monotonic(), 0))
            group.create_task(one(body, keys))
    return accepted
