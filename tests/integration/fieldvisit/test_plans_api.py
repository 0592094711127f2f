"""Visit plans over HTTP: line by line, and nobody booked twice."""

from __future__ import annotations

import asyncio

from shared.events.visits import PlanFiled, VisitPlanned
from shared.web.auth import Role
from tests.integration.fieldvisit.conftest import Field
from tests.unit.fieldvisit.build import HOUR, NOW, handed_over, hazardous


async def test_one_bad_line_never_fails_the_plan(desk: Field) -> None:
    visit_id = await desk.handed_over(handed_over("H2"))
    other = next(each["visit_id"] for each in await desk.visits() if each["visit_id"] != visit_id)
    answer = await desk.plan(
        desk.line(visit_id),
        desk.line(visit_id, starts_at=NOW + 4 * HOUR),
        desk.line("V-unknown"),
        {**desk.line(other), "starts_at": "2026-02-26T10:00:00"},
        desk.line(other, members=[desk.staff(1)], starts_at=NOW + 6 * HOUR),
    )
    assert answer.status_code == 201
    items = answer.json()["items"]
    assert [item["outcome"] for item in items] == ["planned", "refused", "refused", "refused", "refused"]
    codes = [item["problem"] and item["problem"]["code"] for item in items]
    assert codes == [None, "duplicate_line", "not_found", "invalid_fields", "refused_by_rule"]
    assert items[3]["problem"]["errors"][0]["field"] == "visits[3].starts_at"
    facts = await desk.told()
    assert [fact.visit_id for fact in facts if isinstance(fact, VisitPlanned)] == [visit_id]
    (filed,) = [fact for fact in facts if isinstance(fact, PlanFiled)]
    assert (filed.team, [each.visit_id for each in filed.visits]) == (desk.team, [visit_id])


async def test_a_plan_without_any_sound_line_is_not_filed(desk: Field) -> None:
    visit_id = await desk.handed_over()
    answer = await desk.plan(desk.line(visit_id, starts_at=NOW - HOUR))
    assert (answer.status_code, answer.json()["plan_id"]) == (200, None)
    assert not [fact for fact in await desk.told() if isinstance(fact, PlanFiled)]
    assert (await desk.http.get("/v1/plans", headers=desk.headers())).json()["items"] == []


async def test_a_plan_is_read_by_its_collector_the_supervisor_and_the_assistant(desk: Field) -> None:
    visit_id = await desk.handed_over(hazardous())
    refused = await desk.plan(desk.line(visit_id))
    assert refused.json()["items"][0]["problem"]["code"] == "hazard_not_acknowledged"
    answer = await desk.plan(desk.line(visit_id, hazard_acknowledged=True, outside_window_reason="物业约定"))
    plan_id = answer.json()["plan_id"]
    for subject, role, status in (
        (desk.staff(), Role.FIELD_AGENT, 200),
        ("sup-1", Role.SUPERVISOR, 200),
        ("assistant-1", Role.ADMIN_ASSISTANT, 200),
        ("stranger", Role.FIELD_AGENT, 404),
        ("phone-1", Role.PHONE_AGENT, 403),
    ):
        shown = await desk.http.get(f"/v1/plans/{plan_id}", headers=desk.headers(subject, role))
        assert shown.status_code == status
    shown = await desk.http.get(f"/v1/plans/{plan_id}", headers=desk.headers())
    (line,) = shown.json()["visits"]
    assert (line["visit_id"], line["hazard_acknowledged"], line["outside_window_reason"]) == (
        visit_id,
        True,
        "物业约定",
    )


async def test_a_visit_is_planned_anew_and_plans_are_listed_newest_first(desk: Field) -> None:
    visit_id = await desk.handed_over()
    for hours in (2, 4, 6):
        assert (await desk.plan(desk.line(visit_id, starts_at=NOW + hours * HOUR))).status_code == 201
        desk.clock.set(NOW + hours * HOUR / 10)
    (visit,) = await desk.visits()
    assert visit["plan"]["starts_at"] == (NOW + 6 * HOUR).isoformat().replace("+00:00", "Z")
    seen, url = [], "/v1/plans?limit=2"
    while url:
        page = (await desk.http.get(url, headers=desk.headers())).json()
        seen += [(plan["filed_at"], plan["plan_id"]) for plan in page["items"]]
        url = page["next"]
    assert seen == sorted(set(seen), reverse=True)
    assert len(seen) == 3


async def test_two_plans_at_once_never_book_one_person_for_the_same_hours(desk: Field) -> None:
    visit_id = await desk.handed_over(handed_over("H2"), handed_over("H3"), handed_over("H4"))
    everything = [visit["visit_id"] for visit in await desk.visits()]
    assert visit_id in everything
    answers = await asyncio.gather(*(desk.plan(desk.line(each)) for each in everything))
    outcomes = [answer.json()["items"][0] for answer in answers]
    assert sorted(each["outcome"] for each in outcomes) == ["planned", "refused", "refused", "refused"]
    assert {each["problem"]["code"] for each in outcomes if each["problem"]} == {"overlap"}


async def test_a_plan_sent_again_is_answered_again_and_filed_once(desk: Field) -> None:
    visit_id = await desk.handed_over()
    first = await desk.plan(desk.line(visit_id), key="plan-1")
    again = await desk.plan(desk.line(visit_id), key="plan-1")
    assert again.json() == first.json()
    assert len([fact for fact in await desk.told() if isinstance(fact, PlanFiled)]) == 1
