"""The worklist: what comes first and why, and the case that lies on a collector's desk."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel

from services.assignment import commands
from services.assignment.api.access import DeskDep, DeskReader, PhoneAgent, scope_of
from services.assignment.api.bodies import NothingBody, ReleaseBody
from services.assignment.api.views import WorkItem, work_item
from services.assignment.domain.worklist import place_of
from services.assignment.store import worklists
from services.assignment.store.customers import Held
from shared.bus.unit_of_work import UnitOfWork
from shared.service import BusDep
from shared.web.paging import Page, PageRequest, Position, page, paged

router = APIRouter(prefix="/v1/worklist", tags=["worklist"])


class NextAnswer(BaseModel):
    """The case on the caller's desk until `leased_until` (machine's clock); null when there is nothing to do now."""

    case: WorkItem | None
    leased_until: datetime | None


class ReleaseAnswer(BaseModel):
    """The case was put aside."""

    case_id: str
    released: bool


@router.get("", summary="作业清单 / the worklist, first things first")
async def read_worklist(
    who: DeskReader, bus: BusDep, request: Request, asked: Annotated[PageRequest, paged(int, str, int, str)]
) -> Page[WorkItem]:
    """List the caller's own cases (the team's for a supervisor), ranked, with the reasons of the rank in words."""
    async with bus.reading() as connection:
        rows = await worklists.worklist_page(connection, scope_of(who), asked.after, asked.fetch)
    shown, following = page(rows, asked, _position, request.url)
    return Page(items=[work_item(held) for held in shown], next=following)


@router.post("/next", summary="取下一个案件 / take the next case")
async def take_next(who: PhoneAgent, bus: BusDep, desk: DeskDep, body: NothingBody) -> NextAnswer:
    """Put the first free own case on the desk; asked again, the same one until it is logged or put aside."""

    async def act(uow: UnitOfWork) -> Held | None:
        return await commands.take_next(uow, desk, who.subject)

    held = await bus.transact(act)
    return NextAnswer(case=work_item(held) if held else None, leased_until=held.leased_until if held else None)


@router.post("/release", summary="放回案件 / put a case aside")
async def release(who: PhoneAgent, bus: BusDep, desk: DeskDep, body: ReleaseBody) -> ReleaseAnswer:
    """Put the case on the desk aside without a contact; the reason is kept."""

    async def act(uow: UnitOfWork) -> None:
        await commands.release(uow, desk, who.subject, body.case_id, body.reason)

    await bus.transact(act)
    return ReleaseAnswer(case_id=body.case_id, released=True)


def _position(held: Held) -> Position:
    place = place_of(held.customer)
    return place.rank, place.currency, place.owed, held.customer.customer_id
