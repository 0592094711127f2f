"""Facts of the topic `visits`: what the field collectors plan, do and report. Written by fieldvisit alone."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from shared.events.cases import OutcomeCode, PartyCode
from shared.events.kinds import Fact, Instant, Key, Reason

MissedReason = Literal["nobody_home", "wrong_address", "moved", "refused_entry", "unsafe", "no_access", "not_attempted"]
WithdrawnReason = Literal["paid", "stopped", "recalled", "closed", "erased"]


class VisitAccepted(Fact, frozen=True, kw_only=True):
    """A hand-over became a visit, to be completed by `due_at` (two working days)."""

    visit_id: Key
    hand_over_id: Key
    case_id: Key
    customer_id: Key
    field_agent_id: Key
    phone_agent_id: Key
    team: Key
    handed_over_at: Instant
    due_at: Instant


class VisitPlanned(Fact, frozen=True, kw_only=True):
    """The visit stands in a filed plan: at least two people, a recorder, and hours."""

    visit_id: Key
    plan_id: Key
    case_id: Key
    customer_id: Key
    members: Annotated[tuple[Key, ...], Meta(min_length=2)]
    recorder_id: Key
    starts_at: Instant
    ends_at: Instant
    planned_at: Instant


class PlannedVisit(Struct, frozen=True, kw_only=True):
    """One line of a filed plan."""

    visit_id: Key
    case_id: Key
    starts_at: Instant
    ends_at: Instant
    due_at: Instant


class PlanFiled(Fact, frozen=True, kw_only=True):
    """A field collector filed a visit plan with the supervisor. Keyed by the field collector."""

    plan_id: Key
    field_agent_id: Key
    team: Key
    filed_at: Instant
    visits: tuple[PlannedVisit, ...]


class VisitStarted(Fact, frozen=True, kw_only=True):
    """The collectors are at the door."""

    visit_id: Key
    case_id: Key
    customer_id: Key
    started_at: Instant


class VisitCompleted(Fact, frozen=True, kw_only=True):
    """The visit was made; the administrative assistant is told at once."""

    visit_id: Key
    case_id: Key
    customer_id: Key
    field_agent_id: Key
    team: Key
    party: PartyCode
    outcome: OutcomeCode
    completed_at: Instant
    due_at: Instant
    on_time: bool


class VisitMissed(Fact, frozen=True, kw_only=True):
    """The collectors report that the visit could not be done; the administrative assistant is told at once."""

    visit_id: Key
    case_id: Key
    customer_id: Key
    field_agent_id: Key
    team: Key
    reason: MissedReason
    missed_at: Instant
    due_at: Instant


class VisitBreached(Fact, frozen=True, kw_only=True):
    """Not done in its expected time; the administrative assistant is told at once. It stays to be done."""

    visit_id: Key
    case_id: Key
    customer_id: Key
    field_agent_id: Key
    team: Key
    due_at: Instant
    breached_at: Instant


class VisitWithdrawn(Fact, frozen=True, kw_only=True):
    """The visit is not to be made any more: paid, stopped, recalled, closed, or the customer's address erased."""

    visit_id: Key
    case_id: Key
    customer_id: Key
    field_agent_id: Key
    team: Key
    reason: WithdrawnReason
    detail: Reason
    withdrawn_at: Instant
