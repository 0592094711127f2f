"""What becomes of facts whose handler fails, and of facts that wait."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial

import pytest

from shared.bus.bus import Bus
from shared.bus.handling import BREAKER
from shared.bus.outcomes import DONE, Dead, Later, Outcome
from shared.bus.unit_of_work import Incoming, UnitOfWork
from shared.clock import FrozenClock
from shared.db.guard import StaleState
from shared.events.card import PaymentPosted
from shared.events.registry import CARD, RISK
from tests.integration.bus.log import Record, facts_in, log_of, sound, write
from tests.integration.bus.toys import (
    NOON,
    Toys,
    at_rest,
    count_payments,
    dead_letters,
    execute,
    fetch,
    payments,
    running,
    until,
)


def number_of(item: Incoming) -> int:
    """Which payment it is."""
    assert isinstance(item.fact, PaymentPosted)
    return int(item.fact.payment_id.removeprefix("p-"))


async def test_a_bug_on_one_fact_of_a_batch_makes_one_dead_letter_and_the_rest_take_effect_once(toys: Toys) -> None:
    """Seen to fail with the batch buried whole instead of halved."""

    async def fails_on_7(batch: Sequence[Incoming], uow: UnitOfWork) -> Sequence[Outcome]:
        outcomes = await count_payments(batch, uow)
        if any(number_of(item) == 7 for item in batch):
            raise KeyError("a bug")
        return outcomes

    await write(toys.stage, CARD, 0, [sound("c-0", number) for number in range(1, 21)])
    bus = toys.reader(fails_on_7)
    async with running(bus):
        await at_rest(bus)
    assert await payments(toys.read_url) == {"c-0": [f"p-{number}" for number in range(1, 21) if number != 7]}
    [letter] = await dead_letters(toys.read_url)
    assert (letter["sequence"], letter["code"], letter["detail"]) == (7, "handler_failed", "KeyError: 'a bug'")
    assert (letter["attempts"], letter["step"]) == (3, "handle")
    assert len(facts_in(await log_of(toys.stage, RISK))) == 19


@pytest.mark.expected_errors("stream stopped")
async def test_a_handler_that_fails_for_every_fact_stops_the_partition_and_buries_only_a_few(toys: Toys) -> None:
    """A bad deploy must not turn the whole topic into dead letters.

    Seen to fail: the reason, which readiness shows to anybody, quoted the error and with it the customer's row.
    """

    async def broken(batch: Sequence[Incoming], uow: UnitOfWork) -> Sequence[Outcome]:
        raise KeyError("张伟 13800138000")

    await write(toys.stage, CARD, 0, [sound("c-0", number) for number in range(1, 61)])
    bus = toys.reader(broken)
    async with running(bus):
        await until(partial(_stopped, bus))
        [why] = await bus.not_ready()
        assert why.en == f"card/0 is stopped: breaker: {BREAKER} facts in a row failed, the last with KeyError"
    assert len(await dead_letters(toys.read_url)) == BREAKER - 1
    [row] = await fetch(toys.read_url, "SELECT sequence, state FROM inbox_position WHERE partition = 0")
    assert (row["sequence"], row["state"]) == (BREAKER - 1, "stopped")


async def _stopped(bus: Bus) -> bool:
    return "stream_stopped" in {why.code for why in await bus.not_ready()}


async def test_a_lost_race_is_run_again_and_never_makes_a_dead_letter(toys: Toys) -> None:
    tries: list[int] = []

    async def stale(batch: Sequence[Incoming], uow: UnitOfWork) -> Sequence[Outcome]:
        outcomes = await count_payments(batch, uow)
        tries.append(len(batch))
        if len(tries) < 15:
            raise StaleState("another was first")
        return outcomes

    await write(toys.stage, CARD, 0, [sound("c-0", number) for number in range(1, 6)])
    bus = toys.reader(stale)
    async with running(bus):
        await at_rest(bus)
    assert await dead_letters(toys.read_url) == []
    assert await payments(toys.read_url) == {"c-0": [f"p-{number}" for number in range(1, 6)]}


async def test_a_handler_may_bury_a_fact_itself_and_the_rest_of_its_batch_stands(toys: Toys) -> None:
    async def picky(batch: Sequence[Incoming], uow: UnitOfWork) -> Sequence[Outcome]:
        await count_payments([item for item in batch if number_of(item) != 2], uow)
        return [Dead("unwanted", "says the toy\x00") if number_of(item) == 2 else DONE for item in batch]

    await write(toys.stage, CARD, 0, [sound("c-0", number) for number in range(1, 4)])
    bus = toys.reader(picky)
    async with running(bus):
        await at_rest(bus)
        async with bus.reading() as connection:
            assert await bus.blocked_keys(connection, ["c-0", "c-1"]) == {"c-0"}
    [letter] = await dead_letters(toys.read_url)
    assert (letter["code"], letter["detail"], letter["attempts"]) == ("unwanted", "says the toy\ufffd", 1)
    assert await payments(toys.read_url) == {"c-0": ["p-1", "p-3"]}


@pytest.mark.parametrize(
    ("key", "kept", "blocks"),
    [
        (None, lambda name: name != "ce_id", True),  # a fact of ours in a place of its own, and no envelope to read
        (b"\xff", lambda name: name != "ce_id", True),
        (None, lambda name: name != "ce_sequence", True),  # ours by its source, but without a place
        (None, lambda name: name not in {"ce_source", "ce_sequence"}, False),  # a stranger's
        (b"c-9", lambda name: name != "ce_id", False),  # somebody else's, and it is known whose
    ],
)
async def test_a_dead_fact_of_nobody_knows_whom_blocks_everybody_of_its_partition(
    toys: Toys, key: bytes | None, kept: Callable[[str], bool], blocks: bool
) -> None:
    """Seen to fail with only the letter's own key asked for: a stop that could not be read stopped nobody."""
    bus = toys.reader()
    lost = sound("c-0", 1)
    headers = [header for header in lost.headers if kept(header[0])]
    here, there = sorted((f"c-{number}" for number in range(4)), key=bus.partition_of)[::3]
    assert (bus.partition_of(here), bus.partition_of(there)) == (0, 1)
    await write(toys.stage, CARD, 0, [Record(lost.value, headers, key)])
    async with running(bus):
        await at_rest(bus)
        async with bus.reading() as connection:
            assert await bus.blocked_keys(connection, [here, there]) == ({here} if blocks else set())
        assert await bus.transact(partial(_blocked, keys=[here, there])) == ({here} if blocks else set())
        await execute(toys.read_url, "UPDATE dead_letter SET state = 'discarded'")
        assert await bus.transact(partial(_blocked, keys=[here, there])) == set()


