"""Single events that come at once share a commit, and nothing else: each has its own answer, trace and failure."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx
import pytest
from fastapi import FastAPI

from services.ingest import commands
from services.ingest.commands import Recorded, Verdicts
from services.ingest.domain.intake import Sound
from shared.bus.bus import Bus
from shared.db.faults import CommitUnknown
from shared.events.registry import CARD
from tests.integration.conftest import Stage
from tests.integration.ingest.conftest import of, published, send
from tests.integration.ingest.test_events import facts

MANY = 40


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the transactions that events were recorded in."""
    sizes: list[int] = []
    record = commands.record

    async def counted(bus: Bus, verdicts: Verdicts) -> Recorded:
        sizes.append(len(verdicts))
        return await record(bus, verdicts)

    monkeypatch.setattr(commands, "record", counted)
    return sizes


async def test_events_of_a_moment_share_a_commit_and_each_has_its_own_answer(
    http: httpx.AsyncClient, app: FastAPI, groups: list[int]
) -> None:
    """Seen to fail with each event recorded by itself."""
    twice = of("moment-0")
    events = [*(of(f"moment-{number}") for number in range(MANY)), twice]
    other = of("moment-1")
    other["data"]["balance"] = 1
    wrong = of("moment-wrong")
    wrong["data"]["currency"] = "XXX"
    answers = await asyncio.gather(*(send(http, event) for event in (*events, other, wrong)))
    assert sorted(answer.json()["outcome"] for answer in answers) == [
        *["accepted"] * MANY, "conflict", "rejected", "replayed",
    ]  # fmt: skip
    assert sum(groups) == MANY + 3
    assert len(groups) < MANY / 2
    await published(app)


async def test_an_event_that_fails_fails_alone(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, expected_errors: Callable[[str], None]
) -> None:
    """Seen to fail with the failure told to the whole group."""
    record = commands.record

    async def picky(bus: Bus, verdicts: Verdicts) -> Recorded:
        if any(isinstance(each, Sound) and each.id.endswith("alone-3") for each in verdicts):
            raise RuntimeError("a defect of ours on one event")
        return await record(bus, verdicts)

    monkeypatch.setattr(commands, "record", picky)
    expected_errors("arrears.web: a request failed")
    answers = await asyncio.gather(*(send(http, of(f"alone-{number}")) for number in range(8)))
    assert [answer.status_code for answer in answers] == [202, 202, 202, 500, 202, 202, 202, 202]


async def test_an_unknown_commit_is_told_to_all_who_shared_it(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(_bus: Bus, _verdicts: Verdicts) -> Recorded:
        raise CommitUnknown("the answer to COMMIT was lost")

    with monkeypatch.context() as broken:
        broken.setattr(commands, "record", lost)
        answers = await asyncio.gather(*(send(http, of(f"lost-{number}")) for number in range(5)))
    assert {answer.status_code for answer in answers} == {503}
    again = await asyncio.gather(*(send(http, of(f"lost-{number}")) for number in range(5)))
    assert {answer.status_code for answer in again} == {202}


async def test_what_everybody_has_given_up_is_not_taken_behind_their_backs(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen to fail with the transaction left alone."""
    began, given_up = asyncio.Event(), asyncio.Event()

    async def silent(_bus: Bus, _verdicts: Verdicts) -> Recorded:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            given_up.set()
        raise AssertionError("nobody wakes it")

    with monkeypatch.context() as slow:
        slow.setattr(commands, "record", silent)
        asking = [asyncio.create_task(send(http, of(f"gone-{number}"))) for number in range(3)]
        await began.wait()
        for each in asking:
            each.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        async with asyncio.timeout(10):
            await given_up.wait()
    assert (await send(http, of("gone-after"))).status_code == 202


async def test_each_fact_goes_on_in_the_trace_of_its_own_request(
    http: httpx.AsyncClient, app: FastAPI, stage: Stage
) -> None:
    """Seen to fail with the trace of whoever came first."""
    traces = {f"trace-{number}": f"{number + 1:032x}" for number in range(8)}

    async def post(customer: str, trace: str) -> None:
        headers = {"content-type": "application/cloudevents+json", "traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
        assert (await http.post("/v1/events", json=of(customer), headers=headers)).status_code == 202

    await asyncio.gather(*(post(customer, trace) for customer, trace in traces.items()))
    await published(app)
    told = {headers["ce_partitionkey"]: headers["traceparent"].split("-")[1] for headers, _ in await facts(stage, CARD)}
    assert {customer: told[customer] for customer in traces} == traces
