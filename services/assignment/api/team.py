"""What a supervisor sees of the team: who has how many cases, and which cases changed hands and why."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from services.assignment.api.access import DeskDep, Supervisor, scope_of
from services.assignment.domain.policy import Policy
from services.assignment.domain.roster import Colleague, back_at_work, on_leave
from services.assignment.store import customers, staff, worklists
from shared.service import BusDep
from shared.web.paging import Page, PageRequest, page, paged

router = APIRouter(prefix="/v1", tags=["team"])


class WorkloadView(BaseModel):
    """A phone collector's open cases beside the capacity; `back_on`: the first day at work again, if on leave."""

    staff_id: str
    name: str
    team: str
    active: bool
    open_cases: int
    capacity: int = Field(description="本人上限，否则按策略 / the own number, else the strategy's")
    above_capacity: bool
    on_leave: bool
    back_on: date | None


class ReassignmentView(BaseModel):
    """A case that one collector took over from another; `reasons` are codes, the words say them."""

    case_id: str
    customer_id: str
    at: datetime
    from_staff_id: str
    to_staff_id: str
    team: str
    reasons: list[str]
    zh: str
    en: str
    by: str | None = Field(description="指定的主管；空：系统 / the supervisor who said so; null: by itself")


@router.get("/workload", summary="催收员负荷 / who has how many cases")
async def read_workload(
    who: Supervisor, bus: BusDep, desk: DeskDep, request: Request, asked: Annotated[PageRequest, paged(str)]
) -> Page[WorkloadView]:
    """List the team's phone collectors with their open cases, by id."""
    after = asked.after[0] if asked.after else None
    async with bus.reading() as connection:
        rows = await staff.page(connection, who.team, "phone_agent", after, asked.fetch)
        loads = await customers.loads(connection)
    shown, following = page(rows, asked, lambda each: (each.staff_id,), request.url)
    today = desk.policy.day_of(bus.clock.now())
    items = [_workload(each, loads.get(each.staff_id, 0), desk.policy, today) for each in shown]
    return Page(items=items, next=following)


@router.get("/reassignments", summary="改派记录 / which cases changed hands, newest first")
async def list_reassignments(
    who: Supervisor, bus: BusDep, request: Request, asked: Annotated[PageRequest, paged(datetime, str, int)]
) -> Page[ReassignmentView]:
    """List the cases that came to, or went from, the team's collectors: by itself or on a supervisor's word."""
    async with bus.reading() as connection:
        rows = await worklists.reassignments(connection, scope_of(who), asked.after, asked.fetch)
    shown, following = page(rows, asked, lambda row: (row["at"], row["customer_id"], row["seq"]), request.url)
    return Page(items=[_reassignment(row) for row in shown], next=following)


def _workload(colleague: Colleague, load: int, policy: Policy, today: date) -> WorkloadView:
    own, away = colleague.capacity, on_leave(colleague, today)
    capacity = policy.strategy.staffing.capacity if own is None else own
    return WorkloadView(
        staff_id=colleague.staff_id,
        name=colleague.name,
        team=colleague.team,
        active=colleague.active,
        open_cases=load,
        capacity=capacity,
        above_capacity=load > capacity,
        on_leave=away,
        back_on=back_at_work(colleague, today) if away else None,
    )


def _reassignment(row: dict[str, Any]) -> ReassignmentView:
    data = row["data"]
    return ReassignmentView(
        case_id=row["case_id"],
        customer_id=row["customer_id"],
        at=row["at"],
        from_staff_id=data["earlier_staff_id"],
        to_staff_id=data["staff_id"],
        team=data["team"],
        reasons=data["reasons"].split(","),
        zh=row["zh"],
        en=row["en"],
        by=data.get("by"),
    )
