"""Which parts of messages receipts can be matched with, whatever a centre calls them."""

from __future__ import annotations

import msgspec
import pytest

from services.notify.domain.delivery import Accepted, Answer, NotNow
from services.notify.domain.notices import Notice
from services.notify.hand_over import Answered, parts_left


def answered(notice_id: str, answer: Answer) -> Answered:
    notice = Notice(
        notice_id=notice_id,
        customer_id="C1",
        staff_id=None,
        case_id="K1",
        purpose="reminder",
        channel="sms",
        template="reminder_first",
        template_version="1",
        attempts=1,
        payload=msgspec.Raw(b"{}"),
        barrier_at=None,
        traceparent="",
    )
    return Answered(notice, answer)


def accepted(notice_id: str, *ids: str, gateway: str = "first") -> Answered:
    return answered(notice_id, Accepted(",".join(ids), gateway, ids))


def noted(*given: Answered) -> list[tuple[str, str, int, int]]:
    return [(part.notice_id, part.message_id, part.number, part.total) for part in parts_left(given)]


def test_every_part_that_was_taken_is_noted_in_its_order() -> None:
    assert noted(accepted("n1", "a", "b"), answered("n2", NotNow("smpp_88")), accepted("n3", "c")) == [
        ("n1", "a", 1, 2),
        ("n1", "b", 2, 2),
        ("n3", "c", 1, 1),
    ]


@pytest.mark.parametrize("ids", [("",), ("a", ""), ("", ""), ("a", "a")])
def test_a_message_with_parts_without_an_id_of_their_own_has_none_and_costs_no_other_its_parts(
    ids: tuple[str, ...],
) -> None:
    """Seen to fail with every id noted: the database refused the whole batch, and nobody knew what was sent."""
    assert noted(accepted("n1", *ids), accepted("n2", "b")) == [("n2", "b", 1, 1)]


def test_an_id_that_two_messages_bear_names_neither_and_another_centre_may_give_it_as_well() -> None:
    """Seen to fail with ids that are counted within one message alone."""
    two = (accepted("n1", "a"), accepted("n2", "a", "b"))
    assert noted(*two, accepted("n3", "a", gateway="second")) == [("n3", "a", 1, 1)]
