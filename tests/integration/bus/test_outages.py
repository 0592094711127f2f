"""The database or the broker is away: restarted, killed under load, frozen."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from functools import partial

import pytest

from shared.bus.bus import Bus
from shared.bus.unit_of_work import UnitOfWork
from shared.db.faults import is_retriable
from shared.events.registry import CARD, RISK
from tests.integration.bus.log import facts_in, faults_of, log_of
from tests.integration.bus.toys import Toys, at_rest, dead_letters, payments, post, running, until

CUSTOMERS = [f"c-{number}" for number in range(8)]


async def holds(toys: Toys) -> None:
    """Check that what was committed took effect once, in order, and is all that is in the log."""
    committed = await payments(toys.write_url)
    assert await payments(toys.read_url) == committed
    assert await dead_letters(toys.read_url) == []
    for topic in (CARD, RISK):
        log = await log_of(toys.stage, topic)
        assert faults_of(log) == []
        assert len(facts_in(log)) == sum(len(found) for found in committed.values())


@pytest.mark.usefixtures("quiet_client")
async def test_a_broker_killed_under_load_loses_nothing_and_appending_goes_on(toys: Toys) -> None:
    """One broker, whose log outlives the kill; a log that is lost is not covered."""
    infra = toys.stage.infra
    writer, reader = toys.writer(), toys.reader()
    async with running(writer, reader):
        for number in range(30):
            if number == 10:
                await infra.kill("kafka")
            await writer.transact(partial(post, customers=CUSTOMERS, number=number))
            await asyncio.sleep(0.01)
        await infra.wait_ready("kafka")
        await at_rest(writer, reader)
    await holds(toys)


async def test_a_database_killed_under_load_loses_nothing_and_makes_no_dead_letter(toys: Toys) -> None:
    """Both toys' databases lie on the server that dies. What the writer could not commit was refused to its caller.

    Seen to fail: what the driver raises when its server dies under a statement was taken for a bug of the handler.
    """
    infra = toys.stage.infra
    writer, reader = toys.writer(), toys.reader()
    async with running(writer, reader):
        for number in range(30):
            if number == 10:
                await infra.kill("postgres")
            await until(partial(_posted, writer, number))
        await infra.wait_ready("postgres")
        await at_rest(writer, reader)
    await holds(toys)


async def _posted(writer: Bus, number: int) -> bool:
    try:
        await writer.transact(partial(post, customers=CUSTOMERS, number=number))
    except Exception as error:
        if not is_retriable(error):
            raise
        return False
    return True


@contextmanager
def frozen(toys: Toys, name: str) -> Iterator[None]:
    """A process that is there and does not answer."""
    [pid] = [status.pid for status in toys.stage.infra.status() if status.name == name]
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.usefixtures("quiet_client")
async def test_while_the_broker_is_frozen_decisions_go_on_barriers_fail_closed_and_stopping_is_bounded(
    toys: Toys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen to fail: an idle reader held a connection for each partition while it waited for the broker, and the pool,
    here of two, was empty for everybody. What was decided meanwhile is published by the next process.
    """
    monkeypatch.setattr("shared.bus.reading.LOOK_SECONDS", 0.1)
    writer, reader = toys.writer(), toys.reader()
    reader._settings = reader._settings.model_copy(update={"pool_size": 2})
    async with AsyncExitStack() as exits:
        await exits.enter_async_context(running(writer, reader))
        await writer.transact(partial(post, customers=CUSTOMERS, number=0))
        await at_rest(writer, reader)
        exits.enter_context(frozen(toys, "kafka"))
        await asyncio.sleep(1)  # the time in which every loop comes to ask the broker for the log's end
        uow = await writer.transact(_post_1)
        assert await writer.published(uow.appended, within=0.5) is None
        async with asyncio.timeout(5):
            assert await reader.barrier(0, [CARD]) is None
            async with reader.reading() as connection, reader.reading():
                assert await connection.fetchval("SELECT 1") == 1
        async with asyncio.timeout(15):
            await asyncio.gather(writer.stop(), reader.stop())
    await toys.stage.infra.wait_ready("kafka")
    writer, reader = toys.writer(), toys.reader()
    async with running(writer, reader):
        await at_rest(writer, reader)
    await holds(toys)


async def _post_1(uow: UnitOfWork) -> UnitOfWork:
    await post(uow, CUSTOMERS, 1)
    return uow
