"""What each fact changes in what is known of a customer. Pure; any order and any repetition give the same knowledge.

`FOLDS` holds them by fact. None of them ends a visit: that is decided afterwards, from all that is known
(`services.fieldvisit.domain.withdrawing`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

import msgspec
from msgspec import structs

from services.fieldvisit.domain.model import Closing, Customer, Reach, Recall, Visit
from shared.events.card import (
    AccountCured,
    AccountOverdueReported,
    PaymentPosted,
    PaymentReversed,
    StopLifted,
    StopSet,
)
from shared.events.cases import CaseClosed, CaseHandedOver, CaseOpened, CaseRecalled, ContactLogged
from shared.events.contacts import CustomerContactsChanged, CustomerContactsErased
from shared.ids import derived_id
from shared.money import Money
from shared.rules.calendar import WorkingCalendar
from shared.rules.paid import AccountLedger, with_cured, with_payment, with_reversal, with_snapshot
from shared.rules.rulebook import RuleBook
from shared.rules.stops import stop_of_outcome, with_lift, with_stop

Fold = Callable[[Customer, Any], Customer]
T = TypeVar("T")


def fold_overdue(customer: Customer, fact: AccountOverdueReported) -> Customer:
    """Merge a snapshot of an account."""
    past_due = Money(fact.amount_past_due, fact.currency)
    return _with_ledger(customer, with_snapshot(_ledger(customer, fact), past_due, fact.as_of, fact.due_date))


def fold_cured(customer: Customer, fact: AccountCured) -> Customer:
    """Merge the card system's word that an account is in order again."""
    return _with_ledger(customer, with_cured(_ledger(customer, fact), fact.as_of))


def fold_payment(customer: Customer, fact: PaymentPosted) -> Customer:
    """Merge a payment."""
    amount = Money(fact.amount, fact.currency)
    return _with_ledger(customer, with_payment(_ledger(customer, fact), fact.payment_id, amount, fact.valued_at))


def fold_reversal(customer: Customer, fact: PaymentReversed) -> Customer:
    """Merge a reversal."""
    amount = Money(fact.amount, fact.currency)
    return _with_ledger(customer, with_reversal(_ledger(customer, fact), fact.payment_id, amount, fact.reversed_at))


def fold_stop_set(customer: Customer, fact: StopSet) -> Customer:
    """Merge that a stop was set."""
    return structs.replace(customer, stops=with_stop(customer.stops, fact.kind, fact.set_at))


def fold_stop_lifted(customer: Customer, fact: StopLifted) -> Customer:
    """Merge that a stop was lifted."""
    return structs.replace(customer, stops=with_lift(customer.stops, fact.kind, fact.lifted_at))


def fold_contact(customer: Customer, fact: ContactLogged) -> Customer:
    """Merge what a collector heard: a dispute, a complaint, hardship or a death stops by itself."""
    return with_outcome(customer, fact.outcome, fact.contacted_at)


def with_outcome(customer: Customer, outcome: str, at: datetime) -> Customer:
    """Return the customer with the stop that the outcome of a contact at `at` sets, if it sets one."""
    kind = stop_of_outcome(outcome)
    return customer if kind is None else structs.replace(customer, stops=with_stop(customer.stops, kind, at))


def fold_contacts(customer: Customer, fact: CustomerContactsChanged) -> Customer:
    """Keep the newest word on how the customer is reached; of two of one instant, always the same one."""
    if customer.erased_as_of is not None and fact.as_of <= customer.erased_as_of:
        return customer
    told = Reach(
        as_of=fact.as_of,
        name=fact.name,
        time_zone=fact.time_zone,
        addresses=fact.addresses,
        at_home=fact.at_home,
        night_contact_consent=fact.night_contact_consent,
        refused_channels=fact.refused_channels,
    )
    newest = told if customer.reach is None else max(customer.reach, told, key=_precedence)
    return structs.replace(customer, reach=newest)


def fold_erased(customer: Customer, fact: CustomerContactsErased) -> Customer:
    """Forget how the customer is reached; only what is newer than the erasure stays, or comes."""
    if customer.erased_as_of is not None and fact.as_of <= customer.erased_as_of:
        return customer
    newer = customer.reach if customer.reach is not None and customer.reach.as_of > fact.as_of else None
    return structs.replace(customer, reach=newer, erased_as_of=fact.as_of)


