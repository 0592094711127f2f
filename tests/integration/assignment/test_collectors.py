"""Who gets a case when there is nobody, when somebody comes, and when somebody leaves."""

from __future__ import annotations

from tests.integration.assignment.conftest import Phones, eventually
from tests.unit.assignment.given import at


async def test_a_case_waits_for_a_collector_and_finds_the_first_who_is_at_work(phones: Phones) -> None:
    """The one test of this module: it needs a service that has no phone collector at all."""
    case_id = await phones.opened()
    await phones.step_clock(at("02-25 09:15"))
    await phones.step_clock(at("02-27 09:00"))
    boss = phones.boss()
    waiting = (await phones.http.get(f"/v1/cases/{case_id}", headers=boss)).json()
    assert (waiting["collector"], waiting["unassigned_reason"]["code"]) == (None, "no_collector_available")
    assert "case_unassigned" in await phones.timeline(case_id)
    listed = (await phones.http.get("/v1/cases?unassigned=true", headers=boss)).json()["items"]
    assert [item["case_id"] for item in listed] == [case_id]

    await phones.hire("phone-away", leave=[{"first_day": "2026-02-27", "last_day": "2026-02-28"}])
    idle = await phones.bus.idle()
    assert idle.next_due == at("03-01 00:00")
    await phones.step_clock(at("03-01 00:00"))
    assert (await phones.case_of())["collector"] == "phone-away"

    await phones.hire("phone-new")
    body = {"name": "李雷", "role": "phone_agent", "team": phones.team, "email": "a@bank.example", "active": False}
    await phones.http.put("/v1/staff/phone-away", json=body, headers={**boss, "if-match": '"v1"'})

    async def moved() -> bool:
        return bool((await phones.case_of())["collector"] == "phone-new")

    await eventually(moved)
