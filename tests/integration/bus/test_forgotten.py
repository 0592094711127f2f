"""A database that forgot what it told, on the same server and timeline: seen by the log's end (E4)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.bus import tails
from shared.bus.bus import Bus
from shared.bus.outbox import Cursor, next_segments
from shared.bus.relabelling import place_of
from shared.bus.streams import StreamKey, raise_epochs
from shared.bus.tails import Tail, Tails
from shared.bus.unit_of_work import UnitOfWork
from shared.db.pool import borrow
from shared.events.registry import CARD
from tests.integration.bus.log import Record, facts_in, faults_of, log_of, sound, write
from tests.integration.bus.toys import (
    Toys,
    at_rest,
    deciding,
    empty,
    execute,
    fetch,
    payment,
    payments,
    post,
    running,
    until,
)

FORGOTTEN = "facts were forgotten"
TABLES = ("outbox_stream", "outbox_published", "outbox_segment", "toy")


async def _pay(bus: Bus, *numbers: int) -> None:
    for number in numbers:
        await bus.transact(partial(post, customers=["c-0"], number=number))


async def _keep(toys: Toys) -> None:
    """Keep a copy of the writer's tables beside them."""
    for table in TABLES:
        await execute(toys.write_url, f"DROP TABLE IF EXISTS old_{table}")
        await execute(toys.write_url, f"CREATE TABLE old_{table} AS TABLE {table}")


async def _put_back(toys: Toys) -> None:
    """Put the copy back: server and timeline stay what they are."""
    for table in TABLES:
        await execute(toys.write_url, f"TRUNCATE {table}")
        await execute(toys.write_url, f"INSERT INTO {table} TABLE old_{table}")


async def _forget_the_third(toys: Toys, reader: Bus) -> tuple[StreamKey, int]:
    """Tell three facts and put the database back to where it knew two; returns the stream and its epoch."""
    writer = toys.writer()
    async with running(writer):
        await _pay(writer, 0, 1)
        await at_rest(writer, reader)
        await _keep(toys)
        await _pay(writer, 2)
        await at_rest(writer, reader)
    epoch, *_ = await _stream(toys)
    await _put_back(toys)
    [stream] = await fetch(toys.write_url, "SELECT topic, partition FROM outbox_stream")
    return (stream["topic"], stream["partition"]), epoch


async def _stream(toys: Toys) -> tuple[int, int, int, int]:
    [row] = await fetch(toys.write_url, "SELECT epoch, head, base_epoch, base FROM outbox_stream")
    return tuple(row)


@pytest.mark.expected_errors(FORGOTTEN, "stream forked")
async def test_facts_told_before_a_volume_was_rolled_back_are_missed_and_nothing_new_is_dropped_as_old(
    toys: Toys,
) -> None:
    """Seen to fail without the look at the log's end: the reader took p-5 and p-6 for repeats of p-2 and p-3."""
    writer, reader = toys.writer(), toys.reader()
    async with running(reader):
        async with running(writer):
            await _pay(writer, 0, 1)
            await at_rest(writer, reader)
            await _keep(toys)
            await _pay(writer, 2, 3, 4)
            await at_rest(writer, reader)
        epoch, *_ = await _stream(toys)
        await _put_back(toys)
        again = toys.writer()
        async with running(again):
            await _pay(again, 5, 6)
            await at_rest(again, reader)
            assert await again.not_ready() == []
    assert (await payments(toys.read_url))["c-0"] == ["p-0", "p-1", "p-2", "p-3", "p-4", "p-5", "p-6"]
    after = await _stream(toys)
    assert after[0] > epoch
    assert after[1:] == (4, epoch, 2)


