"""The field collectors: they file a plan for what was handed over, go two by two, and report what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from types import MappingProxyType
from typing import Any, Final

from deploy.demo.agenda import Agenda
from deploy.demo.card_system import CardSystem
from deploy.demo.client import Caller, Client
from deploy.demo.planning import Place, Slot, Visit, fit, in_order
from deploy.demo.story import Customer, DoorAnswer, Member, Stage

MET: Final[Mapping[DoorAnswer, tuple[str, str]]] = MappingProxyType(
    {
        "promises": ("SELF", "PTP"),
        "refuses": ("SELF", "REFUSE"),
        "pays": ("SELF", "PAID"),
        "relative": ("REL", "RELAY"),
    }
)
"""What is reported when somebody opened: party, outcome."""
NOT_DONE: Final[Mapping[DoorAnswer, dict[str, Any]]] = MappingProxyType(
    {
        "nobody_home": {"reason": "nobody_home"},
        "wrong_address": {"reason": "wrong_address"},
        "dog": {"reason": "unsafe", "incident": {"kind": "dog", "note": "院内犬只扑人，撤离"}},
    }
)
"""What is reported when the visit could not be made."""
_NOON = time(12, 0)
_LEAD, _LEAD_IN_THE_EVENING = timedelta(hours=1), timedelta(hours=12)
"""How long before a visit its plan is filed at least; what is filed in the evening is for the next days."""
_OPEN_STATES = frozenset({"accepted", "planned", "missed"})


@dataclass
class FieldTeam:
    """The collectors of the field side. `days`: on which they go out; `doors`: visits made or tried, by customer."""

    client: Client
    story: Stage
    people: Mapping[str, Customer]
    card_system: CardSystem
    agenda: Agenda
    now: Callable[[], datetime]
    days: Sequence[date]
    doors: dict[str, int] = field(default_factory=dict)
    slots: list[tuple[Slot, frozenset[str]]] = field(default_factory=list)
    """Everything that was ever planned, with who goes."""

    async def file_plans(self) -> list[str]:
        """Each collector plans the own visits that have no hours yet, or whose hours have passed."""
        told: list[str] = []
        for member in self.story.of_role("field_agent"):
            told += await self._file_plan(member)
        return told

    async def _file_plan(self, member: Member) -> list[str]:
        visits = await self.client.pages(Caller.of(member), "fieldvisit", "/v1/visits?limit=100")
        mine = in_order([visit for visit in visits if self._is_to_plan(visit, member)], self._places())
        if not mine:
            return []
        now = self.now()
        lead = _LEAD_IN_THE_EVENING if now.astimezone(self.story.zone_info).time() > _NOON else _LEAD
        pair = frozenset({member.staff_id, self._companion(member).staff_id})
        taken = [slot for slot, who in self.slots if slot.ends_at > now and who & pair]
        today = now.astimezone(self.story.zone_info).date()
        slots = fit(mine, now + lead, [day for day in self.days if day >= today], taken, self.story.zone_info)
        by_id = {visit["visit_id"]: visit for visit in mine}
        body = {"visits": [self._row(slot, by_id[slot.visit_id], member) for slot in slots]}
        answer = await self.client.post(Caller.of(member), "fieldvisit", "/v1/plans", body)
        told = [f"外访计划 {member.name} files a plan with the supervisor: {len(slots)} visits"]
        for slot, item in zip(slots, answer["items"], strict=True):
            visit = by_id[slot.visit_id]
            if item["outcome"] == "planned":
                self.slots.append((slot, pair))
                self._schedule(slot, visit, member)
            else:
                told.append(f"未列入计划 {self._customer(visit).label}: {item['problem'].get('detail')}")
        return told

    def _places(self) -> dict[str, Place]:
        return {
            each.customer_id: (each.latitude, each.longitude)
            for each in self.people.values()
            if each.latitude is not None and each.longitude is not None
        }

    def _is_to_plan(self, visit: Visit, member: Member) -> bool:
        if visit["field_agent_id"] != member.staff_id or visit["state"] not in _OPEN_STATES:
            return False
        return visit["state"] != "planned" or datetime.fromisoformat(visit["plan"]["ends_at"]) <= self.now()

    def _row(self, slot: Slot, visit: Visit, member: Member) -> dict[str, Any]:
        row: dict[str, Any] = {
            "visit_id": slot.visit_id,
            "starts_at": slot.starts_at.isoformat(),
            "ends_at": slot.ends_at.isoformat(),
            "members": [member.staff_id, self._companion(member).staff_id],
            "recorder_id": member.recorder_id,
            "hazard_acknowledged": self._customer(visit).hazard is not None,
        }
        return row if slot.outside is None else row | {"outside_window_reason": slot.outside}

    def _companion(self, member: Member) -> Member:
        """The next colleague in the list: nobody goes alone."""
        team = self.story.of_role("field_agent")
        return team[(team.index(member) + 1) % len(team)]

    def _schedule(self, slot: Slot, visit: Visit, member: Member) -> None:
        customer = self._customer(visit)
        if self._door(customer) == "breakdown":
            self.agenda.add(slot.starts_at, f"visit {customer.customer_id}", lambda: self._break_down(customer, member))
            return
        name = f"visit {customer.customer_id}"
        self.agenda.add(slot.starts_at, name, lambda: self._go(slot, customer, member))

    async def _break_down(self, customer: Customer, member: Member) -> list[str]:
        self.doors[customer.customer_id] = self.doors.get(customer.customer_id, 0) + 1
        return [f"外访 {member.name}'s car breaks down on the way to [b]{customer.label}[/b]; nobody is told"]

    async def _go(self, slot: Slot, customer: Customer, member: Member) -> list[str]:
        visit = await self._visit(slot, member)
        if visit["state"] != "planned" or visit["plan"]["starts_at"] is None:
            why = (visit["withdrawal"] or {}).get("detail", {}).get("en", visit["state"])
            return [f"外访 {member.name} does not go to {customer.label}: {why}"]
        answer = self._door(customer)
        if answer in NOT_DONE:
            return await self._fail(slot, customer, member, answer)
        await self.client.post(Caller.of(member), "fieldvisit", f"/v1/visits/{slot.visit_id}/start")
        self.agenda.add(
            slot.ends_at, f"visit {customer.customer_id}", lambda: self._finish(slot, customer, member, answer)
        )
        return [f"外访 {member.name} and {self._companion(member).name} are at the door of [b]{customer.label}[/b]"]

    async def _finish(self, slot: Slot, customer: Customer, member: Member, answer: DoorAnswer) -> list[str]:
        visit = await self._visit(slot, member)
        if visit["state"] == "withdrawn":
            return [f"外访 {member.name} leaves {customer.label}: {visit['withdrawal']['detail']['en']}"]
        party, outcome = MET[answer]
        body = {"party": party, "outcome": outcome, "recorder_id": member.recorder_id, "note": "全程录音录像"}
        done = await self.client.post(Caller.of(member), "fieldvisit", f"/v1/visits/{slot.visit_id}/complete", body)
        self.doors[customer.customer_id] = self.doors.get(customer.customer_id, 0) + 1
        when = "on time" if done["result"]["on_time"] else "late"
        told = [f"外访 {member.name} reports [b]{customer.label}[/b]: {party} {outcome}, {when}"]
        if answer == "pays":
            told += await self.card_system.pay(customer, self.card_system.owed(customer))
        return told

    async def _fail(self, slot: Slot, customer: Customer, member: Member, answer: DoorAnswer) -> list[str]:
        body = NOT_DONE[answer]
        await self.client.post(Caller.of(member), "fieldvisit", f"/v1/visits/{slot.visit_id}/fail", body)
        self.doors[customer.customer_id] = self.doors.get(customer.customer_id, 0) + 1
        why = str(body["reason"]).replace("_", " ")
        return [f"外访 {member.name} reports [b]{customer.label}[/b] as not done: {why}"]

    async def _visit(self, slot: Slot, member: Member) -> Visit:
        visit: Visit = await self.client.get(Caller.of(member), "fieldvisit", f"/v1/visits/{slot.visit_id}")
        return visit

    def _door(self, customer: Customer) -> DoorAnswer:
        return customer.door(self.doors.get(customer.customer_id, 0)).kind

    def _customer(self, visit: Visit) -> Customer:
        return self.people[visit["customer_id"]]
