"""Facts of the topic `risk`: how an account was graded. Written by scoring alone."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from shared.events.kinds import Bucket, Code, Fact, Grade, Instant, Key, Reason

Treatment = Literal["none", "remind", "call", "visit", "hardship_talk", "legal_review"]


class AccountGraded(Fact, frozen=True, kw_only=True):
    """An account's grade changed (or it was graded for the first time).

    `score` is the card's points (more is riskier). Grade A is best, E worst; a grade never labels a person. At most
    four reasons, the weightiest first. `suggested_treatment` is a suggestion: assignment's strategy, or a person,
    decides. `version` counts an account's gradings.
    """

    customer_id: Key
    account_id: Key
    version: Annotated[int, Meta(ge=1)]
    graded_at: Instant
    score: int
    grade: Grade
    bucket: Bucket
    reasons: Annotated[tuple[Reason, ...], Meta(max_length=4)]
    card: Code
    card_version: Code
    suggested_treatment: Treatment
