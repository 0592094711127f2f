"""What receipts say of a message: every part counts, whatever the order in which they come and however often."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notify.domain.receipts import Part, Receipt, Word, delivery_of, merged, undelivered_reason

WORDS = get_args(Word)


def parts(*words: Word | None) -> list[Part]:
    return [
        Part(number=number, total=len(words), message_id=f"m{number}", word=word)
        for number, word in enumerate(words, 1)
    ]


@pytest.mark.parametrize(
    ("words", "delivery"),
    [
        (["DELIVRD"], "delivered"),
        (["DELIVRD", "DELIVRD", "DELIVRD"], "delivered"),
        (["DELIVRD", None, "DELIVRD"], None),
        ([None, None], None),
        (["DELIVRD", "UNDELIV"], "undelivered"),
        ([None, "EXPIRED"], "undelivered"),
        (["REJECTD"], "undelivered"),
        (["DELETED", None], "undelivered"),
    ],
)
def test_a_message_is_delivered_when_all_its_parts_are(words: list[Word | None], delivery: str | None) -> None:
    """Seen to fail with the first part's word taken for the whole."""
    assert delivery_of(parts(*words)) == delivery


def test_parts_that_are_not_known_yet_are_not_delivered() -> None:
    """The answers of three parts are written together; a table that lost some of them says nothing."""
    assert delivery_of(parts("DELIVRD", "DELIVRD", "DELIVRD")[:2]) is None
    assert delivery_of([]) is None


@given(st.lists(st.tuples(st.integers(1, 3), st.sampled_from(WORDS)), max_size=12))
def test_delivered_stands_whatever_else_was_told_of_the_part_and_in_which_order(
    told: list[tuple[int, Word]],
) -> None:
    """Seen to fail with the last word kept instead."""
    receipts = [Receipt("first", f"m{number}", word) for number, word in told]
    once = {receipt.message_id: receipt.word for receipt in merged(receipts)}
    assert set(once) == {f"m{number}" for number, _ in told}
    for message_id, word in once.items():
        said = {receipt.word for receipt in receipts if receipt.message_id == message_id}
        assert word == "DELIVRD" if "DELIVRD" in said else word in said
    shuffled = merged(reversed([*receipts, *receipts]))
    delivered = [receipt.message_id for receipt in shuffled if receipt.word == "DELIVRD"]
    assert delivered == [message_id for message_id in sorted(once) if once[message_id] == "DELIVRD"]


def test_two_gateways_may_give_the_same_id() -> None:
    assert len(merged([Receipt("first", "7", "DELIVRD"), Receipt("second", "7", "UNDELIV")])) == 2


def test_why_it_did_not_arrive_is_said_of_the_first_part_that_did_not() -> None:
    reason = undelivered_reason(parts("DELIVRD", "EXPIRED", "UNDELIV"))
    assert (reason.code, reason.zh) == ("receipt_expired", "已发出，未送达：有效期内未能送达（EXPIRED）。")
