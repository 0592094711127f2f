"""Two toy services on the real bus: `ingest` posts payments, `scoring` counts them and answers each with a grade.

The reader keeps one row a customer with everything that took effect, in order, so that a test can ask afterwards what
was lost, what was done twice and what was out of order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import asyncpg
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

from shared.bus.bus import Bus
from shared.bus.inbox_tables import add_inbox_histories, add_inbox_scans
from shared.bus.limits import FactLimits
from shared.bus.outbox_tables import add_outbox_acts, add_outbox_keeping
from shared.bus.outcomes import DONE, Outcome
from shared.bus.positions import subscribe
from shared.bus.tables import bus_tables_v1, bus_tables_v2, bus_tables_v3, bus_tables_v4, bus_tables_v5
from shared.bus.taking import BatchHandler
from shared.bus.unit_of_work import Incoming, Transactions, UnitOfWork
from shared.clock import Clock, FrozenClock
from shared.db.guard import all_saved
from shared.db.pool import open_pool
from shared.events.card import PaymentPosted
from shared.events.registry import CARD, Topic
from shared.events.risk import AccountGraded
from shared.settings import ServiceSettings
from shared.telemetry.metrics import Metrics
from tests import patience

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


@dataclass(frozen=True)
class Known:
    """What the toy has of each customer: the version of the row that was read, and the payments in their order."""

    versions: dict[str, int]
    payments: dict[str, list[str]]


async def load(uow: UnitOfWork, keys: Sequence[str]) -> Known:
    """Load and lock what is there; a customer who is not there has version 0."""
    rows = {row["customer_id"]: row for row in await uow.connection.fetch(_LOAD, sorted(keys))}
    return Known(
        {key: rows[key]["version"] if key in rows else 0 for key in keys},
        {key: list(rows[key]["payments"]) if key in rows else [] for key in keys},
    )


async def save(uow: UnitOfWork, known: Known) -> None:
    """Write all in one upsert, over the versions that were read."""
    keys = sorted(known.versions)
    versions = [known.versions[key] for key in keys]
    saved = await uow.connection.fetch(_SAVE, keys, versions, [" ".join(known.payments[key]) for key in keys])
    all_saved(sent=len(keys), returned=len(saved))


async def post(uow: UnitOfWork, customers: Sequence[str], number: int) -> None:
    """What the toy writer does in one transaction: note a payment of each customer, and tell it."""
    known = await load(uow, customers)
    for customer in customers:
        known.payments[customer].append(f"p-{number}")
        uow.emit(payment(customer, number))
    await save(uow, known)


async def count_payments(batch: Sequence[Incoming], uow: UnitOfWork) -> Sequence[Outcome]:
    """The toy reader's handler: load all, fold in memory, one guarded upsert, one grade a payment."""
    known = await load(uow, sorted({item.key for item in batch}))
    for item in batch:
        assert isinstance(item.fact, PaymentPosted)
        known.payments[item.key].append(item.fact.payment_id)
        uow.emit(grade(item.key, len(known.payments[item.key])), cause=item)
    await save(uow, known)
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


async def prepare(url: str, partitions: int, subscriptions: Collection[Topic]) -> None:
    """Make the bus's tables and the toy's, and subscribe."""
    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://"))
    async with engine.begin() as connection:
        await connection.run_sync(_create)
    await engine.dispose()
    plain = await asyncpg.connect(url)
    await subscribe(plain, list(subscriptions), partitions)
    await plain.close()


async def empty(url: str, partitions: int, subscriptions: Collection[Topic]) -> None:
    """Take a database back to where `prepare` left it."""
    plain = await asyncpg.connect(url)
    try:
        await plain.execute(
            "TRUNCATE outbox_stream, outbox_published, outbox_segment, outbox_lease, inbox_position, dead_letter, "
            "dead_letter_act, deferred, bus_history, inbox_fork, inbox_seen, inbox_stale, inbox_act, "
            "outbox_void, outbox_kept, outbox_republish, forgotten_fact, toy"
        )
        await subscribe(plain, list(subscriptions), partitions)
    finally:
        await plain.close()


def _create(connection: Connection) -> None:
    operations = Operations(MigrationContext.configure(connection))
    bus_tables_v1(operations)
    bus_tables_v2(operations)
    bus_tables_v3(operations)
    add_inbox_histories(operations)
    add_inbox_scans(operations)
    add_outbox_acts(operations)
    bus_tables_v4(operations)
    add_outbox_keeping(operations)
    bus_tables_v5(operations)
    connection.execute(text(_TABLE))


