"""Two toy services on the real bus: `ingest` posts payments, `scoring` counts them and answers each with a grade.

The reader keeps one row a customer with everything that took effect, in order, so that a test can ask afterwards what
was lost, what was done twice and what was out of order.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import asyncpg
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

from shared.bus.bus import Bus
from shared.bus.handling import BatchHandler
from shared.bus.outcomes import DONE, Outcome
from shared.bus.positions import subscribe
from shared.bus.tables import bus_tables_v1
from shared.bus.unit_of_work import Incoming, UnitOfWork
from shared.clock import FrozenClock
from shared.db.guard import all_saved
from shared.events.card import PaymentPosted
from shared.events.registry import CARD
from shared.events.risk import AccountGraded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.integration.conftest import Stage

NOON = datetime(2026, 2, 25, 4, 0, tzinfo=UTC)

_TABLE = """
CREATE TABLE toy (customer_id text PRIMARY KEY, version bigint NOT NULL, payments text[] NOT NULL)
"""
_LOAD = "SELECT customer_id, version, payments FROM toy WHERE customer_id = ANY ($1::text[]) ORDER BY 1 FOR UPDATE"
_SAVE = """
INSERT INTO toy AS t (customer_id, version, payments)
SELECT key, version + 1, string_to_array(payments, ' ') FROM unnest($1::text[], $2::bigint[], $3::text[])
    AS u (key, version, payments) ORDER BY key
ON CONFLICT (customer_id) DO UPDATE SET version = excluded.version, payments = excluded.payments
WHERE t.version = excluded.version - 1
RETURNING customer_id
"""


def payment(customer: str, number: int) -> PaymentPosted:
    """Return the `number`-th payment of a customer."""
    return PaymentPosted(
        customer_id=customer,
        account_id=f"a-{customer}",
        payment_id=f"p-{number}",
        currency="CNY",
        amount=100,
        valued_at=NOON,
    )


async def count_payments(batch: Sequence[Incoming], uow: UnitOfWork) -> Sequence[Outcome]:
    """The toy reader's handler: load all, fold in memory, one guarded upsert, one grade a payment."""
    keys = sorted({item.key for item in batch})
    rows = {row["customer_id"]: row for row in await uow.connection.fetch(_LOAD, keys)}
    seen = {key: list(rows[key]["payments"]) if key in rows else [] for key in keys}
    for item in batch:
        assert isinstance(item.fact, PaymentPosted)
        seen[item.key].append(item.fact.payment_id)
        uow.emit(grade(item.key, len(seen[item.key])), cause=item)
    versions = [rows[key]["version"] if key in rows else 0 for key in keys]
    saved = await uow.connection.fetch(_SAVE, keys, versions, [" ".join(seen[key]) for key in keys])
    all_saved(sent=len(keys), returned=len(saved))
    return [DONE] * len(batch)


def grade(customer: str, version: int) -> AccountGraded:
    """Return the toy's answer to a payment."""
    return AccountGraded(
        customer_id=customer,
        account_id=f"a-{customer}",
        version=version,
        graded_at=NOON,
        score=version,
        grade="A",
        bucket="M1",
        reasons=(),
        card="toy",
        card_version="1",
        suggested_treatment="none",
    )


async def prepare(url: str, partitions: int, *, reader: bool) -> None:
    """Make the bus's tables and the toy's, and subscribe the reader."""
    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://"))
    async with engine.begin() as connection:
        await connection.run_sync(_create)
    await engine.dispose()
    if reader:
        plain = await asyncpg.connect(url)
        await subscribe(plain, (CARD,), partitions)
        await plain.close()


def _create(connection: Connection) -> None:
    bus_tables_v1(Operations(MigrationContext.configure(connection)))
    connection.execute(text(_TABLE))


def writer(stage: Stage, url: str, *, instance: str = "0") -> Bus:
    """Return the toy that posts payments."""
    return Bus(service="ingest", settings=stage.settings(url, instance=instance), clock=FrozenClock(NOON))


def reader(stage: Stage, url: str, *, instance: str = "0", handle: BatchHandler = count_payments) -> Bus:
    """Return the toy that counts payments."""
    return Bus(
        service="scoring",
        settings=stage.settings(url, instance=instance),
        clock=FrozenClock(NOON),
        subscriptions=(CARD,),
        handle=handle,
        handles=frozenset({PaymentPosted}),
    )


@asynccontextmanager
async def toys(stage: Stage) -> AsyncIterator[tuple[Bus, Bus]]:
    """Run a writer and a reader on fresh databases."""
    write_url, read_url = await stage.database("writer"), await stage.database("reader")
    await prepare(write_url, stage.partitions, reader=False)
    await prepare(read_url, stage.partitions, reader=True)
    one, other = writer(stage, write_url), reader(stage, read_url)
    async with one.running(), other.running():
        yield one, other
