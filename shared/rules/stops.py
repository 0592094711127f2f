"""Which stops are in force: an order-free fold of what set and what lifted them, for every service that acts.

Stop facts come late, twice and out of order like all others: of each kind the latest setting and the latest lifting
are kept, so any order and any repetition of the same facts give the same stops. Set and lifted at one instant, the
stop holds: nobody is pressed on a doubt.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from shared.events.card import StopSet
from shared.events.cases import CaseClosed, CaseRecalled, ContactLogged
from shared.events.kinds import Fact
from shared.events.notices import CustomerOptedOut
from shared.events.visits import VisitCompleted
from shared.rules.model import StopKind

_BY_OUTCOME: Final[Mapping[str, StopKind]] = MappingProxyType(
    {"DISP": "dispute", "COMP": "complaint", "HARD": "hardship", "PROT": "cease_contact"}
)
# PROT says dead, insolvent or a minor, and not which: nobody contacts until the card system has said more.


class StopRecord(Struct, frozen=True, array_like=True):
    """When a stop of one kind was last set and last lifted; none: never."""

    kind: StopKind
    set_at: datetime | None = None
    lifted_at: datetime | None = None


class Stops(Struct, frozen=True, array_like=True):
    """Every stop that a customer ever had, by kind in alphabetical order; compact, and stored as it is."""

    records: tuple[StopRecord, ...] = ()


def with_stop(stops: Stops, kind: StopKind, set_at: datetime) -> Stops:
    """Merge the setting of a stop; one older than the latest setting held changes nothing."""
    held = _record(stops, kind)
    return _with(stops, StopRecord(kind, _later(held.set_at, set_at), held.lifted_at))


def with_lift(stops: Stops, kind: StopKind, lifted_at: datetime) -> Stops:
    """Merge the lifting of a stop, even one that comes before its setting."""
    held = _record(stops, kind)
    return _with(stops, StopRecord(kind, held.set_at, _later(held.lifted_at, lifted_at)))


def active(stops: Stops) -> frozenset[StopKind]:
    """Return the kinds that are in force: set, and not lifted since."""
    return frozenset(
        each.kind
        for each in stops.records
        if each.set_at is not None and (each.lifted_at is None or each.lifted_at <= each.set_at)
    )


def active_at(stops: Stops, at: datetime) -> frozenset[StopKind]:
    """Return the kinds that held at `at`, as far as it is known: of each kind only the latest setting is."""
    return frozenset(
        each.kind
        for each in stops.records
        if each.set_at is not None
        and each.set_at <= at
        and (each.lifted_at is None or each.lifted_at <= each.set_at or at < each.lifted_at)
    )


def stop_of_outcome(outcome: str) -> StopKind | None:
    """Return the stop that a logged contact sets: a dispute, complaint or hardship named, a death reported."""
    return _BY_OUTCOME.get(outcome)


def ends_pressing(fact: Fact) -> bool:
    """Tell whether a fact says that a customer is to be left alone: it is never put off, whatever waits before it (D3).

    All of these are kept by their own instants and names, so they may overtake the facts before them.
    """
    if isinstance(fact, ContactLogged | VisitCompleted):
        return stop_of_outcome(fact.outcome) is not None
    return isinstance(fact, StopSet | CaseRecalled | CaseClosed | CustomerOptedOut)


def _record(stops: Stops, kind: StopKind) -> StopRecord:
    return next((each for each in stops.records if each.kind == kind), StopRecord(kind))


def _with(stops: Stops, record: StopRecord) -> Stops:
    others = (each for each in stops.records if each.kind != record.kind)
    return Stops(tuple(sorted((*others, record), key=lambda each: each.kind)))


def _later(held: datetime | None, told: datetime) -> datetime:
    return told if held is None else max(held, told)
