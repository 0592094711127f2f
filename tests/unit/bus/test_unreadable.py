"""A record that the client cannot read is passed over, whatever flows in other partitions.

The consumer is a log in memory that fails as aiokafka does: a flow that never ends cannot be had from a real one. What
a real one does is in tests/integration/bus/test_poison.py and tests/integration/ingest/test_upstream.py.
"""

from __future__ import annotations

import pytest
from aiokafka import ConsumerRecord, TopicPartition

from shared.bus.unreadable import UNREADABLE, one_by_one

FLOWING, HELD, IDLE = (TopicPartition("t", number) for number in range(3))


class Log:
    """Partition 0 always has another record, `bad` are the offsets of partition 1 that cannot be read."""

    def __init__(self, bad: set[int], end: int) -> None:
        self._bad = bad
        self._end = end
        self.at: dict[TopicPartition, int] = {}

    def seek(self, tp: TopicPartition, offset: int) -> None:
        self.at[tp] = offset

    async def getmany(
        self, tp: TopicPartition, *, timeout_ms: int, max_records: int
    ) -> dict[TopicPartition, list[ConsumerRecord]]:
        assert (timeout_ms >= 0, max_records) == (True, 1)
        at = self.at[tp]
        if tp == IDLE or (tp == HELD and at >= self._end):
            return {}
        if tp == HELD and at in self._bad:
            raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")
        self.at[tp] += 1
        return {tp: [ConsumerRecord(*tp, at, -1, 0, None, None, None, 0, 0, ())]}


@pytest.mark.parametrize("bad", [0, 1, 7])
async def test_an_unreadable_record_is_passed_over_while_another_partition_keeps_flowing(bad: int) -> None:
    """Seen to fail with the first partition returned that has a record."""
    log = Log({bad}, end=9)
    found = await one_by_one(log, {IDLE: 3, FLOWING: 5, HELD: 0}, most=20, timeout_ms=1)
    assert [record.offset for record in found[FLOWING]] == list(range(5, 25))
    assert [record.offset for record in found[HELD]] == list(range(bad + 1))
    assert [record.headers == UNREADABLE for record in found[HELD]] == [False] * bad + [True]
    assert log.at == {IDLE: 3, FLOWING: 25, HELD: bad + 1}
    assert IDLE not in found


async def test_no_more_is_read_at_once_than_is_asked_for_and_the_next_time_goes_on() -> None:
    log = Log({4}, end=5)
    first = await one_by_one(log, {HELD: 0}, most=3, timeout_ms=1)
    then = await one_by_one(log, {HELD: log.at[HELD]}, most=3, timeout_ms=1)
    assert [record.offset for each in (first, then) for record in each[HELD]] == [0, 1, 2, 3, 4]
