"""Who may look up what, and what a wrong question gets."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from shared.web.auth import Role
from tests.integration.notify.conftest import House, Person
from tests.integration.notify.test_reports import Hour, dismiss, tell
from tests.unit.notify.build import reminder_due
from tests.unit.notify.test_reports import COMPLETED


async def items(house: House, path: str, role: Role) -> list[dict[str, Any]]:
    answer = await house.get(path, role=role)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def test_addresses_are_masked_and_only_a_supervisor_reads_the_text_which_is_kept(person: Person) -> None:
    house = person.house
    await person.owes()
    await person.tell(reminder_due())
    (notice,) = await items(house, f"/v1/notices?customer_id={person.id}", Role.SUPERVISOR)
    assert notice["address"] == f"{person.mobile[:6]}****{person.mobile[-4:]}"
    assert notice["text"] is None
    path = f"/v1/notices/{notice['notice_id']}"
    assert "¥1,234.56" in (await house.get(path)).json()["text"]
    async with house.bus.reading() as connection:
        kept = await connection.fetch("SELECT staff_id FROM unmasked_read WHERE notice_id = $1", notice["notice_id"])
    assert [row["staff_id"] for row in kept] == ["sup-1"]


async def test_the_assistant_sees_reports_and_a_phone_collector_none(person: Person) -> None:
    house = person.house
    hour = Hour()
    house.clock.set(hour.ends)
    assistant = hour.person("A-9")
    await person.owes()
    await person.tell(reminder_due())
    await tell(house, assistant, hour.fact(COMPLETED))
    assert await items(house, f"/v1/notices?customer_id={person.id}", Role.ADMIN_ASSISTANT) == []
    (report,) = await items(house, "/v1/notices?staff_id=A-9", Role.ADMIN_ASSISTANT)
    assert report["purpose"] == "visit_done"
    assert (await house.get(f"/v1/notices/{report['notice_id']}", role=Role.PHONE_AGENT)).status_code == 403
    mine = await person.notice()
    assert (await house.get(f"/v1/notices/{mine['notice_id']}", role=Role.ADMIN_ASSISTANT)).status_code == 404
    assert (await house.get(f"/v1/notices?customer_id={person.id}", role=Role.PHONE_AGENT)).status_code == 403
    await dismiss(house, assistant)


async def test_pages_follow_each_other_without_loss_or_repetition(person: Person) -> None:
    house = person.house
    await person.owes()
    reminders = [structs.replace(person.mine(reminder_due()), reminder_id=f"R{n}-{person.id}") for n in range(5)]
    await house.tell(*reminders)
    await house.settled()
    seen: list[str] = []
    path = f"/v1/notices?customer_id={person.id}&limit=2"
    while path:
        answer = (await house.get(path)).json()
        seen += [each["notice_id"] for each in answer["items"]]
        path = answer["next"]
    assert len(seen) == len(set(seen)) == 5


@pytest.mark.parametrize("role", [Role.FIELD_AGENT, Role.OPERATOR, Role.UPSTREAM])
async def test_who_has_no_business_with_notices_sees_none(house: House, role: Role) -> None:
    assert (await house.get("/v1/notices?customer_id=C1", role=role)).status_code == 403


@pytest.mark.parametrize(
    "body",
    [
        {"customer_id": "C1", "channel": "fax"},
        {"customer_id": "C 1", "channel": "sms"},
        {"customer_id": "", "channel": "sms"},
        {"channel": "sms"},
        {"customer_id": "C1", "channel": "sms", "more": 1},
    ],
)
async def test_an_opt_out_that_is_none_is_refused_with_the_field_at_fault(house: House, body: dict[str, Any]) -> None:
    answer = await house.post("/v1/opt-outs", body)
    assert answer.status_code == 422
    assert answer.headers["content-type"].startswith("application/problem+json")


async def test_an_unknown_notice_is_not_found(house: House) -> None:
    assert (await house.get("/v1/notices/nothing")).status_code == 404
    assert (await house.get("/v1/notices?state=lost")).status_code == 422
