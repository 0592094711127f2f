"""The unit of work: state, timers and facts of one decision commit together, or none of them does (L1).

Whatever a handler, a route or a timer decides is written through `connection`; the facts that it makes are collected by
`emit` and appended by the last statement before COMMIT.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from uuid import UUID

import asyncpg
import msgspec

from shared.bus import failpoints
from shared.bus.barrier import unread_keys
from shared.bus.dead_letters import blocked_keys
from shared.bus.headers import Packed
from shared.bus.history import begin_if_other
from shared.bus.limits import FactLimits
from shared.bus.partitions import partition_of
from shared.bus.streams import OtherHistory, Segment, StreamKey, append
from shared.clock import Clock
from shared.db.faults import CommitUnknown, is_lost_connection, is_retriable
from shared.db.pool import borrow
from shared.errors import Problem
from shared.events.envelope import Envelope
from shared.events.kinds import Erasure, Fact
from shared.events.registry import BY_MODEL
from shared.ids import derived_id, uuid7
from shared.telemetry.metrics import Metrics
from shared.telemetry.spans import child_traceparent, current_traceparent

T = TypeVar("T")

_encode = msgspec.json.Encoder().encode

ATTEMPTS = 6


class Incoming(msgspec.Struct, frozen=True, gc=False):
    """One fact as a handler gets it."""

    envelope: Envelope
    fact: Fact

    @property
    def key(self) -> str:
        """Whom the fact is about: the customer, or for a few facts the colleague."""
        return self.envelope.key


class UnitOfWork:
    """One open transaction. `now` is the domain's instant, read once, so that a decision has one present."""

    def __init__(
        self,
        connection: asyncpg.Connection,
        service: str,
        partitions: int,
        now: datetime,
        limits: FactLimits,
        reads: Collection[str] = (),
    ) -> None:
        self.connection = connection
        self.now = now
        self._service = service
        self._partitions = partitions
        self._limits = limits
        self._reads = reads
        self._facts: dict[StreamKey, list[Packed]] = {}
        self._ordinals: dict[str, int] = {}
        self.appended: tuple[Segment, ...] = ()

    def emit(
        self,
        fact: Fact,
        *,
        cause: Incoming | None = None,
        traceparent: str | None = None,
        time: datetime | None = None,
    ) -> UUID:
        """Collect `fact` to be appended at the end, and return its id.

        `cause`: the fact that it follows from; its id is derived from it (E6) and its trace goes on. Otherwise
        `traceparent` (kept in a row while a timer waited) or the present span is the trace. `time`: the domain's
        instant when it is not now. An erasure has no value, and its `as_of` is its time (C1).

        Raises:
            FactTooLarge: the topic could not carry it.
        """
        kind = BY_MODEL[type(fact)]
        if kind.topic.writer != self._service:
            raise ValueError(f"{self._service} does not write {kind.name}")
        value, told_at = _content_of(fact, time or self.now)
        key = kind.key_of(fact)
        parent = traceparent or (cause.envelope.traceparent if cause else current_traceparent())
        identity = self._derived(cause.envelope) if cause else uuid7()
        packed = Packed(
            id=str(identity),
            type=kind.name,
            time=told_at.isoformat(),
            key=key,
            traceparent=child_traceparent(parent, f"create {kind.name}"),
            cause_id=cause.envelope.id if cause else None,
            value=value,
        )
        self._limits.check(kind.topic.name, packed)
        self._facts.setdefault((kind.topic.name, partition_of(key, self._partitions)), []).append(packed)
        return identity

    def _derived(self, cause: Envelope) -> UUID:
        ordinal = self._ordinals[cause.id] = self._ordinals.get(cause.id, 0) + 1
        return derived_id(self._service, cause.topic, cause.partition, cause.epoch, cause.sequence, ordinal)

    async def blocked_keys(self, keys: Iterable[str]) -> set[str]:
        """Return those of `keys` that nobody may act on, because a fact of theirs lies dead (D3)."""
        return await blocked_keys(self.connection, keys, self._partitions)

    async def unread_keys(self, keys: Iterable[str]) -> dict[str, Problem]:
        """Return those of `keys` on whom nobody acts now, since facts about them may lie unread (B6)."""
        return await unread_keys(self.connection, keys, self._partitions, self._reads)

    async def append(self) -> Sequence[Segment]:
        """Append what was emitted; called once, by whoever commits."""
        self.appended = tuple(await append(self.connection, self._facts))
        return self.appended


def _content_of(fact: Fact, time: datetime) -> tuple[bytes | None, datetime]:
    """Return a record's value and `ce_time`."""
    return (None, fact.as_of) if isinstance(fact, Erasure) else (_encode(fact), time)


@dataclass(frozen=True, slots=True)
class Transactions:
    """Runs decisions in transactions of the service's database and hands what they appended to the publisher.

    `reads`: the names of the topics that the service reads.
    """

    pool: asyncpg.Pool
    service: str
    partitions: int
    clock: Clock
    metrics: Metrics
    offer: Callable[[Sequence[Segment]], None]
    limits: FactLimits
    reads: Collection[str] = ()

    async def once(self, act: Callable[[UnitOfWork], Awaitable[T]]) -> T:
        """Run `act` in one transaction and commit it.

        Cancelled during COMMIT, it is cancelled: whether it happened, nobody is left to ask but the table.

        Raises:
            CommitUnknown: the answer to COMMIT was lost.
            OtherHistory: new epochs had to begin first; the same call works now (E3).
            Exception: whatever `act` raised; the transaction is rolled back.
        """
        async with borrow(self.pool) as connection:
            transaction = connection.transaction()
            await transaction.start()
            try:
                uow = UnitOfWork(connection, self.service, self.partitions, self.clock.now(), self.limits, self.reads)
                result = await act(uow)
                segments = await uow.append()
                if segments:
                    failpoints.reach("appended")
            except OtherHistory:
                await _roll_back(transaction, connection)
                await begin_if_other(connection)
                raise
            except BaseException:
                await _roll_back(transaction, connection)
                raise
            appended_at = time.perf_counter()
            try:
                await transaction.commit()
            except Exception as error:
                if is_lost_connection(error):
                    raise CommitUnknown("the answer to COMMIT was lost") from error
                raise
            if segments:
                self.metrics.append_commit_seconds.observe(time.perf_counter() - appended_at)
                failpoints.reach("committed")
                self.offer(segments)
                failpoints.reach("offered")
            return result

    async def transact(
        self, act: Callable[[UnitOfWork], Awaitable[T]], again: Callable[[BaseException], bool] = is_retriable
    ) -> T:
        """Run `act` in one transaction, from the start when it lost a race or its connection before COMMIT (`again`).

        Raises:
            CommitUnknown: the answer to COMMIT was lost; it is not repeated here, since it may have happened.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await self.once(act)
            except CommitUnknown:
                raise
            except Exception as error:
                if attempt == ATTEMPTS or not again(error):
                    raise
                await asyncio.sleep(random.uniform(0.5, 1.0) * min(0.02 * 2**attempt, 0.5))  # noqa: S311 - jitter
        raise AssertionError("unreachable")


async def _roll_back(transaction: asyncpg.transaction.Transaction, connection: asyncpg.Connection) -> None:
    """Roll back as well as the connection allows; a lost connection has rolled back by itself."""
    if connection.is_closed():
        return
    try:
        await asyncio.wait_for(transaction.rollback(), 5)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        connection.terminate()
