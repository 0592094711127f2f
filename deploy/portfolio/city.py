"""What is made up about a portfolio's people, as data: `city.yaml`, checked whole when it is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Self

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from deploy.demo.story import Act, Call, Door, Moment, Window, kind_alone
from shared.events.kinds import Language

PACKAGED: Final = Path(__file__).with_name("city.yaml")

Percent = Annotated[int, Field(ge=0, le=100)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class District(_Part):
    """A part of the city: its centre in degrees (WGS 84), and how far from there people live."""

    name: str
    latitude: float
    longitude: float
    radius_km: float = Field(gt=0)
    streets: tuple[str, ...] = Field(min_length=1)


class Hours(_Part):
    """When some share of the people are at home."""

    share: Percent
    windows: tuple[Window, ...]


class Manner(_Part):
    """What some debtors do: so many percent of those who are able to pay, and of those who are not.

    `acts`: at a moment that is drawn from the city's `acting`; whatever moment stands in them is not read.
    """

    name: str
    able: Percent
    unable: Percent
    calls: tuple[Annotated[Call, BeforeValidator(kind_alone)], ...]
    doors: tuple[Annotated[Door, BeforeValidator(kind_alone)], ...]
    acts: tuple[dict[str, Any], ...] = ()


class Names(_Part):
    """What names are made of."""

    surnames: str
    given: str
    first_en: tuple[str, ...]
    last_en: tuple[str, ...]


class Minimum(_Part):
    """The issuer's minimum payment."""

    percent: Percent
    floor: int


class Desk(_Part):
    """How many phone collectors a portfolio has."""

    customers: int = Field(ge=1)
    least: int = Field(ge=1)
    most: int = Field(ge=1)


class Staff(_Part):
    """How many colleagues a portfolio has; `field`: two go together."""

    phone: Desk
    field: int = Field(ge=2)


class City(_Part):
    """The whole of it."""

    city: str
    zone: str
    currency: str
    divisor: int = Field(ge=1)
    minimum: Minimum
    cards: dict[int, Percent]
    products: tuple[str, ...]
    languages: dict[Language, Percent]
    email: Percent
    districts: tuple[District, ...]
    homes: tuple[Hours, ...]
    acting: tuple[Moment, ...]
    manners: tuple[Manner, ...]
    names: Names
    staff: Staff

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        for what, shares in (
            ("cards", self.cards.values()),
            ("languages", self.languages.values()),
            ("homes", [each.share for each in self.homes]),
            ("manners, able", [each.able for each in self.manners]),
            ("manners, unable", [each.unable for each in self.manners]),
        ):
            if sum(shares) != 100:
                raise ValueError(f"{what}: the shares make {sum(shares)} percent")
        for manner in self.manners:
            for act in manner.acts:
                Act.model_validate(act | {"when": self.acting[0]})
        return self


def load(path: Path = PACKAGED) -> City:
    """Read the city."""
    return City.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
