"""Calls and cases over HTTP: own cases only, decided once, personal data masked."""

from __future__ import annotations

import asyncio

import pytest

from shared.bus.unit_of_work import UnitOfWork
from shared.events.cases import ContactLogged
from shared.forgetting import OLD_KEYS
from shared.ids import uuid7
from shared.web.auth import Role
from tests.integration.assignment.conftest import FRIDAY, Phones
from tests.unit.assignment.given import at, stop


async def test_a_contact_sent_again_is_logged_once(phones: Phones) -> None:
    case_id = await phones.by_phone()
    key = str(uuid7())
    first, again = await asyncio.gather(
        *(phones.log(case_id, "CALL", "CONN", "SELF", "INFO", headers=phones.headers(key=key)) for _ in range(2))
    )
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    assert len([fact for fact in await phones.told() if isinstance(fact, ContactLogged)]) == 1
    other = await phones.log(case_id, "CALL", "NOAS", "UNK", "NONE", headers=phones.headers(key=key))
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")


async def test_a_command_without_a_key_is_refused(phones: Phones) -> None:
    case_id = await phones.by_phone()
    bare = phones.headers()
    del bare["idempotency-key"]
    assert (await phones.log(case_id, "CALL", "CONN", "SELF", "INFO", headers=bare)).status_code == 428


async def test_a_third_party_cannot_promise(phones: Phones) -> None:
    case_id = await phones.by_phone()
    promise = {"currency": "CNY", "amount": 1_000, "pay_by": "2026-02-28"}
    answer = await phones.log(case_id, "CALL", "CONN", "UNREL", "PTP", promise=promise)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_fields")
    assert [error["field"] for error in answer.json()["errors"]] == ["outcome"]


async def test_the_desk_asks_before_it_calls(phones: Phones) -> None:
    case_id = await phones.by_phone()
    now = await phones.read(case_id, "/may-call")
    assert (now["decision"], now["rule"]) == ("allowed", None)
    phones.clock.set(at("02-27 22:30"))
    night = await phones.read(case_id, "/may-call")
    assert (night["decision"], night["until"], night["rule"]) == (
        "not_before",
        "2026-02-28T00:00:00Z",
        "cn-card.night",
    )
    assert night["source"]
    refused = await phones.log(case_id, "CALL", "CONN", "SELF", "INFO")
    assert (refused.status_code, refused.json()["code"], refused.json()["rule"]) == (
        422,
        "refused_by_rule",
        "cn-card.night",
    )
    heard = await phones.log(case_id, "INBOUND", "CONN", "SELF", "HARD")
    assert (heard.status_code, heard.json()["stop_set"]) == (201, "hardship")


async def test_a_waiver_lets_a_seventh_call_through_and_needs_a_supervisor(phones: Phones) -> None:
    case_id = await phones.by_phone()
    for _ in range(6):
        assert (await phones.log(case_id, "CALL", "NOAS", "UNK", "NONE")).status_code == 201
        phones.clock.set(phones.clock.now().replace(minute=phones.clock.now().minute + 1))
    seventh = await phones.log(case_id, "CALL", "NOAS", "UNK", "NONE")
    assert (seventh.json()["rule"], seventh.json()["strength"]) == ("cn-card.dial_attempts", "should")
    path, body = f"/v1/cases/{case_id}/waivers", {"reason": "客户约定今日再次致电"}
    assert (await phones.http.post(path, json=body, headers=phones.headers())).status_code == 403
    assert (await phones.http.post(path, json=body, headers=phones.boss())).status_code == 201
    assert (await phones.read(case_id, "/may-call"))["yielded"] == ["cn-card.dial_attempts"]
    assert (await phones.log(case_id, "CALL", "NOAS", "UNK", "NONE")).status_code == 201


