"""The phone collectors: they take what the worklist gives them, call, log in four fields, and file the daily list."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final

from deploy.demo.card_system import CardSystem, money
from deploy.demo.client import Caller, Client, Refusal
from deploy.demo.story import Call, CallAnswer, Customer, Member, Stage

Entry = Mapping[str, Any]

LOGGED: Final[Mapping[CallAnswer, tuple[str, str, str]]] = MappingProxyType(
    {
        "no_answer": ("NOAS", "UNK", "NONE"),
        "busy": ("BUSY", "UNK", "NONE"),
        "void_number": ("VOID", "UNK", "NONE"),
        "third_party": ("CONN", "UNREL", "RELAY"),
        "relative": ("CONN", "REL", "RELAY"),
        "promise": ("CONN", "SELF", "PTP"),
        "informed": ("CONN", "SELF", "INFO"),
        "callback": ("CONN", "SELF", "CALLBK"),
        "refuses": ("CONN", "SELF", "REFUSE"),
        "hardship": ("CONN", "SELF", "HARD"),
        "complains": ("CONN", "SELF", "COMP"),
    }
)
"""What a collector logs of each way in which a telephone answers: line, party, outcome."""

_SPOKEN: Final[Mapping[CallAnswer, str]] = MappingProxyType(
    {
        "no_answer": "nobody answers",
        "busy": "the line is busy",
        "void_number": "the number does not exist",
        "third_party": "a stranger answers, is told nothing, and is asked to pass a message",
        "relative": "a relative answers and will pass the message on",
        "promise": "promises to pay",
        "informed": "has the amount and the ways to pay explained",
        "callback": "asks to be called again tomorrow",
        "refuses": "will not pay",
        "hardship": "cannot pay and asks for help; pressure stops",
        "complains": "complains; pressure stops",
    }
)
_NOTES: Final[Mapping[CallAnswer, str]] = MappingProxyType({"complains": "客户投诉催收方式，要求书面答复"})
_PAYDAY = time(11, 0)
_TRIES = 2
"""So many calls in vain are enough."""


@dataclass(frozen=True)
class Sample:
    """How much of a large portfolio the collectors work: calls a session, hand-overs a day, cases they look through."""

    calls: int
    hand_overs: int
    cases: int


@dataclass
class PhoneDesk:
    """The collectors of the phone side. `later(at, name, customer, amount)` is told of payments that were promised.

    `sample`: they work so much of what they have; none: all of it.
    """

    client: Client
    story: Stage
    people: Mapping[str, Customer]
    card_system: CardSystem
    now: Callable[[], datetime]
    later: Callable[[datetime, str, Customer, int], None]
    sample: Sample | None = None
    calls: dict[str, int] = field(default_factory=dict)
    _resting: set[str] = field(default_factory=set)
    _session: Counter[str] = field(default_factory=Counter)
    _called: dict[str, list[str]] = field(default_factory=dict)
    """Which cases each collector has called, in order."""

    def begin_session(self) -> None:
        """Everybody sits down at the desk."""
        self._resting.clear()
        self._session.clear()

    async def worklist(self, member: Member) -> list[Entry]:
        """What one collector has before him, in the order in which it will come."""
        if self.sample is None:
            return await self.client.pages(Caller.of(member), "assignment", "/v1/worklist?limit=100")
        page = await self.client.get(Caller.of(member), "assignment", f"/v1/worklist?limit={self.sample.cases}")
        return list(page["items"])

    async def round(self) -> tuple[list[str], bool]:
        """Each collector works one case; what to tell, and whether anybody had one."""
        agents = [member for member in self.story.of_role("phone_agent") if member.staff_id not in self._resting]
        told = await asyncio.gather(*(self._work_one(member) for member in agents))
        return [line for line in told if line], any(told)

    async def file_lists(self) -> list[str]:
        """Each collector compiles the list of own cases that need a visit and files it; what to tell."""
        filed = await asyncio.gather(*(self._file_list(member) for member in self.story.of_role("phone_agent")))
        return [line for lines in filed for line in lines]

    async def _work_one(self, member: Member) -> str | None:
        who = Caller.of(member)
        given = (await self.client.post(who, "assignment", "/v1/worklist/next"))["case"]
        if given is None:
            self._resting.add(member.staff_id)
            return None
        case_id, customer = given["case_id"], self.people[given["customer_id"]]
        allowed = await self.client.get(who, "assignment", f"/v1/cases/{case_id}/may-call")
        if allowed["decision"] != "allowed":
            self._resting.add(member.staff_id)
            body = {"case_id": case_id, "reason": allowed["reason"]["zh"]}
            await self.client.post(who, "assignment", "/v1/worklist/release", body)
            return f"不得拨打 {member.name} may not call {customer.label}: {allowed['reason']['en']}"
        await self.client.get(who, "assignment", f"/v1/cases/{case_id}/contact-details")
        return await self._call(member, case_id, customer, given)

    async def _call(self, member: Member, case_id: str, customer: Customer, given: Entry) -> str:
        number = self.calls.get(customer.customer_id, 0)
        answer = customer.call(number)
        if answer.kind == "promise" and given["promise"] is not None:
            answer = Call(kind="informed")  # one promise at a time: the open one is talked about
        line, party, outcome = LOGGED[answer.kind]
        body: dict[str, Any] = {"channel": "CALL", "line": line, "party": party, "outcome": outcome}
        if answer.kind in _NOTES:
            body["note"] = _NOTES[answer.kind]
        if answer.kind == "promise":
            body["promise"] = self._promise(customer, answer, given)
        await self.client.post(Caller.of(member), "assignment", f"/v1/cases/{case_id}/contacts", body)
        self.calls[customer.customer_id] = number + 1
        self._called.setdefault(member.staff_id, []).append(case_id)
        self._session[member.staff_id] += 1
        if self.sample is not None and self._session[member.staff_id] >= self.sample.calls:
            self._resting.add(member.staff_id)
        promised = f" {money(body['promise']['amount'])} by {body['promise']['pay_by']}" if "promise" in body else ""
        return f"电催 {member.name} → [b]{customer.label}[/b]: {_SPOKEN[answer.kind]}{promised}"

    def _promise(self, customer: Customer, answer: Call, given: Entry) -> dict[str, Any]:
        owed = given["owed"][0]["minor"]
        amount = max(1, round(owed * answer.share))
        pay_by = self.now().astimezone(self.story.zone_info).date() + timedelta(days=answer.days)
        if answer.keeps:
            at = datetime.combine(pay_by, _PAYDAY, self.story.zone_info)
            self.later(at, f"promise of {customer.customer_id}", customer, amount)
        return {"currency": given["owed"][0]["currency"], "amount": amount, "pay_by": pay_by.isoformat()}

    async def _file_list(self, member: Member) -> list[str]:
        who = Caller.of(member)
        cases = await self._looked_through(member)
        timelines = await asyncio.gather(*(self._timeline(who, case["case_id"]) for case in cases))
        pairs = zip(cases, timelines, strict=True)
        chosen = [case for case, entries in pairs if needs_a_visit(case, visited=visited(entries))]
        if self.sample is not None:
            chosen = chosen[: self.sample.hand_overs]
        if not chosen:
            return []
        rows = [
            {
                "case_id": case["case_id"],
                "field_agent_id": self._field_agent(self.people[case["customer_id"]]).staff_id,
                "reason": why_a_visit(case),
            }
            for case in chosen
        ]
        answer = await self.client.post(who, "assignment", "/v1/field-lists", {"hand_overs": rows})
        return self._filed(member, answer, chosen)

    async def _looked_through(self, member: Member) -> list[Entry]:
        """The cases that one collector looks through for the list: those on the worklist, and those called before."""
        ids = [item["case_id"] for item in await self.worklist(member)]
        if self.sample is not None:
            ids += self._called.get(member.staff_id, [])
        found = await asyncio.gather(*(self._own_case(member, case_id) for case_id in dict.fromkeys(ids)))
        return [case for case in found if case is not None]

    async def _own_case(self, member: Member, case_id: str) -> Entry | None:
        try:
            case: Entry = await self.client.get(Caller.of(member), "assignment", f"/v1/cases/{case_id}")
        except Refusal as refusal:
            if refusal.status != HTTPStatus.NOT_FOUND:
                raise
            return None  # a colleague has it now
        return case if case["status"] == "open" else None

    async def _timeline(self, who: Caller, case_id: str) -> list[Entry]:
        return await self.client.pages(who, "assignment", f"/v1/cases/{case_id}/timeline?limit=200")

    def _filed(self, member: Member, answer: Entry, cases: Sequence[Entry]) -> list[str]:
        pairs = list(zip(answer["items"], cases, strict=True))
        refused = [(item["problem"], case) for item, case in pairs if item["outcome"] != "handed_over"]
        told = [f"外访清单 {member.name} files the day's list with the supervisor: {len(pairs) - len(refused)} cases"]
        return told + [
            f"未移交 {self.people[case['customer_id']].label}: {problem['detail']}" for problem, case in refused
        ]

    def _field_agent(self, customer: Customer) -> Member:
        return next(member for member in self.story.of_role("field_agent") if customer.district in member.areas)


def needs_a_visit(case: Entry, *, visited: bool) -> bool:
    """Whether a collector puts the case on the daily list: the plan says visit, or the telephone leads nowhere.

    Who has been visited is worked by telephone again, until the plan itself says visit.
    """
    if case["promise"] is not None or case["hand_over"] is not None or case["stops"] or case["queue"] is None:
        return False
    in_vain = case["tries"] >= _TRIES and case["heard_at"] is None
    return bool(case["queue"] == "field" or (not visited and (case["broken_promises"] > 0 or in_vain)))


def visited(timeline: Sequence[Entry]) -> bool:
    """Whether a visit to the customer was made in this case."""
    return any(entry["kind"] == "visit" and entry["data"].get("state") == "completed" for entry in timeline)


def why_a_visit(case: Entry) -> str:
    """The collector's reason, in Chinese, as it goes into the list."""
    if case["broken_promises"] > 0:
        return "承诺未履行，需上门核实"
    return "电话多次无人接听，需上门核实" if case["heard_at"] is None else "电话沟通无果，需上门面谈"
