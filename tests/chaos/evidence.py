"""What was found after a run, as plain data: what every judgement looks at, and nothing else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Literal, NamedTuple

from tests.chaos.ledger import Intent
from tests.chaos.story import identity_of

Row = Mapping[str, Any]

Count = Literal["lost", "twice", "out of order", "stuck", "sent after a stop"]
COUNTS: tuple[Count, ...] = ("lost", "twice", "out of order", "stuck", "sent after a stop")


class Finding(NamedTuple):
    """One fault that was found: under which count it falls, and what it is."""

    under: Count
    what: str


@dataclass(frozen=True)
class Record:
    """One record of a topic's log, as it stands there."""

    topic: str
    partition: int
    offset: int
    epoch: int
    sequence: int
    id: str
    type: str
    data: Row

    @property
    def stream(self) -> str:
        """Topic and partition, as people write them."""
        return f"{self.topic}/{self.partition}"

    @property
    def number(self) -> tuple[int, int]:
        """Its place in the stream."""
        return self.epoch, self.sequence

    @property
    def noun(self) -> str:
        """The type without what all types share."""
        return self.type.removeprefix("arrears.").removesuffix(".v1")


@dataclass(frozen=True)
class Head:
    """A stream as its writer's database has it: numbers given, numbers known to be in the log."""

    topic: str
    partition: int
    epoch: int
    head: int
    published: tuple[int, int]


@dataclass(frozen=True)
class Position:
    """How far a service says that it has read a stream."""

    service: str
    topic: str
    partition: int
    number: tuple[int, int]
    state: str
    reason: str | None


@dataclass(frozen=True)
class Evidence:
    """All that was looked at.

    `clock`: the domain's instant at the end. `states`: service, then customer, to the stored document as text.
    `rest`: service to what it still has to do. `network`: seconds that a message may be under way at most.
    """

    clock: datetime = datetime(2026, 3, 2, tzinfo=UTC)
    network: float = 0.0
    intents: Sequence[Intent] = ()
    unanswered: Sequence[str] = ()
    settling: frozenset[str] = frozenset()
    """Customers who paid everything in the end, with nothing that could bring the debt back."""
    records: Sequence[Record] = ()
    heads: Sequence[Head] = ()
    positions: Sequence[Position] = ()
    states: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    rest: Mapping[str, Sequence[str]] = field(default_factory=dict)
    complaints: Sequence[str] = ()
    """What processes did that no fault excuses."""
    rebuilt: Mapping[str, str] | None = None
    """Customer to what scoring knows of him when it reads its topics into an empty database; None: not tried."""
    gradings: Sequence[Row] = ()
    contacts: Sequence[Row] = ()
    timeline: Sequence[Row] = ()
    hand_overs: Sequence[Row] = ()
    visits: Sequence[Row] = ()
    visit_notes: Sequence[Row] = ()
    reports: Sequence[Row] = ()
    notices: Sequence[Row] = ()
    mails: Sequence[Row] = ()
    texts: Sequence[Row] = ()
    assistants: int = 1

    @cached_property
    def facts(self) -> Sequence[Record]:
        """The records without those that repeat a number: what every reader takes."""
        seen: set[tuple[str, int, tuple[int, int]]] = set()
        found = []
        for record in self.records:
            place = (record.topic, record.partition, record.number)
            if place not in seen:
                seen.add(place)
                found.append(record)
        return found

    @cached_property
    def by_identity(self) -> Mapping[str, Sequence[Record]]:
        """The facts that tell what was sent to intake, by the effect's name."""
        return grouped((identity, record) for record in self.facts if (identity := _identity(record)) is not None)

    def of(self, *nouns: str) -> list[Record]:
        """The facts of these types, stream by stream."""
        return [record for record in self.facts if record.noun in nouns]

    def taken(self, *kinds: str) -> list[Intent]:
        """The intents of these kinds that the system said it has."""
        return [intent for intent in self.intents if intent.kind in kinds and intent.is_taken]


def grouped(pairs: Iterable[tuple[str, Record]]) -> dict[str, list[Record]]:
    """Collect by name."""
    found: dict[str, list[Record]] = defaultdict(list)
    for name, record in pairs:
        found[name].append(record)
    return found


def _identity(record: Record) -> str | None:
    return identity_of(record.type, record.data) if record.topic in ("card", "contacts") else None
