"""The other twenty: made from the story's groups and a seed, the same for the same seed. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from random import Random
from types import MappingProxyType

from deploy.demo.story import Account, Customer, Group, Story
from shared.events.kinds import Bucket

_SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗"
_GIVEN = (
    "伟",
    "芳",
    "娜",
    "敏",
    "静",
    "磊",
    "洋",
    "艳",
    "勇",
    "军",
    "杰",
    "涛",
    "明",
    "秀英",
    "桂兰",
    "建国",
    "晓东",
    "思远",
)
_STREETS = ("中山北路", "四川北路", "延安西路", "虹桥路", "淮海中路", "浦东大道", "石门二路", "共和新路")

_AGES: Mapping[Bucket, tuple[int, int]] = MappingProxyType(
    {
        "M0": (3, 6),
        "M1": (5, 24),
        "M2": (33, 54),
        "M3": (63, 84),
        "M4": (93, 114),
        "M5": (123, 144),
        "M6": (153, 174),
        "M7+": (187, 320),
    }
)
"""Days past due on the first day: clear of the bucket's edges, so that nobody ages into the next one by the fifth."""

_LIMITS = (1_000_000, 1_500_000, 2_000_000, 3_000_000, 5_000_000)
_PRODUCTS = ("classic", "gold", "platinum")


def everybody(story: Story, seed: int | None = None) -> tuple[Customer, ...]:
    """Return the thirty: the named ones, then the others by the groups' order. `seed`: none takes the story's own."""
    chance = Random(story.seed if seed is None else seed)  # noqa: S311 - a story, not a secret
    taken = {customer.name for customer in story.customers}
    districts = sorted({area for member in story.of_role("field_agent") for area in member.areas})
    made = []
    for number, group in enumerate(_each(story.others)):
        name = _name(chance, taken)
        taken.add(name)
        made.append(_customer(chance, len(story.customers) + number + 1, name, districts, group))
    return (*story.customers, *made)


def _each(groups: tuple[Group, ...]) -> Iterator[Group]:
    for group in groups:
        yield from (group for _ in range(group.count))


def _customer(chance: Random, number: int, name: str, districts: list[str], group: Group) -> Customer:
    return Customer(
        customer_id=f"C1{number:03}",
        name=name,
        phone=f"+8613800001{number:03}",
        email=f"c1{number:03}@mail.example" if chance.random() < 0.8 else None,
        district=districts[number % len(districts)],
        street=f"{chance.choice(_STREETS)} {chance.randint(1, 999)} 号 {chance.randint(101, 2409)} 室",
        hazard=group.hazard,
        home=group.home,
        accounts=(_account(chance, number, group),),
        calls=group.calls,
        doors=group.doors,
        acts=group.acts,
    )


def _account(chance: Random, number: int, group: Group) -> Account:
    limit = chance.choice(_LIMITS)
    days = chance.randint(*_AGES[group.bucket])
    # The deeper the arrears, the more of the limit is past due: some percent in M1, most of it after half a year.
    share = min(0.9, 0.04 + days / 280) * chance.uniform(0.8, 1.1)
    return Account(
        account_id=f"A2{number:03}",
        last4=f"{chance.randint(0, 9999):04}",
        product=chance.choice(_PRODUCTS),
        past_due=0 if group.bucket == "M0" else round(limit * share / 100) * 100,
        days_past_due=days,
        credit_limit=limit,
        record=group.record,
    )


def _name(chance: Random, taken: set[str]) -> str:
    while (name := chance.choice(_SURNAMES) + chance.choice(_GIVEN)) in taken:
        continue
    return name
