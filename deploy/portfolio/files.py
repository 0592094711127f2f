"""A bank's file as a portfolio: its rows are told as the loader tells them, its people are made up.

A file of overdue accounts says nothing of how its customers can be reached.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from deploy.demo.events import Event
from deploy.demo.story import Account, Customer
from deploy.portfolio.making import DAYS_A_MONTH, Source, person
from services.ingest import load
from services.ingest.loading.rows import read_rows
from shared.rules.loading import DataFileError

_UCI: Final = frozenset({"LIMIT_BAL", "PAY_0", "BILL_AMT1"})
_OVERDUE: Final = "arrears.account.overdue_reported.v1"
_OLDEST: Final = 400


@dataclass(frozen=True)
class Portfolio:
    """What a file holds. `rows`: of all; `faulty`: that tell nothing that intake could take; `events`: of the others.

    Rows that tell nothing because nothing is overdue are in neither.
    """

    path: Path
    mapping: str
    rows: int
    faulty: int
    events: tuple[Event, ...]

    @property
    def newest(self) -> datetime:
        """As of when the newest row is."""
        return max(datetime.fromisoformat(each["data"]["as_of"]) for each in self.events)


def read(path: Path, mapping: str | None, as_of: date) -> Portfolio:
    """Read a file of overdue accounts. `mapping`: as the loader takes it, none: by the file's own columns.

    `as_of`: the day that a file without dates describes.

    Raises:
        DataFileError: the file or the mapping cannot be used, or nothing in it is overdue.
    """
    rows = list(read_rows(path))
    chosen = mapping or (("uci" if rows[0].cells.keys() >= _UCI else "template") if rows else "template")
    tell, _ = load.telling(Namespace(mapping=chosen, as_of=as_of))
    told = [tell(row) for row in rows]
    events = tuple(each.event for each in told if each.event is not None)
    other = next((each["type"] for each in events if each["type"] != _OVERDUE), None)
    if other is not None:
        raise DataFileError(path.name, "", f"tells {other}", f"give a file and a mapping of {_OVERDUE}")
    if not events:
        raise DataFileError(path.name, "", "has no overdue account that could be read", "look at its mapping")
    return Portfolio(path, chosen, len(rows), sum(bool(each.faults) for each in told), events)


def people(source: Source, events: Sequence[Mapping[str, Any]], zone: ZoneInfo) -> tuple[Customer, ...]:
    """Make somebody up for each customer of the snapshots, the same for the same seed and file."""
    cards: dict[str, dict[str, Account]] = {}
    for event in events:
        account = account_of(event["data"], zone)
        cards.setdefault(event["data"]["customer_id"], {})[account.account_id] = account
    return tuple(_persons(source, cards))


def _persons(source: Source, cards: Mapping[str, Mapping[str, Account]]) -> Iterator[Customer]:
    for number, (customer_id, accounts) in enumerate(sorted(cards.items()), 1):
        chance = source.chance(f"holder {customer_id}")
        yield person(chance, source, number, customer_id, tuple(accounts.values()))


def account_of(data: Mapping[str, Any], zone: ZoneInfo) -> Account:
    """Return the account that a snapshot speaks of, as far as whoever pays it needs to know it."""
    day = datetime.fromisoformat(data["as_of"]).astimezone(zone).date()
    days = (day - date.fromisoformat(data["due_date"])).days
    if data["periods_past_due"]:
        days = min(days, data["periods_past_due"] * DAYS_A_MONTH)  # 31 days of one month's arrears are one month
    return Account(
        account_id=data["account_id"],
        last4=data["card_last4"],
        product=data["product_code"],
        currency=data["currency"],
        past_due=data["amount_past_due"],
        days_past_due=min(max(days, 0), _OLDEST),
        credit_limit=max(data["credit_limit"], 1),
        record="fair",
    )
