"""A service is killed between any two steps; the next process goes on, and nobody can tell from what took effect."""

from __future__ import annotations

import asyncio
import signal
from functools import partial

import pytest

from shared.events.registry import CARD, RISK, Topic
from tests.integration.bus.log import facts_in, faults_of, log_of
from tests.integration.bus.toy_process import CUSTOMERS, POINTS, ROUNDS, born
from tests.integration.bus.toys import Toys, at_rest, dead_letters, payments, post, running

WRITING = (
    "decided",
    "appended",
    "committed",
    "handed to the publisher",
    "about to send",
    "sent",
    "recorded as published",
)


async def die(toys: Toys, role: str, point: str, at: int) -> None:
    """Run a toy as a process until it has killed itself at the failpoint."""
    async with born(toys, role, point, at, signal.SIGKILL) as process, asyncio.timeout(40):
        assert await process.wait() == -signal.SIGKILL


async def holds(toys: Toys, topic: Topic, count: int) -> None:
    """Check that a topic holds each fact once by its number, densely."""
    log = await log_of(toys.stage, topic)
    assert faults_of(log) == []
    assert len(facts_in(log)) == count


@pytest.mark.parametrize("point", POINTS)
async def test_a_reader_killed_at_any_step_has_done_everything_once_after_its_restart(toys: Toys, point: str) -> None:
    """Effects in its own database, and the facts it made. Seen to fail with positions moved in a transaction of their
    own ("position moved"), and with the record of `published` written before the send ("about to send").

    Not covered: what leaves the database and Kafka, as a message does.
    """
    writer = toys.writer()
    async with running(writer):
        for number in range(ROUNDS // 2):
            await writer.transact(partial(post, customers=CUSTOMERS, number=number))
        dying = asyncio.create_task(die(toys, "reader", point, 2))
        for number in range(ROUNDS // 2, ROUNDS):
            await writer.transact(partial(post, customers=CUSTOMERS, number=number))
            await asyncio.sleep(0.1)  # not all in one batch
        more = ROUNDS
        while not dying.done():  # it dies at its second pass, which a batch may have to bring
            await writer.transact(partial(post, customers=CUSTOMERS, number=more))
            more += 1
            await asyncio.wait({dying}, timeout=0.5)
        await dying
        reader = toys.reader()
        async with running(reader):
            await at_rest(writer, reader)
    assert await payments(toys.read_url) == {key: [f"p-{number}" for number in range(more)] for key in CUSTOMERS}
    assert await dead_letters(toys.read_url) == []
    await holds(toys, RISK, more * len(CUSTOMERS))


@pytest.mark.parametrize("point", WRITING)
async def test_what_a_writer_committed_before_it_was_killed_arrives_once_and_nothing_else(
    toys: Toys, point: str
) -> None:
    await die(toys, "writer", point, 3)
    committed = await payments(toys.write_url)
    writer, reader = toys.writer(), toys.reader()
    async with running(writer, reader):
        await writer.transact(partial(post, customers=CUSTOMERS, number=100))
        await at_rest(writer, reader)
    assert await payments(toys.read_url) == {key: [*committed.get(key, []), "p-100"] for key in CUSTOMERS}
    assert await dead_letters(toys.read_url) == []
    await holds(toys, CARD, sum(len(found) + 1 for found in committed.values()) if committed else len(CUSTOMERS))
