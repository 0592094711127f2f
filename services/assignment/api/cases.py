"""Cases: what they are now, what happened, and what supervisors decide about them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from services.assignment import commands
from services.assignment.api.access import DeskDep, DeskReader, Id, PhoneAgent, Supervisor, own, scope_of
from services.assignment.api.answers import decide
from services.assignment.api.bodies import AssignmentBody, Key, ReasonBody
from services.assignment.api.views import (
    CaseView,
    CustomerView,
    EntryView,
    WorkItem,
    case_view,
    customer_view,
    work_item,
)
from services.assignment.commands import Acting
from services.assignment.domain.handover import erased, unknown_case
from services.assignment.store import worklists
from services.assignment.store.worklists import Filters
from shared.bus.unit_of_work import UnitOfWork
from shared.errors import Problem
from shared.events.cases import ProposedQueue, Queue
from shared.events.kinds import Bucket, Grade
from shared.service import BusDep
from shared.web.etags import IfMatch, etag
from shared.web.idempotency import SentCommand
from shared.web.paging import Page, PageRequest, page, paged

router = APIRouter(prefix="/v1/cases", tags=["cases"])


@router.get("", summary="案件列表 / cases by customer")
async def list_cases(  # noqa: PLR0913 - each filter is an argument
    who: DeskReader,
    bus: BusDep,
    request: Request,
    asked: Annotated[PageRequest, paged(str)],
    status: Annotated[str | None, Query(pattern="^(open|closed)$")] = None,
    queue: Queue | None = None,
    bucket: Bucket | None = None,
    grade: Grade | None = None,
    collector: Key | None = None,
    customer_id: Key | None = None,
    proposed: ProposedQueue | None = None,
    *,
    unassigned: bool = False,
) -> Page[WorkItem]:
    """List the newest case of each customer in the caller's scope."""
    filters = Filters(status, queue, bucket, grade, collector, unassigned, customer_id, proposed)
    after = asked.after[0] if asked.after else None
    async with bus.reading() as connection:
        rows = await worklists.cases_page(connection, scope_of(who), filters, after, asked.fetch)
    shown, following = page(rows, asked, lambda held: (held.customer.customer_id,), request.url)
    return Page(items=[work_item(held) for held in shown], next=following)


@router.get("/{case_id}", summary="案件详情 / one case")
async def read_case(who: DeskReader, bus: BusDep, desk: DeskDep, case_id: Id, response: Response) -> CaseView:
    """Show a case as it is now; the customer's name and numbers are masked."""
    async with bus.reading() as connection:
        held = await worklists.case(connection, scope_of(who), case_id)
    if held is None:
        raise unknown_case()
    response.headers["etag"] = etag(held.version)
    return case_view(held, desk.policy, bus.clock.now())


@router.get("/{case_id}/contact-details", summary="联系方式（明文）/ how to reach the customer, unmasked")
async def read_contact_details(who: PhoneAgent, bus: BusDep, desk: DeskDep, case_id: Id) -> CustomerView:
    """Show name and numbers to the collector of an open case; the read is recorded."""

    async def act(uow: UnitOfWork) -> CustomerView:
        held = await worklists.case(uow.connection, own(who), case_id)
        if held is None or held.customer.open_case is None:
            raise unknown_case()
        shown = customer_view(held.customer, masked=False)
        if held.customer.erased:
            raise erased()
        if shown is None:
            raise Problem("not_found", "尚未收到客户资料。", "The customer's contacts have not come yet.")
        await worklists.save_personal_data_read(uow.connection, who.subject, case_id, desk.machine.now())
        return shown

    return await bus.transact(act)


@router.get("/{case_id}/timeline", summary="案件时间线 / what happened, in order")
async def read_timeline(
    who: DeskReader, bus: BusDep, request: Request, case_id: Id, asked: Annotated[PageRequest, paged(int)]
) -> Page[EntryView]:
    """List what happened to a case, in the order in which it became known here; earlier episodes can be read too."""
    after = asked.after[0] if asked.after else None
    async with bus.reading() as connection:
        if await worklists.customer_of_case(connection, scope_of(who), case_id) is None:
            raise unknown_case()
        rows = await worklists.timeline(connection, case_id, after, asked.fetch)
    shown, following = page(rows, asked, lambda row: (row["seq"],), request.url)
    return Page(items=[EntryView.model_validate(row) for row in shown], next=following)


@router.post(
    "/{case_id}/waivers", summary="准予例外 / waive should-rules today", status_code=201, response_model=CaseView
)
async def waive(
    who: Supervisor,
    bus: BusDep,
    desk: DeskDep,
    case_id: Id,
    body: ReasonBody,
    command: SentCommand,
    if_match: IfMatch = None,
) -> Response:
    """Let this case pass the should-rules today, with a recorded reason; must-rules hold all the same."""
    acting = Acting(case_id, scope_of(who), if_match)
    return await decide(
        bus, desk, command, lambda uow: commands.waive(uow, desk, acting, who.subject, body.reason), status=201
    )


@router.post("/{case_id}/recall", summary="撤回外访、法务或委外 / take the case back", response_model=CaseView)
async def recall(
    who: Supervisor,
    bus: BusDep,
    desk: DeskDep,
    case_id: Id,
    body: ReasonBody,
    command: SentCommand,
    if_match: IfMatch = None,
) -> Response:
    """Recall a case from the field, from law or an agency; a visit that has not been made is withdrawn."""
    acting = Acting(case_id, scope_of(who), if_match)
    return await decide(bus, desk, command, lambda uow: commands.recall(uow, desk, acting, who.subject, body.reason))


@router.post("/{case_id}/assignment", summary="改派 / give the case to another collector", response_model=CaseView)
async def assign(
    who: Supervisor,
    bus: BusDep,
    desk: DeskDep,
    case_id: Id,
    body: AssignmentBody,
    command: SentCommand,
    if_match: IfMatch = None,
) -> Response:
    """Give a case that is worked by phone or waits for a visit to another phone collector."""
    acting = Acting(case_id, scope_of(who), if_match)
    return await decide(
        bus,
        desk,
        command,
        lambda uow: commands.assign_to(uow, desk, acting, body.staff_id, who.subject, body.reason),
    )
