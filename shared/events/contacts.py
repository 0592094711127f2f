"""Facts of the topic `contacts`: who the customer is and how to be reached. Personal data; compacted and erasable."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from shared.events.kinds import Erasure, Fact, Instant, Key, Language, Text, TimeOfDay

PhoneNumber = Annotated[str, Meta(pattern=r"^\+[1-9][0-9]{6,14}$(?!\n)")]
EmailAddress = Annotated[
    str, Meta(max_length=254, pattern=r"^[^@\s<>,;:\"\\]+@[^@\s<>,;:\"\\]+\.[^@\s<>,;:\"\\]+$(?!\n)")
]
ContactChannel = Literal["sms", "email", "call", "visit"]


class Phone(Struct, frozen=True, kw_only=True):
    """A telephone number in E.164 form."""

    number: PhoneNumber
    kind: Literal["mobile", "home", "work"]


class Address(Struct, frozen=True, kw_only=True):
    """Where the customer can be visited; a known `hazard` is shown before anyone plans to go there."""

    address_id: Key
    kind: Literal["home", "work"]
    lines: Annotated[tuple[Text, ...], Meta(min_length=1, max_length=5)]
    district: Text
    city: Text
    hazard: Text | None = None


class AtHome(Struct, frozen=True, kw_only=True):
    """When the customer is usually at home: weekdays (0 = Monday) and local times; `until` is after `since`."""

    weekdays: Annotated[tuple[Annotated[int, Meta(ge=0, le=6)], ...], Meta(min_length=1, max_length=7)]
    since: TimeOfDay
    until: TimeOfDay


class CustomerContactsChanged(Fact, frozen=True, kw_only=True):
    """The whole of what is known of how to reach a customer; never a part of it. A later `as_of` replaces it."""

    customer_id: Key
    as_of: Instant
    name: Text
    language: Language
    time_zone: Annotated[str, Meta(min_length=1, max_length=64)]
    phones: Annotated[tuple[Phone, ...], Meta(max_length=10)] = ()
    emails: Annotated[tuple[EmailAddress, ...], Meta(max_length=10)] = ()
    addresses: Annotated[tuple[Address, ...], Meta(max_length=10)] = ()
    at_home: Annotated[tuple[AtHome, ...], Meta(max_length=14)] = ()
    night_contact_consent: bool = False
    refused_channels: Annotated[tuple[ContactChannel, ...], Meta(max_length=4)] = ()


class CustomerContactsErased(Erasure, frozen=True, kw_only=True):
    """How the customer was reached up to `as_of` is to be forgotten; older data never come back, newer begin anew."""

    customer_id: Key
