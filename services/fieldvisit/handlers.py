"""Takes facts in: one load, pure folds in memory, withdrawals decided from all that is known, one guarded write.

The customers of a batch are loaded in one statement and written in one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from services.fieldvisit import store
from services.fieldvisit.desk import Desk
from services.fieldvisit.domain.folds import FOLDS, due_at, fold_handed_over
from services.fieldvisit.domain.model import Customer
from services.fieldvisit.domain.visiting import accepted
from services.fieldvisit.domain.withdrawing import settle
from services.fieldvisit.recording import Telling, record
from services.fieldvisit.store import Change, Held
from shared.bus.outcomes import DONE, Dead, Outcome, Skip
from shared.bus.taking import BatchHandler
from shared.bus.unit_of_work import Incoming, UnitOfWork
from shared.events.card import AccountCured, AccountOverdueReported, PaymentPosted, StopSet
from shared.events.cases import CaseClosed, CaseHandedOver, CaseRecalled, ContactLogged
from shared.events.contacts import CustomerContactsErased
from shared.events.kinds import Erasure, Fact
from shared.events.registry import CARD, CASES, CONTACTS, STAFF, Topic
from shared.events.staff import StaffChanged
from shared.events.visits import WithdrawnReason
from shared.money import CurrencyMismatch, CurrencyUnknown
from shared.rules.calendar import CalendarUnknown
from shared.rules.rulebook import RulesUnknown

SUBSCRIPTIONS: Final[tuple[Topic, ...]] = (CARD, CONTACTS, CASES, STAFF)
HANDLES: Final[frozenset[type[Fact]]] = frozenset({*FOLDS, CaseHandedOver, StaffChanged})

_ENDS_BY: Final[dict[WithdrawnReason, tuple[type[Fact], ...]]] = {
    "paid": (PaymentPosted, AccountCured, AccountOverdueReported),
    "stopped": (StopSet, ContactLogged),
    "recalled": (CaseRecalled,),
    "closed": (CaseClosed,),
    "erased": (CustomerContactsErased,),
}


class _Case:
    """One customer while a batch is folded: as loaded, as known so far, and what has been taken in."""

    def __init__(self, before: Held) -> None:
        self.before = before
        self.now = before.customer
        self.taken: list[Incoming] = []
        self.tellings: list[Telling] = []

    def take(self, item: Incoming, desk: Desk) -> Outcome:
        """Fold one fact; a fact that can never take effect leaves the customer as it was."""
        try:
            after = _folded(self.now, item, desk)
        except CalendarUnknown as error:
            return Dead("calendar_unknown", str(error))
        except RulesUnknown as error:
            return Dead("rules_unknown", str(error))
        except (CurrencyMismatch, CurrencyUnknown) as error:
            return Dead("currency_mismatch", str(error))
        if after == self.now:
            return Skip("known_already")
        if isinstance(item.fact, CaseHandedOver):
            self.tellings.append(Telling(accepted(after.visits[item.fact.hand_over_id]), cause=item))
        self.now = after
        self.taken.append(item)
        return DONE

    def decide(self, uow: UnitOfWork) -> None:
        """Withdraw what is not to be made any more, and say which fact ended it."""
        self.now, withdrawn = settle(self.now, uow.now)
        for fact in withdrawn:
            causes = [item for item in self.taken if isinstance(item.fact, _ENDS_BY[fact.reason])]
            self.tellings.append(Telling(fact, cause=(causes or self.taken)[-1]))


def batch_handler(desk: Desk) -> BatchHandler:
    """Return the handler of this desk."""

    async def handle(batch: Sequence[Incoming], uow: UnitOfWork) -> Sequence[Outcome]:
        return await take_batch(batch, uow, desk)

    return handle


async def take_batch(batch: Sequence[Incoming], uow: UnitOfWork, desk: Desk) -> Sequence[Outcome]:
    """Take in a batch of facts; one outcome a fact, in order."""
    about_customers = [item for item in batch if not isinstance(item.fact, StaffChanged)]
    held = await store.load_customers(uow.connection, (item.key for item in about_customers))
    cases = {key: _Case(each) for key, each in held.items()}
    outcomes = {id(item): cases[item.key].take(item, desk) for item in about_customers}
    changed = [case for case in cases.values() if case.taken]
    for case in changed:
        case.decide(uow)
    changes = [Change(case.before, case.now) for case in changed]
    await record(uow, changes, [telling for case in changed for telling in case.tellings])
    erased = {item.key for item in about_customers if isinstance(item.fact, Erasure)}
    await store.erase(uow.connection, [case.now for key, case in cases.items() if key in erased])
    outcomes |= await _take_staff([item for item in batch if isinstance(item.fact, StaffChanged)], uow)
    return [outcomes[id(item)] for item in batch]


def _folded(customer: Customer, item: Incoming, desk: Desk) -> Customer:
    fact = item.fact
    if isinstance(fact, CaseHandedOver):
        due = due_at(fact.handed_over_at, desk.calendar, desk.policy.zone, desk.policy.book)
        return fold_handed_over(customer, fact, due, item.envelope.traceparent)
    return FOLDS[type(fact)](customer, fact)


async def _take_staff(items: Sequence[Incoming], uow: UnitOfWork) -> dict[int, Outcome]:
    """Keep the newest word on each colleague; all older ones change nothing."""
    newest: dict[str, StaffChanged] = {}
    for item in items:
        assert isinstance(item.fact, StaffChanged)
        held = newest.get(item.fact.staff_id)
        if held is None or held.version < item.fact.version:
            newest[item.fact.staff_id] = item.fact
    saved = await store.save_staff(uow.connection, list(newest.values()))
    return {id(item): _staff_outcome(item, newest, saved) for item in items}


def _staff_outcome(item: Incoming, newest: dict[str, StaffChanged], saved: set[str]) -> Outcome:
    taken = item.key in saved and newest.get(item.key) is item.fact
    return DONE if taken else Skip("older_version")