async def test_a_note_stands_on_the_timeline_and_in_no_fact(phones: Phones) -> None:
    case_id = await phones.by_phone()
    await phones.log(case_id, "CALL", "CONN", "SELF", "COMP", note="客户投诉态度")
    items = (await phones.read(case_id, "/timeline?limit=200"))["items"]
    (entry,) = [item for item in items if item["kind"] == "contact"]
    assert (entry["note"], entry["data"]["outcome"]) == ("客户投诉态度", "COMP")
    assert all("态度" not in str(fact) for fact in await phones.told())


async def test_a_timeline_is_in_order_and_paged(phones: Phones) -> None:
    case_id = await phones.by_phone()
    whole = (await phones.read(case_id, "/timeline?limit=200"))["items"]
    first = await phones.read(case_id, "/timeline?limit=3")
    second = (await phones.http.get(first["next"], headers=phones.headers())).json()
    assert [item["seq"] for item in whole] == list(range(1, len(whole) + 1))
    assert first["items"] + second["items"] == whole[:6]
    assert whole[0]["kind"] == "case_opened"


@pytest.mark.parametrize("what", ["", "/timeline", "/may-call", "/contact-details"])
async def test_somebody_else_s_case_does_not_exist(phones: Phones, what: str) -> None:
    case_id = await phones.by_phone()
    other = phones.headers(f"{phones.agent}-other")
    assert (await phones.http.get(f"/v1/cases/{case_id}{what}", headers=other)).status_code == 404
    assert (await phones.http.get(f"/v1/cases/no-such-case{what}", headers=other)).status_code == 404


async def test_somebody_else_s_case_is_not_logged(phones: Phones) -> None:
    case_id = await phones.by_phone()
    other = phones.headers(f"{phones.agent}-other")
    assert (await phones.log(case_id, "CALL", "CONN", "SELF", "INFO", headers=other)).status_code == 404


async def test_another_team_s_supervisor_does_not_decide(phones: Phones) -> None:
    case_id = await phones.by_phone()
    elsewhere = phones.boss(team="elsewhere")
    for step, body in (("recall", {"reason": "x"}), ("assignment", {"staff_id": phones.agent, "reason": "x"})):
        answer = await phones.http.post(f"/v1/cases/{case_id}/{step}", json=body, headers=elsewhere)
        assert answer.status_code == 404


async def test_name_and_numbers_are_masked_but_for_the_collector_who_asks(phones: Phones) -> None:
    case_id = await phones.by_phone()
    shown = (await phones.read(case_id))["customer"]
    assert (shown["name"], shown["phones"][0]["number"], shown["masked"]) == ("张**", "+86138****8000", True)
    details = await phones.read(case_id, "/contact-details")
    assert (details["name"], details["phones"][0]["number"]) == ("张三丰", "+8613800138000")
    async with phones.bus.reading() as connection:
        readers = await connection.fetch("SELECT staff_id FROM personal_data_read WHERE case_id = $1", case_id)
    assert [row["staff_id"] for row in readers] == [phones.agent]
    assert (await phones.http.get(f"/v1/cases/{case_id}/contact-details", headers=phones.boss())).status_code == 403


async def test_whoever_decides_on_an_old_version_is_told(phones: Phones) -> None:
    case_id = await phones.by_phone()
    answer = await phones.http.get(f"/v1/cases/{case_id}", headers=phones.headers())
    await phones.take(phones.mine(stop("dispute", FRIDAY)))
    headers = {**phones.headers(), "if-match": answer.headers["etag"]}
    stale = await phones.log(case_id, "INBOUND", "CONN", "SELF", "INFO", headers=headers)
    assert stale.status_code == 412


async def test_filters_narrow_the_list_and_do_not_widen_the_scope(phones: Phones) -> None:
    case_id = await phones.by_phone()
    query = f"/v1/cases?customer_id={phones.customer()}&queue=phone&bucket=M4&grade=D&status=open"
    mine = (await phones.http.get(query, headers=phones.headers())).json()["items"]
    assert [item["case_id"] for item in mine] == [case_id]
    other = (await phones.http.get(query, headers=phones.headers(f"{phones.agent}-other"))).json()["items"]
    assert other == []
    none = (await phones.http.get(f"{query}&collector=nobody", headers=phones.headers())).json()["items"]
    assert none == []


