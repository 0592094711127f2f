"""Staff: kept by a supervisor, told to the other services as facts."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from services.assignment import commands
from services.assignment.api.access import DeskReader, Id, Supervisor
from services.assignment.api.bodies import StaffBody
from services.assignment.domain.roster import Colleague
from services.assignment.store import staff
from shared.bus.unit_of_work import UnitOfWork
from shared.errors import Problem
from shared.events.kinds import Language, StaffRole
from shared.service import BusDep
from shared.web.auth import Principal, Role
from shared.web.etags import IfMatch, etag
from shared.web.paging import Page, PageRequest, page, paged

router = APIRouter(prefix="/v1/staff", tags=["staff"])


class LeaveView(BaseModel):
    """A leave, both days included."""

    first_day: date
    last_day: date


class StaffView(BaseModel):
    """A colleague; the e-mail address is shown to supervisors only."""

    staff_id: str
    version: int
    changed_at: datetime
    name: str
    role: StaffRole
    team: str
    areas: list[str]
    languages: list[Language]
    skills: list[str]
    email: str | None
    leave: list[LeaveView]
    insured_until: date | None
    recorder_id: str | None
    active: bool
    capacity: int | None


@router.put(
    "/{staff_id}",
    summary="登记或更新同事 / keep a colleague's record",
    responses={201: {"model": StaffView, "description": "新登记 / a new colleague"}},
)
async def put_staff(
    who: Supervisor, bus: BusDep, staff_id: Id, body: StaffBody, response: Response, if_match: IfMatch = None
) -> StaffView:
    """Keep the whole record; a change needs the ETag of the record that was seen."""

    async def act(uow: UnitOfWork) -> tuple[Colleague, bool]:
        return await commands.put_staff(uow, body.colleague(staff_id, uow.now), who.team, if_match)

    kept, new = await bus.transact(act)
    response.status_code = 201 if new else 200
    response.headers["etag"] = etag(kept.version)
    return _view(kept, who)


@router.get("", summary="同事列表 / colleagues by id")
async def list_staff(
    who: DeskReader,
    bus: BusDep,
    request: Request,
    asked: Annotated[PageRequest, paged(str)],
    role: StaffRole | None = None,
) -> Page[StaffView]:
    """List the colleagues of the caller's team (of all teams for a supervisor without one)."""
    after = asked.after[0] if asked.after else None
    async with bus.reading() as connection:
        rows = await staff.page(connection, _team(who), role, after, asked.fetch)
    shown, following = page(rows, asked, lambda each: (each.staff_id,), request.url)
    return Page(items=[_view(each, who) for each in shown], next=following)


@router.get("/{staff_id}", summary="同事资料 / one colleague")
async def read_staff(who: DeskReader, bus: BusDep, staff_id: Id, response: Response) -> StaffView:
    """Show a colleague of the caller's team."""
    async with bus.reading() as connection:
        found = (await staff.colleagues(connection, [staff_id])).get(staff_id)
    if found is None or _team(who) not in (None, found.team):
        raise Problem("not_found", "没有这位同事，或不在您的团队。", "There is no such colleague in your team.")
    response.headers["etag"] = etag(found.version)
    return _view(found, who)


def _team(who: Principal) -> str | None:
    """Return whose colleagues the caller sees; None, a supervisor without a team: everybody's. No team is empty."""
    return who.team if who.team is not None or who.has(Role.SUPERVISOR) else ""


def _view(colleague: Colleague, who: Principal) -> StaffView:
    return StaffView(
        staff_id=colleague.staff_id,
        version=colleague.version,
        changed_at=colleague.changed_at,
        name=colleague.name,
        role=colleague.role,
        team=colleague.team,
        areas=list(colleague.areas),
        languages=list(colleague.languages),
        skills=list(colleague.skills),
        email=colleague.email if who.has(Role.SUPERVISOR) else None,
        leave=[LeaveView(first_day=each.first_day, last_day=each.last_day) for each in colleague.leave],
        insured_until=colleague.insured_until,
        recorder_id=colleague.recorder_id,
        active=colleague.active,
        capacity=colleague.capacity,
    )
