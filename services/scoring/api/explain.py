"""What if: how both cards would grade an account, point by point, without changing anything."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Self

from fastapi import APIRouter, Request
from msgspec import structs
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from services.scoring import store
from services.scoring.api.cards import Role
from services.scoring.api.shapes import KEY, GraderDep, Reader, ReasonOut
from services.scoring.domain.card import Card, Line
from services.scoring.domain.characteristics import Standing, standing_of, without_debt
from shared.errors import Problem
from shared.events.card import MonthlyStatus
from shared.events.kinds import Bucket, Grade
from shared.events.risk import Treatment
from shared.money import is_currency
from shared.service import BusDep
from shared.web.field_errors import custom_fault

router = APIRouter(prefix="/v1/explain", tags=["grades"])

_MOST = 10**15
_LONGEST_DAYS = 36_500


def _known(currency: str) -> str:
    if not is_currency(currency):
        raise custom_fault("不是 ISO 4217 货币代码", "is not an ISO 4217 currency", "例如 CNY", "use for example CNY")
    return currency


Id = Annotated[str, Field(min_length=1, max_length=64, pattern=KEY)]
Minor = Annotated[int, Field(ge=0, le=_MOST, strict=True, description="最小货币单位 / minor units")]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$", examples=["CNY"]), AfterValidator(_known)]


class MonthBody(BaseModel):
    """一个月的账单 / one month; `status`: -2 no use, -1 paid in full, 0 revolving, n months overdue."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    month: str = Field(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$", examples=["2026-01"])
    status: int = Field(ge=-2, le=99, strict=True)
    statement_balance: int = Field(ge=-_MOST, le=_MOST, strict=True)
    paid: Minor


class FactsBody(BaseModel):
    """账户情况 / the account as it would stand. `history`: newest or oldest first, six months at most."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    currency: Currency | None = None
    amount_past_due: Minor | None = None
    days_past_due: int | None = Field(default=None, ge=0, le=_LONGEST_DAYS, strict=True)
    periods_past_due: int | None = Field(default=None, ge=0, le=999, strict=True)
    credit_limit: Minor | None = None
    history: list[MonthBody] | None = Field(default=None, max_length=6)
    reversed_payments: int | None = Field(default=None, ge=0, le=1000, strict=True)


class ExplainBody(BaseModel):
    """假设分析 / what if. With a customer and an account, what `facts` leaves out is as it is known now."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [
                {"customer_id": "c-1", "account_id": "a-1", "facts": {"amount_past_due": 50_000}},
                {
                    "facts": {
                        "currency": "CNY",
                        "amount_past_due": 120_000,
                        "days_past_due": 40,
                        "periods_past_due": 2,
                        "credit_limit": 2_000_000,
                        "history": [{"month": "2026-01", "status": 1, "statement_balance": 500_000, "paid": 0}],
                    }
                },
            ]
        },
    )

    customer_id: Id | None = None
    account_id: Id | None = None
    facts: FactsBody = FactsBody()

    @model_validator(mode="after")
    def _enough_to_go_by(self) -> Self:
        if (self.customer_id is None) != (self.account_id is None):
            raise custom_fault(
                "客户与账户须同时给出", "needs both customer and account", "补上或都删除", "give both or neither"
            )
        lacking = [name for name in _NEEDED if getattr(self.facts, name) is None]
        if self.account_id is None and lacking:
            raise custom_fault(
                "没有账户时须给出全部情况",
                f"lacks {', '.join(lacking)} of an account that is not named",
                "补上这些字段，或指明客户与账户",
                "give them, or name customer and account",
            )
        return self


_NEEDED = ("currency", "amount_past_due", "days_past_due", "periods_past_due", "credit_limit")


class PointsOut(BaseModel):
    """What one characteristic gives, and why in words; more points are riskier."""

    characteristic: str
    value: int | None = Field(description="未知时为 null / null where it is not known")
    points: int
    zh: str
    en: str


