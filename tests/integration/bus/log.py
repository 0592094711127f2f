"""The log itself, read and written past the bus."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from shared.bus.headers import Headers, Numbers, Packed, numbers_of, text_of, to_headers
from shared.events.registry import Topic
from tests.integration.bus.toys import NOON, payment
from tests.integration.conftest import Stage


class Logged(NamedTuple):
    """One record of a stream: its place, its id, and the customer it is about."""

    epoch: int
    sequence: int
    id: str
    key: str


async def log_of(stage: Stage, topic: Topic) -> dict[int, list[Logged]]:
    """Everything that lies in a topic, by partition."""
    tps = [TopicPartition(topic.full_name(stage.namespace), number) for number in range(stage.partitions)]
    kafka = AIOKafkaConsumer(bootstrap_servers=stage.infra.bootstrap, enable_auto_commit=False)
    await kafka.start()
    try:
        kafka.assign(tps)
        ends = await kafka.end_offsets(tps)
        found: dict[int, list[Logged]] = {tp.partition: [] for tp in tps}
        for tp in tps:
            kafka.seek(tp, 0)
        while any([await kafka.position(tp) < ends[tp] for tp in tps]):
            for tp, records in (await kafka.getmany(timeout_ms=200)).items():
                found[tp.partition] += [_logged(record.headers, record.key) for record in records]
        return found
    finally:
        await kafka.stop()


def _logged(headers: Headers, key: bytes) -> Logged:
    numbers = numbers_of(headers)
    assert numbers is not None
    return Logged(numbers.epoch, numbers.sequence, text_of(headers, "ce_id") or "", key.decode())


def faults_of(log: dict[int, list[Logged]]) -> list[str]:
    """What is wrong with a topic: a number before the one below it, or given to two facts. Repeats are not wrong."""
    faults: list[str] = []
    for partition, records in log.items():
        known: dict[tuple[int, int], str] = {}
        highest = 0
        for record in records:
            place = (record.epoch, record.sequence)
            if known.setdefault(place, record.id) != record.id:
                faults.append(f"{partition}: {place} given twice")
            if record.sequence > highest + 1:
                faults.append(f"{partition}: {record.sequence} after {highest}")
            highest = max(highest, record.sequence)
    return faults


def facts_in(log: dict[int, list[Logged]]) -> dict[str, str]:
    """The facts in a topic: {id: customer}."""
    return {record.id: record.key for records in log.values() for record in records}


def packed(customer: str, number: int) -> Packed:
    """A payment as the bus would send it."""
    return Packed(
        id=f"{customer}/{number}",
        type="arrears.payment.posted.v1",
        time=NOON.isoformat(),
        key=customer,
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
        cause_id=None,
        value=msgspec.json.encode(payment(customer, number)),
    )


class Record(NamedTuple):
    """A record to be written as it is."""

    value: bytes | None
    headers: Headers
    key: bytes | None = None


def sound(customer: str, number: int, *, epoch: int = 7, base: tuple[int, int] | None = None) -> Record:
    """A sound record: payment `number` of a customer, at the place with the same number."""
    fact = packed(customer, number)
    first = (0, 0) if number == 1 and base is None else base
    return Record(fact.value, to_headers(fact, "/arrears/ingest", Numbers(epoch, number, first)), customer.encode())


async def write(stage: Stage, topic: Topic, partition: int, records: Sequence[Record]) -> None:
    """Write records past the bus, in order."""
    producer = AIOKafkaProducer(bootstrap_servers=stage.infra.bootstrap)
    await producer.start()
    try:
        for record in records:
            await producer.send_and_wait(
                topic.full_name(stage.namespace),
                value=record.value,
                key=record.key,
                partition=partition,
                headers=list(record.headers),
            )
    finally:
        await producer.stop()


async def cut(stage: Stage, topic: Topic, partition: int, before: int) -> None:
    """Remove what lies before an offset, as retention does."""
    admin = AIOKafkaAdminClient(bootstrap_servers=stage.infra.bootstrap)
    await admin.start()
    try:
        await admin.delete_records(
            {TopicPartition(topic.full_name(stage.namespace), partition): RecordsToDelete(before_offset=before)}
        )
    finally:
        await admin.close()
