"""The hand-over: a phone collector gives an own case to a named field collector.

Reminders come first, nobody is visited while a promise runs or a stop holds, and each row of a list stands alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from msgspec import structs

from services.assignment.domain import law, lifecycle, plan
from services.assignment.domain.model import Case, Customer, HandOver, amounts_owed
from services.assignment.domain.permits import may_visit, refused_by_rule
from services.assignment.domain.policy import Turn
from services.assignment.domain.proposals import with_others
from services.assignment.domain.roster import Colleague, why_gone, works_as
from shared.errors import Problem
from shared.events.cases import CaseHandedOver, ListedHandOver
from shared.events.kinds import Reason


@dataclass(frozen=True, slots=True)
class Filing:
    """The list that hand-overs are filed in: its id, who files it, and their team."""

    list_id: str
    phone_agent_id: str
    team: str


def refusal(turn: Turn, phone_agent_id: str, field_agent: Colleague | None) -> Problem | None:
    """Return why this case may not be handed over now, or None when it may."""
    case = turn.customer.case
    if case is None or case.collector != phone_agent_id:
        return unknown_case()
    return (
        with_others(case)
        or _case_refusal(case, turn.customer)
        or _rule_refusal(turn)
        or _agent_refusal(turn, field_agent)
    )


def unknown_case() -> Problem:
    """Return what is said of a case that is not the caller's: the same as of one that does not exist."""
    return Problem("not_found", "没有这个案件。", "There is no such case.")


def hand_over(turn: Turn, filing: Filing, hand_over_id: str, field_agent_id: str) -> ListedHandOver:
    """Hand the case over; only after `refusal` has said None."""
    case, owed = turn.case(), amounts_owed(turn.customer)
    turn.set_case(
        hand_over=HandOver(
            hand_over_id=hand_over_id, list_id=filing.list_id, field_agent_id=field_agent_id, at=turn.now
        ),
        offer_from=None,
    )
    turn.facts.append(
        CaseHandedOver(
            hand_over_id=hand_over_id,
            list_id=filing.list_id,
            case_id=case.case_id,
            customer_id=turn.customer.customer_id,
            phone_agent_id=filing.phone_agent_id,
            field_agent_id=field_agent_id,
            team=filing.team,
            handed_over_at=turn.now,
            bucket=case.bucket,
            grade=case.grade,
            owed=owed,
        )
    )
    turn.note(
        "handed_over",
        f"移交外访：{field_agent_id}",
        f"Handed over to {field_agent_id} for a visit",
        hand_over_id=hand_over_id,
        list_id=filing.list_id,
        field_agent_id=field_agent_id,
    )
    return ListedHandOver(
        hand_over_id=hand_over_id,
        case_id=case.case_id,
        field_agent_id=field_agent_id,
        bucket=case.bucket,
        grade=case.grade,
        owed=owed,
    )


def accepted(turn: Turn, hand_over_id: str, visit_id: str) -> None:
    """Remember which visit came of the hand-over."""
    case = turn.customer.open_case
    if case is not None and case.hand_over is not None and case.hand_over.hand_over_id == hand_over_id:
        turn.set_case(hand_over=structs.replace(case.hand_over, visit_id=visit_id))


def is_with_field(customer: Customer, visit_id: str) -> bool:
    """Tell whether the case is in the field for this very visit; an earlier visit's late word moves nothing."""
    case = customer.open_case
    return case is not None and case.hand_over is not None and case.hand_over.visit_id == visit_id


def back_from_field(turn: Turn) -> None:
    """End the hand-over: the case is the phone collector's to work again."""
    turn.set_case(hand_over=None, offer_from=None)


def recall_by_supervisor(turn: Turn, by: str, words: str) -> None:
    """Take the case back from the field, from law or an agency. Raises Problem when it is at none of them.

    The supervisor's `words` stay on the timeline; the fact says only that a supervisor recalled the case.
    """
    case = turn.customer.open_case
    if case is not None and with_others(case) is not None:
        law.take_back(turn, by, words)
        return
    if case is None or case.hand_over is None:
        raise Problem(
            "not_handed_over", "案件不在外访、法务或委外中。", "The case is not in the field, at law or with an agency."
        )
    lifecycle.recall(turn, Reason("supervisor", "主管撤回", "Recalled by the supervisor"), by=by, words=words)
    plan.renew(turn, Reason("recalled", "从外访撤回", "The case was recalled"))


def visitor(customer: Customer) -> str | None:
    """Return the field collector with whom the customer's case is; None when it is in nobody's hands in the field."""
    case = customer.open_case
    return case.hand_over.field_agent_id if case is not None and case.hand_over is not None else None


def recall_from_gone(turn: Turn, colleagues: Mapping[str, Colleague]) -> bool:
    """Take the case back from a field collector who has left or is long away; return whether it was there.

    A visit that has begun is theirs to end; its late word moves nothing here.
    """
    who = visitor(turn.customer)
    gone = who and why_gone(colleagues.get(who), "field_agent", turn.today, turn.policy.strategy.staffing)
    if not gone:
        return False
    lifecycle.recall(turn, gone)
    plan.renew(turn, Reason("recalled", "从外访撤回", "The case was recalled"))
    return True


def erased() -> Problem:
    """Return what is said when nobody may know any more how to reach the customer."""
    return Problem(
        "contacts_erased",
        "客户联系资料已按要求删除，无从联系。",
        "The customer's contact data were erased on request: there is no way to reach the customer.",
    )


def _case_refusal(case: Case, customer: Customer) -> Problem | None:
    if not case.open or not customer.owing():
        return Problem("case_closed", "案件已结，没有欠款。", "The case is closed: nothing is owed.")
    if case.hand_over is not None:
        return Problem("with_field", "案件已在外访员手中。", "The case is with a field collector already.")
    if case.step is None or case.step.queue == "reminder":
        return Problem(
            "reminders_first", "提醒的设定期限未过，不得外访。", "The reminder's set time still runs: no visit yet."
        )
    if customer.erased:
        return erased()
    if case.promise is not None:
        until = case.promise.pay_by
        return Problem(
            "promise_open", f"承诺还款至 {until}，到期前不外访。", f"A promise runs until {until}: no visit before."
        )
    return None


def _rule_refusal(turn: Turn) -> Problem | None:
    because = may_visit(turn.customer, turn.policy, turn.now)
    return None if because is None else refused_by_rule(because)


def _agent_refusal(turn: Turn, field_agent: Colleague | None) -> Problem | None:
    if works_as(field_agent, "field_agent", turn.today):
        return None
    return Problem(
        "field_agent_unfit",
        "指定的外访员不存在、已停用或今天休假。",
        "The field collector named does not exist, is not active, or is on leave today.",
    )
