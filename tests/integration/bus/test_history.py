"""A database that is another history than it was: what it then decides is never taken for what it once told (E3)."""

from __future__ import annotations

from functools import partial

import pytest

from shared.bus.bus import Bus
from tests.integration.bus.toys import Toys, at_rest, deciding, execute, fetch, payments, post, running

_MARK = "the database is another history"


async def _epochs(toys: Toys) -> list[tuple[int, int, int]]:
    rows = await fetch(toys.write_url, "SELECT epoch, base_epoch, base FROM outbox_stream ORDER BY topic, partition")
    return [(row["epoch"], row["base_epoch"], row["base"]) for row in rows]


async def _pay(bus: Bus, *numbers: int) -> None:
    for number in numbers:
        await bus.transact(partial(post, customers=["c-0"], number=number))


async def test_a_database_that_stays_itself_keeps_its_epoch_over_a_restart(toys: Toys) -> None:
    for number in range(3):
        writer = toys.writer()
        async with running(writer):
            await _pay(writer, number)
    [(_, *base)] = await _epochs(toys)
    assert base == [0, 0]
    [row] = await fetch(toys.write_url, "SELECT timeline FROM outbox_stream")
    assert len(row["timeline"]) == 8


@pytest.mark.expected_errors(_MARK)
async def test_a_timeline_that_changed_under_an_open_pool_is_seen_by_the_append_and_begins_a_new_epoch(
    toys: Toys,
) -> None:
    """Seen to fail without the check in the append. The stored timeline is changed instead of the server's."""
    writer, reader = toys.writer(), toys.reader()
    async with running(writer, reader):
        await _pay(writer, 0, 1)
        [(before, _, _)] = await _epochs(toys)
        await execute(toys.write_url, "UPDATE outbox_stream SET timeline = 'FFFFFFFF'")
        await _pay(writer, 2, 3)
        await at_rest(writer, reader)
    [(after, base_epoch, base)] = await _epochs(toys)
    assert after > before
    assert (base_epoch, base) == (before, 2)
    assert (await payments(toys.read_url))["c-0"] == ["p-0", "p-1", "p-2", "p-3"]


@pytest.mark.expected_errors(_MARK)
@pytest.mark.parametrize(
    "elsewhere",
    ["UPDATE bus_history SET system_identifier = '1'", "UPDATE outbox_stream SET timeline = 'FFFFFFFF'"],
)
async def test_another_server_or_timeline_is_seen_when_a_service_connects_and_only_once(
    toys: Toys, elsewhere: str
) -> None:
    """What lay unsent in the old epoch is still published.

    The first case was seen to fail without the check at each new connection; the second the append would see as well.
    """
    reader = toys.reader()
    async with deciding(toys.write_url, toys.stage.partitions) as transactions:
        for number in (0, 1):
            await transactions.transact(partial(post, customers=["c-0"], number=number))
    [(before, _, _)] = await _epochs(toys)
    await execute(toys.write_url, "INSERT INTO bus_history SELECT true, system_identifier FROM pg_control_system()")
    await execute(toys.write_url, elsewhere)
    one, other = toys.writer("0"), toys.writer("1")
    async with running(one, other, reader):
        await _pay(one, 2)
        await _pay(other, 3)
        await at_rest(one, other, reader)
    [(after, base_epoch, base)] = await _epochs(toys)
    assert after > before
    assert (base_epoch, base) == (before, 2)
    assert (await payments(toys.read_url))["c-0"] == ["p-0", "p-1", "p-2", "p-3"]
