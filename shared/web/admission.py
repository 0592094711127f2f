"""Who comes in: so many requests and so many bytes of bodies at once, the rest is told when to come back.

A request is admitted before its body is read, and counts until it is answered. So what waits for the database is
bounded by what was admitted, however much is sent; who is refused has lost nothing, for nothing of it was taken.
Streams may stay for long, so they have places of their own and take none of the others'.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.errors import Problem
from shared.web.body import media_type
from shared.web.guard import PROTECTED

STREAMS_AT_ONCE = 4
"""Streams that are let in together; each needs the memory that its route states."""

_BODILESS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Limits:
    """At most so many `requests`, and so many `body_bytes` of their bodies, at once; beside them so many `streams`."""

    requests: int = 64
    body_bytes: int = 8 << 20
    streams: int = STREAMS_AT_ONCE


class Admission:
    """ASGI middleware that refuses with 429 what would be too much at once. `most`: bytes that one body may have.

    A body of which nobody knows how long it will be counts as one of the longest. `streamed`: {path: the media type
    that its route reads as a stream}.
    """

    def __init__(self, app: ASGIApp, *, limits: Limits, most: int, streamed: Mapping[str, str] | None = None) -> None:
        self._app = app
        self._limits = limits
        self._most = most
        self._streamed = streamed or {}
        self._requests = 0
        self._bytes = 0
        self._streams = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let in or refuse; raises `Problem` for the guard to answer."""
        if scope["type"] != "http" or not scope["path"].startswith(PROTECTED):
            await self._app(scope, receive, send)
            return
        if self._is_stream(scope):
            await self._stream(scope, receive, send)
            return
        size = self._size(scope)
        if self._requests >= self._limits.requests or (self._bytes and self._bytes + size > self._limits.body_bytes):
            raise _too_many()
        self._requests += 1
        self._bytes += size
        try:
            await self._app(scope, receive, send)
        finally:
            self._requests -= 1
            self._bytes -= size

    def _is_stream(self, scope: Scope) -> bool:
        kind = self._streamed.get(scope["path"])
        return kind is not None and scope["method"] not in _BODILESS and media_type(Headers(scope=scope)) == kind

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._streams >= self._limits.streams:
            raise _too_many()
        self._streams += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._streams -= 1

    def _size(self, scope: Scope) -> int:
        if scope["method"] in _BODILESS:
            return 0
        length = Headers(scope=scope).get("content-length", "")
        known = length.isascii() and length.isdigit() and len(length) < 20
        return min(int(length), self._most) if known else self._most


def _too_many() -> Problem:
    return Problem(
        "too_many_requests",
        "正在处理的请求过多；本请求未被接收，请稍后重试。",
        "Too many requests are being handled; nothing of this one was taken, send it again later.",
    )
