"""Reads how far a partition of the log goes (E4): one client and one round for all who ask meanwhile.

That is the highest fact among the last records, since a publisher believed dead may have repeated lower ones behind it.
What others than the topic's one writer have put there is passed over, up to a bound.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from shared.bus import clients
from shared.bus.headers import numbers_of, text_of
from shared.bus.outbox import Cursor
from shared.bus.producing import ProduceUnknown

LOOK_BACK = (50, 1_000, 10_000)
"""So many records before the log's end are looked through for one of ours; the next only where the last found none."""

_SECONDS = 10.0
_GATHER_SECONDS = 0.005


class Tail(NamedTuple):
    """The highest fact at the end of a partition of the log."""

    place: Cursor
    id: str


HIDDEN = Tail(Cursor(0, 0), "")
"""None of the records before the log's end, as far as they are looked through, is of the topic's writer."""


class Tails:
    """Reads logs' ends for whoever begins a term."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._kafka: AIOKafkaConsumer | None = None
        self._wanted: dict[TopicPartition, str] = {}
        self._found: dict[TopicPartition, Tail | None] = {}
        self._round = asyncio.Lock()

    async def last(self, topic: str, partition: int, source: str) -> Tail | None:
        """Return the highest fact of `source` at the end of a partition of `topic` (full name), None if there is none.

        It is as new as this call, or newer. `HIDDEN` means that only strangers' records were found.

        Raises:
            ProduceUnknown: the broker did not answer.
        """
        tp = TopicPartition(topic, partition)
        self._found.pop(tp, None)
        self._wanted[tp] = source
        async with self._round:  # whoever comes in first asks for all who wait
            if tp in self._wanted:
                await asyncio.sleep(_GATHER_SECONDS)
                wanted, self._wanted = self._wanted, {}
                self._found |= await self._ask(wanted)
            if tp not in self._found:
                raise ProduceUnknown("the log's end was not read")
            return self._found.pop(tp)

    async def _ask(self, wanted: Mapping[TopicPartition, str]) -> dict[TopicPartition, Tail | None]:
        try:
            async with asyncio.timeout(_SECONDS):
                return await _read(await self._started(), wanted)
        except (KafkaError, OSError, TimeoutError) as error:
            await self.stop()
            raise ProduceUnknown(type(error).__name__) from error

    async def _started(self) -> AIOKafkaConsumer:
        if self._kafka is None:
            kafka = AIOKafkaConsumer(
                bootstrap_servers=self._bootstrap, enable_auto_commit=False, auto_offset_reset="none"
            )
            await clients.start(kafka.start, kafka.stop)
            self._kafka = kafka
        return self._kafka

    async def stop(self) -> None:
        """Stop asking, within bounds."""
        if self._kafka is not None:
            kafka, self._kafka = self._kafka, None
            await clients.stop(kafka.stop)


async def _read(kafka: AIOKafkaConsumer, wanted: Mapping[TopicPartition, str]) -> dict[TopicPartition, Tail | None]:
    begins = await kafka.beginning_offsets(list(wanted))
    ends = await kafka.end_offsets(list(wanted))
    found: dict[TopicPartition, Tail | None] = {tp: None for tp in wanted if begins[tp] == ends[tp]}
    for back in LOOK_BACK:
        left = {tp: max(begins[tp], ends[tp] - back) for tp in wanted if tp not in found}
        tails = await _scan(kafka, left, ends, wanted) if left else {}
        found |= {tp: tail for tp, tail in tails.items() if tail is not None or left[tp] == begins[tp]}
    return {tp: found.get(tp, HIDDEN) for tp in wanted}


async def _scan(
    kafka: AIOKafkaConsumer,
    starts: Mapping[TopicPartition, int],
    ends: Mapping[TopicPartition, int],
    sources: Mapping[TopicPartition, str],
) -> dict[TopicPartition, Tail | None]:
    """Return the highest fact between these offsets of each partition."""
    found: dict[TopicPartition, Tail | None] = dict.fromkeys(starts)
    kafka.assign(list(starts))
    try:
        for tp, offset in starts.items():
            kafka.seek(tp, offset)
        while reading := [tp for tp in starts if await kafka.position(tp) < ends[tp]]:
            for tp, records in (await kafka.getmany(*reading, timeout_ms=200)).items():
                tails = (found[tp], *(_tail_of(record, sources[tp]) for record in records))
                found[tp] = max((tail for tail in tails if tail is not None), default=None)
    finally:
        kafka.unsubscribe()  # else it would go on fetching
    return found


def _tail_of(record: ConsumerRecord, source: str) -> Tail | None:
    numbers = numbers_of(record.headers)
    if numbers is None or text_of(record.headers, "ce_source") != source:
        return None
    return Tail(Cursor(numbers.epoch, numbers.sequence), text_of(record.headers, "ce_id") or "")
