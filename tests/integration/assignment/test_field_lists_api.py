"""The field list: row by row, in one transaction, filed with the supervisor."""

from __future__ import annotations

import asyncio

from shared.events.cases import CaseHandedOver, CaseRecalled, FieldListFiled
from shared.events.kinds import Fact
from shared.events.registry import CASES
from tests.integration.assignment.conftest import FRIDAY, Phones, eventually, read_log
from tests.unit.assignment.given import at, stop


async def with_field(phones: Phones, *names: str) -> list[str]:
    """Cases by phone, and a field collector to hand them to."""
    cases = [await phones.by_phone(name=name) for name in names or ("C1",)]
    await phones.hire(phones.field_agent, "field_agent")
    return cases


async def test_one_bad_row_never_fails_the_list(phones: Phones) -> None:
    good, stopped, theirs = await with_field(phones, "C1", "C2", "C3")
    await phones.take(phones.mine(stop("dispute", FRIDAY), "C2"))
    await phones.hire(f"{phones.agent}-other")
    body = {"staff_id": f"{phones.agent}-other", "reason": "x"}
    await phones.http.post(f"/v1/cases/{theirs}/assignment", json=body, headers=phones.boss())
    answer = await phones.file(
        phones.line(stopped),
        phones.line(good),
        phones.line(theirs),
        phones.line(good),
        phones.line("no-such-case"),
        phones.line(good, field_agent_id="nobody"),
        {"case_id": good},
    )
    assert answer.status_code == 201
    items = answer.json()["items"]
    assert [item["outcome"] for item in items].count("handed_over") == 1
    assert items[1]["hand_over_id"]
    assert [item["problem"] and item["problem"]["code"] for item in items] == [
        "refused_by_rule",
        None,
        "not_found",
        "duplicate_line",
        "not_found",
        "duplicate_line",
        "invalid_fields",
    ]
    assert items[0]["problem"]["rule"] == "house.stop_dispute"
    assert items[6]["problem"]["errors"][0]["field"].startswith("hand_overs[6]")


async def test_a_list_of_refusals_files_nothing(phones: Phones) -> None:
    (case_id,) = await with_field(phones)
    answer = await phones.file(phones.line(case_id, field_agent_id="nobody"))
    assert (answer.status_code, answer.json()["list_id"]) == (200, None)
    assert answer.json()["items"][0]["problem"]["code"] == "field_agent_unfit"
    assert await phones.told(phones.agent) == []


async def test_a_list_is_filed_with_the_supervisor_and_the_reason_stays_here(phones: Phones) -> None:
    (case_id,) = await with_field(phones)
    list_id = (await phones.file(phones.line(case_id, reason="需上门核实地址"))).json()["list_id"]
    (filed,) = await phones.told(phones.agent)
    assert isinstance(filed, FieldListFiled)
    assert (filed.list_id, filed.team, filed.day.isoformat()) == (list_id, phones.team, "2026-02-27")
    for headers in (phones.headers(), phones.boss()):
        (shown,) = (await phones.http.get("/v1/field-lists", headers=headers)).json()["items"]
        assert shown["list_id"] == list_id
        assert shown["hand_overs"][0]["reason"] == "需上门核实地址"
    assert all("核实" not in str(record.fact) for record in await read_log(phones.stage, CASES))
    elsewhere = phones.boss(team="elsewhere")
    assert (await phones.http.get("/v1/field-lists", headers=elsewhere)).json()["items"] == []
    assert (await phones.http.get(f"/v1/field-lists/{list_id}", headers=elsewhere)).status_code == 404


async def test_the_same_list_sent_twice_hands_over_once(phones: Phones) -> None:
    (case_id,) = await with_field(phones)
    key = "the-same"
    answers = await asyncio.gather(*(phones.file(phones.line(case_id), key=key) for _ in range(3)))
    assert {answer.text for answer in answers} == {answers[0].text}
    assert count(await phones.told(), CaseHandedOver) == 1


