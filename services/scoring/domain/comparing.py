"""What the challenger says beside the champion, and how far the two agree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from services.scoring.domain.grading import Judged
from shared.events.kinds import Bucket, Grade
from shared.events.risk import Treatment


class Comparison(Struct, frozen=True, gc=False):
    """An account as both cards of the day grade it."""

    customer_id: str
    account_id: str
    bucket: Bucket
    champion_score: int
    champion_grade: Grade
    champion_treatment: Treatment
    challenger_score: int
    challenger_grade: Grade
    challenger_treatment: Treatment


class Agreement(Struct, frozen=True):
    """How many accounts got one grade of both cards, grades at most one apart, and one treatment."""

    accounts: int = 0
    same_grade: int = 0
    within_one_grade: int = 0
    same_treatment: int = 0


class Crossing(Struct, frozen=True):
    """Accounts to which the champion gave one grade and the challenger another (or the same) one."""

    champion_grade: Grade
    challenger_grade: Grade
    accounts: int
    same_treatment: int


def comparison_of(customer_id: str, account_id: str, judged: Judged) -> Comparison | None:
    """Return the comparison of an account, none where nobody challenges."""
    ours, theirs = judged.result, judged.challenger
    if theirs is None:
        return None
    return Comparison(
        customer_id=customer_id,
        account_id=account_id,
        bucket=ours.bucket,
        champion_score=ours.score,
        champion_grade=ours.grade,
        champion_treatment=ours.treatment,
        challenger_score=theirs.score,
        challenger_grade=theirs.grade,
        challenger_treatment=theirs.treatment,
    )


def agreement(crossings: Iterable[Crossing]) -> Agreement:
    """Return how far the two cards agree."""
    rows = list(crossings)
    return Agreement(
        accounts=sum(row.accounts for row in rows),
        same_grade=sum(row.accounts for row in rows if row.champion_grade == row.challenger_grade),
        within_one_grade=sum(row.accounts for row in rows if _apart(row) <= 1),
        same_treatment=sum(row.same_treatment for row in rows),
    )


def _apart(row: Crossing) -> int:
    return abs(_RANK[row.champion_grade] - _RANK[row.challenger_grade])


_RANK: Mapping[Grade, int] = {"A": 0, "B": 1, "C": 2, "D": 3, "E": 4}
