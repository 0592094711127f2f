"""The bus as a service sees it: one object that reads, decides in transactions, publishes and keeps time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

import asyncpg

from shared.bus import dead_letters, failpoints, keeping
from shared.bus.background import end, keep_running
from shared.bus.barrier import LogEnds, pass_barrier, unread_keys
from shared.bus.compaction import Subjects
from shared.bus.consumer import Consumer
from shared.bus.decoding import Decoder
from shared.bus.erasing import with_erasing
from shared.bus.history import begin_if_other, started_at
from shared.bus.jobs import Job
from shared.bus.limits import FactLimits
from shared.bus.outbox import backlog
from shared.bus.partitions import partition_of
from shared.bus.producing import Producing
from shared.bus.publisher import Publisher
from shared.bus.streams import Segment
from shared.bus.tails import Tails
from shared.bus.taking import BatchHandler
from shared.bus.timers import Timer, deferred_timer, run_timer
from shared.bus.unit_of_work import Transactions, UnitOfWork
from shared.bus.watching import BrokerWatch
from shared.clock import Clock
from shared.db.faults import is_retriable
from shared.db.pool import borrow, open_pool
from shared.errors import Problem, Retriable
from shared.events.kinds import Fact
from shared.events.registry import TOPICS, Topic
from shared.settings import ServiceSettings
from shared.telemetry.metrics import Metrics

T = TypeVar("T")
_log = logging.getLogger(__name__)

_POSITIONS = "SELECT topic, partition, log_offset, epoch, sequence FROM inbox_position WHERE topic = ANY ($1::text[])"
_HEADS = "SELECT coalesce(sum(head), 0) FROM outbox_stream"


OWN_CONNECTIONS = 2
"""For the publisher, the probes and the gauges alone: who waits for a publication must not keep it from happening."""


class NotStarted(Retriable):
    """The service is still waiting for its database."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a service is not ready, in Chinese and English, with a stable code."""

    code: str
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Idle:
    """Whether a service has nothing to do until the domain's clock moves on.

    `waiting_for` says what it still has to do; `next_due` is its earliest timer; `mark` changes whenever it does
    anything, so two equal marks around a quiet round of all services mean that all are at rest.
    """

    idle: bool
    waiting_for: tuple[str, ...]
    next_due: datetime | None
    mark: int
    dead_letters: int


