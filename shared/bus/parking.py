"""Order behind a fact that waits or lies dead (D2).

Where the folds of a topic do not commute, a customer with an open dead letter or a waiting fact of it is *parked*: what
comes after joins the queue, in the transaction that reads it, and is handled when all before it is resolved. A queue is
the open letters and waiting facts of one topic and key, in the order of the stream; nobody keeps its head.

Whether any queue exists at all is told by the statement that moves the positions, so nothing is asked while all tables
are empty. Only the reader of a stream begins a queue, in a transaction that moves its position; whoever replays or
releases puts one row in the place of another. So a reader that sees none is not overtaken by one.

A fact parked while the last one before it is being released finds nobody before it, and goes next (`deferred.claim`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import asyncpg
from msgspec import Struct

from shared.bus.decoding import Decoded
from shared.bus.outcomes import Dead, Later, Outcome
from shared.bus.unit_of_work import Incoming
from shared.events.registry import IN_ORDER
from shared.rules.stops import ends_pressing

Queue = tuple[str, str]
"""A topic and the key of its facts."""

_QUEUES = """
SELECT topic, key FROM dead_letter
WHERE state = 'open' AND sequence IS NOT NULL AND key = ANY ($1::text[]) AND topic = ANY ($2::text[])
UNION
SELECT topic, key FROM deferred WHERE key = ANY ($1::text[]) AND topic = ANY ($2::text[])
"""


class Parked(Struct, frozen=True):
    """What became of a fact that stands behind another. The bus says so, never a handler."""


PARKED = Parked()


class Overtaken(Exception):
    """Facts (by their place in the batch) were handled behind one that then died or waits: handle the batch again."""

    def __init__(self, places: Collection[int]) -> None:
        super().__init__(f"{len(places)} facts would overtake one that waits")
        self.places = frozenset(places)


def in_order(service: str) -> list[str]:
    """Return the topics of which the service takes a customer's facts in order."""
    return list(IN_ORDER.get(service, ()))


async def queues_of(
    connection: asyncpg.Connection, facts: Sequence[Decoded], topics: Collection[str]
) -> frozenset[Queue]:
    """Return those queues that somebody stands in and that a fact of the batch may have to join."""
    keys = {fact.incoming.key for fact in facts if fact.incoming is not None and fact.raw.topic in topics}
    if not keys:
        return frozenset()
    rows = await connection.fetch(_QUEUES, list(keys), list(topics))
    return frozenset((row["topic"], row["key"]) for row in rows)


def places_to_park(facts: Sequence[Decoded], topics: Collection[str], queues: Collection[Queue]) -> frozenset[int]:
    """Return the places of the facts that stand behind one of `queues`, or behind one of the batch that is unreadable.

    A fact that ends pressing is not among them.
    """
    if not topics or not (queues or any(isinstance(fact.verdict, Dead) for fact in facts)):
        return frozenset()
    taken = set(queues)
    places: set[int] = set()
    for place, fact in enumerate(facts):
        queue = _queue(fact, topics)
        if queue is None:
            continue
        if fact.incoming is None:
            taken.add(queue)
        elif queue in taken and not ends_pressing(fact.incoming.fact):
            places.add(place)
    return frozenset(places)


def overtaking(
    facts: Sequence[Decoded], topics: Collection[str], outcomes: Sequence[Outcome | Parked]
) -> frozenset[int]:
    """Return the places of the facts that were handled although one before them, of their key, died or waits."""
    if not topics or not any(isinstance(outcome, Dead | Later) for outcome in outcomes):
        return frozenset()
    begun: set[Queue] = set()
    places: set[int] = set()
    for place, (fact, outcome) in enumerate(zip(facts, outcomes, strict=True)):
        queue = _queue(fact, topics)
        if queue is None or isinstance(outcome, Parked):
            continue
        if queue in begun and fact.incoming is not None and not ends_pressing(fact.incoming.fact):
            places.add(place)
        if isinstance(outcome, Dead | Later):
            begun.add(queue)
    return frozenset(places)


def refuse_delay(facts: Sequence[Incoming], outcomes: Sequence[Outcome]) -> None:
    """Raise ValueError when a handler puts off a fact that ends pressing (D3)."""
    for item, outcome in zip(facts, outcomes, strict=True):
        if isinstance(outcome, Later) and ends_pressing(item.fact):
            raise ValueError(f"the handler puts off {item.envelope.type}, which ends pressing")


def _queue(fact: Decoded, topics: Collection[str]) -> Queue | None:
    """Return the queue that a fact stands in if it waits or dies; none for a stranger's, or where order is free."""
    if fact.raw.topic not in topics or fact.raw.numbers is None:
        return None
    if fact.incoming is not None:
        return fact.raw.topic, fact.incoming.key
    return (fact.raw.topic, fact.key) if isinstance(fact.verdict, Dead) and fact.key is not None else None
