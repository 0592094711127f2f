"""From a record's bytes to a fact, or to the reason why there is none in it."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from shared.bus.headers import Headers, Numbers, to_envelope
from shared.bus.outcomes import Dead, Skip
from shared.bus.unit_of_work import Incoming
from shared.events.envelope import Envelope
from shared.events.kinds import Fact
from shared.events.registry import BY_NAME, VOIDED, FactType


class Raw(msgspec.Struct, frozen=True, gc=False):
    """A record as it came, with the short name of its topic."""

    topic: str
    partition: int
    offset: int
    key: str | None
    headers: Headers
    body: bytes | None
    numbers: Numbers | None


class Decoded(msgspec.Struct, frozen=True, gc=False):
    """A record, and the fact in it, or what becomes of it without one (`verdict`)."""

    raw: Raw
    incoming: Incoming | None = None
    verdict: Dead | Skip | None = None
    envelope: Envelope | None = None

    @property
    def key(self) -> str | None:
        """Whom the record is about; None when nobody knows: nothing says so, or its parts say different things."""
        if isinstance(self.verdict, Dead) and self.verdict.code == "wrong_key":
            return None
        return self.envelope.key if self.envelope else self.raw.key


class Decoder:
    """Decodes the facts that a service handles; the others are skipped without a look inside."""

    def __init__(self, handles: Collection[type[Fact]]) -> None:
        self._decoders = {
            kind.name: msgspec.json.Decoder(kind.model) for kind in BY_NAME.values() if kind.model in handles
        }

    def decode(self, raw: Raw) -> Decoded:
        """Return the fact in `raw`, or why there is none."""
        if raw.numbers is None:
            return Decoded(raw, verdict=Dead("foreign", "another ce_source, or no or bad ce_epoch or ce_sequence"))
        try:
            envelope = to_envelope(raw.headers, raw.topic, raw.partition, raw.numbers)
        except ValueError as error:
            return Decoded(raw, verdict=Dead("envelope", str(error)))
        found = self._unwanted(envelope) or self._fact(BY_NAME[envelope.type], envelope, raw.body)
        if isinstance(found, Incoming):
            return Decoded(raw, found, envelope=envelope)
        return Decoded(raw, verdict=found, envelope=envelope)

    def _unwanted(self, envelope: Envelope) -> Dead | Skip | None:
        if envelope.type == VOIDED:
            return Skip("voided")
        kind = BY_NAME.get(envelope.type)
        if kind is None:
            return Dead("unknown_type", f"{envelope.type} is not a fact that this version knows")
        if kind.topic.name != envelope.topic:
            return Dead("wrong_topic", f"{envelope.type} does not travel on {envelope.topic}")
        return None if envelope.type in self._decoders else Skip("not_ours")

    def _fact(self, kind: FactType, envelope: Envelope, body: bytes | None) -> Incoming | Dead:
        if body is None and not kind.erases:
            return Dead("no_body", "the record has no value")
        if body is not None and kind.erases:
            return Dead("body_of_erasure", "an erasure has no value")
        try:
            if body is None:
                return Incoming(envelope, _erasure(kind, envelope))
            fact = self._decoders[envelope.type].decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:  # the last: nested without end
            return Dead("undecodable", str(error))
        if envelope.key not in (getattr(fact, name) for name in kind.key_fields):
            return Dead("wrong_key", "ce_partitionkey is not whom the fact is about")
        return Incoming(envelope, fact)


def _erasure(kind: FactType, envelope: Envelope) -> Fact:
    """Return the fact that a record without a value is (C1).

    Raises:
        msgspec.ValidationError: the key is none.
    """
    (name,) = kind.key_fields
    return msgspec.convert({name: envelope.key, "as_of": envelope.time}, kind.model)
