"""The floors below every hop: producing, consuming, and storing rows of the same events, with nothing around them."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from benchmarks import goals
from benchmarks.feed import by_partition
from benchmarks.floor_hop import PARTITIONS, send
from benchmarks.meter import Servers
from benchmarks.samples import Sample

BATCH = 1000
Pair = tuple[bytes, bytes]

_SCHEMA = "CREATE TABLE floor (key bytea NOT NULL, value bytea NOT NULL)"
_UNNEST = "INSERT INTO floor SELECT * FROM unnest($1::bytea[], $2::bytea[])"


async def measure_kafka(servers: Servers, bootstrap: str, topic: str, pairs: Sequence[Pair]) -> list[Sample]:
    """Produce `pairs` to the topic in batches of a thousand, then consume them."""
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        acks="all",
        enable_idempotence=True,
        compression_type="snappy",
        max_batch_size=1 << 20,
    )
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, enable_auto_commit=False, max_partition_fetch_bytes=2 << 20
    )

    async def produce() -> None:
        for start in range(0, len(pairs), BATCH):
            await send(producer, topic, by_partition((key, value, []) for key, value in pairs[start : start + BATCH]))

    async def consume() -> None:
        count = 0
        while count < len(pairs):
            got = await consumer.getmany(timeout_ms=500, max_records=BATCH)
            count += sum(len(records) for records in got.values())

    await producer.start()
    await consumer.start()
    try:
        tps = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        consumer.assign(tps)
        starts = await consumer.end_offsets(tps)
        produced = await _measured(goals.PRODUCE, servers, len(pairs), produce)
        for tp, offset in starts.items():
            consumer.seek(tp, offset)
        return [produced, await _measured(goals.CONSUME, servers, len(pairs), consume)]
    finally:
        await producer.stop()
        await consumer.stop()


async def measure_postgres(servers: Servers, url: str, pairs: Sequence[Pair]) -> list[Sample]:
    """Store `pairs` a thousand rows a transaction, by COPY and by one INSERT over arrays."""
    connection = await asyncpg.connect(url)
    await connection.execute(f"DROP TABLE IF EXISTS floor; {_SCHEMA}")

    async def copy() -> None:
        for start in range(0, len(pairs), BATCH):
            await connection.copy_records_to_table("floor", records=pairs[start : start + BATCH])

    async def unnest() -> None:
        for start in range(0, len(pairs), BATCH):
            part = pairs[start : start + BATCH]
            await connection.execute(_UNNEST, [key for key, _ in part], [value for _, value in part])

    try:
        copied = await _measured(goals.COPY, servers, len(pairs), copy)
        await connection.execute("TRUNCATE floor")
        return [copied, await _measured(goals.UNNEST, servers, len(pairs), unnest)]
    finally:
        await connection.close()


async def _measured(name: str, servers: Servers, events: int, act: Callable[[], Awaitable[None]]) -> Sample:
    """Measure what this process itself does."""
    me = (os.getpid(),)
    start = servers.read(me)
    await act()
    return Sample(name, events, servers.read(me).since(start))