async def test_two_different_lists_at_once_hand_a_case_over_once(phones: Phones) -> None:
    (case_id,) = await with_field(phones)
    answers = await asyncio.gather(*(phones.file(phones.line(case_id)) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 201]
    assert count(await phones.told(), CaseHandedOver) == 1


async def test_nobody_is_visited_while_a_promise_runs(phones: Phones) -> None:
    (case_id,) = await with_field(phones)
    promise = {"currency": "CNY", "amount": 1_000, "pay_by": "2026-03-02"}
    await phones.log(case_id, "CALL", "CONN", "SELF", "PTP", promise=promise)
    (item,) = (await phones.file(phones.line(case_id))).json()["items"]
    assert item["problem"]["code"] == "promise_open"


async def test_a_supervisor_takes_a_case_back_with_a_reason(phones: Phones) -> None:
    (case_id,) = await with_field(phones)
    path, body = f"/v1/cases/{case_id}/recall", {"reason": "客户已来电"}
    early = await phones.http.post(path, json=body, headers=phones.boss())
    assert (early.status_code, early.json()["code"]) == (409, "not_handed_over")
    await phones.file(phones.line(case_id))
    recalled = await phones.http.post(path, json=body, headers=phones.boss())
    assert (recalled.status_code, recalled.json()["hand_over"]) == (200, None)
    assert count(await phones.told(), CaseRecalled) == 1
    (item,) = (await phones.http.get("/v1/worklist", headers=phones.headers())).json()["items"]
    assert item["case_id"] == case_id


async def test_a_case_whose_fact_lies_dead_is_not_handed_over(phones: Phones) -> None:
    (case_id,) = await with_field(phones)
    async with phones.bus.reading() as connection:
        await connection.execute(
            """
            INSERT INTO dead_letter (id, topic, partition, log_offset, key, headers, code, detail, step, attempts,
                failed_at, state)
            VALUES (gen_random_uuid(), 'card', 0, 0, $1, '{}', 'x', 'x', 'handle', 1, now(), 'open')
            """,
            phones.customer(),
        )
    (item,) = (await phones.file(phones.line(case_id))).json()["items"]
    assert item["problem"]["code"] == "customer_blocked"
    assert (await phones.log(case_id, "CALL", "CONN", "SELF", "INFO")).json()["code"] == "customer_blocked"
    asked = await phones.http.get(f"/v1/cases/{case_id}/may-call", headers=phones.headers())
    assert (asked.status_code, asked.json()["code"]) == (409, "customer_blocked")


async def test_nobody_acts_on_a_customer_while_a_stream_of_his_is_stopped_but_who_calls_in_is_heard(
    phones: Phones,
) -> None:
    """Seen to fail with the light barrier left out of each of the three."""
    (case_id,) = await with_field(phones)
    await _read(phones, "stopped")
    (item,) = (await phones.file(phones.line(case_id))).json()["items"]
    logged = await phones.log(case_id, "CALL", "CONN", "SELF", "INFO")
    asked = await phones.http.get(f"/v1/cases/{case_id}/may-call", headers=phones.headers())
    heard = await phones.log(case_id, "INBOUND", "CONN", "SELF", "INFO")
    await _read(phones, "running")
    assert (item["problem"]["code"], item["problem"]["reason"]) == ("reading_behind", "stopped")
    for answer in (logged, asked):
        assert (answer.status_code, answer.json()["code"]) == (503, "reading_behind")
        assert answer.headers["retry-after"]
    assert heard.status_code == 201
    assert (await phones.log(case_id, "CALL", "CONN", "SELF", "INFO")).status_code == 201


async def test_a_case_comes_back_from_a_field_collector_who_leaves(phones: Phones) -> None:
    (case_id,) = await with_field(phones)
    assert (await phones.file(phones.line(case_id))).status_code == 201
    record = (await phones.http.get(f"/v1/staff/{phones.field_agent}", headers=phones.boss())).json()
    body = {key: record[key] for key in record if key not in {"staff_id", "version", "changed_at"}}
    headers = {**phones.boss(), "if-match": f'"v{record["version"]}"'}
    gone = await phones.http.put(f"/v1/staff/{phones.field_agent}", json={**body, "active": False}, headers=headers)
    assert gone.status_code == 200

    async def back() -> bool:
        return not (await phones.case_of())["handed_over"]

    await eventually(back)
    assert [fact.reason.code for fact in await phones.told() if isinstance(fact, CaseRecalled)] == [
        "field_collector_left"
    ]


async def _read(phones: Phones, state: str) -> None:
    number = phones.bus.partition_of(phones.customer())
    async with phones.bus.reading() as connection:
        change = "UPDATE inbox_position SET state = $1 WHERE topic = 'visits' AND partition = $2"
        await connection.execute(change, state, number)


async def test_the_list_is_dated_by_the_issuer_s_day(phones: Phones) -> None:
    """23:30 UTC on Friday is Saturday morning in Shanghai."""
    (case_id,) = await with_field(phones)
    phones.clock.set(at("02-28 07:30"))
    assert (await phones.file(phones.line(case_id))).json()["day"] == "2026-02-28"


def count(facts: list[Fact], model: type[Fact]) -> int:
    return sum(isinstance(fact, model) for fact in facts)
