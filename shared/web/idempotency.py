"""Idempotency-Key: a command that is sent again is answered again, and done once.

The key's row is written in the *same transaction* as the command's effect, so there is no moment at which one exists
without the other. Two requests with one key at the same time wait for each other at `recall`: the second reads what
the first has committed. It must be the first statement of the transaction (before any row is locked).
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec
from asyncpg import Connection
from asyncpg.pool import PoolConnectionProxy
from fastapi import Depends, Header
from sqlalchemy import Column, DateTime, Index, LargeBinary, MetaData, SmallInteger, Table, Text, func
from starlette.requests import Request
from starlette.responses import Response

from shared.errors import FieldError, Problem
from shared.web.auth import Principal, TokenRefused

DDL = """
CREATE TABLE idempotency_key (
    subject      text        NOT NULL,
    key          text        NOT NULL,
    route        text        NOT NULL,
    request_hash bytea       NOT NULL,
    status       smallint    NOT NULL,
    body         bytea       NOT NULL,
    at           timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (subject, key)
);
CREATE INDEX idempotency_key_at ON idempotency_key (at);
"""
"""The table, for a service's migrations. `at` is on the machine's clock, as retries are."""

AnyConnection = Connection | PoolConnectionProxy


def idempotency_table(metadata: MetaData) -> Table:
    """Return the same table, with its index, on a service's own metadata."""
    return Table(
        "idempotency_key",
        metadata,
        Column("subject", Text, primary_key=True),
        Column("key", Text, primary_key=True),
        Column("route", Text, nullable=False),
        Column("request_hash", LargeBinary, nullable=False),
        Column("status", SmallInteger, nullable=False),
        Column("body", LargeBinary, nullable=False),
        Column("at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        Index("idempotency_key_at", "at"),
    )


_ERASE = """
UPDATE idempotency_key
SET body = convert_to(jsonb_set(convert_from(body, 'UTF8')::jsonb, '{customer}', 'null')::text, 'UTF8')
WHERE EXISTS (SELECT FROM unnest($1::bytea[]) AS a (about) WHERE position(a.about IN body) > 0)
    AND convert_from(body, 'UTF8')::jsonb ? 'customer'
"""


@dataclass(frozen=True, slots=True)
class Command:
    """One command as it was sent: by whom, under which key, to which route, and a hash of its content."""

    subject: str
    key: str
    route: str
    request_hash: bytes


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """What a command was answered with; `body` is JSON."""

    status: int
    body: bytes

    @classmethod
    def of(cls, status: int, content: object) -> StoredAnswer:
        """Return the answer with `content` as JSON."""
        return cls(status, msgspec.json.encode(content))

    def response(self, headers: dict[str, str] | None = None) -> Response:
        """Return the HTTP answer."""
        return Response(self.body, self.status, headers, media_type="application/json")


async def command_of(
    request: Request,
    idempotency_key: Annotated[
        str | None, Header(alias="Idempotency-Key", description="重试时保持不变 / the same for each retry")
    ] = None,
) -> Command:
    """Return the command that a request is; 428 without a key, 422 with one that cannot be."""
    principal = getattr(request.state, "principal", None)
    if not isinstance(principal, Principal):
        raise TokenRefused("missing")
    if idempotency_key is None:
        raise _header_problem("precondition_required", "缺少此请求头", "is missing")
    if not 1 <= len(idempotency_key) <= 200 or not (idempotency_key.isascii() and idempotency_key.isprintable()):
        raise _header_problem(
            "invalid_fields", "长度或字符不允许", "is too long or holds characters that are not allowed"
        )
    route = f"{request.method} {request.url.path}"
    digest = hashlib.sha256(f"{route}?{request.url.query}\n".encode())
    digest.update(await request.body())
    return Command(principal.subject, idempotency_key, route, digest.digest())


SentCommand = Annotated[Command, Depends(command_of)]
"""A route's argument that makes the Idempotency-Key required."""


async def recall(connection: AnyConnection, command: Command) -> StoredAnswer | None:
    """Return what this command was answered with before, or None when it is new.

    Waits for another transaction with the same key. Raises `Problem("idempotency_key_reused")` (409) when the key
    was used for another request.
    """
    await connection.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended($1, 7457))", f"{command.subject}\n{command.key}"
    )
    row = await connection.fetchrow(
        "SELECT route, request_hash, status, body FROM idempotency_key WHERE subject = $1 AND key = $2",
        command.subject,
        command.key,
    )
    if row is None:
        return None
    if row["route"] != command.route or row["request_hash"] != command.request_hash:
        raise Problem(
            "idempotency_key_reused",
            "此 Idempotency-Key 已用于另一个请求。",
            "This Idempotency-Key was used for another request.",
        )
    return StoredAnswer(row["status"], row["body"])


async def remember(connection: AnyConnection, command: Command, answer: StoredAnswer) -> None:
    """Store the answer in the transaction of the command's effect."""
    await connection.execute(
        "INSERT INTO idempotency_key (subject, key, route, request_hash, status, body) VALUES ($1, $2, $3, $4, $5, $6)",
        command.subject,
        command.key,
        command.route,
        command.request_hash,
        answer.status,
        answer.body,
    )


async def answer_once(
    connection: AnyConnection, command: Command, act: Callable[[], Awaitable[StoredAnswer]]
) -> StoredAnswer:
    """Return the stored answer of a command that was sent before, else act and store the answer.

    Call it inside the transaction of `act`, and send the answer after that transaction has committed. A `Problem`
    that `act` raises rolls back and is not stored: sent again, the command is decided again.
    """
    known = await recall(connection, command)
    if known is not None:
        return known
    answer = await act()
    await remember(connection, command, answer)
    return answer


async def erase_customers(connection: AnyConnection, customer_ids: Sequence[str]) -> None:
    """Take the part `customer` out of stored answers about these customers, who were erased.

    The answer stays, so that the command is not done again. Answers are kept for some days only, so all are looked at.
    """
    about = [f'"customer_id":{msgspec.json.encode(each).decode()}'.encode() for each in customer_ids]
    await connection.execute(_ERASE, about)


def _header_problem(code: str, fault_zh: str, fault_en: str) -> Problem:
    error = FieldError(
        "header.Idempotency-Key", fault_zh, fault_en, "请为每个操作生成一个 UUID", "make one UUID for each command"
    )
    return Problem(code, "请求需要 Idempotency-Key。", "The request needs an Idempotency-Key.", (error,))
