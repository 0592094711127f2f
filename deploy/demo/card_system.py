"""The bank's card system: reports, takes payments, and remembers what intake answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from deploy.demo import events
from deploy.demo.client import CARD_SYSTEM, Client, Refusal
from deploy.demo.events import Event
from deploy.demo.invariants import MESSAGE_CHANNELS, Silence
from deploy.demo.story import Account, Act, Customer, Story

_STRUCTURED, _BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"


@dataclass
class _Book:
    """What is owed on a card, and the payments that were posted to it, by number."""

    customer: Customer
    account: Account
    owed: int
    paid: dict[int, int] = field(default_factory=dict)


class CardSystem:
    """Speaks to ingest, and to notify for whoever wants no more messages.

    `taken`: everything that was accepted; `answers`: how often intake said what.
    """

    def __init__(self, client: Client, story: Story, people: Sequence[Customer], now: Callable[[], datetime]) -> None:
        self._client = client
        self._story = story
        self._now = now
        self._books = {
            account.account_id: _Book(customer, account, account.past_due)
            for customer in people
            for account in customer.accounts
        }
        self.taken: list[Event] = []
        self.answers: dict[str, int] = {}
        self.silences: list[Silence] = []

    def owed(self, customer: Customer) -> int:
        """What the customer owes on all cards."""
        return sum(self._books[account.account_id].owed for account in customer.accounts)

    async def introduce(self, people: Sequence[Customer]) -> None:
        """Tell how the customers can be reached."""
        at = self._now()
        await self._send([events.contacts_changed(each, at, self._story.zone, self._story.city) for each in people])

    async def report(self, people: Sequence[Customer]) -> None:
        """Tell what is overdue, all in one batch."""
        await self._send(self.snapshots(people))

    async def report_traced(self, customer: Customer, traceparent: str) -> None:
        """Tell what is overdue on one customer's first card, in a trace that the sender has begun."""
        (event,) = self.snapshots([customer])[:1]
        headers = {"content-type": _STRUCTURED, "traceparent": traceparent}
        answer = await self._client.call(
            CARD_SYSTEM, "POST", "ingest", "/v1/events", event | {"traceparent": traceparent}, headers
        )
        self._note(event, answer.body)

    def snapshots(self, people: Sequence[Customer]) -> list[Event]:
        """The snapshots of the customers' cards, as of now."""
        at, zone = self._now(), self._story.zone_info
        return [events.overdue_reported(each, account, at, zone) for each in people for account in each.accounts]

    async def repeat(self, event: Event) -> str:
        """Send an event that has been sent before; the outcome is for the teller."""
        return (await self._send([event]))[0]["outcome"]  # type: ignore[no-any-return]  # JSON

    async def act(self, customer: Customer, act: Act) -> list[str]:
        """Do what the story says; what to tell of it."""
        match act.do:
            case "pay":
                chosen = self._chosen(customer, act)
                return [await self._pay(book, round(book.owed * act.share)) for book in chosen if book.owed > 0]
            case "reverse":
                return [await self._reverse(book) for book in self._chosen(customer, act)]
            case "cure":
                return [await self._cure(book) for book in self._chosen(customer, act)]
            case "stop":
                return [await self._stop(customer, act)]
            case "lift":
                return [await self._lift(customer, act)]
            case "opt_out":
                return [await self._opt_out(customer)]

    async def pay(self, customer: Customer, amount: int) -> list[str]:
        """The customer pays an amount, the largest debt first."""
        told = []
        for book in sorted(self._chosen(customer, None), key=lambda book: -book.owed):
            part = min(amount, book.owed)
            amount -= part
            if part:
                told.append(await self._pay(book, part))
        return told

    def _chosen(self, customer: Customer, act: Act | None) -> list[_Book]:
        books = [self._books[account.account_id] for account in customer.accounts]
        return books if act is None or act.account == "all" else [books[act.account]]

    async def _pay(self, book: _Book, amount: int) -> str:
        number = len(book.paid) + 1
        at = self._now()
        event = events.payment_posted(book.customer.customer_id, book.account, number, amount, at)
        book.paid[number] = amount
        book.owed -= amount
        answers = await self._send([event])
        self._silence_if_settled(book.customer, answers)
        whole = "everything" if self.owed(book.customer) == 0 else "a part"
        return f"还款 [b]{book.customer.label}[/b] pays {money(amount)}, {whole}"

    async def _reverse(self, book: _Book) -> str:
        number, amount = list(book.paid.items())[-1]
        self._speak_again(book.customer)
        at = self._now()
        await self._send([events.payment_reversed(book.customer.customer_id, book.account, number, amount, at)])
        book.owed += amount
        return f"退票 the payment of {money(amount)} by [b]{book.customer.label}[/b] is taken back"

    async def _cure(self, book: _Book) -> str:
        answers = await self._send([events.account_cured(book.customer.customer_id, book.account, self._now())])
        book.owed = 0
        self._silence_if_settled(book.customer, answers)
        return f"恢复正常 the card system holds {book.account.account_id} of {book.customer.label} to be in order again"

    async def _stop(self, customer: Customer, act: Act) -> str:
        answers = await self._send([events.stop_set(customer.customer_id, str(act.stop), self._now())])
        self._silence(customer, answers[0].get("effective_at"), MESSAGE_CHANNELS, f"stop {act.stop}")
        return f"停催 [b]{customer.label}[/b]: {act.stop}; nothing more leaves from effective_at on"

    async def _lift(self, customer: Customer, act: Act) -> str:
        self._speak_again(customer)
        await self._send([events.stop_lifted(customer.customer_id, str(act.stop), self._now())])
        return f"恢复催收 the {act.stop} of [b]{customer.label}[/b] is lifted"

    async def _opt_out(self, customer: Customer) -> str:
        answer = await self._client.post(
            CARD_SYSTEM, "notify", "/v1/opt-outs", {"customer_id": customer.customer_id, "channel": "sms"}
        )
        self.taken.append(events.opted_out(customer.customer_id, self._now()))
        self._silence(customer, answer.get("effective_at"), frozenset({"sms"}), "opt-out of SMS")
        return f"退订 [b]{customer.label}[/b] wants no more SMS"

    async def _send(self, batch: Sequence[Event]) -> list[Mapping[str, Any]]:
        headers = {"content-type": _BATCH}
        answer = await self._client.call(CARD_SYSTEM, "POST", "ingest", "/v1/events", list(batch), headers)
        items: list[Mapping[str, Any]] = answer.body["items"]
        for event, item in zip(batch, items, strict=True):
            self._note(event, item)
        return items

    def _note(self, event: Event, item: Mapping[str, Any]) -> None:
        outcome = str(item["outcome"])
        self.answers[outcome] = self.answers.get(outcome, 0) + 1
        if outcome == "rejected":
            raise Refusal("POST", "ingest /v1/events", 422, item.get("problem", {}))
        # A call whose answer was lost is repeated and then answered "replayed": it was taken all the same.
        if outcome != "conflict" and all(event["id"] != known["id"] for known in self.taken):
            self.taken.append(event)

    def _silence_if_settled(self, customer: Customer, answers: Sequence[Mapping[str, Any]]) -> None:
        if self.owed(customer) == 0:
            self._silence(customer, answers[-1].get("effective_at"), MESSAGE_CHANNELS, "paid in full")

    def _silence(self, customer: Customer, effective_at: str | None, channels: frozenset[str], why: str) -> None:
        if effective_at is not None:  # else the stop was only recorded, and nothing is promised yet
            self.silences.append(
                Silence(customer.customer_id, channels, datetime.fromisoformat(effective_at), None, why)
            )

    def _speak_again(self, customer: Customer) -> None:
        """What silenced the customer no longer holds from this moment on; a refused channel stays refused."""
        now = datetime.now(UTC)
        self.silences = [
            each.until_at(now) if each.customer_id == customer.customer_id and each.whole else each
            for each in self.silences
        ]


def money(minor: int) -> str:
    """An amount of yuan as the telling shows it."""
    return f"¥{minor / 100:,.2f}"