@pytest.mark.expected_errors(FORGOTTEN, "stream forked")
async def test_an_epoch_that_begins_before_the_last_one_has_a_number_goes_on_from_the_same_place(toys: Toys) -> None:
    """As when a standby is promoted under a service. Seen to fail where `published` stayed behind: a hole."""
    reader = toys.reader()
    async with running(reader):
        key, epoch = await _forget_the_third(toys, reader)
        async with deciding(toys.write_url, toys.stage.partitions) as transactions:
            async with borrow(transactions.pool) as connection:
                forgotten = Tail(Cursor(epoch, 3), "told-before")
                begun, place = await place_of(connection, key, forgotten)
                assert (begun > epoch, place) == (True, Cursor(begun, 2))
            await transactions.transact(lambda uow: raise_epochs(uow.connection))
        again = toys.writer()
        async with running(again):
            await _pay(again, 3, 4)
            await at_rest(again, reader)
            assert await again.not_ready() == []
    assert (await payments(toys.read_url))["c-0"] == ["p-0", "p-1", "p-2", "p-3", "p-4"]
    assert (await _stream(toys))[1:] == (4, epoch, 2)


@pytest.mark.expected_errors(FORGOTTEN, "stream forked")
@pytest.mark.parametrize("again", ["another history", "forgotten twice"])
async def test_an_epoch_that_ends_before_its_first_number_was_sent_still_says_what_came_before_it(
    toys: Toys, again: str
) -> None:
    """Its facts wait meanwhile. Seen to fail with the base read from the stream's row: the reader saw a gap."""
    reader = toys.reader()
    async with running(reader):
        key, epoch = await _forget_the_third(toys, reader)
        forgotten = Tail(Cursor(epoch, 3), "told-before")
        async with deciding(toys.write_url, toys.stage.partitions) as transactions:
            await transactions.transact(partial(post, customers=["c-0"], number=3))
            async with borrow(transactions.pool) as connection:
                await place_of(connection, key, forgotten)
            await transactions.transact(lambda uow: raise_epochs(uow.connection))
            await transactions.transact(partial(post, customers=["c-0"], number=4))
            if again == "forgotten twice":
                async with borrow(transactions.pool) as connection:
                    later, *_ = await _stream(toys)
                    await place_of(connection, key, Tail(Cursor(later, 3), "told-before"))
        last = toys.writer()
        async with running(last):
            await _pay(last, 5)
            await at_rest(last, reader)
            assert await last.not_ready() == []
    assert (await payments(toys.read_url))["c-0"] == [f"p-{number}" for number in range(6)]


async def test_what_lies_in_the_log_and_in_the_outbox_is_neither_forgotten_nor_sent_again(toys: Toys) -> None:
    """A process that died before it recorded. Seen to fail without moving up to the log's end: all came twice."""
    async with deciding(toys.write_url, toys.stage.partitions) as transactions:
        for number in range(3):
            await transactions.transact(partial(post, customers=["c-0"], number=number))
    await _keep(toys)
    epoch, *_ = await _stream(toys)
    for _ in range(2):
        writer = toys.writer()
        async with running(writer):
            await at_rest(writer)
        await until(partial(_recorded, toys, (epoch, 3)))
        assert sum(len(records) for records in (await log_of(toys.stage, CARD)).values()) == 3
        await _put_back(toys)
    assert await _stream(toys) == (epoch, 3, 0, 0)


async def _recorded(toys: Toys, place: tuple[int, int]) -> bool:
    rows = await fetch(toys.write_url, "SELECT epoch, sequence FROM outbox_published")
    return [tuple(row) for row in rows] == [place] and not await fetch(toys.write_url, "SELECT FROM outbox_segment")


STRANGE = Record(b"{}", [("ce_source", b"/elsewhere")])


@pytest.mark.expected_errors(FORGOTTEN)
@pytest.mark.parametrize(("strangers", "last_look"), [(70, 1_000), (70, 60)])
async def test_strangers_records_at_the_logs_end_do_not_hide_what_was_forgotten(
    toys: Toys, monkeypatch: pytest.MonkeyPatch, strangers: int, last_look: int
) -> None:
    """Behind more than are looked through, a new epoch is begun all the same: one too many does no harm.

    Seen to fail where only the very last record was looked at.
    """
    monkeypatch.setattr(tails, "LOOK_BACK", (50, last_look))
    async with running(writer := toys.writer()):
        await _pay(writer, 0)
        await at_rest(writer)
        await _keep(toys)
        await _pay(writer, 1)
        await at_rest(writer)
    before, *_ = await _stream(toys)
    await _put_back(toys)
    await write(toys.stage, CARD, writer.partition_of("c-0"), [STRANGE] * strangers)
    async with running(writer := toys.writer()):
        await _pay(writer, 2)
        await at_rest(writer)
    after = await _stream(toys)
    assert after[0] > before
    assert after[1:] == (2, before, 1)


