"""The worklist: ranked with reasons, one case on each desk."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.integration.assignment.conftest import FRIDAY, Phones
from tests.unit.assignment.given import at, stop


async def take_next(phones: Phones, agent: str | None = None) -> dict[str, Any]:
    answer = await phones.http.post("/v1/worklist/next", json={}, headers=phones.headers(agent))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_the_weightiest_case_comes_first_and_says_why(phones: Phones) -> None:
    await phones.by_phone(name="C1", grade="A")
    await phones.by_phone(name="C2", grade="E")
    await phones.by_phone(name="C3", grade="E", amount=900_000)
    items = (await phones.http.get("/v1/worklist", headers=phones.headers())).json()["items"]
    assert [item["customer_id"] for item in items] == [phones.customer(name) for name in ("C3", "C2", "C1")]
    assert [reason["code"] for reason in items[0]["reasons"]] == ["never_contacted", "grade", "bucket", "amount"]
    assert items[0]["reasons"][3] == {"code": "amount", "zh": "欠款 ¥9,000.00", "en": "Owes CNY 9,000.00"}


async def test_pages_of_the_worklist_hold_each_case_once(phones: Phones) -> None:
    for name in ("C1", "C2", "C3", "C4", "C5"):
        await phones.by_phone(name=name)
    seen: list[str] = []
    address: str | None = "/v1/worklist?limit=2"
    while address:
        answer = (await phones.http.get(address, headers=phones.headers())).json()
        seen += [item["customer_id"] for item in answer["items"]]
        address = answer["next"]
    assert sorted(seen) == [phones.customer(name) for name in ("C1", "C2", "C3", "C4", "C5")]


async def test_the_case_on_the_desk_stays_until_it_is_logged(phones: Phones) -> None:
    await phones.by_phone(name="C1")
    await phones.by_phone(name="C2")
    first, again = await take_next(phones), await take_next(phones)
    assert first["case"]["case_id"] == again["case"]["case_id"]
    assert first["case"]["leased_by"] == phones.agent
    await phones.log(first["case"]["case_id"], "CALL", "NOAS", "UNK", "NONE")
    following = await take_next(phones)
    assert following["case"]["case_id"] != first["case"]["case_id"]


async def test_putting_a_case_aside_needs_a_reason(phones: Phones) -> None:
    case_id = await phones.by_phone()
    await take_next(phones)
    bare = await phones.http.post("/v1/worklist/release", json={"case_id": case_id}, headers=phones.headers())
    assert bare.status_code == 422
    body = {"case_id": case_id, "reason": "客户要求稍后"}
    released = await phones.http.post("/v1/worklist/release", json=body, headers=phones.headers())
    assert released.json() == {"case_id": case_id, "released": True}
    assert (await take_next(phones))["case"] is None
    phones.clock.set(at("02-27 12:00"))
    assert (await take_next(phones))["case"]["case_id"] == case_id


async def test_two_requests_at_once_by_one_collector_get_one_case(phones: Phones) -> None:
    for name in ("C1", "C2", "C3"):
        await phones.by_phone(name=name)
    got = await asyncio.gather(*(take_next(phones) for _ in range(5)))
    assert len({each["case"]["case_id"] for each in got}) == 1


async def test_two_collectors_never_get_the_same_case(phones: Phones) -> None:
    await phones.by_phone()
    other = f"{phones.agent}-other"
    await phones.hire(other)
    mine, theirs = await take_next(phones), await take_next(phones, other)
    assert mine["case"] is not None
    assert theirs["case"] is None or theirs["case"]["case_id"] != mine["case"]["case_id"]


async def test_nobody_works_a_stopped_case(phones: Phones) -> None:
    await phones.by_phone()
    await phones.take(phones.mine(stop("dispute", FRIDAY)))
    assert (await take_next(phones))["case"] is None
    assert (await phones.http.get("/v1/worklist", headers=phones.headers())).json()["items"] == []


async def test_a_case_with_a_promise_is_shown_but_not_offered(phones: Phones) -> None:
    case_id = await phones.by_phone()
    promise = {"currency": "CNY", "amount": 1_000, "pay_by": "2026-03-02"}
    await phones.log(case_id, "CALL", "CONN", "SELF", "PTP", promise=promise)
    phones.clock.set(at("02-28 10:00"))
    assert (await take_next(phones))["case"] is None
    (item,) = (await phones.http.get("/v1/worklist", headers=phones.headers())).json()["items"]
    assert item["reasons"][0]["code"] == "promise_open"


async def test_a_supervisor_sees_the_team_s_worklist_and_another_team_s_does_not(phones: Phones) -> None:
    case_id = await phones.by_phone()
    for team, sees in ((phones.team, True), ("elsewhere", False), (None, True)):
        items = (await phones.http.get("/v1/worklist?limit=200", headers=phones.boss(team=team))).json()["items"]
        assert (case_id in {item["case_id"] for item in items}) == sees
