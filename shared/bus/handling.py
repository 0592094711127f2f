"""One batch, one transaction: fence the positions, handle the facts, store what became of each (D1, L7, R6)."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime
from functools import partial

from msgspec import Struct
from opentelemetry.trace import SpanKind

from shared.bus import compaction, failpoints, forks, positions
from shared.bus.compaction import Sweep
from shared.bus.dead_letters import DeadLetter, bury
from shared.bus.decoding import Decoded
from shared.bus.deferred import Waiting, put_off, waiting
from shared.bus.forks import Fork, Stale
from shared.bus.outcomes import Dead, Later, Outcome, Skip
from shared.bus.parking import (
    PARKED,
    Overtaken,
    Parked,
    in_order,
    overtaking,
    places_to_park,
    queues_of,
    refuse_delay,
)
from shared.bus.positions import Position
from shared.bus.unit_of_work import Incoming, Transactions, UnitOfWork
from shared.db.faults import is_race, is_retriable
from shared.db.pool import borrow
from shared.errors import Permanent
from shared.telemetry.metrics import Metrics
from shared.telemetry.spans import batch_span, record_span

BatchHandler = Callable[[Sequence[Incoming], UnitOfWork], Awaitable[Sequence[Outcome]]]

ATTEMPTS = 3
BREAKER = 20
"""So many facts of one partition failing in a row is a bad deploy, not bad data: the partition stops."""


class HandlerBroken(Permanent):
    """The handler fails for every fact; the partition stops `at` these positions until a person has looked."""

    def __init__(self, reason: str, at: Mapping[str, Position]) -> None:
        super().__init__(reason)
        self.at = at


class Read(Struct, frozen=True, gc=False):
    """One record that was read, and its topic's position after it.

    Without `decoded` it was dropped. `odd`: what is noted of its history. `seen`: the subject that is marked as one who
    stands in the log.
    """

    topic: str
    after: Position
    decoded: Decoded | None
    odd: Fork | Stale | None = None
    seen: str | None = None


class Handling:
    """Takes what was read from one partition into the database."""

    def __init__(self, transactions: Transactions, handle: BatchHandler, metrics: Metrics, partition: int) -> None:
        self.pool = transactions.pool
        self._transactions = transactions
        self._handle = handle
        self._metrics = metrics
        self._partition = partition
        self._in_order = in_order(transactions.service)
        self._failed_in_a_row = 0

    async def take(
        self, reads: Sequence[Read], old: Mapping[str, Position], ends: Mapping[str, int] | None = None
    ) -> dict[str, Position]:
        """Store the effect of `reads` and return the positions after them. `ends`: where each log is known to end.

        When the handler fails, the batch is rolled back and halved, down to the one fact that fails; after three tries
        that one becomes a dead letter, and the rest go on.

        Raises:
            HandlerBroken: too many failed in a row.
            Exception: whatever `shared.db.faults.is_retriable` knows; nothing was stored.
        """
        ends = ends or {}
        try:
            return await self._once(reads, old, None, ends)
        except Exception as error:
            if not _is_the_handlers(error):
                raise
            if len(reads) == 1:
                return await self._again(reads[0], old, ends)
        middle = len(reads) // 2
        return await self.take(reads[middle:], await self.take(reads[:middle], old, ends), ends)

    async def _again(self, read: Read, old: Mapping[str, Position], ends: Mapping[str, int]) -> dict[str, Position]:
        """Try one failing fact twice more, then bury it."""
        failure = Dead("handler_failed", "")
        for _ in range(ATTEMPTS - 1):
            try:
                return await self._once((read,), old, None, ends)
            except Exception as error:
                if not _is_the_handlers(error):
                    raise
                failure = Dead("handler_failed", f"{type(error).__name__}: {error}")
        self._failed_in_a_row += 1
        if self._failed_in_a_row >= BREAKER:
            # The error's kind only: its text may quote a customer's row, and readiness shows this reason to anybody.
            kind = failure.detail.partition(":")[0]
            raise HandlerBroken(f"breaker: {BREAKER} facts in a row failed, the last with {kind}", old)
        return await self._once((read,), old, failure, ends)

    async def _once(
        self, reads: Sequence[Read], old: Mapping[str, Position], failure: Dead | None, ends: Mapping[str, int]
    ) -> dict[str, Position]:
        new = {**old, **{read.topic: read.after for read in reads}}
        moved = {read.topic: new[read.topic] for read in reads}
        facts = [read.decoded for read in reads if read.decoded is not None]
        seen = [(read.topic, read.seen) for read in reads if read.seen is not None]
        odd = [read.odd for read in reads if read.odd is not None]
        parents = [fact.envelope.traceparent for fact in facts if fact.envelope is not None]

        async def act(behind: frozenset[int], uow: UnitOfWork) -> list[Outcome | Parked]:
            failpoints.reach("begun")
            some_wait = await positions.move(uow.connection, self._partition, old, moved, ends)
            failpoints.reach("moved")
            if odd:
                await forks.note(uow.connection, self._partition, odd)
            if seen:
                await compaction.mark(uow.connection, self._partition, seen)
            queues = await queues_of(uow.connection, facts, self._in_order) if some_wait else frozenset()
            parked = behind | places_to_park(facts, self._in_order, queues)
            outcomes = await settle_facts(facts, uow, self._handle, failure, parked=parked)
            if overtaken := overtaking(facts, self._in_order, outcomes):
                raise Overtaken(parked | overtaken)
            failpoints.reach("handled")
            return outcomes

        count = {"messaging.batch.message_count": len(facts)}
        with batch_span(f"process partition {self._partition}", parents, count) if facts else nullcontext():
            outcomes = await self._in_their_order(act)
        failpoints.reach("taken")
        forks.alarm(self._partition, odd, self._metrics)
        pairs = list(zip(facts, outcomes, strict=True))
        if failure is None and any(fact.incoming and not isinstance(outcome, Parked) for fact, outcome in pairs):
            self._failed_in_a_row = 0
        self._count(pairs)
        return new

    async def sweep(self, sweep: Sweep, at: Position) -> int:
        """Erase by the service's own handler whom the scan of a topic did not see, and return how many."""
        erased, after = 0, ""
        following: str | None = after
        while following is not None:
            async with borrow(self.pool) as connection:
                subjects, following = await sweep.page(connection, after)
            after = following or after

            async def act(uow: UnitOfWork, page: Sequence[tuple[str, datetime]] = subjects) -> int:
                erasures = await sweep.erasures(uow, at, page)
                outcomes = await self._handle(erasures, uow) if erasures else ()
                if any(isinstance(outcome, Dead | Later) for outcome in outcomes):
                    raise ValueError("the handler did not take an erasure")
                return len(erasures)

            if subjects:
                erased += await self._transactions.transact(act, is_race)
        return erased

    async def _in_their_order(
        self, act: Callable[[frozenset[int], UnitOfWork], Awaitable[list[Outcome | Parked]]]
    ) -> list[Outcome | Parked]:
        """Run `act`; again from the start as long as facts overtake one that turned out to die or to wait (D2)."""
        behind: frozenset[int] = frozenset()
        while True:
            try:
                return await self._transactions.transact(partial(act, behind), is_race)
            except Overtaken as found:
                behind = found.places

    def _count(self, pairs: Sequence[tuple[Decoded, Outcome | Parked]]) -> None:
        if pairs:
            self._metrics.batch_size.observe(len(pairs))
        taken = Counter((fact.raw.topic, type(outcome).__name__.lower()) for fact, outcome in pairs)
        for (topic, name), count in taken.items():
            self._metrics.facts_taken.labels(topic, name).inc(count)
        for fact, outcome in pairs:
            if isinstance(outcome, Dead):
                self._metrics.dead_letters.labels(fact.raw.topic, outcome.code).inc()


