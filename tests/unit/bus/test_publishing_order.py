"""What the publisher sends next, and with which headers: number n only when n-1 is known to be in the log (P1, H1)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from shared.bus.headers import Packed
from shared.bus.outbox import Cursor, chain
from shared.bus.publisher import BATCH_BYTES, _follows, records_above
from shared.bus.streams import Segment
from tests.unit.bus.build import SOURCE, segment

KEY = ("card", 0)


def row(found: Segment) -> dict[str, Any]:
    """A row as the outbox reads it."""
    body = msgspec.msgpack.encode(list(found.facts))
    base_epoch, base = found.base
    return {"epoch": found.epoch, "first": found.first, "body": body, "base_epoch": base_epoch, "base": base}


def sent(found: list[Segment], cursor: Cursor) -> list[dict[str, bytes | None]]:
    """The headers of what would be sent."""
    return [dict(headers) for _, _, headers in records_above(found, cursor, SOURCE)[0]]


@pytest.mark.parametrize(
    ("found", "cursor", "follows"),
    [
        (segment(7, 1, 2), Cursor(0, 0), True),
        (segment(7, 2, 2), Cursor(0, 0), False),
        (segment(7, 6, 2, (5, 3)), Cursor(7, 5), True),
        (segment(7, 6, 2, (5, 3)), Cursor(7, 6), True),  # begun: its rest
        (segment(7, 6, 2, (5, 3)), Cursor(7, 4), False),
        # the first of a new epoch follows its base and nothing else
        (segment(7, 6, 2, (5, 5)), Cursor(5, 5), True),
        (segment(7, 6, 2, (5, 5)), Cursor(5, 4), False),
        (segment(7, 6, 2, (5, 5)), Cursor(6, 5), False),
        (segment(7, 7, 2, (5, 5)), Cursor(5, 5), False),
    ],
)
def test_a_segment_leaves_only_when_the_number_before_it_is_known_to_be_in_the_log(
    found: Segment, cursor: Cursor, follows: bool
) -> None:
    """Seen to fail with `return True`."""
    assert _follows(found, cursor) is follows


def test_only_the_first_record_of_an_epoch_says_what_came_before() -> None:
    headers = sent([segment(7, 6, 3, (5, 5)), segment(7, 9, 1, (5, 5))], Cursor(5, 5))
    assert [header.get("ce_epochbase") for header in headers] == [b"5:5", None, None, None]
    assert [int(header["ce_sequence"] or 0) for header in headers] == [6, 7, 8, 9]


def test_the_first_record_of_a_stream_says_that_nothing_came_before() -> None:
    assert [header.get("ce_epochbase") for header in sent([segment(7, 1, 2)], Cursor(0, 0))] == [b"0:0", None]


def test_of_a_segment_that_was_half_sent_only_the_rest_is_sent() -> None:
    records, ends = records_above([segment(7, 1, 3), segment(7, 4, 1)], Cursor(7, 2), SOURCE)
    assert ends == [Cursor(7, 3), Cursor(7, 4)]
    assert [dict(headers)["ce_id"] for _, _, headers in records] == [b"7:3", b"7:4"]


def test_a_batch_ends_at_its_size_but_never_before_one_fact() -> None:
    large = BATCH_BYTES // 2
    assert len(records_above([segment(7, 1, 5, size=large)], Cursor(0, 0), SOURCE)[0]) == 1
    assert len(records_above([segment(7, 1, 5, size=large - 1000)], Cursor(0, 0), SOURCE)[0]) == 2
    assert len(records_above([segment(7, 1, 5, size=2 * BATCH_BYTES)], Cursor(0, 0), SOURCE)[0]) == 1


def test_an_erased_fact_is_a_record_without_value() -> None:
    gone = Packed("id", "arrears.x.v1", "2026-02-25T00:00:00Z", "c-1", "00-1-2-00", None, None)
    [(key, value, _)], _ = records_above([Segment("card", 0, 7, 1, (0, 0), [gone])], Cursor(0, 0), SOURCE)
    assert (key, value) == (b"c-1", None)


def test_stored_segments_follow_one_another_up_to_a_hole() -> None:
    rows = [row(segment(7, first, 2)) for first in (3, 5, 8)]
    assert [found.first for found in chain(KEY, rows)] == [3, 5]


def test_two_raised_epochs_with_facts_left_over_between_them_are_sent_without_a_break() -> None:
    """Seen to fail: the base of the middle epoch was taken for 0:0, and the stream halted for an outbox hole."""
    stored = [segment(5, 4, 2), segment(6, 6, 2, (5, 5)), segment(7, 8, 1, (6, 7))]
    rows = [row(found) for found in stored]
    cursor, bases = Cursor(5, 3), []
    for number in range(3):
        found = chain(KEY, rows[number:])
        assert [one.epoch for one in found] == [5 + number]
        assert _follows(found[0], cursor)
        bases += [header.get("ce_epochbase") for header in sent(found, cursor)]
        cursor = records_above(found, cursor, SOURCE)[1][-1]
    assert bases == [None, None, b"5:5", None, b"6:7"]


def test_a_hole_between_two_epochs_is_a_hole() -> None:
    [found] = chain(KEY, [row(segment(6, 8, 1, (5, 7)))])
    assert not _follows(found, Cursor(5, 5))
