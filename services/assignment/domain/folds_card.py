"""What the card systems, the customer's contacts and the grades mean for a case."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec import structs

from services.assignment.domain import lifecycle, plan
from services.assignment.domain.contacts import set_stop
from services.assignment.domain.model import Account, Details, Phone, Reach
from services.assignment.domain.permits import NO_PHONE
from services.assignment.domain.policy import Turn
from shared.events.card import AccountCured, AccountOverdueReported, PaymentPosted, PaymentReversed, StopLifted, StopSet
from shared.events.contacts import CustomerContactsChanged, CustomerContactsErased
from shared.events.kinds import Reason
from shared.events.risk import AccountGraded
from shared.ids import derived_id
from shared.money import Money, format_money
from shared.rules import paid
from shared.rules.contact import ContactLedger
from shared.rules.paid import AccountLedger
from shared.rules.stops import active, with_lift

UNCHANGED = "unchanged"

_content = msgspec.json.Encoder().encode


def overdue_reported(turn: Turn, fact: AccountOverdueReported) -> str | None:
    """A snapshot: the newest says what is owed; it may open the case, or close it when nothing is past due."""
    account = _account(turn, fact.account_id)
    past_due = Money(fact.amount_past_due, fact.currency)
    ledger = paid.with_snapshot(account.ledger, past_due, fact.as_of, fact.due_date)
    details = Details(
        fact.as_of, fact.amount_past_due, fact.due_date, fact.card_last4, fact.product_code, fact.min_payment_due
    )
    newest = details if account.details is None or _newer(details, account.details) else account.details
    if ledger is account.ledger and newest is account.details:
        return UNCHANGED
    _keep(turn, fact.account_id, structs.replace(account, ledger=ledger, details=newest))
    lifecycle.settle(turn)
    return None


def cured(turn: Turn, fact: AccountCured) -> str | None:
    """The card system's word that the account is in order again."""
    account = _account(turn, fact.account_id)
    ledger = paid.with_cured(account.ledger, fact.as_of)
    if ledger is account.ledger and account.cured_at is not None and account.cured_at >= fact.as_of:
        return UNCHANGED
    cured_at = max(filter(None, (account.cured_at, fact.as_of)))
    _keep(turn, fact.account_id, structs.replace(account, ledger=ledger, cured_at=cured_at))
    lifecycle.settle(turn)
    return None


def payment_posted(turn: Turn, fact: PaymentPosted) -> str | None:
    """A payment: part of the debt renews the running step, all of it closes the case."""
    amount = Money(fact.amount, fact.currency)

    def merged(ledger: AccountLedger) -> AccountLedger:
        return paid.with_payment(ledger, fact.payment_id, amount, fact.valued_at)

    before = _owed(turn, fact.account_id)
    if not _merge(turn, fact.account_id, merged):
        return UNCHANGED
    turn.note(
        "payment",
        f"还款 {format_money(amount, 'zh')}",
        f"Paid {format_money(amount, 'en')}",
        at=fact.valued_at,
        account_id=fact.account_id,
        amount=fact.amount,
        currency=fact.currency,
    )
    if _owed(turn, fact.account_id) < before and turn.customer.owing():
        plan.renew(turn, Reason("partial_payment", "已部分还款", "Part of the debt was paid"))
    lifecycle.settle(turn)
    return None


def payment_reversed(turn: Turn, fact: PaymentReversed) -> str | None:
    """A payment was taken back: what it paid is owed again, in this case or, if that is closed, in a new one."""
    amount = Money(fact.amount, fact.currency)

    def merged(ledger: AccountLedger) -> AccountLedger:
        return paid.with_reversal(ledger, fact.payment_id, amount, fact.reversed_at)

    if not _merge(turn, fact.account_id, merged):
        return UNCHANGED
    turn.note(
        "payment_reversed",
        f"还款被冲正 {format_money(amount, 'zh')}",
        f"A payment was reversed: {format_money(amount, 'en')}",
        at=fact.reversed_at,
        account_id=fact.account_id,
        amount=fact.amount,
        currency=fact.currency,
    )
    lifecycle.settle(turn)
    return None


def stop_set(turn: Turn, fact: StopSet) -> str | None:
    """A stop: pressure ends at once."""
    before = turn.customer.stops
    set_stop(turn, fact.kind, fact.set_at)
    return UNCHANGED if turn.customer.stops == before else None


