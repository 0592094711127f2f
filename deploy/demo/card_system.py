"""The bank's card system: reports, takes payments, and remembers what intake answered."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from deploy.demo import events
from deploy.demo.client import CARD_SYSTEM, Client, Refusal
from deploy.demo.events import Event
from deploy.demo.invariants import MESSAGE_CHANNELS, Silence
from deploy.demo.story import Account, Act, Customer, Stage

_STRUCTURED, _BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"
_TAKEN: Final = frozenset({"accepted", "replayed"})
_A_BATCH: Final = 400
"""So many events are sent at once: below what intake takes, in number and in bytes."""


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

    def __init__(self, client: Client, story: Stage, people: Sequence[Customer], now: Callable[[], datetime]) -> None:
        self._client = client
        self._story = story
        self._now = now
        self._books = {
            account.account_id: _Book(customer, account, account.past_due)
            for customer in people
            for account in customer.accounts
        }
        self.taken: list[Event] = []
        self._known: set[str] = set()
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
            case "opt_out" | "move":
                return [await (self._opt_out(customer) if act.do == "opt_out" else self._move(customer))]

    async def together(self, acts: Sequence[tuple[Customer, Act]]) -> Counter[str]:
        """Do at once what many customers do at one instant; how many did what.

        Raises:
            ValueError: an act that nobody does in a crowd.
        """
        did = [(customer, act, event) for customer, act in acts for event in self._events_of(customer, act)]
        answers = await self._send([event for _, _, event in did])
        for (customer, act, _), answer in zip(did, answers, strict=True):
            if act.do == "stop":
                self._silence(customer, answer.get("effective_at"), MESSAGE_CHANNELS, f"stop {act.stop}")
            elif act.do == "pay":
                self._silence_if_settled(customer, [answer])
        await asyncio.gather(*(self._opt_out(customer) for customer, act in acts if act.do == "opt_out"))
        return Counter(act.do for _, act in acts)

    def _events_of(self, customer: Customer, act: Act) -> Iterator[Event]:
        match act.do:
            case "pay":
                for book in self._chosen(customer, act):
                    if book.owed > 0:
                        yield self._payment(book, max(1, round(book.owed * act.share)))
            case "stop":
                yield events.stop_set(customer.customer_id, str(act.stop), self._now())
            case "move":
                yield self._moved(customer)
            case "opt_out":
                return  # is told to notify, not to intake
            case _:
                raise ValueError(f"nobody does {act.do} in a crowd")

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

    def _payment(self, book: _Book, amount: int) -> Event:
        number = len(book.paid) + 1
        book.paid[number] = amount
        book.owed -= amount
        return events.payment_posted(book.customer.customer_id, book.account, number, amount, self._now())

    def _moved(self, customer: Customer) -> Event:
        at = self._now()
        return events.contacts_changed(moved(customer), at, self._story.zone, self._story.city, again=f"-m{at:%m%d}")

    async def _pay(self, book: _Book, amount: int) -> str:
        answers = await self._send([self._payment(book, amount)])
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

    async def _move(self, customer: Customer) -> str:
        await self._send([self._moved(customer)])
        return f"搬家 [b]{customer.label}[/b] has moved"

    async def _send(self, told: Sequence[Event]) -> list[Mapping[str, Any]]:
        items = await self.ask(told)
        for event, item in zip(told, items, strict=True):
            self._note(event, item)
        return items

    async def ask(self, told: Sequence[Event]) -> list[Mapping[str, Any]]:
        """Send events and return what intake says of each; nothing is noted."""
        headers, items = {"content-type": _BATCH}, []
        for first in range(0, len(told), _A_BATCH):
            batch = list(told[first : first + _A_BATCH])
            answer = await self._client.call(CARD_SYSTEM, "POST", "ingest", "/v1/events", batch, headers)
            items += answer.body["items"]
        return items

    async def recognise(self, told: Sequence[Event]) -> Counter[str]:
        """Send again what somebody else has sent, and note what of it intake has taken; how often it said what.

        What was refused is owed by nobody.
        """
        outcomes: Counter[str] = Counter()
        for event, item in zip(told, await self.ask(told), strict=True):
            outcomes[item["outcome"]] += 1
            if item["outcome"] in _TAKEN:
                self._note(event, item)
            else:
                self._books[event["data"]["account_id"]].owed = 0
        return outcomes

    def _note(self, event: Event, item: Mapping[str, Any]) -> None:
        outcome = str(item["outcome"])
        self.answers[outcome] = self.answers.get(outcome, 0) + 1
        if outcome == "rejected":
            raise Refusal("POST", "ingest /v1/events", 422, item.get("problem", {}))
        # A call whose answer was lost is repeated and then answered "replayed": it was taken all the same.
        if outcome != "conflict" and event["id"] not in self._known:
            self._known.add(event["id"])
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


def moved(customer: Customer) -> Customer:
    """Return the customer as who lives in the new home.

    Raises:
        ValueError: the customer does not move.
    """
    home = customer.moves_to
    if home is None:
        raise ValueError(f"{customer.customer_id} does not move")
    return customer.model_copy(update=home.model_dump())


def money(minor: int) -> str:
    """An amount of yuan as the telling shows it."""
    return f"¥{minor / 100:,.2f}"
