"""Notices: how they begin, who may take them in hand, and what became of each."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import msgspec
from msgspec import Struct

from services.notify.domain.delivery import LEASE
from services.notify.domain.notices import Draft, Notice
from shared.events.kinds import MessageChannel, Reason

LEDGER_DAYS = 35
"""How far back messages count as contacts; longer than any rule's window."""

_encode = msgspec.json.Encoder().encode

COLUMNS = ", ".join(f"n.{name}" for name in Notice.__struct_fields__)
"""What a `Notice` is made of, of the row `n`."""

_ADD = """
INSERT INTO notice (notice_id, natural_key, partition, customer_id, staff_id, case_id, purpose, channel, template,
    state, due, attempts, payload, created_at, traceparent)
SELECT notice_id, natural_key, partition, customer_id, staff_id, case_id, purpose, channel, template,
    'due', due, 0, payload, created_at, traceparent
FROM jsonb_to_recordset($1::jsonb) AS t (notice_id text, natural_key text, partition int, customer_id text,
    staff_id text, case_id text, purpose text, channel text, template text, due timestamptz, payload jsonb,
    created_at timestamptz, traceparent text)
ORDER BY natural_key
ON CONFLICT DO NOTHING
"""
_READY = "n.state IN ('due', 'waiting') AND n.due <= $1 AND (n.retry_at IS NULL OR n.retry_at <= clock_timestamp())"
_DUE_PARTITIONS = f"""
SELECT n.partition FROM notice n WHERE {_READY} AND n.customer_id IS NOT NULL
GROUP BY n.partition ORDER BY min(n.due) LIMIT $2
"""  # noqa: S608 - our own words
_LOCK_CUSTOMERS = f"""
SELECT customer_id FROM customer WHERE customer_id IN (
    SELECT customer_id FROM notice n WHERE {_READY} AND n.partition = $2 AND n.customer_id IS NOT NULL
    ORDER BY n.due, n.notice_id LIMIT $3
) ORDER BY customer_id FOR UPDATE SKIP LOCKED
"""  # noqa: S608 - our own words
_TO_CUSTOMERS = f"""
SELECT {COLUMNS} FROM notice n WHERE {_READY} AND n.customer_id = ANY ($2)
ORDER BY n.notice_id LIMIT $3 FOR UPDATE
"""  # noqa: S608 - our own words
_TO_COLLEAGUES = f"""
SELECT {COLUMNS} FROM notice n WHERE {_READY} AND n.staff_id IS NOT NULL
ORDER BY n.due, n.notice_id LIMIT $2 FOR UPDATE SKIP LOCKED
"""  # noqa: S608 - our own words
_MESSAGES = """
SELECT customer_id, reserved_at, channel, address FROM notice
WHERE customer_id = ANY ($1) AND state IN ('sending', 'sent', 'unconfirmed') AND reserved_at > $2
"""
_CLAIM = """
UPDATE notice n
SET state = 'sending', attempts = n.attempts + 1, address = w.address, subject = w.subject, text = w.text,
    language = w.language, template_version = w.template_version, reason = NULL, retry_at = NULL,
    barrier_at = $2, reserved_at = $3, holder = $4, lease_until = clock_timestamp() + $5::interval
FROM jsonb_to_recordset($1::jsonb) AS w (notice_id text, address text, subject text, text text, language text,
    template_version text)
WHERE n.notice_id = w.notice_id
"""
_PUT_OFF = """
UPDATE notice n SET state = 'waiting', due = w.due, reason = w.reason, retry_at = NULL
FROM jsonb_to_recordset($1::jsonb) AS w (notice_id text, due timestamptz, reason jsonb)
WHERE n.notice_id = w.notice_id
"""
_PAUSE = """
UPDATE notice SET reason = $2, retry_at = clock_timestamp() + make_interval(secs => $3) WHERE notice_id = ANY ($1)
"""
_END = """
UPDATE notice n SET state = w.state, reason = w.reason, ended_at = $2
FROM jsonb_to_recordset($1::jsonb) AS w (notice_id text, state text, reason jsonb)
WHERE n.notice_id = w.notice_id
"""
_RECORD = """
UPDATE notice n
SET state = w.state, reason = w.reason, provider_ref = w.provider_ref, gateway = w.gateway, holder = NULL,
    lease_until = NULL, ended_at = CASE WHEN w.state = 'due' THEN NULL ELSE w.at END,
    reserved_at = CASE WHEN w.state = 'due' THEN NULL ELSE n.reserved_at END,
    retry_at = CASE WHEN w.state = 'due' THEN clock_timestamp() + make_interval(secs => w.pause) END
FROM jsonb_to_recordset($1::jsonb) AS w (notice_id text, state text, reason jsonb, provider_ref text,
    gateway text, at timestamptz, pause float8)
WHERE n.notice_id = w.notice_id AND n.state = 'sending' AND n.holder = $2
RETURNING n.notice_id
"""
_LOST = f"""
SELECT {COLUMNS} FROM notice n
WHERE n.state = 'sending'
  AND (n.lease_until <= clock_timestamp() OR (split_part(n.holder, '/', 1) = $1 AND n.holder <> $2))
ORDER BY n.notice_id LIMIT $3 FOR UPDATE SKIP LOCKED
"""  # noqa: S608 - our own words
_GIVE_UP = """
UPDATE notice n
SET state = w.state, reason = w.reason, holder = NULL, lease_until = NULL,
    ended_at = CASE WHEN w.state = 'due' THEN NULL ELSE $2::timestamptz END
FROM jsonb_to_recordset($1::jsonb) AS w (notice_id text, state text, reason jsonb)
WHERE n.notice_id = w.notice_id
"""
# What law asks to be kept stays: that the message was sent, when, through what, about which amounts (in the payload).
_ERASE = """
UPDATE notice SET address = NULL, subject = NULL, text = NULL WHERE customer_id = ANY ($1) AND address IS NOT NULL
"""
_NEXT_TO_CUSTOMER = "SELECT min(due) FROM notice WHERE state IN ('due', 'waiting') AND customer_id IS NOT NULL"
_NEXT_TO_COLLEAGUE = "SELECT min(due) FROM notice WHERE state IN ('due', 'waiting') AND staff_id IS NOT NULL"
_NEXT_SENDING = "SELECT min(due) FROM notice WHERE state = 'sending'"