@pytest.mark.parametrize(
    ("role", "status"), [(Role.UPSTREAM, 403), (Role.FIELD_AGENT, 403), (Role.ADMIN_ASSISTANT, 403)]
)
async def test_other_roles_have_no_business_here(phones: Phones, role: Role, status: int) -> None:
    assert (await phones.http.get("/v1/cases", headers=phones.headers(role=role))).status_code == status


PTP = '{"channel": "CALL", "line": "CONN", "party": "SELF", "outcome": "PTP", "promise": {"currency": "CNY", %s}}'


@pytest.mark.parametrize(
    "body",
    [
        '{"channel": "CALL", "channel": "CALL"}',
        '{"line": NaN}',
        '{"channel": "CALL", "line": "CONN", "party": "SELF", "outcome": "INFO", "contacted_at": "2026-02-27T10:00"}',
        PTP % '"amount": -1, "pay_by": "2026-02-28"',
        PTP % '"amount": 1.5, "pay_by": "2026-02-28"',
        PTP % '"amount": 100, "pay_by": "tomorrow"',
        PTP.replace("CNY", "XXX") % '"amount": 100, "pay_by": "2026-02-28"',
        "[]",
        "",
    ],
)
async def test_a_wrong_body_gets_a_problem_document(phones: Phones, body: str) -> None:
    case_id = await phones.by_phone()
    headers = {**phones.headers(), "content-type": "application/json"}
    answer = await phones.http.post(f"/v1/cases/{case_id}/contacts", content=body, headers=headers)
    assert answer.status_code in {400, 422}
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["errors"]


async def test_a_customer_who_calls_in_before_anybody_has_the_case_is_heard_by_whoever_answers(phones: Phones) -> None:
    await phones.hire()
    case_id = await phones.opened("M1", grade="A")
    await phones.step_clock(at("02-25 09:15"))
    wanted = {"customer_id": phones.customer()}
    (found,) = (await phones.http.get("/v1/cases", params=wanted, headers=phones.headers())).json()["items"]
    assert (found["case_id"], found["collector"]) == (case_id, None)
    assert (await phones.http.get("/v1/cases", headers=phones.headers())).json()["items"] == []
    assert (await phones.log(case_id, "CALL", "CONN", "SELF", "INFO")).status_code == 404
    answer = await phones.log(case_id, "INBOUND", "CONN", "SELF", "HARD")
    assert (answer.status_code, answer.json()["stop_set"]) == (201, "hardship")


async def test_what_is_asked_before_a_call_and_what_is_said_when_it_is_logged_agree(phones: Phones) -> None:
    case_id = await phones.by_phone()
    await phones.hire(phones.field_agent, "field_agent")
    assert (await phones.file(phones.line(case_id))).status_code == 201
    asked = await phones.http.get(f"/v1/cases/{case_id}/may-call", headers=phones.headers())
    logged = await phones.log(case_id, "CALL", "CONN", "SELF", "INFO")
    assert (
        (asked.status_code, asked.json()["code"]) == (logged.status_code, logged.json()["code"]) == (409, "with_field")
    )


async def test_a_key_is_forgotten_after_a_week_and_not_before(phones: Phones) -> None:
    case_id = await phones.by_phone()
    old, young = str(uuid7()), str(uuid7())
    for key in (old, young):
        await phones.log(case_id, "CALL", "NOAS", "UNK", "NONE", headers=phones.headers(key=key))

    async def age(uow: UnitOfWork) -> None:
        for key, days in ((old, 8), (young, 6)):
            await uow.connection.execute(
                "UPDATE idempotency_key SET at = now() - make_interval(days => $2) WHERE key = $1", key, days
            )

    await phones.bus.transact(age)
    assert "forgetting" in {timer.name for timer in phones.bus._timers}
    assert await phones.bus.transact(OLD_KEYS.sweep) == 1
    async with phones.bus.reading() as connection:
        assert await connection.fetchval("SELECT count(*) FROM idempotency_key WHERE key = $1", young) == 1
