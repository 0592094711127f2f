"""Taking events: remembering their identities and telling their facts in one transaction, then the wait for the log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from services.ingest import store
from services.ingest.domain.contacts_told import judge_contacts
from services.ingest.domain.intake import Rejected, Sound
from services.ingest.domain.outcomes import Outcome, firsts, outcomes_of
from shared.bus.barrier import WINDOW_SECONDS
from shared.bus.bus import Bus
from shared.bus.streams import Segment, StreamKey
from shared.bus.unit_of_work import UnitOfWork
from shared.events.contacts import CustomerContactsChanged, CustomerContactsErased
from shared.events.registry import BY_MODEL

EFFECTIVE_AFTER = timedelta(seconds=WINDOW_SECONDS)
"""From a fact's publication to the instant from which nothing that it forbids leaves any more (B2)."""

PUBLISH_SECONDS = 2.0
"""How long the sender of a stop waits for its publication before it is told `recorded` (B2)."""

Verdicts = Sequence[Sound | Rejected]


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of each event, in order; `effective_at` is of those that end or limit pressure.

    `verdicts`: as given, but for events that what was told before makes wrong.
    It is the machine's instant from which they hold everywhere, or none when that is not known in time.
    """

    verdicts: Verdicts
    outcomes: Sequence[Outcome]
    effective_at: datetime | None


@dataclass(frozen=True, slots=True)
class Recorded:
    """A transaction's work. `urgent`: the streams that senders wait for; `heads`: how far they went before it."""

    uow: UnitOfWork
    verdicts: Verdicts
    outcomes: Sequence[Outcome]
    urgent: Sequence[StreamKey]
    heads: Sequence[Segment]

    def of(self, bus: Bus, place: int) -> Recorded:
        """Return what concerns the event at `place` alone: its sender waits for nobody else's stream."""
        verdicts, outcomes = [self.verdicts[place]], [self.outcomes[place]]
        return replace(self, verdicts=verdicts, outcomes=outcomes, urgent=_urgent_streams(bus, verdicts, outcomes))

    def awaited(self) -> tuple[Segment, ...]:
        """Return the last segment of each urgent stream: its own where it appended, which lies above the head."""
        segments = (*self.heads, *self.uow.appended)
        last = {(segment.topic, segment.partition): segment for segment in segments}
        return tuple(last[stream] for stream in self.urgent)


async def take(bus: Bus, verdicts: Verdicts) -> Taken:
    """Take the sound ones of `verdicts`: each event's fact is told exactly once, however often it is sent.

    Raises:
        CommitUnknown: the answer to COMMIT was lost; the same events may be sent again.
    """
    return await told(bus, await record(bus, verdicts))


async def record(bus: Bus, verdicts: Verdicts) -> Recorded:
    """Remember and tell the sound ones of `verdicts` in one transaction; raises as `take` does."""

    async def act(uow: UnitOfWork) -> Recorded:
        judged, outcomes = await settle(uow, verdicts)
        urgent = _urgent_streams(bus, judged, outcomes)
        return Recorded(uow, judged, outcomes, urgent, await store.heads_of(uow.connection, urgent))

    return await bus.transact(act)


async def told(bus: Bus, recorded: Recorded) -> Taken:
    """Wait, where a sender does, until what was recorded is published."""
    awaited = recorded.awaited()
    published_at = await bus.published(awaited, PUBLISH_SECONDS) if awaited else None
    return Taken(recorded.verdicts, recorded.outcomes, published_at + EFFECTIVE_AFTER if published_at else None)


async def settle(uow: UnitOfWork, verdicts: Verdicts) -> tuple[Verdicts, list[Outcome]]:
    """Remember and tell the sound ones of `verdicts` in this transaction.

    Returns what was judged, in the light of what was told before, and what became of each.
    """
    events = firsts(verdicts)
    remembered = await store.remember(uow.connection, events.values())
    told = await store.lock_told(uow.connection, _customers(events[identity] for identity in remembered))
    contacts = judge_contacts(
        (event for identity, event in events.items() if identity in remembered),
        {customer_id: before for customer_id, (_, before) in told.items()},
    )
    await store.forget(uow.connection, contacts.refused.keys())
    await store.save_told(uow.connection, told, contacts.after)
    verdicts = [contacts.refused.get(each.identity, each) if isinstance(each, Sound) else each for each in verdicts]
    events = firsts(verdicts)
    new = remembered - contacts.refused.keys()
    digests = {identity: event.digest for identity, event in events.items() if identity in new}
    digests |= await store.digests_of(uow.connection, [identity for identity in events if identity not in new])
    for identity, event in events.items():
        fact = contacts.facts.get(identity, event.fact) if identity in new else None
        if fact is not None:
            uow.emit(fact, traceparent=event.traceparent, time=event.time)
    return verdicts, outcomes_of(verdicts, new, digests)


def _customers(events: Iterable[Sound]) -> Iterator[str]:
    """Yield the customers of events about contacts."""
    for event in events:
        if isinstance(event.fact, CustomerContactsChanged | CustomerContactsErased):
            yield event.fact.customer_id


def _urgent_streams(bus: Bus, verdicts: Verdicts, outcomes: Sequence[Outcome]) -> list[StreamKey]:
    """Return the streams of facts whose senders wait; of repeated events too, whose answer may have been lost."""
    keys = {
        (kind.topic.name, bus.partition_of(kind.key_of(verdict.fact)))
        for verdict, outcome in zip(verdicts, outcomes, strict=True)
        if isinstance(verdict, Sound) and verdict.ends_pressure and outcome in ("accepted", "replayed")
        for kind in (BY_MODEL[type(verdict.fact)],)
    }
    return sorted(keys)
