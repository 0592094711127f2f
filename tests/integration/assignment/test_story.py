"""The thread on real parts: reported, reminded, called, promised, handed over, visited, paid, closed."""

from __future__ import annotations

from datetime import timedelta

from msgspec import structs

from shared.bus.outcomes import DONE, Dead, Skip
from shared.events.cases import (
    CaseAssigned,
    CaseClosed,
    CaseHandedOver,
    CaseOpened,
    CaseRecalled,
    CaseRouted,
    ContactLogged,
    FieldListFiled,
    PromiseBroken,
    PromiseKept,
    PromiseMade,
    ReminderDue,
)
from shared.events.visits import VisitAccepted, VisitCompleted
from tests.integration.assignment.conftest import FRIDAY, TRACE, Phones, read_log
from tests.unit.assignment.given import DUE, WEDNESDAY, at, overdue, paid, stop


async def test_a_reported_debt_is_reminded_and_then_called(phones: Phones) -> None:
    case_id = await phones.by_phone()
    case = await phones.read(case_id)
    assert (case["queue"], case["step"], case["collector"]) == ("phone", "call", phones.agent)
    facts = [type(fact) for fact in await phones.told()]
    assert facts[:6] == [CaseOpened, CaseRouted, ReminderDue, ReminderDue, CaseRouted, CaseAssigned]


async def test_a_timer_s_facts_go_on_with_the_trace_that_opened_the_case(phones: Phones) -> None:
    await phones.by_phone()
    await phones.told()
    traces = {
        record.trace
        for record in await read_log(phones.stage)
        if isinstance(record.fact, ReminderDue) and record.key == phones.customer()
    }
    assert traces == {TRACE.split("-")[1]}


async def test_a_promise_is_kept_as_soon_as_the_payments_reach_it(phones: Phones) -> None:
    case_id = await phones.by_phone()
    promise = {"currency": "CNY", "amount": 30_000, "pay_by": "2026-02-28"}
    answer = await phones.log(case_id, "CALL", "CONN", "SELF", "PTP", promise=promise)
    assert answer.status_code == 201, answer.text
    await phones.take(phones.mine(paid(10_000, "P1", valued=FRIDAY + timedelta(hours=1))))
    assert (await phones.read(case_id))["promise"]["paid"] == 10_000
    await phones.take(phones.mine(paid(20_000, "P2", valued=FRIDAY + timedelta(hours=2))))
    case = await phones.read(case_id)
    assert case["promise"] is None
    assert case["owed"] == [{"currency": "CNY", "minor": 70_000}]
    told = [type(fact) for fact in await phones.told()]
    assert told[-3:] == [ContactLogged, PromiseMade, PromiseKept]


async def test_a_broken_promise_comes_first_in_the_worklist(phones: Phones) -> None:
    case_id = await phones.by_phone()
    await phones.by_phone(name="C2", amount=900_000)
    promise = {"currency": "CNY", "amount": 30_000, "pay_by": "2026-02-27"}
    await phones.log(case_id, "CALL", "CONN", "SELF", "PTP", promise=promise)
    await phones.step_clock(at("02-28 09:00"))
    worklist = (await phones.http.get("/v1/worklist", headers=phones.headers())).json()["items"]
    assert [item["customer_id"] for item in worklist] == [phones.customer("C1"), phones.customer("C2")]
    assert worklist[0]["reasons"][0]["code"] == "promise_broken"
    assert PromiseBroken in {type(fact) for fact in await phones.told()}


