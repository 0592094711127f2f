"""Looks at everything through HTTP: what the invariants are judged on, and the final counts."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any

from deploy.demo.client import Caller, Client, Refusal
from deploy.demo.clocking import Rest
from deploy.demo.events import Event
from deploy.demo.invariants import Arrival, Seen, Silence
from deploy.demo.story import Customer, Stage

Row = Mapping[str, Any]

_OWN_IDS = ("contact_id", "reminder_id", "notice_id", "promise_id", "hand_over_id")
"""What names an effect in a timeline: two entries of one kind with one of them are one effect twice."""
_BY_COLLECTOR = "field_list"
"""One a collector and day: how many there are hangs on whose the cases are, and that follows no order of the story."""
_NOT_COUNTED = frozenset({"case_aged"})
_FROM_THE_NETWORK = frozenset({"delivered", "undelivered"})
"""Receipts come when they like, and of an unconfirmed message none can be told."""


@dataclass(frozen=True)
class Cases:
    """Every case of the customers with its timeline, and every grading."""

    cases: Sequence[Row]
    timelines: Mapping[str, Sequence[Row]]
    grades: Sequence[Row]
    """Each with its `customer_id`."""

    def by_customer(self) -> dict[str, list[Row]]:
        """The timeline entries of all cases of each customer who has one."""
        found: dict[str, list[Row]] = {}
        for case in self.cases:
            found.setdefault(case["customer_id"], []).extend(self.timelines[case["case_id"]])
        return found


class Observer:
    """Looks as the supervisor, the assistant and the operator may."""

    def __init__(self, client: Client, story: Stage, people: Sequence[Customer]) -> None:
        self._client = client
        self._story = story
        self._people = people
        self._places = {each.customer_id: place for place, each in enumerate(people)}
        self.supervisor = Caller.of(story.of_role("supervisor")[0])
        self.assistant = Caller.of(story.of_role("admin_assistant")[0])

    async def notices(self) -> list[Row]:
        """Every notice to the customers, by customer."""
        sent = await self._client.pages(self.supervisor, "notify", "/v1/notices?limit=200")
        mine = [row for row in sent if row["customer_id"] in self._places]
        return sorted(mine, key=lambda row: self._places[row["customer_id"]])

    async def staff_notices(self) -> list[Row]:
        """Every report to a colleague."""
        return await self._each(f"/v1/notices?staff_id={each.staff_id}&limit=200" for each in self._story.staff)

    async def visits(self) -> list[Row]:
        """Every visit, as the assistant reads them."""
        return await self._client.pages(self.assistant, "fieldvisit", "/v1/visits?limit=200")

    async def reports(self) -> list[Row]:
        """What was reported to the assistant, in order."""
        return await self._client.pages(self.assistant, "fieldvisit", "/v1/reports?limit=200")

    async def field_lists(self) -> list[Row]:
        """The phone collectors' lists as filed with the supervisor, each whole, newest first."""
        return await self._whole("assignment", "/v1/field-lists", "list_id")

    async def plans(self) -> list[Row]:
        """The field collectors' plans as filed with the supervisor, each whole, newest first."""
        return await self._whole("fieldvisit", "/v1/plans", "plan_id")

    async def _whole(self, service: str, path: str, name: str) -> list[Row]:
        filed = await self._client.pages(self.supervisor, service, f"{path}?limit=100")
        whole = (self._client.get(self.supervisor, service, f"{path}/{each[name]}") for each in filed)
        return list(await asyncio.gather(*whole))

    async def grades(self) -> list[Row]:
        """All gradings of the customers, newest first a customer."""

        async def of(customer: Customer) -> list[Row]:
            path = f"/v1/customers/{customer.customer_id}/grades?limit=200"
            try:
                rows = await self._client.pages(self.supervisor, "scoring", path)
            except Refusal as refusal:
                if refusal.status != HTTPStatus.NOT_FOUND:
                    raise
                return []  # not reported yet
            return [{**row, "customer_id": customer.customer_id} for row in rows]

        return [row for rows in await asyncio.gather(*map(of, self._people)) for row in rows]

    async def cases_of(self, customer: Customer) -> list[Row]:
        """A customer's cases, whole."""
        return list(await asyncio.gather(*map(self.case, await self.case_ids(customer))))

    async def case_ids(self, customer: Customer) -> list[str]:
        """The ids of a customer's cases."""
        path = f"/v1/cases?customer_id={customer.customer_id}&limit=100"
        return [item["case_id"] for item in await self._client.pages(self.supervisor, "assignment", path)]

    async def case(self, case_id: str) -> Row:
        """One case."""
        return await self._client.get(self.supervisor, "assignment", f"/v1/cases/{case_id}")  # type: ignore[no-any-return]  # JSON

    async def timeline(self, case_id: str) -> list[Row]:
        """One case's timeline, from its opening on."""
        path = f"/v1/cases/{case_id}/timeline?limit=200"
        entries = await self._client.pages(self.supervisor, "assignment", path)
        return sorted(entries, key=lambda entry: entry["seq"])

    async def items(self) -> list[Row]:
        """Every customer's newest case as lists show it, by customer."""
        listed = await self._client.pages(self.supervisor, "assignment", "/v1/cases?limit=200")
        mine = [item for item in listed if item["customer_id"] in self._places]
        return sorted(mine, key=lambda item: self._places[item["customer_id"]])

    async def everything_of_cases(self) -> Cases:
        """All cases, timelines and gradings."""
        cases = await asyncio.gather(*(self.case(item["case_id"]) for item in await self.items()))
        lines = await asyncio.gather(*(self.timeline(case["case_id"]) for case in cases))
        ids = [case["case_id"] for case in cases]
        return Cases(cases, dict(zip(ids, lines, strict=True)), await self.grades())

    async def messages(self, catcher: str) -> list[Row]:
        """What the mail catcher or the SMS centre has received."""
        answer = await self._client.plain(f"{self._client.urls[catcher]}/messages")
        return answer.json()  # type: ignore[no-any-return]  # JSON

    async def see(
        self, end: datetime, taken: Sequence[Event], silences: Sequence[Silence], rests: Sequence[Rest], cases: Cases
    ) -> Seen:
        """Look at everything that the invariants speak of."""
        services = [rest.service for rest in rests]
        mails, texts = await asyncio.gather(self.messages("mail"), self.messages("sms"))
        staff_mails = {member.email for member in self._story.staff}
        return Seen(
            end=end,
            gaps=dict(zip(services, await asyncio.gather(*map(self._gaps, services)), strict=True)),
            unready=dict(zip(services, await asyncio.gather(*map(self._unready, services)), strict=True)),
            behind=[f"{rest.service}: {', '.join(rest.waiting_for)}" for rest in rests if not rest.idle],
            accepted=len(taken),
            missing_effects=list(missing_effects(taken, cases)),
            notices=await self.notices(),
            staff_notices=await self.staff_notices(),
            arrivals=arrivals(self._people, mails, texts),
            staff_mails=[notice_id_of(mail) for mail in mails if set(mail["to"]) & staff_mails],
            silences=silences,
            visits=await self.visits(),
            reports=await self.reports(),
            repeated_entries=repeated_entries(cases),
            dead_letters={rest.service: rest.dead_letters for rest in rests},
        )

    async def _each(self, paths: Iterable[str]) -> list[Row]:
        pages = await asyncio.gather(*(self._client.pages(self.supervisor, "notify", path) for path in paths))
        return [row for page in pages for row in page]

    async def _gaps(self, service: str) -> float:
        return gaps_in((await self._client.plain(f"{self._client.urls[service]}/metrics")).text)

    async def _unready(self, service: str) -> list[str]:
        answer = await self._client.plain(f"{self._client.urls[service]}/readyz")
        return [] if answer.is_success else [answer.text[:200]]


