"""When an account is graded anew, what of it is news, and when it will age into another grade by itself."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any

from msgspec import Struct, structs

from services.scoring.domain.account import Account, Customer, LastGrading
from services.scoring.domain.card import Card, Result, Verdict
from services.scoring.domain.characteristics import Standing, oldest_due, standing_of
from services.scoring.domain.panel import Pair
from shared.events.kinds import Grade
from shared.events.risk import AccountGraded
from shared.rules.localtime import local_midnight
from shared.rules.paid import is_paid


class Grading(Struct, frozen=True, gc=False):
    """A grading that is news: the account with it as its last one, and what it was graded on.

    `before`: the grade until now, none for an account that had none.
    """

    account: Account
    before: Grade | None
    last: LastGrading
    result: Result
    standing: Standing


class Judged(Struct, frozen=True, gc=False):
    """What both cards say of an account: the champion's result and whether it is news, and the challenger's verdict."""

    result: Result
    news: Grading | None
    challenger: Verdict | None


def judge(account: Account, pair: Pair, today: date) -> Judged | None:
    """Return what the cards say of the account, or none while no overdue snapshot of it has come."""
    standing = standing_of(account, today)
    if standing is None:
        return None
    result = pair.champion.grade(standing)
    challenger = pair.challenger.verdict(standing) if pair.challenger else None
    return Judged(result, _told(account, pair.champion, standing, result), challenger)


def regrade(account: Account, card: Card, today: date) -> Grading | None:
    """Return the account's new grading, or none when it says nothing new or no overdue snapshot has come yet."""
    judged = judge(account, Pair(card), today)
    return judged.news if judged else None


def _told(account: Account, card: Card, standing: Standing, result: Result) -> Grading | None:
    """Return the grading when it is news.

    News is another grade, bucket, suggested treatment, another reason or order of reasons, or another card. Points
    that change and leave all these as they are, are no news: nobody would do anything differently.
    """
    held = account.last
    last = LastGrading(
        version=1 if held is None else held.version + 1,
        score=result.score,
        grade=result.grade,
        bucket=result.bucket,
        treatment=result.treatment,
        reasons=result.marks,
        card_version=card.version,
        card=card.name,
    )
    if held is not None and _same_card(held, last) and _news(held) == _news(last):
        return None
    before = None if held is None else held.grade
    return Grading(structs.replace(account, last=last), before, last, result, standing)


def fact_of(grading: Grading, card: Card, customer_id: str, now: datetime) -> AccountGraded:
    """Return the fact that tells a grading."""
    result = grading.result
    return AccountGraded(
        customer_id=customer_id,
        account_id=grading.account.ledger.account_id,
        version=grading.last.version,
        graded_at=now,
        score=result.score,
        grade=result.grade,
        bucket=result.bucket,
        reasons=result.reasons,
        card=card.name,
        card_version=card.version,
        suggested_treatment=result.treatment,
    )


def basis_of(grading: Grading) -> dict[str, Any]:
    """Return what an account was graded on, so that every point of an old grade can still be explained."""
    standing, reported = grading.standing, grading.account.reported
    return {
        "day": standing.today,
        "as_of": reported.as_of if reported else None,
        "due_date": oldest_due(grading.account),
        "currency": standing.currency,
        "past_due": standing.past_due,
        "credit_limit": standing.credit_limit,
        "points": [
            {"characteristic": line.name, "value": line.value, "points": line.points} for line in grading.result.lines
        ],
    }


def next_due(customer: Customer, cards: Iterable[Card], today: date, zone: str) -> datetime | None:
    """Return the instant at which the first of the customer's accounts ages into another bin of a card, or bucket.

    That is a midnight of the issuer's zone; none while nothing is owed, or nothing can get older.
    """
    days = [day for card in cards for day in _ageing_days(customer.accounts.values(), card, today)]
    first = min(days, default=None)
    return None if first is None else local_midnight(first, zone)


def _ageing_days(accounts: Iterable[Account], card: Card, today: date) -> Iterable[date]:
    for account in accounts:
        due = oldest_due(account)
        if account.reported is None or due is None or is_paid(account.ledger):
            continue
        old = (today - due).days
        for age in card.ages:
            if age > old:
                yield due + timedelta(days=age)
                break


def _same_card(held: LastGrading, last: LastGrading) -> bool:
    return held.card_version == last.card_version and held.card in ("", last.card)


def _news(last: LastGrading) -> tuple[object, ...]:
    return last.grade, last.bucket, last.treatment, last.reasons
