"""Reads one partition number, with all the topics that a service subscribes to (L7, R3 to R6, R8, O3).

The truth of how far a stream was read is its row in the database; the broker's offsets are only a hint where to look,
and feed tools that show lag. So a loop may forget everything at any moment and begin again from its rows.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError

from shared.bus import compaction, failpoints, positions
from shared.bus.compaction import CatchUp, Subjects, Sweep
from shared.bus.decoding import Decoder, Raw
from shared.bus.forks import Fork, Stale
from shared.bus.handling import HandlerBroken, Handling
from shared.bus.headers import numbers_of, text_of
from shared.bus.positions import NotOwner, Position, Stopped
from shared.bus.taking import Read
from shared.bus.unreadable import one_by_one
from shared.db.faults import is_retriable
from shared.db.pool import borrow
from shared.events.registry import Topic
from shared.telemetry.metrics import Metrics

BATCH = 1000
"""Facts of a partition number in hand at most; all partitions of a process work at once, so this bounds its memory."""

LOOK_SECONDS = 10.0
"""So often a loop compares its view with the rows: another owner may have moved on, a person have mended a stream."""

_POLL_MS = 500
"""Stands for the headers of a record that the client library cannot decode."""

_LAG_COMMIT_SECONDS = 5.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0

_log = logging.getLogger(__name__)


class _Reset(Exception):
    """Begin again from the rows in the database."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all loops of a service share. `kafka` is the group's member, started; `topics` in the order of a batch.

    `accept_anew`: a stream that begins again from nothing is taken as a fork (development). `sweeps`: of compacted
    topics, by name, whom the service holds data of.
    """

    kafka: AIOKafkaConsumer
    namespace: str
    topics: Sequence[Topic]
    partitions: int
    decoder: Decoder
    metrics: Metrics
    accept_anew: bool = False
    sweeps: Mapping[str, Subjects] = field(default_factory=dict)


class PartitionLoop:
    """Everything of one partition number: its topics' facts, in one fixed order, in batches."""

    def __init__(self, around: Surroundings, handling: Handling, partition: int) -> None:
        self._around = around
        self._kafka = around.kafka
        self._handling = handling
        self._pool = handling.pool
        self._partition = partition
        self._topics = [topic.name for topic in around.topics]
        self._sources = {topic.name: topic.source for topic in around.topics}
        self._tps = {
            topic.name: TopicPartition(topic.full_name(around.namespace), partition) for topic in around.topics
        }
        self._positions: dict[str, Position] = {}
        self._rewound: set[str] = set()
        self._search_ends: dict[str, int] = {}
        self._missing: dict[str, Stopped] = {}
        self._catching_up: dict[str, CatchUp] = {}
        self._met: set[str] = set()
        self._size = BATCH
        self._committed_at = 0.0
        self._looked_at = 0.0
        self.stopped: dict[str, str] = {}
        self.failing: str | None = None
        self.begun = False
        self.busy = asyncio.Lock()
        self.leaving = False

    async def run(self) -> None:
        """Read until cancelled; whatever is unknown or lost sends the loop back to its rows.

        Raises:
            Exception: what nobody foresaw; `failing` names it until a step succeeds.
        """
        pause = _FIRST_PAUSE
        while not self.leaving:
            try:
                await self._assigned()
                self.begun = True
                while not self.leaving:
                    await self._step()
                    self.failing, pause = None, _FIRST_PAUSE
            except (_Reset, NotOwner, NoOffsetForPartitionError, OffsetOutOfRangeError, IllegalStateError):
                await asyncio.sleep(pause)
            except Exception as error:
                if not isinstance(error, KafkaError) and not is_retriable(error):
                    self.failing = type(error).__name__
                    raise
                # A batch that is too long for a time limit would be too long for ever.
                self._size = max(self._size // 2, 1)
                _log.warning("partition waits", extra={"partition": self._partition, "reason": type(error).__name__})
                await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _assigned(self) -> None:
        """Take up each topic where its row says, and stop where a row says so."""
        async with borrow(self._pool) as connection:
            rows = await positions.load(connection, self._partition, self._topics)
        self._looked_at = asyncio.get_running_loop().time()
        self._positions = {topic: row for topic, row in rows.items() if isinstance(row, Position)}
        self.stopped = {topic: row.reason for topic, row in rows.items() if isinstance(row, Stopped)}
        for topic in self.stopped:
            self._kafka.pause(self._tps[topic])
        begin = await self._kafka.beginning_offsets(list(self._tps.values()))
        end = await self._kafka.end_offsets(list(self._tps.values()))
        await self._begin_catching_up(end)
        for topic, position in self._positions.items():
            tp = self._tps[topic]
            # The last record taken is read once more: if it is not the one at the position, the numbers will show it.
            # Whoever was subscribed from there on has taken nothing before it.
            first = position.offset if position.adopt else position.offset - 1
            inside = (
                begin[tp] <= first and position.offset <= end[tp] and topic not in {*self._rewound, *self._catching_up}
            )
            self._kafka.seek(tp, first if inside else begin[tp])
            self._kafka.resume(tp)
        self._missing = {}
        self._search_ends = {topic: end[self._tps[topic]] for topic in self._rewound}
        await self._touch_those_at(end)
        await self._end_catching_up()

    async def _begin_catching_up(self, end: Mapping[TopicPartition, int]) -> None:
        """Find the compacted topics in which numbers may have been removed while nobody read here (C3, C4)."""
        names = {topic.name for topic in self._around.topics if topic.compacted}
        compacted = {
            topic: position for topic, position in self._positions.items() if topic in names and not position.adopt
        }
        self._catching_up, self._met = {}, set()
        if compacted:
            ends = {topic: end[self._tps[topic]] for topic in compacted}
            async with borrow(self._pool) as connection:
                self._catching_up = await compaction.begin(
                    connection, self._partition, compacted, ends, self._around.sweeps
                )

    async def _end_catching_up(self) -> None:
        """Erase whom a scan did not see, and read by the strict rule from here on."""
        for topic, done in list(self._catching_up.items()):
            if await self._kafka.position(self._tps[topic]) < done.until:
                continue
            at = self._positions[topic]
            if done.scans and topic not in self._met:
                # The cleaner never removes a log's last record, so this is another log, and says nothing of anybody.
                await self._stop({topic: (at, Stopped(f"short: the log ends before {at}, so nobody was erased"))})
                raise _Reset
            async with self.busy:
                if done.scans:
                    erased = await self._handling.sweep(self._sweep(topic), at)
                    extra = {"topic": topic, "partition": self._partition, "count": erased}
                    _log.warning("whoever stands nowhere in the log was erased", extra=extra)
                async with borrow(self._pool) as connection:
                    await compaction.end(connection, topic, self._partition, at, done)
            del self._catching_up[topic]

    def _sweep(self, name: str) -> Sweep:
        topic = next(topic for topic in self._around.topics if topic.name == name)
        return Sweep(topic, self._partition, self._around.partitions, self._around.sweeps[name])

    async def _step(self) -> None:
        live = [self._tps[topic] for topic in self._positions]
        if not live:
            await asyncio.sleep(LOOK_SECONDS)
            raise _Reset
        try:
            got = await self._kafka.getmany(*live, timeout_ms=_POLL_MS, max_records=self._size)
        except UnicodeDecodeError:
            if self._search_ends:
                raise
            got = await self._come_to_the_unreadable()
        if got:
            async with self.busy:
                await self._take(got)
            self._size = min(self._size * 2, BATCH)
        if self._missing:
            await self._end_searches()
        if self._catching_up:
            await self._end_catching_up()
        await self._look()

    async def _come_to_the_unreadable(self) -> Mapping[TopicPartition, Sequence[ConsumerRecord]]:
        """Read from the positions again, record by record, up to the one on which the client fails.

        It is passed over as a stranger's, without its bytes. Were it ours, its number would be missing.
        """
        begin = await self._kafka.beginning_offsets(list(self._tps.values()))
        offsets = {self._tps[topic]: position.offset for topic, position in self._positions.items()}
        starts = {tp: max(offset, begin[tp]) for tp, offset in offsets.items()}
        return await one_by_one(self._kafka, starts, most=max(self._size // len(starts), 1), timeout_ms=_POLL_MS)

    async def _take(self, got: Mapping[TopicPartition, Sequence[ConsumerRecord]]) -> None:
        reads: list[Read] = []
        stops: dict[str, tuple[Position, Stopped]] = {}
        for topic in self._topics:
            for record in got.get(self._tps[topic], ()):
                stopped = self._read(topic, record, reads)
                if stopped is not None:
                    stops[topic] = (self._latest(topic, reads), stopped)
                    break
        if reads:
            failpoints.reach("received")
            try:
                self._positions = await self._handling.take(reads, self._positions, self._known_ends(got))
            except HandlerBroken as broken:
                await self._stop({topic: (at, Stopped(str(broken))) for topic, at in broken.at.items()})
                raise _Reset from broken
            await self._commit_for_lag_tools()
        if stops:
            await self._gap_or_stop(stops)

    def _known_ends(self, got: Iterable[TopicPartition]) -> dict[str, int]:
        """Return where the logs ended when they were last fetched, which costs no question."""
        ends = {
            topic: self._kafka.highwater(tp)
            for topic, tp in self._tps.items()
            if tp in got and topic not in self._catching_up
        }
        return {topic: end for topic, end in ends.items() if end is not None}

    def _latest(self, topic: str, reads: Sequence[Read]) -> Position:
        return next((read.after for read in reversed(reads) if read.topic == topic), self._positions[topic])

    def _read(self, topic: str, record: ConsumerRecord, reads: list[Read]) -> Stopped | None:
        """Judge one record by its numbers (the table of the bus) and note what becomes of it."""
        before = self._latest(topic, reads)
        numbers = numbers_of(record.headers)
        if text_of(record.headers, "ce_source") != self._sources[topic]:
            numbers = None
        key = record.key.decode("utf-8", "replace") if record.key else None
        raw = Raw(topic, self._partition, record.offset, key, record.headers, record.value, numbers)
        if numbers is None:
            # The offset moves and the number does not, so a fact that lost its numbers shows as a gap as well.
            after = before if topic in self._missing else positions.passed(before, record.offset)
            reads.append(Read(topic, after, self._around.decoder.decode(raw)))
            return None
        fact_id = (text_of(record.headers, "ce_id") or "").replace("\x00", "\ufffd")
        catching_up = self._catching_up.get(topic)
        seen = None
        if catching_up is not None and catching_up.scans:
            seen = (key or "").replace("\x00", "\ufffd")
            if numbers[:2] >= (before.epoch, before.sequence):
                self._met.add(topic)
        verdict = positions.judge(
            before, numbers, fact_id, anew=self._around.accept_anew, leaps=catching_up is not None
        )
        if isinstance(verdict, Stopped):
            if not verdict.is_gap or topic not in self._search_ends:
                return verdict
            self._missing.setdefault(topic, verdict)
            return None
        if verdict in ("duplicate", "stale"):
            stale = Stale(topic, *numbers[:2]) if verdict == "stale" else None
            self._drop(topic, before, record.offset, stale, seen, reads)
            return None
        if verdict == "leap":
            self._around.metrics.leaps.labels(topic).inc()
        if topic in self._rewound:  # it goes on: nothing of it is looked for any more
            self._rewound.discard(topic)
            self._search_ends.pop(topic, None)
            self._missing.pop(topic, None)
        fork = Fork.of(topic, numbers, before) if verdict == "fork" else None
        after = positions.taken(before, numbers, fact_id, record.offset)
        reads.append(Read(topic, after, self._around.decoder.decode(raw), fork, seen))
        return None

    def _drop(
        self, topic: str, before: Position, offset: int, stale: Stale | None, seen: str | None, reads: list[Read]
    ) -> None:
        after = positions.passed(before, offset)
        if seen is not None:
            reads.append(Read(topic, after, None, None, seen))
            return
        if after == before or topic in self._missing:  # the record before the position is read only to check the hint
            return
        metrics = self._around.metrics
        (metrics.facts_stale if stale else metrics.facts_duplicate).labels(topic).inc()
        reads.append(Read(topic, after, None, stale))

    async def _end_searches(self) -> None:
        """Stop the streams whose missing number is nowhere in the log.

        While it is looked for their offset stays, so no barrier takes them for read to the end.
        """
        over = {
            topic: (self._positions[topic], why)
            for topic, why in self._missing.items()
            if await self._kafka.position(self._tps[topic]) >= self._search_ends[topic]
        }
        if over:
            await self._gap_or_stop(over)

    async def _gap_or_stop(self, stops: Mapping[str, tuple[Position, Stopped]]) -> None:
        """A gap may come from a wrong hint or an old view, or was mended by publishing again what the log had lost.

        So the missing number is looked for in the whole log, once; then the stream stops.
        """
        again = {topic for topic, (_, why) in stops.items() if why.is_gap} - self._rewound
        final = {topic: stop for topic, stop in stops.items() if topic not in again}
        for topic in await self._stop(final):
            if final[topic][1].is_gap:
                self._around.metrics.gaps.labels(topic).inc()
        self._rewound = (self._rewound | again) - final.keys()
        raise _Reset

    async def _stop(self, stops: Mapping[str, tuple[Position, Stopped]]) -> list[str]:
        """Stop these streams, and return those that still stood where this loop saw them."""
        stopped: list[str] = []
        for topic, (at, why) in sorted(stops.items()):
            async with borrow(self._pool) as connection:
                if await positions.stop(connection, topic, self._partition, at, why):
                    stopped.append(topic)
        for topic in stopped:
            reason = stops[topic][1].reason
            _log.error("stream stopped", extra={"topic": topic, "partition": self._partition, "reason": reason})
        return stopped

    async def _look(self) -> None:
        """Every ten seconds compare with the database, and note which streams are read to the end (R8).

        Busy or idle: while one topic flows another may be silent, and nobody else would say that it is read.
        """
        now = asyncio.get_running_loop().time()
        if now - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = now
        async with borrow(self._pool) as connection:
            rows = await positions.load(connection, self._partition, self._topics)
        if {topic: row for topic, row in rows.items() if isinstance(row, Position)} != self._positions:
            raise _Reset
        # No connection is held while the broker is asked: it may be away, and the pool is the whole service's.
        await self._touch_those_at(await self._kafka.end_offsets([self._tps[topic] for topic in self._positions]))

    async def _touch_those_at(self, ends: Mapping[TopicPartition, int]) -> None:
        at_end = [
            topic
            for topic, position in self._positions.items()
            if position.offset >= ends[self._tps[topic]] and topic not in self._catching_up
        ]
        if at_end:
            async with borrow(self._pool) as connection:
                await positions.touch(connection, self._partition, at_end)

    async def _commit_for_lag_tools(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._committed_at < _LAG_COMMIT_SECONDS:
            return
        self._committed_at = now
        offsets = {self._tps[topic]: position.offset for topic, position in self._positions.items()}
        try:
            await asyncio.wait_for(self._kafka.commit(offsets), 5)
        except (KafkaError, TimeoutError) as error:
            _log.info("lag offsets not committed", extra={"reason": type(error).__name__})
