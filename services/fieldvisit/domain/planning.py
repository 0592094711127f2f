"""May this visit stand in the plan? Rules of one line of a plan, asked in turn; the first that speaks refuses it.

A line that is refused never touches the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct, structs

from services.fieldvisit.domain.model import Customer, Slot, Visit
from services.fieldvisit.domain.refusals import by_rule, not_open, refused, wrong_step
from services.fieldvisit.domain.rules import Policy, Roster, local_day, may_visit, team_is_fit, zone_of
from services.fieldvisit.domain.visiting import with_visit
from shared.errors import Problem
from shared.events.contacts import Address, AtHome
from shared.events.visits import PlannedVisit, VisitPlanned

LONGEST: Final = timedelta(hours=12)
FURTHEST: Final = timedelta(days=14)
"""A plan is of the coming days: a late visit has no deadline left that would keep it from being put off for ever."""


class Line(Struct, frozen=True, kw_only=True):
    """One line of a plan as the field collector wrote it; without `address_id` it goes to the home address."""

    visit_id: str
    starts_at: datetime
    ends_at: datetime
    members: tuple[str, ...]
    recorder_id: str
    address_id: str | None = None
    hazard_acknowledged: bool = False
    outside_window_reason: str | None = None


class Engagement(Struct, frozen=True):
    """A visit for which people are booked already."""

    visit_id: str
    members: tuple[str, ...]
    starts_at: datetime
    ends_at: datetime


class Proposal(Struct, frozen=True, kw_only=True):
    """A line with all that its rules look at. `address`: where it would go, none when that is not known."""

    line: Line
    visit: Visit
    customer: Customer
    address: Address | None
    roster: Roster
    engagements: Sequence[Engagement]
    now: datetime
    policy: Policy


def why_not_plan(proposal: Proposal) -> Problem | None:
    """Return the first rule's refusal, or none when the visit may be planned so."""
    return next((refusal for rule in RULES if (refusal := rule(proposal)) is not None), None)


def visit_is_to_be_planned(proposal: Proposal) -> Problem | None:
    """Only an open visit that nobody has begun is planned; planning it again replaces its plan."""
    visit = proposal.visit
    return not_open(visit) or (wrong_step(visit) if visit.state == "started" else None)


def hours_make_sense(proposal: Proposal) -> Problem | None:
    """It starts within the coming two weeks, ends after it starts, and lasts at most twelve hours."""
    line = proposal.line
    if line.starts_at <= proposal.now:
        return refused(
            "start_in_past",
            "starts_at",
            ("开始时间不在将来", "it does not start in the future"),
            ("请填写将来的时间", "give a time that is still to come"),
        )
    if line.starts_at > proposal.now + FURTHEST:
        return refused(
            "hours_invalid",
            "starts_at",
            (f"开始时间在 {FURTHEST.days} 天以后", f"it starts more than {FURTHEST.days} days from now"),
            ("请提前", "plan it earlier"),
        )
    if not timedelta(0) < line.ends_at - line.starts_at <= LONGEST:
        return refused(
            "hours_invalid",
            "ends_at",
            ("结束时间须晚于开始时间且不超过 12 小时", "it must end after it starts and within 12 hours"),
            ("请更正结束时间", "correct the end"),
        )
    return None


def done_within_two_working_days(proposal: Proposal) -> Problem | None:
    """It ends by the deadline. One that is late already has been reported and stays to be done."""
    visit = proposal.visit
    if proposal.now >= visit.due_at or proposal.line.ends_at <= visit.due_at:
        return None
    deadline = visit.due_at.astimezone(ZoneInfo(zone_of(proposal.customer, proposal.policy)))
    return refused(
        "beyond_due",
        "ends_at",
        (f"计划晚于期限 {deadline:%Y-%m-%d %H:%M}", f"the plan ends after the deadline, {deadline:%Y-%m-%d %H:%M}"),
        ("请提前，或向主管申请延期", "plan it earlier, or apply to the supervisor for an extension"),
    )


def team_is_fit_on_the_day(proposal: Proposal) -> Problem | None:
    """At least two active field collectors go, none of them on leave or uninsured on that day."""
    day = local_day(proposal.line.starts_at, proposal.customer, proposal.policy)
    return team_is_fit(proposal.visit, proposal.line.members, day, proposal.roster)


def address_is_known(proposal: Proposal) -> Problem | None:
    """Nobody is sent to an address that the customer's contacts do not hold."""
    if proposal.address is not None:
        return None
    return refused(
        "address_unknown",
        "address_id",
        ("没有该客户的这个地址", "the customer has no such address"),
        (
            "请选用外访详情中列出的地址，或先核实地址",
            "use one that the visit lists, or have the address verified first",
        ),
    )


