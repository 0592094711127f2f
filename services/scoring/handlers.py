"""What scoring does with facts of the topic `card`: merge them, grade the accounts they touched, tell what is news."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from zoneinfo import ZoneInfo

from msgspec import structs

from services.scoring import store
from services.scoring.domain.account import FOLDS, Customer
from services.scoring.domain.comparing import Comparison, comparison_of
from services.scoring.domain.grading import Grading, Judged, basis_of, fact_of, judge, next_due
from services.scoring.domain.panel import Pair, Panel
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

    def judge(self, pair: Pair, day: date) -> dict[str, Judged]:
        """Grade the touched accounts by both cards, by account; what is news is their last grading from now on."""
        found = {each: judge(self.customer.account(each), pair, day) for each in self.touched}
        judged = {each: what for each, what in found.items() if what is not None}
        for what in judged.values():
            if what.news is not None:
                self.customer = self.customer.with_account(what.news.account)
        return judged


def whole(row: CustomerRow) -> Change:
    """Return a customer of whom every account is to be graded, whom no fact has touched."""
    return Change(row, row.customer, row.traceparent, dict.fromkeys(row.customer.accounts))


@dataclass(frozen=True, slots=True)
class Grader:
    """Grades accounts by the panel's cards, on the days of the issuer's zone."""

    panel: Panel
    zone: str

    async def handle(self, batch: Sequence[Incoming], uow: UnitOfWork) -> Sequence[Outcome]:
        """Merge a batch, then grade each account that it changed once."""
        rows = await store.load(uow.connection, sorted({incoming.key for incoming in batch}))
        changes = {key: Change(row, row.customer, row.traceparent) for key, row in rows.items()}
        outcomes = [changes[incoming.key].merge(incoming) for incoming in batch]
        await self.settle([change for change in changes.values() if change.touched], uow)
        return outcomes

    def today(self, now: datetime) -> date:
        """Return the issuer's date at that instant."""
        return now.astimezone(ZoneInfo(self.zone)).date()

    def news(self, changes: Sequence[Change], now: datetime) -> list[Grading]:
        """Return what would be told of these customers now; nothing is stored."""
        pair, today = self.panel.on(self.today(now)), self.today(now)
        judged = (what for change in changes for what in change.judge(pair, today).values())
        return [what.news for what in judged if what.news is not None]

    async def settle(self, changes: Sequence[Change], uow: UnitOfWork) -> list[Grading]:
        """Grade the touched accounts of these customers, store what they have become, and tell and return the news.

        What the challenger says is recorded in the same transaction and told to nobody.
        """
        today = self.today(uow.now)
        pair = self.panel.on(today)
        news: list[tuple[Change, Grading]] = []
        comparisons: list[Comparison] = []
        for change in changes:
            judged = change.judge(pair, today)
            news += [(change, what.news) for what in judged.values() if what.news is not None]
            comparisons += _compared(change.row.customer_id, judged)
        await store.save(uow.connection, [self._row(change, pair, today) for change in changes])
        await store.compare(uow.connection, pair, comparisons, uow.now)
        graded = [
            Graded(fact_of(grading, pair.champion, change.row.customer_id, uow.now), basis_of(grading))
            for change, grading in news
        ]
        await store.record(uow.connection, graded)
        for (change, _), each in zip(news, graded, strict=True):
            cause = change.touched[each.fact.account_id]
            uow.emit(each.fact, cause=cause, traceparent=None if cause else change.traceparent)
        return [grading for _, grading in news]

    def _row(self, change: Change, pair: Pair, today: date) -> CustomerRow:
        return structs.replace(
            change.row,
            customer=change.customer,
            traceparent=change.traceparent,
            next_due=next_due(change.customer, pair.cards, today, self.zone),
        )


def _compared(customer_id: str, judged: Mapping[str, Judged]) -> list[Comparison]:
    found = (comparison_of(customer_id, account_id, what) for account_id, what in judged.items())
    return [comparison for comparison in found if comparison is not None]
