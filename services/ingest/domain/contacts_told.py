"""How far a customer's contact data were told and erased: pure, so that the topic's last record of a key is the truth.

`contacts` is compacted, and whoever reads it anew sees the last record only (C1). So what an erasure has ended is never
told behind it, and an erasure never ends what is newer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from msgspec import structs

from services.ingest.domain import words
from services.ingest.domain.intake import Rejected, Sound
from services.ingest.domain.outcomes import Identity
from shared.events.contacts import CustomerContactsChanged, CustomerContactsErased
from shared.events.kinds import Fact


@dataclass(frozen=True, slots=True)
class Told:
    """The newest contact data that were told of a customer are of `as_of`; all up to `erased_as_of` were erased."""

    as_of: datetime | None = None
    erased_as_of: datetime | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """What new events about contacts come to: the customers after them, the facts to tell, the events refused."""

    after: Mapping[str, Told]
    facts: Mapping[Identity, Fact | None]
    refused: Mapping[Identity, Rejected]


def judge_contacts(events: Iterable[Sound], told: Mapping[str, Told]) -> Judged:
    """Return what each event about contacts comes to, in their order. `told`: their customers before them.

    A fact of None is not told: contact data as old as an erasure change nothing anywhere, and must not reach the log.
    """
    after = dict(told)
    facts: dict[Identity, Fact | None] = {}
    refused: dict[Identity, Rejected] = {}
    for event in events:
        fact = event.fact
        if isinstance(fact, CustomerContactsChanged):
            facts[event.identity] = fact if _is_newer(fact.as_of, after[fact.customer_id].erased_as_of) else None
            after[fact.customer_id] = _with_contacts(after[fact.customer_id], fact.as_of)
        elif isinstance(fact, CustomerContactsErased):
            if _is_newer(after[fact.customer_id].as_of, fact.as_of):
                refused[event.identity] = Rejected(event.id, (words.NEWER_CONTACTS.at("data.as_of"),))
                continue
            after[fact.customer_id] = _with_erasure(after[fact.customer_id], fact.as_of)
            # An erasure sent again with an older instant never takes back a part of what was erased.
            facts[event.identity] = structs.replace(fact, as_of=after[fact.customer_id].erased_as_of)
    return Judged(after, facts, refused)


def _with_contacts(told: Told, as_of: datetime) -> Told:
    known = told.as_of is not None and as_of <= told.as_of
    return told if known or not _is_newer(as_of, told.erased_as_of) else Told(as_of, told.erased_as_of)


def _with_erasure(told: Told, as_of: datetime) -> Told:
    return Told(told.as_of, as_of) if _is_newer(as_of, told.erased_as_of) else told


def _is_newer(instant: datetime | None, than: datetime | None) -> bool:
    return instant is not None and (than is None or instant > than)
