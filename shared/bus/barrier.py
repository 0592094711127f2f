"""The read barrier: whoever is about to act has read everything that was published until now (B1 to B3).

A customer's facts of all topics lie under one partition number, whichever replica reads them; so the question is asked
of the database's positions and not of this process's memory.

There are two forms. Who writes to a customer passes the barrier, for each message. Where a person acts and sees what
came of it, the light form is enough: nobody acts while a stream is stopped or was not read to its end of late (B6).

A broker that was deposed and does not know it yet may name an end that lies behind the log's (B5). Our client asks
every 3 s who leads and waits 2 s for an end, so it believes such a broker at most 5 s after another one leads; that is
why a message leaves W - 5 s after its barrier at the latest. Not covered: a broker that is cut off from the controller
and yet is the only one who tells us who leads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from datetime import UTC, datetime

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from shared.bus import clients
from shared.bus.partitions import partition_of
from shared.db.pool import borrow
from shared.errors import Problem
from shared.events.registry import Topic

WINDOW_SECONDS = 15.0
"""W: nothing leaves later than this after its barrier, so a stop is effective W after its publication."""

UNREAD_SECONDS = 60
"""The light form: so long ago at most was each stream read to its end, or nobody acts. It is touched every 10 s."""

LEADER_SECONDS = 3.0
"""So often the client asks who leads."""

ENDS_SECONDS = 2.0
LEAVE_SECONDS = WINDOW_SECONDS - LEADER_SECONDS - ENDS_SECONDS
"""So long after its barrier a message may leave: what is left of W, should the end have been a deposed broker's."""

_WAIT_SECONDS = 10.0

_REACHED = """
SELECT count(*) AS running, count(*) FILTER (WHERE p.log_offset >= w.log_end) AS reached
FROM inbox_position p JOIN unnest($2::text[], $3::bigint[]) AS w (topic, log_end) USING (topic)
WHERE p.partition = $1 AND p.state = 'running'
"""

_UNREAD = """
SELECT n.partition, bool_or(p.state IS DISTINCT FROM 'running') AS stopped
FROM unnest($1::int[]) AS n (partition) CROSS JOIN unnest($2::text[]) AS t (topic)
LEFT JOIN inbox_position p USING (topic, partition)
WHERE p.state IS DISTINCT FROM 'running' OR p.at < clock_timestamp() - make_interval(secs => $3)
GROUP BY n.partition
"""


class LogEnds:
    """Asks the broker where the logs end just now."""

    def __init__(self, bootstrap: str, namespace: str) -> None:
        self._bootstrap = bootstrap
        self._namespace = namespace
        self._kafka: AIOKafkaConsumer | None = None
        self._starting = asyncio.Lock()

    async def of(
        self, topics: Iterable[Topic], partitions: Iterable[int], within: float = ENDS_SECONDS
    ) -> dict[tuple[str, int], int] | None:
        """Return {(topic, partition): end offset}, or None when the broker did not answer in time."""
        return await self._ask(topics, partitions, lambda kafka, tps: kafka.end_offsets(tps), within)

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
        within: float = ENDS_SECONDS,
    ) -> dict[tuple[str, int], int] | None:
        names = {topic.full_name(self._namespace): topic.name for topic in topics}
        wanted = {TopicPartition(full, number): (name, number) for number in partitions for full, name in names.items()}
        if not wanted:
            return {}
        try:
            async with asyncio.timeout(within):
                kafka = await self._started()
                found = await ask(kafka, list(wanted))
        except (KafkaError, OSError, TimeoutError):
            return None
        return {wanted[tp]: end for tp, end in found.items()}

    async def _started(self) -> AIOKafkaConsumer:
        async with self._starting:
            if self._kafka is None:
                kafka = AIOKafkaConsumer(
                    bootstrap_servers=self._bootstrap,
                    enable_auto_commit=False,
                    metadata_max_age_ms=int(LEADER_SECONDS * 1000),
                )
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


async def unread_keys(
    connection: asyncpg.Connection, keys: Iterable[str], partitions: int, topics: Collection[str]
) -> dict[str, Problem]:
    """Return those of `keys` on whom nobody acts now, each with what is said: a stop may lie unread (B6)."""
    numbers = {key: partition_of(key, partitions) for key in keys}
    rows = await connection.fetch(_UNREAD, sorted(set(numbers.values())), list(topics), UNREAD_SECONDS)
    unread = {row["partition"]: row["stopped"] for row in rows}
    return {key: unread_problem(stopped=unread[number]) for key, number in numbers.items() if number in unread}


def unread_problem(*, stopped: bool) -> Problem:
    """Return what is said to who would act while facts about the customer may lie unread."""
    if stopped:
        return Problem(
            "reading_behind",
            "消息读取已停止，客户可能已停催或还款，请运维人员处理后再试。",
            "Reading is stopped, and a stop or a payment may lie unread; have the operators look, then try again.",
            extra={"reason": "stopped"},
        )
    return Problem(
        "reading_behind",
        "消息尚未读到最新，客户可能已停催或还款，请稍后再试。",
        "Facts are read with a delay, and a stop or a payment may lie unread; try again soon.",
        extra={"reason": "behind"},
    )