def gaps_in(exposition: str) -> float:
    """The gaps that a service's metrics count, over all topics."""
    lines = (line for line in exposition.splitlines() if line.startswith("arrears_gaps_total"))
    return sum(float(line.rsplit(" ", 1)[-1]) for line in lines)


def notice_id_of(mail: Row) -> str:
    """Under which notice's id a mail was sent."""
    headers = {name.lower(): value for name, value in mail["headers"].items()}
    return str(headers.get("x-notice-id", ""))


def arrivals(people: Sequence[Customer], mails: Sequence[Row], texts: Sequence[Row]) -> list[Arrival]:
    """The messages to the customers as the catchers received them, by the machine's clock."""
    by_phone = {each.phone.lstrip("+"): each.customer_id for each in people}
    by_email = {each.email: each.customer_id for each in people if each.email is not None}
    came = [
        Arrival(by_phone[text["to"].lstrip("+")], "sms", datetime.fromisoformat(text["at"]))
        for text in texts
        if text["to"].lstrip("+") in by_phone
    ]
    return came + [
        Arrival(by_email[to], "email", datetime.fromisoformat(mail["received_at"]), notice_id_of(mail))
        for mail in mails
        for to in mail["to"]
        if to in by_email
    ]


def missing_effects(taken: Sequence[Event], cases: Cases) -> Iterator[str]:
    """Name each accepted event of which nothing is found in the grades, cases and timelines."""
    graded = {grade["account_id"] for grade in cases.grades}
    known = {case["customer_id"] for case in cases.cases if case["customer"] is not None}
    with_case = {case["customer_id"] for case in cases.cases}
    told = {name: Counter(entry["kind"] for entry in entries) for name, entries in cases.by_customer().items()}
    cured = {case["customer_id"] for case in cases.cases if case["close_reason"] == "cured"}
    wanted: dict[str, Counter[str]] = {}
    for event in taken:
        customer_id, noun = event["data"]["customer_id"], event["type"].removeprefix("arrears.").removesuffix(".v1")
        match noun:
            case "account.overdue_reported" if event["data"]["account_id"] not in graded:
                yield event["id"]
            case "customer.contacts_changed" if customer_id in with_case - known:
                yield event["id"]
            case _ if noun in _ENTRY:
                wanted.setdefault(customer_id, Counter())[_ENTRY[noun]] += 1
            case "account.cured" if customer_id not in cured:
                yield event["id"]
    for customer_id, kinds in wanted.items():
        for kind, count in kinds.items():
            if told.get(customer_id, Counter())[kind] < count:
                yield f"{kind} of {customer_id}"


