"""How each fact changes what is known of a customer: pure, and free of order and repetition.

A fold returns the very same object when the fact changes nothing. A fact in another currency than its account's raises
`shared.money.CurrencyMismatch`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

import msgspec
from msgspec import structs

from services.notify.domain.model import CaseMark, Customer, OptOut, Reach, Unusable
from shared.events.card import AccountCured, AccountOverdueReported, PaymentPosted, PaymentReversed, StopLifted, StopSet
from shared.events.cases import CaseClosed, CaseRecalled, ContactLogged
from shared.events.contacts import CustomerContactsChanged, CustomerContactsErased
from shared.events.kinds import Fact, MessageChannel
from shared.money import Money
from shared.rules import paid
from shared.rules.stops import Stops, stop_of_outcome, with_lift, with_stop

Fold = Callable[[Customer, Any], Customer]

_content = msgspec.json.Encoder(order="sorted").encode


def overdue_reported(customer: Customer, fact: AccountOverdueReported) -> Customer:
    """A snapshot of what is past due."""
    past_due = Money(fact.amount_past_due, fact.currency)
    return _account(
        customer, fact.account_id, lambda held: paid.with_snapshot(held, past_due, fact.as_of, fact.due_date)
    )


def cured(customer: Customer, fact: AccountCured) -> Customer:
    """The card system says that the account is in order again."""
    return _account(customer, fact.account_id, lambda held: paid.with_cured(held, fact.as_of))


def payment_posted(customer: Customer, fact: PaymentPosted) -> Customer:
    """A payment came in."""
    amount = Money(fact.amount, fact.currency)
    return _account(
        customer, fact.account_id, lambda held: paid.with_payment(held, fact.payment_id, amount, fact.valued_at)
    )


def payment_reversed(customer: Customer, fact: PaymentReversed) -> Customer:
    """A payment was taken back."""
    amount = Money(fact.amount, fact.currency)
    return _account(
        customer, fact.account_id, lambda held: paid.with_reversal(held, fact.payment_id, amount, fact.reversed_at)
    )


def stop_set(customer: Customer, fact: StopSet) -> Customer:
    """The customer may not be pressed from now on."""
    return _stopped(customer, with_stop(customer.stops, fact.kind, fact.set_at))


def stop_lifted(customer: Customer, fact: StopLifted) -> Customer:
    """The stop of this kind no longer holds."""
    return _stopped(customer, with_lift(customer.stops, fact.kind, fact.lifted_at))


def contact_logged(customer: Customer, fact: ContactLogged) -> Customer:
    """A conversation that named a dispute, complaint, hardship or death stops reminders at once."""
    kind = stop_of_outcome(fact.outcome)
    return customer if kind is None else _stopped(customer, with_stop(customer.stops, kind, fact.contacted_at))


def contacts_changed(customer: Customer, fact: CustomerContactsChanged) -> Customer:
    """The whole of how the customer is reached; the newest holds, and of two of one instant always the same one."""
    told = Reach(
        as_of=fact.as_of,
        name=fact.name,
        language=fact.language,
        time_zone=fact.time_zone,
        mobiles=tuple(phone.number for phone in fact.phones if phone.kind == "mobile"),
        emails=fact.emails,
        night_consent=fact.night_contact_consent,
        refused=tuple(sorted(set(fact.refused_channels))),
    )
    held = customer.reach
    if customer.erased_as_of is not None and told.as_of <= customer.erased_as_of:
        return customer
    if held is not None and (held.as_of, _content(held)) >= (told.as_of, _content(told)):
        return customer
    return structs.replace(customer, reach=told, unusable=_still_unusable(customer, told))


def contacts_erased(customer: Customer, fact: CustomerContactsErased) -> Customer:
    """How the customer was reached is forgotten; only what is newer than the erasure stays, or comes."""
    if customer.erased_as_of is not None and fact.as_of <= customer.erased_as_of:
        return customer
    held = customer.reach
    newer = held if held is not None and held.as_of > fact.as_of else None
    return structs.replace(customer, reach=newer, erased_as_of=fact.as_of, unusable=_still_unusable(customer, newer))


def case_closed(customer: Customer, fact: CaseClosed) -> Customer:
    """The episode is over: nothing of it is sent any more."""
    return _marked(customer, CaseMark(fact.case_id, closed_at=fact.closed_at))


def case_recalled(customer: Customer, fact: CaseRecalled) -> Customer:
    """The case was taken back out of its queue; a recall of a hand-over alone concerns the field, not reminders."""
    if fact.hand_over_id is not None:
        return customer
    return _marked(customer, CaseMark(fact.case_id, recalled_at=fact.recalled_at))


def opted_out(customer: Customer, channel: MessageChannel, at: datetime) -> Customer:
    """The customer refused a medium; the first refusal is the one kept."""
    if any(each.channel == channel and each.at <= at for each in customer.opt_outs):
        return customer
    others = (each for each in customer.opt_outs if each.channel != channel)
    return structs.replace(customer, opt_outs=tuple(sorted((*others, OptOut(channel, at)), key=structs.astuple)))


def address_refused(customer: Customer, channel: MessageChannel, address: str, code: str, at: datetime) -> Customer:
    """The gateway said that nothing reaches this address; one that the bank does not name (any more) is not kept."""
    if customer.reach is None or address not in customer.reach.addresses(channel):
        return customer
    if any((each.channel, each.address) == (channel, address) for each in customer.unusable):
        return customer
    marks = (*customer.unusable, Unusable(channel, address, code, at))
    return structs.replace(customer, unusable=tuple(sorted(marks, key=structs.astuple)))


FOLDS: Final[Mapping[type[Fact], Fold]] = MappingProxyType(
    {
        AccountOverdueReported: overdue_reported,
        AccountCured: cured,
        PaymentPosted: payment_posted,
        PaymentReversed: payment_reversed,
        StopSet: stop_set,
        StopLifted: stop_lifted,
        ContactLogged: contact_logged,
        CustomerContactsChanged: contacts_changed,
        CustomerContactsErased: contacts_erased,
        CaseClosed: case_closed,
        CaseRecalled: case_recalled,
    }
)
"""What notify keeps of each fact about a customer."""


def _still_unusable(customer: Customer, told: Reach | None) -> tuple[Unusable, ...]:
    """Return the marks that stand: the bank says the same of that channel as before. Repeating is not mending."""
    held = customer.reach
    if held is None or told is None:
        return ()
    return tuple(each for each in customer.unusable if held.addresses(each.channel) == told.addresses(each.channel))


def _account(
    customer: Customer, account_id: str, merged: Callable[[paid.AccountLedger], paid.AccountLedger]
) -> Customer:
    by_id = {ledger.account_id: ledger for ledger in customer.accounts}
    held = by_id.get(account_id) or paid.AccountLedger(account_id)
    ledger = merged(held)
    if ledger is held:
        return customer
    by_id[account_id] = ledger
    return structs.replace(customer, accounts=tuple(by_id[key] for key in sorted(by_id)))


def _stopped(customer: Customer, stops: Stops) -> Customer:
    return customer if stops == customer.stops else structs.replace(customer, stops=stops)


def _marked(customer: Customer, mark: CaseMark) -> Customer:
    by_id = {held.case_id: held for held in customer.cases}
    held = by_id.get(mark.case_id, CaseMark(mark.case_id))
    merged = CaseMark(
        mark.case_id, _latest(held.closed_at, mark.closed_at), _latest(held.recalled_at, mark.recalled_at)
    )
    if merged == held:
        return customer
    by_id[mark.case_id] = merged
    return structs.replace(customer, cases=tuple(by_id[key] for key in sorted(by_id)))


def _latest(held: datetime | None, told: datetime | None) -> datetime | None:
    if held is None or told is None:
        return held or told
    return max(held, told)
