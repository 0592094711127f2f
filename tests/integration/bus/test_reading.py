"""What a reader makes of a log that is not as it should be. The log is written past the bus."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg
import pytest

from shared.bus.bus import Bus
from shared.bus.decoding import Decoder, Raw
from shared.bus.handling import Handling
from shared.bus.headers import Numbers
from shared.bus.outcomes import Outcome
from shared.bus.positions import NotOwner, Position, Stopped, load, subscribe
from shared.bus.rounds import Rounds
from shared.bus.taking import Read, Taking
from shared.bus.unit_of_work import Incoming, UnitOfWork
from shared.events.card import PaymentPosted
from shared.events.registry import CARD, RISK
from shared.telemetry.metrics import Metrics
from tests.integration.bus.log import Record, sound, write
from tests.integration.bus.toys import (
    Toys,
    at_rest,
    count_payments,
    dead_letters,
    deciding,
    execute,
    fetch,
    payments,
    running,
    until,
)


def numbered(first: int, last: int, customer: str = "c-0") -> list[Record]:
    """Sound records of one customer."""
    return [sound(customer, number) for number in range(first, last + 1)]


def expected(*numbers: int) -> list[str]:
    """What the toy has of a customer after these payments."""
    return [f"p-{number}" for number in numbers]


async def reasons(bus: Bus) -> list[str]:
    """Why the bus is not ready."""
    return [why.en for why in await bus.not_ready()]


async def position(toys: Toys, partition: int) -> asyncpg.Record:
    """The reader's row of a stream."""
    [row] = await fetch(toys.read_url, "SELECT * FROM inbox_position WHERE partition = $1", partition)
    return row


@pytest.mark.expected_errors("stream stopped")
async def test_a_gap_stops_the_stream_and_says_so_while_other_partitions_flow(toys: Toys) -> None:
    """Seen to fail with `sequence > position.sequence` taken. A foreign record before the gap was read again for ever,
    and buried each time. What a person does about a gap is not built yet.
    """
    foreign = Record(b"hello", [])
    await write(toys.stage, CARD, 0, [*numbered(1, 2), foreign, *numbered(4, 5)])
    bus = toys.reader()
    async with running(bus):
        await write(toys.stage, CARD, 1, numbered(1, 3, "c-1"))
        await until(lambda: _stopped(bus))
        await until(lambda: _has(toys, "c-1", expected(1, 2, 3)))
        assert await reasons(bus) == ["card/0 is stopped: gap: expected 7:3, got 7:4"]
        assert await payments(toys.read_url) == {"c-0": expected(1, 2), "c-1": expected(1, 2, 3)}
        assert bus.metrics.registry.get_sample_value("arrears_gaps_total", {"topic": "card"}) == 1
    row = await position(toys, 0)
    assert (row["state"], row["sequence"], row["reason"]) == ("stopped", 2, "gap: expected 7:3, got 7:4")
    assert len(await dead_letters(toys.read_url)) == 1
    bus = toys.reader()
    async with running():
        await bus.start()
        await until(lambda: _stopped(bus))  # a new process stops again: the row says so
        await bus.stop()


async def _stopped(bus: Bus) -> bool:
    return "stream_stopped" in {why.code for why in await bus.not_ready()}


async def _has(toys: Toys, customer: str, found: list[str]) -> bool:
    return (await payments(toys.read_url)).get(customer) == found


