"""A customer's grades, each with its reasons and what it was graded on."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any

import asyncpg
import msgspec
from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field

from services.scoring import store
from services.scoring.api.shapes import Reader, ReasonOut
from shared.errors import Problem
from shared.service import BusDep
from shared.web.paging import Page, PageRequest, page, paged

router = APIRouter(prefix="/v1", tags=["grades"])

CustomerId = Annotated[str, Path(max_length=64, pattern=r"^[A-Za-z0-9._:-]+$")]


class PointsOut(BaseModel):
    """What one characteristic gave."""

    characteristic: str
    value: int | None = Field(description="未知时为 null / null where it is not known")
    points: int


class BasisOut(BaseModel):
    """What an account was graded on. Amounts are minor units of the currency."""

    day: date
    as_of: datetime | None
    due_date: date | None
    currency: str
    past_due: int
    credit_limit: int
    points: list[PointsOut]


class GradeOut(BaseModel):
    """One grading of one account. The grade suggests a treatment and never describes a person."""

    account_id: str
    version: int
    graded_at: datetime
    score: int = Field(description="分数越高风险越大 / more is riskier")
    grade: str
    bucket: str
    suggested_treatment: str
    reasons: list[ReasonOut]
    card: str
    card_version: str
    basis: BasisOut


@router.get("/customers/{customer_id}/grades", summary="客户账户的评级历史 / The grades of a customer's accounts")
async def get_grades(
    customer_id: CustomerId,
    request: Request,
    bus: BusDep,
    _caller: Reader,
    asked: Annotated[PageRequest, paged(datetime, str, int)],
) -> Page[GradeOut]:
    """Return all gradings of the customer's accounts, newest first."""
    async with bus.reading() as connection:
        rows = await store.history(connection, customer_id, asked.after, asked.fetch)
        if not rows and not await store.is_known(connection, customer_id):
            raise Problem("not_found", "没有该客户的评级。", "No grades are known of this customer.")
    shown, following = page(rows, asked, _position, request.url)
    return Page(items=[_grade(row) for row in shown], next=following)


def _position(row: asyncpg.Record) -> tuple[Any, ...]:
    return row["graded_at"], row["account_id"], row["version"]


def _grade(row: asyncpg.Record) -> GradeOut:
    members = dict(row)
    members["reasons"], members["basis"] = (msgspec.json.decode(row[name]) for name in ("reasons", "basis"))
    return GradeOut.model_validate(members)
