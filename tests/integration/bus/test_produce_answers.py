"""Kafka has what was sent, and its answer is lost: nothing takes effect twice, and nothing is left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial

import pytest

from shared.bus.producing import ProduceUnknown, Producing, Record
from shared.events.registry import CARD, RISK
from tests.integration.bus.log import facts_in, faults_of, log_of
from tests.integration.bus.toys import Toys, at_rest, payments, post, running

CUSTOMERS = [f"c-{number}" for number in range(6)]


async def test_a_produce_whose_answer_was_lost_is_found_again_by_its_numbers_and_takes_effect_once(
    toys: Toys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of each stream, every second answer from the first on; the producer itself knows nothing of it.

    The next term finds at the log's end what was sent; where it cannot, it sends the same numbers again.
    """
    send = Producing.send
    sent: Counter[tuple[str, int]] = Counter()

    async def unanswered(self: Producing, topic: str, partition: int, records: Sequence[Record]) -> int:
        count = await send(self, topic, partition, records)
        sent[topic, partition] += 1
        if sent[topic, partition] % 2:
            raise ProduceUnknown("the answer was lost")
        return count

    monkeypatch.setattr(Producing, "send", unanswered)
    writer, reader = toys.writer(), toys.reader()
    async with running(writer, reader):
        for number in range(6):
            await writer.transact(partial(post, customers=CUSTOMERS, number=number))
        await at_rest(writer, reader)
    assert await payments(toys.read_url) == {key: [f"p-{number}" for number in range(6)] for key in CUSTOMERS}
    for topic in (CARD, RISK):
        log = await log_of(toys.stage, topic)
        assert faults_of(log) == []
        assert len(facts_in(log)) == 36
