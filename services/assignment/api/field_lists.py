"""The daily field list: own cases handed to named field collectors and filed with the supervisor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ValidationError

from services.assignment import commands
from services.assignment.api.access import DeskDep, DeskReader, Id, PhoneAgent, scope_of
from services.assignment.api.bodies import FieldListBody, HandOverBody
from services.assignment.api.views import AmountView
from services.assignment.commands import Filed, Wanted
from services.assignment.store import lists
from services.assignment.store.lists import FieldList
from shared.bus.unit_of_work import UnitOfWork
from shared.errors import Problem
from shared.service import BusDep
from shared.web.field_errors import from_pydantic
from shared.web.idempotency import SentCommand, StoredAnswer, answer_once
from shared.web.paging import Page, PageRequest, page, paged
from shared.web.problems import document, invalid_fields, request_id, types_of

router = APIRouter(prefix="/v1/field-lists", tags=["field lists"])


class LineOutcome(BaseModel):
    """What became of one line: the hand-over's id, or a problem document."""

    case_id: str | None
    outcome: Literal["handed_over", "refused"]
    hand_over_id: str | None
    problem: dict[str, Any] | None


class FieldListAnswer(BaseModel):
    """What became of a list; `list_id` is null when no line was handed over."""

    list_id: str | None
    day: date
    filed_at: datetime
    items: list[LineOutcome]


class HandOverLine(BaseModel):
    """One hand-over as filed."""

    hand_over_id: str
    case_id: str
    customer_id: str
    field_agent_id: str
    reason: str
    bucket: str
    grade: str | None
    owed: list[AmountView]


class FieldListView(BaseModel):
    """A list as filed with the supervisor of `team`."""

    list_id: str
    phone_agent_id: str
    team: str
    day: date
    filed_at: datetime
    hand_overs: list[HandOverLine]


@router.post(
    "",
    summary="报送外访清单 / file the field list",
    status_code=201,
    response_model=FieldListAnswer,
    responses={200: {"model": FieldListAnswer, "description": "没有一行可以移交 / no line could be handed over"}},
)
async def file_list(
    who: PhoneAgent, bus: BusDep, desk: DeskDep, request: Request, body: FieldListBody, command: SentCommand
) -> Response:
    """Hand own cases to field collectors and file the list; each line is handed over or refused on its own."""
    rows, malformed = _parsed(body.hand_overs)

    async def act(uow: UnitOfWork) -> StoredAnswer:
        async def decide() -> StoredAnswer:
            filed = await commands.file_list(uow, desk, who.subject, rows)
            day = desk.policy.day_of(filed.at)
            answer = _answer(request, body.hand_overs, filed, day, {**malformed, **filed.refusals})
            return StoredAnswer.of(201 if filed.field_list else 200, answer.model_dump(mode="json"))

        return await answer_once(uow.connection, command, decide)

    return (await bus.transact(act)).response()


@router.get("", summary="外访清单列表 / filed lists, newest first")
async def list_lists(
    who: DeskReader, bus: BusDep, request: Request, asked: Annotated[PageRequest, paged(datetime, str)]
) -> Page[FieldListView]:
    """List the caller's own lists, or those filed with the supervisor."""
    async with bus.reading() as connection:
        rows = await lists.page(connection, scope_of(who), asked.after, asked.fetch)
    shown, following = page(rows, asked, lambda each: (each.filed_at, each.list_id), request.url)
    return Page(items=[_view(each) for each in shown], next=following)


@router.get("/{list_id}", summary="外访清单 / one filed list")
async def read_list(who: DeskReader, bus: BusDep, list_id: Id) -> FieldListView:
    """Show a list as it was filed."""
    async with bus.reading() as connection:
        found = await lists.one(connection, scope_of(who), list_id)
    if found is None:
        raise Problem("not_found", "没有这份清单，或它不属于您。", "There is no such list, or it is not yours.")
    return _view(found)


def _parsed(rows: Sequence[Any]) -> tuple[dict[int, Wanted], dict[int, Problem]]:
    """Return the lines that can be read, and what is wrong with the others, by their number."""
    wanted: dict[int, Wanted] = {}
    malformed: dict[int, Problem] = {}
    for number, row in enumerate(rows):
        try:
            wanted[number] = HandOverBody.model_validate(row).wanted()
        except ValidationError as error:
            faults = [{**fault, "loc": ("body", "hand_overs", number, *fault["loc"])} for fault in error.errors()]
            malformed[number] = invalid_fields(from_pydantic(faults))
    return wanted, malformed


def _answer(
    request: Request, rows: Sequence[Any], filed: Filed, day: date, refusals: Mapping[int, Problem]
) -> FieldListAnswer:
    trace = request_id()
    items = []
    for number, row in enumerate(rows):
        problem = refusals.get(number)
        case_id = row.get("case_id") if isinstance(row, dict) else None
        items.append(
            LineOutcome(
                case_id=case_id if isinstance(case_id, str) else None,
                outcome="refused" if problem else "handed_over",
                hand_over_id=filed.handed_over.get(number),
                problem=document(problem, types_of(request), trace) if problem else None,
            )
        )
    list_id = filed.field_list.list_id if filed.field_list else None
    return FieldListAnswer(list_id=list_id, day=day, filed_at=filed.at, items=items)


def _view(filed: FieldList) -> FieldListView:
    return FieldListView(
        list_id=filed.list_id,
        phone_agent_id=filed.phone_agent_id,
        team=filed.team,
        day=filed.day,
        filed_at=filed.filed_at,
        hand_overs=[
            HandOverLine(
                hand_over_id=line.hand_over_id,
                case_id=line.case_id,
                customer_id=line.customer_id,
                field_agent_id=line.field_agent_id,
                reason=line.reason,
                bucket=line.bucket,
                grade=line.grade,
                owed=[AmountView(currency=each.currency, minor=each.minor) for each in line.owed],
            )
            for line in filed.lines
        ],
    )
