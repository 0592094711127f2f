from __future__ import annotations

import io
import json
from collections.abc import Callable

import httpx
import pytest

from shared.bus.letters import arguments, run, table

ID = "0192f0c1-1111-7222-8333-000000000001"
LETTER = {
    "id": ID,
    "failed_at": "2026-02-25T04:00:00Z",
    "topic": "card",
    "partition": 0,
    "sequence": 7,
    "key": "c-7",
    "code": "handler_failed",
    "cause": "KeyError",
    "attempts": 3,
    "state": "open",
    "acted_by": None,
}
REPLAYED = {"id": ID, "outcome": "replayed", "code": None, "cause": None, "attempts": None, "behind": None}


async def told(answer: Callable[[httpx.Request], httpx.Response], *words: str) -> tuple[int, str]:
    """Run the command against a service that answers so; returns the exit code and what it wrote."""
    out = io.StringIO()
    asked = arguments(["--service", "http://service", *words])
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://service") as http:
        return await run(asked, http, out.write), out.getvalue()


async def test_the_list_follows_the_pages_until_the_limit() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        following = None if "cursor" in request.url.params else "/v1/dead-letters?state=open&cursor=abc"
        return httpx.Response(200, json={"items": [LETTER], "next": following})

    code, text = await told(answer, "list")
    lines = text.splitlines()
    assert (code, len(lines)) == (0, 3)
    assert lines[0].split()[:3] == ["failed_at", "id", "topic"]
    assert "acted_by" not in lines[0]
    assert len((await told(answer, "list", "--limit", "1"))[1].splitlines()) == 2


async def test_a_bulk_replay_sends_code_topic_and_limit_and_shows_each_outcome() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/v1/dead-letters/replay"
        assert json.loads(request.content) == {"code": "handler_failed", "topic": "card", "limit": 500}
        return httpx.Response(200, json={"items": [REPLAYED]})

    words = ("replay", "--code", "handler_failed", "--topic", "card")
    assert await told(answer, *words) == (0, f"id{' ' * 36}outcome\n{ID}  replayed\n")


@pytest.mark.parametrize("outcome", ["failed", "held", "busy"])
async def test_what_was_not_done_ends_with_1(outcome: str) -> None:
    items = [REPLAYED, {**REPLAYED, "outcome": outcome}]
    code, _ = await told(lambda _: httpx.Response(200, json={"items": items}), "replay", "--code", "x")
    assert code == 1


async def test_a_refusal_is_shown_in_both_languages_with_who_was_first() -> None:
    problem = {"code": "conflict", "detail": "这封死信已处理。", "detail_en": "It is resolved.", "acted_by": "op-2"}
    code, text = await told(lambda _: httpx.Response(409, json=problem), "discard", ID, "--reason", "test data")
    assert (code, text) == (1, "409 conflict: 这封死信已处理。 It is resolved.\n  acted_by: op-2\n")


async def test_an_address_that_is_no_service_is_told() -> None:
    code, text = await told(lambda _: httpx.Response(200, text="<html>"), "show", ID)
    assert code == 1
    assert "without JSON" in text


@pytest.mark.parametrize("words", [["replay"], ["discard", ID], ["replay", ID, "--code", "x"], ["drop"], []])
def test_a_call_that_makes_no_sense_ends_with_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        arguments(["--service", "http://service", *words])
    assert ended.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_an_empty_table_says_so() -> None:
    assert table([], ("id",)) == "none\n"
