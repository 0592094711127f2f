"""The points cards: which holds, where it comes from, and how far champion and challenger agree."""

from __future__ import annotations

from datetime import date
from typing import Literal

import msgspec
from fastapi import APIRouter
from pydantic import BaseModel, Field

from services.scoring import store
from services.scoring.api.shapes import GraderDep, Reader
from services.scoring.domain.card import Card
from services.scoring.domain.comparing import Crossing, agreement
from services.scoring.domain.panel import Pair
from shared.errors import Problem
from shared.events.kinds import Grade
from shared.service import BusDep

router = APIRouter(prefix="/v1/cards", tags=["cards"])

Role = Literal["champion", "challenger"]


class ProbabilityOut(BaseModel):
    """What a fitted card's points mean: log-odds of the event = intercept + slope × points."""

    event: str
    intercept: float
    slope: float


class ProvenanceOut(BaseModel):
    """Where a fitted card comes from; `rows` of the file were fitted on."""

    data: str
    licence: str
    sha256: str
    rows_of_file: int
    rows: int
    fitted_on: date
    command: str
    metrics: dict[str, float]


class CardOut(BaseModel):
    """One card of one date. `holds`: it is the one in force today."""

    role: Role = Field(description="champion 决定评级，challenger 只作记录 / decides, or is only recorded")
    card: str
    card_version: str
    valid_from: date
    holds: bool
    source: str
    characteristics: list[str]
    probability: ProbabilityOut | None = Field(description="专家卡没有 / none of an expert card")
    provenance: ProvenanceOut | None = Field(description="专家卡没有 / none of an expert card")


class CardsOut(BaseModel):
    """Every card of the champion's and of the challenger's name, the newest first."""

    day: date
    items: list[CardOut]


class CrossingOut(BaseModel):
    """So many accounts have this grade of the champion and that grade of the challenger."""

    champion_grade: Grade
    challenger_grade: Grade
    accounts: int
    same_treatment: int


class ComparisonOut(BaseModel):
    """How far the two cards of today agree on the overdue accounts.

    `other_cards`: overdue accounts whose last comparison was of other cards or versions; regrading brings them in.
    """

    champion: str
    champion_version: str
    challenger: str
    challenger_version: str
    accounts: int
    same_grade: int
    within_one_grade: int
    same_treatment: int
    other_cards: int
    counts: list[CrossingOut]


@router.get("", summary="评分卡及其来源 / The cards and where they come from")
async def get_cards(bus: BusDep, grader: GraderDep, _caller: Reader) -> CardsOut:
    """Return the cards of champion and challenger, and which of them hold today."""
    day = grader.today(bus.clock.now())
    in_force = grader.panel.on(day).cards
    named: list[tuple[Role, Card]] = [("champion", card) for card in grader.panel.champion]
    named += [("challenger", card) for card in grader.panel.challenger]
    named.sort(key=lambda each: (each[0], -each[1].valid_from.toordinal()))
    return CardsOut(day=day, items=[_card(role, card, holds=card in in_force) for role, card in named])


@router.get("/comparison", summary="冠军卡与挑战卡的一致程度 / How far champion and challenger agree")
async def get_comparison(bus: BusDep, grader: GraderDep, _caller: Reader) -> ComparisonOut:
    """Count the overdue accounts by both cards' grades."""
    pair = grader.panel.on(grader.today(bus.clock.now()))
    if pair.challenger is None:
        raise Problem("not_found", "目前没有挑战卡。", "No card challenges at present.")
    async with bus.reading() as connection:
        rows = await store.compared(connection, pair)
        compared = await store.count_comparisons(connection)
    return _comparison(pair, pair.challenger, [msgspec.convert(dict(row), Crossing) for row in rows], compared)


def _comparison(pair: Pair, challenger: Card, crossings: list[Crossing], compared: int) -> ComparisonOut:
    found = agreement(crossings)
    return ComparisonOut(
        champion=pair.champion.name,
        champion_version=pair.champion.version,
        challenger=challenger.name,
        challenger_version=challenger.version,
        accounts=found.accounts,
        same_grade=found.same_grade,
        within_one_grade=found.within_one_grade,
        same_treatment=found.same_treatment,
        other_cards=max(compared - found.accounts, 0),  # two statements; an account may have come between them
        counts=[CrossingOut.model_validate(msgspec.structs.asdict(crossing)) for crossing in crossings],
    )


def _card(role: Role, card: Card, *, holds: bool) -> CardOut:
    return CardOut(
        role=role,
        card=card.name,
        card_version=card.version,
        valid_from=card.valid_from,
        holds=holds,
        source=card.source,
        characteristics=[each.name for each in card.characteristics],
        probability=None
        if card.probability is None
        else ProbabilityOut.model_validate(msgspec.structs.asdict(card.probability)),
        provenance=None
        if card.provenance is None
        else ProvenanceOut.model_validate(msgspec.structs.asdict(card.provenance)),
    )
