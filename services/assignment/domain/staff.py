"""Colleagues, and which of them a case goes to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta

from services.assignment.domain.model import Case
from services.assignment.domain.policy import Turn
from shared.errors import Problem
from shared.events.cases import CaseAssigned, CaseRouted
from shared.events.staff import StaffChanged

Colleague = StaffChanged
"""A colleague is known as the fact that says everything of them."""


def on_leave(colleague: Colleague, day: date) -> bool:
    """Tell whether the colleague is on leave on `day`; both days of a leave are included."""
    return any(leave.first_day <= day <= leave.last_day for leave in colleague.leave)


def works_as(colleague: Colleague | None, role: str, day: date) -> bool:
    """Tell whether this is an active colleague of that role who is not on leave on `day`."""
    return colleague is not None and colleague.active and colleague.role == role and not on_leave(colleague, day)


def back_at_work(colleague: Colleague, day: date) -> date | None:
    """Return the first day from `day` on that is not within a leave; None for a leave until the end of all days."""
    for leave in sorted(colleague.leave, key=lambda each: each.first_day):
        if leave.first_day <= day <= leave.last_day:
            if leave.last_day == date.max:
                return None
            day = leave.last_day + timedelta(days=1)
    return day


@dataclass(slots=True)
class Roster:
    """The phone collectors and how many open cases each has; loads grow as cases are given out in one transaction."""

    colleagues: dict[str, Colleague]
    loads: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, colleagues: Iterable[Colleague], loads: dict[str, int]) -> Roster:
        """Return the roster of these colleagues."""
        return cls({colleague.staff_id: colleague for colleague in colleagues}, dict(loads))

    def keeps(self, collector: str | None) -> bool:
        """Tell whether a case may stay with its collector; a leave passes, so it does not take a case away."""
        colleague = self.colleagues.get(collector or "")
        return colleague is not None and colleague.active and colleague.role == "phone_agent"

    def choose(self, day: date, *, earlier: str | None) -> Colleague | None:
        """Return who takes a case: who had the customer before, else the least loaded; ties go by id."""
        free = [each for each in self.colleagues.values() if works_as(each, "phone_agent", day)]
        known = next((each for each in free if each.staff_id == earlier), None)
        if known is not None:
            return known
        return min(free, key=lambda each: (self.loads.get(each.staff_id, 0), each.staff_id), default=None)


def needs_collector(case: Case | None) -> bool:
    """Tell whether somebody must have the case: it is worked by phone or in the field."""
    return case is not None and case.open and case.step is not None and case.step.queue != "reminder"


def assign(turn: Turn, roster: Roster) -> bool:
    """Give the case to a collector if it needs one and has none; return whether it is with somebody now."""
    case = turn.customer.open_case
    if case is None or case.step is None or not needs_collector(case):
        return True
    if roster.keeps(case.collector):
        return True
    chosen = roster.choose(turn.today, earlier=case.collector or case.earlier_collector)
    if chosen is None:
        if any(isinstance(fact, CaseRouted) for fact in turn.facts):
            turn.note("case_unassigned", "没有可用的催收员，案件待分配", "No collector is available; the case waits")
        return False
    give(turn, chosen)
    roster.loads[chosen.staff_id] = roster.loads.get(chosen.staff_id, 0) + 1
    return True


def give(turn: Turn, colleague: Colleague, *, by: str | None = None, words: str | None = None) -> None:
    """Put the case into a collector's hands; `by` and `words` when a supervisor says so, for the timeline alone."""
    case = turn.case()
    if case.step is None:
        raise ValueError("a case without a step has no queue to be worked in")
    turn.set_case(collector=colleague.staff_id, team=colleague.team)
    turn.facts.append(
        CaseAssigned(
            case_id=case.case_id,
            customer_id=turn.customer.customer_id,
            queue=case.step.queue,
            staff_id=colleague.staff_id,
            team=colleague.team,
            assigned_at=turn.now,
        )
    )
    turn.note(
        "case_assigned",
        f"分配给 {colleague.staff_id}",
        f"Assigned to {colleague.staff_id}",
        staff_id=colleague.staff_id,
        team=colleague.team,
        by=by,
        words=words,
    )


def reassign(turn: Turn, colleague: Colleague | None, *, by: str, words: str) -> None:
    """Give the case to another collector on a supervisor's word. Raises Problem when that cannot be."""
    case = turn.customer.open_case
    if case is None or not needs_collector(case):
        raise Problem(
            "not_workable", "案件不在电催或外访队列。", "The case is in neither the phone nor the field queue."
        )
    if colleague is None or not works_as(colleague, "phone_agent", turn.today):
        raise Problem(
            "phone_agent_unfit",
            "指定的催收员不存在、已停用或今天休假。",
            "The phone collector named does not exist, is not active, or is on leave today.",
        )
    give(turn, colleague, by=by, words=words)
