"""What operators may do with dead letters, and what they never see."""

from __future__ import annotations

import io
from typing import Any

import httpx
import msgspec
import pytest

from shared.bus.headers import Numbers, to_headers
from shared.bus.letters import arguments, run
from shared.ids import uuid7
from shared.web.auth import Role
from tests.integration.bus.log import Record, packed, sound
from tests.integration.bus.toys import dead_letters, payments
from tests.integration.dead_letters.conftest import CANARY, SIGNER, Desk


async def bury(desk: Desk, *numbers: int) -> list[dict[str, Any]]:
    """Let these payments die of a bug, one customer each; returns the letters, the newest first."""
    desk.handler.buggy = {f"p-{number}" for number in numbers}
    await desk.read(*(sound(f"c-{number}", number) for number in numbers))
    desk.handler.buggy = set()
    return await desk.letters()


async def discard(desk: Desk, path: str, **body: object) -> httpx.Response:
    return await desk.http.post(f"/v1/dead-letters/{path}discard", json=body)


async def test_the_list_is_filtered_and_paged_the_newest_first(desk: Desk) -> None:
    letters = await bury(desk, 1, 2, 3, 4, 5)
    assert [letter["sequence"] for letter in letters] == [5, 4, 3, 2, 1]
    answer = await desk.http.get("/v1/dead-letters", params={"limit": 2, "topic": "card", "code": "handler_failed"})
    pages = [answer.json()]
    while pages[-1]["next"]:
        pages.append((await desk.http.get(pages[-1]["next"])).json())
    assert [item["sequence"] for page in pages for item in page["items"]] == [5, 4, 3, 2, 1]
    await discard(desk, f"{letters[0]['id']}/", reason="a test")
    assert [letter["sequence"] for letter in await desk.letters()] == [4, 3, 2, 1]
    assert [letter["sequence"] for letter in await desk.letters(state="discarded")] == [5]
    assert len(await desk.letters(state="all")) == 5
    assert await desk.letters(topic="risk") == await desk.letters(code="foreign") == []


async def test_a_discarded_letter_says_who_and_why_and_takes_no_effect(desk: Desk) -> None:
    [letter] = await bury(desk, 1)
    answer = await discard(desk, f"{letter['id']}/", reason="测试数据")
    assert (answer.status_code, answer.json()["outcome"]) == (200, "discarded")
    [row] = await dead_letters(desk.toys.read_url)
    assert (row["state"], row["resolved_by"], row["resolved_reason"]) == ("discarded", "op-1", "测试数据")
    assert row["body"] == packed("c-1", 1).value
    assert await desk.blocked("c-1") == set()
    for path, body in ((f"{letter['id']}/replay", None), (f"{letter['id']}/discard", {"reason": "again"})):
        again = await desk.http.post(f"/v1/dead-letters/{path}", json=body)
        assert (again.status_code, again.json()["state"]) == (409, "discarded")
    assert await payments(desk.toys.read_url) == {}


@pytest.mark.parametrize("reason", [None, "", "   ", "two\nlines", "x" * 501])
async def test_nothing_is_discarded_without_a_reason(desk: Desk, reason: str | None) -> None:
    [letter] = await bury(desk, 1)
    body = {} if reason is None else {"reason": reason}
    for answer in (
        await discard(desk, f"{letter['id']}/", **body),
        await discard(desk, "", code="handler_failed", **body),
    ):
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "reason")
    assert len(await desk.letters()) == 1


async def test_all_letters_of_a_code_are_discarded_with_an_outcome_each(desk: Desk) -> None:
    await bury(desk, 1, 2, 3)
    answer = await discard(desk, "", code="handler_failed", topic="card", limit=2, reason="a test")
    assert [item["outcome"] for item in answer.json()["items"]] == ["discarded", "discarded"]
    assert [letter["sequence"] for letter in await desk.letters()] == [3]
    answer = await desk.http.post("/v1/dead-letters/replay", json={"code": "handler_failed", "limit": 501})
    assert answer.status_code == 422


