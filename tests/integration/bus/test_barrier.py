"""The read barrier: whoever acts has read what was published before, or does not act."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

import pytest

from shared.bus import barrier
from shared.bus.barrier import LogEnds, pass_barrier, unread_keys
from shared.bus.outcomes import Outcome
from shared.bus.partitions import partition_of
from shared.bus.unit_of_work import Incoming, UnitOfWork
from shared.db.pool import borrow
from shared.events.registry import CARD, RISK
from tests.integration.bus.log import sound, write
from tests.integration.bus.toys import (
    Toys,
    at_rest,
    count_payments,
    deciding,
    execute,
    fetch,
    payments,
    reader,
    running,
    until,
)


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


async def test_the_light_form_refuses_who_acts_where_a_stream_is_stopped_behind_or_unknown(toys: Toys) -> None:
    """Seen to fail with the age left out, and with a stream without a row passed over."""
    keys = {partition_of(f"c-{number}", 2): f"c-{number}" for number in range(8)}
    change = "UPDATE inbox_position SET state = $1, at = now() - make_interval(secs => $2) WHERE partition = 0"

    async def unread() -> dict[str, str]:
        async with deciding(toys.read_url, toys.stage.partitions) as transactions, borrow(transactions.pool) as one:
            found = await unread_keys(one, keys.values(), 2, ["card"])
        return {key: problem.extra["reason"] for key, problem in found.items()}

    assert await unread() == dict.fromkeys(keys.values(), "behind")  # nothing was ever read
    await execute(toys.read_url, "UPDATE inbox_position SET at = now()")
    assert await unread() == {}
    await execute(toys.read_url, change, "running", 61)
    assert await unread() == {keys[0]: "behind"}
    await execute(toys.read_url, change, "stopped", 0)
    assert await unread() == {keys[0]: "stopped"}
    await execute(toys.read_url, "DELETE FROM inbox_position WHERE partition = 0")
    assert await unread() == {keys[0]: "stopped"}


async def test_a_stream_counts_as_read_while_it_is_at_its_end_busy_or_silent_and_not_while_it_lags(
    toys: Toys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen to fail with the silent topic looked at in idle rounds only, and with each batch counted as the end.

    The machine may be slow: instants are compared with one another, never with a length of time.
    """
    monkeypatch.setattr("shared.bus.reading.LOOK_SECONDS", 0.05)
    monkeypatch.setattr("shared.bus.reading.BATCH", 1)
    await execute(
        toys.read_url,
        "INSERT INTO inbox_position SELECT 'risk', partition, 0, 0, 0, NULL, '{}', 'running', "
        "NULL, 'epoch' FROM generate_series(0, 1) AS partition",
    )
    steps = asyncio.Semaphore(0)

    async def slow(batch: Sequence[Incoming], uow: UnitOfWork) -> Sequence[Outcome]:
        await steps.acquire()
        return await count_payments(batch, uow)

    async def at(topic: str) -> datetime:
        rows = await fetch(toys.read_url, "SELECT at FROM inbox_position WHERE topic = $1 AND partition = 0", topic)
        instant: datetime = rows[0]["at"]
        return instant

    async def later(topic: str, than: datetime) -> bool:
        steps.release()
        return await at(topic) > than

    await write(toys.stage, CARD, 0, [sound("c-0", number) for number in range(1, 200)])
    bus = reader(toys.stage.settings(toys.read_url), slow, (CARD, RISK))
    async with running(bus):
        silent = await at("risk")
        for _ in range(3):
            steps.release()
        await until(partial(later, "risk", silent))
        assert (await at("card")).year == 1970
        for _ in range(200):
            steps.release()
        await until(partial(later, "card", silent))
