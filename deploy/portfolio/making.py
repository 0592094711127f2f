"""A portfolio made from the public figures and a seed: the same seed, the same people, whatever machine makes them.

Everybody is drawn by themselves, from the seed and their number: the first hundred of three hundred are the same
hundred. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import cos, pi, radians, sin, sqrt
from random import Random
from typing import Final, TypeVar

from deploy.demo.story import Account, Act, Customer, Home, Month, Record
from deploy.portfolio.city import City, Manner
from deploy.portfolio.figures import LIMITS, LONG, PAID, SHARES, Figures, Status, kind_of

T = TypeVar("T")

_MONTHS: Final = 6
_CARDS: Final = "abcdefgh"
"""A letter ends the digits of an account's id: with a date behind it, some ids would pass for card numbers."""
DAYS_A_MONTH: Final = 30
_LIMIT_STEP: Final = 10_000
_FEN: Final = 100
_KM_A_DEGREE: Final = 111.2
_OVER_THE_LIMIT: Final = 115
"""Percent: what the last band of shares, which is open, reaches up to here."""


@dataclass(frozen=True)
class Source:
    """What people are made from."""

    figures: Figures
    city: City
    seed: int

    def chance(self, who: str) -> Random:
        """Return the chance of one person alone."""
        return Random(f"{self.seed} {who}")  # noqa: S311 - made-up people, no secret


def portfolio(source: Source, number: int) -> tuple[Customer, ...]:
    """Make so many customers."""
    return tuple(_customer(source, place) for place in range(1, number + 1))


def _customer(source: Source, number: int) -> Customer:
    chance = source.chance(f"customer {number}")
    cards = draw(chance, source.city.cards)
    accounts = tuple(_account(chance, source, f"A{number:06}{card}") for card in _CARDS[:cards])
    return person(chance, source, number, f"C{number:06}", accounts)


def person(chance: Random, source: Source, number: int, customer_id: str, accounts: Sequence[Account]) -> Customer:
    """Make somebody up who holds these accounts. `number`: no two have the same, and so no two the same telephone."""
    city = source.city
    language = draw(chance, city.languages)
    home = _home(chance, city)
    at_home = draw(chance, {place: each.share for place, each in enumerate(city.homes)})
    manner, moment = _manner(chance, source, accounts), chance.choice(city.acting)
    moves_to = _home(chance, city)
    acts = tuple(Act.model_validate(act | {"when": moment}) for act in manner.acts) if manner else ()
    return Customer(
        customer_id=customer_id,
        manner=manner.name if manner else None,
        name=_name(chance, city, english=language == "en"),
        language=language,
        phone=f"+86139{number:08}",
        email=f"c{number:06}@mail.example" if chance.random() * 100 < city.email else None,
        district=home.district,
        street=home.street,
        latitude=home.latitude,
        longitude=home.longitude,
        moves_to=moves_to if any(act.do == "move" for act in acts) else None,
        home=city.homes[at_home].windows,
        accounts=tuple(accounts),
        calls=manner.calls if manner else (),
        doors=manner.doors if manner else (),
        acts=acts,
    )


def draw(chance: Random, counts: Mapping[T, int]) -> T:
    """Draw one of the keys, each as often as it counts."""
    left = chance.random() * sum(counts.values())
    for value, count in counts.items():
        left -= count
        if left < 0:
            return value
    raise ValueError("there is nothing to draw from")


