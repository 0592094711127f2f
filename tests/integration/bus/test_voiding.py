"""A number whose fact can never be sent is given up by an operator, and by nothing else (P8)."""

from __future__ import annotations

import secrets
from functools import partial

import asyncpg
import msgspec
import pytest

from shared.bus import publisher
from shared.bus.outboxes import arguments, run
from shared.bus.streams import Segment, append
from shared.bus.unit_of_work import UnitOfWork
from shared.events.registry import CARD
from tests.integration.bus.log import facts_in, faults_of, log_of, packed
from tests.integration.bus.test_limits import goes_on, halted, limit
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

WHO = ("--reason", "too large for the topic", "--by", "w.li")


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A halted stream is tried again at once."""
    monkeypatch.setattr(publisher, "HALT_SECONDS", 0.2)


async def _void(toys: Toys, number: int, *, partition: int, wait: float = 10) -> tuple[int, str]:
    """Run the command; its exit code and what it said."""
    said: list[str] = []
    connection = await asyncpg.connect(toys.write_url)
    try:
        asked = arguments(["void", "card", str(partition), str(number), *WHO, "--wait", str(wait)])
        return await run(asked, connection, said.append, {}), "".join(said)
    finally:
        await connection.close()


async def _recorded(toys: Toys, number: int) -> bool:
    return bool(await fetch(toys.write_url, "SELECT FROM outbox_published WHERE sequence = $1", number))


async def _large_in_the_middle(uow: UnitOfWork) -> None:
    """Append three payments of which the second is too large for the topic as it is going to be."""
    facts = [packed("c-0", number) for number in range(3)]
    value = msgspec.json.decode(facts[1].value or b"")
    facts[1] = msgspec.structs.replace(facts[1], value=msgspec.json.encode({**value, "more": secrets.token_hex(9_000)}))
    found: list[Segment] = await append(uow.connection, {("card", 0): facts})
    assert found[0].last == 3


@pytest.mark.expected_errors("stream halted")
async def test_a_number_that_cannot_be_sent_is_given_up_on_request_and_its_stream_goes_on_by_itself(
    toys: Toys,
) -> None:
    """Readers take the number and nothing happens. Seen to fail: a reader that did not know the kind buried it."""
    async with deciding(toys.write_url, toys.stage.partitions) as transactions:
        await transactions.transact(_large_in_the_middle)
    await limit(toys, 3_000)
    writer, reader = toys.writer(), toys.reader()
    async with running(reader), writer.running():
        await until(partial(halted, writer))
        await until(partial(_recorded, toys, 1))
        assert (await _void(toys, 3, partition=0))[0] == 1  # not the one that is waited at
        code, said = await _void(toys, 2, partition=0)
        assert (code, "given up and published" in said) == (0, True)
        await until(partial(goes_on, writer))
        await at_rest(writer, reader)
    log = await log_of(toys.stage, CARD)
    assert faults_of(log) == []
    assert list(facts_in(log).values()) == ["c-0", "void:2", "c-0"]
    assert [record.sequence for record in log[0]] == [1, 2, 3]
    assert await payments(toys.read_url) == {"c-0": ["p-0", "p-2"]}
    assert await dead_letters(toys.read_url) == []
    [row] = await fetch(toys.write_url, "SELECT * FROM outbox_void")
    assert (row["fact_type"], row["reason"], row["voided_by"]) == ("arrears.payment.posted.v1", WHO[1], WHO[3])
    assert row["fact_id"] == "c-0/1"
    assert row["done_at"] is not None


@pytest.mark.expected_errors("stream halted")
async def test_a_number_whose_segment_is_gone_is_given_up_as_well(toys: Toys) -> None:
    async with deciding(toys.write_url, toys.stage.partitions) as transactions:
        for number in range(3):
            await transactions.transact(partial(post, customers=["c-0"], number=number))
    await execute(toys.write_url, "DELETE FROM outbox_segment WHERE first = 2")
    [row] = await fetch(toys.write_url, "SELECT partition FROM outbox_stream")
    writer, reader = toys.writer(), toys.reader()
    async with running(reader), writer.running():
        await until(partial(halted, writer))
        await until(partial(_recorded, toys, 1))
        assert (await _void(toys, 2, partition=row["partition"]))[0] == 0
        await until(partial(goes_on, writer))
        await at_rest(writer, reader)
    assert await payments(toys.read_url) == {"c-0": ["p-0", "p-2"]}


async def test_a_number_that_can_be_sent_is_sent_and_not_given_up(toys: Toys) -> None:
    """Asked for while no stream halts there. Seen to fail where the publisher did not care whether it halts."""
    async with deciding(toys.write_url, toys.stage.partitions) as transactions:
        await transactions.transact(partial(post, customers=["c-0"], number=0))
    [row] = await fetch(toys.write_url, "SELECT partition FROM outbox_stream")
    code, said = await _void(toys, 1, partition=row["partition"], wait=0)
    assert (code, "Recorded" in said) == (1, True)
    writer, reader = toys.writer(), toys.reader()
    async with running(reader, writer):
        await at_rest(writer, reader)
    assert await payments(toys.read_url) == {"c-0": ["p-0"]}

    code, said = await _void(toys, 1, partition=row["partition"], wait=0)
    assert (code, "waits at number 2, not at 1" in said) == (1, True)
