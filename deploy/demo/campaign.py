"""A whole portfolio: reported, graded, routed and reminded by the system; the colleagues work a sample of it.

What many debtors do at one instant is sent in batches, as a card system does at night.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import time
from functools import partial
from typing import Any, Final

from rich.console import RenderableType

from deploy.demo import campaign_ending as ending
from deploy.demo.card_system import CardSystem, moved
from deploy.demo.client import Client
from deploy.demo.invariants import Seen, Verdict
from deploy.demo.observing import Cases, Observer
from deploy.demo.office import Office
from deploy.demo.phone_desk import Sample
from deploy.demo.playing import Player
from deploy.demo.story import Act, Customer, Stage, When
from deploy.demo.telling import Teller

_CONTACTS, REPORT, _MORNING, _EVENING = time(8, 15), time(8, 30), time(9, 15), time(20, 0)
_SAMPLE: Final = Sample(calls=4, hand_overs=2, cases=15)
_DID: Final = {
    "pay": "还款 {} pay all or a part",
    "stop": "异议 {} dispute the debt",
    "opt_out": "退订 {} want no more SMS",
    "move": "搬家 {} have moved",
}


Bring = Callable[[CardSystem], Awaitable[list[str]]]
"""Brings a portfolio in and returns what to tell; what was taken is noted at the card system."""


def reporting(people: Sequence[Customer]) -> Bring:
    """Return how the card system itself reports the customers' cards."""

    async def bring(card_system: CardSystem) -> list[str]:
        await card_system.report(people)
        cards = sum(len(each.accounts) for each in people)
        return [f"发卡系统 the card system reports [b]{cards:,} cards[/b] of {len(people):,} customers overdue"]

    return bring


class Campaign:
    """Runs a portfolio on a started stack."""

    def __init__(
        self,
        stage: Stage,
        people: Sequence[Customer],
        bring: Bring,
        client: Client,
        player: Player,
        teller: Teller,
    ) -> None:
        self.people = people
        self.player = player
        self._stage = stage
        self._bring = bring
        self._teller = teller
        self._by_id = {customer.customer_id: customer for customer in people}
        self.card_system = CardSystem(client, stage, people, player.now)
        self.observer = Observer(client, stage, people)
        self._office = Office(stage, client, player, self.card_system, self._by_id, _SAMPLE)

    async def run(self) -> None:
        """Play all days."""
        self._write_agenda()
        await self.player.play(_nothing)

    def verdicts(self, seen: Seen, cases: Cases) -> list[Verdict]:
        """What must hold beside what always must: each row graded, each debtor routed and reminded."""
        return ending.verdicts(self.card_system.taken, seen, cases, self._stage.days[-1])

    def ending(self, _seen: Seen, cases: Cases) -> list[RenderableType]:
        """What is shown of the people at the end."""
        manners = Counter(each.manner or "owes nothing" for each in self.people)
        return [ending.by_grade(cases.grades), ending.by_manner(manners, self._by_id, cases)]

    def counts(self, _seen: Seen, cases: Cases) -> dict[str, Any]:
        """What is counted beside what always is."""
        return ending.counts(self.card_system.taken, cases, self._stage.days[-1])

    def _write_agenda(self) -> None:
        agenda, at, days = self.player.agenda, self.player.at, self._stage.days
        self._office.write_agenda()
        agenda.add(at(days[0], _CONTACTS), "contacts", self._introduce)
        agenda.add(at(days[0], REPORT), "report", partial(self._bring, self.card_system))
        agenda.add(at(days[0], _MORNING), "scene grades", self._show_grades)
        for day in days:
            agenda.add(at(day, _EVENING), "scene evening", self._show_evening)
        acting: dict[When, list[tuple[Customer, Act]]] = {}
        for customer in self.people:
            for act in customer.acts:
                acting.setdefault(act.when, []).append((customer, act))
        for when, acts in acting.items():
            agenda.add(self._stage.instant(when), "debtors act", partial(self._act, acts))

    async def _introduce(self) -> list[str]:
        await self.card_system.introduce(self.people)
        return [f"发卡系统 the card system tells how {len(self.people):,} customers can be reached"]

    async def _act(self, acts: Sequence[tuple[Customer, Act]]) -> list[str]:
        # Of whom intake took no account, nobody knows: he is not there.
        known = ending.customers_of(self.card_system.taken)
        acts = [(customer, act) for customer, act in acts if customer.customer_id in known]
        did = await self.card_system.together(acts)
        for customer, act in acts:
            if act.do == "move":
                self._by_id[customer.customer_id] = moved(customer)
        return [_DID[what].format(f"[b]{count}[/b] debtors") for what, count in sorted(did.items())]

    async def _show_grades(self) -> list[str]:
        self._teller.show(ending.cases_by_grade(await self.observer.items()))
        return []

    async def _show_evening(self) -> list[str]:
        self._teller.show(ending.by_queue(await self.observer.items()))
        return []


async def _nothing() -> None:
    """Nothing is told after a beat: there are too many cases."""
