"""Writers of one database at the same time: what is committed is published, and no update is lost."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Sequence
from functools import partial

import pytest

from shared.bus.bus import Bus
from shared.bus.limits import FactLimits, FactTooLarge
from shared.bus.streams import Segment, raise_epochs
from shared.bus.unit_of_work import Transactions, UnitOfWork
from shared.events.registry import CARD
from tests.integration.bus.log import facts_in, faults_of, log_of
from tests.integration.bus.toys import (
    NOON,
    Toys,
    at_rest,
    deciding,
    fetch,
    load,
    payment,
    payments,
    post,
    running,
    save,
)


class RolledBack(Exception):
    """On purpose."""


async def race(buses: tuple[Bus, Bus], transactions: int, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Let both post for the same customers, at random times and now and then in vain; the ids that were committed."""
    chance = random.Random(3)
    append = UnitOfWork.append

    async def append_and_linger(uow: UnitOfWork) -> Sequence[Segment]:
        segments = await append(uow)
        await asyncio.sleep(chance.random() * 0.01)
        if chance.random() < 0.2:
            raise RolledBack
        return segments

    async def act(uow: UnitOfWork) -> str:
        return str(uow.emit(payment(f"c-{chance.randrange(8)}", chance.randrange(1000))))

    monkeypatch.setattr(UnitOfWork, "append", append_and_linger)
    committed: set[str] = set()
    for _ in range(transactions // 8):
        answers = await asyncio.gather(*(buses[at % 2].transact(act) for at in range(8)), return_exceptions=True)
        committed |= {answer for answer in answers if isinstance(answer, str)}
        assert all(isinstance(answer, str | RolledBack) for answer in answers)
    return committed


async def test_what_two_racing_writers_commit_is_what_is_published_in_number_order(
    toys: Toys, monkeypatch: pytest.MonkeyPatch
) -> None:
    buses = toys.writer("0"), toys.writer("1")
    async with running(*buses):
        committed = await race(buses, 160, monkeypatch)
        await at_rest(*buses)
    log = await log_of(toys.stage, CARD)
    assert faults_of(log) == []
    assert set(facts_in(log)) == committed


async def meet(toys: Toys, rounds: int) -> None:
    """Two writers meet a customer who is new to both, `rounds` times."""
    buses = toys.writer("0"), toys.writer("1")
    async with running(*buses):
        for number in range(rounds):
            await asyncio.gather(*_meeting(buses, f"c-{number}"))
        await at_rest(*buses)


def _meeting(buses: tuple[Bus, Bus], customer: str) -> list[Awaitable[None]]:
    loaded: set[int] = set()
    both = asyncio.Event()

    async def act(uow: UnitOfWork, who: int) -> None:
        known = await load(uow, [customer])
        loaded.add(who)
        if len(loaded) == 2:
            both.set()
        await both.wait()
        known.payments[customer].append(f"p-{who}")
        uow.emit(payment(customer, who))
        await save(uow, known)

    return [bus.transact(partial(act, who=who)) for who, bus in enumerate(buses)]


async def test_two_writers_who_meet_a_new_customer_lose_no_update(toys: Toys) -> None:
    """FOR UPDATE locks no row that is absent, so only the guard of the upsert sees the other writer."""
    await meet(toys, 10)
    found = await payments(toys.write_url)
    assert len(found) == 10
    assert all(sorted(rows) == ["p-0", "p-1"] for rows in found.values())
    assert {row["version"] for row in await fetch(toys.write_url, "SELECT version FROM toy")} == {2}
    assert len(facts_in(await log_of(toys.stage, CARD))) == 20


async def test_what_a_dead_process_left_over_is_published_by_the_next_over_raised_epochs(toys: Toys) -> None:
    """Seen to fail: two epochs raised over unsent facts halted the stream, a restart after one did so too, and no
    reader could store a position that had seen two epochs.

    The dead process is one that decides and never publishes.
    """
    customers = [f"c-{number}" for number in range(6)]
    writer, reader = toys.writer(), toys.reader()
    async with running(writer):
        await writer.transact(partial(post, customers=customers, number=0))
        await at_rest(writer)
    async with deciding(toys.write_url, toys.stage.partitions) as transactions:
        for number in (1, 2):
            await transactions.transact(partial(post, customers=customers, number=number))
            await raise_all(transactions)
    for number in (3, 4):
        writer, reader = toys.writer(), toys.reader()
        async with running(writer, reader):
            await writer.transact(partial(post, customers=customers, number=number))
            await writer.transact(lambda uow: raise_epochs(uow.connection))
            await at_rest(writer, reader)
    assert faults_of(await log_of(toys.stage, CARD)) == []
    assert await payments(toys.read_url) == {key: [f"p-{number}" for number in range(5)] for key in customers}


async def test_epochs_raised_while_facts_flow_lose_nothing_and_numbers_go_on_growing(toys: Toys) -> None:
    customers = [f"c-{number}" for number in range(6)]
    writer, reader = toys.writer(), toys.reader()
    async with running(writer, reader):
        for number in range(30):
            await writer.transact(partial(post, customers=customers, number=number))
            if number % 10 == 5:
                await writer.transact(lambda uow: raise_epochs(uow.connection))
        await at_rest(writer, reader)
    log = await log_of(toys.stage, CARD)
    assert faults_of(log) == []
    assert all(len({record.epoch for record in records}) == 4 for records in log.values())
    assert await payments(toys.read_url) == {key: [f"p-{number}" for number in range(30)] for key in customers}


async def raise_all(transactions: Transactions) -> None:
    """Raise the epochs, and see that each is larger than before."""
    epochs = "SELECT min(epoch) FROM outbox_stream"

    async def act(uow: UnitOfWork) -> tuple[int, int]:
        before = await uow.connection.fetchval(epochs)
        await raise_epochs(uow.connection)
        return before, await uow.connection.fetchval(epochs)

    before, after = await transactions.transact(act)
    assert after > before


def test_a_fact_above_the_limit_is_refused_when_it_is_emitted() -> None:
    """Seen to fail without the check in `emit`. What the limit is: tests/unit/bus/test_limits.py, test_limits.py."""
    limits = FactLimits("", "arrears", "ingest")
    limits._take({CARD.full_name("arrears"): 900})
    uow = UnitOfWork(None, "ingest", 2, NOON, limits)  # type: ignore[arg-type]  # it makes no statement
    with pytest.raises(FactTooLarge, match=r"payment\.posted"):
        uow.emit(payment("c-1", 1))
