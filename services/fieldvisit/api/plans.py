"""Visit plans: filed by a field collector with the supervisor, line by line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Request, Response
from pydantic import ValidationError

from services.fieldvisit import commands, store
from services.fieldvisit.api.access import DeskDep, FieldAgent, Id, Reader, count_decision, scope_of
from services.fieldvisit.api.bodies import LineBody, PlanBody
from services.fieldvisit.api.views import LineOutcome, PlanAnswer, PlanView
from services.fieldvisit.commands import Filing
from services.fieldvisit.domain.planning import Line
from shared.bus.unit_of_work import UnitOfWork
from shared.errors import Problem
from shared.service import BusDep
from shared.telemetry.metrics import Metrics
from shared.web.field_errors import from_pydantic
from shared.web.idempotency import SentCommand, StoredAnswer, answer_once
from shared.web.paging import Page, PageRequest, page, paged
from shared.web.problems import document, invalid_fields, request_id, types_of

router = APIRouter(prefix="/v1/plans", tags=["plans"])


@router.post(
    "",
    summary="报送外访计划 / file a visit plan",
    status_code=201,
    response_model=PlanAnswer,
    responses={200: {"model": PlanAnswer, "description": "没有一行可以列入计划 / no line could be planned"}},
)
async def file_plan(
    who: FieldAgent, bus: BusDep, desk: DeskDep, request: Request, body: PlanBody, command: SentCommand
) -> Response:
    """File a plan with the supervisor; each line is planned or refused on its own."""
    lines, malformed = _parsed(body.visits)
    asked: list[Problem | None] = []

    async def act(uow: UnitOfWork) -> StoredAnswer:
        async def decide() -> StoredAnswer:
            filing = await commands.file_plan(uow, desk, who.subject, lines)
            asked[:] = [filing.refusals.get(number) for number in lines]
            answer = _answer(request, body.visits, filing, {**malformed, **filing.refusals})
            return StoredAnswer.of(201 if filing.plan_id else 200, answer.model_dump(mode="json"))

        return await answer_once(uow.connection, command, decide)

    answer = await bus.transact(act)
    _count(bus.metrics, asked)
    return answer.response()


@router.get("", summary="外访计划列表 / filed plans, newest first")
async def list_plans(
    who: Reader, bus: BusDep, request: Request, asked: Annotated[PageRequest, paged(datetime, str)]
) -> Page[PlanView]:
    """List the caller's, the team's or all plans."""
    async with bus.reading() as connection:
        rows = await store.plans(
            connection,
            scope_of(who),
            after=asked.after,
            fetch=asked.fetch,
        )
    shown, following = page(rows, asked, lambda row: (row["filed_at"], row["plan_id"]), request.url)
    return Page(items=[_plan_view(row) for row in shown], next=following)


@router.get("/{plan_id}", summary="外访计划 / one filed plan")
async def read_plan(who: Reader, bus: BusDep, plan_id: Id) -> PlanView:
    """Show a plan as it was filed."""
    async with bus.reading() as connection:
        row = await store.plan(connection, scope_of(who), plan_id)
    if row is None:
        raise Problem("not_found", "没有这个计划，或它不属于您。", "There is no such plan, or it is not yours.")
    return _plan_view(row)


def _parsed(rows: Sequence[Any]) -> tuple[dict[int, Line], dict[int, Problem]]:
    """Return the lines that can be read, and what is wrong with the others, by their number."""
    lines: dict[int, Line] = {}
    malformed: dict[int, Problem] = {}
    for number, row in enumerate(rows):
        try:
            lines[number] = LineBody.model_validate(row).line()
        except ValidationError as error:
            faults = [{**fault, "loc": ("body", "visits", number, *fault["loc"])} for fault in error.errors()]
            malformed[number] = invalid_fields(from_pydantic(faults))
    return lines, malformed


def _answer(request: Request, rows: Sequence[Any], filing: Filing, refusals: Mapping[int, Problem]) -> PlanAnswer:
    types, trace = types_of(request), request_id()
    items = []
    for number, row in enumerate(rows):
        refusal = refusals.get(number)
        items.append(
            LineOutcome(
                visit_id=_named(row),
                outcome="planned" if refusal is None else "refused",
                problem=None if refusal is None else document(refusal, types, trace),
            )
        )
    return PlanAnswer(plan_id=filing.plan_id, filed_at=filing.filed_at, items=items)


def _named(row: object) -> str | None:
    """Return the visit that a line names, if what stands there could be an id."""
    named = row.get("visit_id") if isinstance(row, dict) else None
    return named if isinstance(named, str) and len(named) <= 64 else None


def _count(metrics: Metrics, asked: Sequence[Problem | None]) -> None:
    for problem in asked:
        count_decision(metrics, problem)


def _plan_view(row: Mapping[str, Any]) -> PlanView:
    members = {name: row[name] for name in ("plan_id", "field_agent_id", "team", "filed_at")}
    return PlanView.model_validate({**members, "visits": msgspec.json.decode(row["lines"])})