class Written(Struct, frozen=True, kw_only=True):
    """A notice as it is about to be handed over, word for word."""

    notice_id: str
    address: str
    subject: str
    text: str
    language: str
    template_version: str


class Ended(Struct, frozen=True, kw_only=True):
    """A notice that ends before anything was handed over, and why."""

    notice_id: str
    state: str
    reason: Reason


class PutOff(Struct, frozen=True, kw_only=True):
    """A notice that waits until `due`, and why."""

    notice_id: str
    due: datetime
    reason: Reason


class Result(Struct, frozen=True, kw_only=True):
    """What a hand-over came to at `at`. `pause`: seconds until it is tried again, if it is due again."""

    notice_id: str
    state: str
    reason: Reason | None
    provider_ref: str | None
    gateway: str | None
    at: datetime
    pause: float


async def add(connection: asyncpg.Connection, drafts: Sequence[Draft]) -> None:
    """Add notices; one that is there already stays as it is."""
    if drafts:
        rows = [{**msgspec.structs.asdict(draft), "notice_id": draft.notice_id} for draft in drafts]
        await connection.execute(_ADD, as_json(rows))


async def due_partitions(connection: asyncpg.Connection, now: datetime, limit: int) -> list[int]:
    """Return partition numbers that have due notices to customers, the longest due first."""
    return [row["partition"] for row in await connection.fetch(_DUE_PARTITIONS, now, limit)]


async def lock_customers(connection: asyncpg.Connection, now: datetime, partition: int, limit: int) -> list[str]:
    """Lock the rows of customers with due notices and return their ids; rows that somebody holds are passed over."""
    return [row["customer_id"] for row in await connection.fetch(_LOCK_CUSTOMERS, now, partition, limit)]


async def due_to_customers(
    connection: asyncpg.Connection, now: datetime, customer_ids: Collection[str], limit: int
) -> list[Notice]:
    """Lock and return the due notices to customers whose rows are locked."""
    return _notices(await connection.fetch(_TO_CUSTOMERS, now, sorted(customer_ids), limit))


async def due_to_colleagues(connection: asyncpg.Connection, now: datetime, limit: int) -> list[Notice]:
    """Lock and return due notices to colleagues; those that another replica holds are passed over."""
    return _notices(await connection.fetch(_TO_COLLEAGUES, now, limit))


