"""When a visit is not to be made any more: paid, stopped, recalled, closed or erased, at any step that has not ended.

A started visit is withdrawn as well: the collectors are told to leave, and completing it afterwards is refused with the
reason. A withdrawal is final; what is owed again later (a payment reversed, a stop lifted) comes as a new hand-over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from types import MappingProxyType
from typing import Final

from msgspec import structs

from services.fieldvisit.domain.model import Customer, Visit, Withdrawal
from shared.events.kinds import Reason, StopKind
from shared.events.visits import VisitWithdrawn, WithdrawnReason
from shared.rules.paid import AccountLedger, is_paid
from shared.rules.stops import active

_STOPPED: Final = MappingProxyType[StopKind, tuple[str, str]](
    {
        "cease_contact": ("客户不得再联系", "the customer is not to be contacted"),
        "complaint": ("客户已投诉", "the customer complained"),
        "deceased": ("客户已去世", "the customer has died"),
        "dispute": ("客户对欠款有异议", "the customer disputes the debt"),
        "hardship": ("客户申请困难协商", "the customer asked for hardship help"),
        "insolvent": ("客户已进入破产程序", "the customer is insolvent"),
        "represented": ("客户已委托律师", "the customer is represented by a lawyer"),
        "wrong_person": ("联系人并非客户本人", "the person is not the customer"),
    }
)
_CLOSED: Final = MappingProxyType(
    {
        "paid": ("案件已结清关闭", "the case is closed: paid"),
        "cured": ("账户已恢复正常，案件关闭", "the case is closed: cured"),
        "nothing_owed": ("无欠款，案件关闭", "the case is closed: nothing owed"),
    }
)
_ERASED: Final = Reason("contacts_erased", "客户资料已按要求删除", "the customer's contact data were erased on request")
_PAID: Final = Reason("paid", "欠款已还清", "everything overdue has been paid")

Ground = tuple[WithdrawnReason, Reason]


def settle(customer: Customer, now: datetime) -> tuple[Customer, Sequence[VisitWithdrawn]]:
    """Withdraw every open visit for which there is a ground, and return the facts of it."""
    withdrawn = [
        _withdrawn(visit, ground, now)
        for visit in customer.visits.values()
        if visit.is_open and (ground := ground_to_withdraw(customer, visit)) is not None
    ]
    if not withdrawn:
        return customer, ()
    visits = {**customer.visits, **{visit.hand_over_id: visit for visit, _ in withdrawn}}
    return structs.replace(customer, visits=visits), [fact for _, fact in withdrawn]


def ground_to_withdraw(customer: Customer, visit: Visit) -> Ground | None:
    """Return why the visit is not to be made, or none; stops first, since they also say how to treat the customer."""
    return next((ground for speaks in _GROUNDS if (ground := speaks(customer, visit)) is not None), None)


def stopped(customer: Customer, visit: Visit) -> Ground | None:
    """A stop is in force."""
    kinds = sorted(active(customer.stops))
    if not kinds:
        return None
    zh, en = _STOPPED[kinds[0]]
    return "stopped", Reason(f"stop_{kinds[0]}", zh, en)


def paid(customer: Customer, visit: Visit) -> Ground | None:
    """Every account with a snapshot is paid, and there is a snapshot of this episode for each account of the case.

    An account of which none has come is unknown, not paid: topics are read at different speeds, and what an earlier
    episode ended with says nothing of this one.
    """
    reported = [ledger for ledger in customer.ledgers.values() if ledger.snapshot is not None]
    missed = customer.accounts_of.get(visit.case_id, {})
    if not reported or not all(_reported_since(customer.ledgers.get(key), due) for key, due in missed.items()):
        return None
    return ("paid", _PAID) if all(map(is_paid, reported)) else None


def _reported_since(ledger: AccountLedger | None, missed: date) -> bool:
    """Tell whether there is a snapshot that can know of the missed due date; in no zone is it of an earlier UTC day."""
    return ledger is not None and ledger.snapshot is not None and ledger.snapshot.as_of.date() >= missed


def recalled(customer: Customer, visit: Visit) -> Ground | None:
    """The hand-over was taken back by name, or the case was at or after the hand-over."""
    for recall in customer.recalls:
        by_name = recall.hand_over_id == visit.hand_over_id
        whole_case = recall.hand_over_id is None and recall.case_id == visit.case_id
        if by_name or (whole_case and visit.handed_over_at <= recall.recalled_at):
            return "recalled", recall.reason
    return None


def closed(customer: Customer, visit: Visit) -> Ground | None:
    """The case is over."""
    closing = customer.closings.get(visit.case_id)
    if closing is None:
        return None
    zh, en = _CLOSED[closing.reason]
    return "closed", Reason(f"closed_{closing.reason}", zh, en)


def erased(customer: Customer, visit: Visit) -> Ground | None:
    """Nobody may know any more where to go."""
    return ("erased", _ERASED) if customer.reach is None and customer.erased_as_of is not None else None


_GROUNDS: Final[tuple[Callable[[Customer, Visit], Ground | None], ...]] = (stopped, paid, recalled, closed, erased)


def _withdrawn(visit: Visit, ground: Ground, now: datetime) -> tuple[Visit, VisitWithdrawn]:
    reason, detail = ground
    after = structs.replace(
        visit,
        state="withdrawn",
        revision=visit.revision + 1,
        withdrawal=Withdrawal(reason, detail, now),
    )
    return after, VisitWithdrawn(
        visit_id=visit.visit_id,
        case_id=visit.case_id,
        customer_id=visit.customer_id,
        field_agent_id=visit.field_agent_id,
        team=visit.team,
        reason=reason,
        detail=detail,
        withdrawn_at=now,
    )
