"""Readiness checks: what a client of the process would notice."""

import asyncio

from deploy.local.errors import NotReadyError
from deploy.local.process import Check

HOST = "127.0.0.1"


def tcp(port: int) -> Check:
    """Ready when something accepts connections on the port."""

    async def check() -> None:
        _, writer = await asyncio.open_connection(HOST, port)
        writer.close()
        await writer.wait_closed()

    return check


def http(port: int, path: str) -> Check:
    """Ready when `GET path` answers 200."""

    async def check() -> None:
        status = await http_status(port, path)
        if status != 200:
            raise NotReadyError(f"GET {path} answered {status}")

    return check


async def http_status(port: int, path: str) -> int:
    """The status code of one plain GET.

    Raises:
        OSError: nothing answers there.
        NotReadyError: the answer is not HTTP.
    """
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        words = (await reader.readline()).split()
    finally:
        writer.close()
    if len(words) < 2 or not words[1].isdigit():
        raise NotReadyError("no HTTP answer")
    return int(words[1])
