"""The card system's own topic, as intake keeps it: how far it was taken, and what of it was not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import blake2b
from typing import Literal
from uuid import UUID

from services.ingest.domain import shape, words
from services.ingest.domain.intake import Rejected, Sound
from services.ingest.domain.outcomes import Outcome
from shared.errors import FieldError

RefusedFor = Literal["rejected", "conflict", "lost", "anew"]
"""Why something of the log was not taken: as over HTTP; or its records were gone; or the log is another one."""


@dataclass(frozen=True, slots=True)
class Place:
    """How far a partition was taken: the offset of the next record, and the mark of the last one taken."""

    offset: int
    mark: bytes | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """Something that was not taken; `event_id` as it may be shown, and no other value of the event."""

    offset: int
    outcome: RefusedFor
    event_id: str | None
    errors: tuple[FieldError, ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """A refusal as it is kept."""

    id: UUID
    at: datetime
    topic: str
    partition: int
    refused: Refused


def mark_of(timestamp: int, key: bytes | None, value: bytes | None) -> bytes:
    """Return a hash by which a record is known again: a log that was made anew has another one in its place."""
    said = b"|".join((str(timestamp).encode(), str(len(key or b"")).encode(), key or b"", value or b""))
    return blake2b(said, digest_size=16).digest()


def refused_in(
    verdicts: Sequence[Sound | Rejected],
    outcomes: Sequence[Outcome],
    offsets: Sequence[int],
    shown: Callable[[str | None], str | None],
) -> Iterator[Refused]:
    """Yield what of the records at `offsets` was not taken. `shown`: an event's id as it may be shown."""
    for verdict, outcome, offset in zip(verdicts, outcomes, offsets, strict=True):
        if isinstance(verdict, Rejected):
            # A name that the sender made up may hold what no column takes.
            errors = tuple(replace(error, field=shape.shown(error.field)) for error in verdict.errors)
            yield Refused(offset, "rejected", shown(verdict.id), errors)
        elif outcome == "conflict":
            yield Refused(offset, "conflict", shown(verdict.id), (words.CONFLICT.at("id"),))


def found_gone(place: Place, begin: int, end: int) -> Refused | None:
    """Return what is to be told before a partition is read on from `place`, when it does not lie in its log.

    `begin`, `end`: the offsets of the log's first record and of the one to come. Both ways it is read from its start.
    """
    if place.offset < begin:
        return Refused(place.offset, "lost", None, (words.lost(place.offset, begin - 1).at("log"),))
    if place.offset > end:
        return log_anew(place)
    return None


def log_anew(place: Place) -> Refused:
    """Return what is told when the log is not the one that was read up to `place`."""
    return Refused(place.offset, "anew", None, (words.LOG_ANEW.at("log"),))
