"""The colleagues at their desks: kept by the supervisor, and what they do at which hour of every working day."""

from __future__ import annotations

import asyncio
from datetime import date, datetime, time, timedelta
from functools import partial
from http import HTTPStatus
from typing import Final

from deploy.demo.card_system import CardSystem
from deploy.demo.client import Caller, Client, Refusal
from deploy.demo.field_team import FieldTeam
from deploy.demo.phone_desk import PhoneDesk, Sample
from deploy.demo.playing import Player
from deploy.demo.story import Customer, Member, Stage
from shared.events.kinds import StaffRole
from shared.rules.calendar import working_calendar

_CALL_MINUTES: Final = 5
_SESSIONS: Final = (time(9, 30), time(14, 30))
_STAFF, _LISTS, _PLANS, _REPLAN = time(8, 5), time(17, 0), time(18, 0), time(8, 30)
_COLLECTORS: Final[tuple[StaffRole, ...]] = ("phone_agent", "field_agent")
_INSURED_UNTIL: Final = "2026-12-31"


class Office:
    """Phone desk and field team of one stage. `people`: the customers by id; who moves is changed there."""

    def __init__(
        self,
        stage: Stage,
        client: Client,
        player: Player,
        card_system: CardSystem,
        people: dict[str, Customer],
        sample: Sample | None = None,
    ) -> None:
        self._stage = stage
        self._client = client
        self._player = player
        self._card_system = card_system
        self._supervisor = Caller.of(stage.of_role("supervisor")[0])
        self.phone = PhoneDesk(client, stage, people, card_system, player.now, self._pay_later, sample)
        self.field = FieldTeam(client, stage, people, card_system, player.agenda, player.now, self._visit_days())

    def write_agenda(self) -> None:
        """Note what the colleagues do on all days."""
        agenda, at = self._player.agenda, self._player.at
        agenda.add(at(self._stage.days[0], _STAFF), "staff", self._keep_staff)
        for number, day in enumerate(self._stage.days):
            if number:
                agenda.add(at(day, _REPLAN), "plans", self.field.file_plans)
            for session in _SESSIONS:
                agenda.add(at(day, session), "phones", self._begin_session)
            agenda.add(at(day, _LISTS), "lists", self.phone.file_lists)
            agenda.add(at(day, _PLANS), "plans", self.field.file_plans)

    def _visit_days(self) -> list[date]:
        """The stage's days and some more, since what is handed over on the last is planned for later."""
        calendar, days = working_calendar(), list(self._stage.days)
        return days + [calendar.add_working_days(days[-1], ahead) for ahead in (1, 2, 3)]

    async def _keep_staff(self) -> list[str]:
        await asyncio.gather(*(self._keep(member) for member in self._stage.staff))
        phone, field = (len(self._stage.of_role(role)) for role in _COLLECTORS)
        people = f"{phone} phone and {field} field collectors, an assistant"
        return [f"主管 the supervisor keeps the staff: {people}"]

    async def _keep(self, member: Member) -> None:
        body = {
            "name": member.name,
            "role": member.role,
            "team": member.team,
            "email": member.email,
            "areas": list(member.areas),
            "languages": list(member.languages),
            "skills": list(member.skills),
            "insured_until": _INSURED_UNTIL if member.role == "field_agent" else None,
            "recorder_id": member.recorder_id,
        }
        try:
            await self._client.call(self._supervisor, "PUT", "assignment", f"/v1/staff/{member.staff_id}", body)
        except Refusal as refusal:
            if refusal.status != HTTPStatus.PRECONDITION_REQUIRED:  # an earlier try, whose answer was lost, has done it
                raise

    async def _begin_session(self) -> list[str]:
        self.phone.begin_session()
        return await self._call_round()

    async def _call_round(self) -> list[str]:
        told, busy = await self.phone.round()
        if busy:
            self._player.agenda.add(self._player.now() + timedelta(minutes=_CALL_MINUTES), "phones", self._call_round)
        return told

    def _pay_later(self, at: datetime, name: str, customer: Customer, amount: int) -> None:
        self._player.agenda.add(at, name, partial(self._card_system.pay, customer, amount))
