"""The events that were seen, in their partitions: known for the whole window, told once at every turn, then gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import cast

import asyncpg
import pytest_asyncio

from services.ingest import store
from services.ingest.domain.intake import Sound
from services.ingest.domain.outcomes import Identity
from shared.db.migrate import migrate
from shared.events.card import AccountCured
from tests.integration.conftest import MakeStage

TODAY = datetime.now(UTC).date()
"""The day of the migration, whose partition is the first."""

DAY, WINDOW = timedelta(days=1), timedelta(days=3)


@pytest_asyncio.fixture(scope="module")
async def url(make_stage: MakeStage) -> str:
    return await (await make_stage(topics=())).migrated("ingest")


@pytest_asyncio.fixture
async def pool(url: str) -> AsyncIterator[asyncpg.Pool]:
    """As after the migration: one partition, with nothing in it."""
    async with asyncpg.create_pool(url, server_settings={"lock_timeout": "5s"}) as made:
        await made.execute(f"DROP TABLE {', '.join(await tables(made))}; TRUNCATE seen_part")
        await made.execute(store._BEGIN_PART.format(TODAY))
        await made.execute("INSERT INTO seen_part VALUES ($1)", TODAY)
        yield made


@asynccontextmanager
async def transaction(pool: asyncpg.Pool) -> AsyncIterator[asyncpg.Connection]:
    async with pool.acquire() as connection, connection.transaction():
        yield cast(asyncpg.Connection, connection)


def sound(event_id: str, source: str = "/bank", says: bytes = b"one") -> Sound:
    now = datetime.now(UTC)
    return Sound(source, event_id, says, AccountCured(account_id="a", customer_id="c", as_of=now), now, None)


async def new(pool: asyncpg.Pool, *events: Sound) -> set[str]:
    async with transaction(pool) as connection:
        return {event_id for _, event_id in await store.remember(connection, events)}


async def turn(pool: asyncpg.Pool, day: date, width: timedelta = DAY, window: timedelta = WINDOW) -> int:
    async with transaction(pool) as connection:
        return await store.turn_over(connection, day, width=width, window=window)


async def tables(pool: asyncpg.Pool) -> list[str]:
    rows = await pool.fetch("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'seen_event'::regclass")
    return sorted(row[0] for row in rows)


async def known(pool: asyncpg.Pool, *identities: Identity) -> dict[Identity, bytes]:
    async with transaction(pool) as connection:
        return dict(await store.digests_of(connection, identities))


async def test_an_event_is_known_in_every_partition_of_the_window(pool: asyncpg.Pool) -> None:
    """Seen to fail: only the newest partition was looked into, as its own key does."""
    for days in range(3):
        await turn(pool, TODAY + days * DAY)
        assert await new(pool, sound(f"e-{days}")) == {f"e-{days}"}
    assert len(await tables(pool)) == 3
    assert await new(pool, *(sound(f"e-{days}", says=b"other") for days in range(3))) == set()
    assert set((await known(pool, ("/bank", "e-0"), ("/bank", "e-2"))).values()) == {b"one"}


async def test_the_same_id_of_another_source_is_another_event(pool: asyncpg.Pool) -> None:
    assert await new(pool, sound("e", "/bank"), sound("e", "/bank/e"), sound("e", "")) == {"e"}
    assert len(await known(pool, ("/bank", "e"), ("/bank/e", "e"), ("", "e"))) == 3


async def test_a_partition_goes_when_nothing_in_it_is_younger_than_the_window(pool: asyncpg.Pool) -> None:
    """The turn of the second day is late by a day, so the first partition took events until then.

    Seen to fail: a partition went by the day on which it began, and an event of two days ago was new again.
    """
    await new(pool, sound("first"))
    assert await turn(pool, TODAY + 2 * DAY) == 0
    await new(pool, sound("second"))
    assert await turn(pool, TODAY + 4 * DAY) == 0
    assert await new(pool, sound("first"), sound("second")) == set()
    assert await turn(pool, TODAY + 5 * DAY) == 1
    assert len(await tables(pool)) == 3
    assert await new(pool, sound("first"), sound("second")) == {"first"}


async def test_the_partitions_stay_as_many_as_the_window_and_their_width_make(pool: asyncpg.Pool) -> None:
    kept: list[int] = []
    for days in range(12):
        await turn(pool, TODAY + days * DAY, width=2 * DAY)
        await new(pool, sound(f"e-{days}"))
        kept.append(await pool.fetchval("SELECT count(*) FROM seen_event"))
        assert len(await tables(pool)) <= 3
    assert kept == [1, 2, 3, 4, 5, 4, 5, 4, 5, 4, 5, 4]


async def test_two_senders_of_one_event_at_the_turn_tell_it_once(pool: asyncpg.Pool) -> None:
    """One has written it to the old partition, uncommitted; the turn waits for it, and the other for the turn.

    Seen to fail: without the shared lock the turn did not wait, and the other wrote it to the new one.
    """
    async with transaction(pool) as connection:
        assert await store.remember(connection, [sound("race")])
        turning = asyncio.create_task(turn(pool, TODAY + DAY))
        await _waiting(pool, 1)
        other = asyncio.create_task(new(pool, sound("race")))
        await _waiting(pool, 2)
        assert not turning.done()
    assert await other == set()
    await turning
    assert await pool.fetchval("SELECT count(*) FROM seen_event") == 1


async def _waiting(pool: asyncpg.Pool, count: int) -> None:
    """Return when so many wait for the lock; PostgreSQL tells nobody of it, so it is asked again and again."""
    async with asyncio.timeout(4):
        while await pool.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted") < count:
            await pool.fetchval("SELECT pg_sleep(0.02)")


async def test_while_senders_race_with_turns_each_event_is_new_once(pool: asyncpg.Pool) -> None:
    async def send() -> list[str]:
        found: list[str] = []
        for number in range(40):
            found += await new(pool, *(sound(f"e-{number}-{each}") for each in range(3)))
        return found

    async def turns() -> None:
        for days in range(1, 30):
            await turn(pool, TODAY + days * DAY, window=30 * DAY)
            await asyncio.sleep(0.005)

    *senders, _ = await asyncio.gather(send(), send(), send(), turns())
    assert sorted(event_id for found in senders for event_id in found) == sorted(
        f"e-{number}-{each}" for number in range(40) for each in range(3)
    )


async def test_of_replicas_that_turn_at_once_one_does(pool: asyncpg.Pool) -> None:
    await asyncio.gather(*(turn(pool, TODAY + DAY) for _ in range(3)))
    assert len(await tables(pool)) == 2


async def test_what_was_seen_before_the_partitions_is_known_afterwards(make_stage: MakeStage) -> None:
    """A database as it was before the migration, brought up to date."""
    url = await (await make_stage(topics=())).database("ingest")
    await asyncio.to_thread(migrate, "services.ingest", url, "0004")
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("INSERT INTO seen_event VALUES ('/银行', 'e', 'one', current_date - 90)")
        await asyncio.to_thread(migrate, "services.ingest", url)
        async with connection.transaction():
            assert await store.remember(connection, [sound("e", "/银行"), sound("é")]) == {("/bank", "é")}
    finally:
        await connection.close()
