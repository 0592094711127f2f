"""What follows from a gateway's answer, for a customer's notice and for a colleague's report."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.notify.domain.delivery import (
    Accepted,
    Answer,
    AnswerLost,
    NotNow,
    RefusedForGood,
    next_state,
    pause_after,
    pause_before_retry,
)


@pytest.mark.parametrize(
    ("answer", "to_customer", "to_colleague"),
    [
        (Accepted("r"), "sent", "sent"),
        (NotNow("c"), "due", "due"),
        (RefusedForGood("c"), "failed", "due"),
        (AnswerLost("c"), "unconfirmed", "due"),
    ],
)
def test_a_customer_is_written_to_at_most_once_and_a_colleague_until_it_is_taken(
    answer: Answer, to_customer: str, to_colleague: str
) -> None:
    assert next_state(answer, to_colleague=False) == to_customer
    assert next_state(answer, to_colleague=True) == to_colleague


def test_who_was_not_refused_by_anybody_does_not_wait_longer_each_time() -> None:
    assert [pause_after(NotNow("too_late"), attempts).total_seconds() for attempts in (1, 9)] == [0, 0]
    assert [pause_after(NotNow("rate_reached"), attempts).total_seconds() for attempts in (1, 9)] == [5, 5]
    assert pause_after(NotNow("smpp_88"), 3) == pause_before_retry(3)


def test_pauses_double_and_end_at_ten_minutes() -> None:
    pauses = [pause_before_retry(attempts).total_seconds() for attempts in (0, 1, 2, 3, 9, 50)]
    assert pauses == [2, 2, 4, 8, 512, 600]
    assert pause_before_retry(10**6) == timedelta(minutes=10)