def writer(settings: ServiceSettings) -> Bus:
    """Return the toy that posts payments."""
    return Bus(service="ingest", settings=settings, clock=FrozenClock(NOON))


def reader(
    settings: ServiceSettings, handle: BatchHandler = count_payments, subscriptions: Collection[Topic] = (CARD,)
) -> Bus:
    """Return the toy that counts payments."""
    return Bus(
        service="scoring",
        settings=settings,
        clock=FrozenClock(NOON),
        subscriptions=subscriptions,
        handle=handle,
        handles=frozenset({PaymentPosted}),
    )


@dataclass(frozen=True)
class Toys:
    """The two toys' databases on a stage, and ways to run a toy on them."""

    stage: Stage
    write_url: str
    read_url: str

    def writer(self, instance: str = "0") -> Bus:
        """Return a replica of the writer."""
        return writer(self.stage.settings(self.write_url, instance=instance))

    def reader(
        self, handle: BatchHandler = count_payments, instance: str = "0", *, accept_new_streams: bool = False
    ) -> Bus:
        """Return a replica of the reader."""
        settings = self.stage.settings(self.read_url, instance=instance)
        return reader(settings.model_copy(update={"accept_new_streams": accept_new_streams}), handle)


async def make_toys(stage: Stage, subscriptions: Collection[Topic] = (CARD,)) -> Toys:
    """Make fresh databases for both toys."""
    write_url, read_url = await stage.database("writer"), await stage.database("reader")
    await prepare(write_url, stage.partitions, ())
    await prepare(read_url, stage.partitions, subscriptions)
    return Toys(stage, write_url, read_url)


@asynccontextmanager
async def running(*buses: Bus) -> AsyncIterator[None]:
    """Run buses for the length of the block; each can work when it begins."""
    async with AsyncExitStack() as exits:
        for bus in buses:
            await exits.enter_async_context(bus.running())
        for bus in buses:
            await ready(bus)
        yield


async def ready(bus: Bus) -> None:
    """Wait until a bus can work."""
    async with asyncio.timeout(30):
        while True:
            try:
                if not await bus.not_ready():
                    return
            except OSError:
                pass
            await asyncio.sleep(0.02)


async def at_rest(*buses: Bus) -> None:
    """Wait until everything decided is published and everything published is read.

    Two rounds without a change in between, since one replica may hand on what another one has just been asked about.
    """
    last: list[int] = []
    async with asyncio.timeout(patience.SECONDS):
        while True:
            found = [await bus.idle() for bus in buses]
            marks = [idle.mark for idle in found]
            if all(idle.idle for idle in found) and marks == last:
                return
            last = marks if all(idle.idle for idle in found) else []
            await asyncio.sleep(0.03)


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(patience.SECONDS):
        while not await holds():  # noqa: ASYNC110 - what is awaited is in the database or the log
            await asyncio.sleep(0.02)


async def fetch(url: str, query: str, *arguments: object) -> list[asyncpg.Record]:
    """Ask a database directly."""
    connection = await asyncpg.connect(url)
    try:
        rows: list[asyncpg.Record] = await connection.fetch(query, *arguments)
        return rows
    finally:
        await connection.close()


async def execute(url: str, statement: str, *arguments: object) -> None:
    """Change a database directly."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement, *arguments)
    finally:
        await connection.close()


@asynccontextmanager
async def deciding(
    url: str, partitions: int, service: str = "ingest", clock: Clock | None = None
) -> AsyncIterator[Transactions]:
    """A service that decides and never publishes: what it leaves behind is what a killed process does."""
    pool = await open_pool(url, size=2)
    try:
        limits = FactLimits("", "arrears", service)
        yield Transactions(pool, service, partitions, clock or FrozenClock(NOON), Metrics(), lambda _: None, limits)
    finally:
        pool.terminate()


async def payments(url: str) -> dict[str, list[str]]:
    """What a toy has of each customer."""
    rows = await fetch(url, "SELECT customer_id, payments FROM toy")
    return {row["customer_id"]: list(row["payments"]) for row in rows}


async def dead_letters(url: str) -> list[asyncpg.Record]:
    """A service's dead letters in the order of the log."""
    return await fetch(url, "SELECT * FROM dead_letter ORDER BY partition, log_offset")
