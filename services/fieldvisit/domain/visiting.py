"""The steps of a visit after it was accepted: started, completed, not done, breached.

They are lettered in docs/lifecycles/visit.md.

Every step is decided by who holds the customer's row; `why_not_*` says what stands against it, the others take it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct, structs

from services.fieldvisit.domain.folds import with_outcome
from services.fieldvisit.domain.model import Customer, IncidentKind, Miss, Result, Visit
from services.fieldvisit.domain.refusals import by_rule, not_open, wrong_step
from services.fieldvisit.domain.rules import (
    Policy,
    Roster,
    local_day,
    may_visit,
    outcome_fits_party,
    team_is_fit,
)
from shared.errors import Problem
from shared.events.cases import OutcomeCode, PartyCode
from shared.events.visits import (
    MissedReason,
    VisitAccepted,
    VisitBreached,
    VisitCompleted,
    VisitMissed,
    VisitStarted,
)


class Report(Struct, frozen=True, kw_only=True):
    """What the collector reports of a visit that was made."""

    party: PartyCode
    outcome: OutcomeCode
    recorder_id: str
    incident: IncidentKind | None = None


def with_visit(customer: Customer, visit: Visit) -> Customer:
    """Return the customer with this state of the visit."""
    return structs.replace(customer, visits={**customer.visits, visit.hand_over_id: visit})


def accepted(visit: Visit) -> VisitAccepted:
    """Return the fact that a hand-over became a visit."""
    return VisitAccepted(
        visit_id=visit.visit_id,
        hand_over_id=visit.hand_over_id,
        case_id=visit.case_id,
        customer_id=visit.customer_id,
        field_agent_id=visit.field_agent_id,
        phone_agent_id=visit.phone_agent_id,
        team=visit.team,
        handed_over_at=visit.handed_over_at,
        due_at=visit.due_at,
    )


def why_not_start(customer: Customer, visit: Visit, roster: Roster, now: datetime, policy: Policy) -> Problem | None:
    """Say what stands against going to the door now: it ended, no plan, the team, the contact rules."""
    if (ended := not_open(visit)) is not None:
        return ended
    slot = visit.slot
    if visit.state != "planned" or slot is None:
        return wrong_step(visit)
    unfit = team_is_fit(visit, slot.members, local_day(now, customer, policy), roster)
    return unfit or by_rule(may_visit(customer, len(set(slot.members)), slot.address_id, now, None, policy))


def start(customer: Customer, visit: Visit, now: datetime) -> tuple[Customer, VisitStarted]:
    """The collectors are at the door."""
    after = structs.replace(visit, state="started", started_at=now, revision=visit.revision + 1)
    fact = VisitStarted(visit_id=visit.visit_id, case_id=visit.case_id, customer_id=visit.customer_id, started_at=now)
    return with_visit(customer, after), fact


def why_not_complete(visit: Visit, report: Report) -> Problem | None:
    """Say what stands against the report: it ended, was not started, or the outcome cannot come from that party."""
    if (ended := not_open(visit)) is not None:
        return ended
    return wrong_step(visit) if visit.state != "started" else outcome_fits_party(report.party, report.outcome)


def complete(customer: Customer, visit: Visit, report: Report, now: datetime) -> tuple[Customer, VisitCompleted]:
    """The visit was made. What was heard may stop the customer's other visits.

    A visit that has been reported as not done in time is never on time, not even at the very instant of its deadline.
    """
    on_time = now <= visit.due_at and visit.breached_at is None
    result = Result(report.party, report.outcome, now, on_time, report.recorder_id, report.incident)
    after = structs.replace(visit, state="completed", result=result, revision=visit.revision + 1)
    fact = VisitCompleted(
        visit_id=visit.visit_id,
        case_id=visit.case_id,
        customer_id=visit.customer_id,
        field_agent_id=visit.field_agent_id,
        team=visit.team,
        party=report.party,
        outcome=report.outcome,
        completed_at=now,
        due_at=visit.due_at,
        on_time=on_time,
    )
    return with_visit(with_outcome(customer, report.outcome, now), after), fact


def why_not_fail(visit: Visit) -> Problem | None:
    """Say what stands against reporting the visit as not done: it ended, or that has been reported already."""
    if (ended := not_open(visit)) is not None:
        return ended
    return wrong_step(visit) if visit.state == "missed" else None


def fail(
    customer: Customer, visit: Visit, reason: MissedReason, incident: IncidentKind | None, now: datetime
) -> tuple[Customer, VisitMissed]:
    """The visit could not be done; it leaves its plan and stays to be planned again."""
    misses = (*visit.misses, Miss(reason, now, incident))
    after = structs.replace(visit, state="missed", misses=misses, slot=None, revision=visit.revision + 1)
    fact = VisitMissed(
        visit_id=visit.visit_id,
        case_id=visit.case_id,
        customer_id=visit.customer_id,
        field_agent_id=visit.field_agent_id,
        team=visit.team,
        reason=reason,
        missed_at=now,
        due_at=visit.due_at,
    )
    return with_visit(customer, after), fact


def next_due(customer: Customer) -> datetime | None:
    """Return when the earliest open visit that was not reported late is due, or none."""
    return min((visit.due_at for visit in customer.visits.values() if _awaits(visit)), default=None)


def breach(customer: Customer, now: datetime) -> tuple[Customer, Sequence[VisitBreached]]:
    """Flag every open visit whose time has come, each once; the visits stay to be done."""
    late = [visit for visit in customer.visits.values() if _awaits(visit) and visit.due_at <= now]
    for visit in late:
        customer = with_visit(customer, structs.replace(visit, breached_at=now, revision=visit.revision + 1))
    return customer, [_breached(visit, now) for visit in late]


def _awaits(visit: Visit) -> bool:
    return visit.is_open and visit.breached_at is None


def _breached(visit: Visit, now: datetime) -> VisitBreached:
    return VisitBreached(
        visit_id=visit.visit_id,
        case_id=visit.case_id,
        customer_id=visit.customer_id,
        field_agent_id=visit.field_agent_id,
        team=visit.team,
        due_at=visit.due_at,
        breached_at=now,
    )