async def messages(
    connection: asyncpg.Connection, customer_ids: Collection[str], now: datetime
) -> dict[str, list[tuple[datetime, MessageChannel, str | None]]]:
    """Return the messages that left or may have left, by customer: the ledger of contacts. An address may be erased."""
    found: dict[str, list[tuple[datetime, MessageChannel, str | None]]] = {}
    since = now - timedelta(days=LEDGER_DAYS)
    for row in await connection.fetch(_MESSAGES, sorted(customer_ids), since):
        found.setdefault(row["customer_id"], []).append((row["reserved_at"], row["channel"], row["address"]))
    return found


async def claim(
    connection: asyncpg.Connection,
    written: Sequence[Written],
    holder: str,
    *,
    now: datetime,
    barrier_at: datetime | None,
) -> None:
    """Take due notices in hand: from here on they count as contacts. `holder`: `<instance>/<process>`."""
    if written:
        await connection.execute(_CLAIM, as_json(written), barrier_at, now, holder, LEASE)


async def put_off(connection: asyncpg.Connection, waits: Sequence[PutOff]) -> None:
    """Have notices wait."""
    if waits:
        await connection.execute(_PUT_OFF, as_json(waits))


async def pause(connection: asyncpg.Connection, notice_ids: Sequence[str], reason: Reason, seconds: float) -> None:
    """Leave due notices alone for so many seconds of the machine's clock."""
    if notice_ids:
        await connection.execute(_PAUSE, list(notice_ids), as_json(reason), seconds)


async def end(connection: asyncpg.Connection, ended: Sequence[Ended], now: datetime) -> None:
    """End notices of which nothing was handed over."""
    if ended:
        await connection.execute(_END, as_json(ended), now)


async def record(connection: asyncpg.Connection, results: Sequence[Result], holder: str) -> set[str]:
    """Write what hand-overs came to; returns the notices that were still in this holder's hands."""
    return {row["notice_id"] for row in await connection.fetch(_RECORD, as_json(results), holder)}


async def lost(connection: asyncpg.Connection, holder: str, limit: int) -> list[Notice]:
    """Lock and return notices in the hands of a process that is surely gone.

    An earlier process of this instance is; another instance's is when its lease has run out, on the database's clock.
    """
    return _notices(await connection.fetch(_LOST, holder.partition("/")[0], holder, limit))


async def give_up(connection: asyncpg.Connection, ended: Sequence[Ended], now: datetime) -> None:
    """Take notices out of the hands of a process that is gone."""
    if ended:
        await connection.execute(_GIVE_UP, as_json(ended), now)


async def erase(connection: asyncpg.Connection, customer_ids: Sequence[str]) -> None:
    """Forget where notices to these customers went and how they were worded; their rows are locked."""
    if customer_ids:
        await connection.execute(_ERASE, list(customer_ids))


async def next_to_customer(connection: asyncpg.Connection) -> datetime | None:
    """Return the earliest due instant of a notice to a customer."""
    return await _instant(connection, _NEXT_TO_CUSTOMER)


async def next_to_colleague(connection: asyncpg.Connection) -> datetime | None:
    """Return the earliest due instant of a notice to a colleague."""
    return await _instant(connection, _NEXT_TO_COLLEAGUE)


async def next_sending(connection: asyncpg.Connection) -> datetime | None:
    """Return the earliest due instant of a notice that is on its way."""
    return await _instant(connection, _NEXT_SENDING)


def notice_of(row: asyncpg.Record, but: Collection[str] = ()) -> Notice:
    """Return the notice of a row that holds `COLUMNS`, and `but`, which are no part of it."""
    fields: dict[str, Any] = {name: value for name, value in row.items() if name not in but}
    return Notice(**{**fields, "payload": msgspec.Raw(fields["payload"].encode())})


async def _instant(connection: asyncpg.Connection, statement: str) -> datetime | None:
    found: datetime | None = await connection.fetchval(statement)
    return found


def _notices(rows: Sequence[asyncpg.Record]) -> list[Notice]:
    return [notice_of(row) for row in rows]


def as_json(rows: object) -> str:
    """Return rows as the text of a jsonb parameter."""
    return _encode(rows).decode()
