"""What operators fear, rehearsed on servers of their own: put back, restored twice, failed over.

In each of them a database forgets what it told, or what it read. Nothing that is decided afterwards may be dropped as
old, and what was forgotten is noted where it is missed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial

import pytest
import pytest_asyncio

from shared.bus.bus import Bus
from shared.events.registry import CARD, RISK
from tests.integration.bus.log import log_of
from tests.integration.bus.servers import Server
from tests.integration.bus.toys import Toys, at_rest, empty, fetch, payments, post, prepare, ready, running

FORGOTTEN, ANOTHER, FORKED = "facts were forgotten", "the database is another history", "stream forked"


@pytest_asyncio.fixture(scope="module")
async def home(module_toys: Toys) -> AsyncIterator[Server]:
    """A server with the databases of both toys."""
    server = Server(module_toys.stage.infra._postgres, "home")
    await server.initialise()
    async with server.running():
        for name, subscriptions in (("writer", ()), ("reader", (CARD,))):
            await prepare(await server.database(name), 2, subscriptions)
        yield server


async def _on(server: Server, toys: Toys, *, read_here: bool = False) -> Toys:
    """Return the toys with the writer's database, or the reader's, on `server`."""
    url = await server.database("reader" if read_here else "writer")
    return replace(toys, read_url=url) if read_here else replace(toys, write_url=url)


async def _pay(bus: Bus, *numbers: int) -> None:
    for number in numbers:
        await bus.transact(partial(post, customers=["c-0"], number=number))


async def _has(toys: Toys) -> list[str]:
    return (await payments(toys.read_url))["c-0"]


async def _forks(toys: Toys) -> int:
    return len(await fetch(toys.read_url, "SELECT FROM inbox_fork"))


async def _timeline(url: str) -> str:
    [row] = await fetch(url, "SELECT timeline FROM outbox_stream")
    return str(row["timeline"])


@pytest.mark.expected_errors(FORGOTTEN, FORKED)
async def test_a_volume_rolled_back_under_a_living_process_makes_a_fork_and_drops_nothing(
    toys: Toys, home: Server
) -> None:
    """Server and timeline stay the same. Seen to fail where the publisher kept its memory of the server before."""
    toys = await _on(home, toys)
    await empty(toys.write_url, 2, ())
    writer, reader = toys.writer(), toys.reader()
    snapshot = home.postgres.data.with_name("snapshot")
    async with running(writer, reader):
        await _pay(writer, 0, 1)
        await at_rest(writer, reader)
        before = await _timeline(toys.write_url)
        await home.stop()
        await home.copy_to(snapshot)
        await home.start()
        await ready(writer)
        await _pay(writer, 2, 3)
        await at_rest(writer, reader)
        await home.stop()
        home.remove()
        snapshot.rename(home.postgres.data)
        await home.start()
        await ready(writer)
        await _pay(writer, 4)
        await at_rest(writer, reader)
        await _pay(writer, 5)
        await at_rest(writer, reader)
    assert await _timeline(toys.write_url) == before
    assert await _has(toys) == ["p-0", "p-1", "p-2", "p-3", "p-4", "p-5"]
    assert await _forks(toys) == 1


@pytest.mark.expected_errors(ANOTHER)
@pytest.mark.parametrize("lost", [False, pytest.param(True, marks=pytest.mark.expected_errors(FORGOTTEN, FORKED))])
async def test_a_restored_backup_goes_on_and_what_it_forgot_is_noted(toys: Toys, home: Server, lost: bool) -> None:
    """What a restored database decides is never dropped as old: it is taken, and if it forgot facts, a fork is noted.

    Seen to fail with the fork made a stop, and with the note left out.
    """
    toys = await _on(home, toys)
    await empty(toys.write_url, 2, ())
    restored = Server(home.postgres, "restored")
    reader = toys.reader()
    async with running(reader):
        async with running(writer := toys.writer()):
            await _pay(writer, 0, 1)
            await at_rest(writer, reader)
            await home.back_up(restored)
            if lost:
                await _pay(writer, 2, 4)  # two: one number given again, the position itself, is seen by its id alone
                await at_rest(writer, reader)
        restored.restore()
        async with restored.running():
            await restored.promote()
            async with running(again := (await _on(restored, toys)).writer()):
                await _pay(again, 3)
                await at_rest(again, reader)
    assert await _has(toys) == (["p-0", "p-1", "p-2", "p-4", "p-3"] if lost else ["p-0", "p-1", "p-3"])
    forks = await fetch(toys.read_url, "SELECT base, had, base_epoch = had_epoch AS same FROM inbox_fork")
    assert [tuple(row) for row in forks] == ([(2, 4, True)] if lost else [])


@pytest.mark.expected_errors(FORGOTTEN, ANOTHER, FORKED)
async def test_a_backup_restored_twice_beside_a_living_zombie_drops_nothing_of_the_last(
    toys: Toys, home: Server
) -> None:
    """The zombie's later facts are dropped, as facts of an abandoned history, and noted."""
    toys = await _on(home, toys)
    await empty(toys.write_url, 2, ())
    like = home.postgres
    one, two = Server(like, "restored-1"), Server(like, "restored-2")
    reader = toys.reader()
    async with running(reader):
        async with running(writer := toys.writer()):
            await _pay(writer, 0, 1)
            await at_rest(writer, reader)
            await home.back_up(one)
            await one.copy_to(two.postgres.data)
            await _pay(writer, 2)
            await at_rest(writer, reader)
        for restored in (one, two):
            restored.restore()
        async with one.running():
            await one.promote()
            zombie = (await _on(one, toys)).writer()
            async with running(zombie):
                await _pay(zombie, 10)
                await at_rest(zombie, reader)
                async with two.running():
                    await two.promote()
                    last = (await _on(two, toys)).writer("1")
                    async with running(last):
                        await _pay(last, 20)
                        await at_rest(last, reader)
                        await _pay(zombie, 11)
                        await at_rest(zombie, reader)
                        await _pay(last, 21)
                        await at_rest(last, zombie, reader)
    assert await _has(toys) == ["p-0", "p-1", "p-2", "p-10", "p-20", "p-21"]
    assert await _forks(toys) == 2
    [stale] = await fetch(toys.read_url, "SELECT count FROM inbox_stale")
    assert stale["count"] >= 1