def hazard_is_acknowledged(proposal: Proposal) -> Problem | None:
    """Whoever plans to go where a hazard is known says that it was seen."""
    address = proposal.address
    if address is None or address.hazard is None or proposal.line.hazard_acknowledged:
        return None
    return refused(
        "hazard_not_acknowledged",
        "hazard_acknowledged",
        ("该地址有已知危险，尚未确认", "the address has a known hazard that was not acknowledged"),
        ("请阅读危险提示后以 hazard_acknowledged: true 提交", "read the hazard, then send hazard_acknowledged: true"),
    )


def customer_is_at_home(proposal: Proposal) -> Problem | None:
    """It starts when the customer is usually at home, or the line says why not."""
    reach, line = proposal.customer.reach, proposal.line
    if reach is None or not reach.at_home or (line.outside_window_reason or "").strip():
        return None
    local = line.starts_at.astimezone(ZoneInfo(zone_of(proposal.customer, proposal.policy)))
    if any(_within(local, window) for window in reach.at_home):
        return None
    return refused(
        "outside_at_home",
        "starts_at",
        ("开始时间不在客户通常在家的时段", "it starts when the customer is usually not at home"),
        ("请改时间，或在 outside_window_reason 说明理由", "choose another time, or give outside_window_reason"),
    )


def nobody_is_in_two_places(proposal: Proposal) -> Problem | None:
    """No member is booked for another visit in those hours."""
    line = proposal.line
    for other in proposal.engagements:
        apart = line.ends_at <= other.starts_at or other.ends_at <= line.starts_at
        if other.visit_id != line.visit_id and not apart and (both := set(line.members) & set(other.members)):
            names = ", ".join(sorted(both))
            return refused(
                "overlap",
                "starts_at",
                (f"{names} 在该时段已有其他外访", f"already booked for another visit in those hours: {names}"),
                ("请错开时间或换人", "choose other hours or other people"),
            )
    return None


def contact_rules_allow_it(proposal: Proposal) -> Problem | None:
    """Night, stops, refused visits and the size of the team, by the rule packs in force on that day."""
    line, address = proposal.line, proposal.address
    if address is None:
        return None
    team = len(set(line.members))
    decision = may_visit(proposal.customer, team, address.address_id, line.starts_at, line.ends_at, proposal.policy)
    return by_rule(decision)


RULES: Final[tuple[Callable[[Proposal], Problem | None], ...]] = (
    visit_is_to_be_planned,
    hours_make_sense,
    contact_rules_allow_it,
    done_within_two_working_days,
    team_is_fit_on_the_day,
    address_is_known,
    hazard_is_acknowledged,
    customer_is_at_home,
    nobody_is_in_two_places,
)


def address_of(customer: Customer, address_id: str | None) -> Address | None:
    """Return the address of that id; without one the home address, else the first; none when it is not known."""
    addresses = customer.reach.addresses if customer.reach else ()
    if address_id is not None:
        return next((address for address in addresses if address.address_id == address_id), None)
    home = (address for address in addresses if address.kind == "home")
    return next(home, addresses[0] if addresses else None)


def plan(proposal: Proposal, plan_id: str) -> tuple[Customer, VisitPlanned]:
    """The visit stands in the plan. Raises `ValueError` without an address, which no rule lets through."""
    line, visit, address = proposal.line, proposal.visit, proposal.address
    if address is None:
        raise ValueError("a visit is planned to an address")
    slot = Slot(plan_id, line.members, line.recorder_id, address.address_id, line.starts_at, line.ends_at)
    after = structs.replace(visit, state="planned", slot=slot, revision=visit.revision + 1)
    fact = VisitPlanned(
        visit_id=visit.visit_id,
        plan_id=plan_id,
        case_id=visit.case_id,
        customer_id=visit.customer_id,
        members=line.members,
        recorder_id=line.recorder_id,
        starts_at=line.starts_at,
        ends_at=line.ends_at,
        planned_at=proposal.now,
    )
    return with_visit(proposal.customer, after), fact


def planned_line(fact: VisitPlanned, due_at: datetime) -> PlannedVisit:
    """Return the line of the filing for a visit that was planned."""
    return PlannedVisit(
        visit_id=fact.visit_id,
        case_id=fact.case_id,
        starts_at=fact.starts_at,
        ends_at=fact.ends_at,
        due_at=due_at,
    )


def _within(local: datetime, window: AtHome) -> bool:
    return local.weekday() in window.weekdays and window.since <= f"{local:%H:%M}" < window.until
