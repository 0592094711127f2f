"""What became of each event of a request, and how the request as a whole is answered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from services.ingest.domain.intake import Rejected, Sound

Identity = tuple[str, str]
Outcome = Literal["accepted", "replayed", "conflict", "rejected"]


def firsts(verdicts: Iterable[Sound | Rejected]) -> dict[Identity, Sound]:
    """Return the sound events by identity; of one identity given twice in a request the first one counts."""
    found: dict[Identity, Sound] = {}
    for verdict in verdicts:
        if isinstance(verdict, Sound):
            found.setdefault(verdict.identity, verdict)
    return found


def outcomes_of(
    verdicts: Sequence[Sound | Rejected], inserted: frozenset[Identity], digests: Mapping[Identity, bytes]
) -> list[Outcome]:
    """Return what became of each event.

    `inserted`: identities that are new with this request. `digests`: the content's hash that is now kept for each
    identity, new or old.
    """
    taken: set[Identity] = set()
    return [_outcome(verdict, inserted, digests, taken) for verdict in verdicts]


def _outcome(
    verdict: Sound | Rejected, inserted: frozenset[Identity], digests: Mapping[Identity, bytes], taken: set[Identity]
) -> Outcome:
    if isinstance(verdict, Rejected):
        return "rejected"
    if digests[verdict.identity] != verdict.digest:
        return "conflict"
    if verdict.identity in inserted and verdict.identity not in taken:
        taken.add(verdict.identity)
        return "accepted"
    return "replayed"


def all_taken(outcomes: Iterable[Outcome]) -> bool:
    """Return whether nothing needs the sender's attention: no conflict and nothing rejected."""
    return all(outcome in ("accepted", "replayed") for outcome in outcomes)
