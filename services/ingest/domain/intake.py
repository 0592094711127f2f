"""One event from outside, judged: the fact that it tells, or everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from hashlib import blake2b
from typing import Any

import msgspec
from msgspec import structs

from services.ingest.domain import words
from services.ingest.domain.card_number import holds_full_card_number
from services.ingest.domain.envelope import ACCEPTED, Header, header_faults, header_of
from services.ingest.domain.rules import Present, broken_rules, card_numbers, may_hold_card_number
from services.ingest.domain.shape import fits, shape_faults, shown, sound_fields, unknown_fields
from shared.errors import FieldError
from shared.events.card import AccountCured, PaymentPosted, StopSet
from shared.events.contacts import CustomerContactsChanged, CustomerContactsErased
from shared.events.kinds import Fact, Instant
from shared.events.registry import FactType

ENDS_PRESSURE: frozenset[type[Fact]] = frozenset(
    {StopSet, AccountCured, PaymentPosted, CustomerContactsChanged, CustomerContactsErased}
)
"""Facts that end or limit what the customer is pressed with: their sender is told from when (B2)."""

MAX_FAULTS = 50
"""Faults of one event that an answer names."""

# Trace identifiers are random digits, some of which pass for a card number.
_RANDOM_ATTRIBUTES = frozenset({"traceparent", "tracestate"})
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Sound:
    """An event that can be taken: its identity, the fact, and a hash of what it says."""

    source: str
    id: str
    digest: bytes
    fact: Fact
    time: datetime
    traceparent: str | None

    @property
    def identity(self) -> tuple[str, str]:
        """What makes two deliveries the same event: source and id, as received."""
        return self.source, self.id

    @property
    def ends_pressure(self) -> bool:
        """Whether the sender waits for the instant from which it holds."""
        return type(self.fact) in ENDS_PRESSURE


@dataclass(frozen=True, slots=True)
class Rejected:
    """An event that cannot be taken; `id` is its own, when it has one that may be repeated."""

    id: str | None
    errors: tuple[FieldError, ...]


def judge(event: object, present: Present, found: Sequence[FieldError] = ()) -> Sound | Rejected:
    """Return what `event`, one decoded JSON value, tells, or every fault of it; `found`: those known already."""
    if not isinstance(event, dict):
        return Rejected(None, (words.NOT_AN_OBJECT.at("event"),))
    fact, data_faults = _told(event, present)
    faults = (*found, *header_faults(event, present), *data_faults, *_card_numbers(event))
    if fact is None or faults:
        return Rejected(_repeatable_id(event), (faults or (words.NOT_SOUND.at("data"),))[:MAX_FAULTS])
    return _sound(header_of(event), fact)


def judge_all(events: Sequence[Any], present: Present) -> list[Sound | Rejected]:
    """Return the verdict on each event, in order."""
    return [judge(event, present) for event in events]


def _told(event: Mapping[str, Any], present: Present) -> tuple[Fact | None, tuple[FieldError, ...]]:
    """Return the fact in the event's data, or none and its faults; none of either where the header is too wrong."""
    kind, data = _kind_of(event), event.get("data")
    if kind is None or not isinstance(data, dict):
        return None, ()
    fact = fits(data, kind.model)
    if isinstance(fact, kind.model):
        return fact, tuple(broken_rules(kind.model, _members(fact), present))
    faults = (*unknown_fields(data, kind.model, "data"), *shape_faults(data, kind.model, "data"))
    return None, (*faults, *broken_rules(kind.model, sound_fields(data, kind.model), present))


def _kind_of(event: Mapping[str, Any]) -> FactType | None:
    name = event.get("type")
    return ACCEPTED.get(name) if isinstance(name, str) else None


def _members(fact: Fact) -> Mapping[str, Any]:
    return {name: getattr(fact, name) for name in fact.__struct_fields__}


def _card_numbers(event: Mapping[str, Any]) -> Iterator[FieldError]:
    told = {
        # An attribute that is a number says as much as its digits in a header do.
        name: str(value) if name != "data" and type(value) is int else value
        for name, value in event.items()
        if name not in _RANDOM_ATTRIBUTES
    }
    if may_hold_card_number(told):
        for name, value in told.items():
            if holds_full_card_number(name):
                yield words.FULL_CARD_NUMBER.at(shown(name))
            yield from card_numbers(value, name)


def _repeatable_id(event: Mapping[str, Any]) -> str | None:
    identity = event.get("id")
    if not isinstance(identity, str) or not 1 <= len(identity) <= 256 or holds_full_card_number(identity):
        return None
    return identity


def _sound(header: Header, fact: Fact) -> Sound:
    uniform = _in_utc(fact)
    said = _encode((header.kind.name, header.time.astimezone(UTC), uniform))
    return Sound(
        source=header.source,
        id=header.id,
        digest=blake2b(said, digest_size=16).digest(),
        fact=uniform,
        time=header.time.astimezone(UTC),
        traceparent=header.traceparent,
    )


def _in_utc(fact: Fact) -> Fact:
    """Return the fact with its instants in UTC, so that two ways to write one instant are the same content."""
    instants = {name: getattr(fact, name).astimezone(UTC) for name in _instants_of(type(fact))}
    return structs.replace(fact, **instants)


@cache
def _instants_of(model: type[Fact]) -> tuple[str, ...]:
    return tuple(field.name for field in structs.fields(model) if field.type == Instant)
