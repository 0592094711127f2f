"""What scoring does with facts of the topic `card`: merge them, grade the accounts they touched, tell what is news."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from zoneinfo import ZoneInfo

from msgspec import structs

from services.scoring import store
from services.scoring.domain.account import FOLDS, Customer
from services.scoring.domain.card import Card, card_on
from services.scoring.domain.grading import Grading, basis_of, fact_of, next_due, regrade
from services.scoring.store import CustomerRow, Graded
from shared.bus.outcomes import DONE, Dead, Outcome, Skip
from shared.bus.unit_of_work import Incoming, UnitOfWork
from shared.events.card import AccountCured, AccountOverdueReported, PaymentPosted, PaymentReversed
from shared.events.registry import CARD, Topic
from shared.money import CurrencyMismatch

SUBSCRIPTIONS: tuple[Topic, ...] = (CARD,)
HANDLES = frozenset(FOLDS)


@dataclass(slots=True)
class Change:
    """A customer while a batch is merged.

    `touched` = the accounts to be graded, each with the fact that touched it last. By a timer no fact touches an
    account; then the trace that the row has kept goes on.
    """

    row: CustomerRow
    customer: Customer
    traceparent: str | None
    touched: dict[str, Incoming | None] = field(default_factory=dict)

    def merge(self, incoming: Incoming) -> Outcome:
        """Merge one fact and say what became of it."""
        fact = incoming.fact
        assert isinstance(fact, AccountOverdueReported | AccountCured | PaymentPosted | PaymentReversed)
        account = self.customer.account(fact.account_id)
        try:
            merged = FOLDS[type(fact)](account, fact)
        except CurrencyMismatch as error:
            return Dead("currency_mismatch", str(error))
        if merged is account:
            return Skip("nothing_new")
        self.customer = self.customer.with_account(merged)
        self.touched[fact.account_id] = incoming
        self.traceparent = incoming.envelope.traceparent
        return DONE

    def grade(self, card: Card, day: date) -> list[Grading]:
        """Grade the touched accounts and return what is news."""
        found = (regrade(self.customer.account(account_id), card, day) for account_id in self.touched)
        news = [grading for grading in found if grading is not None]
        for grading in news:
            self.customer = self.customer.with_account(grading.account)
        return news


@dataclass(frozen=True, slots=True)
class Grader:
    """Grades accounts by the cards, on the days of the issuer's zone."""

    cards: Sequence[Card]
    zone: str

    async def handle(self, batch: Sequence[Incoming], uow: UnitOfWork) -> Sequence[Outcome]:
        """Merge a batch, then grade each account that it changed once."""
        rows = await store.load(uow.connection, sorted({incoming.key for incoming in batch}))
        changes = {key: Change(row, row.customer, row.traceparent) for key, row in rows.items()}
        outcomes = [changes[incoming.key].merge(incoming) for incoming in batch]
        await self.settle([change for change in changes.values() if change.touched], uow)
        return outcomes

    async def settle(self, changes: Sequence[Change], uow: UnitOfWork) -> None:
        """Grade the touched accounts of these customers, store what they have become, and tell what is news."""
        today = uow.now.astimezone(ZoneInfo(self.zone)).date()
        card = card_on(self.cards, today)
        news = [(change, grading) for change in changes for grading in change.grade(card, today)]
        await store.save(uow.connection, [self._row(change, card, today) for change in changes])
        graded = [
            Graded(fact_of(grading, card, change.row.customer_id, uow.now), basis_of(grading))
            for change, grading in news
        ]
        await store.record(uow.connection, graded)
        for (change, _), each in zip(news, graded, strict=True):
            cause = change.touched[each.fact.account_id]
            uow.emit(each.fact, cause=cause, traceparent=None if cause else change.traceparent)

    def _row(self, change: Change, card: Card, today: date) -> CustomerRow:
        return structs.replace(
            change.row,
            customer=change.customer,
            traceparent=change.traceparent,
            next_due=next_due(change.customer, card, today, self.zone),
        )