def months_overdue(accounts: Iterable[Account]) -> int:
    """Return for how many months the oldest debt of all has been due; 0 where nothing is owed."""
    return max((-(-each.days_past_due // DAYS_A_MONTH) for each in accounts if each.past_due > 0), default=0)


def _manner(chance: Random, source: Source, accounts: Sequence[Account]) -> Manner | None:
    """Draw what a debtor does; who owes nothing does nothing."""
    months = min(months_overdue(accounts), LONG)
    if months == 0:
        return None
    figures = source.figures
    among = sum(count for status, count in figures.months_overdue.items() if min(status, LONG) == months)
    unable = chance.random() * among < figures.defaulted[months]
    shares = {each.name: each.unable if unable else each.able for each in source.city.manners}
    chosen = draw(chance, shares)
    return next(each for each in source.city.manners if each.name == chosen)


def _account(chance: Random, source: Source, account_id: str) -> Account:
    figures, city = source.figures, source.city
    limit = _limit(chance, figures) * _FEN // city.divisor
    statuses = _statuses(chance, figures)
    months = _history(chance, figures, statuses, limit)
    days = chance.randint((statuses[0] - 1) * DAYS_A_MONTH + 1, statuses[0] * DAYS_A_MONTH)
    statement, minimum = months[0].statement, city.minimum
    return Account(
        account_id=account_id,
        last4=f"{chance.randint(0, 9999):04}",
        product=chance.choice(city.products),
        currency=city.currency,
        past_due=min(max(statement * minimum.percent // 100, minimum.floor), statement),
        days_past_due=days,
        credit_limit=limit,
        record=_record(statuses),
        months=months,
    )


def _limit(chance: Random, figures: Figures) -> int:
    low, high = _within(draw(chance, figures.limit), LIMITS)
    return chance.randint(low // _LIMIT_STEP + 1, high // _LIMIT_STEP) * _LIMIT_STEP


def _statuses(chance: Random, figures: Figures) -> list[Status]:
    """Draw six months, newest first, each from the one after it."""
    found = [draw(chance, figures.months_overdue)]
    found.append(draw(chance, figures.before[found[0]]))
    while len(found) < _MONTHS:
        found.append(draw(chance, figures.earlier[found[-1]]))
    return found


def _history(chance: Random, figures: Figures, statuses: Sequence[Status], limit: int) -> tuple[Month, ...]:
    low, high = _within(draw(chance, figures.statement[min(statuses[0], LONG)]), SHARES)
    newest = int(limit * chance.uniform(low, high if high < SHARES[-1] else _OVER_THE_LIMIT) / 100)
    statements = [newest]
    for status in statuses[1:]:
        newest = int(newest * chance.uniform(0.9, 1.02))
        statements.append(newest if kind_of(status) != "unused" else 0)
    months = []
    for ago, status in enumerate(statuses):
        low, high = _within(draw(chance, figures.paid[kind_of(status)]), PAID)
        # The last band is "all of it", a point and no stretch.
        share = 100 if high == PAID[-1] else chance.uniform(low, high)
        paid = int(statements[min(ago + 1, _MONTHS - 1)] * share / 100)
        months.append(Month(status=status, statement=statements[ago], paid=paid))
    return tuple(months)


def _within(end: int, ends: Sequence[int]) -> tuple[int, int]:
    """Return where a band begins and ends; the first begins at nothing."""
    place = ends.index(end)
    return (ends[place - 1] if place else 0), end


def _record(statuses: Sequence[Status]) -> Record:
    late = sum(status > 0 for status in statuses)
    return "good" if late == 1 else "fair" if late < _MONTHS // 2 + 1 else "poor"


def _name(chance: Random, city: City, *, english: bool) -> str:
    names = city.names
    if english:
        return f"{chance.choice(names.first_en)} {chance.choice(names.last_en)}"
    return chance.choice(names.surnames) + "".join(chance.choice(names.given) for _ in range(chance.randint(1, 2)))


def _home(chance: Random, city: City) -> Home:
    """Draw an address, its place anywhere within the district's circle."""
    district = chance.choice(city.districts)
    # The root makes the places as dense at the edge as in the middle.
    away, angle = district.radius_km * sqrt(chance.random()), chance.uniform(0, 2 * pi)
    north, east = away * cos(angle), away * sin(angle)
    return Home(
        district=district.name,
        street=f"{chance.choice(district.streets)} {chance.randint(1, 999)} 号 {chance.randint(101, 2409)} 室",
        latitude=round(district.latitude + north / _KM_A_DEGREE, 5),
        longitude=round(district.longitude + east / (_KM_A_DEGREE * cos(radians(district.latitude))), 5),
    )