async def settle_facts(
    facts: Sequence[Decoded],
    uow: UnitOfWork,
    handle: BatchHandler,
    failure: Dead | None = None,
    attempts: int = 1,
    parked: Collection[int] = (),
) -> list[Outcome | Parked]:
    """Handle facts and store those that died, wait, or stand behind one that does; one outcome a fact, in order.

    `parked`: the places of those that are not handled now. Raises ValueError when the handler breaks its contract.
    """
    started = time.time_ns()
    handled = [
        fact.incoming
        for place, fact in enumerate(facts)
        if fact.incoming is not None and failure is None and place not in parked
    ]
    results = list(await handle(handled, uow)) if handled else []
    if len(results) != len(handled):
        raise ValueError(f"the handler gave {len(results)} outcomes for {len(handled)} facts")
    refuse_delay(handled, results)
    given = iter(results)
    outcomes: list[Outcome | Parked] = []
    for place, fact in enumerate(facts):
        if fact.incoming is None:
            outcomes.append(fact.verdict or Skip("empty"))
        else:
            outcomes.append(failure or (PARKED if place in parked else next(given)))
    await _store(list(zip(facts, outcomes, strict=True)), uow, attempts)
    for fact, outcome in zip(facts, outcomes, strict=True):
        if fact.incoming is not None:
            envelope = fact.incoming.envelope
            attributes = {"arrears.outcome": type(outcome).__name__}
            record_span(f"process {envelope.type}", envelope.traceparent, started, SpanKind.CONSUMER, attributes)
    return outcomes


async def _store(pairs: Sequence[tuple[Decoded, Outcome | Parked]], uow: UnitOfWork, attempts: int) -> None:
    """Store the facts that died, wait for an instant, or wait for those before them."""
    dead = [_letter(fact, outcome, attempts) for fact, outcome in pairs if isinstance(outcome, Dead)]
    later = [_waiting(fact, outcome, attempts) for fact, outcome in pairs if isinstance(outcome, Later | Parked)]
    if later:
        await put_off(uow.connection, later)
    if dead:
        await bury(uow.connection, dead, uow.now)


def _letter(fact: Decoded, outcome: Dead, attempts: int) -> DeadLetter:
    raw, envelope = fact.raw, fact.envelope
    return DeadLetter(
        topic=raw.topic,
        partition=raw.partition,
        offset=raw.offset,
        epoch=raw.numbers.epoch if raw.numbers else None,
        sequence=raw.numbers.sequence if raw.numbers else None,
        key=fact.key,
        headers=raw.headers,
        body=raw.body,
        code=outcome.code,
        detail=outcome.detail,
        step="handle" if fact.incoming else "decode",
        attempts=ATTEMPTS if outcome.code == "handler_failed" else attempts,
        traceparent=envelope.traceparent if envelope else None,
    )


def _waiting(fact: Decoded, outcome: Later | Parked, attempts: int) -> Waiting:
    assert fact.incoming is not None
    if isinstance(outcome, Parked):
        return waiting(fact.raw, fact.incoming, None, 0)
    return waiting(fact.raw, fact.incoming, outcome.until, attempts)


def _is_the_handlers(error: Exception) -> bool:
    return not is_retriable(error) and not isinstance(error, HandlerBroken)
