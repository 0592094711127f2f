"""Getting past a record that the client library cannot read: a header whose name is not UTF-8.

The client fails on it, and with it loses all that it had fetched before, of every partition.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

UNREADABLE: Final = (("a header's name is not UTF-8", None),)
"""The headers of the record that stands for one that cannot be read."""

_log = logging.getLogger("shared.bus.reading")


async def one_by_one(
    kafka: AIOKafkaConsumer, starts: Mapping[TopicPartition, int], *, most: int, timeout_ms: int
) -> dict[TopicPartition, list[ConsumerRecord]]:
    """Return what stands in each partition from its start: `most` records, or those up to one that cannot be read.

    That one stands for itself at the end, without its bytes, and is passed over. Every partition is looked at, however
    much another has to give; each is waited for `timeout_ms` at most, and has what was fetched then.
    """
    for tp, start in starts.items():
        kafka.seek(tp, start)
    found: dict[TopicPartition, list[ConsumerRecord]] = {}
    for tp, start in starts.items():
        records: list[ConsumerRecord] = []
        try:
            while len(records) < most:
                got = await kafka.getmany(tp, timeout_ms=0 if records else timeout_ms, max_records=1)
                if not got:
                    break
                records += got[tp]
        except UnicodeDecodeError:
            at = records[-1].offset + 1 if records else start
            kafka.seek(tp, at + 1)
            _log.warning("record passed over", extra={"topic": tp.topic, "partition": tp.partition, "offset": at})
            records.append(ConsumerRecord(*tp, at, -1, 0, None, None, None, 0, 0, UNREADABLE))
        if records:
            found[tp] = records
    return found
