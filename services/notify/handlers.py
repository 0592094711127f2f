"""Facts taken in: what is known of a customer changes, reminders and reports begin. Nothing is sent from here.

Stops and payments do not end a waiting notice here either: they wake it, and the sender decides behind the read
barrier, where the order in which topics were read no longer matters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from services.notify.domain.folds import FOLDS
from services.notify.domain.model import Colleague, Customer
from services.notify.domain.notices import reminder_draft
from services.notify.domain.reports import REPORTS
from services.notify.store import customers, notices, reports
from services.notify.store.customers import Held
from shared.bus.outcomes import DONE, Dead, Outcome, Skip
from shared.bus.unit_of_work import Incoming, UnitOfWork
from shared.events.cases import ReminderDue
from shared.events.kinds import Erasure, Fact
from shared.events.registry import CARD, CASES, CONTACTS, STAFF, VISITS, Topic
from shared.events.staff import StaffChanged
from shared.money import CurrencyMismatch

SUBSCRIPTIONS: Final[tuple[Topic, ...]] = (CARD, CONTACTS, STAFF, CASES, VISITS)
HANDLES: Final[frozenset[type[Fact]]] = frozenset({*FOLDS, *REPORTS, ReminderDue, StaffChanged})

_NO_CHANGE = Skip("no_change")


async def handle(batch: Sequence[Incoming], uow: UnitOfWork) -> Sequence[Outcome]:
    """Take a batch into the database: one load, one guarded save, sets of new rows."""
    await _keep_colleagues(batch, uow)
    about = {item.key for item in batch if type(item.fact) in FOLDS or isinstance(item.fact, ReminderDue)}
    held = await customers.load(uow.connection, about) if about else {}
    after, outcomes = fold_all(batch, {key: each.customer for key, each in held.items()})
    changed = {key: (held[key], after[key]) for key in held if _to_save(held[key], after[key])}
    await customers.save(uow.connection, changed)
    await customers.wake(uow.connection, [key for key in changed if held[key].version], uow.now)
    drafts = [
        reminder_draft(item.fact, item.envelope.partition, item.envelope.traceparent)
        for item in batch
        if isinstance(item.fact, ReminderDue)
    ]
    await notices.add(uow.connection, drafts)
    await notices.erase(uow.connection, sorted({item.key for item in batch if isinstance(item.fact, Erasure)}))
    made = [(REPORTS[type(item.fact)](item.fact), item.envelope.traceparent) for item in batch if _reports(item)]
    await reports.add_reports(uow.connection, made)
    return outcomes


def fold_all(batch: Sequence[Incoming], known: Mapping[str, Customer]) -> tuple[dict[str, Customer], list[Outcome]]:
    """Fold the batch in its order; a fact that contradicts what is known is dead and changes nothing."""
    after = dict(known)
    outcomes: list[Outcome] = []
    for item in batch:
        fold = FOLDS.get(type(item.fact))
        if fold is None:
            outcomes.append(DONE)
            continue
        before = after[item.key]
        try:
            after[item.key] = fold(before, item.fact)
        except CurrencyMismatch as error:
            outcomes.append(Dead("currency_mismatch", str(error)))
        else:
            outcomes.append(_NO_CHANGE if after[item.key] is before else DONE)
    return after, outcomes


def newest(facts: Iterable[StaffChanged]) -> list[Colleague]:
    """Return each colleague as the highest version says."""
    by_id: dict[str, StaffChanged] = {}
    for fact in facts:
        held = by_id.get(fact.staff_id)
        if held is None or held.version < fact.version:
            by_id[fact.staff_id] = fact
    return [_colleague(by_id[key]) for key in sorted(by_id)]


async def _keep_colleagues(batch: Sequence[Incoming], uow: UnitOfWork) -> None:
    people = newest(item.fact for item in batch if isinstance(item.fact, StaffChanged))
    if people:
        await reports.lock_roster(uow.connection, alone=True)
        await reports.save_colleagues(uow.connection, people)


def _to_save(held: Held, after: Customer) -> bool:
    """A customer without a row gets one even when nothing is known yet: the sender locks it before it decides."""
    return after is not held.customer or held.version == 0


def _reports(item: Incoming) -> bool:
    return type(item.fact) in REPORTS


def _colleague(fact: StaffChanged) -> Colleague:
    return Colleague(
        staff_id=fact.staff_id,
        version=fact.version,
        name=fact.name,
        role=fact.role,
        team=fact.team,
        language=next(iter(fact.languages), "zh"),
        email=fact.email,
        active=fact.active,
        since=fact.changed_at,
    )