async def _blocked(uow: UnitOfWork, keys: Sequence[str]) -> set[str]:
    return await uow.blocked_keys(keys)


def waits_until(instant: timedelta) -> Later:
    """An outcome: later than noon by this much."""
    return Later(NOON + instant)


async def test_a_fact_that_waits_is_handled_again_once_when_the_domains_clock_has_come(toys: Toys) -> None:
    """Where order does not matter, none is kept over a wait; test_parking.py has where it does."""

    async def patient(batch: Sequence[Incoming], uow: UnitOfWork) -> Sequence[Outcome]:
        early = uow.now < NOON + timedelta(hours=1)
        now = [item for item in batch if not (early and number_of(item) == 2)]
        if now:
            await count_payments(now, uow)
        return [DONE if item in now else waits_until(timedelta(hours=1)) for item in batch]

    await write(toys.stage, CARD, 0, [sound("c-0", number) for number in range(1, 4)])
    bus = toys.reader(patient)
    async with running(bus):
        await at_rest(bus)
        assert (await bus.idle()).next_due == NOON + timedelta(hours=1)
        assert await payments(toys.read_url) == {"c-0": ["p-1", "p-3"]}
        _clock(bus).set(NOON + timedelta(hours=1))
        await at_rest(bus)
    assert await payments(toys.read_url) == {"c-0": ["p-1", "p-3", "p-2"]}
    assert await fetch(toys.read_url, "SELECT FROM deferred") == []
    assert len(facts_in(await log_of(toys.stage, RISK))) == 3


def _clock(bus: Bus) -> FrozenClock:
    assert isinstance(bus.clock, FrozenClock)
    return bus.clock


async def test_a_waiting_fact_that_fails_is_buried_itself_and_no_other_in_its_place(toys: Toys) -> None:
    """Seen to fail: the burial claimed whatever was due first by then, and buried a sound fact in its place."""
    tries = 0

    async def fails_late(batch: Sequence[Incoming], uow: UnitOfWork) -> Sequence[Outcome]:
        nonlocal tries
        if uow.now == NOON:
            return [waits_until(timedelta(hours=number_of(item))) for item in batch]
        if any(number_of(item) == 2 for item in batch):
            tries += 1
            if tries == 3:  # meanwhile another one becomes due that stands before it
                await fetch(toys.read_url, "UPDATE deferred SET due = $1 WHERE log_offset = 2 RETURNING id", NOON)
            raise KeyError("a bug")
        await count_payments(batch, uow)
        return [DONE] * len(batch)

    await write(toys.stage, CARD, 0, [sound("c-0", number) for number in range(1, 4)])
    bus = toys.reader(fails_late)
    async with running(bus):
        await at_rest(bus)
        _clock(bus).set(NOON + timedelta(hours=2))
        await at_rest(bus)
    [letter] = await dead_letters(toys.read_url)
    assert (letter["sequence"], letter["code"]) == (2, "handler_failed")
    assert sorted((await payments(toys.read_url))["c-0"]) == ["p-1", "p-3"]


async def test_a_handler_that_forgets_a_fact_is_a_bug_and_loses_nothing(toys: Toys) -> None:
    async def forgetful(batch: Sequence[Incoming], uow: UnitOfWork) -> Sequence[Outcome]:
        return (await count_payments(batch, uow))[1:]

    await write(toys.stage, CARD, 0, [sound("c-0", 1), sound("c-0", 2)])
    bus = toys.reader(forgetful)
    async with running(bus):
        await at_rest(bus)
    assert [row["detail"] for row in await dead_letters(toys.read_url)] == [
        "ValueError: the handler gave 0 outcomes for 1 facts"
    ] * 2
    assert await payments(toys.read_url) == {}