class VerdictOut(BaseModel):
    """What one card says. `probability`: of `event`, for a fitted card only."""

    role: Role
    card: str
    card_version: str
    score: int
    grade: Grade
    bucket: Bucket
    suggested_treatment: Treatment
    probability: float | None
    event: str | None
    reasons: list[ReasonOut]
    points: list[PointsOut]


class StandingOut(BaseModel):
    """What was graded. Nothing owed: no day and no period past due."""

    currency: str
    amount_past_due: int
    days_past_due: int
    periods_past_due: int
    credit_limit: int
    reversed_payments: int
    months: int


class ExplainedOut(BaseModel):
    """How the cards of `day` grade the account as it would stand. Nothing was stored and nobody was told."""

    day: date
    standing: StandingOut
    verdicts: list[VerdictOut]


@router.post("", summary="假设分析，不改变任何数据 / What if, without changing anything")
async def explain(body: ExplainBody, request: Request, bus: BusDep, grader: GraderDep, _caller: Reader) -> ExplainedOut:
    """Grade an account as it would stand, by champion and challenger."""
    day = grader.today(bus.clock.now())
    held = None
    if body.customer_id is not None and body.account_id is not None:
        async with bus.reading() as connection:
            row = await store.peek(connection, body.customer_id)
        held = standing_of(row.customer.account(body.account_id), day) if row else None
        if held is None:
            raise Problem("not_found", "没有该账户的逾期情况。", "No overdue snapshot is known of this account.")
    standing = _standing(body.facts, held, day)
    pair = grader.panel.on(day)
    verdicts = [_verdict("champion", pair.champion, standing)]
    if pair.challenger is not None:
        verdicts.append(_verdict("challenger", pair.challenger, standing))
    return ExplainedOut(day=day, standing=_shown(standing), verdicts=verdicts)


def _standing(facts: FactsBody, held: Standing | None, day: date) -> Standing:
    """Return the standing: what is told, and for the rest what is held."""
    told: dict[str, Any] = {
        "past_due": facts.amount_past_due,
        "currency": facts.currency,
        "days": facts.days_past_due,
        "periods": facts.periods_past_due,
        "credit_limit": facts.credit_limit,
        "history": None if facts.history is None else _months(facts.history),
        "reversed_payments": facts.reversed_payments,
    }
    given = {name: value for name, value in told.items() if value is not None}
    rest: dict[str, Any] = {"history": (), "reversed_payments": 0}
    standing = Standing(today=day, **(rest | given)) if held is None else structs.replace(held, **given)
    return standing if standing.past_due > 0 else without_debt(standing)


def _months(history: list[MonthBody]) -> tuple[MonthlyStatus, ...]:
    newest_first = sorted(history, key=lambda month: month.month, reverse=True)
    return tuple(MonthlyStatus(**month.model_dump()) for month in newest_first)


def _shown(standing: Standing) -> StandingOut:
    return StandingOut(
        currency=standing.currency,
        amount_past_due=standing.past_due,
        days_past_due=standing.days,
        periods_past_due=standing.periods,
        credit_limit=standing.credit_limit,
        reversed_payments=standing.reversed_payments,
        months=len(standing.history),
    )


def _verdict(role: Role, card: Card, standing: Standing) -> VerdictOut:
    result, meaning = card.grade(standing), card.probability
    return VerdictOut(
        role=role,
        card=card.name,
        card_version=card.version,
        score=result.score,
        grade=result.grade,
        bucket=result.bucket,
        suggested_treatment=result.treatment,
        probability=None if meaning is None else round(meaning.at(result.score), 4),
        event=None if meaning is None else meaning.event,
        reasons=[ReasonOut(code=reason.code, zh=reason.zh, en=reason.en) for reason in result.reasons],
        points=[_points(line) for line in result.lines],
    )


def _points(line: Line) -> PointsOut:
    return PointsOut(
        characteristic=line.name,
        value=line.value,
        points=line.points,
        zh=line.bin.zh if line.bin else "",
        en=line.bin.en if line.bin else "",
    )
