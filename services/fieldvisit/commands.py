"""What people do with visits: each decided again at that moment, under the customer's row lock, and told as facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct, structs

from services.fieldvisit import store
from services.fieldvisit.desk import Desk
from services.fieldvisit.domain import planning, visiting
from services.fieldvisit.domain.model import Customer, IncidentKind, Visit
from services.fieldvisit.domain.planning import Engagement, Line, Proposal
from services.fieldvisit.domain.refusals import (
    customer_blocked,
    duplicate_line,
    no_such_visit,
    only_the_owner_acts,
)
from services.fieldvisit.domain.rules import Roster
from services.fieldvisit.domain.visiting import Report
from services.fieldvisit.domain.withdrawing import settle
from services.fieldvisit.recording import Telling, record
from services.fieldvisit.store import Change, Held
from shared.bus.unit_of_work import UnitOfWork
from shared.errors import Problem
from shared.events.kinds import Fact
from shared.events.visits import MissedReason, PlanFiled, PlannedVisit, VisitPlanned
from shared.ids import uuid7
from shared.web.etags import check_if_match

Decided = tuple[Visit, Customer]


class Acting(Struct, frozen=True):
    """Who acts on which visit, and the ETag of what was seen, if it was sent."""

    visit_id: str
    staff_id: str
    if_match: str | None = None


class Words(Struct, frozen=True):
    """What the collector wrote; kept here and never told."""

    note: str | None = None
    incident_note: str | None = None


async def start(uow: UnitOfWork, desk: Desk, acting: Acting) -> Decided:
    """Begin a planned visit. Raises `Problem` when it may not be made now."""
    held, visit = await _own_visit(uow, acting)
    if await uow.blocked_keys([visit.customer_id]):
        raise customer_blocked()
    _refuse((await uow.unread_keys([visit.customer_id])).get(visit.customer_id))
    roster = await store.roster(uow.connection, visit.people)
    _refuse(visiting.why_not_start(held.customer, visit, roster, uow.now, desk.policy))
    after, fact = visiting.start(held.customer, visit, uow.now)
    return await _recorded(uow, held, after, visit, (fact,))


async def complete(uow: UnitOfWork, acting: Acting, report: Report, words: Words) -> Decided:
    """Report a visit that was made; what was heard may end the customer's other visits. Raises `Problem`."""
    held, visit = await _own_visit(uow, acting)
    _refuse(visiting.why_not_complete(visit, report))
    after, fact = visiting.complete(held.customer, visit, report, uow.now)
    after, withdrawn = settle(after, uow.now)
    decided = await _recorded(uow, held, after, visit, (fact, *withdrawn))
    await _keep(uow, acting, "completed", words)
    return decided


async def fail(
    uow: UnitOfWork, acting: Acting, reason: MissedReason, incident: IncidentKind | None, words: Words
) -> Decided:
    """Report that a visit could not be done. Raises `Problem`."""
    held, visit = await _own_visit(uow, acting)
    _refuse(visiting.why_not_fail(visit))
    after, fact = visiting.fail(held.customer, visit, reason, incident, uow.now)
    decided = await _recorded(uow, held, after, visit, (fact,))
    await _keep(uow, acting, "missed", words)
    return decided


async def _own_visit(uow: UnitOfWork, acting: Acting) -> tuple[Held, Visit]:
    """Lock the customer of a visit that the caller is to act on."""
    customer_id = (await store.customers_of(uow.connection, [acting.visit_id])).get(acting.visit_id)
    if customer_id is None:
        raise no_such_visit()
    held = (await store.load_customers(uow.connection, [customer_id]))[customer_id]
    visit = held.customer.visit(acting.visit_id)
    if visit is None or acting.staff_id not in visit.people:
        raise no_such_visit()
    if acting.staff_id != visit.field_agent_id:
        raise only_the_owner_acts()
    check_if_match(acting.if_match, visit.revision, required=False)
    return held, visit


def _refuse(problem: Problem | None) -> None:
    if problem is not None:
        raise problem


async def _recorded(uow: UnitOfWork, held: Held, after: Customer, visit: Visit, facts: Sequence[Fact]) -> Decided:
    await record(uow, [Change(held, after)], [Telling(fact) for fact in facts])
    return after.visits[visit.hand_over_id], after


async def _keep(uow: UnitOfWork, acting: Acting, about: str, words: Words) -> None:
    written = [(about, words.note), ("incident", words.incident_note)]
    texts = [(what, text) for what, text in written if text is not None and text.strip()]
    await store.save_notes(uow.connection, acting.visit_id, acting.staff_id, uow.now, texts)


