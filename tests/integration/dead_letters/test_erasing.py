"""An erasure reaches the dead letters and the waiting facts of its key, and nothing that is newer or another's (C6)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest_asyncio

from shared.bus.dead_letters import DeadLetter, bury
from shared.bus.deferred import Waiting, put_off
from shared.bus.erasing import with_erasing
from shared.bus.headers import Numbers, Packed, to_headers
from shared.bus.outcomes import DONE, Dead, Outcome
from shared.bus.unit_of_work import Incoming, Transactions, UnitOfWork
from shared.events.contacts import CustomerContactsErased
from shared.events.envelope import Envelope
from tests.integration.bus.toys import NOON, deciding, execute, prepare
from tests.integration.conftest import Stage
from tests.integration.dead_letters.conftest import CANARY

EPOCH = 7


@pytest_asyncio.fixture(scope="module")
async def url(stage: Stage) -> str:
    """A database with the bus's tables."""
    made = await stage.database("letters")
    await prepare(made, stage.partitions, ())
    return made


@pytest_asyncio.fixture
async def transactions(stage: Stage, url: str) -> AsyncIterator[Transactions]:
    """Transactions on empty tables."""
    await execute(url, "TRUNCATE dead_letter, dead_letter_act, deferred")
    async with deciding(url, stage.partitions) as each:
        yield each


def headers(customer: str, sequence: int) -> list[tuple[str, bytes | None]]:
    """The headers of contact data, and one of another tool's."""
    fact = Packed("id", "arrears.customer.contacts_changed.v1", NOON.isoformat(), customer, "trace", None, None)
    return [*to_headers(fact, "/arrears/ingest", Numbers(EPOCH, sequence, None)), ("x-note", CANARY.encode())]


def letter(customer: str, sequence: int | None) -> DeadLetter:
    """Contact data that died; without a number it is a stranger's."""
    return DeadLetter(
        topic="contacts",
        partition=0,
        offset=sequence or 0,
        epoch=None if sequence is None else EPOCH,
        sequence=sequence,
        key=customer,
        headers=headers(customer, sequence or 1),
        body=CANARY.encode(),
        code="handler_failed",
        detail=f"KeyError: {CANARY}",
        step="handle",
        attempts=3,
        traceparent=None,
    )


def waiting(customer: str, sequence: int) -> Waiting:
    """Contact data that wait."""
    return Waiting(
        topic="contacts",
        partition=0,
        offset=sequence,
        epoch=EPOCH,
        sequence=sequence,
        key=customer,
        due=NOON + timedelta(days=1),
        headers=headers(customer, sequence),
        body=CANARY.encode(),
        attempts=1,
    )


def erasure(customer: str, sequence: int) -> Incoming:
    """The erasure of a customer at a place of the stream."""
    envelope = Envelope(
        id="e-1",
        type="arrears.contacts.erased.v1",
        source="/arrears/ingest",
        time=NOON,
        key=customer,
        traceparent="trace",
        cause_id=None,
        topic="contacts",
        partition=0,
        epoch=EPOCH,
        sequence=sequence,
    )
    return Incoming(envelope, CustomerContactsErased(customer_id=customer, as_of=NOON))


async def erase(transactions: Transactions, item: Incoming, outcome: Outcome = DONE) -> None:
    """Handle an erasure."""

    async def handled(_batch: Sequence[Incoming], _uow: UnitOfWork) -> Sequence[Outcome]:
        return [outcome]

    async def act(uow: UnitOfWork) -> None:
        await with_erasing(handled)([item], uow)

    await transactions.transact(act)


async def keep(transactions: Transactions, letters: Sequence[DeadLetter], facts: Sequence[Waiting] = ()) -> None:
    """Have letters and waiting facts lie there."""

    async def act(uow: UnitOfWork) -> None:
        await bury(uow.connection, letters, NOON)
        await put_off(uow.connection, facts)

    await transactions.transact(act)


async def rows(transactions: Transactions, query: str) -> list[asyncpg.Record]:
    """Ask the database."""
    async with transactions.pool.acquire() as connection:
        found: list[asyncpg.Record] = await connection.fetch(query)
        return found


async def test_older_letters_of_the_customer_lose_their_bytes_and_hold_nobody_back_any_more(
    transactions: Transactions, url: str
) -> None:
    """Seen to fail without `with_erasing`: bytes, quoted error and strange header stayed, the key stayed blocked."""
    await keep(transactions, [letter("c-1", 4), letter("c-1", 6), letter("c-2", 3)])
    await erase(transactions, erasure("c-1", 5))
    old, newer, other = await rows(transactions, "SELECT * FROM dead_letter ORDER BY key, sequence")
    assert (old["body"], old["detail"], old["state"], old["resolved_by"]) == (None, "", "discarded", "erasure")
    assert [(act["by"], act["act"]) for act in await rows(transactions, "SELECT * FROM dead_letter_act")] == [
        ("erasure", "discard")
    ]
    assert CANARY not in old["headers"]
    assert "ce_sequence" in old["headers"]
    for untouched in (newer, other):
        assert (untouched["body"], untouched["state"]) == (CANARY.encode(), "open")
    assert await transactions.transact(lambda uow: uow.blocked_keys(["c-1", "c-2"])) == {"c-1", "c-2"}
    await execute(url, "DELETE FROM dead_letter WHERE sequence = 6")
    assert await transactions.transact(lambda uow: uow.blocked_keys(["c-1", "c-2"])) == {"c-2"}


async def test_a_strangers_letter_under_the_customers_key_loses_its_bytes_and_stays_open(
    transactions: Transactions,
) -> None:
    await keep(transactions, [letter("c-1", None)])
    await erase(transactions, erasure("c-1", 5))
    (row,) = await rows(transactions, "SELECT * FROM dead_letter")
    assert (row["body"], row["detail"], row["state"]) == (None, "", "open")


async def test_older_facts_of_the_customer_that_wait_are_forgotten(transactions: Transactions) -> None:
    """Emptied only, they would be dead when their instant comes."""
    facts = [waiting("c-1", 4), waiting("c-1", 6), waiting("c-2", 3)]
    await keep(transactions, [], facts)
    await erase(transactions, erasure("c-1", 5))
    left: set[UUID] = {row["id"] for row in await rows(transactions, "SELECT id FROM deferred")}
    assert left == {facts[1].id, facts[2].id}


async def test_an_erasure_that_could_not_be_handled_touches_nothing(transactions: Transactions) -> None:
    await keep(transactions, [letter("c-1", 4)], [waiting("c-1", 3)])
    await erase(transactions, erasure("c-1", 5), Dead("broken", ""))
    (row,) = await rows(transactions, "SELECT body FROM dead_letter")
    assert row["body"] == CANARY.encode()
    assert len(await rows(transactions, "SELECT id FROM deferred")) == 1
