"""How large a fact may be: counted with its envelope, against three quarters of what the topic takes (P8)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from shared.bus.headers import Numbers, Packed, to_headers
from shared.bus.limits import FactLimits, FactTooLarge, record_bytes
from shared.bus.producing import MAX_BATCH_BYTES
from shared.bus.topics import MAX_RECORD_BYTES, topic_settings
from shared.events.registry import CARD, FACT_TYPES, TOPICS

_LARGEST = 2**63 - 1


def _fact(size: int, *, key: str = "c-1", type_: str = "arrears.payment.posted.v1") -> Packed:
    instant = datetime(2026, 2, 25, 4, 0, 0, 123456, tzinfo=UTC).isoformat()
    trace = f"00-{'0' * 32}-{'0' * 16}-00"
    return Packed("0" * 36, type_, instant, key, trace, "1" * 36, b"x" * size)


@pytest.mark.parametrize("key", ["c", "k" * 64, "void:" + "9" * 19])
@pytest.mark.parametrize("size", [0, 700_000])
def test_a_record_never_takes_more_than_it_is_counted_for(key: str, size: int) -> None:
    """Seen to fail when the envelope is counted with 400 bytes. Every type, the longest numbers, keys and base."""
    for source in {topic.source for topic in TOPICS}:
        for kind in FACT_TYPES:
            fact = _fact(size, key=key, type_=kind.name)
            headers = to_headers(fact, source, Numbers(_LARGEST, _LARGEST, (_LARGEST, _LARGEST)))
            batch = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 2 * MAX_BATCH_BYTES)
            batch.append(0, timestamp=None, key=key.encode(), value=fact.value, headers=headers)
            assert len(batch.build()) <= record_bytes(fact)


def test_three_quarters_of_the_topics_limit_are_taken_and_no_more() -> None:
    limits = FactLimits("", "arrears", "ingest")
    limits._take({CARD.full_name("arrears"): 4_000})
    envelope = record_bytes(_fact(0))
    limits.check("card", _fact(3_000 - envelope))
    with pytest.raises(FactTooLarge, match="3001 bytes, at most 3000"):
        limits.check("card", _fact(3_001 - envelope))


def test_until_the_limit_is_read_that_of_our_own_topics_holds() -> None:
    """Every topic that we make has exactly this limit."""
    limits = FactLimits("", "arrears", "ingest")
    assert {topic_settings(topic)["max.message.bytes"] for topic in TOPICS} == {str(limits.topic_bytes("card"))}
    assert limits.topic_bytes("card") == MAX_RECORD_BYTES


def test_a_topic_that_takes_more_than_the_client_sends_does_not_raise_the_limit() -> None:
    limits = FactLimits("", "arrears", "ingest")
    limits._take({CARD.full_name("arrears"): 100 * MAX_BATCH_BYTES})
    limits.check("card", _fact(MAX_BATCH_BYTES * 3 // 4 - record_bytes(_fact(0))))
    with pytest.raises(FactTooLarge):
        limits.check("card", _fact(MAX_BATCH_BYTES * 3 // 4))
