"""One transaction: fence the positions, handle the facts, store what became of each (D1, L7, R6)."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import nullcontext
from functools import partial

from msgspec import Struct
from opentelemetry.trace import SpanKind

from shared.bus import compaction, failpoints, forks, positions
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
from shared.bus.positions import Move, Position
from shared.bus.unit_of_work import Incoming, Transactions, UnitOfWork
from shared.db.faults import is_race
from shared.telemetry.metrics import Metrics
from shared.telemetry.spans import batch_span, record_span

BatchHandler = Callable[[Sequence[Incoming], UnitOfWork], Awaitable[Sequence[Outcome]]]

ATTEMPTS = 3


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


class Batch(Struct, frozen=True):
    """What was read of one partition number. `old`: its positions before; `ends`: where each log is known to end."""

    partition: int
    reads: Sequence[Read]
    old: Mapping[str, Position]
    ends: Mapping[str, int] = {}

    @property
    def new(self) -> dict[str, Position]:
        """The positions after it."""
        return {**self.old, **self.moved}

    @property
    def moved(self) -> dict[str, Position]:
        """The positions of the topics of which something was read."""
        return {read.topic: read.after for read in self.reads}

    @property
    def facts(self) -> list[Decoded]:
        """What is to be taken, in order."""
        return [read.decoded for read in self.reads if read.decoded is not None]

    @property
    def odd(self) -> list[Fork | Stale]:
        """What is noted of its streams' histories."""
        return [read.odd for read in self.reads if read.odd is not None]


Taken = Sequence[tuple[Decoded, Outcome | Parked]]
"""The facts of a batch, each with what became of it."""


class Taking:
    """Takes batches of one or of several partition numbers into the database, all of them or none."""

    def __init__(self, transactions: Transactions, handle: BatchHandler, metrics: Metrics) -> None:
        self.transactions = transactions
        self.handle = handle
        self._metrics = metrics
        self._in_order = in_order(transactions.service)

    async def once(
        self,
        batches: Sequence[Batch],
        failure: Dead | None = None,
        again: Callable[[BaseException], bool] = is_race,
    ) -> list[Taken]:
        """Store the effect of `batches` in one transaction; return what became of the facts of each.

        `failure`: they are not handled but buried for it. `again`: the errors after which the same is done once more.

        Raises:
            NotOwner: a position is not at its old value any more; nothing was stored.
            Exception: whatever the handler or the database raised; nothing was stored.
        """
        facts = [fact for batch in batches for fact in batch.facts]
        moves = [Move(batch.partition, batch.old, batch.moved, batch.ends) for batch in batches]

        async def act(behind: frozenset[int], uow: UnitOfWork) -> list[Outcome | Parked]:
            failpoints.reach("begun")
            some_wait = await positions.move(uow.connection, moves)
            failpoints.reach("moved")
            for batch in batches:
                await _note(batch, uow)
            queues = await queues_of(uow.connection, facts, self._in_order) if some_wait else frozenset()
            parked = behind | places_to_park(facts, self._in_order, queues)
            outcomes = await settle_facts(facts, uow, self.handle, failure, parked=parked)
            if overtaken := overtaking(facts, self._in_order, outcomes):
                raise Overtaken(parked | overtaken)
            failpoints.reach("handled")
            return outcomes

        parents = [fact.envelope.traceparent for fact in facts if fact.envelope is not None]
        count = {"messaging.batch.message_count": len(facts)}
        with batch_span(_name_of(batches), parents, count) if facts else nullcontext():
            outcomes = await self._in_their_order(act, again)
        failpoints.reach("taken")
        for batch in batches:
            forks.alarm(batch.partition, batch.odd, self._metrics)
        given = iter(outcomes)
        taken = [[(fact, next(given)) for fact in batch.facts] for batch in batches]
        self._count([pair for pairs in taken for pair in pairs])
        return list(taken)

    async def _in_their_order(
        self,
        act: Callable[[frozenset[int], UnitOfWork], Awaitable[list[Outcome | Parked]]],
        again: Callable[[BaseException], bool],
    ) -> list[Outcome | Parked]:
        """Run `act`; again from the start as long as facts overtake one that turned out to die or to wait (D2)."""
        behind: frozenset[int] = frozenset()
        while True:
            try:
                return await self.transactions.transact(partial(act, behind), again)
            except Overtaken as found:
                behind = found.places

    def _count(self, pairs: Taken) -> None:
        if pairs:
            self._metrics.batch_size.observe(len(pairs))
        taken = Counter((fact.raw.topic, type(outcome).__name__.lower()) for fact, outcome in pairs)
        for (topic, name), count in taken.items():
            self._metrics.facts_taken.labels(topic, name).inc(count)
        for fact, outcome in pairs:
            if isinstance(outcome, Dead):
                self._metrics.dead_letters.labels(fact.raw.topic, outcome.code).inc()


async def _note(batch: Batch, uow: UnitOfWork) -> None:
    if batch.odd:
        await forks.note(uow.connection, batch.partition, batch.odd)
    seen = [(read.topic, read.seen) for read in batch.reads if read.seen is not None]
    if seen:
        await compaction.mark(uow.connection, batch.partition, seen)


def _name_of(batches: Sequence[Batch]) -> str:
    if len(batches) == 1:
        return f"process partition {batches[0].partition}"
    return f"process {len(batches)} partitions"


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
