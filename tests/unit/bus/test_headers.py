from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st

from shared.bus.dead_letters import headers_as_json, headers_from_json
from shared.bus.headers import Headers, Numbers, Packed, numbers_of, text_of, to_envelope, to_headers
from tests.unit.bus.build import SOURCE, changed, headers, packed

LARGEST = 2**63 - 1
place = st.integers(1, LARGEST)
base = st.none() | st.tuples(st.integers(0, LARGEST), st.integers(0, LARGEST))
word = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=20)
instant = st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - given UTC


@given(st.builds(Numbers, place, place, base))
def test_numbers_come_back_as_they_were_sent(numbers: Numbers) -> None:
    assert numbers_of(to_headers(packed(), SOURCE, numbers)) == numbers


@given(identity=word, key=word, cause=st.none() | word, time=instant, numbers=st.builds(Numbers, place, place, base))
def test_the_cloudevents_sdk_reads_what_we_send_as_we_do(
    identity: str, key: str, cause: str | None, time: datetime, numbers: Numbers
) -> None:
    """The SDK is the oracle: a record of ours is a valid binary CloudEvent with the same attributes.

    `traceparent` stands beside it, as the binding for distributed tracing has it, so the SDK does not know it.
    """
    fact = Packed(identity, "arrears.x.v1", time.isoformat(), key, "00-1-2-00", cause, b'{"a":1}')
    sent = to_headers(fact, SOURCE, numbers)
    event = from_binary(KafkaMessage(dict(sent), key.encode(), fact.value or b""), JSONFormat(), CloudEvent)
    read = to_envelope(sent, "card", 3, numbers)
    assert (event.get_id(), event.get_type(), event.get_source(), event.get_time()) == (
        read.id,
        read.type,
        read.source,
        read.time,
    )
    assert event.get_specversion() == "1.0"
    assert event.get_datacontenttype() == "application/json"
    assert event.get_extension("partitionkey") == read.key == key
    assert event.get_extension("causeid") == read.cause_id == cause
    assert int(event.get_extension("epoch")) == read.epoch
    assert int(event.get_extension("sequence")) == read.sequence
    assert event.get_data() == {"a": 1}


def test_sequence_sorts_as_text_as_it_does_as_a_number() -> None:
    sent = [dict(headers(sequence=number))["ce_sequence"] or b"" for number in (1, 9, 10, 99, 10**18)]
    assert sent == sorted(sent)
    assert {len(value) for value in sent} == {19}


def test_every_name_of_ours_is_one_that_cloudevents_allows() -> None:
    names = [name.removeprefix("ce_") for name, _ in headers(base=(1, 2)) if name.startswith("ce_")]
    assert all(name.isalnum() and name.islower() and len(name) <= 20 for name in names)


GOOD = b"0000000000000000001"


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("ce_epoch", ()),
        ("ce_sequence", ()),
        ("ce_epoch", (b"7", b"7")),
        ("ce_sequence", (GOOD, GOOD)),
        ("ce_epochbase", (b"1:2", b"1:2")),
        ("ce_epoch", (None,)),
        ("ce_sequence", (None,)),
        ("ce_epochbase", (None,)),
        ("ce_epoch", (b"",)),
        ("ce_epoch", (b"0",)),
        ("ce_epoch", (b"-1",)),
        ("ce_epoch", (b"+7",)),
        ("ce_epoch", (b" 7",)),
        ("ce_epoch", (b"1_0",)),
        ("ce_epoch", ("\u0667".encode(),)),
        ("ce_epoch", (b"9223372036854775808",)),
        ("ce_sequence", (b"1",)),
        ("ce_sequence", (b"0000000000000000000",)),
        ("ce_sequence", (b"-000000000000000001",)),
        ("ce_sequence", (b"9999999999999999999",)),
        ("ce_epochbase", (b"1",)),
        ("ce_epochbase", (b"1:",)),
        ("ce_epochbase", (b"1:-2",)),
        ("ce_epochbase", (b"1:2:3",)),
        ("ce_epochbase", (b"9999999999999999999:1",)),
    ],
)
def test_numbers_that_this_bus_does_not_write_are_no_numbers(name: str, values: tuple[bytes | None, ...]) -> None:
    """Seen to fail: with plain int() "-1" passed for a duplicate, and a null header raised."""
    assert numbers_of(changed(headers(), name, *values)) is None


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("ce_id", (), "ce_id is missing"),
        ("ce_id", (b"",), "ce_id is missing"),
        ("ce_id", (None,), "ce_id is missing"),
        ("ce_type", (), "ce_type is missing"),
        ("ce_partitionkey", (), "ce_partitionkey is missing"),
        ("traceparent", (), "traceparent is missing"),
        ("ce_specversion", (b"0.3",), "ce_specversion is not 1.0"),
        ("ce_time", (b"yesterday",), "yesterday"),
        ("ce_time", (b"2026-02-25T12:00:00",), "ce_time has no offset"),
        ("ce_id", (b"a", b"b"), "ce_id stands there twice"),
        ("ce_id", (b"\xff",), "decode"),
        ("ce_partitionkey", (b"c\x00",), "NUL"),
    ],
)
def test_an_envelope_with_a_fault_is_refused_with_the_faults_name(
    name: str, values: tuple[bytes | None, ...], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        to_envelope(changed(headers(), name, *values), "card", 0, Numbers(7, 1, None))


@pytest.mark.parametrize("value", [b"\xff\xfe", None, b"\x00"])
def test_headers_of_other_tools_may_hold_anything(value: bytes | None) -> None:
    """Seen to fail: a tracer's binary header made a dead letter of a sound fact."""
    assert to_envelope([*headers(), ("x-tracer", value)], "card", 0, Numbers(7, 1, None)).id == "id-1"


def test_text_of_never_fails() -> None:
    assert text_of([("a", None), ("a", b"\xff")], "a") == "\ufffd"
    assert text_of([], "a") is None


@given(st.lists(st.tuples(word, st.none() | st.binary())))
def test_stored_headers_come_back_byte_for_byte(found: Headers) -> None:
    """Seen to fail: a null value raised, and a byte 0 was refused by the column."""
    stored = headers_as_json(found)
    assert "\\u0000" not in stored
    assert headers_from_json(stored) == found
