"""A strategy is tried on today's cases before it takes effect."""

from __future__ import annotations

from asyncio import to_thread
from dataclasses import replace
from datetime import date, datetime

from fastapi import APIRouter
from pydantic import BaseModel, Field

from services.assignment.api.access import DeskDep, Supervisor, scope_of
from services.assignment.api.bodies import DryRunBody
from services.assignment.api.views import ReasonView, reason_view
from services.assignment.desk import strategy_of
from services.assignment.domain.model import Customer
from services.assignment.domain.preview import Move, Outlook, move_of, newly_leaving
from services.assignment.domain.roster import Roster
from services.assignment.domain.rows import StrategyError
from services.assignment.domain.strategy import Strategy
from services.assignment.store import staff, worklists
from shared.errors import FieldError, Problem
from shared.service import BusDep

router = APIRouter(prefix="/v1/strategies", tags=["strategies"])


class OutlookView(BaseModel):
    """Where a case stands and what follows by itself at `until`; `next_step` is null where the plan rests."""

    segment: str
    step: str | None
    queue: str | None
    until: datetime | None
    next_step: str | None
    next_queue: str | None
    proposal: str | None


class MoveView(BaseModel):
    """A case that the strategy would treat otherwise."""

    case_id: str
    customer_id: str
    bucket: str
    grade: str | None
    collector: str | None
    before: OutlookView
    after: OutlookView
    reasons: list[ReasonView]


class DryRunAnswer(BaseModel):
    """Which of the `examined` open cases would move. Nothing was written; `next` is the `after` of the next call."""

    strategy: str = Field(examples=["default@2026-02"])
    valid_from: date
    against: str = Field(examples=["default@2026-01"])
    examined: int
    moves: list[MoveView]
    next: str | None


@router.post("/dry-run", summary="策略试算 / who would move under another strategy, and why")
async def dry_run(who: Supervisor, bus: BusDep, desk: DeskDep, body: DryRunBody) -> DryRunAnswer:
    """Compare a strategy file with the one in force on some open cases of the team; writes nothing."""
    # A large file takes its time, and meanwhile everybody else is to be answered.
    wanted = replace(desk.policy, strategy=await to_thread(_parsed, body.strategy))
    now = bus.clock.now()
    async with bus.reading() as connection:
        rows = await worklists.open_cases(connection, scope_of(who), body.after, body.limit + 1)
        agents = await staff.phone_agents(connection)
    shown = [held.customer for held in rows[: body.limit]]
    roster = Roster.of(agents, {}, desk.policy.strategy.staffing)
    leaving = newly_leaving(roster, desk.policy, wanted, now)
    moves = [(customer, move_of(customer, desk.policy, wanted, now, leaving)) for customer in shown]
    return DryRunAnswer(
        strategy=wanted.strategy.label,
        valid_from=wanted.strategy.valid_from,
        against=desk.policy.strategy.label,
        examined=len(shown),
        moves=[_move(customer, move) for customer, move in moves if move is not None],
        next=shown[-1].customer_id if len(rows) > body.limit else None,
    )


def _parsed(text: str) -> Strategy:
    try:
        return strategy_of(text)
    except StrategyError as error:
        faults = tuple(
            FieldError("strategy", f"策略文件有误：{fault}", fault, "按说明更正文件", "mend the file as it says")
            for fault in error.faults
        )
        zh, en = f"策略文件有 {len(faults)} 处需要更正。", f"{len(faults)} fault(s) in the strategy file."
        raise Problem("invalid_fields", zh, en, faults) from None


def _move(customer: Customer, move: Move) -> MoveView:
    case = customer.case
    if case is None:
        raise LookupError("a customer without a case does not move")
    return MoveView(
        case_id=case.case_id,
        customer_id=customer.customer_id,
        bucket=case.bucket,
        grade=case.grade,
        collector=case.collector,
        before=_outlook(move.before),
        after=_outlook(move.after),
        reasons=[reason_view(each) for each in move.reasons],
    )


def _outlook(seen: Outlook) -> OutlookView:
    return OutlookView(
        segment=seen.segment,
        step=seen.step,
        queue=seen.queue,
        until=seen.until,
        next_step=seen.following.name if seen.following else None,
        next_queue=seen.following.queue if seen.following else None,
        proposal=seen.proposal,
    )
