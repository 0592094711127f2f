"""Notices as people look them up."""

from __future__ import annotations

from datetime import datetime

import asyncpg
import msgspec
from msgspec import Struct

from shared.events.kinds import Reason
from shared.ids import uuid7

_reason = msgspec.json.Decoder(Reason | None).decode

_COLUMNS = """notice_id, customer_id, staff_id, case_id, purpose, channel, template, template_version, language, state,
due, attempts, address, subject, text, reason, provider_ref, gateway, delivery, delivery_at, barrier_at, ended_at,
created_at"""

_LIST = f"""
SELECT {_COLUMNS} FROM notice
WHERE ($1::text IS NULL OR customer_id = $1)
  AND ($2::text IS NULL OR staff_id = $2)
  AND ($3::text IS NULL OR state = $3)
  AND ($4::text IS NULL OR purpose = $4)
  AND ($5::text IS NULL OR delivery = $5)
  AND ($6 OR customer_id IS NULL)
  AND ($7 OR staff_id IS NULL)
  AND ($8::timestamptz IS NULL OR (created_at, notice_id) > ($8, $9))
ORDER BY created_at, notice_id LIMIT $10
"""  # noqa: S608 - our own words
_ONE = f"SELECT {_COLUMNS} FROM notice WHERE notice_id = $1"  # noqa: S608 - our own words
_READ = "INSERT INTO unmasked_read (read_id, notice_id, staff_id, at) VALUES ($1, $2, $3, $4)"


class Listed(Struct, frozen=True, kw_only=True):
    """A notice with all that is kept of it."""

    notice_id: str
    customer_id: str | None
    staff_id: str | None
    case_id: str | None
    purpose: str
    channel: str
    template: str
    template_version: str | None
    language: str | None
    state: str
    due: datetime
    attempts: int
    address: str | None
    subject: str | None
    text: str | None
    reason: Reason | None
    provider_ref: str | None
    gateway: str | None
    delivery: str | None
    delivery_at: datetime | None
    barrier_at: datetime | None
    ended_at: datetime | None
    created_at: datetime


class Wanted(Struct, frozen=True, kw_only=True):
    """Which notices are looked for; none: whichever. `to_customers`, `to_colleagues`: which the reader may see."""

    customer_id: str | None = None
    staff_id: str | None = None
    state: str | None = None
    purpose: str | None = None
    delivery: str | None = None
    to_customers: bool = True
    to_colleagues: bool = True


async def search(
    connection: asyncpg.Connection, wanted: Wanted, after: tuple[datetime, str] | None, fetch: int
) -> list[Listed]:
    """Return notices in the order in which they were asked for, after a position."""
    rows = await connection.fetch(
        _LIST,
        wanted.customer_id,
        wanted.staff_id,
        wanted.state,
        wanted.purpose,
        wanted.delivery,
        wanted.to_customers,
        wanted.to_colleagues,
        *(after or (None, None)),
        fetch,
    )
    return [_listed(row) for row in rows]


async def find(connection: asyncpg.Connection, notice_id: str) -> Listed | None:
    """Return one notice."""
    row = await connection.fetchrow(_ONE, notice_id)
    return None if row is None else _listed(row)


async def note_unmasked_read(connection: asyncpg.Connection, notice_id: str, staff_id: str, at: datetime) -> None:
    """Keep who read a notice's text and address, and when."""
    await connection.execute(_READ, str(uuid7()), notice_id, staff_id, at)


def _listed(row: asyncpg.Record) -> Listed:
    fields = dict(row)
    return Listed(**{**fields, "reason": _reason(fields["reason"] or "null")})
