"""Takes facts in: one load, pure folds in memory, one guarded write.

The customers of a batch are loaded in one statement and written in one. What a fact means stands in `domain/folds.py`;
the plan's steps are taken by the timer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from services.assignment.domain.folds import FOLDS, fold
from services.assignment.domain.policy import Policy
from services.assignment.recording import Work, record
from services.assignment.store import customers, erasing
from shared.bus.outcomes import DONE, Dead, Outcome, Skip
from shared.bus.taking import BatchHandler
from shared.bus.unit_of_work import Incoming, UnitOfWork
from shared.events.kinds import Erasure, Fact
from shared.events.registry import CARD, CONTACTS, NOTICES, RISK, VISITS, Topic
from shared.money import CurrencyMismatch, CurrencyUnknown

SUBSCRIPTIONS: Final[tuple[Topic, ...]] = (CARD, CONTACTS, RISK, VISITS, NOTICES)
HANDLES: Final[frozenset[type[Fact]]] = frozenset(FOLDS)


def batch_handler(policy: Policy) -> BatchHandler:
    """Return the handler of this policy."""

    async def handle(batch: Sequence[Incoming], uow: UnitOfWork) -> Sequence[Outcome]:
        return await take_batch(batch, uow, policy)

    return handle


async def take_batch(batch: Sequence[Incoming], uow: UnitOfWork, policy: Policy) -> Sequence[Outcome]:
    """Take in a batch of facts; one outcome a fact, in order."""
    about_customers = [item for item in batch if getattr(item.fact, "customer_id", None) is not None]
    held = await customers.load_customers(uow.connection, (item.key for item in about_customers))
    works = {key: Work.on(each, uow, policy) for key, each in held.items()}
    outcomes = [take(works[item.key], item) if item.key in works else Skip("about_staff") for item in batch]
    await record(uow, list(works.values()), policy)
    await erasing.erase(uow.connection, sorted({item.key for item in batch if isinstance(item.fact, Erasure)}))
    return outcomes


def take(work: Work, item: Incoming) -> Outcome:
    """Fold one fact; a fact that can never take effect leaves the customer as it was."""
    turn = work.turn
    customer, facts, entries = turn.customer, len(turn.facts), len(turn.entries)
    turn.trace = item.envelope.traceparent
    try:
        unchanged = fold(turn, item.fact)
    except (CurrencyMismatch, CurrencyUnknown) as error:
        turn.customer = customer
        del turn.facts[facts:], turn.entries[entries:]
        return Dead("currency_mismatch", str(error))
    work.caused_by(item)
    return DONE if unchanged is None else Skip(unchanged)
