"""A TCP proxy before PostgreSQL that can lose the answer to a COMMIT, or hold it back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

_COMMIT = b"COMMIT;"


class Proxy:
    """Passes everything on, until `lose` or `hold` is set: that befalls the answer to the next COMMIT.

    `seen` is set when that COMMIT has gone to the server.
    """

    def __init__(self, host: str, port: int) -> None:
        self._to = host, port
        self._tasks: set[asyncio.Task[None]] = set()
        self.lose = False
        self.hold = False
        self.seen = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client."""
        server_reader, server_writer = await asyncio.open_connection(*self._to)
        mute = asyncio.Event()
        self._spawn(self._answers(server_reader, writer, mute))
        try:
            while data := await reader.read(65536):
                losing, holding = (self.lose, self.hold) if _COMMIT in data else (False, False)
                if losing or holding:
                    mute.set()
                    self.lose = self.hold = False
                server_writer.write(data)
                await server_writer.drain()
                if losing or holding:
                    await asyncio.sleep(0.1)  # the server has it, and does it
                    self.seen.set()
                if losing:
                    break
        except ConnectionError:
            pass  # the client went away
        finally:
            writer.close()
            server_writer.close()

    async def _answers(self, server: asyncio.StreamReader, client: asyncio.StreamWriter, mute: asyncio.Event) -> None:
        try:
            while data := await server.read(65536):
                if not mute.is_set():
                    client.write(data)
                    await client.drain()
        except ConnectionError:
            return

    def _spawn(self, job: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(job)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


@asynccontextmanager
async def proxied(url: str) -> AsyncIterator[tuple[Proxy, str]]:
    """Run a proxy before the database at `url`; gives it, and the URL that leads through it."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    proxy = Proxy(parts.hostname, parts.port)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield proxy, url.replace(f":{parts.port}/", f":{port}/")
    finally:
        server.close()
        for task in list(proxy._tasks):
            task.cancel()
