"""A TCP proxy that misbehaves on command: what a network does to connections, without a network.

A link has one mode at a time, for all its connections:

- `pass`: bytes go through.
- `cut`: every connection is reset, new ones are refused.
- `black_hole`: connections are accepted, and whatever is sent is swallowed, both ways.
- `delay`: every piece arrives later, in order.
- `drop_responses`: what the client sends arrives, what the server answers is swallowed.

A connection that lost bytes cannot go on: it is reset as soon as its link passes again, never earlier.

The answer to one request alone can be lost as well, or held back: `lose_answer`, `hold_answer`.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

HOST = "127.0.0.1"
_CHUNK = 65_536

Mode = Literal["pass", "cut", "black_hole", "delay", "drop_responses"]
FAULTS: tuple[Mode, ...] = ("cut", "black_hole", "delay", "drop_responses")

Writers = list[asyncio.StreamWriter]


@dataclass(frozen=True)
class _Trap:
    """What befalls the answer to a request: the client waits for it for ever, or is cut off (`cuts`)."""

    request: bytes
    cuts: bool
    sprung: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(eq=False)
class _Pair:
    """One client's connection, with the connection to the server if there is one. `lost`: bytes are missing in it.

    `trap`: the request has gone to the server, its answer comes next.
    """

    writers: Writers = field(default_factory=list)
    lost: bool = False
    trap: _Trap | None = None

    def reset(self) -> None:
        """End both connections with a reset, so that each end sees an error and not an orderly end."""
        for writer in self.writers:
            _reset(writer)


class Link:
    """One port of this machine that leads to another one.

    Args:
        name: what it is called in a schedule and in a report.
        port: where clients connect; 0 takes any free one.
        target: the port of the server.
    """

    def __init__(self, name: str, port: int, target: int) -> None:
        self.name = name
        self.port = port
        self.mode: Mode = "pass"
        self._target = target
        self._delay = 0.0
        self._trap: _Trap | None = None
        self._pairs: set[_Pair] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._refusing: socket.socket | None = None

    async def start(self) -> None:
        """Listen."""
        await self._listen(_bound(self.port))

    async def stop(self) -> None:
        """Listen no longer, and reset what is open."""
        self._close_server()
        if self._refusing is not None:
            self._refusing.close()
        for pair in self._pairs:
            pair.reset()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def set(self, mode: Mode, delay: float = 0.0) -> None:
        """Change the mode. `delay`: seconds, of the mode `delay`."""
        before, self.mode, self._delay = self.mode, mode, delay
        if mode == "cut":
            self._refuse()
        elif before == "cut" and self._refusing is not None:
            bound, self._refusing = self._refusing, None
            await self._listen(bound)
        if mode in ("pass", "delay"):
            for pair in [pair for pair in self._pairs if pair.lost]:
                pair.reset()

    def lose_answer(self, request: bytes) -> asyncio.Event:
        """Cut the next connection off on which something with `request` in it is sent, when the server has answered.

        Returns what is set then.
        """
        return self._set_trap(_Trap(request, cuts=True))

    def hold_answer(self, request: bytes) -> asyncio.Event:
        """The same, but the client is not cut off: it waits."""
        return self._set_trap(_Trap(request, cuts=False))

    def _set_trap(self, trap: _Trap) -> asyncio.Event:
        self._trap = trap
        return trap.sprung

    async def _listen(self, bound: socket.socket) -> None:
        self._server = await asyncio.start_server(self._accept, sock=bound)
        self.port = bound.getsockname()[1]

    def _refuse(self) -> None:
        """A socket that is bound and does not listen keeps the port, and the kernel refuses for it."""
        if self._refusing is None:
            self._close_server()
            self._refusing = _bound(self.port)
        for pair in list(self._pairs):
            pair.reset()

    def _close_server(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pair = _Pair([writer])
        self._pairs.add(pair)
        try:
            if self.mode == "black_hole":
                pair.lost = True
                await _swallow(reader)
                return
            server_reader, server_writer = await asyncio.open_connection(HOST, self._target)
            pair.writers.append(server_writer)
            if self.mode == "cut":  # while the connection to the server was being made
                pair.reset()
                return
            await self._join(pair, (reader, server_writer), (server_reader, writer))
            for each in pair.writers:  # both ends are through: what is still under way arrives
                each.close()
        except OSError:
            pair.reset()  # one end is gone: the other one gets to know by the reset
        except asyncio.CancelledError:
            pair.reset()
            raise
        finally:
            self._pairs.discard(pair)

    async def _join(
        self,
        pair: _Pair,
        there: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        back: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        ways = [
            asyncio.create_task(self._pump(*there, pair, lambda piece: self._swallows_request(pair, piece))),
            asyncio.create_task(self._pump(*back, pair, lambda piece: self._swallows_answer(pair))),
        ]
        try:
            await asyncio.gather(*ways)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    def _swallows_request(self, pair: _Pair, piece: bytes) -> bool:
        if self._trap is not None and self._trap.request in piece:
            pair.trap, self._trap = self._trap, None
        return self.mode == "black_hole"

    def _swallows_answer(self, pair: _Pair) -> bool:
        if pair.trap is None:
            return self.mode in ("black_hole", "drop_responses")
        pair.trap.sprung.set()
        if pair.trap.cuts:
            pair.reset()
        return True

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        pair: _Pair,
        swallows: Callable[[bytes], bool],
    ) -> None:
        """One direction, until its sender ends or bytes of it are lost; an end is passed on like bytes."""
        lost = False
        while True:
            piece = await reader.read(_CHUNK)
            if self.mode == "delay":
                await asyncio.sleep(self._delay)
            if swallows(piece):
                lost = pair.lost = True
            elif not lost:
                if not piece:
                    break
                writer.write(piece)
                await writer.drain()
            if not piece:
                await asyncio.Event().wait()  # the end was swallowed too: the other side learns of it by the reset
        with contextlib.suppress(OSError):  # gone already
            writer.write_eof()


@asynccontextmanager
async def proxied(url: str) -> AsyncIterator[tuple[Link, str]]:
    """Run a link before the database at `url`; gives it, and the URL that leads through it."""
    parts = urlsplit(url)
    assert parts.port is not None
    link = Link("database", 0, parts.port)
    await link.start()
    try:
        yield link, url.replace(f":{parts.port}/", f":{link.port}/")
    finally:
        await link.stop()


async def _swallow(reader: asyncio.StreamReader) -> None:
    while await reader.read(_CHUNK):
        continue
    await asyncio.Event().wait()


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    if connection is not None and connection.fileno() >= 0:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def _bound(port: int) -> socket.socket:
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((HOST, port))
    bound.setblocking(False)
    return bound
