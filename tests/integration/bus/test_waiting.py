"""Those who wait for a publication wait in memory: however many they are, the database is asked once a round."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from shared.bus import publisher
from shared.bus.unit_of_work import UnitOfWork
from shared.db.pool import borrow
from tests.integration.bus.toys import Toys, execute, post, running

WAITING = 300
_KEPT = "INSERT INTO outbox_lease SELECT n, 'somebody else', 'infinity' FROM generate_series(0, 99) AS n"


async def test_many_who_wait_ask_the_database_no_more_than_one_and_all_hear_of_another_replicas_publication(
    toys: Toys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen to fail: each asked every tenth of a second, the pool had no connection left for the publisher, and a
    service that had been away for a minute did not come back for minutes.
    """
    await execute(toys.write_url, _KEPT)
    waiting = toys.writer("0")
    asked = 0

    @asynccontextmanager
    async def counted(pool: asyncpg.Pool) -> AsyncIterator[asyncpg.Connection]:
        nonlocal asked
        asked += 1
        async with borrow(pool) as connection:
            yield connection

    async with running(waiting):
        segments = (await waiting.transact(_posted)).appended
        monkeypatch.setattr(publisher, "borrow", counted)
        assert await waiting.published(segments, 0.5) is None, "nobody publishes yet"
        alone, asked = asked, 0
        answers = await asyncio.gather(*(waiting.published(segments, 0.5) for _ in range(WAITING)))
        assert set(answers) == {None}
        assert asked <= 3 * alone
        monkeypatch.undo()
        all_waiting = asyncio.gather(*(waiting.published(segments, 30) for _ in range(WAITING)))
        other = toys.writer("1")
        async with running(other):
            assert other._publisher is not None
            await other._publisher.take(range(toys.stage.partitions))
            assert None not in await all_waiting


async def _posted(uow: UnitOfWork) -> UnitOfWork:
    await post(uow, customers=["c-0", "c-1"], number=0)
    return uow
