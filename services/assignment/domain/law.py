"""A case goes to law or to an agency on a supervisor's word, and comes back on one, or when hardship is pleaded."""

from __future__ import annotations

from services.assignment.domain import plan, proposals
from services.assignment.domain.policy import Turn
from services.assignment.domain.strategy import Segment, Step
from shared.errors import Problem
from shared.events.cases import Queue
from shared.events.kinds import Reason


def confirm(turn: Turn, proposal_id: str, by: str, words: str) -> None:
    """Put the case where it was proposed to. Raises Problem while a promise or a visit runs."""
    proposal = proposals.confirmable(turn, proposal_id, by)
    case = turn.case()
    if case.promise is not None:
        until = case.promise.pay_by
        raise Problem("promise_open", f"承诺还款至 {until}。", f"A promise runs until {until}.")
    if case.hand_over is not None:
        raise Problem("with_field", "案件在外访员手中。", "The case is with a field collector.")
    why = Reason("supervisor", "主管批准", "Confirmed by the supervisor")
    proposals.end(turn, "confirmed", why, by=by, words=words)
    segment = turn.policy.strategy.segment(case.bucket, case.grade)
    step = _step_of(segment, proposal.step, proposal.queue) or Step(proposal.queue, proposal.queue, None)
    plan.enter(turn, segment, step, why)


def take_back(turn: Turn, by: str, words: str) -> None:
    """Take the case back from law or an agency on a supervisor's word."""
    why = Reason("recalled", "主管撤回", "Recalled by the supervisor")
    turn.note("recalled", why.zh, why.en, by=by, words=words)
    come_back(turn, why)


def come_back(turn: Turn, why: Reason) -> None:
    """Bring the case back to the phone, or where there is no such step to the beginning, once no stop holds.

    It goes to law or to an agency again only after a new proposal.
    """
    if not plan.back_to_phone(turn, why):
        turn.set_case(step=None, touched=())
        plan.begin(turn)


def _step_of(segment: Segment, name: str | None, queue: Queue) -> Step | None:
    return next((step for step in segment.steps if (step.name, step.queue) == (name, queue)), None)
