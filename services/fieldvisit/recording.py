"""What was decided is written and told in one go: customers, their visits, the assistant's reports, the facts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from services.fieldvisit import store
from services.fieldvisit.store import Change, Report, ReportKind
from shared.bus.unit_of_work import Incoming, UnitOfWork
from shared.events.kinds import Fact
from shared.events.visits import VisitBreached, VisitCompleted, VisitMissed


class Telling(Struct, frozen=True):
    """A fact to be told, with what it follows from: another fact, or the trace that a row kept while a timer waited."""

    fact: Fact
    cause: Incoming | None = None
    traceparent: str | None = None


async def record(uow: UnitOfWork, changes: Sequence[Change], tellings: Sequence[Telling]) -> None:
    """Write the changes and collect the facts, in the order that keeps everybody's locks apart (L1).

    Raises `StaleState` when somebody else was first.
    """
    await store.save_customers(uow.connection, changes)
    reports = []
    for telling in tellings:
        fact_id = uow.emit(telling.fact, cause=telling.cause, traceparent=telling.traceparent)
        report = _report(str(fact_id), telling.fact)
        if report is not None:
            reports.append(report)
    await store.save_reports(uow.connection, reports)


def _report(report_id: str, fact: Fact) -> Report | None:
    match fact:
        case VisitCompleted():
            return _line(report_id, fact, "completed", fact.completed_at, on_time=fact.on_time, detail=fact.outcome)
        case VisitMissed():
            return _line(report_id, fact, "missed", fact.missed_at, on_time=None, detail=fact.reason)
        case VisitBreached():
            return _line(report_id, fact, "breached", fact.breached_at, on_time=False, detail=None)
        case _:
            return None


def _line(
    report_id: str,
    fact: VisitCompleted | VisitMissed | VisitBreached,
    kind: ReportKind,
    at: datetime,
    *,
    on_time: bool | None,
    detail: str | None,
) -> Report:
    return Report(
        report_id=report_id,
        kind=kind,
        visit_id=fact.visit_id,
        case_id=fact.case_id,
        customer_id=fact.customer_id,
        field_agent_id=fact.field_agent_id,
        team=fact.team,
        due_at=fact.due_at,
        at=at,
        on_time=on_time,
        detail=detail,
    )
