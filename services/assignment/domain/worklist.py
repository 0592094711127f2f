"""Which case comes first at the desk, and why, in words.

Order: a broken promise that nobody has spoken about yet, then who was never contacted, then the grade, the bucket, and
the amount. Amounts are compared within one currency only.
"""

from __future__ import annotations

from dataclasses import dataclass

from services.assignment.domain.model import GRADES, Case, Customer, amounts_owed, case_accounts
from services.assignment.domain.staff import needs_collector
from shared.events.kinds import Reason
from shared.money import Money, format_money
from shared.rules.aging import BUCKETS


@dataclass(frozen=True, slots=True)
class Place:
    """Where a case stands in a worklist: by `rank` downwards, then by amount downwards within each currency."""

    rank: int
    currency: str
    owed: int


def place_of(customer: Customer) -> Place:
    """Return the case's place; the currency is that of the account that is overdue longest."""
    case, accounts = customer.open_case, case_accounts(customer)
    if case is None or not accounts:
        return Place(0, "", 0)
    currency = accounts[0].currency
    owed = next((amount.minor for amount in amounts_owed(customer) if amount.currency == currency), 0)
    return Place(_rank(case), currency, owed)


def workable(customer: Customer) -> bool:
    """Tell whether the case is on a worklist: by phone or waiting for a visit, not stopped, not in the field."""
    case = customer.open_case
    return needs_collector(case) and case is not None and case.hand_over is None and not customer.stopped


def reasons(customer: Customer) -> tuple[Reason, ...]:
    """Return why the case stands where it stands, the weightiest first."""
    case = customer.open_case
    if case is None:
        return ()
    found = []
    if case.promise is not None:
        until = case.promise.pay_by
        found.append(Reason("promise_open", f"承诺还款至 {until}", f"A promise runs until {until}"))
    if _broken_unspoken(case):
        found.append(Reason("promise_broken", "跳票，尚未跟进", "A promise was broken and not yet spoken about"))
    if case.contacted_at is None:
        found.append(Reason("never_contacted", "尚未联系", "Never contacted"))
    if case.grade is not None:
        found.append(Reason("grade", f"风险等级 {case.grade}", f"Grade {case.grade}"))
    found.append(Reason("bucket", f"账龄 {case.bucket}", f"Bucket {case.bucket}"))
    for amount in amounts_owed(customer):
        money = Money(amount.minor, amount.currency)
        found.append(Reason("amount", f"欠款 {format_money(money, 'zh')}", f"Owes {format_money(money, 'en')}"))
    return tuple(found)


def _rank(case: Case) -> int:
    grade = GRADES.index(case.grade) + 1 if case.grade else 0
    contacted = case.contacted_at is not None
    return _broken_unspoken(case) * 1000 + (not contacted) * 100 + grade * 10 + BUCKETS.index(case.bucket)


def _broken_unspoken(case: Case) -> bool:
    return case.broken_at is not None and (case.heard_at is None or case.heard_at < case.broken_at)
