"""Every kind of poison on one log, on the real bus: each lies in a letter as it came, and everything else flows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.record.util import calc_crc32c

from shared.bus.bus import Bus
from shared.bus.dead_letters import headers_from_json
from shared.bus.handling import BREAKER
from shared.bus.headers import Numbers, text_of, to_headers
from shared.bus.outcomes import Outcome
from shared.bus.unit_of_work import Incoming, UnitOfWork
from shared.events.card import PaymentPosted
from shared.events.registry import CARD
from tests.integration.bus.log import Record, packed, sound, write
from tests.integration.bus.toys import Toys, at_rest, count_payments, dead_letters, execute, payments, running, until

LARGE = 900_000
"""More than the bus itself would write, and still a record for Kafka."""


def with_header(number: int, name: str, value: bytes | None) -> Record:
    """A payment whose header says something else; None: it is not there."""
    record = sound("c-0", number)
    headers = [(key, value if key == name else found) for key, found in record.headers]
    return Record(record.value, [header for header in headers if header != (name, None)], b"c-0")


def with_body(number: int, body: bytes) -> Record:
    """A payment's headers with another body."""
    return Record(body, sound("c-0", number).headers, b"c-0")


def about_another(number: int) -> Record:
    """Its header names one customer and its body another."""
    fact = packed("c-7", number)
    told = msgspec.structs.replace(fact, key="c-0")
    return Record(fact.value, to_headers(told, "/arrears/ingest", Numbers(7, number, None)), b"c-0")


POISON: Sequence[tuple[str, str, str | None, int, Record]] = [
    # code, step, key, attempts
    ("undecodable", "decode", "c-0", 1, with_body(2, b"\xff not JSON \x00")),
    ("envelope", "decode", "c-0", 1, with_header(4, "ce_id", None)),
    ("unknown_type", "decode", "c-0", 1, with_header(6, "ce_type", b"arrears.customer.praised.v1")),
    ("unknown_type", "decode", "c-0", 1, with_header(8, "ce_type", b"arrears.payment.posted.v2")),
    ("undecodable", "decode", "c-0", 1, with_body(10, b"[" + b" " * LARGE + b"]")),
    ("wrong_key", "decode", None, 1, about_another(12)),
    ("handler_failed", "handle", "c-0", 3, sound("c-0", 14)),
]


async def fails_on_14(batch: Sequence[Incoming], uow: UnitOfWork) -> Sequence[Outcome]:
    """A bug on one payment."""
    if any(isinstance(item.fact, PaymentPosted) and item.fact.payment_id == "p-14" for item in batch):
        raise KeyError("a bug")
    return await count_payments(batch, uow)


async def test_each_kind_of_poison_lies_in_a_letter_as_it_came_and_everything_else_flows(toys: Toys) -> None:
    """Also a fact that is larger than the bus itself would write.

    Seen to fail without the look at the key: the payment of one customer was counted as another's.
    """
    sound_ones = [sound("c-0", number) for number in range(1, 14, 2)]
    large = with_body(15, (sound("c-0", 15).value or b"")[:-1] + b',"more":"' + b"x" * LARGE + b'"}')
    log = [record for pair in zip(sound_ones, (poison[-1] for poison in POISON), strict=True) for record in pair]
    await write(toys.stage, CARD, 0, [*log, large])
    bus = toys.reader(fails_on_14)
    async with running(bus):
        await at_rest(bus)
        assert await bus.not_ready() == []
    assert await payments(toys.read_url) == {"c-0": [f"p-{number}" for number in range(1, 16, 2)]}
    letters = await dead_letters(toys.read_url)
    assert [(row["code"], row["step"], row["key"], row["attempts"]) for row in letters] == [row[:4] for row in POISON]
    for row, (*_, record) in zip(letters, POISON, strict=True):
        assert row["body"] == record.value
        assert headers_from_json(row["headers"]) == [*record.headers]
        assert row["detail"]
    traced = text_of(sound("c-0", 1).headers, "traceparent")
    assert [row["traceparent"] for row in letters] == [None if row["code"] == "envelope" else traced for row in letters]


@pytest.mark.expected_errors("stream stopped")
async def test_a_partition_that_the_breaker_stopped_goes_on_where_it_stood_when_it_is_resumed(
    toys: Toys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Readiness is red from the stop until then, and the other partition flows all the while."""
    monkeypatch.setattr("shared.bus.reading.LOOK_SECONDS", 0.2)
    broken = True

    async def handle(batch: Sequence[Incoming], uow: UnitOfWork) -> Sequence[Outcome]:
        if broken and any(item.envelope.partition == 0 for item in batch):
            raise KeyError("a bug")
        return await count_payments(batch, uow)

    await write(toys.stage, CARD, 0, [sound("c-0", number) for number in range(1, BREAKER + 6)])
    await write(toys.stage, CARD, 1, [sound("c-1", 1)])
    bus = toys.reader(handle)
    async with running():
        await bus.start()
        await until(partial(_stopped, bus))
        await until(partial(_has, toys, "c-1", 1))
        broken = False
        await execute(toys.read_url, "UPDATE inbox_position SET state = 'running', reason = NULL")
        await until(partial(_has, toys, "c-0", 6))
        await at_rest(bus)
        assert await bus.not_ready() == []
        await bus.stop()
    assert len(await dead_letters(toys.read_url)) == BREAKER - 1
    assert (await payments(toys.read_url))["c-0"] == [f"p-{number}" for number in range(BREAKER, BREAKER + 6)]


async def _stopped(bus: Bus) -> bool:
    return "stream_stopped" in {why.code for why in await bus.not_ready()}


async def _has(toys: Toys, customer: str, count: int) -> bool:
    return len((await payments(toys.read_url)).get(customer, ())) == count


async def write_unreadable_header(toys: Toys) -> None:
    """Write a stranger's record with a header whose name is not UTF-8."""
    await unreadable(toys.stage.infra.bootstrap, CARD.full_name(toys.stage.namespace))


async def unreadable(bootstrap: str, topic: str, partition: int = 0) -> None:
    """Write a record with a header whose name is not UTF-8, which no client library of ours can write."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    try:
        batch = producer.create_batch()
        batch.append(timestamp=None, key=None, value=b"hello", headers=[("name", b"")])
        batch.close()
        buffer = batch._build()
        buffer[:] = buffer.replace(b"name", b"\xff\xfe\xfd\xfc")
        buffer[17:21] = calc_crc32c(bytes(buffer[21:])).to_bytes(4, "big")
        await (await producer.send_batch(batch, topic, partition=partition))
    finally:
        await producer.stop()


async def test_a_header_that_the_client_cannot_read_is_a_letter_without_bytes_and_the_rest_flows(toys: Toys) -> None:
    """Once, and whatever was fetched with it. Seen to fail: the partition stood still until somebody mended the log."""
    await write(toys.stage, CARD, 0, [sound("c-0", number) for number in range(1, 6)])
    await write_unreadable_header(toys)
    await write(toys.stage, CARD, 0, [sound("c-0", 6)])
    await write_unreadable_header(toys)
    for _ in range(2):
        bus = toys.reader()
        async with running(bus):
            await at_rest(bus)
        await execute(toys.read_url, "UPDATE inbox_position SET log_offset = 0")  # all is read again
    letters = await dead_letters(toys.read_url)
    assert [(row["code"], row["log_offset"], row["body"]) for row in letters] == [
        ("foreign", 5, None),
        ("foreign", 7, None),
    ]
    assert await payments(toys.read_url) == {"c-0": [f"p-{number}" for number in range(1, 7)]}
