"""The read barrier: whoever acts has read what was published before, or does not act."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from shared.bus import barrier
from shared.bus.barrier import LogEnds, pass_barrier
from shared.bus.outcomes import Outcome
from shared.bus.unit_of_work import Incoming, UnitOfWork
from shared.events.registry import CARD
from tests.integration.bus.log import sound, write
from tests.integration.bus.toys import Toys, at_rest, count_payments, deciding, execute, payments, running


async def test_the_barrier_is_passed_only_when_all_that_was_published_has_taken_effect(toys: Toys) -> None:
    """Seen to fail with `reached` counted whatever the offset."""
    may_go = asyncio.Event()

    async def slow(batch: Sequence[Incoming], uow: UnitOfWork) -> Sequence[Outcome]:
        await may_go.wait()
        return await count_payments(batch, uow)

    bus = toys.reader(slow)
    async with running(bus):
        assert await bus.barrier(0, [CARD]) is not None
        await write(toys.stage, CARD, 0, [sound("c-0", 1)])
        before = datetime.now(UTC)
        passing = asyncio.create_task(bus.barrier(0, [CARD]))
        done, _ = await asyncio.wait({passing}, timeout=0.5)
        assert not done
        may_go.set()
        asked_at = await passing
        assert await payments(toys.read_url) == {"c-0": ["p-1"]}
    assert asked_at is not None
    assert before <= asked_at <= datetime.now(UTC)


async def test_nothing_may_be_done_while_a_stream_is_stopped_or_was_never_subscribed(toys: Toys) -> None:
    bus = toys.reader()
    async with running(bus):
        await write(toys.stage, CARD, 0, [sound("c-0", 1)])
        await at_rest(bus)
        await execute(toys.read_url, "UPDATE inbox_position SET state = 'stopped', reason = 'x' WHERE partition = 0")
        async with asyncio.timeout(5):
            assert await bus.barrier(0, [CARD]) is None
        assert await bus.barrier(1, [CARD]) is not None
        await execute(toys.read_url, "DELETE FROM inbox_position WHERE partition = 0")
        assert await bus.barrier(0, [CARD]) is None


async def test_nothing_may_be_done_while_reading_lags(toys: Toys, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody reads here, so what was published is never reached."""
    await write(toys.stage, CARD, 0, [sound("c-0", 1)])
    ends = LogEnds(toys.stage.infra.bootstrap, toys.stage.namespace)
    monkeypatch.setattr(barrier, "_WAIT_SECONDS", 0.3)
    try:
        async with deciding(toys.read_url, toys.stage.partitions) as transactions:
            assert await pass_barrier(transactions.pool, ends, 0, [CARD]) is None
            assert await pass_barrier(transactions.pool, ends, 1, [CARD]) is not None
    finally:
        await ends.stop()


@pytest.mark.usefixtures("quiet_client")
async def test_nothing_may_be_done_while_the_broker_is_away(toys: Toys) -> None:
    """Here nobody listens at its address; a broker that is frozen is in the tests of faults."""
    ends = LogEnds("127.0.0.1:1", toys.stage.namespace)
    async with deciding(toys.read_url, toys.stage.partitions) as transactions:
        assert await pass_barrier(transactions.pool, ends, 0, [CARD]) is None
    await ends.stop()
