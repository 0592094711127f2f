"""Reports to colleagues, end to end: at least once under one id, at any hour, to whoever is meant."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

import pytest
from msgspec import structs

from shared.events.kinds import StaffRole
from shared.events.notices import NoticeSent
from shared.events.staff import StaffChanged
from tests.integration.notify.conftest import House, at_night, told, until
from tests.unit.notify.build import MORNING
from tests.unit.notify.test_reports import BREACHED, COMPLETED, LIST, MISSED, PLAN, WITHDRAWN

_numbers = itertools.count(1)


def staff(staff_id: str, role: StaffRole, team: str = "north", **changed: Any) -> StaffChanged:
    usual = StaffChanged(
        staff_id=staff_id,
        version=1,
        changed_at=MORNING - timedelta(days=1),
        name=staff_id,
        role=role,
        team=team,
        email=f"{staff_id.lower()}@bank.example",
    )
    return structs.replace(usual, **changed)


class Hour:
    """A test's own hour: colleagues begin in it and visits end in it, so that tests do not tell each other's people."""

    def __init__(self) -> None:
        self.number = next(_numbers)
        self.begins = MORNING + timedelta(hours=self.number)
        self.ends = self.begins + timedelta(minutes=30)
        self.visit_id = f"V-{self.number}"

    def person(self, staff_id: str, role: StaffRole = "admin_assistant", **changed: Any) -> StaffChanged:
        """A colleague who is there from the hour's beginning on."""
        return staff(staff_id, role, **{"changed_at": self.begins, **changed})

    def fact(self, fact: Any) -> Any:
        """A fact of a visit or a filing of this hour."""
        at = self.begins + timedelta(minutes=10)
        names = ("completed_at", "missed_at", "breached_at", "withdrawn_at", "filed_at", "visit_id")
        changed: dict[str, Any] = {name: at for name in names if hasattr(fact, name)}
        if "visit_id" in changed:
            changed["visit_id"] = self.visit_id
        return structs.replace(fact, **changed)


@pytest.fixture
def hour(house: House) -> Hour:
    """The test's own hour, at whose end the clock stands."""
    made = Hour()
    house.clock.set(made.ends)
    return made


async def mails(house: House, staff_id: str) -> list[dict[str, Any]]:
    return await house.caught("mail", f"{staff_id.lower()}@bank.example")


async def tell(house: House, *facts: Any) -> None:
    await house.tell(*facts)
    await house.settled()


async def dismiss(house: House, *people: StaffChanged) -> None:
    """Leave the next test alone."""
    await tell(house, *(structs.replace(each, version=each.version + 1, active=False) for each in people))


async def test_every_assistant_is_told_of_a_visit_done_not_done_and_late_at_any_hour(house: House, hour: Hour) -> None:
    people = [hour.person("A-1"), hour.person("A-2", team="south")]
    await tell(house, *people)
    at_night(house)
    await tell(house, *map(hour.fact, (COMPLETED, MISSED, BREACHED)))
    visit = hour.visit_id
    for each in people:
        subjects = sorted(mail["subject"] for mail in await mails(house, each.staff_id))
        assert subjects == sorted([f"外访已完成：{visit}", f"外访未完成：{visit}", f"外访逾时未完成：{visit}"])
    facts = [fact for _, fact in await told(house.stage, "A-1")]
    assert [type(fact) for fact in facts] == [NoticeSent] * 3
    await dismiss(house, *people)


async def test_filings_go_to_the_teams_supervisor_and_a_withdrawal_to_the_field_collector(
    house: House, hour: Hour
) -> None:
    people = [
        hour.person("S-1", "supervisor"),
        hour.person("S-2", "supervisor", team="south"),
        hour.person("F1", "field_agent", languages=("en",)),
    ]
    await tell(house, *people, *map(hour.fact, (LIST, PLAN, WITHDRAWN)))
    assert sorted(mail["subject"] for mail in await mails(house, "S-1")) == [
        "外访清单报备：2026年2月25日，P1",
        "外访计划报备：F1",
    ]
    assert await mails(house, "S-2") == []
    (withdrawn,) = await mails(house, "F1")
    assert withdrawn["subject"] == f"Do not go: visit {hour.visit_id} is withdrawn"
    assert "collection is stopped" in withdrawn["text"]
    await dismiss(house, *people)