async def test_an_erased_letter_keeps_who_and_why_and_nothing_of_the_customer(desk: Desk) -> None:
    fact = packed("c-1", 1)
    headers = [*to_headers(fact, "/arrears/ingest", Numbers(7, 1, (0, 0))), ("x-name", CANARY.encode())]
    desk.handler.buggy = {"p-1"}
    await desk.read(Record(fact.value, headers))
    [letter] = await desk.letters()
    await discard(desk, f"{letter['id']}/", reason="a test", erase=True)
    [row] = await dead_letters(desk.toys.read_url)
    assert (row["body"], row["detail"], row["resolved_reason"]) == (None, "", "a test")
    assert [name for name, _ in msgspec.json.decode(row["headers"])] == [name for name, _ in headers[:-1]]
    shown = (await desk.http.get(f"/v1/dead-letters/{letter['id']}")).json()
    assert (shown["body"], shown["body_bytes"], shown["type"]) == (None, None, "arrears.payment.posted.v1")


async def test_an_operator_sees_the_fault_and_no_customers_data(desk: Desk) -> None:
    """In no answer, whatever field, header or error text the data stand in."""
    fact = packed("c-0", 1)
    value = {"customer_id": "c-0", "amount": CANARY, "name": CANARY, CANARY: [CANARY, {"note": CANARY}]}
    ours = to_headers(fact, "/arrears/ingest", Numbers(7, 1, (0, 0)))
    await desk.read(Record(msgspec.json.encode(value), [*ours, ("x", CANARY.encode())], CANARY.encode()))
    await desk.read(Record(CANARY.encode(), [("ce_type", CANARY.encode()), (CANARY, b"1")], CANARY.encode()))
    await bury(desk, 2)
    shown = [await desk.http.get("/v1/dead-letters")]
    for letter in shown[0].json()["items"]:
        shown.append(await desk.http.get(f"/v1/dead-letters/{letter['id']}"))
        shown.append(await desk.http.post(f"/v1/dead-letters/{letter['id']}/replay"))
    assert len(shown) == 7
    for answer in shown:
        assert answer.status_code == 200
        assert not any(part in answer.text for part in CANARY.split())
    [whole] = [answer.json() for answer in shown if answer.json().get("sequence") == 1]
    assert whole["body"]["customer_id"] == "c-0"
    assert whole["body"]["amount"] == f"<text of {len(CANARY)}>"
    assert whole["cause"] == "Expected `int`, got `str` - at `$.amount`"


async def test_an_unknown_letter_is_404_and_every_other_role_is_403(desk: Desk) -> None:
    unknown = f"/v1/dead-letters/{uuid7()}"
    calls = [
        ("GET", unknown, None),
        ("POST", f"{unknown}/replay", None),
        ("POST", f"{unknown}/discard", {"reason": "x"}),
    ]
    for method, path, body in calls:
        assert (await desk.http.request(method, path, json=body)).status_code == 404
    bulk = ("POST", "/v1/dead-letters/replay", {"code": "x"}), ("GET", "/v1/dead-letters", None)
    for role in set(Role) - {Role.OPERATOR}:
        for method, path, body in (*calls, *bulk):
            answer = await desk.http.request(method, path, json=body, headers=SIGNER.bearer("s-1", role))
            assert answer.status_code == 403


async def test_the_shell_command_does_the_same_in_the_operators_name(desk: Desk) -> None:
    await bury(desk, 1, 2, 3)

    async def told(*words: str) -> tuple[int, str]:
        out = io.StringIO()
        code = await run(arguments(["--service", "http://toy", *words]), desk.http, out.write)
        return code, out.getvalue()

    newest, middle, _ = await desk.letters()
    assert (await told("list"))[1].count("handler_failed") == 3
    assert '"amount": 100' in (await told("show", newest["id"]))[1]
    assert (await told("replay", newest["id"]))[0] == 0
    assert (await told("replay", newest["id"]))[0] == 1
    assert (await told("discard", middle["id"], "--reason", "a test", "--erase"))[0] == 0
    assert (await told("replay", "--code", "handler_failed", "--topic", "card"))[1].count("replayed") == 1
    assert (await told("list"))[1] == "none\n"
    assert '"act": "discard_and_erase"' in (await told("show", middle["id"]))[1]
    assert {row["resolved_by"] for row in await dead_letters(desk.toys.read_url)} == {"op-1"}
