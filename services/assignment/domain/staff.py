"""A case comes into a collector's hands: found by the roster, taken over from who left, or given by a supervisor."""

from __future__ import annotations

from typing import Final

from services.assignment.domain.aside import WHY
from services.assignment.domain.model import Case
from services.assignment.domain.policy import Turn
from services.assignment.domain.roster import SPECIALIST, Colleague, Roster, need_of, works_as
from shared.errors import Problem
from shared.events.cases import CaseAssigned, CaseRouted, Queue
from shared.events.kinds import Reason

WORKED: Final[tuple[Queue, ...]] = ("phone", "field", "hardship", "skip")
"""The queues whose cases a phone collector has; at law or with an agency a case is others' to work."""


def needs_collector(case: Case | None) -> bool:
    """Tell whether somebody must have the case: it is in one of the queues that collectors work."""
    return case is not None and case.open and case.queue in WORKED


def assign(turn: Turn, roster: Roster) -> bool:
    """Give the case to a collector if it needs one: it has none, or its own has left or is long away.

    Returns whether it is with somebody now who works it.
    """
    case = turn.customer.open_case
    if case is None or not needs_collector(case):
        return True
    need = need_of(turn.customer, turn.policy)
    moved = roster.why_not_kept(case.collector, turn.today) if case.collector else None
    if moved is None and went_aside(turn):
        moved = roster.why_better(case.collector, turn.today, need)
    if case.collector is not None and moved is None:
        return True
    choice = roster.choose(turn.today, need, with_room=moved is SPECIALIST)
    if choice is None:
        if any(isinstance(fact, CaseRouted) for fact in turn.facts):
            turn.note("case_unassigned", "没有可用的催收员，案件待分配", "No collector is available; the case waits")
        return False
    give(turn, choice.colleague, (moved, *choice.reasons) if moved else choice.reasons)
    return True


def went_aside(turn: Turn) -> bool:
    """Tell whether this very decision brought the case into a queue that has specialists."""
    case = turn.customer.open_case
    if case is None or case.aside is None:
        return False
    # A step that is taken while the case is there already is told with the same queue, for a reason of its own.
    told = (case.aside, WHY[case.aside])
    return any((fact.queue, fact.reasons[0]) == told for fact in turn.facts if isinstance(fact, CaseRouted))


def give(
    turn: Turn, colleague: Colleague, reasons: tuple[Reason, ...], *, by: str | None = None, words: str | None = None
) -> None:
    """Put the case into a collector's hands; `by` and `words` when a supervisor says so, for the timeline alone."""
    case, strategy = turn.case(), turn.policy.strategy
    if case.queue is None:
        raise ValueError("a case without a step has no queue to be worked in")
    turn.set_case(collector=colleague.staff_id, team=colleague.team)
    turn.facts.append(
        CaseAssigned(
            case_id=case.case_id,
            customer_id=turn.customer.customer_id,
            queue=case.queue,
            staff_id=colleague.staff_id,
            team=colleague.team,
            assigned_at=turn.now,
            earlier_staff_id=case.collector,
            reasons=reasons,
            strategy=strategy.name,
            strategy_version=strategy.version,
        )
    )
    zh, en = "；".join(each.zh for each in reasons), "; ".join(each.en for each in reasons)
    turn.note(
        "case_assigned",
        f"{f'由 {case.collector} 转给' if case.collector else '分配给'} {colleague.staff_id}：{zh}",
        f"{f'From {case.collector} to' if case.collector else 'Assigned to'} {colleague.staff_id}: {en}",
        staff_id=colleague.staff_id,
        team=colleague.team,
        earlier_staff_id=case.collector,
        earlier_team=case.team if case.collector else None,
        reasons=",".join(each.code for each in reasons),
        strategy=strategy.label,
        by=by,
        words=words,
    )


def reassign(turn: Turn, colleague: Colleague | None, *, by: str, words: str) -> None:
    """Give the case to another collector on a supervisor's word. Raises Problem when that cannot be."""
    case = turn.customer.open_case
    if case is None or not needs_collector(case):
        raise Problem("not_workable", "案件不在催收员作业的队列。", "The case is in no queue that collectors work.")
    if colleague is None or not works_as(colleague, "phone_agent", turn.today):
        raise Problem(
            "phone_agent_unfit",
            "指定的催收员不存在、已停用或今天休假。",
            "The phone collector named does not exist, is not active, or is on leave today.",
        )
    give(turn, colleague, (Reason("supervisor", "主管指定", "The supervisor says so"),), by=by, words=words)
