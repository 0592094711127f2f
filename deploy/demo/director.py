"""The whole run: the script's acts and the clock's steps in turn, until the last evening; then the reckoning."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Final

from deploy.demo.agenda import Agenda
from deploy.demo.card_system import CardSystem
from deploy.demo.client import Client, Refusal
from deploy.demo.clocking import Rest, Stepper, earliest_due
from deploy.demo.field_team import FieldTeam
from deploy.demo.killing import Killer
from deploy.demo.observing import Observer
from deploy.demo.phone_desk import PhoneDesk
from deploy.demo.scenes import Scenes
from deploy.demo.story import Customer, Member, Story, When
from deploy.demo.telling import Teller
from shared.events.kinds import StaffRole
from shared.rules.calendar import working_calendar

CALL_MINUTES: Final = 5
_SESSIONS: Final = (time(9, 30), time(14, 30))
_LISTS, _PLANS, _REPLAN = time(17, 0), time(18, 0), time(8, 30)
_LAST: Final = time(23, 45)
_COLLECTORS: Final[tuple[StaffRole, ...]] = ("phone_agent", "field_agent")
_FEW: Final = 3
_INSURED_UNTIL: Final = "2026-12-31"


class Director:
    """Runs the story on a started stack."""

    def __init__(
        self,
        story: Story,
        people: Sequence[Customer],
        client: Client,
        stepper: Stepper,
        teller: Teller,
        killer: Killer,
        telemetry: Path,
    ) -> None:
        self.story = story
        self.people = people
        self._client = client
        self.stepper = stepper
        self._teller = teller
        self._killer = killer
        self._agenda = Agenda()
        by_id = {customer.customer_id: customer for customer in people}
        self.card_system = CardSystem(client, story, people, self._now)
        self.observer = Observer(client, story, people)
        self._phone = PhoneDesk(client, story, by_id, self.card_system, self._now, self._pay_later)
        self._field = FieldTeam(client, story, by_id, self.card_system, self._agenda, self._now, self._visit_days())
        self._scenes = Scenes(story, by_id, self.observer, self._phone, teller, self._now, telemetry)
        self.trace_id = secrets.token_hex(16)
        self.rests: Sequence[Rest] = ()

    async def run(self) -> None:
        """Play all days."""
        self._write_agenda()
        end = datetime.combine(self.story.days[-1], _LAST, self.story.zone_info)
        self.rests = await self.stepper.settle(self._client)
        while True:
            following = [instant for instant in (earliest_due(self.rests), self._agenda.next_at()) if instant]
            target = min(following, default=end)
            if target > end:
                break
            await self._beat(target)
        await self._killer.finish()
        self.stepper.move(end)
        self.rests = await self.stepper.settle(self._client)

    async def _beat(self, target: datetime) -> None:
        """Step to an instant, let the services do what is due, then act, and let them do what follows from it."""
        victim = self._killer.beat()
        if victim is not None:
            self._teller.line(target, f"[red]kill -9 {victim}[/red]")
        self.stepper.move(target)
        if _is_due(self.rests, target):  # else nobody notices that the clock moved
            self.rests = await self.stepper.settle(self._client)
        acts = self._agenda.take(self._now())
        if acts:
            told = await asyncio.gather(*(act.do() for act in acts))
            self._teller.lines(self._now(), (line for lines in told for line in lines))
            self.rests = await self.stepper.settle(self._client)
        await self._scenes.chapter()

    def _now(self) -> datetime:
        return self.stepper.now

    def _at(self, day: date, at: time) -> datetime:
        return datetime.combine(day, at, self.story.zone_info)

    def _visit_days(self) -> list[date]:
        """The story's days and some more, since what is handed over on the last is planned for later."""
        calendar, days = working_calendar(), list(self.story.days)
        return days + [calendar.add_working_days(days[-1], ahead) for ahead in (1, 2, 3)]

    def _write_agenda(self) -> None:
        first = self.story.days[0]
        self._agenda.add(self._at(first, time(8, 5)), "staff", self._keep_staff)
        self._agenda.add(self._at(first, time(8, 15)), "contacts", self._introduce)
        for when in dict.fromkeys(customer.reported for customer in self.people):
            self._agenda.add(self.story.instant(when), "report", partial(self._report, when))
        self._agenda.add(self._at(self.story.days[1], time(8, 10)), "again", self._send_again)
        for customer in self.people:
            for act in customer.acts:
                self._agenda.add(
                    self.story.instant(act.when),
                    f"act {customer.customer_id}",
                    partial(self.card_system.act, customer, act),
                )
        for number, day in enumerate(self.story.days):
            self._write_day(number, day)
        for at, name, scene in self._scenes.program(self.trace_id):
            self._agenda.add(at, f"scene {name}", scene)

    def _write_day(self, number: int, day: date) -> None:
        if number:
            self._agenda.add(self._at(day, _REPLAN), "plans", self._field.file_plans)
        for session in _SESSIONS:
            self._agenda.add(self._at(day, session), "phones", self._begin_session)
        self._agenda.add(self._at(day, _LISTS), "lists", self._phone.file_lists)
        self._agenda.add(self._at(day, _PLANS), "plans", self._field.file_plans)

    async def _keep_staff(self) -> list[str]:
        await asyncio.gather(*(self._keep(member) for member in self.story.staff))
        phone, field = (len(self.story.of_role(role)) for role in _COLLECTORS)
        people = f"{phone} phone and {field} field collectors, an assistant"
        return [f"主管 the supervisor keeps the staff: {people}"]

    async def _keep(self, member: Member) -> None:
        body = {
            "name": member.name,
            "role": member.role,
            "team": member.team,
            "email": member.email,
            "areas": list(member.areas),
            "languages": ["zh"],
            "insured_until": _INSURED_UNTIL if member.role == "field_agent" else None,
            "recorder_id": member.recorder_id,
        }
        try:
            await self._client.call(self.observer.supervisor, "PUT", "assignment", f"/v1/staff/{member.staff_id}", body)
        except Refusal as refusal:
            if refusal.status != HTTPStatus.PRECONDITION_REQUIRED:  # an earlier try, whose answer was lost, has done it
                raise

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

    async def _begin_session(self) -> list[str]:
        self._phone.begin_session()
        return await self._call_round()

    async def _call_round(self) -> list[str]:
        told, busy = await self._phone.round()
        if busy:
            self._agenda.add(self._now() + timedelta(minutes=CALL_MINUTES), "phones", self._call_round)
        return told

    def _pay_later(self, at: datetime, name: str, customer: Customer, amount: int) -> None:
        self._agenda.add(at, name, partial(self.card_system.pay, customer, amount))


def _is_due(rests: Sequence[Rest], instant: datetime) -> bool:
    due = earliest_due(rests)
    return due is not None and due <= instant
