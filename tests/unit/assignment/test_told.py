"""What other services report stands on the timeline of the case that it is about."""

from __future__ import annotations

from typing import Any

import pytest

from services.assignment.domain.folds import FOLDS, fold
from shared.events.kinds import Fact, Reason
from shared.events.notices import (
    CustomerOptedOut,
    NoticeDelivered,
    NoticeFailed,
    NoticeSent,
    NoticeSuppressed,
    NoticeUnconfirmed,
    NoticeUndelivered,
)
from shared.events.registry import FACT_TYPES
from tests.unit.assignment.given import WEDNESDAY, Story, by_phone

KEYS: dict[str, Any] = {
    "notice_id": "N1",
    "customer_id": "C1",
    "staff_id": None,
    "case_id": "K1",
    "purpose": "reminder",
    "channel": "sms",
    "template": "reminder_first",
    "template_version": "1",
}
WHY = Reason("cn-card.night", "夜间", "Night")
NOTICES: list[Fact] = [
    NoticeSent(**KEYS, sent_at=WEDNESDAY, barrier_at=WEDNESDAY),
    NoticeDelivered(**KEYS, delivered_at=WEDNESDAY, parts=3),
    NoticeUndelivered(**KEYS, undelivered_at=WEDNESDAY, reason=WHY),
    NoticeFailed(**KEYS, failed_at=WEDNESDAY, code="refused", detail="x"),
    NoticeSuppressed(**KEYS, suppressed_at=WEDNESDAY, reason=WHY),
    NoticeUnconfirmed(**KEYS, unconfirmed_at=WEDNESDAY, barrier_at=None),
]


@pytest.mark.parametrize("notice", NOTICES)
def test_what_became_of_a_reminder_is_told_in_words(notice: Fact) -> None:
    turn = Story().turn(WEDNESDAY)
    assert fold(turn, notice) is None
    (entry,) = turn.entries
    assert (entry.case_id, entry.kind) == ("K1", "notice")
    assert entry.zh.startswith("短信")
    assert entry.en.startswith("The sms")


def test_a_notice_about_no_case_changes_nothing() -> None:
    turn = Story().turn(WEDNESDAY)
    report = NoticeSent(**{**KEYS, "case_id": None}, sent_at=WEDNESDAY, barrier_at=None)
    assert fold(turn, report) == "no_case"
    assert turn.entries == []


def test_an_opt_out_is_told() -> None:
    story = by_phone().told(WEDNESDAY, CustomerOptedOut(customer_id="C1", channel="sms", opted_out_at=WEDNESDAY))
    assert story.kinds[-1] == "opted_out"


def test_every_fact_of_the_topics_that_are_read_is_folded_but_the_filed_plan() -> None:
    read = {kind.model for kind in FACT_TYPES if kind.topic.name in {"card", "contacts", "risk", "visits", "notices"}}
    assert {model.__name__ for model in read - set(FOLDS)} == {"PlanFiled"}
