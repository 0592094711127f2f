from __future__ import annotations

import msgspec
import pytest

from shared.bus.decoding import Decoder, Raw
from shared.bus.headers import Headers, numbers_of
from shared.bus.outcomes import Dead, Skip
from shared.events.card import PaymentPosted
from shared.events.contacts import CustomerContactsErased
from shared.events.registry import TOPICS, VOIDED
from tests.unit.bus.build import NOON, changed, headers, payment

DECODER = Decoder({PaymentPosted, CustomerContactsErased})
BODY = msgspec.json.encode(payment())


def raw(found: Headers, body: bytes | None = BODY, topic: str = "card") -> Raw:
    return Raw(topic, 0, 5, "c-1", found, body, numbers_of(found))


def test_a_fact_comes_with_its_envelope_and_its_place() -> None:
    decoded = DECODER.decode(raw(headers(epoch=7, sequence=3)))
    assert decoded.verdict is None
    assert decoded.incoming is not None
    assert decoded.incoming.fact == payment()
    assert decoded.incoming.key == "c-1"
    envelope = decoded.incoming.envelope
    assert (envelope.topic, envelope.partition, envelope.epoch, envelope.sequence) == ("card", 0, 7, 3)


def test_a_known_fact_that_nobody_here_handles_is_skipped_without_a_look_inside() -> None:
    decoded = DECODER.decode(raw(changed(headers(), "ce_type", b"arrears.account.cured.v1"), b"not even JSON"))
    assert decoded.verdict == Skip("not_ours")


@pytest.mark.parametrize("topic", [topic.name for topic in TOPICS])
@pytest.mark.parametrize("body", [b'{"number": 3}', b"not even JSON", None])
def test_a_number_that_was_given_up_is_skipped_on_every_topic(topic: str, body: bytes | None) -> None:
    decoded = DECODER.decode(raw(changed(headers(), "ce_type", VOIDED.encode()), body, topic))
    assert decoded.verdict == Skip("voided")


@pytest.mark.parametrize(
    ("found", "body", "topic", "code"),
    [
        (changed(headers(), "ce_epoch"), BODY, "card", "foreign"),
        (changed(headers(), "ce_id"), BODY, "card", "envelope"),
        (changed(headers(), "ce_type", b"arrears.payment.posted.v9"), BODY, "card", "unknown_type"),
        (headers(), BODY, "risk", "wrong_topic"),
        (headers(), None, "card", "no_body"),
        (headers(), b"", "card", "undecodable"),
        (headers(), b"{}", "card", "undecodable"),
        (headers(), b"\xff", "card", "undecodable"),
        (headers(), BODY.replace(b"100", b"1e400"), "card", "undecodable"),
        (headers(), b'{"x":' + b"[" * 100_000, "card", "undecodable"),
    ],
    ids=["numbers", "envelope", "type", "topic", "null", "empty", "fields", "bytes", "infinity", "nested"],
)
def test_what_can_never_take_effect_is_dead_with_a_code(
    found: Headers, body: bytes | None, topic: str, code: str
) -> None:
    """Seen to fail: nested arrays raised RecursionError, and a handled type was taken from a topic not its own."""
    decoded = DECODER.decode(raw(found, body, topic))
    assert isinstance(decoded.verdict, Dead)
    assert decoded.verdict.code == code
    assert decoded.incoming is None


def erased(key: bytes = b"c-1") -> Headers:
    return changed(changed(headers(), "ce_type", b"arrears.contacts.erased.v1"), "ce_partitionkey", key)


def test_a_record_without_a_value_of_the_erasing_type_is_its_key_and_its_time() -> None:
    decoded = DECODER.decode(raw(erased(), None, "contacts"))
    assert decoded.incoming is not None
    assert decoded.incoming.fact == CustomerContactsErased(customer_id="c-1", as_of=NOON)


@pytest.mark.parametrize(
    ("found", "body", "code"),
    [
        (erased(), b'{"customer_id":"c-1","as_of":"2026-02-25T04:00:00Z"}', "body_of_erasure"),
        (erased(), b"", "body_of_erasure"),
        (erased(b"no key"), None, "undecodable"),
    ],
    ids=["value", "empty", "key"],
)
def test_an_erasure_with_a_value_or_of_nobody_is_dead(found: Headers, body: bytes | None, code: str) -> None:
    decoded = DECODER.decode(raw(found, body, "contacts"))
    assert isinstance(decoded.verdict, Dead)
    assert decoded.verdict.code == code
