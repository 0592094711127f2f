"""Staff over HTTP: kept by a supervisor, told as facts."""

from __future__ import annotations

from datetime import date

from shared.events.registry import STAFF
from shared.events.staff import StaffChanged
from shared.web.auth import Role
from tests.integration.assignment.conftest import Phones


async def test_a_colleague_is_created_changed_and_told(phones: Phones) -> None:
    created = await phones.hire(leave=[{"first_day": "2026-02-26", "last_day": "2026-02-27"}], recorder_id="R1")
    assert (created.status_code, created.headers["etag"]) == (201, '"v1"')
    body = {key: value for key, value in created.json().items() if key not in {"staff_id", "version", "changed_at"}}
    changed = await phones.http.put(
        f"/v1/staff/{phones.agent}",
        json={**body, "active": False},
        headers={**phones.boss(), "if-match": '"v1"'},
    )
    assert (changed.status_code, changed.json()["version"]) == (200, 2)
    first, second = await phones.told(phones.agent, STAFF)
    assert isinstance(first, StaffChanged)
    assert isinstance(second, StaffChanged)
    assert (first.version, first.leave[0].last_day, first.recorder_id) == (1, date(2026, 2, 27), "R1")
    assert (second.version, second.active) == (2, False)


async def test_the_same_record_again_is_no_change_and_no_fact(phones: Phones) -> None:
    body = {"name": "李雷", "role": "phone_agent", "team": phones.team, "email": "a@bank.example"}
    await phones.hire()
    again = await phones.http.put(f"/v1/staff/{phones.agent}", json=body, headers={**phones.boss(), "if-match": '"v1"'})
    assert (again.status_code, again.json()["version"]) == (200, 1)
    assert len(await phones.told(phones.agent, STAFF)) == 1


async def test_a_change_needs_the_version_that_was_seen(phones: Phones) -> None:
    await phones.hire()
    assert (await phones.hire()).status_code == 428
    body = {"name": "韩梅", "role": "phone_agent", "team": phones.team, "email": "a@bank.example"}
    stale = await phones.http.put(f"/v1/staff/{phones.agent}", json=body, headers={**phones.boss(), "if-match": '"v7"'})
    assert stale.status_code == 412


async def test_capacity_and_skills_are_kept_shown_and_told(phones: Phones) -> None:
    kept = await phones.hire(capacity=120, skills=["hardship"], languages=["zh", "en"])
    assert (kept.json()["capacity"], kept.json()["skills"]) == (120, ["hardship"])
    (told,) = await phones.told(phones.agent, STAFF)
    assert isinstance(told, StaffChanged)
    assert (told.capacity, told.skills, told.languages) == (120, ("hardship",), ("zh", "en"))
    for wrong in (-1, 10_001, "12", 1.5):
        answer = await phones.hire(f"{phones.agent}-x", capacity=wrong)
        assert [error["field"] for error in answer.json()["errors"]] == ["capacity"]


async def test_the_workload_shows_the_own_team_s_collectors_beside_their_capacity(phones: Phones) -> None:
    await phones.by_phone()
    await phones.hire(f"{phones.agent}-2", capacity=0)
    rows = (await phones.http.get("/v1/workload", headers=phones.boss())).json()["items"]
    assert [(row["staff_id"], row["open_cases"], row["capacity"]) for row in rows] == [
        (phones.agent, 1, 200),
        (f"{phones.agent}-2", 0, 0),
    ]
    assert (await phones.http.get("/v1/workload", headers=phones.headers())).status_code == 403


async def test_another_team_s_people_do_not_exist(phones: Phones) -> None:
    await phones.hire()
    other = phones.boss(team="elsewhere")
    assert (await phones.http.get(f"/v1/staff/{phones.agent}", headers=other)).status_code == 404
    body = {"name": "李雷", "role": "phone_agent", "team": "elsewhere", "email": "a@bank.example"}
    taken = await phones.http.put(f"/v1/staff/{phones.agent}", json=body, headers={**other, "if-match": '"v1"'})
    assert taken.status_code == 404


async def test_a_phone_collector_reads_colleagues_without_their_addresses_and_keeps_nobody(phones: Phones) -> None:
    await phones.hire()
    await phones.hire(phones.field_agent, "field_agent", areas=["浦东新区"])
    answer = await phones.http.get("/v1/staff?role=field_agent", headers=phones.headers())
    (shown,) = answer.json()["items"]
    assert (shown["staff_id"], shown["areas"], shown["email"]) == (phones.field_agent, ["浦东新区"], None)
    refused = await phones.http.put(f"/v1/staff/{phones.agent}", json={}, headers=phones.headers())
    assert refused.status_code == 403


async def test_a_phone_collector_without_a_team_has_no_colleagues(phones: Phones) -> None:
    await phones.hire()
    loner = phones.headers(team=None)
    assert (await phones.http.get("/v1/staff", headers=loner)).json()["items"] == []
    assert (await phones.http.get(f"/v1/staff/{phones.agent}", headers=loner)).status_code == 404


async def test_pages_go_on_where_the_last_one_ended(phones: Phones) -> None:
    names = [f"{phones.agent}-{letter}" for letter in "abc"]
    for name in names:
        await phones.hire(name)
    first = (await phones.http.get("/v1/staff?limit=2", headers=phones.boss())).json()
    second = (await phones.http.get(first["next"], headers=phones.boss())).json()
    assert [each["staff_id"] for each in first["items"] + second["items"]] == names
    assert second["next"] is None


async def test_wrong_fields_are_named_with_their_remedy(phones: Phones) -> None:
    answer = await phones.hire(email="nobody", leave=[{"first_day": "2026-02-27", "last_day": "2026-02-26"}], pay=1)
    assert answer.status_code == 422
    assert {error["field"] for error in answer.json()["errors"]} == {"email", "leave[0]", "pay"}


async def test_an_operator_sees_no_cases_and_no_staff(phones: Phones) -> None:
    operator = phones.headers("op", Role.OPERATOR)
    for path in ("/v1/staff", "/v1/cases", "/v1/worklist", "/v1/field-lists"):
        assert (await phones.http.get(path, headers=operator)).status_code == 403