async def test_a_report_is_repeated_under_one_id_until_the_server_takes_it(house: House, hour: Hour) -> None:
    person = hour.person("A-3")
    await tell(house, person)
    await house.behave("mail", drop_answer=[person.email])
    await house.tell(hour.fact(COMPLETED))

    async def arrived() -> bool:
        return len(await mails(house, "A-3")) > 0

    await until(arrived)
    await house.behave("mail")
    await house.settled()
    repeated = await mails(house, "A-3")
    assert len(repeated) >= 2
    assert len({mail["headers"]["Message-ID"] for mail in repeated}) == 1
    (notice,) = (await house.get("/v1/notices?staff_id=A-3")).json()["items"]
    assert notice["state"] == "sent"
    await dismiss(house, person)


async def test_a_mailbox_refused_for_good_stays_due_and_a_new_address_gets_the_report(house: House, hour: Hour) -> None:
    person = hour.person("A-4")
    await tell(house, person)
    await house.behave("mail", refuse={person.email: 550})
    await house.tell(hour.fact(COMPLETED))

    async def refused() -> bool:
        items = (await house.get("/v1/notices?staff_id=A-4")).json()["items"]
        return [(each["reason"] or {}).get("code") for each in items] == ["smtp_550"]

    await until(refused)
    moved = structs.replace(person, version=2, email="a-4-new@bank.example")
    await tell(house, moved)
    assert len(await mails(house, "A-4-new")) == 1
    await dismiss(house, moved)


async def test_an_assistant_who_is_known_only_after_the_visit_is_told_then(house: House, hour: Hour) -> None:
    await tell(house, hour.fact(COMPLETED))
    person = hour.person("A-5", changed_at=hour.begins + timedelta(minutes=20))
    await tell(house, person)
    assert [mail["subject"] for mail in await mails(house, "A-5")] == [f"外访已完成：{hour.visit_id}"]
    later = hour.person("A-6", changed_at=hour.begins + timedelta(minutes=25))
    there_before = hour.person("A-7", changed_at=hour.begins + timedelta(minutes=5))
    await tell(house, later, there_before)
    assert await mails(house, "A-6") == []
    assert len(await mails(house, "A-7")) == 1
    assert len(await mails(house, "A-5")) == 1
    await dismiss(house, person, later, there_before)


async def test_an_older_word_of_a_colleague_changes_nothing(house: House, hour: Hour) -> None:
    newer = hour.person("A-8", version=3, email="a-8-new@bank.example")
    await tell(house, newer, hour.person("A-8", version=2), hour.fact(COMPLETED))
    assert len(await mails(house, "A-8-new")) == 1
    await dismiss(house, newer)


async def test_a_colleague_who_has_left_is_not_written_to(house: House, hour: Hour) -> None:
    gone = hour.person("F-gone", "field_agent", active=False)
    await tell(house, gone, structs.replace(hour.fact(WITHDRAWN), field_agent_id="F-gone"))
    (notice,) = (await house.get("/v1/notices?staff_id=F-gone")).json()["items"]
    assert (notice["state"], notice["reason"]["code"]) == ("suppressed", "staff_inactive")
    assert await mails(house, "F-gone") == []


async def test_a_report_is_not_lost_with_the_only_reader_who_leaves_untold(house: House, hour: Hour) -> None:
    person = hour.person("A-9")
    await tell(house, person)
    await house.behave("mail", refuse={person.email: 550})
    await house.tell(hour.fact(COMPLETED))

    async def refused() -> bool:
        items = (await house.get("/v1/notices?staff_id=A-9")).json()["items"]
        return [(each["reason"] or {}).get("code") for each in items] == ["smtp_550"]

    await until(refused)
    await dismiss(house, person)
    await house.behave("mail")
    later = hour.person("A-10", changed_at=hour.begins + timedelta(minutes=25))
    await tell(house, later)
    assert [mail["subject"] for mail in await mails(house, "A-10")] == [f"外访已完成：{hour.visit_id}"]
    await dismiss(house, later)
