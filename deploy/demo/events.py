"""What the bank's card system tells of a customer, as CloudEvents. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from deploy.demo.story import Account, Customer, Record

Event = dict[str, Any]

SOURCE = "/bank/cards"
_MONTHS = 6
_DAYS_A_PERIOD = 30

_BEFORE: Mapping[Record, tuple[int, ...]] = MappingProxyType(
    {"good": (-1, -1, 0, -1, -1, -1), "fair": (0, 1, 0, 0, 1, 0), "poor": (1, 2, 1, 2, 1, 1)}
)
"""Months overdue before the present arrears began, newest first: -1 paid in full, 0 revolving."""
_PAID_SHARE: Mapping[Record, float] = MappingProxyType({"good": 1.0, "fair": 0.3, "poor": 0.08})


def contacts_changed(customer: Customer, at: datetime, zone: str, city: str, *, again: str = "") -> Event:
    """Who the customer is and how to be reached. `again`: what names a later one; each has an id of its own."""
    data = {
        "customer_id": customer.customer_id,
        "as_of": at.isoformat(),
        "name": customer.name,
        "language": customer.language,
        "time_zone": zone,
        "phones": [{"number": customer.phone, "kind": "mobile"}],
        "emails": [] if customer.email is None else [customer.email],
        "addresses": [
            {
                "address_id": f"home-{customer.customer_id}",
                "kind": "home",
                "lines": [customer.street],
                "district": customer.district,
                "city": city,
                "hazard": customer.hazard,
            }
        ],
        "at_home": [
            {"weekdays": list(window.weekdays), "since": f"{window.since:%H:%M}", "until": f"{window.until:%H:%M}"}
            for window in customer.home
        ],
    }
    return _event("customer.contacts_changed", f"contacts-{customer.customer_id}{again}", at, data)


def overdue_reported(customer: Customer, account: Account, at: datetime, zone: ZoneInfo) -> Event:
    """The snapshot of an account, with six months of history."""
    today = at.astimezone(zone).date()
    due = today - timedelta(days=account.days_past_due)
    periods = -(-account.days_past_due // _DAYS_A_PERIOD)
    interest, fee = account.past_due * 8 // 100, account.past_due * 4 // 100
    data = {
        "customer_id": customer.customer_id,
        "account_id": account.account_id,
        "card_last4": account.last4,
        "product_code": account.product,
        "currency": account.currency,
        "as_of": at.isoformat(),
        "statement_date": (due - timedelta(days=20)).isoformat(),
        "due_date": due.isoformat(),
        "min_payment_due": account.past_due // 10,
        "amount_past_due": account.past_due,
        "principal_past_due": account.past_due - interest - fee,
        "interest_past_due": interest,
        "late_fee": fee,
        "balance": account.months[0].statement if account.months else account.past_due * 11 // 10,
        "credit_limit": account.credit_limit,
        "periods_past_due": periods if account.past_due or account.months else 0,
        "history": _history(account, periods, today),
    }
    return _event("account.overdue_reported", f"overdue-{account.account_id}-{today}", at, data)


# A letter parts an account's number from what follows it: without one, some ids would pass for full card numbers.
def payment_posted(customer_id: str, account: Account, number: int, amount: int, at: datetime) -> Event:
    """A payment, counted from now."""
    data = _payment(customer_id, account, number, amount) | {"valued_at": at.isoformat()}
    return _event("payment.posted", f"pay-{account.account_id}-p{number}", at, data)


def payment_reversed(customer_id: str, account: Account, number: int, amount: int, at: datetime) -> Event:
    """The payment of that number was taken back."""
    data = _payment(customer_id, account, number, amount) | {"reversed_at": at.isoformat()}
    return _event("payment.reversed", f"reverse-{account.account_id}-p{number}", at, data)


def account_cured(customer_id: str, account: Account, at: datetime) -> Event:
    """The card system holds the account to be in order again."""
    data = {"customer_id": customer_id, "account_id": account.account_id, "as_of": at.isoformat()}
    return _event("account.cured", f"cured-{account.account_id}", at, data)


def stop_set(customer_id: str, kind: str, at: datetime) -> Event:
    """From now on the customer may not be pressed."""
    data = {"customer_id": customer_id, "kind": kind, "set_at": at.isoformat()}
    return _event("customer.stop_set", f"stop-{customer_id}-{kind}", at, data)


def stop_lifted(customer_id: str, kind: str, at: datetime) -> Event:
    """The stop no longer holds."""
    data = {"customer_id": customer_id, "kind": kind, "lifted_at": at.isoformat()}
    return _event("customer.stop_lifted", f"lift-{customer_id}-{kind}", at, data)


def opted_out(customer_id: str, at: datetime) -> Event:
    """The customer wants no more SMS; told to notify, which makes this event of it."""
    data = {"customer_id": customer_id, "channel": "sms", "opted_out_at": at.isoformat()}
    return _event("customer.opted_out", f"opt-out-{customer_id}", at, data)


def _payment(customer_id: str, account: Account, number: int, amount: int) -> Event:
    return {
        "customer_id": customer_id,
        "account_id": account.account_id,
        "payment_id": f"P-{account.account_id}-p{number}",
        "currency": account.currency,
        "amount": amount,
    }


def _history(account: Account, periods: int, today: date) -> list[Event]:
    if account.months:
        return [
            {"month": _month(today, ago), "status": each.status, "statement_balance": each.statement, "paid": each.paid}
            for ago, each in enumerate(account.months)
        ]
    before = _BEFORE[account.record]
    statement = account.credit_limit // 4
    months = []
    for ago in range(_MONTHS):
        status = periods - ago if ago < periods else before[(ago - periods) % len(before)]
        paid = 0 if status > 0 and ago < periods else int(statement * _PAID_SHARE[account.record])
        months.append({"month": _month(today, ago), "status": status, "statement_balance": statement, "paid": paid})
    return months


def _month(today: date, ago: int) -> str:
    months = today.year * 12 + today.month - 1 - ago
    return f"{months // 12:04}-{months % 12 + 1:02}"


def _event(noun: str, identity: str, at: datetime, data: Event) -> Event:
    return {
        "specversion": "1.0",
        "id": identity,
        "source": SOURCE,
        "type": f"arrears.{noun}.v1",
        "time": at.isoformat(),
        "datacontenttype": "application/json",
        "data": data,
    }
