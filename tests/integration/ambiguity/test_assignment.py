"""Commands of the phone desk whose COMMIT was done and not answered: sent again, the effect is found, not repeated."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
import pytest_asyncio

from shared.clock import FrozenClock
from tests.integration.ambiguity.conftest import Linked, timers_asleep
from tests.integration.assignment.conftest import Phones, running
from tests.unit.assignment.given import WEDNESDAY


@pytest_asyncio.fixture(scope="module")
async def phones(linked: Linked) -> AsyncIterator[Phones]:
    """Assignment with one customer, whose case is on a collector's list on Friday 10:00."""
    clock = FrozenClock(WEDNESDAY)
    async with (
        running(linked, clock) as (app, signer),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://assignment.test") as http,
    ):
        desk = Phones(app, http, clock, signer, linked, 1)
        await desk.by_phone()
        await desk.hire(desk.field_agent, "field_agent")
        await desk.hire("phone-2")
        async with timers_asleep():
            yield desk


Sender = Callable[[], Awaitable[httpx.Response]]


async def command(phones: Phones, name: str) -> Sender:
    """A command under one key, to be sent as often as wanted."""
    case_id = (await phones.case_of())["case_id"]
    collector, boss = phones.headers(), phones.boss(team=None)
    contact = {"channel": "CALL", "line": "CONN", "party": "SELF", "outcome": "INFO"}
    sent: dict[str, tuple[str, dict[str, Any], dict[str, str]]] = {
        "contact": (f"/v1/cases/{case_id}/contacts", contact, collector),
        "waiver": (f"/v1/cases/{case_id}/waivers", {"reason": "测试"}, boss),
        "assignment": (f"/v1/cases/{case_id}/assignment", {"staff_id": "phone-2", "reason": "测试"}, boss),
        "field list": ("/v1/field-lists", {"hand_overs": [phones.line(case_id)]}, phones.headers("phone-2")),
        "recall": (f"/v1/cases/{case_id}/recall", {"reason": "测试"}, boss),
    }
    path, body, headers = sent[name]
    return lambda: phones.http.post(path, json=body, headers=headers)


@pytest.mark.parametrize("name", ["contact", "waiver", "assignment", "field list", "recall"])
async def test_a_command_whose_commit_was_not_answered_is_found_by_its_key_and_not_done_twice(
    phones: Phones, linked: Linked, name: str
) -> None:
    """One after the other on one case, in the order in which people do them."""
    send, (_, before) = await command(phones, name), await linked.count()
    unknown = await linked.unanswered(send)
    assert unknown.status_code == 503, unknown.text
    done = await linked.count()
    assert done[1] == before + 1, "it was done"
    answer = await send()
    assert answer.status_code in (200, 201), answer.text
    assert await linked.count() == done
    assert (await send()).content == answer.content


async def test_the_next_case_asked_for_again_is_the_same_one(phones: Phones, linked: Linked) -> None:
    """It has no key: what is on the desk stays on it until it is logged or put aside."""

    def send() -> Awaitable[httpx.Response]:
        return phones.http.post("/v1/worklist/next", json={}, headers=phones.headers("phone-2"))

    assert (await linked.unanswered(send)).status_code == 503
    held = {(await send()).json()["case"]["case_id"] for _ in range(2)}
    assert held == {(await phones.case_of())["case_id"]}


async def test_a_colleague_kept_again_is_the_one_that_is_there(phones: Phones, linked: Linked) -> None:
    """It has no key either, and needs none: the record as it is comes with the refusal to write over it unseen."""

    def hire() -> Awaitable[httpx.Response]:
        return phones.hire("phone-3")

    assert (await linked.unanswered(hire)).status_code == 503
    told = await linked.count()
    answer = await hire()
    assert answer.status_code in (200, 412, 428), answer.text
    assert await linked.count() == told
    kept = await phones.http.get("/v1/staff/phone-3", headers=phones.boss())
    assert kept.status_code == 200, kept.text
