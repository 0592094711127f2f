"""What holds for every visit, at planning and again at the door. Each rule is a sentence and stands alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from services.fieldvisit.domain.model import Customer, Visit
from services.fieldvisit.domain.refusals import refused
from shared.errors import Problem
from shared.events.cases import OutcomeCode, PartyCode
from shared.events.staff import StaffChanged
from shared.rules.contact import Attempt, ContactLedger, ContactRequest, Decision, decide
from shared.rules.outcomes import OUTCOMES_OF, is_right_party
from shared.rules.rulebook import RuleBook
from shared.rules.stops import active
from shared.rules.zones import customer_zone

Roster = Mapping[str, StaffChanged]
"""What is known of colleagues, by staff id."""

SMALLEST_TEAM: Final = 2
"""A planned visit names at least so many people, whatever packs are in force (cn-card.visit_team is the law for it)."""


class Policy(Struct, frozen=True):
    """What this deployment goes by: the rule book, and the zone of customers whose own is not known."""

    book: RuleBook
    zone: str


def zone_of(customer: Customer, policy: Policy) -> str:
    """Return the zone whose clock the customer lives by."""
    return customer_zone(customer.reach.time_zone if customer.reach else None, None, policy.zone)


def may_visit(
    customer: Customer, team_size: int, address_id: str, at: datetime, ends_at: datetime | None, policy: Policy
) -> Decision:
    """Ask the contact rules whether a team of that size may visit from `at` on (planned: until `ends_at`)."""
    reach = customer.reach
    request = ContactRequest(
        channel="visit",
        purpose="collection",
        at=at,
        ends_at=ends_at,
        zone=zone_of(customer, policy),
        method=address_id,
        stops=active(customer.stops),
        refused_channels=frozenset(reach.refused_channels) if reach else frozenset(),
        consents=frozenset({"night_contact"} if reach and reach.night_contact_consent else ()),
        team_size=team_size,
    )
    return decide(request, visits_made(customer), policy.book)


def visits_made(customer: Customer) -> ContactLedger:
    """Return the visits to the customer so far as the contact ledger of this service."""
    ledger = ContactLedger()
    for visit in customer.visits.values():
        if visit.started_at is not None and visit.slot is not None:
            spoke = visit.result is not None and is_right_party(visit.result.party, visit.result.outcome)
            ledger = ledger.with_attempt(Attempt(visit.started_at, "visit", visit.slot.address_id, spoke))
    return ledger


def team_is_fit(visit: Visit, members: Sequence[str], day: date, roster: Roster) -> Problem | None:
    """At least two people go, the visit's own collector among them, each fit for duty on that day."""
    if visit.field_agent_id not in members:
        return refused(
            "team_unfit",
            "members",
            ("负责该外访的催收员不在同行名单中", "the visit's own field collector is not among the members"),
            ("请把本人列入 members", "name yourself among the members"),
        )
    if len(set(members)) < SMALLEST_TEAM or len(set(members)) != len(members):
        return refused(
            "team_unfit",
            "members",
            ("外访须由至少两名不同的人员共同进行", "a visit is made by at least two different people together"),
            ("请列出至少两名不同的外访催收员", "name at least two different field collectors"),
        )
    return next((fault for member in members if (fault := fit_for_duty(member, day, roster)) is not None), None)


def fit_for_duty(staff_id: str, day: date, roster: Roster) -> Problem | None:
    """A member is an active field collector, not on leave and insured on the day."""
    colleague = roster.get(staff_id)
    if colleague is None or not colleague.active or colleague.role != "field_agent":
        fault = f"{staff_id} 不是在岗的外访催收员", f"colleague {staff_id} is not an active field collector"
        remedy = "请改派其他外访催收员", "name another field collector"
    elif any(leave.first_day <= day <= leave.last_day for leave in colleague.leave):
        fault = f"{staff_id} 在 {day} 休假", f"colleague {staff_id} is on leave on {day}"
        remedy = "请改派同事或改日", "name a colleague or another day"
    elif colleague.insured_until is None or colleague.insured_until < day:
        fault = f"{staff_id} 在 {day} 没有有效的意外保险", f"colleague {staff_id} is not insured on {day}"
        remedy = "请主管先办理保险", "have the supervisor renew the insurance first"
    else:
        return None
    return refused("team_unfit", "members", fault, remedy)


def local_day(instant: datetime, customer: Customer, policy: Policy) -> date:
    """Return the customer's local day of an instant."""
    return instant.astimezone(ZoneInfo(zone_of(customer, policy))).date()


def outcome_fits_party(party: PartyCode, outcome: OutcomeCode) -> Problem | None:
    """The outcome is one that meeting such a person can have."""
    allowed = OUTCOMES_OF[party]
    if outcome in allowed:
        return None
    codes = ", ".join(sorted(allowed))
    return refused(
        "outcome_does_not_fit",
        "outcome",
        (f"接触对象为 {party} 时结果不能是 {outcome}", f"outcome {outcome} cannot come from party {party}"),
        (f"请改用 {codes}，或更正接触对象", f"use one of {codes}, or correct the party"),
    )
