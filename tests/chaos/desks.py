"""The people of the bank: they take the next case, call, log, hand over, plan, go and report, whatever breaks.

Whoever gets no answer asks again under the same key, and now and then somebody presses the button twice.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, time, timedelta
from functools import partial
from random import Random
from typing import Any

from deploy.demo.client import Caller
from deploy.demo.story import Member
from tests.chaos.calling import Answer, Client
from tests.chaos.ledger import Kind, Ledger
from tests.chaos.rig import machine_now
from tests.chaos.story import CALLS, DOORS, STAFF, ZONE, caller

_PAUSE = (0.1, 0.6)
_TWICE = 0.2
_RECALL, _FAIL = 0.03, 0.25
_VISIT = timedelta(minutes=20)
_LEAD = timedelta(minutes=40)
_FIRST, _LAST = time(9, 0), time(19, 30)
_OPEN = frozenset({"accepted", "missed"})

Row = Mapping[str, Any]


class Desks:
    """All of them. `now`: the domain's present instant; `hand_over`: how often a call ends with a hand-over."""

    def __init__(
        self, client: Client, ledger: Ledger, seed: int, now: Callable[[], datetime], hand_over: float
    ) -> None:
        self._client = client
        self._ledger = ledger
        self._chance = Random(f"desks {seed}")
        self._now = now
        self._hands_over = hand_over
        self._keys = 0
        self._free_at = now()

    async def keep_staff(self) -> None:
        """The supervisor says who works here."""
        await asyncio.gather(*(self._keep(member) for member in STAFF))

    async def run(self) -> None:
        """Everybody works until cancelled."""
        phones = [Caller.of(member) for member in STAFF if member.role == "phone_agent"]
        fields = [member for member in STAFF if member.role == "field_agent"]
        await asyncio.gather(
            *(self._for_ever(partial(self._phone, who)) for who in phones),
            *(self._for_ever(partial(self._field, who)) for who in fields),
        )

    async def _for_ever(self, work: Callable[[], Any]) -> None:
        while True:
            await work()
            await asyncio.sleep(self._chance.uniform(*_PAUSE))

    async def _keep(self, member: Member) -> None:
        body = {
            "name": member.name,
            "role": member.role,
            "team": member.team,
            "email": member.email,
            "areas": list(member.areas),
            "insured_until": "2026-12-31" if member.role == "field_agent" else None,
            "recorder_id": member.recorder_id,
        }
        who = caller("supervisor")
        headers = {"idempotency-key": str(uuid.uuid4())}
        await self._client.call(who, "PUT", "assignment", f"/v1/staff/{member.staff_id}", body, headers)

    async def _phone(self, who: Caller) -> None:
        answer = await self._client.call(who, "POST", "assignment", "/v1/worklist/next", {})
        case = answer.body["case"] if answer.ok else None
        if case is None:
            return
        case_id, customer_id = case["case_id"], case["customer_id"]
        allowed = await self._client.get(who, "assignment", f"/v1/cases/{case_id}/may-call")
        if not allowed.ok:
            return
        if allowed.body["decision"] != "allowed":
            body = {"case_id": case_id, "reason": allowed.body["reason"]["zh"]}
            await self._client.call(who, "POST", "assignment", "/v1/worklist/release", body)
            return
        logged = await self._command(
            "contact", customer_id, who, "assignment", f"/v1/cases/{case_id}/contacts", self._contact(case)
        )
        if logged.ok and self._chance.random() < self._hands_over:
            await self._hand_over(who, case_id, customer_id)

    def _contact(self, case: Row) -> dict[str, Any]:
        line, party, outcome = self._chance.choice(CALLS)
        body: dict[str, Any] = {"channel": "CALL", "line": line, "party": party, "outcome": outcome}
        if outcome == "PTP":
            if case["promise"] is not None or not case["owed"]:
                return body | {"outcome": "INFO"}
            owed = case["owed"][0]
            pay_by = (self._now().astimezone(ZONE).date() + timedelta(days=self._chance.randint(0, 2))).isoformat()
            body["promise"] = {"currency": owed["currency"], "amount": max(1, owed["minor"] // 2), "pay_by": pay_by}
        return body

    async def _hand_over(self, who: Caller, case_id: str, customer_id: str) -> None:
        agent = self._chance.choice([member for member in STAFF if member.role == "field_agent"])
        row = {"case_id": case_id, "field_agent_id": agent.staff_id}
        answer = await self._command(
            "hand_over", customer_id, who, "assignment", "/v1/field-lists", {"hand_overs": [row]}
        )
        if answer.ok and self._chance.random() < _RECALL:
            supervisor = caller("supervisor")
            path = f"/v1/cases/{case_id}/recall"
            await self._command("recall", customer_id, supervisor, "assignment", path, {})

    async def _field(self, member: Member) -> None:
        who = Caller.of(member)
        visits = await self._client.pages(who, "fieldvisit", "/v1/visits?limit=200")
        mine = [visit for visit in visits if visit["field_agent_id"] == member.staff_id]
        await self._plan(who, member, [visit for visit in mine if self._is_to_plan(visit)])
        for visit in mine:
            if visit["state"] == "planned" and datetime.fromisoformat(visit["plan"]["starts_at"]) <= self._now():
                await self._go(who, visit, member)
            elif visit["state"] == "started":
                await self._finish(who, visit, member)

    def _is_to_plan(self, visit: Row) -> bool:
        if visit["state"] in _OPEN:
            return True
        return visit["state"] == "planned" and datetime.fromisoformat(visit["plan"]["ends_at"]) < self._now()

    async def _plan(self, who: Caller, member: Member, visits: Sequence[Row]) -> None:
        if not visits:
            return
        rows = [self._slot(visit, member) for visit in visits[:10]]
        await self._command("plan", visits[0]["customer_id"], who, "fieldvisit", "/v1/plans", {"visits": rows})

    def _slot(self, visit: Row, member: Member) -> dict[str, Any]:
        at = max(self._free_at, self._now() + _LEAD).astimezone(ZONE)
        if at.time() > _LAST or at.time() < _FIRST:
            day = at.date() + timedelta(days=int(at.time() > _LAST))
            at = datetime.combine(day, _FIRST, ZONE)
        self._free_at = at + _VISIT
        team = [each for each in STAFF if each.role == "field_agent"]
        companion = team[(team.index(member) + 1) % len(team)]
        return {
            "visit_id": visit["visit_id"],
            "starts_at": at.isoformat(),
            "ends_at": (at + _VISIT).isoformat(),
            "members": [member.staff_id, companion.staff_id],
            "recorder_id": member.recorder_id,
        }

    async def _go(self, who: Caller, visit: Row, member: Member) -> None:
        path = f"/v1/visits/{visit['visit_id']}"
        if self._chance.random() < _FAIL:
            await self._command(
                "fail", visit["customer_id"], who, "fieldvisit", f"{path}/fail", {"reason": "nobody_home"}
            )
        else:
            await self._command("start", visit["customer_id"], who, "fieldvisit", f"{path}/start", {})

    async def _finish(self, who: Caller, visit: Row, member: Member) -> None:
        party, outcome = self._chance.choice(DOORS)
        body = {"party": party, "outcome": outcome, "recorder_id": member.recorder_id}
        path = f"/v1/visits/{visit['visit_id']}/complete"
        await self._command("complete", visit["customer_id"], who, "fieldvisit", path, body)

    async def _command(
        self, kind: Kind, customer_id: str, who: Caller, service: str, path: str, body: dict[str, Any]
    ) -> Answer:
        """One command under a key of its own, sometimes sent twice at once; a mark in its words names its effect."""
        self._keys += 1
        mark = f"mark-{self._keys:06}"
        headers = {"idempotency-key": str(uuid.uuid4())}

        async def ask() -> Answer:
            intent = self._ledger.ask(kind, mark, customer_id, {"path": path}, machine_now())
            answer = await self._client.call(who, "POST", service, path, _marked(kind, body, mark), headers)
            self._ledger.answer(intent, _outcome(kind, answer), machine_now())
            return answer

        answers = await asyncio.gather(*(ask() for _ in range(1 + (self._chance.random() < _TWICE))))
        return next((answer for answer in answers if answer.ok), answers[0])


def _marked(kind: Kind, body: dict[str, Any], mark: str) -> dict[str, Any]:
    match kind:
        case "contact" | "complete" | "fail":
            return body | {"note": mark}
        case "recall":
            return body | {"reason": mark}
        case "hand_over":
            return {"hand_overs": [row | {"reason": mark} for row in body["hand_overs"]]}
        case _:
            return body


def _outcome(kind: Kind, answer: Answer) -> str:
    if not answer.ok:
        return f"refused:{answer.code}"
    if kind == "hand_over" and answer.body["items"][0]["outcome"] != "handed_over":
        return "refused:line"
    return "accepted"