@pytest.mark.expected_errors(FORGOTTEN, ANOTHER, FORKED)
async def test_a_fail_over_to_a_standby_that_lacks_the_last_commits_drops_nothing(toys: Toys, home: Server) -> None:
    """The writer lives through it: the promoted standby takes over the address."""
    toys = await _on(home, toys)
    await empty(toys.write_url, 2, ())
    writer, reader = toys.writer(), toys.reader()
    standby = Server(home.postgres, "standby", port=home.port)
    async with running(writer, reader):
        await _pay(writer, 0, 1)
        await at_rest(writer, reader)
        await home.back_up(standby, "-R")
        await _pay(writer, 2, 3)  # the standby never hears of them
        await at_rest(writer, reader)
        await home.stop()
        try:
            async with standby.running():
                await standby.promote()
                await ready(writer)
                await _pay(writer, 4)
                await at_rest(writer, reader)
                await _pay(writer, 5)
                await at_rest(writer, reader)
        finally:
            await home.start()
    assert await _has(toys) == ["p-0", "p-1", "p-2", "p-3", "p-4", "p-5"]
    assert await _forks(toys) == 1


@pytest.mark.expected_errors(FORGOTTEN, ANOTHER)
async def test_a_readers_database_restored_from_a_backup_reads_again_and_tells_the_same_facts(
    toys: Toys, home: Server
) -> None:
    """What it tells a second time has the ids that it had: they are derived from what it reads (E6)."""
    toys = await _on(home, toys, read_here=True)
    await empty(toys.read_url, 2, (CARD,))
    again = Server(home.postgres, "restored-reader")
    async with running(writer := toys.writer()):
        async with running(reader := toys.reader()):
            await _pay(writer, 0, 1)
            await at_rest(writer, reader)
            await home.back_up(again)
            await _pay(writer, 2, 3)
            await at_rest(writer, reader)
        again.restore()
        async with again.running():
            await again.promote()
            restored = await _on(again, toys, read_here=True)
            async with running(reader := restored.reader()):
                await _pay(writer, 4)
                await at_rest(writer, reader)
            assert await _has(restored) == ["p-0", "p-1", "p-2", "p-3", "p-4"]
    told = [record for records in (await log_of(toys.stage, RISK)).values() for record in records]
    assert len(told) == 7
    assert len({record.id for record in told}) == 5
    epochs = {record.epoch for record in told}
    assert len(epochs) == 2