def fold_opened(customer: Customer, fact: CaseOpened) -> Customer:
    """Keep with which accounts a case began and which due dates they had missed, while it is open."""
    if fact.case_id in customer.closings:
        return customer
    accounts = _sorted({account.account_id: account.due_date for account in fact.accounts})
    return structs.replace(customer, accounts_of=_sorted({**customer.accounts_of, fact.case_id: accounts}))


def fold_closed(customer: Customer, fact: CaseClosed) -> Customer:
    """Keep that a case is over; its accounts are not needed any more."""
    if fact.case_id in customer.closings:
        return customer
    closings = _sorted({**customer.closings, fact.case_id: Closing(fact.reason, fact.closed_at)})
    accounts_of = {case: accounts for case, accounts in customer.accounts_of.items() if case != fact.case_id}
    return structs.replace(customer, closings=closings, accounts_of=accounts_of)


def fold_recalled(customer: Customer, fact: CaseRecalled) -> Customer:
    """Keep that a case was taken back out of the field."""
    recall = Recall(fact.case_id, fact.hand_over_id, fact.reason, fact.recalled_at)
    recalls = {*customer.recalls, recall}
    return structs.replace(customer, recalls=tuple(sorted(recalls, key=_in_time)))


def fold_handed_over(customer: Customer, fact: CaseHandedOver, due_at: datetime, traceparent: str | None) -> Customer:
    """Make a visit of a hand-over, to be completed by `due_at`; the same hand-over again makes none."""
    if fact.hand_over_id in customer.visits:
        return customer
    visit = Visit(
        visit_id=str(derived_id("visit", fact.customer_id, fact.hand_over_id)),
        hand_over_id=fact.hand_over_id,
        case_id=fact.case_id,
        customer_id=fact.customer_id,
        field_agent_id=fact.field_agent_id,
        phone_agent_id=fact.phone_agent_id,
        team=fact.team,
        handed_over_at=fact.handed_over_at,
        due_at=due_at,
        traceparent=traceparent,
    )
    return structs.replace(customer, visits=_sorted({**customer.visits, fact.hand_over_id: visit}))


def due_at(handed_over_at: datetime, calendar: WorkingCalendar, zone: str, book: RuleBook) -> datetime:
    """Return until when a visit is to be completed: the end of the second working day after the hand-over's, in UTC.

    How many days, the rule book says ("house.visit_working_days"). Raises `CalendarUnknown` for a year without data.
    """
    day = handed_over_at.astimezone(ZoneInfo(zone)).date()
    working_days = book.on(day).limit("house.visit_working_days")
    return calendar.due_after_working_days(handed_over_at, working_days, zone)


FOLDS: Final[Mapping[type, Fold]] = {
    AccountOverdueReported: fold_overdue,
    AccountCured: fold_cured,
    PaymentPosted: fold_payment,
    PaymentReversed: fold_reversal,
    StopSet: fold_stop_set,
    StopLifted: fold_stop_lifted,
    CustomerContactsChanged: fold_contacts,
    CustomerContactsErased: fold_erased,
    CaseOpened: fold_opened,
    CaseRecalled: fold_recalled,
    CaseClosed: fold_closed,
    ContactLogged: fold_contact,
}
"""Every fact about a customer but the hand-over, which needs the calendar as well."""


def _ledger(
    customer: Customer, fact: AccountOverdueReported | AccountCured | PaymentPosted | PaymentReversed
) -> AccountLedger:
    return customer.ledgers.get(fact.account_id) or AccountLedger(fact.account_id)


def _with_ledger(customer: Customer, ledger: AccountLedger) -> Customer:
    if customer.ledgers.get(ledger.account_id) == ledger:
        return customer
    return structs.replace(customer, ledgers=_sorted({**customer.ledgers, ledger.account_id: ledger}))


def _sorted(by_key: dict[str, T]) -> dict[str, T]:
    return {key: by_key[key] for key in sorted(by_key)}


def _precedence(reach: Reach) -> tuple[datetime, bytes]:
    return reach.as_of, msgspec.json.encode(reach)


def _in_time(recall: Recall) -> tuple[datetime, str, str]:
    return recall.recalled_at, recall.case_id, recall.hand_over_id or ""