async def test_handed_over_visited_and_back_by_phone(phones: Phones) -> None:
    case_id = await phones.by_phone()
    await phones.hire(phones.field_agent, "field_agent")
    answer = await phones.file(phones.line(case_id))
    assert answer.status_code == 201, answer.text
    (item,) = answer.json()["items"]
    assert item["outcome"] == "handed_over"
    assert isinstance((await phones.told())[-1], CaseHandedOver)
    (filed,) = await phones.told(phones.agent)
    assert isinstance(filed, FieldListFiled)
    assert [each.case_id for each in filed.hand_overs] == [case_id]
    assert (await phones.http.get("/v1/worklist", headers=phones.headers())).json()["items"] == []

    hand_over_id = item["hand_over_id"]
    accepted = VisitAccepted(
        visit_id=f"V-{phones.number}",
        hand_over_id=hand_over_id,
        case_id=case_id,
        customer_id=phones.customer(),
        field_agent_id=phones.field_agent,
        phone_agent_id=phones.agent,
        team=phones.team,
        handed_over_at=FRIDAY,
        due_at=at("03-03 00:00"),
    )
    completed = VisitCompleted(
        visit_id=accepted.visit_id,
        case_id=case_id,
        customer_id=phones.customer(),
        field_agent_id=phones.field_agent,
        team=phones.team,
        party="SELF",
        outcome="PTP",
        completed_at=at("02-28 11:00"),
        due_at=accepted.due_at,
        on_time=True,
    )
    phones.clock.set(at("02-28 11:00"))
    assert await phones.take(accepted, completed) == [DONE, DONE]
    case = await phones.read(case_id)
    assert (case["hand_over"], case["queue"], case["step"]) == (None, "phone", "call")
    assert (await phones.timeline(case_id))[-4:] == ["handed_over", "visit", "visit", "case_routed"]


async def test_payment_in_full_closes_the_case_wherever_it_is(phones: Phones) -> None:
    case_id = await phones.by_phone()
    await phones.hire(phones.field_agent, "field_agent")
    await phones.file(phones.line(case_id))
    await phones.take(phones.mine(paid(100_000, valued=FRIDAY + timedelta(minutes=5))))
    case = await phones.read(case_id)
    assert (case["status"], case["close_reason"], case["hand_over"]) == ("closed", "paid", None)
    assert isinstance((await phones.told())[-1], CaseClosed)
    assert (await phones.timeline(case_id))[-1] == "case_closed"


async def test_a_stop_recalls_a_case_from_the_field(phones: Phones) -> None:
    case_id = await phones.by_phone()
    await phones.hire(phones.field_agent, "field_agent")
    await phones.file(phones.line(case_id))
    await phones.take(phones.mine(stop("dispute", FRIDAY)))
    case = await phones.read(case_id)
    assert (case["stops"], case["hand_over"]) == (["dispute"], None)
    recalled = (await phones.told())[-1]
    assert isinstance(recalled, CaseRecalled)
    assert recalled.reason.code == "stop_dispute"


async def test_the_timeline_of_an_earlier_episode_stays_readable(phones: Phones) -> None:
    first = await phones.opened()
    await phones.take(phones.mine(paid(100_000, valued=WEDNESDAY + timedelta(minutes=5))))
    await phones.take(phones.mine(overdue(as_of=WEDNESDAY + timedelta(minutes=10), due=DUE["M1"])))
    second = str((await phones.case_of())["case_id"])
    assert first != second
    assert (await phones.timeline(first))[-1] == "case_closed"
    assert (await phones.timeline(second))[0] == "case_opened"
    gone = await phones.http.get(f"/v1/cases/{first}", headers=phones.boss(team=None))
    assert gone.status_code == 404


async def test_facts_told_again_change_nothing(phones: Phones) -> None:
    await phones.opened()
    facts = [phones.mine(overdue(due=DUE["M4"])), phones.mine(paid(10_000, valued=WEDNESDAY + timedelta(hours=1)))]
    assert await phones.take(*facts) == [Skip("unchanged"), DONE]
    assert await phones.take(*facts) == [Skip("unchanged"), Skip("unchanged")]


async def test_a_bad_fact_does_not_hinder_the_others_of_its_batch(phones: Phones) -> None:
    dollars = structs.replace(phones.mine(paid(1, valued=WEDNESDAY)), currency="USD")
    outcomes = await phones.take(phones.mine(overdue()), dollars, phones.mine(stop("complaint", WEDNESDAY)))
    assert [type(outcome) for outcome in outcomes] == [type(DONE), Dead, type(DONE)]
    case = await phones.case_of()
    assert (case["status"], case["stopped"]) == ("open", True)