class Filing(Struct, frozen=True):
    """A plan as it was filed. `plan_id`: none when no line could be planned; `refusals`: by the line's number."""

    plan_id: str | None
    filed_at: datetime
    refusals: Mapping[int, Problem]


async def file_plan(uow: UnitOfWork, desk: Desk, planner: str, lines: Mapping[int, Line]) -> Filing:
    """File the lines that may be planned, each decided on its own; `lines` by their number in the request.

    Customers are held first, then the colleagues, so that two plans never book one person for the same hours.
    """
    customer_of = await store.customers_of(uow.connection, (line.visit_id for line in lines.values()))
    held = await store.load_customers(uow.connection, customer_of.values())
    people = {planner, *(member for line in lines.values() for member in line.members)}
    roster = await store.lock_roster(uow.connection, people)
    booked = await store.engagements(uow.connection, people, uow.now)
    barred = {**await uow.unread_keys(held), **dict.fromkeys(await uow.blocked_keys(held), customer_blocked())}
    draft = _Draft(uow.now, desk, planner, roster, {key: each.customer for key, each in held.items()}, booked)
    for number, line in lines.items():
        draft.take(number, line, customer_of.get(line.visit_id), barred)
    if draft.planned:
        await _file(uow, draft, held)
    return Filing(draft.plan_id if draft.planned else None, uow.now, draft.refusals)


class _Draft:
    """A plan while its lines are decided one after the other; each sees what the earlier ones booked."""

    def __init__(
        self,
        now: datetime,
        desk: Desk,
        planner: str,
        roster: Roster,
        customers: dict[str, Customer],
        booked: Sequence[Engagement],
    ) -> None:
        self.now = now
        self.desk = desk
        self.planner = planner
        self.roster = roster
        self.customers = customers
        self.booked = {engagement.visit_id: engagement for engagement in booked}
        self.plan_id = str(uuid7())
        self.planned: dict[str, tuple[Line, VisitPlanned, PlannedVisit]] = {}
        self.refusals: dict[int, Problem] = {}

    def take(self, number: int, line: Line, customer_id: str | None, barred: Mapping[str, Problem]) -> None:
        """Plan one line or note why not."""
        customer = self.customers.get(customer_id or "")
        visit = customer.visit(line.visit_id) if customer else None
        if customer is None or visit is None or visit.field_agent_id != self.planner:
            self.refusals[number] = no_such_visit()
        elif line.visit_id in self.planned:
            self.refusals[number] = duplicate_line()
        elif customer.customer_id in barred:
            self.refusals[number] = barred[customer.customer_id]
        else:
            self._decide(number, line, customer, visit)

    def _decide(self, number: int, line: Line, customer: Customer, visit: Visit) -> None:
        proposal = Proposal(
            line=line,
            visit=visit,
            customer=customer,
            address=planning.address_of(customer, line.address_id),
            roster=self.roster,
            engagements=list(self.booked.values()),
            now=self.now,
            policy=self.desk.policy,
        )
        refusal = planning.why_not_plan(proposal)
        if refusal is not None:
            self.refusals[number] = refusal
            return
        after, fact = planning.plan(proposal, self.plan_id)
        self.customers[customer.customer_id] = after
        self.booked[line.visit_id] = Engagement(line.visit_id, line.members, line.starts_at, line.ends_at)
        self.planned[line.visit_id] = line, fact, planning.planned_line(fact, visit.due_at)


async def _file(uow: UnitOfWork, draft: _Draft, held: Mapping[str, Held]) -> None:
    """Write the visits that were planned, and file the plan with the supervisor."""
    team = draft.roster[draft.planner].team
    changes = [Change(held[key], after) for key, after in draft.customers.items() if after != held[key].customer]
    filing = PlanFiled(
        plan_id=draft.plan_id,
        field_agent_id=draft.planner,
        team=team,
        filed_at=uow.now,
        visits=tuple(filed for _, _, filed in draft.planned.values()),
    )
    facts: list[Fact] = [fact for _, fact, _ in draft.planned.values()]
    await record(uow, changes, [Telling(fact) for fact in (*facts, filing)])
    rows = [_plan_line(line, filed) for line, _, filed in draft.planned.values()]
    await store.save_plan(uow.connection, draft.plan_id, draft.planner, team, uow.now, rows)


def _plan_line(line: Line, filed: PlannedVisit) -> dict[str, Any]:
    return {**structs.asdict(line), "case_id": filed.case_id, "due_at": filed.due_at}
