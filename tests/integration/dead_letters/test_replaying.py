"""A dead fact that is handled again takes effect once, in its order, under its own ids and trace."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.bus import replaying
from shared.bus.headers import Numbers, text_of, to_headers
from shared.bus.outcomes import Dead, Later, Outcome, Skip
from shared.bus.unit_of_work import Incoming
from shared.clock import FrozenClock
from shared.events.registry import RISK
from shared.ids import derived_id
from tests.integration.bus.log import Record, facts_in, faults_of, log_of, packed, sound
from tests.integration.bus.toys import NOON, at_rest, dead_letters, execute, fetch, payments, running
from tests.integration.dead_letters.conftest import Desk


async def replayed(desk: Desk, letter_id: str) -> tuple[int, dict[str, Any]]:
    answer = await desk.http.post(f"/v1/dead-letters/{letter_id}/replay")
    return answer.status_code, answer.json()


async def ids_told(desk: Desk) -> list[str]:
    """The id at each place of the log; a publisher may repeat a place, and a fact told twice would have two."""
    await at_rest(desk.bus)
    log = await log_of(desk.toys.stage, RISK)
    assert faults_of(log) == []
    places = {(number, each.epoch, each.sequence): each.id for number, records in log.items() for each in records}
    return list(places.values())


async def traces_told(desk: Desk) -> set[str]:
    """The trace ids of the grades in the log."""
    await at_rest(desk.bus)
    name = RISK.full_name(desk.toys.stage.namespace)
    tps = [TopicPartition(name, number) for number in range(desk.toys.stage.partitions)]
    kafka = AIOKafkaConsumer(bootstrap_servers=desk.toys.stage.infra.bootstrap, enable_auto_commit=False)
    await kafka.start()
    try:
        kafka.assign(tps)
        await kafka.seek_to_beginning(*tps)
        records = [each for batch in (await kafka.getmany(timeout_ms=5000)).values() for each in batch]
    finally:
        await kafka.stop()
    return {(text_of(record.headers, "traceparent") or "").split("-")[1] for record in records}


async def test_a_fact_that_died_of_a_bug_takes_effect_once_when_the_mended_handler_replays_it(desk: Desk) -> None:
    """Its number was passed long ago and is no reason to take it for a duplicate."""
    desk.handler.buggy = {"p-2"}
    await desk.read(*(sound("c-0", number) for number in (1, 2, 3)))
    [letter] = await desk.letters()
    assert await desk.blocked("c-0") == {"c-0"}
    desk.handler.buggy = set()
    status, act = await replayed(desk, letter["id"])
    assert (status, act["outcome"]) == (200, "replayed")
    assert await payments(desk.toys.read_url) == {"c-0": ["p-1", "p-3", "p-2"]}
    told = await ids_told(desk)
    assert len(told) == len(set(told)) == 3
    assert str(derived_id("scoring", "card", 0, 7, 2, 1)) in told
    assert await desk.blocked("c-0") == set()
    [row] = await dead_letters(desk.toys.read_url)
    assert (row["state"], row["resolved_by"], row["resolved_at"], row["attempts"]) == ("replayed", "op-1", NOON, 4)


async def test_a_resolved_letter_is_not_replayed_again_and_tells_who_did_it(desk: Desk) -> None:
    desk.handler.buggy = {"p-1"}
    await desk.read(sound("c-0", 1))
    [letter] = await desk.letters()
    desk.handler.buggy = set()
    assert (await replayed(desk, letter["id"]))[0] == 200
    status, problem = await replayed(desk, letter["id"])
    assert (status, problem["code"], problem["state"], problem["acted_by"]) == (409, "conflict", "replayed", "op-1")
    assert await payments(desk.toys.read_url) == {"c-0": ["p-1"]}


async def test_a_letter_that_somebody_acts_on_is_busy_to_everybody_else(desk: Desk) -> None:
    """And nobody waits: the second is told at once, and the first is not disturbed."""
    desk.handler.buggy = {"p-1"}
    await desk.read(sound("c-0", 1))
    [letter] = await desk.letters()
    desk.handler.buggy = set()
    desk.handler.gate = asyncio.Event()
    tries = len(desk.handler.traces)
    first = asyncio.create_task(replayed(desk, letter["id"]))
    while len(desk.handler.traces) == tries:  # noqa: ASYNC110 - until the first is inside the handler
        await asyncio.sleep(0.01)
    async with asyncio.timeout(4):
        assert (await replayed(desk, letter["id"]))[0] == 409
        answer = await desk.http.post(f"/v1/dead-letters/{letter['id']}/discard", json={"reason": "a test"})
        bulk = await desk.http.post("/v1/dead-letters/replay", json={"code": "handler_failed"})
    assert (answer.status_code, bulk.json()["items"][0]["outcome"]) == (409, "busy")
    desk.handler.gate.set()
    assert (await first)[1]["outcome"] == "replayed"
    assert await payments(desk.toys.read_url) == {"c-0": ["p-1"]}


async def test_what_a_replay_tells_goes_on_in_the_facts_own_trace(desk: Desk) -> None:
    """Not in the trace of the operator's request."""
    desk.handler.buggy = {"p-1"}
    await desk.read(sound("c-0", 1))
    [letter] = await desk.letters()
    assert letter["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    desk.handler.buggy = set()
    await replayed(desk, letter["id"])
    assert (desk.handler.traces[-1] or "").split("-")[1] == letter["trace_id"]
    assert await traces_told(desk) == {letter["trace_id"]}


async def test_replays_at_once_from_two_replicas_take_effect_once(desk: Desk) -> None:
    desk.handler.buggy = {"p-1", "p-2", "p-3"}
    await desk.read(*(sound(f"c-{number}", number) for number in (1, 2, 3)))
    desk.handler.buggy = set()
    ids = [UUID(letter["id"]) for letter in await desk.letters()]
    other = desk.toys.reader(desk.handler, instance="1")
    async with running(other):
        buses = (desk.bus, other, desk.bus)
        acts = await asyncio.gather(*(replaying.replay(bus, each, "op-1") for each in ids for bus in buses))
    became = [act.became for act in acts]
    assert became.count("replayed") == 3
    assert set(became) <= {"replayed", "busy", "resolved"}
    assert await payments(desk.toys.read_url) == {f"c-{number}": [f"p-{number}"] for number in (1, 2, 3)}
    told = await ids_told(desk)
    assert len(told) == len(set(told)) == 3


async def test_a_replay_that_fails_again_stores_nothing_and_leaves_the_letter_open_with_the_new_cause(
    desk: Desk,
) -> None:
    """What the handler wrote before it failed is rolled back, also when it gives the fact up itself."""
    desk.handler.buggy = {"p-1"}
    await desk.read(sound("c-0", 1))
    [letter] = await desk.letters()
    status, act = await replayed(desk, letter["id"])
    assert (status, act["outcome"], act["code"], act["cause"]) == (200, "failed", "handler_failed", "KeyError")
    assert act["attempts"] == letter["attempts"] + 1

    desk.handler.instead = lambda _: Dead("unwanted", "says the toy")
    desk.handler.buggy = set()
    _, act = await replayed(desk, letter["id"])
    assert (act["outcome"], act["code"], act["attempts"]) == ("failed", "unwanted", letter["attempts"] + 2)
    [row] = await dead_letters(desk.toys.read_url)
    assert (row["state"], row["detail"], row["resolved_by"]) == ("open", "says the toy", "op-1")
    assert await payments(desk.toys.read_url) == {}
    assert await desk.blocked("c-0") == {"c-0"}
    assert facts_in(await log_of(desk.toys.stage, RISK)) == {}


async def test_the_letters_of_one_customer_are_replayed_in_their_order(desk: Desk) -> None:
    """Oldest first in bulk; a later one by itself is held, and stays held while the earlier one fails again."""
    desk.handler.buggy = {f"p-{number}" for number in range(1, 7)}
    await desk.read(*(sound("c-0" if number % 2 else "c-1", number) for number in range(1, 7)))
    first, later = (await desk.letters())[-1], (await desk.letters())[0]
    assert (first["sequence"], later["sequence"]) == (1, 6)
    status, problem = await replayed(desk, later["id"])
    assert (status, problem["behind"]) == (409, (await desk.letters())[-2]["id"])

    desk.handler.buggy = {"p-3"}
    answer = await desk.http.post("/v1/dead-letters/replay", json={"code": "handler_failed"})
    outcomes = [item["outcome"] for item in answer.json()["items"]]
    assert outcomes == ["replayed", "replayed", "failed", "replayed", "held", "replayed"]
    assert await payments(desk.toys.read_url) == {"c-0": ["p-1"], "c-1": ["p-2", "p-4", "p-6"]}

    desk.handler.buggy = set()
    await desk.http.post("/v1/dead-letters/replay", json={"code": "handler_failed", "topic": "card", "limit": 1})
    await desk.http.post("/v1/dead-letters/replay", json={"code": "handler_failed", "topic": "risk"})
    assert (await payments(desk.toys.read_url))["c-0"] == ["p-1", "p-3"]
    await desk.http.post("/v1/dead-letters/replay", json={"code": "handler_failed"})
    assert (await payments(desk.toys.read_url))["c-0"] == ["p-1", "p-3", "p-5"]
    assert await desk.letters() == []


async def test_a_record_of_a_stranger_is_never_replayed_whatever_numbers_it_carries(desk: Desk) -> None:
    """Seen to fail with the numbers read from the headers again: the forged payment took effect."""
    fact = packed("c-0", 1)
    forged = to_headers(fact, "/arrears/stranger", Numbers(7, 1, (0, 0)))
    await desk.read(Record(fact.value, forged))
    [letter] = await desk.letters()
    _, act = await replayed(desk, letter["id"])
    assert (act["outcome"], act["code"]) == ("failed", "foreign")
    assert await payments(desk.toys.read_url) == {}


async def test_a_fact_that_this_version_can_read_at_last_takes_effect(desk: Desk) -> None:
    """As after a deploy that knows the fact's form: here the stored bytes are what changes."""
    fact = packed("c-0", 1)
    await desk.read(Record(b'{"amount": 1}', to_headers(fact, "/arrears/ingest", Numbers(7, 1, (0, 0)))))
    [letter] = await desk.letters()
    assert (letter["code"], letter["step"]) == ("undecodable", "decode")
    assert (await replayed(desk, letter["id"]))[1]["cause"] == letter["cause"]
    await execute(desk.toys.read_url, "UPDATE dead_letter SET body = $1", fact.value)
    assert (await replayed(desk, letter["id"]))[1]["outcome"] == "replayed"
    assert await payments(desk.toys.read_url) == {"c-0": ["p-1"]}


async def test_a_replayed_fact_may_wait_or_change_nothing(desk: Desk) -> None:
    desk.handler.buggy = {"p-1", "p-2"}
    await desk.read(sound("c-0", 1), sound("c-1", 2))

    def instead(item: Incoming) -> Outcome | None:
        if item.key == "c-1":
            return Skip("known")
        return Later(NOON + timedelta(hours=1)) if desk.bus.clock.now() == NOON else None

    desk.handler.instead = instead
    desk.handler.buggy = set()
    answer = await desk.http.post("/v1/dead-letters/replay", json={"code": "handler_failed"})
    assert [item["outcome"] for item in answer.json()["items"]] == ["replayed", "replayed"]
    [waiting] = await fetch(desk.toys.read_url, "SELECT key, due, attempts FROM deferred")
    assert tuple(waiting) == ("c-0", NOON + timedelta(hours=1), 4)
    assert isinstance(desk.bus.clock, FrozenClock)
    desk.bus.clock.set(NOON + timedelta(hours=1))
    await at_rest(desk.bus)
    assert await payments(desk.toys.read_url) == {"c-0": ["p-1"]}


async def test_a_race_lost_while_replaying_is_run_again_and_is_no_failure(desk: Desk) -> None:
    desk.handler.buggy = {"p-1"}
    await desk.read(sound("c-0", 1))
    [letter] = await desk.letters()
    desk.handler.buggy = set()
    desk.handler.races = 2
    assert (await replayed(desk, letter["id"]))[1]["outcome"] == "replayed"
    assert await payments(desk.toys.read_url) == {"c-0": ["p-1"]}


async def test_surroundings_that_are_away_are_no_failure_of_the_fact(desk: Desk) -> None:
    desk.handler.buggy = {"p-1"}
    await desk.read(sound("c-0", 1))
    [letter] = await desk.letters()
    desk.handler.buggy = set()
    desk.handler.races = 1000
    assert (await replayed(desk, letter["id"]))[0] == 503
    assert await desk.letters() == [letter]
