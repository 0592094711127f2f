"""The story: the script's acts in their order, the office's, and what is shown in between."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import time
from functools import partial
from pathlib import Path
from typing import Any, Final

from rich.console import RenderableType

from deploy.demo import tables
from deploy.demo.card_system import CardSystem
from deploy.demo.client import Client
from deploy.demo.invariants import Seen, Verdict
from deploy.demo.observing import Cases, Observer
from deploy.demo.office import Office
from deploy.demo.playing import Player
from deploy.demo.scenes import Scenes
from deploy.demo.story import Customer, Story, When
from deploy.demo.telling import Teller

_FEW: Final = 3


class Director:
    """Runs the story on a started stack."""

    def __init__(
        self,
        story: Story,
        people: Sequence[Customer],
        client: Client,
        player: Player,
        teller: Teller,
        telemetry: Path,
    ) -> None:
        self.story = story
        self.people = people
        self.player = player
        by_id = {customer.customer_id: customer for customer in people}
        self.card_system = CardSystem(client, story, people, player.now)
        self.observer = Observer(client, story, people)
        self._office = Office(story, client, player, self.card_system, by_id)
        self._scenes = Scenes(story, by_id, self.observer, self._office.phone, teller, player.now, telemetry)
        self.trace_id = secrets.token_hex(16)

    async def run(self) -> None:
        """Play all days."""
        self._write_agenda()
        await self.player.play(self._scenes.chapter)

    def verdicts(self, _seen: Seen, _cases: Cases) -> list[Verdict]:
        """What must hold beside what always must."""
        return []

    def ending(self, _seen: Seen, _cases: Cases) -> list[RenderableType]:
        """What is shown of the people at the end."""
        return [tables.stories(self.people)]

    def counts(self, _seen: Seen, _cases: Cases) -> dict[str, Any]:
        """What is counted beside what always is."""
        return {}

    def _write_agenda(self) -> None:
        agenda, at, first = self.player.agenda, self.player.at, self.story.days[0]
        self._office.write_agenda()
        agenda.add(at(first, time(8, 15)), "contacts", self._introduce)
        for when in dict.fromkeys(customer.reported for customer in self.people):
            agenda.add(self.story.instant(when), "report", partial(self._report, when))
        agenda.add(at(self.story.days[1], time(8, 10)), "again", self._send_again)
        for customer in self.people:
            for act in customer.acts:
                agenda.add(
                    self.story.instant(act.when),
                    f"act {customer.customer_id}",
                    partial(self.card_system.act, customer, act),
                )
        for instant, name, scene in self._scenes.program(self.trace_id):
            agenda.add(instant, f"scene {name}", scene)

    async def _introduce(self) -> list[str]:
        await self.card_system.introduce(self.people)
        return [f"发卡系统 the card system tells how {len(self.people)} customers can be reached"]

    async def _report(self, when: When) -> list[str]:
        reported = [customer for customer in self.people if customer.reported == when]
        hero, others = self.people[0], [customer for customer in reported if customer is not self.people[0]]
        if hero in reported:
            await self.card_system.report_traced(hero, f"00-{self.trace_id}-{secrets.token_hex(8)}-01")
        await self.card_system.report(others)
        few = len(reported) < _FEW
        names = "、".join(customer.label for customer in reported) if few else f"{len(reported)} customers"
        return [f"发卡系统 the card system reports [b]{names}[/b] overdue"]

    async def _send_again(self) -> list[str]:
        """The card system repeats an event, and then by mistake gives its id to another one."""
        event = next(event for event in self.card_system.taken if "late_fee" in event["data"])
        same = await self.card_system.repeat(event)
        other = await self.card_system.repeat(event | {"data": event["data"] | {"late_fee": 1}})
        return [f"重复事件 the same event again: [b]{same}[/b]; its id with other content: [b]{other}[/b]"]
