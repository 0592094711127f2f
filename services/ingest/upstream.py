"""Reads the card system's own topic: each record takes effect once, in the order of its partition.

The records are not ours: they have no numbers, and anybody may have written them. So how far was read is a row of this
database, moved on condition first thing in the transaction that takes the records; what is refused becomes a row in
the same one. The consumer group only shares the partitions out; its offsets feed tools that show lag.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import IllegalStateError, KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError

from services.ingest import commands, store
from services.ingest.domain.outcomes import Outcome
from services.ingest.domain.rules import Present
from services.ingest.domain.upstream import Place, Refused, found_gone, log_anew, mark_of, refused_in
from services.ingest.reading import judge_record
from services.ingest.settings import Settings
from shared.bus import clients
from shared.bus.bus import Bus, Reason
from shared.bus.consumer import SESSION_MS
from shared.bus.masking import masked_key
from shared.bus.positions import NotOwner
from shared.bus.topics import partition_counts
from shared.bus.unit_of_work import UnitOfWork
from shared.bus.unreadable import one_by_one
from shared.db.faults import CommitUnknown
from shared.errors import Retriable

BATCH: Final = 500
"""Records that one transaction takes at most."""

_POLL_MS: Final = 500
_LAG_COMMIT_SECONDS: Final = 5.0
_PAUSE_SECONDS: Final = 0.1
_DRAIN_SECONDS: Final = 4.0

_log = logging.getLogger(__name__)


class TopicMissing(Retriable):
    """The broker does not know the topic."""


class Upstream(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """The job that reads the topic; any number of replicas share its partitions."""

    name = "upstream"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._topic = settings.upstream_topic
        self._kafka: AIOKafkaConsumer | None = None
        self._places: dict[int, Place] = {}
        self._unproven: set[int] = set()
        self._member = False
        self._taken_up = False
        self._committed_at = 0.0
        self._busy = asyncio.Lock()
        self._trouble: str | None = "starting"

    async def run(self, bus: Bus) -> None:
        """Join the group and read until cancelled.

        Raises:
            TopicMissing: there is nothing to read.
            KafkaError: the broker is away, or the membership is lost.
        """
        try:
            await self._run(bus)
        except Exception as error:
            self._trouble = type(error).__name__
            raise

    async def _run(self, bus: Bus) -> None:
        counts = await partition_counts(self._settings.kafka_bootstrap, [self._topic])
        if not counts[self._topic]:
            raise TopicMissing(self._topic)
        kafka = AIOKafkaConsumer(
            bootstrap_servers=self._settings.kafka_bootstrap,
            client_id=f"ingest-{self._settings.instance}",
            group_id=f"{self._settings.namespace}.ingest.{self._topic}",
            group_instance_id=f"ingest-{self._settings.instance}",
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            partition_assignment_strategy=(RangePartitionAssignor,),
            fetch_max_wait_ms=100,
            metadata_max_age_ms=30_000,
            session_timeout_ms=SESSION_MS,
            heartbeat_interval_ms=SESSION_MS // 10,
        )
        try:
            await clients.start(kafka.start, kafka.stop)
            self._kafka, self._member, self._taken_up = kafka, False, False
            kafka.subscribe([self._topic], listener=self)
            while True:
                await self._round(bus, kafka)
        finally:
            self._kafka, self._places = None, {}
            await clients.stop(kafka.stop)

    async def on_partitions_revoked(self, _revoked: Collection[TopicPartition]) -> None:
        """Let the running transaction end, within bounds; nothing is taken up again before the next assignment."""
        try:
            await asyncio.wait_for(self._busy.acquire(), _DRAIN_SECONDS)
        except TimeoutError:
            _log.warning("batch did not end in time", extra={"reason": "revoked"})
        else:
            self._busy.release()
        self._taken_up = False

    async def on_partitions_assigned(self, _assigned: Collection[TopicPartition]) -> None:
        """Have the partitions taken up from their rows."""
        self._member, self._taken_up = True, False

    async def _round(self, bus: Bus, kafka: AIOKafkaConsumer) -> None:
        try:
            if not self._taken_up:
                async with self._busy:
                    await self._take_up(bus, kafka)
            for tp, records in (await self._fetch(kafka)).items():
                async with self._busy:
                    await self._take(bus, kafka, tp.partition, records)
            await self._show_lag(bus, kafka)
            self._trouble = None
        except (NotOwner, CommitUnknown, NoOffsetForPartitionError, OffsetOutOfRangeError, IllegalStateError):
            self._taken_up = False
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _take_up(self, bus: Bus, kafka: AIOKafkaConsumer) -> None:
        """Go where the rows say; where they lie outside the log, say so and begin at its start."""
        tps = {tp.partition: tp for tp in kafka.assignment()}
        if not tps:
            self._places, self._taken_up = {}, self._member  # there may be more replicas than partitions
            return
        begin = {tp.partition: at for tp, at in (await kafka.beginning_offsets(list(tps.values()))).items()}
        end = {tp.partition: at for tp, at in (await kafka.end_offsets(list(tps.values()))).items()}
        async with bus.reading() as connection:
            await store.begin_upstream(connection, self._topic, begin)
            places = await store.upstream(connection, self._topic, list(tps))
        for partition, place in places.items():
            gone = found_gone(place, begin[partition], end[partition])
            if gone is not None:
                places[partition] = await self._begin_anew(bus, partition, place, Place(begin[partition]), gone)
        self._places, self._unproven = places, set()
        for partition, place in places.items():
            # The last record taken is read once more: where it is another one, so is the log.
            proves = place.mark is not None and begin[partition] < place.offset
            kafka.seek(tps[partition], place.offset - proves)
            if proves:
                self._unproven.add(partition)
        self._taken_up = True

    async def _begin_anew(self, bus: Bus, partition: int, old: Place, new: Place, why: Refused) -> Place:
        async def act(uow: UnitOfWork) -> None:
            await store.move_upstream(uow.connection, self._topic, partition, old, new)
            await store.keep_rejects(uow.connection, self._topic, partition, [why])

        await bus.transact(act)
        extra = {"topic": self._topic, "partition": partition, "offset": old.offset, "reason": why.outcome}
        _log.error("the log is not what was read", extra=extra)
        return new

    async def _fetch(self, kafka: AIOKafkaConsumer) -> Mapping[TopicPartition, Sequence[ConsumerRecord]]:
        try:
            got: Mapping[TopicPartition, Sequence[ConsumerRecord]]
            got = await kafka.getmany(timeout_ms=_POLL_MS, max_records=BATCH)
        except UnicodeDecodeError:
            self._unproven.clear()
            starts = {TopicPartition(self._topic, partition): place.offset for partition, place in self._places.items()}
            return await one_by_one(kafka, starts, most=BATCH, timeout_ms=_POLL_MS)
        return got

    async def _take(self, bus: Bus, kafka: AIOKafkaConsumer, partition: int, records: Sequence[ConsumerRecord]) -> None:
        place = self._places.get(partition)
        if place is None:  # of a partition that was given away meanwhile
            return
        if partition in self._unproven:
            self._unproven.discard(partition)
            if records[0].offset < place.offset:
                if _mark(records[0]) != place.mark:
                    tp = TopicPartition(self._topic, partition)
                    start = (await kafka.beginning_offsets([tp]))[tp]
                    await self._begin_anew(bus, partition, place, Place(start), log_anew(place))
                    raise NotOwner("the log was made anew")
                records = records[1:]
        if records:
            await self._take_records(bus, partition, place, records)

    async def _take_records(self, bus: Bus, partition: int, place: Place, records: Sequence[ConsumerRecord]) -> None:
        present = Present(bus.clock.now(), self._settings.tolerance, self._settings.zone_info)
        verdicts = [judge_record(record.headers, record.value, present) for record in records]
        offsets = [record.offset for record in records]
        after = Place(offsets[-1] + 1, _mark(records[-1]))

        async def act(uow: UnitOfWork) -> Sequence[Outcome]:
            await store.move_upstream(uow.connection, self._topic, partition, place, after)
            judged, outcomes = await commands.settle(uow, verdicts)
            refused = list(refused_in(judged, outcomes, offsets, masked_key))
            await store.keep_rejects(uow.connection, self._topic, partition, refused)
            return outcomes

        outcomes = await bus.transact(act)
        self._places[partition] = after
        for outcome in outcomes:
            bus.metrics.intake_items.labels(outcome).inc()

    async def _show_lag(self, bus: Bus, kafka: AIOKafkaConsumer) -> None:
        """Say how far behind this replica is: in a gauge, and in the group's offsets, which mean nothing else."""
        tps = {tp: self._places[tp.partition].offset for tp in kafka.assignment() if tp.partition in self._places}
        lag = sum(max((kafka.highwater(tp) or 0) - offset, 0) for tp, offset in tps.items())
        bus.metrics.consumer_lag_records.labels(self._topic).set(lag)
        now = asyncio.get_running_loop().time()
        if not tps or now - self._committed_at < _LAG_COMMIT_SECONDS:
            return
        self._committed_at = now
        try:
            await asyncio.wait_for(kafka.commit(tps), _LAG_COMMIT_SECONDS)
        except (KafkaError, TimeoutError) as error:
            _log.info("lag offsets not committed", extra={"reason": type(error).__name__})

    def reasons(self) -> Sequence[Reason]:
        """Return why the topic is not read."""
        if self._trouble is None:
            return []
        if self._trouble == TopicMissing.__name__:
            return [
                Reason("upstream_missing", f"上游主题 {self._topic} 不存在", f"the topic {self._topic} is not there")
            ]
        return [
            Reason(
                "upstream_not_read",
                f"上游主题 {self._topic} 未在读取: {self._trouble}",
                f"the topic {self._topic} is not read: {self._trouble}",
            )
        ]

    async def waits(self) -> bool:
        """Return whether this replica's partitions hold what was not taken yet."""
        kafka = self._kafka
        if kafka is None or not self._taken_up:
            return True
        try:
            async with asyncio.timeout(2):
                ends = await kafka.end_offsets([TopicPartition(self._topic, each) for each in self._places])
                return any([await kafka.position(tp) < end for tp, end in ends.items()]) or self._busy.locked()
        except (KafkaError, OSError, TimeoutError):
            return True


def _mark(record: ConsumerRecord) -> bytes:
    return mark_of(record.timestamp, record.key, record.value)