async def test_the_end_of_many_logs_is_read_in_one_round_also_behind_repeats(
    toys: Toys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The highest fact counts, since a zombie may have sent lower ones again behind it."""
    await write(toys.stage, CARD, 0, [sound("c-0", number) for number in (1, 2, 3, 1, 2)])
    rounds: list[int] = []
    read = tails._read

    async def counted(kafka: AIOKafkaConsumer, wanted: Mapping[TopicPartition, str]) -> object:
        rounds.append(len(wanted))
        return await read(kafka, wanted)

    monkeypatch.setattr(tails, "_read", counted)
    asked = Tails(toys.stage.infra.bootstrap)
    name = CARD.full_name(toys.stage.namespace)
    try:
        found = await asyncio.gather(*(asked.last(name, partition, CARD.source) for partition in (0, 1)))
        assert found == [Tail(Cursor(7, 3), "c-0/3"), None]
        assert rounds == [2]
    finally:
        await asked.stop()


@pytest.mark.expected_errors(FORGOTTEN)
async def test_what_was_half_sent_is_cut_where_it_was_known_to_be_sent(toys: Toys) -> None:
    """Three facts of one segment, one of them sent; the log ends with a fact of a forgotten history.

    Seen to fail without the cut: the fact that was sent already would have been told again under its number.
    """
    async with deciding(toys.write_url, toys.stage.partitions) as transactions:
        await transactions.transact(partial(_thrice, number=0))
        [row] = await fetch(toys.write_url, "SELECT topic, partition, epoch FROM outbox_stream")
        key, epoch = (row["topic"], row["partition"]), row["epoch"]
        await execute(toys.write_url, "INSERT INTO outbox_published VALUES ($1, $2, $3, 1)", *key, epoch)
        async with borrow(transactions.pool) as connection:
            new, cursor = await place_of(connection, key, Tail(Cursor(epoch, 3), "another"))
            assert new > epoch
            assert cursor == Cursor(new, 1)
            [segment] = await next_segments(connection, key, cursor)
            assert (segment.epoch, segment.first, len(segment.facts)) == (new, 2, 2)
            assert segment.base == (epoch, 1)
            # Put back once more before anything of the new epoch was sent: readers know only the one before it.
            newer, _ = await place_of(connection, key, Tail(Cursor(new + 5, 3), "another"))
            assert newer > new + 5
            assert (await _stream(toys))[1:] == (3, epoch, 1)


async def _thrice(uow: UnitOfWork, number: int) -> None:
    for each in range(3):
        uow.emit(payment("c-0", 3 * number + each))


@pytest.mark.expected_errors(FORGOTTEN, "stream stopped")
async def test_an_emptied_database_whose_topics_were_kept_stops_its_readers_and_nothing_is_dropped(
    toys: Toys,
) -> None:
    """A stream begun anew is for a person to accept; that it has another epoch is what counts."""
    writer, reader = toys.writer(), toys.reader()
    async with running(reader):
        async with running(writer):
            await _pay(writer, 0, 1, 2)
            await at_rest(writer, reader)
        await empty(toys.write_url, toys.stage.partitions, ())
        again = toys.writer()
        async with running(again):
            await _pay(again, 3)
            await until(partial(_is_stopped, reader))
    assert (await payments(toys.read_url))["c-0"] == ["p-0", "p-1", "p-2"]
    log = await log_of(toys.stage, CARD)
    assert len(facts_in(log)) == 4
    assert faults_of(log) == []


async def _is_stopped(bus: Bus) -> bool:
    return "stream_stopped" in {why.code for why in await bus.not_ready()}
