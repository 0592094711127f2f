"""The proxy on real sockets: each mode does to a connection what its name says, and passing again mends it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
import pytest_asyncio

from tests.proxy import HOST, Link

LONG = 5.0
"""Seconds after which something that must happen has not happened."""
SHORT = 0.1
"""Seconds in which something that must not happen would have happened."""


@dataclass
class Echo:
    """A server that answers each line with itself, and remembers what arrived."""

    port: int = 0
    arrived: list[bytes] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                self.arrived.append(line)
                self.news.set()
                writer.write(line)
                await writer.drain()
        except ConnectionError:
            return
        finally:
            writer.close()

    async def got(self, line: bytes) -> None:
        async with asyncio.timeout(LONG):
            while line not in self.arrived:
                self.news.clear()
                await self.news.wait()


@dataclass
class Caller:
    """A client's end of one connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def say(self, line: bytes) -> None:
        self.writer.write(line)
        await self.writer.drain()

    async def hears(self) -> bytes:
        return await asyncio.wait_for(self.reader.readline(), LONG)

    async def hears_nothing(self) -> bool:
        try:
            await asyncio.wait_for(self.reader.readline(), SHORT)
        except TimeoutError:
            return True
        return False

    async def is_reset(self) -> bool:
        try:
            async with asyncio.timeout(LONG):
                while await self.reader.read(1):
                    continue
        except ConnectionResetError:
            return True
        return False


@pytest_asyncio.fixture
async def echo() -> AsyncIterator[Echo]:
    echo = Echo()
    server = await asyncio.start_server(echo.serve, HOST, 0)
    echo.port = server.sockets[0].getsockname()[1]
    yield echo
    server.close()


@pytest_asyncio.fixture
async def link(echo: Echo) -> AsyncIterator[Link]:
    link = Link("echo", 0, echo.port)
    await link.start()
    yield link
    await link.stop()


Call = Callable[[Link], Awaitable[Caller]]


@pytest_asyncio.fixture
async def call() -> AsyncIterator[Call]:
    callers: list[Caller] = []

    async def connect(link: Link) -> Caller:
        callers.append(Caller(*await asyncio.open_connection(HOST, link.port)))
        return callers[-1]

    yield connect
    for caller in callers:
        caller.writer.close()
        with suppress(OSError):
            await caller.writer.wait_closed()


async def test_pass_carries_bytes_both_ways_and_the_orderly_end(call: Call, link: Link) -> None:
    caller = await call(link)
    await caller.say(b"one\n")
    assert await caller.hears() == b"one\n"
    caller.writer.write_eof()
    assert await asyncio.wait_for(caller.reader.read(), LONG) == b""


async def test_pass_carries_more_than_a_buffer_in_order(call: Call, link: Link, echo: Echo) -> None:
    caller = await call(link)
    lines = [b"%06d %s\n" % (number, b"x" * 900) for number in range(2_000)]
    sending = asyncio.create_task(caller.say(b"".join(lines)))
    assert [await caller.hears() for _ in lines] == lines
    await sending
    assert echo.arrived == lines


async def test_cut_resets_what_is_open_and_refuses_what_is_new(call: Call, link: Link) -> None:
    caller = await call(link)
    await caller.say(b"one\n")
    assert await caller.hears() == b"one\n"
    await link.set("cut")
    assert await caller.is_reset()
    with pytest.raises(ConnectionRefusedError):
        await call(link)


async def test_after_a_cut_the_same_port_takes_connections_again(call: Call, link: Link) -> None:
    port = link.port
    await link.set("cut")
    await link.set("pass")
    caller = await call(link)
    await caller.say(b"two\n")
    assert (await caller.hears(), link.port) == (b"two\n", port)


async def test_black_hole_accepts_and_swallows_and_ends_with_a_reset(call: Call, link: Link, echo: Echo) -> None:
    old = await call(link)
    await old.say(b"one\n")
    assert await old.hears() == b"one\n"
    await link.set("black_hole")
    new = await call(link)
    for caller in (old, new):
        await caller.say(b"lost\n")
        assert await caller.hears_nothing()
    assert echo.arrived == [b"one\n"]
    await link.set("pass")
    assert await old.is_reset()
    assert await new.is_reset()
    assert echo.arrived == [b"one\n"], "bytes that were swallowed never arrive"


async def test_a_connection_that_was_silent_in_the_black_hole_goes_on(call: Call, link: Link) -> None:
    caller = await call(link)
    await caller.say(b"one\n")
    assert await caller.hears() == b"one\n"
    await link.set("black_hole")
    await link.set("pass")
    await caller.say(b"two\n")
    assert await caller.hears() == b"two\n"


async def test_drop_responses_lets_the_request_take_effect_and_swallows_the_answer(
    call: Call, link: Link, echo: Echo
) -> None:
    caller = await call(link)
    await link.set("drop_responses")
    await caller.say(b"commit\n")
    await echo.got(b"commit\n")
    assert await caller.hears_nothing()
    await caller.say(b"again\n")
    await echo.got(b"again\n")
    await link.set("pass")
    assert await caller.is_reset(), "an answer that was lost does not come late"


async def test_the_answer_to_one_request_is_lost_after_it_took_effect_and_only_that_connection_is_cut_off(
    call: Call, link: Link, echo: Echo
) -> None:
    struck, other = await call(link), await call(link)
    lost = link.lose_answer(b"commit")
    await other.say(b"begin\n")
    assert await other.hears() == b"begin\n"
    await struck.say(b"commit\n")
    assert await struck.is_reset()
    assert lost.is_set()
    assert echo.arrived == [b"begin\n", b"commit\n"]
    await other.say(b"commit\n")
    assert await other.hears() == b"commit\n", "once"


async def test_the_answer_to_one_request_is_held_back_and_its_client_waits(call: Call, link: Link) -> None:
    caller = await call(link)
    held = link.hold_answer(b"commit")
    await caller.say(b"commit\n")
    await asyncio.wait_for(held.wait(), LONG)
    assert await caller.hears_nothing()
    await link.set("pass")
    assert await caller.is_reset(), "an answer that was held does not come late"


async def test_delay_keeps_the_order_and_loses_nothing(call: Call, link: Link) -> None:
    caller = await call(link)
    await link.set("delay", 0.02)
    for number in range(5):
        await caller.say(b"%d\n" % number)
    assert [await caller.hears() for _ in range(5)] == [b"%d\n" % number for number in range(5)]


async def test_delay_holds_the_answer_back(call: Call, link: Link) -> None:
    caller = await call(link)
    await link.set("delay", 3 * SHORT)
    await caller.say(b"late\n")
    assert await caller.hears_nothing()


async def test_a_server_that_is_gone_resets_the_client(call: Call) -> None:
    gone = Link("gone", 0, 1)
    await gone.start()
    try:
        assert await (await call(gone)).is_reset()
    finally:
        await gone.stop()
