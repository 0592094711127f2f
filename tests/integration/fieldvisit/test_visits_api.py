"""The life of a visit over HTTP, and everything that stands in its way."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from shared.events.visits import (
    PlanFiled,
    VisitAccepted,
    VisitCompleted,
    VisitMissed,
    VisitPlanned,
    VisitStarted,
    VisitWithdrawn,
)
from shared.web.auth import Role
from tests.integration.fieldvisit.conftest import Field
from tests.unit.fieldvisit.build import DUE, HOUR, NOW, handed_over, payment

SPOKE = {"party": "SELF", "outcome": "PTP", "recorder_id": "R1"}


async def planned(desk: Field) -> str:
    visit_id = await desk.handed_over()
    answer = await desk.plan(desk.line(visit_id))
    assert answer.status_code == 201, answer.text
    return visit_id


async def started(desk: Field) -> str:
    visit_id = await planned(desk)
    desk.clock.set(NOW + 2 * HOUR)
    answer = await desk.act(visit_id, "start")
    assert answer.status_code == 200, answer.text
    return visit_id


async def test_a_visit_is_planned_started_completed_and_reported(desk: Field) -> None:
    visit_id = await started(desk)
    desk.clock.set(NOW + 3 * HOUR)
    incident = {"kind": "dog", "note": "黄狗在院内"}
    answer = await desk.act(visit_id, "complete", {**SPOKE, "note": "承诺周五还款", "incident": incident})
    assert answer.status_code == 200
    assert answer.json()["state"] == "completed"
    assert answer.json()["result"]["incident"] == "dog"
    facts = await desk.told()
    kinds = [VisitAccepted, VisitPlanned, VisitStarted, VisitCompleted]
    assert [type(fact) for fact in facts if not isinstance(fact, PlanFiled)] == kinds
    (filed,) = [fact for fact in facts if isinstance(fact, PlanFiled)]
    assert [each.visit_id for each in filed.visits] == [visit_id]
    told = msgspec.json.encode(facts).decode()
    assert "承诺周五" not in told
    assert "黄狗" not in told
    detail = await desk.http.get(f"/v1/visits/{visit_id}", headers=desk.headers())
    assert {note["text"] for note in detail.json()["notes"]} == {"承诺周五还款", "黄狗在院内"}


async def test_every_visit_done_and_not_done_is_reported_to_the_assistant_in_order(desk: Field) -> None:
    visit_id = await planned(desk)
    assert (await desk.act(visit_id, "fail", {"reason": "nobody_home", "note": "敲门无人"})).status_code == 200
    assert (await desk.plan(desk.line(visit_id, starts_at=NOW + 4 * HOUR))).status_code == 201
    desk.clock.set(NOW + 4 * HOUR)
    assert (await desk.act(visit_id, "start")).status_code == 200
    desk.clock.set(DUE)
    await desk.until_breached()
    desk.clock.set(DUE + HOUR)
    assert (await desk.act(visit_id, "complete", SPOKE)).status_code == 200
    reports, url = [], "/v1/reports?limit=2"
    while url:
        page = (await desk.http.get(url, headers=desk.headers("assistant-1", Role.ADMIN_ASSISTANT))).json()
        reports += page["items"]
        url = page["next"]
    mine = [report for report in reports if report["visit_id"] == visit_id]
    assert [(each["kind"], each["on_time"], each["detail"]) for each in mine] == [
        ("missed", None, "nobody_home"),
        ("breached", False, None),
        ("completed", False, "PTP"),
    ]
    assert len({report["report_id"] for report in reports}) == len(reports)
    missed = [fact for fact in await desk.told() if isinstance(fact, VisitMissed)]
    assert [fact.reason for fact in missed] == ["nobody_home"]


async def test_a_started_visit_overtaken_by_a_payment_is_answered_with_the_reason(desk: Field) -> None:
    visit_id = await started(desk)
    await desk.take(desk.mine(payment()))
    answer = await desk.act(visit_id, "complete", SPOKE)
    assert (answer.status_code, answer.json()["code"], answer.json()["reason"]) == (409, "visit_withdrawn", "paid")
    mine = [fact for fact in await desk.told() if getattr(fact, "visit_id", None) == visit_id]
    assert isinstance(mine[-1], VisitWithdrawn)


async def test_a_dispute_heard_at_the_door_ends_the_customers_other_visit(desk: Field) -> None:
    visit_id = await started(desk)
    await desk.take(desk.mine(handed_over("H2")))
    assert (await desk.act(visit_id, "complete", {**SPOKE, "outcome": "DISP"})).status_code == 200
    assert {visit["state"] for visit in await desk.visits()} == {"completed", "withdrawn"}


async def test_a_command_sent_again_is_answered_again_and_done_once(desk: Field) -> None:
    visit_id = await planned(desk)
    desk.clock.set(NOW + 2 * HOUR)
    first = await desk.act(visit_id, "start", key="k-1")
    again = await desk.act(visit_id, "start", key="k-1")
    assert (again.status_code, again.json(), again.headers["etag"]) == (200, first.json(), first.headers["etag"])
    assert len([fact for fact in await desk.told() if isinstance(fact, VisitStarted)]) == 1
    other = await desk.act(visit_id, "complete", SPOKE, key="k-1")
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")


async def test_two_who_start_one_visit_at_once_start_it_once(desk: Field) -> None:
    visit_id = await planned(desk)
    desk.clock.set(NOW + 2 * HOUR)
    answers = await asyncio.gather(*(desk.act(visit_id, "start") for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]


async def test_whoever_saw_another_version_decides_again(desk: Field) -> None:
    visit_id = await planned(desk)
    desk.clock.set(NOW + 2 * HOUR)
    seen = await desk.http.get(f"/v1/visits/{visit_id}", headers=desk.headers())
    assert seen.headers["etag"] == '"v2"'
    url = f"/v1/visits/{visit_id}/start"
    stale = await desk.http.post(url, json={}, headers={**desk.headers(), "if-match": '"v1"'})
    assert stale.status_code == 412
    fresh = await desk.http.post(url, json={}, headers={**desk.headers(), "if-match": '"v2"'})
    assert (fresh.status_code, fresh.headers["etag"]) == (200, '"v3"')


async def test_night_is_refused_at_the_door_with_rule_and_source(desk: Field) -> None:
    visit_id = await planned(desk)
    desk.clock.set(NOW + 12 * HOUR)
    answer = await desk.act(visit_id, "start")
    assert (answer.status_code, answer.json()["code"], answer.json()["rule"]) == (
        422,
        "refused_by_rule",
        "cn-card.night",
    )
    assert answer.json()["source"]


async def test_nothing_is_done_about_a_customer_with_a_dead_letter(desk: Field) -> None:
    visit_id = await planned(desk)
    desk.clock.set(NOW + 2 * HOUR)
    async with desk.bus.reading() as connection:
        await connection.execute(
            """INSERT INTO dead_letter
            (id, topic, partition, log_offset, key, headers, code, detail, step, attempts, failed_at, state)
            VALUES (gen_random_uuid(), 'card', 0, 0, $1, '[]', 'x', 'x', 'handle', 1, now(), 'open')""",
            desk.customer,
        )
    answer = await desk.act(visit_id, "start")
    replan = await desk.plan(desk.line(visit_id, starts_at=NOW + 5 * HOUR))
    assert (answer.status_code, answer.json()["code"]) == (409, "customer_blocked")
    assert replan.json()["items"][0]["problem"]["code"] == "customer_blocked"
    async with desk.bus.reading() as connection:
        await connection.execute("UPDATE dead_letter SET state = 'resolved' WHERE key = $1", desk.customer)
    assert (await desk.act(visit_id, "start")).status_code == 200


async def test_nobody_plans_or_starts_a_visit_while_a_stream_of_the_customer_is_stopped(desk: Field) -> None:
    """Seen to fail with the light barrier left out of each of the two."""
    visit_id = await planned(desk)
    desk.clock.set(NOW + 2 * HOUR)
    change = "UPDATE inbox_position SET state = $1 WHERE topic = 'cases' AND partition = $2"
    number = desk.bus.partition_of(desk.customer)
    async with desk.bus.reading() as connection:
        await connection.execute(change, "stopped", number)
    answer = await desk.act(visit_id, "start")
    replan = await desk.plan(desk.line(visit_id, starts_at=NOW + 5 * HOUR))
    async with desk.bus.reading() as connection:
        await connection.execute(change, "running", number)
    assert (answer.status_code, answer.json()["code"], answer.json()["reason"]) == (503, "reading_behind", "stopped")
    assert answer.headers["retry-after"]
    assert replan.json()["items"][0]["problem"]["code"] == "reading_behind"
    assert (await desk.act(visit_id, "start")).status_code == 200


async def test_name_and_address_are_unmasked_for_those_on_the_way_and_each_read_is_recorded(desk: Field) -> None:
    visit_id = await planned(desk)
    for reader, role, masked in (
        (desk.staff(1), Role.FIELD_AGENT, False),
        (desk.staff(2), Role.FIELD_AGENT, False),
        ("sup-1", Role.SUPERVISOR, True),
        ("assistant-1", Role.ADMIN_ASSISTANT, True),
    ):
        shown = (await desk.http.get(f"/v1/visits/{visit_id}", headers=desk.headers(reader, role))).json()["customer"]
        assert shown["masked"] is masked
        assert (shown["name"], shown["addresses"][0]["lines"]) == (
            ("张**", ["***"]) if masked else ("张伟", ["世纪大道 1 号"])
        )
    async with desk.bus.reading() as connection:
        rows = await connection.fetch("SELECT staff_id FROM unmasked_read WHERE visit_id = $1 ORDER BY at", visit_id)
    assert [row["staff_id"] for row in rows] == [desk.staff(1), desk.staff(2)]
    assert [visit["customer"]["masked"] for visit in await desk.visits()] == [True]


@pytest.mark.parametrize(
    ("subject", "role", "team", "status"),
    [
        ("stranger", Role.FIELD_AGENT, None, 404),
        ("sup-2", Role.SUPERVISOR, "elsewhere", 404),
        ("sup-3", Role.SUPERVISOR, None, 200),
        ("phone-1", Role.PHONE_AGENT, None, 403),
        ("op-1", Role.OPERATOR, None, 403),
        ("card", Role.UPSTREAM, None, 403),
    ],
)
async def test_others_visits_are_not_found_and_other_roles_are_refused(
    desk: Field, subject: str, role: Role, team: str | None, status: int
) -> None:
    visit_id = await planned(desk)
    bearer = desk.signer.bearer(subject, role, team=team)
    answer = await desk.http.get(f"/v1/visits/{visit_id}", headers=bearer)
    assert answer.status_code == status


async def test_only_the_owner_acts_and_a_stranger_does_not_learn_that_the_visit_exists(desk: Field) -> None:
    visit_id = await planned(desk)
    desk.clock.set(NOW + 2 * HOUR)
    assert (await desk.act(visit_id, "start", subject=desk.staff(2))).status_code == 403
    assert (await desk.act(visit_id, "start", subject="stranger")).status_code == 404
    assert (await desk.act("no-such-visit", "start")).status_code == 404
    assert (await desk.act(visit_id, "start", role=Role.SUPERVISOR)).status_code == 403
    assert (await desk.http.get("/v1/reports", headers=desk.headers())).status_code == 403
    assert (await desk.http.get("/v1/visits")).status_code == 401


async def test_lists_are_filtered_and_paged_by_deadline(desk: Field) -> None:
    await planned(desk)
    later = [handed_over(f"H{number}", at=NOW + timedelta(days=1)) for number in range(2, 7)]
    await desk.take(*(desk.mine(fact) for fact in later))
    assert len(await desk.visits(state="accepted")) == 5
    assert len(await desk.visits(state="planned")) == 1
    assert len(await desk.visits(due_before=(DUE + HOUR).isoformat())) == 1
    assert await desk.visits(breached=True) == []
    seen, url = [], "/v1/visits?limit=2&state=accepted"
    while url:
        page = (await desk.http.get(url, headers=desk.headers())).json()
        seen += [(visit["due_at"], visit["visit_id"]) for visit in page["items"]]
        url = page["next"]
    assert seen == sorted(set(seen))
    assert len(seen) == 5


@pytest.mark.parametrize(
    ("step", "body"),
    [
        ("complete", {"party": "SELF", "outcome": "PTP"}),
        ("complete", {**SPOKE, "party": "NOBODY"}),
        ("complete", {**SPOKE, "outcome": "RELAY", "party": "SELF"}),
        ("complete", {**SPOKE, "incident": {"kind": "rain"}}),
        ("complete", {**SPOKE, "note": "x" * 2001}),
        ("complete", {**SPOKE, "surprise": 1}),
        ("fail", {"reason": "tired"}),
        ("start", {"force": True}),
    ],
)
async def test_wrong_bodies_are_answered_field_by_field(desk: Field, step: str, body: dict[str, Any]) -> None:
    visit_id = await started(desk)
    answer = await desk.act(visit_id, step, body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    (error,) = answer.json()["errors"]
    assert error["field"]
    assert error["remedy_en"]


@pytest.mark.parametrize(
    "body", [b"{", b'{"party": "SELF", "party": "UNK"}', b'{"recorder_id": NaN}', b"[]", b'"\\u0000"', b""]
)
@pytest.mark.parametrize("path", ["/v1/plans", "/v1/visits/V1/start", "/v1/visits/V1/complete", "/v1/visits/V1/fail"])
async def test_a_body_that_is_not_what_is_asked_for_is_a_problem_on_every_command(
    desk: Field, path: str, body: bytes
) -> None:
    headers = {**desk.headers(), "content-type": "application/json"}
    answer = await desk.http.post(path, content=body, headers=headers)
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "query",
    [
        "state=asleep",
        "due_before=2026-02-28T00:00:00",
        "due_before=0001-01-01T00:00:00%2B14:00",
        "breached=perhaps",
        "limit=0",
        "cursor=x",
        "limit=1e9",
    ],
)
async def test_a_wrong_filter_is_a_problem(desk: Field, query: str) -> None:
    answer = await desk.http.get(f"/v1/visits?{query}", headers=desk.headers())
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_fields")


async def test_a_command_without_a_key_is_refused(desk: Field) -> None:
    headers = desk.headers()
    del headers["idempotency-key"]
    answer = await desk.http.post("/v1/visits/V1/start", json={}, headers=headers)
    assert answer.status_code == 428
