"""Copies the outbox to Kafka in order (P1 to P7).

Number n is sent only when n-1 is known to be in the log: acknowledged to this process, or at or below `published` as
read from the table. That knowledge never becomes false, so a second publisher, a retry or a zombie can only repeat.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial

import asyncpg

from shared.bus import failpoints
from shared.bus.background import end, keep_running
from shared.bus.headers import Numbers, to_headers
from shared.bus.leases import Leases
from shared.bus.limits import FactLimits
from shared.bus.outbox import (
    Cursor,
    Recorder,
    load_stream,
    next_segments,
    pending_streams,
    published_streams,
    stream_epochs,
)
from shared.bus.producing import ProduceTooLarge, ProduceUnknown, Producing, Record
from shared.bus.relabelling import place_of
from shared.bus.streams import Segment, StreamKey
from shared.bus.tails import Tails
from shared.bus.voiding import give_up_if_asked
from shared.db.pool import borrow
from shared.events.registry import TOPICS

POLL_SECONDS = 0.1
_LONGEST_PAUSE = 2.0
RENEW_SECONDS = 3.0
HALT_SECONDS = 5.0
BATCH_BYTES = 512 * 1024
_HEADER_BYTES = 400
_MEMORY_FACTS = 2000
"""So many facts of a stream, and at most one segment more, wait in memory; the rest is read from the table again."""

_TOPICS = {topic.name: topic for topic in TOPICS}
_log = logging.getLogger(__name__)


class Restart(Exception):
    """The stream's epoch changed, or the lease went: begin the term again."""


class Halted(Exception):
    """The stream cannot go on until something outside this process has changed; the message says what is wrong."""


class _Stream:
    """One stream's publisher: its memory is only a cache of the table."""

    def __init__(self) -> None:
        self.memory: deque[Segment] = deque()
        self.remembered = 0  # facts in memory
        self.wake = asyncio.Event()
        self.cursor: Cursor | None = None
        self.epoch = 0
        self.sent = 0
        self.batch_bytes = BATCH_BYTES
        self.halted: str | None = None
        self.refused: tuple[Cursor, int] | None = None  # a fact alone, and the topic's limit when the broker refused it
        self.task: asyncio.Task[None] | None = None

    def remember(self, segment: Segment) -> None:
        if self.remembered < _MEMORY_FACTS:
            self.memory.append(segment)
            self.remembered += len(segment.facts)

    def drop_sent(self, cursor: Cursor) -> None:
        while self.memory and Cursor(self.memory[0].epoch, self.memory[0].last) <= cursor:
            self.remembered -= len(self.memory.popleft().facts)

    def clear_memory(self) -> None:
        self.memory.clear()
        self.remembered = 0

    def forget(self) -> None:
        self.clear_memory()
        self.cursor = None
        self.wake.set()


