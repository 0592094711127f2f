"""What the demo shows between the lines: tables, messages, a trace, and what the system itself did with the cases."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, time
from pathlib import Path
from typing import Any, Final

from deploy.demo import tables, trace_tree
from deploy.demo.agenda import Script
from deploy.demo.observing import Observer
from deploy.demo.phone_desk import PhoneDesk
from deploy.demo.story import Customer, Story, When
from deploy.demo.telling import Teller
from shared.telemetry.span_files import read_span_files

Row = Mapping[str, Any]

_HERO, _BROKEN, _LATE, _NIGHT = 0, 3, 5, 9
"""Places in the story: who pays after the first SMS, breaks a promise, is visited late, is reported at night."""


class Scenes:
    """Knows what to show when."""

    def __init__(
        self,
        story: Story,
        people: Mapping[str, Customer],
        observer: Observer,
        phone: PhoneDesk,
        teller: Teller,
        now: Callable[[], datetime],
        telemetry: Path,
    ) -> None:
        self._story = story
        self._people = people
        self._named = [customer for customer in people.values() if customer.story is not None]
        self._observer = observer
        self._phone = phone
        self._teller = teller
        self._now = now
        self._telemetry = telemetry
        self._team = {member.staff_id: member for member in story.staff}
        self._cases: dict[str, list[str]] = {}
        self.trace: tuple[trace_tree.Node, ...] = ()

    def program(self, trace_id: str) -> Iterator[tuple[datetime, str, Script]]:
        """When each scene is shown."""
        acts: Final = (
            (1, time(8, 50), "portfolio", self._portfolio),
            (1, time(8, 52), "messages", self._messages),
            (1, time(8, 54), "trace", lambda: self._trace(trace_id)),
            (2, time(8, 2), "night", self._after_the_night),
            (2, time(9, 20), "worklist", self._worklists),
            (2, time(18, 10), "filings", self._filings),
            (3, time(16, 2), "withdrawn", lambda: self._last_mail("F2", "what the field collector is told")),
            (4, time(9, 20), "broken", self._broken),
            (5, time(8, 2), "breach", lambda: self._last_mail("D1", "what the assistant is told")),
            (5, time(23, 35), "last evening", self._last_evening),
        )
        for day, at, name, scene in acts:
            yield self._story.instant(When(day=day, at=at)), name, scene

    async def chapter(self) -> None:
        """Tell what the system did with the ten named cases since this was last told."""
        told = await asyncio.gather(*(self._timelines(customer) for customer in self._named))
        self._teller.timelines(each for timelines in told for each in timelines)

    async def _timelines(self, customer: Customer) -> list[tuple[Customer, str, list[Row]]]:
        if not self._cases.get(customer.customer_id):
            self._cases[customer.customer_id] = await self._observer.case_ids(customer)
        case_ids = self._cases[customer.customer_id]
        timelines = await asyncio.gather(*map(self._observer.timeline, case_ids))
        return [(customer, case_id, timeline) for case_id, timeline in zip(case_ids, timelines, strict=True)]

    async def _portfolio(self) -> list[str]:
        newest: dict[str, Row] = {}
        for grade in await self._observer.grades():
            newest.setdefault(grade["account_id"], grade)
        self._teller.show(tables.portfolio(list(newest.values()), self._people))
        self._teller.show(tables.grades_by_bucket(list(newest.values())))
        return []

    async def _messages(self) -> list[str]:
        hero = self._named[_HERO]
        self._teller.show(tables.notices(await self._observer.notices()))
        texts, mails = await asyncio.gather(self._observer.messages("sms"), self._observer.messages("mail"))
        text = next(each for each in texts if each["to"].lstrip("+") == hero.phone.lstrip("+"))
        mail = next(each for each in mails if hero.email in each["to"])
        self._teller.message(f"短信 SMS to {hero.label}, as the SMS centre got it", text["text"])
        self._teller.message(f"邮件 {mail['subject']}, as the mail catcher got it", mail["text"])
        return []

    async def _after_the_night(self) -> list[str]:
        customer = self._named[_NIGHT]
        texts = await self._observer.messages("sms")
        text = next(each for each in texts if each["to"].lstrip("+") == customer.phone.lstrip("+"))
        self._teller.message(f"短信 SMS to {customer.label}, reported at night, in the morning", text["text"])
        return []

    async def _last_mail(self, staff_id: str, what: str) -> list[str]:
        member = self._team[staff_id]
        mail = [each for each in await self._observer.messages("mail") if member.email in each["to"]][-1]
        self._teller.message(f"邮件 {what} ({member.name})", f"{mail['subject']}\n\n{mail['text']}")
        return []

    async def _trace(self, trace_id: str) -> list[str]:
        self.trace = trace_tree.forest(read_span_files(self._telemetry), trace_id)
        title = f"追踪 One trace, from the report of {self._named[_HERO].label} to the SMS ({trace_id})"
        self._teller.show(trace_tree.draw(self.trace, title))
        return []

    async def _worklists(self) -> list[str]:
        member = self._story.of_role("phone_agent")[0]
        self._teller.show(tables.worklist(await self._phone.worklist(member), member, self._people))
        return []

    async def _filings(self) -> list[str]:
        today = self._now().astimezone(self._story.zone_info).date()
        lists, plans = await asyncio.gather(self._observer.field_lists(), self._observer.plans())
        filed = [each for each in lists if each["day"] == today.isoformat()]
        self._teller.show(tables.field_lists(filed, self._people, self._team, f"{today:%a %Y-%m-%d}"))
        customers = {row["case_id"]: self._people[row["customer_id"]] for each in lists for row in each["hand_overs"]}
        self._teller.show(tables.visit_plans(plans, customers, self._team, self._story.zone_info))
        return []

    async def _broken(self) -> list[str]:
        (case,) = await self._observer.cases_of(self._named[_BROKEN])
        member = self._team[case["collector"]]
        self._teller.show(tables.worklist(await self._phone.worklist(member), member, self._people))
        return []

    async def _last_evening(self) -> list[str]:
        zone = self._story.zone_info
        self._teller.show(tables.reports(await self._observer.reports(), self._people, self._team, zone))
        self._teller.show(tables.notices([*await self._observer.notices(), *await self._observer.staff_notices()]))
        late = self._named[_LATE]
        (case,) = await self._observer.cases_of(late)
        self._teller.show(tables.timeline(await self._observer.timeline(case["case_id"]), late, zone))
        return []