class Bus:
    """Composes one service's publisher, consumer, timers and transactions from its settings.

    `handle` gets the facts of `subscriptions` whose model is in `handles`, in batches of one or several partition
    numbers, each topic's in the order of its streams.
    `sweeps`: of compacted topics, whom the service holds data of, so that a missed erasure can be made up for (C4).
    `jobs`: what else runs as long as the bus does.
    """

    def __init__(
        self,
        *,
        service: str,
        settings: ServiceSettings,
        clock: Clock,
        metrics: Metrics | None = None,
        subscriptions: Collection[Topic] = (),
        handle: BatchHandler | None = None,
        handles: Collection[type[Fact]] = (),
        timers: Sequence[Timer] = (),
        sweeps: Mapping[Topic, Subjects] | None = None,
        jobs: Sequence[Job] = (),
    ) -> None:
        failpoints.arm(settings.failpoint)
        self.service = service
        self.clock = clock
        self.metrics = metrics or Metrics()
        self.handle = with_erasing(handle) if handle else None
        self.decoder = Decoder(handles) if handle else None
        self._settings = settings
        self.subscriptions = tuple(subscriptions)
        self.partitions = settings.partitions
        self._handles = frozenset(handles)
        self._sweeps = sweeps or {}
        self._jobs = tuple(jobs)
        self._timers = (*timers, deferred_timer(service)) if handle else tuple(timers)
        self._producing = Producing(settings.kafka_bootstrap, f"{service}-{settings.instance}")
        self._limits = FactLimits(settings.kafka_bootstrap, settings.namespace, service)
        self._tails = Tails(settings.kafka_bootstrap)
        self._ends = LogEnds(settings.kafka_bootstrap, settings.namespace)
        written = [topic for topic in TOPICS if topic.writer == service]
        self._broker = BrokerWatch(self._ends, [*self.subscriptions, *written])
        self._pool: asyncpg.Pool | None = None
        self._own: asyncpg.Pool | None = None
        self._server: datetime | None = None
        self._publisher: Publisher | None = None
        self._transactions: Transactions | None = None
        self._consumer: Consumer | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin; returns at once. Whatever is away is waited for, and readiness says so."""
        self._spawn("start", self._start)
        self._spawn("broker watch", self._broker.run)
        self._spawn("limits", self._limits.run)

    async def stop(self) -> None:
        """Stop: let running batches end within bounds, publish no further, close everything."""
        await end(self._tasks)
        if self._publisher is not None:
            await self._publisher.stop()
        await asyncio.gather(self._producing.stop(), self._ends.stop(), self._tails.stop())
        await asyncio.gather(*(_close(pool) for pool in (self._pool, self._own) if pool is not None))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the bus for the length of the block."""
        await self.start()
        try:
            yield
        finally:
            await self.stop()

    async def _start(self) -> None:
        """Open the pool as soon as the database is there, and begin everything else on it."""
        if self._own is None:
            self._own = await self._open(OWN_CONNECTIONS)
        if self._pool is None:
            self._pool = await self._open(self._settings.pool_size)
            holder = f"{self.service}-{self._settings.instance}"
            partitions = self._settings.partitions
            keep_hours = self._settings.outbox_keep_hours
            publisher = Publisher(
                self._own,
                self._producing,
                self._limits,
                self._tails,
                holder,
                partitions,
                self._settings.namespace,
                keep=keep_hours > 0,
            )
            self._transactions = Transactions(
                self._pool,
                self.service,
                partitions,
                self.clock,
                self.metrics,
                publisher.offer,
                self._limits,
                [topic.name for topic in self.subscriptions],
            )
            if self._server is not None:
                publisher.meets(self._server)
            await publisher.start()
            self._publisher = publisher
            if self.handle is not None:
                self._consumer = self._make_consumer(self._pool, publisher, self.handle)
                self._spawn("consumer", self._consumer.run)
            for timer in self._timers:
                self._spawn(timer.name, partial(run_timer, self, timer))
            for job in self._jobs:
                self._spawn(job.name, partial(job.run, self))
            self._spawn("kept segments", partial(keeping.run, self._pool, keep_hours))
            self._spawn("gauges", self._measure)
        await asyncio.Event().wait()

    async def _open(self, size: int) -> asyncpg.Pool:
        return await open_pool(self._settings.database_url.get_secret_value(), size=size, greet=self._greet)

    async def _greet(self, connection: asyncpg.Connection) -> None:
        """Look at whose data a new connection leads to, before anything is decided on it."""
        await begin_if_other(connection)
        self._server = await started_at(connection)
        if self._publisher is not None:
            self._publisher.meets(self._server)

    def _make_consumer(self, pool: asyncpg.Pool, publisher: Publisher, handle: BatchHandler) -> Consumer:
        assert self._transactions is not None
        return Consumer(
            service=self.service,
            settings=self._settings,
            topics=self.subscriptions,
            transactions=self._transactions,
            publisher=publisher,
            handle=handle,
            handles=self._handles,
            metrics=self.metrics,
            sweeps=self._sweeps,
        )

    def _spawn(self, name: str, job: Callable[[], Awaitable[None]]) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(keep_running(name, job)))

    @property
    def pool(self) -> asyncpg.Pool:
        """The service's pool.

        Raises:
            NotStarted: the database has not been reached yet.
        """
        if self._pool is None:
            raise NotStarted("the database has not been reached yet")
        return self._pool

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[asyncpg.Connection]:
        """Lend a connection for plain reads."""
        async with borrow(self.pool) as connection:
            yield connection

    @asynccontextmanager
    async def _watching(self) -> AsyncIterator[asyncpg.Connection]:
        """Lend one of the bus's own connections, so that many requests at once do not look like an absent database."""
        if self._own is None or self._publisher is None:
            raise NotStarted("the database has not been reached yet")
        async with borrow(self._own) as connection:
            yield connection

    def partition_of(self, key: str) -> int:
        """Return the partition number that `key` belongs to, the same in every topic."""
        return partition_of(key, self._settings.partitions)

    async def transact(self, act: Callable[[UnitOfWork], Awaitable[T]]) -> T:
        """Run `act` in one transaction; see `Transactions.transact`."""
        if self._transactions is None:
            raise NotStarted("the database has not been reached yet")
        return await self._transactions.transact(act)

    async def published(self, segments: Sequence[Segment], within: float = 2.0) -> datetime | None:
        """Return the machine's instant at which all of `segments` were known to be in Kafka; None when not in time."""
        if self._publisher is None:
            return None
        return await self._publisher.published(segments, within)

    async def barrier(self, partition: int, topics: Collection[Topic]) -> datetime | None:
        """Pass the read barrier of `partition`; None means that nothing may be done now."""
        return await pass_barrier(self.pool, self._ends, partition, topics)

    async def blocked_keys(self, connection: asyncpg.Connection, keys: Iterable[str]) -> set[str]:
        """Return those of `keys` that nobody may act on, because a fact of theirs lies dead (D3)."""
        return await dead_letters.blocked_keys(connection, keys, self._settings.partitions)

    async def unread_keys(self, connection: asyncpg.Connection, keys: Iterable[str]) -> dict[str, Problem]:
        """Return those of `keys` on whom nobody acts now, since facts about them may lie unread (B6)."""
        return await unread_keys(connection, keys, self.partitions, [topic.name for topic in self.subscriptions])

    async def not_ready(self) -> list[Reason]:
        """Return why the service is not ready; an empty list when it is."""
        away = [Reason("broker_away", "消息总线连接不上", "the broker is away")] if self._broker.away else []
        own = [reason for job in self._jobs for reason in job.reasons()]
        return [*await self._database_reasons(), *away, *self._reading_reasons(), *self._publishing_reasons(), *own]

    async def _database_reasons(self) -> list[Reason]:
        try:
            async with asyncio.timeout(2):
                async with self._watching() as connection:
                    await connection.fetchval("SELECT 1")
        except Exception as error:
            if not is_retriable(error):
                raise
            return [Reason("database_away", "数据库连接不上", "the database is away")]
        return []

    def _reading_reasons(self) -> list[Reason]:
        if self._consumer is None:
            return []
        if not self._consumer.joined:
            return [Reason("not_reading", "尚未连上消息总线", "the service has not joined its consumer group yet")]
        return [
            Reason("stream_stopped", f"{topic}/{number} 已停止读取: {why}", f"{topic}/{number} is stopped: {why}")
            for (topic, number), why in sorted(self._consumer.stopped().items())
        ] + [
            Reason("partition_failing", f"分区 {number} 读取出错: {why}", f"partition {number} cannot be read: {why}")
            for number, why in sorted(self._consumer.failing().items())
        ]

    def _publishing_reasons(self) -> list[Reason]:
        halted = self._publisher.halted() if self._publisher else {}
        return [
            Reason("stream_halted", f"{topic}/{number} 已停止发布: {why}", f"{topic}/{number} is halted: {why}")
            for (topic, number), why in sorted(halted.items())
        ]

    async def log_offsets(self, topic: Topic, since: datetime | None) -> dict[int, int] | None:
        """Return, by partition, the offset of the first record of `topic` since an instant, or of its end.

        None: the broker did not answer.
        """
        numbers = range(self.partitions)
        found = await (self._ends.since([topic], numbers, since) if since else self._ends.of([topic], numbers))
        return None if found is None else {number: offset for (_, number), offset in found.items()}

    async def idle(self) -> Idle:
        """Tell whether everything published has been read, everything decided published, and no timer is due."""
        waiting: list[str] = []
        ends = await self._ends.of(self.subscriptions, range(self._settings.partitions))
        async with self.reading() as connection:
            rows = await connection.fetch(_POSITIONS, [topic.name for topic in self.subscriptions])
            mark = await connection.fetchval(_HEADS)
            pending, _ = await backlog(connection)
            dues = [await timer.next_due(connection) for timer in self._timers if timer.next_due]
            dead = await connection.fetchval("SELECT count(*) FROM dead_letter WHERE state = 'open'")
        if ends is None:
            waiting.append("broker")
        elif any(row["log_offset"] < ends.get((row["topic"], row["partition"]), 0) for row in rows):
            waiting.append("reading")
        if pending:
            waiting.append("publishing")
        next_due = min((due for due in dues if due is not None), default=None)
        if next_due is not None and next_due <= self.clock.now():
            waiting.append("timers")
        waiting += [job.name for job in self._jobs if await job.waits()]
        mark += sum(row["log_offset"] for row in rows)
        return Idle(not waiting, tuple(waiting), next_due, mark, dead)

    async def _measure(self) -> None:
        """Keep the gauges: how far behind reading is, and what waits to be published."""
        while True:
            async with self._watching() as connection:
                pending, oldest = await backlog(connection)
                await dead_letters.measure(connection, self.metrics)
                rows = await connection.fetch(_POSITIONS, [topic.name for topic in self.subscriptions])
            self.metrics.outbox_pending.set(pending)
            self.metrics.outbox_oldest_age_seconds.set((datetime.now(UTC) - oldest).total_seconds() if oldest else 0)
            ends = await self._ends.of(self.subscriptions, range(self._settings.partitions))
            for topic in self.subscriptions if ends is not None else ():
                lag = sum(
                    max((ends or {}).get((topic.name, row["partition"]), 0) - row["log_offset"], 0)
                    for row in rows
                    if row["topic"] == topic.name
                )
                self.metrics.consumer_lag_records.labels(topic.name).set(lag)
            await asyncio.sleep(5)


async def _close(pool: asyncpg.Pool) -> None:
    """Close within bounds; what the server does not answer is cut off."""
    try:
        await asyncio.wait_for(pool.close(), 3)
    except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        pool.terminate()