class Publisher:
    """Publishes every stream whose partition this process holds the lease of."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        producing: Producing,
        limits: FactLimits,
        tails: Tails,
        holder: str,
        partitions: int,
        namespace: str,
        *,
        keep: bool = False,
    ) -> None:
        self._pool = pool
        self._producing = producing
        self._limits = limits
        self._tails = tails
        self._server: datetime | None = None
        self._namespace = namespace
        self._partitions = partitions
        self._streams: dict[StreamKey, _Stream] = {}
        self._leases = Leases(pool, holder, partitions)
        self._recorder = Recorder(pool, keep=keep)
        self._acked = asyncio.Condition()
        self._awaited: Counter[StreamKey] = Counter()
        self._told: dict[StreamKey, Cursor] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to publish; returns at once."""
        loop = asyncio.get_running_loop()
        jobs = {"outbox poll": self._poll, "lease renewal": self._renew, "recorder": self._recorder.run}
        self._tasks = [loop.create_task(keep_running(name, job)) for name, job in jobs.items()]

    async def stop(self) -> None:
        """Stop; what is not published yet is in the table and will be."""
        tasks = [*self._tasks, *(stream.task for stream in self._streams.values() if stream.task)]
        await end(tasks)
        with suppress(Exception):  # only saves duplicates: the next process sends again what is not recorded
            await asyncio.wait_for(self._recorder.flush(), 1.5)

    def offer(self, segments: Iterable[Segment]) -> None:
        """Take segments whose COMMIT was answered; those of other holders' partitions are theirs to publish (P2)."""
        for segment in segments:
            if segment.partition in self._leases.held:
                stream = self._stream((segment.topic, segment.partition))
                stream.remember(segment)
                stream.wake.set()

    async def take(self, partitions: Iterable[int]) -> None:
        """Take the leases of these partitions at once, whoever holds them (P7)."""
        await self._leases.take(partitions)

    def meets(self, server: datetime) -> None:
        """Take note of the server behind a new connection, by the instant at which it started.

        One that started anew may have been put back to an earlier state: nothing that is remembered of it holds (E4).
        """
        if self._server not in (None, server):
            self._recorder.forget()
            self._told.clear()
            for stream in self._streams.values():
                stream.forget()
        self._server = server

    def halted(self) -> dict[StreamKey, str]:
        """Return the streams that need a person, and why."""
        return {key: stream.halted for key, stream in self._streams.items() if stream.halted}

    async def published(self, segments: Sequence[Segment], within: float) -> datetime | None:
        """Wait until all of `segments` are in the log; return the machine's instant then, or None when not in time."""
        try:
            async with asyncio.timeout(within):
                for segment in segments:
                    await self._wait_for(segment)
        except TimeoutError:
            return None
        return datetime.now(UTC)

    async def _wait_for(self, segment: Segment) -> None:
        """Wait in memory alone: however many wait, one look at the table a round tells all of them.

        Numbers grow over epochs, and a fact that is given to a later one keeps its number.
        """
        key = (segment.topic, segment.partition)
        self._awaited[key] += 1
        try:
            async with self._acked:
                await self._acked.wait_for(lambda: self._known(key).sequence >= segment.last)
        finally:
            self._awaited[key] -= 1

    def _known(self, key: StreamKey) -> Cursor:
        """Return up to where a stream is known to be in the log, by this process or by the table."""
        stream = self._streams.get(key)
        told = self._told.get(key, Cursor(0, 0))
        return told if stream is None or stream.cursor is None else max(told, stream.cursor)

    async def _tell_waiting(self, connection: asyncpg.Connection) -> None:
        """Look up what is waited for: another replica may publish it, whatever this one believes about its leases."""
        self._awaited += Counter()  # drops what nobody waits for any more
        if self._awaited:
            self._told = await published_streams(connection, list(self._awaited))
            async with self._acked:
                self._acked.notify_all()

    def _stream(self, key: StreamKey) -> _Stream:
        stream = self._streams.get(key)
        if stream is None:
            stream = self._streams[key] = _Stream()
            job = partial(self._publish, key, stream)
            stream.task = asyncio.get_running_loop().create_task(keep_running(f"publish {key[0]}/{key[1]}", job))
        return stream

    async def _poll(self) -> None:
        """Find what other replicas appended, or what an earlier process left behind (P4)."""
        while True:
            async with borrow(self._pool) as connection:
                found = await pending_streams(connection)
                await self._tell_waiting(connection)
            for key, last in found:
                if key[1] in self._leases.held:
                    stream = self._stream(key)
                    if stream.cursor is None or stream.cursor < last:
                        stream.wake.set()
            await asyncio.sleep(POLL_SECONDS)

    async def _renew(self) -> None:
        """Renew the leases, and notice that a stream began a new epoch."""
        while True:
            await self._leases.renew()
            async with borrow(self._pool) as connection:
                epochs = await stream_epochs(connection)
            for key, stream in self._streams.items():
                if stream.cursor is not None and epochs.get(key) != stream.epoch:
                    stream.forget()
            await asyncio.sleep(RENEW_SECONDS)

    async def _publish(self, key: StreamKey, stream: _Stream) -> None:
        """One term after the other, while the lease is held."""
        stream.forget()
        pause = POLL_SECONDS
        while True:
            if key[1] not in self._leases.held:
                stream.forget()
                stream.wake.clear()
                await stream.wake.wait()
            before = stream.sent
            try:
                await self._term(key, stream)
            except Halted as why:
                self._halt(key, stream, str(why))
                stream.forget()
                await asyncio.sleep(HALT_SECONDS)
            except (Restart, ProduceUnknown) as why:
                stream.forget()
                calm = isinstance(why, Restart) or stream.sent > before
                pause = POLL_SECONDS if calm else min(pause * 2, _LONGEST_PAUSE)
                await asyncio.sleep(pause)

    def _halt(self, key: StreamKey, stream: _Stream, reason: str) -> None:
        """Say once what holds the stream; it is tried again every few seconds, so that it goes on once it is mended."""
        if stream.halted != reason:
            _log.error("stream halted", extra={"topic": key[0], "partition": key[1], "reason": reason})
        stream.halted = reason

    def _go_on(self, key: StreamKey, stream: _Stream) -> None:
        if stream.halted is not None:
            _log.warning("stream goes on", extra={"topic": key[0], "partition": key[1]})
        stream.halted = stream.refused = None

    async def _term(self, key: StreamKey, stream: _Stream) -> None:
        """Publish until something is unknown; then everything held in memory is read again."""
        topic = _TOPICS[key[0]]
        tail = await self._tails.last(topic.full_name(self._namespace), key[1], topic.source)
        async with borrow(self._pool) as connection:
            stream.epoch, stream.cursor = await place_of(connection, key, tail)
            if stream.halted is not None and await give_up_if_asked(connection, key, stream.cursor):
                stream.refused = None
        if tail is not None and stream.cursor == tail.place:
            self._recorder.note(key, stream.cursor, stream.epoch)
        stream.batch_bytes = BATCH_BYTES
        while True:
            if key[1] not in self._leases.held:
                raise Restart
            stream.wake.clear()
            segments = self._from_memory(stream) or await self._from_table(key, stream)
            if stream.cursor is not None and segments:
                failpoints.reach("chosen")
                await self._send(key, stream, segments)
            elif stream.cursor is not None:
                self._go_on(key, stream)
                await stream.wake.wait()
            if stream.cursor is None:
                raise Restart

    def _from_memory(self, stream: _Stream) -> list[Segment]:
        """Return the segments in memory that follow the cursor without a hole."""
        assert stream.cursor is not None
        stream.drop_sent(stream.cursor)
        chosen: list[Segment] = []
        reached = stream.cursor
        for segment in stream.memory:
            if segment.epoch != stream.epoch or not _follows(segment, reached):
                break
            chosen.append(segment)
            reached = Cursor(segment.epoch, segment.last)
        if not chosen:
            stream.clear_memory()
        return chosen

    async def _from_table(self, key: StreamKey, stream: _Stream) -> list[Segment]:
        cursor = stream.cursor  # the stream's own may be forgotten meanwhile
        assert cursor is not None
        async with borrow(self._pool) as connection:
            segments = await next_segments(connection, key, cursor)
            if not segments or _follows(segments[0], cursor):
                return segments
            _, published = await load_stream(connection, key)
        if published > cursor:  # another replica went on while this one slept on its cursor
            raise Restart
        raise Halted(f"outbox hole: {segments[0].epoch}:{segments[0].first} after {cursor}")

    async def _send(self, key: StreamKey, stream: _Stream, segments: list[Segment]) -> None:
        """Send what fits into one batch, in order, and move the cursor to the last number acknowledged."""
        assert stream.cursor is not None
        topic = _TOPICS[key[0]]
        limit = self._limits.topic_bytes(key[0])
        records, ends = records_above(segments, stream.cursor, topic.source, min(stream.batch_bytes, limit))
        too_large = Halted(f"unpublishable: the broker refuses the fact {ends[0]} for its size")
        if stream.refused == (ends[0], limit):  # a producer is not to be lost to the same refusal again
            self._limits.refused()
            raise too_large
        try:
            count = await self._producing.send(topic.full_name(self._namespace), key[1], records)
        except ProduceTooLarge:
            self._limits.refused()
            stream.batch_bytes = _size(records) // 2
            if len(records) == 1:
                stream.refused = (ends[0], limit)
                raise too_large from None
            return
        failpoints.reach("produced")
        if stream.cursor is None:  # the epoch changed while the batch was under way
            raise Restart
        stream.cursor = ends[count - 1]
        stream.sent += count
        self._go_on(key, stream)
        self._recorder.note(key, stream.cursor, stream.epoch)
        async with self._acked:
            self._acked.notify_all()


