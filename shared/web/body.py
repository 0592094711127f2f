"""Every request body passes here once: its kind, its size, and one strict look at its JSON.

The body is read whole, but never more of it than the limit, also when it comes in chunks without a length; then it
is handed on unchanged, so that FastAPI, pydantic and msgspec all decode the same checked bytes. A route may take one
kind of body as a stream instead; then it looks at each part itself (`check`), and at how much there is.
"""

from __future__ import annotations

from collections.abc import Mapping
from email.message import Message as Headline

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.errors import Problem
from shared.web.strict_json import check

BODY_LIMIT = 1 << 20
"""Bytes of a body, unless an app sets another limit: 1 MiB."""


_CHARSETS = frozenset({"utf-8", "utf8"})


class BodyGate:
    """ASGI middleware that lets through only bodies that are JSON, small enough and strict.

    `streamed`: {path: the media type that its route reads as a stream}.
    """

    def __init__(self, app: ASGIApp, *, limit: int = BODY_LIMIT, streamed: Mapping[str, str] | None = None) -> None:
        self._app = app
        self._limit = limit
        self._streamed = streamed or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read, look, hand on; raises `Problem` for the guard to answer."""
        if scope["type"] != "http" or scope["method"] in {"GET", "HEAD", "OPTIONS"}:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if media_type(headers) == self._streamed.get(scope["path"]):
            _refuse_foreign(headers, is_json=True)
            await self._app(scope, receive, send)
            return
        _refuse_long(headers, self._limit)
        body = await read_body(receive, self._limit)
        if body:
            _refuse_foreign(headers)
            check(body)
        await self._app(scope, _replay(body, receive), send)


async def read_body(receive: Receive, limit: int) -> bytes:
    """Return the whole body; raises `Problem("body_too_large")` as soon as it exceeds `limit` bytes."""
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        if len(body) > limit:
            raise _too_large(limit)
        more = message.get("more_body", False)
    return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return pending.pop() if pending else await receive()

    return replayed


def _refuse_long(headers: Headers, limit: int) -> None:
    length = headers.get("content-length", "")
    if length.isascii() and length.isdigit() and int(length[:20]) > limit:
        raise _too_large(limit)


def media_type(headers: Headers) -> str:
    """Return the media type without its parameters; nothing when there is none."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _refuse_foreign(headers: Headers, *, is_json: bool = False) -> None:
    line = Headline()
    line["content-type"] = headers.get("content-type", "")
    charset = str(line.get_param("charset", "utf-8")).strip().lower()
    is_json |= line.get_content_type() == "application/json" or line.get_content_subtype().endswith("+json")
    plain = headers.get("content-encoding", "identity").strip().lower() == "identity"
    if "content-type" in headers and is_json and charset in _CHARSETS and plain:
        return
    raise Problem(
        "unsupported_media_type",
        "请以 UTF-8 编码、不压缩的 application/json 发送正文，并注明 Content-Type。",
        "Send the body as application/json in UTF-8, not compressed, and name its Content-Type.",
    )


def _too_large(limit: int) -> Problem:
    return Problem(
        "body_too_large",
        f"正文不得超过 {limit} 字节。",
        f"The body may have at most {limit} bytes.",
        extra={"limit_bytes": limit},
    )
