"""The queues beside the plan: hardship is talked about, a lost customer is looked for.

Both follow from what is known and end by themselves: hardship with its stop, the search as soon as a number is usable.
"""

from __future__ import annotations

from services.assignment.domain import law
from services.assignment.domain.model import Customer
from services.assignment.domain.permits import usable_phones
from services.assignment.domain.policy import Turn
from services.assignment.domain.proposals import with_others, withdraw_unfounded
from services.assignment.domain.words import QUEUES
from shared.events.cases import CaseRouted, Queue
from shared.events.kinds import Reason
from shared.rules.stops import active

WHY: dict[Queue, Reason] = {
    "hardship": Reason("stop_hardship", "客户还款困难，协商而不施压", "The customer is in hardship: help, no pressure"),
    "skip": Reason("no_number", "没有可用的号码，先查找客户", "No number is usable: the customer is looked for"),
}
"""Why a case comes into such a queue: the first reason of the fact that tells it."""

_OVER: dict[Queue, Reason] = {
    "hardship": Reason("hardship_over", "还款困难已解除", "The hardship is over"),
    "skip": Reason("number_known", "已有可用的号码", "A number is usable"),
}
_MOVED_ON = Reason("moved_on", "案件已转他处", "The case went elsewhere")


def aside_of(customer: Customer) -> Queue | None:
    """Return the queue beside the plan in which the case is to be worked now; None: in its step's own.

    A stop that forbids more than pressure (a complaint, a death) lets nobody talk of hardship either.
    """
    case = customer.open_case
    if case is None:
        return None
    if active(customer.stops) == {"hardship"}:
        return "hardship"
    by_phone = case.step is not None and case.step.queue == "phone" and case.hand_over is None
    return "skip" if by_phone and lost(customer) else None


def lost(customer: Customer) -> bool:
    """Tell whether the customer's contacts are known and hold no number that is of use."""
    return customer.reach is not None and not usable_phones(customer)


def conclude(turn: Turn) -> None:
    """Do what follows from a decision as a whole: once, before it is recorded; twice changes nothing."""
    withdraw_unfounded(turn)
    case = turn.customer.open_case
    if case is None:
        return
    before, wanted = case.aside, aside_of(turn.customer)
    if wanted == "hardship" and with_others(case) is not None:
        # Nobody helps a customer who is being sued meanwhile; and what a person decided before does not go on unasked.
        law.come_back(turn, WHY["hardship"])
        case = turn.case()
    if wanted == before:
        return
    turn.set_case(aside=wanted)
    if wanted is not None:
        _tell(turn, wanted, WHY[wanted])
    elif case.step is not None and before is not None:
        _tell(turn, case.step.queue, _MOVED_ON if before == "skip" and lost(turn.customer) else _OVER[before])


def _tell(turn: Turn, queue: Queue, why: Reason) -> None:
    case, strategy = turn.case(), turn.policy.strategy
    step = case.step.name if case.step else queue
    turn.facts.append(
        CaseRouted(
            case_id=case.case_id,
            customer_id=turn.customer.customer_id,
            queue=queue,
            step=step,
            bucket=case.bucket,
            grade=case.grade,
            strategy=strategy.name,
            strategy_version=strategy.version,
            reasons=(why,),
            routed_at=turn.now,
        )
    )
    turn.note(
        "case_routed",
        f"进入{QUEUES[queue][0]}队列：{why.zh}",
        f"Into the {QUEUES[queue][1]} queue: {why.en}",
        queue=queue,
        step=step,
        reason=why.code,
        strategy=strategy.label,
    )