async def test_a_stream_that_a_person_mended_is_taken_up_again_without_a_restart(
    toys: Toys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here by hand; the command for it is not built yet."""
    monkeypatch.setattr("shared.bus.reading.LOOK_SECONDS", 0.2)
    await execute(toys.read_url, "UPDATE inbox_position SET state = 'stopped', reason = 'by hand'")
    await write(toys.stage, CARD, 0, numbered(1, 2))
    bus = toys.reader()
    async with running():
        await bus.start()
        await until(lambda: _stopped(bus))
        await execute(toys.read_url, "UPDATE inbox_position SET state = 'running', reason = NULL")
        await until(lambda: _has(toys, "c-0", expected(1, 2)))
        await bus.stop()


async def test_repeated_facts_are_dropped_and_counted(toys: Toys) -> None:
    """Seen to fail with the duplicate's verdict made "take"."""
    await write(toys.stage, CARD, 0, [*numbered(1, 3), *numbered(2, 3), *numbered(1, 3), *numbered(3, 4)])
    bus = toys.reader()
    async with running(bus):
        await at_rest(bus)
        assert await payments(toys.read_url) == {"c-0": expected(1, 2, 3, 4)}
        counted = bus.metrics.registry.get_sample_value("arrears_facts_duplicate_total", {"topic": "card"})
    assert counted == 6
    assert (await position(toys, 0))["log_offset"] == 10
    bus = toys.reader()
    async with running(bus):
        await write(toys.stage, CARD, 0, numbered(5, 5))
        await at_rest(bus)
        # The record before the position is read once more to check the hint; that is no repeat.
        assert bus.metrics.registry.get_sample_value("arrears_facts_duplicate_total", {"topic": "card"}) is None
    assert await payments(toys.read_url) == {"c-0": expected(1, 2, 3, 4, 5)}


STRANGE: Sequence[tuple[str, Record]] = [
    ("foreign", Record(b"hello", [])),
    ("foreign", Record(None, [("ce_epoch", None), ("x", b"\x00\xff"), ("y\x00", b"")], b"k\x00\xff")),
    ("foreign", Record(b"{}", [*sound("c-0", 1).headers, ("ce_epoch", b"7")])),
    ("foreign", Record(b"{}", [h for h in sound("c-0", 1).headers if h[0] != "ce_source"])),
]


async def test_records_of_strangers_are_dead_letters_once_and_the_rest_flows(toys: Toys) -> None:
    """Seen to fail: a null header or a byte 0 blocked the service for ever, and each restart buried the last one again.

    A header whose name is not UTF-8 is in test_poison.py: the client library itself cannot read it.
    """
    for number, (_, record) in enumerate(STRANGE, 1):
        await write(toys.stage, CARD, 0, [*numbered(number, number), record])
    for _ in range(2):
        bus = toys.reader()
        async with running(bus):
            await at_rest(bus)
    letters = await dead_letters(toys.read_url)
    assert [(row["code"], row["log_offset"], row["body"]) for row in letters] == [
        (code, 2 * number + 1, record.value) for number, (code, record) in enumerate(STRANGE)
    ]
    assert (await payments(toys.read_url))["c-0"] == expected(1, 2, 3, 4)


async def test_what_nobody_can_read_is_a_dead_letter_with_its_bytes_and_headers(toys: Toys) -> None:
    """The number moves, since the fact itself was there; only its effect is missing."""

    def other(number: int, name: str, value: bytes | None, body: bytes | None) -> Record:
        record = sound("c-0", number)
        headers = [(key, value if key == name else found) for key, found in record.headers]
        return Record(body, headers, b"c-0")

    records = [
        sound("c-0", 1),
        other(2, "", None, b"\xff not JSON \x00"),
        other(3, "ce_type", b"arrears.payment.posted.v9", b"{}"),
        other(4, "ce_time", b"yesterday", b"{}"),
        other(5, "ce_type", b"arrears.account.graded.v1", b"{}"),
        other(6, "ce_type", b"arrears.account.cured.v1", b"known, but not handled here"),
        other(7, "", None, b'{"x":' + b"[" * 100_000),
        sound("c-0", 8),
    ]
    await write(toys.stage, CARD, 0, records)
    bus = toys.reader()
    async with running(bus):
        await at_rest(bus)
    letters = await dead_letters(toys.read_url)
    assert [(row["sequence"], row["code"], row["step"]) for row in letters] == [
        (2, "undecodable", "decode"),
        (3, "unknown_type", "decode"),
        (4, "envelope", "decode"),
        (5, "wrong_topic", "decode"),
        (7, "undecodable", "decode"),
    ]
    assert letters[0]["body"] == records[1].value
    assert "arrears.payment.posted.v1" in letters[0]["headers"]
    assert {row["key"] for row in letters} == {"c-0"}
    assert await payments(toys.read_url) == {"c-0": expected(1, 8)}


async def test_a_wrong_hint_loses_nothing_and_does_nothing_twice(toys: Toys) -> None:
    """The number is the truth: the stored offset may lie anywhere in the log, or outside of it (a topic made again).

    Seen to fail with the hint believed (`seek` to the stored offset): facts were passed over in silence.
    """
    await write(toys.stage, CARD, 0, numbered(1, 6))
    for hint in (0, 2, 5, 6, 100):
        bus = toys.reader()
        async with running(bus):
            await at_rest(bus)
        await execute(toys.read_url, "UPDATE inbox_position SET log_offset = $1 WHERE partition = 0", hint)
    await write(toys.stage, CARD, 0, [*numbered(7, 9)])
    await execute(toys.read_url, "UPDATE inbox_position SET log_offset = 9 WHERE partition = 0")
    bus = toys.reader()
    async with running(bus):
        await until(lambda: _has(toys, "c-0", expected(*range(1, 10))))


async def test_a_zombie_whose_partition_moved_cannot_commit_and_its_effect_is_rolled_back(toys: Toys) -> None:
    """Seen to fail with the old value left out of the condition on which a position moves."""
    async with deciding(toys.read_url, toys.stage.partitions) as transactions:
        owner = Handling(Rounds(Taking(transactions, count_payments, Metrics())), 0)
        zombie = Handling(Rounds(Taking(transactions, count_payments, Metrics())), 0)
        old = {"card": Position()}
        new = Position(epoch=7, sequence=1, offset=1, last_id="x")
        await owner.take([Read("card", new, None)], old)
        with pytest.raises(NotOwner):
            await zombie.take([Read("card", Position(7, 2, 2, "y"), None)], old)
        with pytest.raises(NotOwner):  # one old view among several is enough
            await zombie.take([Read("card", Position(7, 2, 2, "y"), None)], {"card": Position(7, 1, 0, "x")})
    row = await position(toys, 0)
    assert (row["epoch"], row["sequence"], row["log_offset"]) == (7, 1, 1)


async def test_a_zombie_learns_that_it_is_one_before_its_handler_has_done_any_work(toys: Toys) -> None:
    """So it takes no lock of a customer whom the new owner is about to change (R6)."""
    handled: list[int] = []

    async def count(batch: Sequence[Incoming], uow: UnitOfWork) -> Sequence[Outcome]:
        handled.append(len(batch))
        return await count_payments(batch, uow)

    record = sound("c-0", 1)
    decoder = Decoder({PaymentPosted})
    decoded = decoder.decode(Raw("card", 0, 0, "c-0", record.headers, record.value, Numbers(7, 1, (0, 0))))
    async with deciding(toys.read_url, toys.stage.partitions) as transactions:
        zombie = Handling(Rounds(Taking(transactions, count, Metrics())), 0)
        await execute(toys.read_url, "UPDATE inbox_position SET sequence = 1, log_offset = 1 WHERE partition = 0")
        with pytest.raises(NotOwner):
            await zombie.take([Read("card", Position(7, 1, 1, "x"), decoded)], {"card": Position()})
    assert handled == []


async def test_an_idle_reader_whose_row_went_back_reads_again_what_is_missing(
    toys: Toys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a restore of its database under it: nothing new comes that would show it that its view is old (R8)."""
    monkeypatch.setattr("shared.bus.reading.LOOK_SECONDS", 0.2)
    await write(toys.stage, CARD, 0, numbered(1, 5))
    bus = toys.reader()
    async with running(bus):
        await at_rest(bus)
        connection = await asyncpg.connect(toys.read_url)
        async with connection.transaction():
            await connection.execute("UPDATE toy SET payments = payments[1:2]")
            await connection.execute(
                "UPDATE inbox_position SET sequence = 2, log_offset = 2, last_id = 'c-0/2' WHERE partition = 0"
            )
        await connection.close()
        await until(lambda: _has(toys, "c-0", expected(1, 2, 3, 4, 5)))


async def test_a_topic_that_nobody_subscribed_is_stopped_and_subscribing_twice_changes_nothing(toys: Toys) -> None:
    await execute(toys.read_url, "UPDATE inbox_position SET sequence = 5 WHERE partition = 0")
    connection = await asyncpg.connect(toys.read_url)
    try:
        await subscribe(connection, [CARD], toys.stage.partitions)
        rows = await load(connection, 0, ["card", "risk"])
    finally:
        await connection.close()
    assert rows["card"] == Position(sequence=5)
    assert isinstance(rows["risk"], Stopped)
    assert "no_position" in rows["risk"].reason
    assert RISK.name == "risk"


@pytest.mark.expected_errors("stream stopped")
async def test_a_number_given_to_two_facts_stops_the_stream(toys: Toys) -> None:
    """A database restored without a new epoch gives numbers twice."""
    await write(toys.stage, CARD, 0, numbered(1, 2))
    bus = toys.reader()
    async with running(bus):
        await at_rest(bus)
        await write(toys.stage, CARD, 0, [Record(*sound("another", 2))])
        await until(lambda: _stopped(bus))
        assert await reasons(bus) == ["card/0 is stopped: fork: number 7:2 was given twice"]


@pytest.mark.expected_errors("stream forked")
async def test_a_new_epoch_that_goes_on_from_less_is_taken_noted_and_alarmed_and_the_old_one_is_dropped(
    toys: Toys,
) -> None:
    """Seen to fail with the fork made a stop, the note left out, and what is dropped of the old epoch not noted."""
    again = [sound("c-0", number, epoch=9, base=(7, 2) if number == 3 else None) for number in (3, 4)]
    await write(toys.stage, CARD, 0, [*numbered(1, 4), *again, *numbered(3, 5)])
    bus = toys.reader()
    async with running(bus):
        await at_rest(bus)
        counted = [
            bus.metrics.registry.get_sample_value(f"arrears_{name}_total", {"topic": "card"})
            for name in ("forks", "facts_stale", "facts_duplicate")
        ]
    assert counted == [1, 3, None]
    assert (await payments(toys.read_url))["c-0"] == expected(1, 2, 3, 4, 3, 4)
    [fork] = await fetch(toys.read_url, "SELECT * FROM inbox_fork")
    assert tuple(fork)[:-1] == ("card", 0, 9, 7, 2, 7, 4)
    [stale] = await fetch(toys.read_url, "SELECT * FROM inbox_stale")
    assert tuple(stale)[:-2] == ("card", 0, 7, 3, 5, 3)
    assert (await position(toys, 0))["seen"] == '{"7": 4}'
