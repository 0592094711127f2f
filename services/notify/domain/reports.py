"""What colleagues are told of, and who is told: pure functions of the facts and of who works here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from services.notify.domain.model import Audience, Colleague, Report, ReportBody, ReportLine
from shared.events.cases import FieldListFiled
from shared.events.kinds import Fact
from shared.events.visits import PlanFiled, VisitBreached, VisitCompleted, VisitMissed, VisitWithdrawn

ASSISTANTS: Final = Audience(role="admin_assistant")


def visit_done(fact: VisitCompleted) -> Report:
    """A visit was made: every administrative assistant is told at once."""
    return Report(
        key=f"visit_done:{fact.visit_id}",
        purpose="visit_done",
        audience=ASSISTANTS,
        body=ReportBody(
            visit_id=fact.visit_id,
            case_id=fact.case_id,
            field_agent_id=fact.field_agent_id,
            team=fact.team,
            party=fact.party,
            outcome=fact.outcome,
            on_time=fact.on_time,
            happened_at=fact.completed_at,
            due_at=fact.due_at,
        ),
        occurred_at=fact.completed_at,
    )


def visit_not_done(fact: VisitMissed) -> Report:
    """A visit could not be done: every administrative assistant is told at once, of each attempt."""
    return Report(
        key=f"visit_not_done:{fact.visit_id}:{fact.missed_at.isoformat()}",
        purpose="visit_not_done",
        audience=ASSISTANTS,
        body=ReportBody(
            visit_id=fact.visit_id,
            case_id=fact.case_id,
            field_agent_id=fact.field_agent_id,
            team=fact.team,
            reason=fact.reason,
            happened_at=fact.missed_at,
            due_at=fact.due_at,
        ),
        occurred_at=fact.missed_at,
    )


def visit_breached(fact: VisitBreached) -> Report:
    """A visit was not done in its expected time; told again only for another time limit."""
    return Report(
        key=f"visit_breached:{fact.visit_id}:{fact.due_at.isoformat()}",
        purpose="visit_breached",
        audience=ASSISTANTS,
        body=ReportBody(
            visit_id=fact.visit_id,
            case_id=fact.case_id,
            field_agent_id=fact.field_agent_id,
            team=fact.team,
            happened_at=fact.breached_at,
            due_at=fact.due_at,
        ),
        occurred_at=fact.breached_at,
    )


def visit_withdrawn(fact: VisitWithdrawn) -> Report:
    """The field collector is not to go; the reason says nothing that is the customer's own."""
    return Report(
        key=f"visit_withdrawn:{fact.visit_id}",
        purpose="visit_withdrawn",
        audience=Audience(staff_id=fact.field_agent_id),
        body=ReportBody(
            visit_id=fact.visit_id, case_id=fact.case_id, reason=fact.reason, happened_at=fact.withdrawn_at
        ),
        occurred_at=fact.withdrawn_at,
    )


def field_list(fact: FieldListFiled) -> Report:
    """The day's list of hand-overs, filed with the team's supervisors."""
    return Report(
        key=f"field_list:{fact.list_id}",
        purpose="field_list",
        audience=Audience(role="supervisor", team=fact.team),
        body=ReportBody(
            phone_agent_id=fact.phone_agent_id,
            team=fact.team,
            day=fact.day,
            happened_at=fact.filed_at,
            lines=tuple(
                ReportLine(
                    case_id=line.case_id,
                    field_agent_id=line.field_agent_id,
                    bucket=line.bucket,
                    grade=line.grade,
                    owed=tuple((amount.currency, amount.minor) for amount in line.owed),
                )
                for line in fact.hand_overs
            ),
        ),
        occurred_at=fact.filed_at,
    )


def visit_plan(fact: PlanFiled) -> Report:
    """A visit plan, filed with the team's supervisors."""
    return Report(
        key=f"visit_plan:{fact.plan_id}",
        purpose="visit_plan",
        audience=Audience(role="supervisor", team=fact.team),
        body=ReportBody(
            field_agent_id=fact.field_agent_id,
            team=fact.team,
            happened_at=fact.filed_at,
            lines=tuple(
                ReportLine(
                    case_id=line.case_id,
                    visit_id=line.visit_id,
                    starts_at=line.starts_at,
                    ends_at=line.ends_at,
                    due_at=line.due_at,
                )
                for line in fact.visits
            ),
        ),
        occurred_at=fact.filed_at,
    )


REPORTS: Final[Mapping[type[Fact], Callable[[Any], Report]]] = MappingProxyType(
    {
        VisitCompleted: visit_done,
        VisitMissed: visit_not_done,
        VisitBreached: visit_breached,
        VisitWithdrawn: visit_withdrawn,
        FieldListFiled: field_list,
        PlanFiled: visit_plan,
    }
)
"""The report that each fact makes."""


def is_addressed(audience: Audience, colleague: Colleague) -> bool:
    """Tell whether the colleague is one of those whom the audience means."""
    if audience.staff_id is not None:
        return colleague.staff_id == audience.staff_id
    in_team = audience.team is None or colleague.team == audience.team
    return colleague.active and colleague.role == audience.role and in_team


def recipients(report: Report, roster: Iterable[Colleague], told: int) -> list[Colleague]:
    """Return who is told now, by id. `told`: how many have been told before.

    The first time everybody meant is told. When the roster changed since, whoever was there when it happened is told
    as well; somebody who came later only if there had been nobody to tell.
    """
    meant = [each for each in roster if is_addressed(report.audience, each)]
    if told:
        meant = [each for each in meant if each.since <= report.occurred_at]
    return sorted(meant, key=lambda each: each.staff_id)
