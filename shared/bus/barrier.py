"""The read barrier: whoever is about to act has read everything that was published until now (B1 to B3).

A customer's facts of all topics lie under one partition number, whichever replica reads them; so the question is asked
of the database's positions and not of this process's memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from datetime import UTC, datetime

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from shared.bus import clients
from shared.db.pool import borrow
from shared.events.registry import Topic

WINDOW_SECONDS = 15.0
"""W: nothing leaves later than this after its barrier, so a stop is effective W after its publication."""

_ENDS_SECONDS = 2.0
_WAIT_SECONDS = 10.0

_REACHED = """
SELECT count(*) AS running, count(*) FILTER (WHERE p.log_offset >= w.log_end) AS reached
FROM inbox_position p JOIN unnest($2::text[], $3::bigint[]) AS w (topic, log_end) USING (topic)
WHERE p.partition = $1 AND p.state = 'running'
"""


class LogEnds:
    """Asks the broker where the logs end just now."""

    def __init__(self, bootstrap: str, namespace: str) -> None:
        self._bootstrap = bootstrap
        self._namespace = namespace
        self._kafka: AIOKafkaConsumer | None = None
        self._starting = asyncio.Lock()

    async def of(self, topics: Iterable[Topic], partitions: Iterable[int]) -> dict[tuple[str, int], int] | None:
        """Return {(topic, partition): end offset}, or None when the broker did not answer in two seconds."""
        return await self._ask(topics, partitions, lambda kafka, tps: kafka.end_offsets(tps))

    async def since(
        self, topics: Iterable[Topic], partitions: Iterable[int], instant: datetime
    ) -> dict[tuple[str, int], int] | None:
        """Return {(topic, partition): offset of the first record since `instant`, or the end}; None as above."""
        millis = int(instant.timestamp() * 1000)

        async def ask(kafka: AIOKafkaConsumer, tps: list[TopicPartition]) -> dict[TopicPartition, int]:
            found = await kafka.offsets_for_times(dict.fromkeys(tps, millis))
            ends = await kafka.end_offsets(tps)
            return {tp: ends[tp] if found[tp] is None else found[tp].offset for tp in tps}

        return await self._ask(topics, partitions, ask)

    async def _ask(
        self,
        topics: Iterable[Topic],
        partitions: Iterable[int],
        ask: Callable[[AIOKafkaConsumer, list[TopicPartition]], Awaitable[dict[TopicPartition, int]]],
    ) -> dict[tuple[str, int], int] | None:
        names = {topic.full_name(self._namespace): topic.name for topic in topics}
        wanted = {TopicPartition(full, number): (name, number) for number in partitions for full, name in names.items()}
        if not wanted:
            return {}
        try:
            async with asyncio.timeout(_ENDS_SECONDS):
                kafka = await self._started()
                found = await ask(kafka, list(wanted))
        except (KafkaError, OSError, TimeoutError):
            return None
        return {wanted[tp]: end for tp, end in found.items()}

    async def _started(self) -> AIOKafkaConsumer:
        async with self._starting:
            if self._kafka is None:
                kafka = AIOKafkaConsumer(bootstrap_servers=self._bootstrap, enable_auto_commit=False)
                await clients.start(kafka.start, kafka.stop)
                self._kafka = kafka
            return self._kafka

    async def stop(self) -> None:
        """Stop asking, within bounds."""
        if self._kafka is not None:
            await clients.stop(self._kafka.stop)


async def pass_barrier(pool: asyncpg.Pool, ends: LogEnds, partition: int, topics: Collection[Topic]) -> datetime | None:
    """Wait until all that was in `topics` of `partition` a moment ago has been read, by whichever replica.

    Returns the machine's instant T of the question, or None: the broker did not answer, a stream is stopped, or the
    reading lags by more than ten seconds. Then nothing may be done now.
    """
    asked_at = datetime.now(UTC)
    found = await ends.of(topics, (partition,))
    if found is None:
        return None
    names = [topic.name for topic in topics]
    logs = [found[name, partition] for name in names]
    deadline = asyncio.get_running_loop().time() + _WAIT_SECONDS
    while asyncio.get_running_loop().time() < deadline:
        async with borrow(pool) as connection:
            row = await connection.fetchrow(_REACHED, partition, names, logs)
        if row is None or row["running"] < len(names):
            return None
        if row["reached"] == len(names):
            return asked_at
        await asyncio.sleep(0.02)
    return None
