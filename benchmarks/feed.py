"""Fills a topic with the facts of a run, numbered as the bus numbers them, before anybody is measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from types import TracebackType
from typing import Self

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from benchmarks.floor_hop import PARTITIONS, send
from shared.bus.headers import Numbers, Packed, to_headers
from shared.bus.partitions import partition_of
from shared.events.card import AccountOverdueReported
from shared.events.registry import BY_MODEL
from shared.ids import derived_id

Record = tuple[bytes, bytes, Sequence[tuple[str, bytes]]]
"""Key, value, headers."""

_TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7"
_encode = msgspec.json.Encoder().encode


def by_partition(records: Iterable[Record]) -> dict[int, list[Record]]:
    """Group records as Kafka's own clients would place them."""
    found: dict[int, list[Record]] = {}
    for record in records:
        found.setdefault(partition_of(record[0].decode(), PARTITIONS), []).append(record)
    return found


class Numbering:
    """Gives the facts of one topic their places, as the one writer of its streams would."""

    def __init__(self) -> None:
        self._last: dict[int, int] = {}

    def records(self, facts: Iterable[AccountOverdueReported], time: datetime, *, sampled: bool) -> list[Record]:
        """Return the next facts as records of the bus; each belongs to a trace that is recorded or not."""
        return [self._record(fact, time, f"{_TRACE}-{int(sampled):02}") for fact in facts]

    def _record(self, fact: AccountOverdueReported, time: datetime, traceparent: str) -> Record:
        kind = BY_MODEL[type(fact)]
        partition = partition_of(fact.customer_id, PARTITIONS)
        number = self._last[partition] = self._last.get(partition, 0) + 1
        packed = Packed(
            id=str(derived_id("bench", partition, number)),
            type=kind.name,
            time=time.isoformat(),
            key=fact.customer_id,
            traceparent=traceparent,
            cause_id=None,
            value=None,
        )
        headers = to_headers(packed, kind.topic.source, Numbers(1, number, (0, 0) if number == 1 else None))
        return fact.customer_id.encode(), _encode(fact), headers


class Topics:
    """Makes topics, fills them, and tells how much is in them; used as a context."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        self._consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
        self._producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap, acks="all", compression_type="snappy", max_batch_size=1 << 20
        )

    async def __aenter__(self) -> Self:
        for client in (self._admin, self._consumer, self._producer):
            await client.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._producer.stop()
        await self._consumer.stop()
        await self._admin.close()

    async def make(self, *names: str) -> None:
        """Make topics that are not there yet."""
        await self._admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in names])

    async def fill(self, topic: str, records: Iterable[Record]) -> None:
        """Append records and wait until all are in the log."""
        await send(self._producer, topic, by_partition(records))

    async def count(self, topic: str) -> int:
        """Return how many records have ever been appended to a topic."""
        ends = await self._consumer.end_offsets([TopicPartition(topic, number) for number in range(PARTITIONS)])
        return sum(ends.values())
