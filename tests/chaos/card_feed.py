"""The bank's card system: tells everything over intake, in no good order, and much of it twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from datetime import datetime
from random import Random
from typing import Any

from deploy.demo.client import CARD_SYSTEM
from deploy.demo.events import Event
from tests.chaos.calling import Answer, Client, Unanswered
from tests.chaos.ledger import Intent, Ledger
from tests.chaos.rig import machine_now
from tests.chaos.story import CEASE, Person, Step, identity_of, person, tell

Told = tuple[Event, Mapping[str, Any]]
"""An event as it is sent, and what the ledger says of it."""

_STRUCTURED, _BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"
_JITTER = 1.5
"""Seconds by which an event may be late on its way: what is due first is not always sent first."""
_TWICE_NOW, _TWICE_LATER, _IN_A_BATCH = 0.2, 0.15, 0.4
_LATER = (2.0, 10.0)
_BASKET_SECONDS = 0.7


class CardFeed:
    """Customers come one after another, each with a script; every event is its own delivery.

    Args:
        now: the domain's present instant.
        every: seconds between two new customers.
    """

    def __init__(self, client: Client, ledger: Ledger, seed: int, now: Callable[[], datetime], every: float) -> None:
        self._client = client
        self._ledger = ledger
        self._seed = seed
        self._now = now
        self._every = every
        self._chance = Random(f"card feed {seed}")
        self._serial = 0
        self._basket: list[Told] = []
        self._ways: set[asyncio.Task[None]] = set()
        self.people: dict[str, Person] = {}
        self.unanswered: list[str] = []
        self._crashes: list[BaseException] = []

    async def run(self) -> None:
        """Bring customers until cancelled; what is on its way then still goes on."""
        emptying = asyncio.create_task(self._empty_baskets())
        try:
            for number in range(100_000):
                self._go(self._live(person(self._seed, number)))
                await asyncio.sleep(self._every if number >= 8 else 0)
        finally:
            emptying.cancel()

    async def stop(self, customer_ids: Iterable[str]) -> None:
        """The bank leaves these customers alone from now on; returns when all of it is answered."""
        told = [self._event(self.people[each], Step(0.0, "stop", number=CEASE)) for each in customer_ids]
        await asyncio.gather(*(self._send([each], _STRUCTURED) for each in told if each is not None))

    async def finish(self) -> None:
        """Wait until everything that has begun is told and answered; scripts that wait for their hour end here."""
        for way in self._ways:
            if way.get_name() == "live":
                way.cancel()
        self._send_basket()
        while self._ways:
            await asyncio.wait(self._ways)
        for crash in self._crashes:
            raise crash

    def _go(self, way: Coroutine[Any, Any, None], name: str = "live") -> None:
        task = asyncio.get_running_loop().create_task(way, name=name)
        self._ways.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._ways.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Unanswered):
            self.unanswered.append(str(error))
        elif error is not None:
            self._crashes.append(error)

    async def _live(self, someone: Person) -> None:
        self.people[someone.customer.customer_id] = someone
        loop = asyncio.get_running_loop()
        begun = loop.time()
        for step in sorted(someone.script, key=lambda step: step.after):
            await asyncio.sleep(max(0.0, begun + step.after - loop.time()))
            self._go(self._deliver(someone, step), "delivery")

    async def _deliver(self, someone: Person, step: Step) -> None:
        await asyncio.sleep(self._chance.uniform(0, _JITTER))
        told = self._event(someone, step)
        if told is None:
            await self._opt_out(someone.customer.customer_id)
            return
        copies = 1 + (self._chance.random() < _TWICE_NOW)
        for _ in range(copies):
            if self._chance.random() < _IN_A_BATCH:
                self._basket.append(told)
            else:
                self._go(self._send([told], _STRUCTURED), "delivery")
        if self._chance.random() < _TWICE_LATER:
            await asyncio.sleep(self._chance.uniform(*_LATER))
            await self._send([told], _STRUCTURED)

    def _event(self, someone: Person, step: Step) -> Told | None:
        """The event of a step; none for what is no event."""
        self._serial += 1
        event = tell(someone, step, self._serial, self._now(), self._chance)
        if event is None:
            return None
        identity = identity_of(event["type"], event["data"])
        return event, {
            "identity": identity,
            "type": event["type"],
            "data": event["data"],
            "settles": step.do == "settle",
        }

    async def _empty_baskets(self) -> None:
        while True:
            await asyncio.sleep(_BASKET_SECONDS)
            self._send_basket()

    def _send_basket(self) -> None:
        # An id twice in one batch is a case of its own: the second is told as replayed.
        basket, self._basket = self._basket, []
        if basket:
            self._chance.shuffle(basket)
            self._go(self._send(basket, _BATCH), "delivery")

    async def _send(self, parts: Sequence[Told], content_type: str) -> None:
        intents = [
            self._ledger.ask("event", event["id"], event["data"]["customer_id"], detail, machine_now())
            for event, detail in parts
        ]
        body = parts[0][0] if content_type == _STRUCTURED else [event for event, _ in parts]
        answer = await self._client.call(
            CARD_SYSTEM, "POST", "ingest", "/v1/events", body, {"content-type": content_type}
        )
        self._note(intents, answer)

    def _note(self, intents: Sequence[Intent], answer: Answer) -> None:
        now = machine_now()
        items = answer.body.get("items") if isinstance(answer.body, dict) else None
        for intent, item in zip(intents, items or [answer.body] * len(intents), strict=True):
            outcome = item.get("outcome") or f"refused:{answer.code}"
            self._ledger.answer(intent, outcome, now, item.get("effective_at"))

    async def _opt_out(self, customer_id: str) -> None:
        intent = self._ledger.ask("opt_out", f"opt-out {customer_id}", customer_id, {}, machine_now())
        body = {"customer_id": customer_id, "channel": "sms"}
        answer = await self._client.call(CARD_SYSTEM, "POST", "notify", "/v1/opt-outs", body)
        outcome = "accepted" if answer.ok else f"refused:{answer.code}"
        self._ledger.answer(intent, outcome, machine_now(), answer.body.get("effective_at") if answer.ok else None)
