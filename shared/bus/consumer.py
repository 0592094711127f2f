"""The service's member of its consumer group: which partition numbers it reads, and until when (R1).

A partition number belongs to one member with all its topics. Who reads a customer also publishes what is decided about
it (P7), so the lease comes with the assignment.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping
from functools import partial

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor

from shared.bus import clients
from shared.bus.background import end, keep_running
from shared.bus.compaction import Subjects
from shared.bus.decoding import Decoder
from shared.bus.handling import Handling
from shared.bus.publisher import Publisher
from shared.bus.reading import PartitionLoop, Surroundings
from shared.bus.rounds import Rounds
from shared.bus.taking import BatchHandler, Taking
from shared.bus.topics import check_partitions
from shared.bus.unit_of_work import Transactions
from shared.events.kinds import Fact
from shared.events.registry import TOPICS, Topic
from shared.settings import ServiceSettings
from shared.telemetry.metrics import Metrics

SESSION_MS = 30_000
"""So long the partitions of a replica that went away wait for it to come back before the others get them."""

_DRAIN_SECONDS = 4.0
_FETCH_BYTES = 1 << 19
"""Fetched ahead of a partition of a topic at most; the broker gives one batch that is larger all the same."""

_NOWHERE = TopicPartition("", -1)

_log = logging.getLogger(__name__)


class Consumer(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """Joins the group, and runs a loop for each partition number it is given."""

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
        sweeps: Mapping[Topic, Subjects],
    ) -> None:
        self._sweeps = sweeps
        self._member_of_group = False
        self._topics = [topic for topic in TOPICS if topic in topics]
        self._settings = settings
        self._group = f"{settings.namespace}.{service}"
        self._member = f"{service}-{settings.instance}"
        self._publisher = publisher
        self._rounds = Rounds(Taking(transactions, handle, metrics))
        self._decoder = Decoder(handles)
        self._metrics = metrics
        self._loops: dict[int, PartitionLoop] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._around: Surroundings | None = None

    async def run(self) -> None:
        """Join the group and read until cancelled or until the broker refuses; the caller begins again.

        Raises:
            WrongPartitions: a topic has not the configured number of partitions.
            KafkaError: the membership is lost for good.
        """
        bootstrap, namespace = self._settings.kafka_bootstrap, self._settings.namespace
        await check_partitions(bootstrap, namespace, self._topics, self._settings.partitions)
        kafka = AIOKafkaConsumer(
            bootstrap_servers=bootstrap,
            client_id=self._member,
            group_id=self._group,
            group_instance_id=self._member,
            enable_auto_commit=False,
            auto_offset_reset="none",
            partition_assignment_strategy=(RangePartitionAssignor,),
            max_partition_fetch_bytes=_FETCH_BYTES,
            fetch_max_wait_ms=100,
            session_timeout_ms=SESSION_MS,
            heartbeat_interval_ms=SESSION_MS // 10,
            rebalance_timeout_ms=60_000,
        )
        self._around = Surroundings(
            kafka,
            namespace,
            self._topics,
            self._settings.partitions,
            self._decoder,
            self._metrics,
            self._settings.accept_new_streams,
            {topic.name: subjects for topic, subjects in self._sweeps.items()},
        )
        try:
            await clients.start(kafka.start, kafka.stop)
            kafka.subscribe([topic.full_name(namespace) for topic in self._topics], listener=self)
            while True:
                await asyncio.sleep(0.5)
                await _check(kafka)
        finally:
            self._member_of_group = False
            self._around = None
            try:
                await self.on_partitions_revoked(())
            finally:  # whoever stops the service gives it a second, and then cancels once more
                await self._rounds.stop()
                await clients.stop(kafka.stop)

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Let each running batch end, within bounds, and drop what is buffered; all partitions are given back."""
        for loop in self._loops.values():
            loop.leaving = True
        leaving = [(loop, self._tasks.pop(partition)) for partition, loop in self._loops.items()]
        self._loops.clear()
        await asyncio.gather(*(_leave(loop, task) for loop, task in leaving))

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Begin a loop for each partition number."""
        around = self._around
        if around is None:  # leaving already
            return
        await self.on_partitions_revoked(())  # there is none left after a revocation; two of one number would fight
        for partition in sorted({tp.partition for tp in assigned}):
            handling = Handling(self._rounds, partition)
            loop = self._loops[partition] = PartitionLoop(around, handling, partition)
            job = keep_running(f"read partition {partition}", partial(self._read, loop, partition))
            self._tasks[partition] = asyncio.get_running_loop().create_task(job)
        self._member_of_group = True

    async def _read(self, loop: PartitionLoop, partition: int) -> None:
        await self._publisher.take((partition,))
        await loop.run()

    @property
    def joined(self) -> bool:
        """Whether this replica is a member of its group and knows where each of its streams stands."""
        return self._member_of_group and all(loop.begun for loop in self._loops.values())

    def stopped(self) -> dict[tuple[str, int], str]:
        """Return the streams that this member does not read any further, and why."""
        return {
            (topic, number): reason for number, loop in self._loops.items() for topic, reason in loop.stopped.items()
        }

    def failing(self) -> dict[int, str]:
        """Return the partition numbers that fail for a reason nobody foresaw, and the kind of error."""
        return {number: loop.failing for number, loop in self._loops.items() if loop.failing is not None}


async def _leave(loop: PartitionLoop, task: asyncio.Task[None]) -> None:
    try:
        await asyncio.wait_for(loop.busy.acquire(), _DRAIN_SECONDS)
    except TimeoutError:
        _log.warning("batch did not end in time", extra={"reason": "revoked"})
    try:
        await asyncio.wait_for(end({task}), _DRAIN_SECONDS)
    except TimeoutError:
        _log.warning("reading did not end in time", extra={"reason": "revoked"})


async def _check(kafka: AIOKafkaConsumer) -> None:
    """Ask the member whether it is still one, and say that this process is alive, whatever its loops wait for.

    Raises:
        KafkaError: the group's coordination has failed; only a new member can go on.
    """
    try:
        # Fetches nothing, since nobody is assigned this partition; but it raises what coordination died of.
        await asyncio.wait_for(kafka.getmany(_NOWHERE, timeout_ms=0), 1)
    except TimeoutError:
        return  # a rebalance is under way