_ENTRY: Mapping[str, str] = {
    "payment.posted": "payment",
    "payment.reversed": "payment_reversed",
    "customer.stop_set": "stop_set",
    "customer.stop_lifted": "stop_lifted",
    "customer.opted_out": "opted_out",
}
"""The kind of timeline entry that each event makes."""


def repeated_entries(cases: Cases) -> list[str]:
    """Name each effect that stands twice in a timeline."""
    found = []
    for case_id, entries in cases.timelines.items():
        keys = Counter(
            (entry["kind"], entry["data"].get("state", ""), name, entry["data"][name])
            for entry in entries
            for name in _OWN_IDS
            if name in entry["data"]
        )
        found += [f"{case_id}: {'/'.join(key)}" for key, count in keys.items() if count > 1]
    return found


def final_counts(seen: Seen, cases: Cases) -> dict[str, Any]:
    """What any two runs of one seed must agree in; sent and unconfirmed are counted together."""
    entries = [entry for timeline in cases.timelines.values() for entry in timeline]
    return {
        "events": seen.accepted,
        "gradings": len(cases.grades),
        "cases": _count(f"{case['status']} {case['close_reason'] or ''}".strip() for case in cases.cases),
        "queues": _count(str(case["queue"]) for case in cases.cases if case["status"] == "open"),
        "timeline": _count(_entry_name(entry) for entry in entries if _counts(entry)),
        "notices": _count(_notice_name(notice) for notice in seen.notices),
        "reports to staff": _count(
            notice["purpose"] for notice in seen.staff_notices if notice["purpose"] != _BY_COLLECTOR
        ),
        "visits": _count(visit["state"] for visit in seen.visits),
        "reports to the assistant": _count(report["kind"] for report in seen.reports),
        "gaps": int(sum(seen.gaps.values())),
        "dead letters": sum(seen.dead_letters.values()),
    }


def _count(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


def _counts(entry: Row) -> bool:
    from_the_network = entry["kind"] == "notice" and entry["data"]["state"] in _FROM_THE_NETWORK
    return entry["kind"] not in _NOT_COUNTED and not from_the_network


def _entry_name(entry: Row) -> str:
    """Whether a notice was sent or unconfirmed makes no difference to the counts."""
    state = entry["data"].get("state") if entry["kind"] in ("notice", "visit") else None
    return entry["kind"] if state is None else f"{entry['kind']} {_left(state)}"


def _notice_name(notice: Row) -> str:
    reason = (notice["reason"] or {}).get("code") if notice["state"] == "suppressed" else None
    return " ".join(filter(None, (notice["channel"], _left(notice["state"]), reason)))


def _left(state: str) -> str:
    return "sent or unconfirmed" if state in ("sent", "unconfirmed") else state