def _follows(segment: Segment, cursor: Cursor) -> bool:
    """Tell whether the number before the first unsent one of `segment` is known to be in the log (P1)."""
    if segment.epoch == cursor.epoch:
        return segment.first <= cursor.sequence + 1
    return segment.first == segment.base[1] + 1 and Cursor(*segment.base) == cursor


def records_above(
    segments: Sequence[Segment], cursor: Cursor, source: str, most: int = BATCH_BYTES
) -> tuple[list[Record], list[Cursor]]:
    """Return the records above `cursor`, up to `most` bytes but at least one, and each one's place in the stream."""
    records: list[Record] = []
    ends: list[Cursor] = []
    size = 0
    for segment in segments:
        for sequence, fact in enumerate(segment.facts, segment.first):
            place = Cursor(segment.epoch, sequence)
            if place <= cursor:
                continue
            base = segment.base if sequence == segment.base[1] + 1 else None
            headers = to_headers(fact, source, Numbers(segment.epoch, sequence, base))
            record = (fact.key.encode(), fact.value, headers)
            size += _size((record,))
            if size > most and records:
                return records, ends
            records.append(record)
            ends.append(place)
    return records, ends


def _size(records: Iterable[Record]) -> int:
    """Return about how many bytes records take before they are compressed."""
    return sum(len(value or b"") + _HEADER_BYTES for _, value, _ in records)
