"""COMMIT: an answer that is lost, one that never comes, and one that says no."""

from __future__ import annotations

import asyncio
import gc
from dataclasses import replace
from functools import partial

import asyncpg
import pytest

from shared.bus.unit_of_work import UnitOfWork
from shared.db.faults import CommitUnknown
from shared.events.registry import RISK
from tests.integration.bus.log import facts_in, faults_of, log_of
from tests.integration.bus.toys import (
    Toys,
    at_rest,
    dead_letters,
    deciding,
    execute,
    fetch,
    payments,
    post,
    running,
    until,
)
from tests.proxy import proxied

_COMMIT = b"COMMIT;"
CUSTOMERS = ["c-0", "c-1", "c-2"]


async def test_a_lost_answer_to_commit_is_unknown_and_not_repeated(toys: Toys) -> None:
    """Seen to fail with CommitUnknown taken for retriable: the same decision was made twice."""
    tries = 0

    async def act(uow: UnitOfWork) -> None:
        nonlocal tries
        tries += 1
        await post(uow, ["c-0"], tries)

    async with proxied(toys.write_url) as (link, url), deciding(url, toys.stage.partitions) as transactions:
        await transactions.transact(act)
        link.lose_answer(_COMMIT)
        with pytest.raises(CommitUnknown):
            await transactions.transact(act)
        await transactions.transact(act)
    assert tries == 3
    assert await payments(toys.write_url) == {"c-0": ["p-1", "p-2", "p-3"]}


async def test_a_commit_that_the_database_refuses_is_known_not_to_have_happened(toys: Toys) -> None:
    await execute(toys.write_url, "CREATE TABLE one (x int UNIQUE DEFERRABLE INITIALLY DEFERRED)")

    async def act(uow: UnitOfWork) -> None:
        await post(uow, ["c-0"], 1)
        await uow.connection.execute("INSERT INTO one VALUES (1), (1)")

    async with deciding(toys.write_url, toys.stage.partitions) as transactions:
        with pytest.raises(asyncpg.UniqueViolationError):
            await transactions.transact(act)
    assert await payments(toys.write_url) == {}
    assert await fetch(toys.write_url, "SELECT FROM outbox_stream") == []


async def test_a_reader_whose_answer_to_commit_was_lost_does_nothing_twice(toys: Toys) -> None:
    """It asks its rows. What it decided is published all the same, since the table tells the publisher."""
    async with proxied(toys.read_url) as (link, url):
        one, other = toys.writer(), replace(toys, read_url=url).reader()
        async with running(one, other):
            for number in range(6):
                lost = link.lose_answer(_COMMIT)
                await one.transact(partial(post, customers=CUSTOMERS, number=number))
                await asyncio.wait_for(lost.wait(), 20)
                await at_rest(one, other)
    assert await payments(toys.read_url) == {key: [f"p-{number}" for number in range(6)] for key in CUSTOMERS}
    log = await log_of(toys.stage, RISK)
    assert faults_of(log) == []
    assert len(facts_in(log)) == 18
    assert await dead_letters(toys.read_url) == []


async def test_a_task_cancelled_in_commit_is_cancelled(toys: Toys) -> None:
    """Seen to fail: the cancellation became CommitUnknown, the job went on, and stopping the service hung for ever; and
    a connection that could not be given back to the pool made the committed decision a second time.
    """
    async with proxied(toys.write_url) as (link, url), deciding(url, toys.stage.partitions) as transactions:
        await transactions.transact(partial(post, customers=["c-0"], number=1))
        held = link.hold_answer(_COMMIT)
        task = asyncio.create_task(transactions.transact(partial(post, customers=["c-0"], number=2)))
        await asyncio.wait_for(held.wait(), 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 30)
    await until(partial(_has_two, toys))
    gc.collect()


async def _has_two(toys: Toys) -> bool:
    return await payments(toys.write_url) == {"c-0": ["p-1", "p-2"]}
