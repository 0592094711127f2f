"""Reads the topics a service subscribes to, one loop a partition number with all its topics (L7, R1, R3 to R8).

The truth of how far a stream was read is its row in the database; the broker's offsets are only a hint where to look,
and feed tools that show lag. So a loop may forget everything at any moment and begin again from its rows.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Sequence

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import IllegalStateError, KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError

from shared.bus import positions
from shared.bus.decoding import Decoder, Raw
from shared.bus.handling import BatchHandler, HandlerBroken, Handling, Read
from shared.bus.headers import numbers_of, source_of
from shared.bus.positions import NotOwner, Position, Stopped
from shared.bus.publisher import Publisher
from shared.bus.topics import check_partitions
from shared.bus.unit_of_work import Transactions
from shared.db.faults import is_retriable
from shared.db.pool import borrow
from shared.events.kinds import Fact
from shared.events.registry import TOPICS, Topic
from shared.settings import ServiceSettings
from shared.telemetry.metrics import Metrics

BATCH = 2000
IDLE_SECONDS = 10.0
_POLL_MS = 500
_DRAIN_SECONDS = 10.0
_LAG_COMMIT_SECONDS = 5.0
_FETCH_BYTES = 2 << 20

_log = logging.getLogger(__name__)


class _Reset(Exception):
    """Begin again from the rows in the database."""


class PartitionLoop:
    """Everything of one partition number: its topics' facts, in one fixed order, into one transaction a batch."""

    def __init__(self, owner: Consumer, partition: int) -> None:
        self._owner = owner
        self._partition = partition
        self._topics = [topic.name for topic in owner.topics]
        self._tps = {
            name: TopicPartition(topic.full_name(owner.namespace), partition)
            for name, topic in zip(self._topics, owner.topics, strict=True)
        }
        self._handling = Handling(owner.transactions, owner.handle, owner.metrics, partition)
        self._positions: dict[str, Position] = {}
        self._rewound: set[str] = set()
        self._committed_at = 0.0
        self._quiet_since = asyncio.get_running_loop().time()
        self.stopped: dict[str, str] = {}
        self.busy = asyncio.Lock()
        self.leaving = False

    async def run(self) -> None:
        """Read until cancelled; whatever is unknown or lost sends the loop back to its rows."""
        pause = 0.05
        while not self.leaving:
            try:
                await self._assigned()
                while not self.leaving:
                    await self._step()
                    pause = 0.05
            except (_Reset, NotOwner, NoOffsetForPartitionError, OffsetOutOfRangeError, IllegalStateError):
                await asyncio.sleep(pause)
            except Exception as error:
                if not isinstance(error, KafkaError) and not is_retriable(error):
                    raise
                _log.warning("partition waits", extra={"partition": self._partition, "reason": type(error).__name__})
                await asyncio.sleep(pause)
            pause = min(pause * 2, 2.0)

    async def _assigned(self) -> None:
        """Take up each topic where its row says, and stop where a row says so."""
        async with borrow(self._owner.transactions.pool) as connection:
            rows = await positions.load(connection, self._partition, self._topics)
        self._positions = {topic: row for topic, row in rows.items() if isinstance(row, Position)}
        self.stopped = {topic: row.reason for topic, row in rows.items() if isinstance(row, Stopped)}
        for topic in self.stopped:
            self._owner.kafka.pause(self._tps[topic])
        begin = await self._owner.kafka.beginning_offsets(list(self._tps.values()))
        end = await self._owner.kafka.end_offsets(list(self._tps.values()))
        for topic, position in self._positions.items():
            tp = self._tps[topic]
            # The last record taken is read once more: if it is not the one at the position, the numbers will show it.
            inside = begin[tp] < position.offset <= end[tp] and topic not in self._rewound
            self._owner.kafka.seek(tp, position.offset - 1 if inside else begin[tp])
            self._owner.kafka.resume(tp)

    async def _step(self) -> None:
        live = [self._tps[topic] for topic in self._positions]
        if not live:
            await asyncio.sleep(IDLE_SECONDS)
            raise _Reset
        got = await self._owner.kafka.getmany(*live, timeout_ms=_POLL_MS, max_records=BATCH)
        if not got:
            await self._idle()
            return
        self._quiet_since = asyncio.get_running_loop().time()
        async with self.busy:
            await self._take(got)

    async def _take(self, got: dict[TopicPartition, list[ConsumerRecord]]) -> None:
        reads: list[Read] = []
        stops: dict[str, tuple[Position, str]] = {}
        for topic in self._topics:
            for record in got.get(self._tps[topic], ()):
                stopped = self._read(topic, record, reads)
                if stopped is not None:
                    stops[topic] = (self._latest(topic, reads), stopped.reason)
                    break
        if reads:
            try:
                self._positions = await self._handling.take(reads, self._positions)
            except HandlerBroken as broken:
                await self._stop_all(str(broken))
                raise _Reset from broken
            self._rewound -= {read.topic for read in reads if read.decoded is not None}
            await self._commit_for_lag_tools()
        for topic, (at, reason) in stops.items():
            await self._gap_or_stop(topic, at, reason)

    def _latest(self, topic: str, reads: Sequence[Read]) -> Position:
        return next((read.after for read in reversed(reads) if read.topic == topic), self._positions[topic])

    def _read(self, topic: str, record: ConsumerRecord, reads: list[Read]) -> Stopped | None:
        """Judge one record by its numbers (the table of the bus) and note what becomes of it."""
        before = self._latest(topic, reads)
        numbers = numbers_of(record.headers)
        fact_id = next((value.decode("utf-8", "replace") for name, value in record.headers if name == "ce_id"), "")
        key = record.key.decode("utf-8", "replace") if record.key else None
        if source_of(record.headers) != self._owner.sources[topic]:
            numbers = None
        raw = Raw(topic, self._partition, record.offset, key, record.headers, record.value, numbers)
        if numbers is None:
            # The offset moves and the number does not, so a fact that lost its numbers shows as a gap as well.
            reads.append(Read(topic, positions.passed(before, record.offset), self._owner.decoder.decode(raw)))
            return None
        verdict = positions.judge(before, numbers, fact_id)
        if isinstance(verdict, Stopped):
            return verdict
        if verdict == "take":
            after = positions.taken(before, numbers, fact_id, record.offset)
            reads.append(Read(topic, after, self._owner.decoder.decode(raw)))
        else:
            self._owner.metrics.facts_duplicate.labels(topic).inc()
            reads.append(Read(topic, positions.passed(before, record.offset), None))
        return None

    async def _gap_or_stop(self, topic: str, at: Position, reason: str) -> None:
        """A gap may come from a wrong hint: read again from the log's start, once; then stop and say so."""
        if reason.startswith("gap") and topic not in self._rewound:
            self._rewound.add(topic)
            raise _Reset
        self._rewound.discard(topic)
        if reason.startswith("gap"):
            self._owner.metrics.gaps.labels(topic).inc()
        async with borrow(self._owner.transactions.pool) as connection:
            await positions.stop(connection, topic, self._partition, at, reason)
        _log.error("stream stopped", extra={"topic": topic, "partition": self._partition, "reason": reason})
        raise _Reset

    async def _stop_all(self, reason: str) -> None:
        async with borrow(self._owner.transactions.pool) as connection:
            for topic, at in sorted(self._positions.items()):
                await positions.stop(connection, topic, self._partition, at, reason)
        _log.error("partition stopped", extra={"partition": self._partition, "reason": reason.split(":", 1)[0]})

    async def _idle(self) -> None:
        """Every ten seconds without facts, compare with the database: another owner may have moved on (R8)."""
        now = asyncio.get_running_loop().time()
        if now - self._quiet_since < IDLE_SECONDS:
            return
        self._quiet_since = now
        async with borrow(self._owner.transactions.pool) as connection:
            rows = await positions.load(connection, self._partition, self._topics)
            if {topic: row for topic, row in rows.items() if isinstance(row, Position)} != self._positions:
                raise _Reset
            ends = await self._owner.kafka.end_offsets([self._tps[topic] for topic in self._positions])
            at_end = [topic for topic, position in self._positions.items() if position.offset == ends[self._tps[topic]]]
            await positions.touch(connection, self._partition, at_end)

    async def _commit_for_lag_tools(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._committed_at < _LAG_COMMIT_SECONDS:
            return
        self._committed_at = now
        offsets = {self._tps[topic]: position.offset for topic, position in self._positions.items()}
        try:
            await asyncio.wait_for(self._owner.kafka.commit(offsets), 5)
        except (KafkaError, TimeoutError) as error:
            _log.info("lag offsets not committed", extra={"reason": type(error).__name__})


class Consumer(ConsumerRebalanceListener):  # type: ignore[misc]
    """The service's member of its consumer group; a partition number belongs to one member with all its topics."""

    def __init__(
        self,
        *,
        service: str,
        settings: ServiceSettings,
        topics: Collection[Topic],
        transactions: Transactions,
        publisher: Publisher,
        handle: BatchHandler,
        handles: Collection[type[Fact]],
        metrics: Metrics,
    ) -> None:
        self.topics = [topic for topic in TOPICS if topic in topics]
        self.sources = {topic.name: topic.source for topic in self.topics}
        self.namespace = settings.namespace
        self.transactions = transactions
        self.handle = handle
        self.decoder = Decoder(handles)
        self.metrics = metrics
        self.loops: dict[int, PartitionLoop] = {}
        self.joined = False
        self._group = f"{settings.namespace}.{service}"
        self._member = f"{service}-{settings.instance}"
        self._bootstrap = settings.kafka_bootstrap
        self._partitions = settings.partitions
        self._publisher = publisher
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self.kafka: AIOKafkaConsumer

    async def run(self) -> None:
        """Join the group and read until cancelled or until the broker refuses; the caller begins again.

        Raises:
            WrongPartitions: a topic has not the configured number of partitions.
        """
        await check_partitions(self._bootstrap, self.namespace, self.topics, self._partitions)
        self.kafka = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            client_id=self._member,
            group_id=self._group,
            group_instance_id=self._member,
            enable_auto_commit=False,
            auto_offset_reset="none",
            partition_assignment_strategy=(RangePartitionAssignor,),
            max_partition_fetch_bytes=_FETCH_BYTES,
            fetch_max_wait_ms=100,
            session_timeout_ms=30_000,
            heartbeat_interval_ms=3_000,
            rebalance_timeout_ms=60_000,
        )
        try:
            await self.kafka.start()
            self.kafka.subscribe([topic.full_name(self.namespace) for topic in self.topics], listener=self)
            while True:
                await asyncio.sleep(0.5)
                for task in self._tasks.values():
                    if task.done() and not task.cancelled():
                        task.result()
        finally:
            self.joined = False
            await self.on_partitions_revoked(())
            try:
                await asyncio.wait_for(self.kafka.stop(), 5)
            except (KafkaError, TimeoutError, OSError) as error:
                _log.info("consumer did not stop cleanly", extra={"reason": type(error).__name__})

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Let each running batch end, within bounds, and drop what is buffered; all partitions are given back."""
        for loop in self.loops.values():
            loop.leaving = True
        await asyncio.gather(*(self._leave(partition) for partition in list(self._tasks)))
        self.loops.clear()

    async def _leave(self, partition: int) -> None:
        task = self._tasks.pop(partition)
        loop = self.loops[partition]
        try:
            await asyncio.wait_for(loop.busy.acquire(), _DRAIN_SECONDS)
        except TimeoutError:
            _log.warning("batch did not end in time", extra={"partition": partition})
        task.cancel()
        await asyncio.wait({task}, timeout=_DRAIN_SECONDS)

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Begin a loop for each partition number, and take its lease: who reads a customer also writes it (P7)."""
        numbers = sorted({tp.partition for tp in assigned})
        for partition in numbers:
            loop = self.loops[partition] = PartitionLoop(self, partition)
            self._tasks[partition] = asyncio.get_running_loop().create_task(self._begin(loop, partition))
        self.joined = True

    async def _begin(self, loop: PartitionLoop, partition: int) -> None:
        while True:
            try:
                await self._publisher.take((partition,))
                break
            except Exception as error:
                if not is_retriable(error):
                    raise
                await asyncio.sleep(0.5)
        await loop.run()

    def stopped(self) -> dict[tuple[str, int], str]:
        """Return the streams that this member does not read any further, and why."""
        return {
            (topic, number): reason for number, loop in self.loops.items() for topic, reason in loop.stopped.items()
        }