def stop_lifted(turn: Turn, fact: StopLifted) -> str | None:
    """A stop no longer holds; when it was the last one, the running step begins its set time anew."""
    before = turn.customer.stops
    stops = with_lift(before, fact.kind, fact.lifted_at)
    if stops == before:
        return UNCHANGED
    turn.customer = structs.replace(turn.customer, stops=stops)
    if fact.kind in active(before) - active(stops):
        turn.note(
            "stop_lifted",
            f"停催解除：{fact.kind}",
            f"The stop was lifted: {fact.kind}",
            at=fact.lifted_at,
            stop=fact.kind,
        )
        if not turn.customer.stopped:
            plan.renew(turn, Reason("stop_lifted", "停催解除", "The stop was lifted"))
    return None


def contacts_changed(turn: Turn, fact: CustomerContactsChanged) -> str | None:
    """How to reach the customer; only what the phone desk needs is kept."""
    held, erased_as_of = turn.customer.reach, turn.customer.erased_as_of
    if erased_as_of is not None and fact.as_of <= erased_as_of:
        return UNCHANGED
    customer_id = turn.customer.customer_id
    phones = tuple(
        Phone(str(derived_id("phone", customer_id, phone.number)), phone.number, phone.kind) for phone in fact.phones
    )
    reach = Reach(
        as_of=fact.as_of,
        name=fact.name,
        language=fact.language,
        time_zone=fact.time_zone,
        phones=phones,
        night_consent=fact.night_contact_consent,
        refused=tuple(fact.refused_channels),
        areas=tuple(sorted({part for address in fact.addresses for part in (address.district, address.city)})),
    )
    if held is not None and (held.as_of, _content(held)) >= (reach.as_of, _content(reach)):
        return UNCHANGED
    turn.customer = structs.replace(turn.customer, reach=reach)
    return None


def contacts_erased(turn: Turn, fact: CustomerContactsErased) -> str | None:
    """How the customer was reached is forgotten; only what is newer than the erasure stays, or comes.

    That calls were made stays, but not on which number: they count as calls to no number, so none is forgiven.
    """
    customer = turn.customer
    if customer.erased_as_of is not None and fact.as_of <= customer.erased_as_of:
        return UNCHANGED
    newer = customer.reach if customer.reach is not None and customer.reach.as_of > fact.as_of else None
    kept = {phone.phone_id for phone in newer.phones} if newer is not None else set()
    attempts = tuple(
        each if each.method in kept else structs.replace(each, method=NO_PHONE) for each in customer.calls.attempts
    )
    turn.customer = structs.replace(
        customer,
        reach=newer,
        erased_as_of=fact.as_of,
        calls=ContactLedger(attempts),
        dead_phones=tuple(each for each in customer.dead_phones if each in kept),
    )
    turn.note("contacts_erased", "客户联系资料已按要求删除", "The customer's contact data were erased on request")
    return None


def graded(turn: Turn, fact: AccountGraded) -> str | None:
    """A grade, from the newest grading; it changes what comes next in the plan, never the running set time."""
    account = _account(turn, fact.account_id)
    if account.grading >= fact.version:
        return UNCHANGED
    _keep(turn, fact.account_id, structs.replace(account, grade=fact.grade, grading=fact.version))
    lifecycle.settle(turn)
    return None


def _account(turn: Turn, account_id: str) -> Account:
    return turn.customer.accounts.get(account_id) or Account(ledger=AccountLedger(account_id))


def _keep(turn: Turn, account_id: str, account: Account) -> None:
    turn.customer = structs.replace(turn.customer, accounts={**turn.customer.accounts, account_id: account})


def _merge(turn: Turn, account_id: str, merged: Callable[[AccountLedger], AccountLedger]) -> bool:
    account = _account(turn, account_id)
    ledger = merged(account.ledger)
    if ledger is account.ledger:
        return False
    _keep(turn, account_id, structs.replace(account, ledger=ledger))
    return True


def _owed(turn: Turn, account_id: str) -> int:
    money = paid.owed(_account(turn, account_id).ledger)
    return money.minor if money is not None else 0


def _newer(one: Details, other: Details) -> bool:
    """Tell which snapshot's details hold, by the order in which the ledger takes snapshots."""
    return (one.as_of, -one.past_due, one.due_date) > (other.as_of, -other.past_due, other.due_date)
