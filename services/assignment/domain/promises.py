"""Promises to pay: made in a conversation, judged by posted payments alone."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from services.assignment.domain.model import Customer, Promise
from services.assignment.domain.policy import Policy, Turn
from shared.events.cases import PromiseBroken, PromiseKept, PromiseMade
from shared.money import Money, format_money
from shared.rules.paid import paid_between

_INSTANT = timedelta(microseconds=1)


def promise_of(
    policy: Policy, *, promise_id: str, currency: str, amount: int, pay_by: date, made_at: datetime
) -> Promise:
    """Return the promise; its day ends at the issuer's midnight, and it is judged broken the next morning."""
    return Promise(
        promise_id=promise_id,
        currency=currency,
        amount=amount,
        pay_by=pay_by,
        made_at=made_at,
        ends_at=policy.midnight(pay_by + timedelta(days=1)),
        lapses_at=policy.lapse_after(pay_by),
    )


def make(turn: Turn, promise: Promise) -> None:
    """Record a promise; the step's set time waits for it."""
    case = turn.case()
    turn.set_case(promise=promise)
    turn.facts.append(
        PromiseMade(
            promise_id=promise.promise_id,
            case_id=case.case_id,
            customer_id=turn.customer.customer_id,
            currency=promise.currency,
            amount=promise.amount,
            pay_by=promise.pay_by,
            made_at=promise.made_at,
        )
    )
    money = Money(promise.amount, promise.currency)
    turn.note(
        "promise_made",
        f"承诺于 {promise.pay_by} 前还款 {format_money(money, 'zh')}",
        f"Promised to pay {format_money(money, 'en')} by {promise.pay_by}",
        promise_id=promise.promise_id,
        amount=promise.amount,
        currency=promise.currency,
        pay_by=promise.pay_by.isoformat(),
    )


def paid_towards(customer: Customer, promise: Promise) -> int:
    """Return what was paid, less reversals, between the promise and the end of its day, in its currency."""
    return sum(
        paid_between(account.ledger, promise.made_at, promise.ends_at - _INSTANT)
        for account in customer.accounts.values()
        if account.ledger.currency == promise.currency
    )


def judge(turn: Turn) -> None:
    """End an open promise: kept as soon as the payments reach it, broken when its time has lapsed without."""
    case = turn.customer.open_case
    if case is None or case.promise is None:
        return
    promise, paid = case.promise, paid_towards(turn.customer, case.promise)
    if paid >= promise.amount:
        _kept(turn, promise)
    elif turn.now >= promise.lapses_at:
        _broken(turn, promise, max(0, paid))


def _kept(turn: Turn, promise: Promise) -> None:
    turn.set_case(promise=None)
    turn.facts.append(
        PromiseKept(
            promise_id=promise.promise_id,
            case_id=turn.case().case_id,
            customer_id=turn.customer.customer_id,
            kept_at=turn.now,
        )
    )
    turn.note("promise_kept", "承诺已履行", "The promise was kept", promise_id=promise.promise_id)


def _broken(turn: Turn, promise: Promise, paid: int) -> None:
    case = turn.case()
    turn.set_case(promise=None, broken_promises=case.broken_promises + 1, broken_at=turn.now, offer_from=None)
    turn.facts.append(
        PromiseBroken(
            promise_id=promise.promise_id,
            case_id=case.case_id,
            customer_id=turn.customer.customer_id,
            paid=paid,
            broken_at=turn.now,
        )
    )
    money = Money(paid, promise.currency)
    turn.note(
        "promise_broken",
        f"跳票：期限已过，实还 {format_money(money, 'zh')}",
        f"The promise was broken: {format_money(money, 'en')} was paid in time",
        promise_id=promise.promise_id,
        paid=paid,
        currency=promise.currency,
    )
