"""The visit and the customer it goes to, as they are stored: frozen, compact, without any behaviour of a framework."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from msgspec import Struct

from shared.events.cases import CloseReason, OutcomeCode, PartyCode
from shared.events.contacts import Address, AtHome, ContactChannel
from shared.events.kinds import Reason
from shared.events.visits import MissedReason, WithdrawnReason
from shared.rules.paid import AccountLedger
from shared.rules.stops import Stops

VisitState = Literal["accepted", "planned", "started", "completed", "missed", "withdrawn"]
IncidentKind = Literal["dog", "assault", "feigned_illness", "extortion", "threat", "other"]

OPEN: frozenset[VisitState] = frozenset({"accepted", "planned", "started", "missed"})
"""A visit in one of these is still to be done; a missed one waits to be planned again."""


class Slot(Struct, frozen=True):
    """Where a visit stands in a filed plan: who goes, with which recorder, to which address, when."""

    plan_id: str
    members: tuple[str, ...]
    recorder_id: str
    address_id: str
    starts_at: datetime
    ends_at: datetime


class Result(Struct, frozen=True):
    """What came of a visit that was made. The note that the collector wrote lies elsewhere."""

    party: PartyCode
    outcome: OutcomeCode
    completed_at: datetime
    on_time: bool
    recorder_id: str
    incident: IncidentKind | None = None


class Miss(Struct, frozen=True):
    """One report that a visit could not be done."""

    reason: MissedReason
    missed_at: datetime
    incident: IncidentKind | None = None


class Withdrawal(Struct, frozen=True):
    """Why and when a visit was taken back."""

    reason: WithdrawnReason
    detail: Reason
    withdrawn_at: datetime


class Visit(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One visit, made from one hand-over. `revision` counts its changes; `traceparent` is the hand-over's trace.

    `breached_at` is a flag beside the state: a visit that was not done in time stays to be done.
    """

    visit_id: str
    hand_over_id: str
    case_id: str
    customer_id: str
    field_agent_id: str
    phone_agent_id: str
    team: str
    handed_over_at: datetime
    due_at: datetime
    traceparent: str | None = None
    state: VisitState = "accepted"
    revision: int = 1
    slot: Slot | None = None
    started_at: datetime | None = None
    breached_at: datetime | None = None
    misses: tuple[Miss, ...] = ()
    result: Result | None = None
    withdrawal: Withdrawal | None = None

    @property
    def is_open(self) -> bool:
        """Whether the visit is still to be done."""
        return self.state in OPEN

    @property
    def people(self) -> tuple[str, ...]:
        """Who may see whom the visit goes to: its field collector and the colleagues on its plan."""
        colleagues = self.slot.members if self.slot else ()
        return tuple(sorted({self.field_agent_id, *colleagues}))


class Reach(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """As much of a customer's contacts as a visit needs; no telephone number and no email address."""

    as_of: datetime
    name: str
    time_zone: str
    addresses: tuple[Address, ...] = ()
    at_home: tuple[AtHome, ...] = ()
    night_contact_consent: bool = False
    refused_channels: tuple[ContactChannel, ...] = ()


class Recall(Struct, frozen=True):
    """A case was taken back out of the field: one hand-over of it, or all made until then."""

    case_id: str
    hand_over_id: str | None
    reason: Reason
    recalled_at: datetime


class Closing(Struct, frozen=True):
    """A case is over."""

    reason: CloseReason
    closed_at: datetime


class Customer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that the facts say of one customer, and the customer's visits by hand-over.

    Everything but `visits` is the same for any order and any repetition of the facts. `accounts_of` holds, for each
    open case, the accounts with which it began and the due date that each had missed; a closed case needs them no more.
    `erased_as_of`: contact data this old or older were erased, and do not come back.
    """

    customer_id: str
    ledgers: dict[str, AccountLedger] = {}
    stops: Stops = Stops()
    reach: Reach | None = None
    erased_as_of: datetime | None = None
    accounts_of: dict[str, dict[str, date]] = {}
    closings: dict[str, Closing] = {}
    recalls: tuple[Recall, ...] = ()
    visits: dict[str, Visit] = {}

    def visit(self, visit_id: str) -> Visit | None:
        """Return the visit of this id, or none."""
        return next((visit for visit in self.visits.values() if visit.visit_id == visit_id), None)
