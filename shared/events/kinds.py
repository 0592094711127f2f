"""The kinds of value that facts are made of, each with its bounds.

msgspec checks them when a fact is decoded, so a value of such a type is already known to be sound. Money stands in
whole minor units of the fact's currency (fen, cents); instants carry their offset from UTC.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

# `$` alone would let a trailing newline through.
_WORD = r"^[A-Za-z0-9](?:[A-Za-z0-9._:-]*[A-Za-z0-9])?$(?!\n)"

Key = Annotated[str, Meta(min_length=1, max_length=64, pattern=_WORD)]
"""An identifier given by the bank's systems: letters, digits and `. _ : -`."""

Code = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.-]+$(?!\n)")]
Text = Annotated[str, Meta(min_length=1, max_length=200)]
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}$(?!\n)")]
"""An ISO 4217 code; whether the code exists is checked at intake."""

LastFour = Annotated[str, Meta(pattern=r"^[0-9]{4}$(?!\n)")]
Month = Annotated[str, Meta(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$(?!\n)")]
TimeOfDay = Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$(?!\n)")]
Instant = Annotated[datetime, Meta(tz=True)]
Minor = Annotated[int, Meta(ge=0, le=10**15)]
"""An amount that is never negative, in minor units."""

PositiveMinor = Annotated[int, Meta(ge=1, le=10**15)]
SignedMinor = Annotated[int, Meta(ge=-(10**15), le=10**15)]
Periods = Annotated[int, Meta(ge=0, le=999)]

Grade = Literal["A", "B", "C", "D", "E"]
Bucket = Literal["M0", "M1", "M2", "M3", "M4", "M5", "M6", "M7+"]
StopKind = Literal[
    "dispute",
    "complaint",
    "cease_contact",
    "hardship",
    "deceased",
    "insolvent",
    "represented",
    "wrong_person",
]
MessageChannel = Literal["sms", "email"]
Language = Literal["zh", "en"]
StaffRole = Literal["phone_agent", "field_agent", "supervisor", "admin_assistant"]


class Fact(Struct, frozen=True, kw_only=True, gc=False):
    """What happened. Unknown fields are ignored when read, since a replay may meet a newer writer."""


class Erasure(Fact, frozen=True, kw_only=True):
    """The end of a key of a compacted topic: a record without a value, so the fact is its key and its `ce_time` (C1).

    Nothing as old as `as_of`, or older, is known of the key from now on; what is newer begins anew.
    """

    as_of: Instant


class Amount(Struct, frozen=True):
    """An amount of money: whole minor units and an ISO 4217 code. Two currencies are never added."""

    currency: Currency
    minor: SignedMinor


class Reason(Struct, frozen=True):
    """Why something was decided, in words: a stable code, Chinese first, English second."""

    code: Code
    zh: Text
    en: Text
