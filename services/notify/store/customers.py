"""Customers: loaded under lock, written over the version that was read."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

import asyncpg
import msgspec
from msgspec import Struct

from services.notify.domain.model import Customer, Unusable
from shared.db.guard import all_saved

_encode = msgspec.json.Encoder().encode
_customer = msgspec.json.Decoder(Customer).decode
_unusable = msgspec.json.Decoder(tuple[Unusable, ...]).decode

_LOAD = "SELECT customer_id, version, state FROM customer WHERE customer_id = ANY ($1) ORDER BY customer_id FOR UPDATE"
_WITH_CONTACTS = """
SELECT customer_id, (state -> 'reach' ->> 'as_of')::timestamptz AS as_of FROM customer
WHERE customer_id > $1 AND state -> 'reach' ->> 'as_of' IS NOT NULL ORDER BY customer_id LIMIT $2
"""
_SAVE = """
INSERT INTO customer (customer_id, version, state)
SELECT customer_id, version, state FROM unnest($1::text[], $2::bigint[], $3::jsonb[]) AS t (customer_id, version, state)
ORDER BY customer_id
ON CONFLICT (customer_id) DO UPDATE SET version = excluded.version, state = excluded.state
WHERE customer.version = excluded.version - 1
RETURNING customer_id
"""
_REFUSED = """
SELECT customer_id, state -> 'unusable' AS unusable FROM customer
WHERE state ? 'unusable' AND ($1::text IS NULL OR customer_id = $1) AND ($2::text IS NULL OR customer_id > $2)
ORDER BY customer_id LIMIT $3
"""
_WAKE = """
UPDATE notice SET state = 'due', due = $2, reason = NULL WHERE customer_id = ANY ($1) AND state = 'waiting'
"""


class Held(Struct, frozen=True):
    """A customer as loaded; `version` 0: there is no row yet."""

    customer_id: str
    version: int
    customer: Customer


async def with_contacts(connection: asyncpg.Connection, after: str, limit: int) -> list[tuple[str, datetime]]:
    """Return of whom contact data are held, above a customer and in order, each with the data's instant (C4)."""
    rows = await connection.fetch(_WITH_CONTACTS, after, limit)
    return [(row["customer_id"], row["as_of"]) for row in rows]


async def with_refused_addresses(
    connection: asyncpg.Connection, customer_id: str | None, after: str | None, fetch: int
) -> list[tuple[str, tuple[Unusable, ...]]]:
    """Return customers of whom an address is not used since nothing reaches it, with those addresses, in order."""
    rows = await connection.fetch(_REFUSED, customer_id, after, fetch)
    return [(row["customer_id"], _unusable(row["unusable"])) for row in rows]


async def load(connection: asyncpg.Connection, customer_ids: Collection[str]) -> dict[str, Held]:
    """Lock and return these customers; one without a row is unknown so far, and a stub."""
    rows = await connection.fetch(_LOAD, sorted(customer_ids))
    held = {row["customer_id"]: Held(row["customer_id"], row["version"], _customer(row["state"])) for row in rows}
    return {key: held.get(key) or Held(key, 0, Customer()) for key in sorted(customer_ids)}


async def save(connection: asyncpg.Connection, changed: Mapping[str, tuple[Held, Customer]]) -> None:
    """Write customers over the versions that were read.

    Raises:
        StaleState: another writer was first; nothing may be committed.
    """
    if not changed:
        return
    rows = await connection.fetch(
        _SAVE,
        list(changed),
        [held.version + 1 for held, _ in changed.values()],
        [_encode(customer).decode() for _, customer in changed.values()],
    )
    all_saved(sent=len(changed), returned=len(rows))


async def wake(connection: asyncpg.Connection, customer_ids: Collection[str], now: datetime) -> None:
    """Have what waits of these customers decided again now; their rows are locked."""
    if customer_ids:
        await connection.execute(_WAKE, sorted(customer_ids), now)
