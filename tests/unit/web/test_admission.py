"""Who is let in: bounded in number and in bytes, before a byte of the body is read."""

from __future__ import annotations

import asyncio

import pytest
from starlette.types import Message, Receive, Scope, Send

from shared.errors import Problem
from shared.web.admission import Admission, Limits

MOST = 100
LINES = "application/x-ndjson"


class Inner:
    """Holds every request until it is let go."""

    def __init__(self) -> None:
        self.inside = 0
        self.go = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.inside += 1
        try:
            await self.go.wait()
        finally:
            self.inside -= 1


async def never_read() -> Message:
    raise AssertionError("the body of a request was read before it was let in")


async def unsent(_message: Message) -> None:
    raise AssertionError("the middleware answers nothing itself")


def request(size: int | None = 0, *, method: str = "POST", path: str = "/v1/events") -> Scope:
    headers = [] if size is None else [(b"content-length", str(size).encode())]
    return {"type": "http", "method": method, "path": path, "headers": headers}


def stream(path: str = "/v1/events") -> Scope:
    return {**request(None, path=path), "headers": [(b"content-type", LINES.encode() + b"; charset=utf-8")]}


async def entering(admission: Admission, scope: Scope) -> asyncio.Task[None]:
    task = asyncio.ensure_future(admission(scope, never_read, unsent))
    await asyncio.sleep(0)
    return task


def made(requests: int = 2, body_bytes: int = 250) -> tuple[Inner, Admission]:
    inner = Inner()
    limits = Limits(requests, body_bytes, streams=2)
    return inner, Admission(inner, limits=limits, most=MOST, streamed={"/v1/events": LINES})


async def test_one_request_too_many_is_refused_and_the_next_comes_in_when_one_has_left() -> None:
    inner, admission = made()
    tasks = [await entering(admission, request()) for _ in range(2)]
    with pytest.raises(Problem) as refused:
        await admission(request(), never_read, unsent)
    assert refused.value.code == "too_many_requests"
    inner.go.set()
    await asyncio.gather(*tasks)
    await admission(request(), never_read, unsent)


@pytest.mark.parametrize(("first", "second", "comes_in"), [(100, 50, True), (100, 51, False), (51, None, False)])
async def test_bodies_together_stay_below_the_limit(first: int, second: int | None, comes_in: bool) -> None:
    """A body whose length is not told counts as the longest; seen to fail: it counted as nothing."""
    inner, admission = made(requests=9, body_bytes=150)
    tasks = [await entering(admission, request(size)) for size in (first, second)]
    assert inner.inside == (2 if comes_in else 1)
    inner.go.set()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(each) for each in done] == [type(None), type(None) if comes_in else Problem]


async def test_a_body_that_is_refused_for_its_length_takes_no_more_than_the_longest() -> None:
    inner, admission = made(body_bytes=250)
    tasks = [await entering(admission, request(10**15)) for _ in range(2)]
    assert inner.inside == 2
    inner.go.set()
    await asyncio.gather(*tasks)


@pytest.mark.parametrize("length", [b"-5", b"many", b"9" * 30, "٣".encode()])
async def test_a_length_that_is_none_counts_as_the_longest(length: bytes) -> None:
    inner, admission = made(requests=9, body_bytes=150)
    tasks = [await entering(admission, {**request(), "headers": [(b"content-length", length)]}) for _ in range(2)]
    assert inner.inside == 1
    inner.go.set()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_one_body_larger_than_all_together_is_let_in_alone() -> None:
    inner, admission = made(body_bytes=10)
    tasks = [await entering(admission, request(60)) for _ in range(2)]
    assert inner.inside == 1
    inner.go.set()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_streams_have_places_of_their_own_and_shut_nobody_else_out() -> None:
    """Seen to fail with a stream counted as a request: the stop was refused."""
    inner, admission = made()
    tasks = [await entering(admission, stream()) for _ in range(2)]
    with pytest.raises(Problem) as refused:
        await admission(stream(), never_read, unsent)
    assert refused.value.code == "too_many_requests"
    tasks += [await entering(admission, request(MOST)) for _ in range(2)]
    assert inner.inside == 4
    with pytest.raises(Problem):
        await admission(request(), never_read, unsent)
    inner.go.set()
    await asyncio.gather(*tasks)
    await admission(stream(), never_read, unsent)


async def test_what_no_route_reads_as_a_stream_is_none() -> None:
    inner, admission = made()
    tasks = [await entering(admission, stream("/v1/others")) for _ in range(2)]
    with pytest.raises(Problem):
        await admission(request(), never_read, unsent)
    inner.go.set()
    await asyncio.gather(*tasks)


async def test_probes_come_in_whatever_goes_on() -> None:
    inner, admission = made(requests=1)
    tasks = [await entering(admission, request()), await entering(admission, request(path="/readyz", method="GET"))]
    assert inner.inside == 2
    inner.go.set()
    await asyncio.gather(*tasks)


async def test_a_request_that_fails_gives_its_place_back() -> None:
    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        raise ConnectionError

    admission = Admission(failing, limits=Limits(1, 100), most=MOST)
    for _ in range(3):
        with pytest.raises(ConnectionError):
            await admission(request(100), never_read, unsent)
