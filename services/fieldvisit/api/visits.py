"""Visits: lists and details for those whom they concern, and the steps that the field collector takes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Request, Response

from services.fieldvisit import commands, store
from services.fieldvisit.api.access import DeskDep, FieldAgent, Id, Reader, count_decision, scope_of
from services.fieldvisit.api.bodies import CompleteBody, FailBody, IncidentBody, StartBody
from services.fieldvisit.api.views import VisitDetail, VisitView, needs_to_know, visit_detail, visit_view
from services.fieldvisit.commands import Acting, Decided, Words
from services.fieldvisit.domain.model import VisitState
from services.fieldvisit.domain.refusals import no_such_visit
from services.fieldvisit.domain.visiting import Report
from shared.bus.bus import Bus
from shared.bus.unit_of_work import UnitOfWork
from shared.errors import Problem
from shared.service import BusDep
from shared.web.etags import IfMatch, etag
from shared.web.idempotency import Command, SentCommand, StoredAnswer, answer_once
from shared.web.instants import Instant
from shared.web.paging import Page, PageRequest, page, paged

router = APIRouter(prefix="/v1/visits", tags=["visits"])


@router.get("", summary="外访列表 / visits by deadline")
async def list_visits(
    who: Reader,
    bus: BusDep,
    request: Request,
    asked: Annotated[PageRequest, paged(datetime, str)],
    state: VisitState | None = None,
    due_before: Annotated[Instant | None, Query(examples=["2026-02-28T00:00:00+08:00"])] = None,
    breached: bool | None = None,
) -> Page[VisitView]:
    """List the caller's, the team's or all visits; names and address lines are masked here for everybody."""
    async with bus.reading() as connection:
        rows = await store.visits(
            connection,
            scope_of(who),
            state=state,
            due_before=due_before,
            breached=breached,
            after=asked.after,
            fetch=asked.fetch,
        )
    shown, following = page(rows, asked, lambda row: (row[0].due_at, row[0].visit_id), request.url)
    return Page(items=[visit_view(visit, customer, unmasked=False) for visit, customer in shown], next=following)


@router.get("/{visit_id}", summary="外访详情 / one visit")
async def read_visit(who: Reader, bus: BusDep, visit_id: Id, response: Response) -> VisitDetail:
    """Show a visit; whoever is on the way there reads name and address unmasked, and that is recorded."""

    async def act(uow: UnitOfWork) -> VisitDetail:
        found = await store.visit(uow.connection, scope_of(who), visit_id)
        if found is None:
            raise no_such_visit()
        visit, customer = found
        unmasked = needs_to_know(visit, who.subject)
        if unmasked and customer.reach is not None:
            await store.save_unmasked_read(uow.connection, visit_id, who.subject, uow.now)
        notes = await store.notes(uow.connection, visit_id)
        return visit_detail(visit, customer, notes, unmasked=unmasked)

    shown = await bus.transact(act)
    response.headers["etag"] = etag(shown.revision)
    return shown


@router.post("/{visit_id}/start", summary="开始外访 / the collectors are at the door", response_model=VisitView)
async def start_visit(
    who: FieldAgent,
    bus: BusDep,
    desk: DeskDep,
    visit_id: Id,
    body: StartBody,
    command: SentCommand,
    if_match: IfMatch = None,
) -> Response:
    """Begin a planned visit: stops, payment, hours and team are decided again at this moment."""
    acting = Acting(visit_id, who.subject, if_match)
    try:
        answer = await _decide(bus, command, lambda uow: commands.start(uow, desk, acting))
    except Problem as problem:
        count_decision(bus.metrics, problem)
        raise
    count_decision(bus.metrics, None)
    return answer


@router.post("/{visit_id}/complete", summary="完成外访 / the visit was made", response_model=VisitView)
async def complete_visit(
    who: FieldAgent, bus: BusDep, visit_id: Id, body: CompleteBody, command: SentCommand, if_match: IfMatch = None
) -> Response:
    """Report a visit that was made; the administrative assistant is told at once."""
    acting = Acting(visit_id, who.subject, if_match)
    report = Report(
        party=body.party,
        outcome=body.outcome,
        recorder_id=body.recorder_id,
        incident=body.incident.kind if body.incident else None,
    )
    words = _words(body.note, body.incident)
    return await _decide(bus, command, lambda uow: commands.complete(uow, acting, report, words))


@router.post("/{visit_id}/fail", summary="外访未完成 / the visit could not be done", response_model=VisitView)
async def fail_visit(
    who: FieldAgent, bus: BusDep, visit_id: Id, body: FailBody, command: SentCommand, if_match: IfMatch = None
) -> Response:
    """Report that a visit could not be done; the administrative assistant is told at once, and it is planned again."""
    acting = Acting(visit_id, who.subject, if_match)
    incident = body.incident.kind if body.incident else None
    words = _words(body.note, body.incident)
    return await _decide(bus, command, lambda uow: commands.fail(uow, acting, body.reason, incident, words))


def _words(note: str | None, incident: IncidentBody | None) -> Words:
    return Words(note, incident.note if incident else None)


async def _decide(bus: Bus, command: Command, step: Callable[[UnitOfWork], Awaitable[Decided]]) -> Response:
    """Take a step once, however often it is sent, and answer with the visit after it."""

    async def act(uow: UnitOfWork) -> StoredAnswer:
        async def decide() -> StoredAnswer:
            visit, customer = await step(uow)
            return StoredAnswer.of(200, visit_view(visit, customer, unmasked=False).model_dump(mode="json"))

        return await answer_once(uow.connection, command, decide)

    answer = await bus.transact(act)
    return answer.response({"etag": etag(msgspec.json.decode(answer.body)["revision"])})
