"""Law and an agency are proposed, by the plan or a collector, and wait for a supervisor; nothing happens by itself."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, cast

from services.assignment.domain.model import Case, Customer, EntryKind, Proposal
from services.assignment.domain.policy import Turn
from services.assignment.domain.words import QUEUES
from shared.errors import Problem
from shared.events.cases import ProposalEnded, ProposalMade, ProposalOutcome, ProposedQueue, Queue
from shared.events.kinds import Reason
from shared.ids import derived_id
from shared.rules.paid import paid_between

_EVER: Final = datetime.max.replace(tzinfo=UTC)
_ENDED: Final[dict[ProposalOutcome, tuple[EntryKind, str, str]]] = {
    "confirmed": ("proposal_confirmed", "已批准", "confirmed"),
    "declined": ("proposal_declined", "已否决", "declined"),
    "withdrawn": ("proposal_withdrawn", "已撤销", "withdrawn"),
}


def silent(customer: Customer, case: Case) -> bool:
    """Tell whether the customer has neither paid anything nor answered since the case was opened."""
    if case.heard_at is not None:
        return False
    return not any(paid_between(each.ledger, case.opened_at, _EVER) > 0 for each in customer.accounts.values())


def make(
    turn: Turn,
    queue: Queue,
    reasons: tuple[Reason, ...],
    *,
    step: str | None = None,
    by: str | None = None,
    words: str | None = None,
) -> None:
    """Propose `queue`: by the plan at `step`, or by a colleague, whose `words` stay on the timeline."""
    case, strategy, wanted = turn.case(), turn.policy.strategy, cast("ProposedQueue", queue)
    proposal = Proposal(
        proposal_id=str(derived_id("proposal", case.case_id, wanted, turn.now.isoformat())),
        queue=wanted,
        at=turn.now,
        reasons=reasons,
        by=by,
        step=step,
    )
    turn.set_case(proposal=proposal)
    turn.facts.append(
        ProposalMade(
            proposal_id=proposal.proposal_id,
            case_id=case.case_id,
            customer_id=turn.customer.customer_id,
            queue=wanted,
            proposed_by=by,
            reasons=reasons,
            strategy=strategy.name,
            strategy_version=strategy.version,
            proposed_at=turn.now,
        )
    )
    turn.note(
        "proposal_made",
        f"提议转{QUEUES[wanted][0]}：{reasons[0].zh}",
        f"The {QUEUES[wanted][1]} queue is proposed: {reasons[0].en}",
        proposal_id=proposal.proposal_id,
        queue=wanted,
        strategy=strategy.label,
        by=by,
        words=words,
    )


def end(
    turn: Turn, outcome: ProposalOutcome, reason: Reason, *, by: str | None = None, words: str | None = None
) -> None:
    """End the open proposal; one that was declined is not made again by the plan in this case."""
    case = turn.case()
    if case.proposal is None:
        raise ValueError("no open proposal")
    proposal = case.proposal
    declined = (proposal.step,) if outcome == "declined" and proposal.step else ()
    turn.set_case(proposal=None, declined=(*case.declined, *declined))
    turn.facts.append(
        ProposalEnded(
            proposal_id=proposal.proposal_id,
            case_id=case.case_id,
            customer_id=turn.customer.customer_id,
            queue=proposal.queue,
            outcome=outcome,
            decided_by=by,
            reason=reason,
            ended_at=turn.now,
        )
    )
    kind, zh, en = _ENDED[outcome]
    turn.note(
        kind,
        f"转{QUEUES[proposal.queue][0]}的提议{zh}：{reason.zh}",
        f"The proposal for the {QUEUES[proposal.queue][1]} queue was {en}: {reason.en}",
        proposal_id=proposal.proposal_id,
        queue=proposal.queue,
        reason=reason.code,
        by=by,
        words=words,
    )


def withdraw_unfounded(turn: Turn) -> None:
    """Withdraw a proposal that a stop, or the customer's good faith, has overtaken."""
    case = turn.customer.open_case
    if case is None or case.proposal is None:
        return
    if turn.customer.stopped:
        end(turn, "withdrawn", Reason("stopped", "已停催", "Pressure was stopped"))
    elif case.proposal.by is None and case.proposal.queue == "legal" and not silent(turn.customer, case):
        end(turn, "withdrawn", Reason("good_faith", "客户已还款或已沟通", "The customer has paid or answered"))


def with_others(case: Case) -> Problem | None:
    """Return what stands against working a case that is at law or with an agency; None: it is not."""
    if case.step is None or case.step.queue not in ("legal", "agency"):
        return None
    zh, en = QUEUES[case.step.queue]
    return Problem("with_others", f"案件已转{zh}，不再外呼或外访。", f"The case is with {en}: no call, no visit.")


def by_person(turn: Turn, queue: ProposedQueue, by: str, words: str) -> None:
    """Propose on a colleague's word. Raises Problem when the case cannot be proposed now."""
    case = turn.customer.open_case
    if case is None or case.step is None or case.step.queue == "reminder" or turn.customer.stopped:
        raise Problem(
            "not_workable", "案件已结、尚在提醒阶段或已停催。", "The case is closed, still reminded, or stopped."
        )
    if (problem := with_others(case)) is not None:
        raise problem
    if case.proposal is not None:
        raise Problem("proposal_open", "已有待批的提议。", "A proposal waits for its decision already.")
    make(turn, queue, (Reason("colleague", "催收人员提议", "A colleague proposes it"),), by=by, words=words)


def confirmable(turn: Turn, proposal_id: str, by: str) -> Proposal:
    """Return the open proposal of this id. Raises Problem when there is none, or when its maker would decide it."""
    case = turn.customer.open_case
    if case is None or case.proposal is None or case.proposal.proposal_id != proposal_id:
        raise Problem("proposal_over", "该提议已处理或已撤销。", "The proposal was decided or withdrawn.")
    if case.proposal.by == by:
        raise Problem("own_proposal", "提议人不得自批。", "Who proposed it does not decide it.")
    return case.proposal


def decline(turn: Turn, proposal_id: str, by: str, words: str) -> None:
    """Decline on a supervisor's word: the case stays where it is, and the plan goes on from there."""
    confirmable(turn, proposal_id, by)
    end(turn, "declined", Reason("supervisor", "主管否决", "Declined by the supervisor"), by=by, words=words)
