"""Two publishers, and late records of progress."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

import asyncpg
import pytest

from shared.bus.bus import Bus
from shared.bus.headers import Packed
from shared.bus.leases import Leases
from shared.bus.outbox import Cursor, Recorder, next_segments
from shared.bus.publisher import _Stream
from shared.bus.streams import Segment, StreamKey, append, raise_epochs
from shared.bus.unit_of_work import UnitOfWork
from shared.db.pool import borrow, open_pool
from shared.events.registry import CARD
from tests.integration.bus.log import facts_in, faults_of, log_of, packed
from tests.integration.bus.toys import Toys, at_rest, deciding, execute, fetch, post, running, until

CUSTOMERS = [f"c-{number}" for number in range(6)]


async def test_two_publishers_whose_leases_are_forced_back_and_forth_only_repeat(toys: Toys) -> None:
    """Seen to fail: the one that woke on its old cursor took the other's progress for a hole and halted for good."""
    buses = toys.writer("0"), toys.writer("1")
    everything = range(toys.stage.partitions)
    async with running(*buses):
        for number in range(24):
            owner = buses[number // 2 % 2]
            assert owner._publisher is not None
            await owner._publisher.take(everything)
            await owner.transact(partial(post, customers=CUSTOMERS, number=number))
            if number % 2:
                await at_rest(*buses)
        await at_rest(*buses)
        assert [await bus.not_ready() for bus in buses] == [[], []]
    log = await log_of(toys.stage, CARD)
    assert faults_of(log) == []
    assert len(facts_in(log)) == 24 * len(CUSTOMERS)


@pytest.mark.expected_errors("stream halted")
async def test_a_hole_in_the_outbox_halts_the_stream_and_says_so(toys: Toys) -> None:
    """Nobody's role may delete segments; here it is done all the same, before a publisher runs."""
    async with deciding(toys.write_url, toys.stage.partitions) as transactions:
        for number in range(3):
            await transactions.transact(partial(post, customers=["c-0"], number=number))
    await execute(toys.write_url, "DELETE FROM outbox_segment WHERE first = 2")
    bus = toys.writer()
    async with running():
        await bus.start()
        await until(partial(_halted, bus))
        [why] = await bus.not_ready()
        await bus.stop()
    assert "outbox hole" in why.en
    assert len(facts_in(await log_of(toys.stage, CARD))) == 1


async def test_a_publisher_that_is_behind_holds_a_few_batches_of_facts_however_large_its_segments_are(
    toys: Toys,
) -> None:
    """Seen to fail with segments counted instead of facts: a reader far behind grew by what its publisher held."""
    key = ("card", 0)
    async with deciding(toys.write_url, toys.stage.partitions) as transactions:
        stream, made = _Stream(), []
        for number in range(6):
            facts = {key: [packed("c-0", 700 * number + each) for each in range(700)]}
            made += await transactions.transact(partial(_append, facts=facts))
            stream.remember(made[-1])
        async with borrow(transactions.pool) as connection:
            read = await next_segments(connection, key, Cursor(0, 0))
            rest = await next_segments(connection, key, Cursor(read[-1].epoch, read[-1].last))
    assert [segment.first for segment in read] == [segment.first for segment in stream.memory] == [1, 701, 1401]
    assert [segment.first for segment in rest] == [2101, 2801, 3501]
    stream.drop_sent(Cursor(made[0].epoch, made[0].last))
    stream.remember(made[3])
    assert [segment.first for segment in stream.memory] == [701, 1401, 2101]


async def _append(uow: UnitOfWork, facts: dict[StreamKey, list[Packed]]) -> list[Segment]:
    return await append(uow.connection, facts)


async def _halted(bus: Bus) -> bool:
    return "stream_halted" in {why.code for why in await bus.not_ready()}


async def _published(toys: Toys) -> tuple[int, int, int]:
    [row] = await fetch(
        toys.write_url,
        "SELECT epoch, sequence, (SELECT count(*) FROM outbox_segment) AS segments FROM outbox_published",
    )
    return row["epoch"], row["sequence"], row["segments"]


async def test_what_is_known_to_be_published_only_grows_and_only_in_the_streams_epoch(toys: Toys) -> None:
    """Seen to fail: a record of a term in an older epoch deleted the segments and left `published` behind."""
    async with deciding(toys.write_url, toys.stage.partitions) as transactions:
        for number in range(4):
            await transactions.transact(partial(post, customers=["c-0"], number=number))
        [row] = await fetch(toys.write_url, "SELECT topic, partition, epoch FROM outbox_stream")
        key, epoch = (row["topic"], row["partition"]), row["epoch"]
        recorder = Recorder(transactions.pool)

        async def record(number: int, term: int) -> tuple[int, int, int]:
            recorder.note(key, Cursor(epoch, number), term)
            await recorder.flush()
            return await _published(toys)

        assert await record(2, epoch) == (epoch, 2, 2)
        assert await record(1, epoch) == (epoch, 2, 2)
        await transactions.transact(lambda uow: raise_epochs(uow.connection))
        assert await record(3, epoch) == (epoch, 2, 2)  # a zombie's term
        [row] = await fetch(toys.write_url, "SELECT epoch FROM outbox_stream")
        assert await record(3, row["epoch"]) == (epoch, 3, 1)


async def _leases(toys: Toys) -> tuple[asyncpg.Pool, Leases, Leases]:
    pool = await open_pool(toys.write_url, size=2)
    return pool, Leases(pool, "ingest-0", 4), Leases(pool, "ingest-1", 4)


async def test_replicas_share_free_leases_evenly_and_force_takes_at_once(toys: Toys) -> None:
    pool, one, other = await _leases(toys)
    try:
        await one.take((0,))
        await other.take((1,))
        await one.renew()
        await other.renew()
        assert (len(one.held), len(other.held)) == (2, 2)
        await other.take(range(4))
        await one.renew()
        assert (one.held, other.held) == (frozenset(), frozenset(range(4)))
        await execute(toys.write_url, "UPDATE outbox_lease SET until = clock_timestamp() - interval '1 second'")
        await one.renew()
        assert one.held == frozenset(range(4))  # nobody else is alive any more
    finally:
        await pool.close()


async def test_a_lease_taken_during_a_renewal_is_not_forgotten(toys: Toys) -> None:
    """Seen to fail without the lock in `Leases`: the renewal's older answer overwrote it, for three seconds."""
    pool, one, other = await _leases(toys)
    try:
        await other.take(range(4))
        for number in range(20):
            await asyncio.gather(one.renew(), one.take((number % 4,)), one.renew())
            assert number % 4 in one.held
            await other.take((number % 4,))
    finally:
        await pool.close()


async def test_published_tells_the_instant_also_of_what_another_replica_publishes(toys: Toys) -> None:
    """None means not known in time; that it is then told as merely recorded is the routes' matter."""
    holder, other = toys.writer("0"), toys.writer("1")
    async with running(holder, other):
        assert holder._publisher is not None
        await holder._publisher.take(range(toys.stage.partitions))
        await until(partial(_holds_nothing, other))
        async with deciding(toys.write_url, toys.stage.partitions) as transactions:
            segments = await transactions.transact(_post_and_append)
        assert await other.published(segments, within=5) is not None
        assert await other.published([segments[0]._replace(first=1000)], within=0.2) is None


async def _holds_nothing(bus: Bus) -> bool:
    assert bus._publisher is not None
    return not bus._publisher._leases.held


async def _post_and_append(uow: UnitOfWork) -> Sequence[Segment]:
    await post(uow, CUSTOMERS, 0)
    segments = await uow.append()
    uow._facts.clear()
    return segments
