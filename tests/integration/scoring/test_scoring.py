"""Facts of `card` in, gradings out and shown, on a real PostgreSQL and Kafka."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, TopicPartition
from fastapi import FastAPI
from msgspec import structs

from services.scoring import store
from services.scoring.app import create_app
from services.scoring.settings import Settings
from services.scoring.store import CustomerRow
from shared.bus.bus import Bus
from shared.bus.unit_of_work import UnitOfWork
from shared.clock import FrozenClock
from shared.db.guard import StaleState
from shared.events.kinds import Fact
from shared.events.registry import RISK
from shared.web.app import Parts
from shared.web.auth import Role, TokenVerifier
from shared.web.keys import FixedKeys
from shared.web.signing import Signer
from tests.integration.conftest import Stage
from tests.unit.scoring.facts import at, cure, months, payment, reversal, snapshot

SIGNER = Signer.generate(issuer="http://issuer.test")
NOW = datetime(2026, 2, 25, 2, tzinfo=UTC)
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while True:
            if await true():
                return
            await asyncio.sleep(0.05)


@dataclass
class Desk:
    """Scoring as it runs, a bus that tells facts as intake would, and the clock of both."""

    stage: Stage
    app: FastAPI
    intake: Bus
    http: httpx.AsyncClient
    clock: FrozenClock

    async def tell(self, customer_id: str, *facts: Fact, traceparent: str | None = None) -> None:
        """Tell the facts as those of this customer, in one transaction, and wait until scoring has settled."""

        async def act(uow: UnitOfWork) -> None:
            for fact in facts:
                uow.emit(structs.replace(fact, customer_id=customer_id), traceparent=traceparent)

        await self.intake.transact(act)
        await self.settled()

    async def settled(self) -> None:
        async def at_rest() -> bool:
            return (await self.intake.idle()).idle and (await self.app.state.bus.idle()).idle

        await until(at_rest)

    async def grades(self, customer_id: str) -> list[dict[str, Any]]:
        """Return the customer's gradings as the API shows them, newest first."""
        answer = await self.http.get(f"/v1/customers/{customer_id}/grades")
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    async def told(self, customer_id: str) -> list[tuple[dict[str, str], dict[str, Any]]]:
        """Return headers and value of every fact of the topic `risk` about the customer."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.stage.infra.bootstrap, enable_auto_commit=False)
        await consumer.start()
        try:
            name = RISK.full_name(self.stage.namespace)
            parts = [TopicPartition(name, number) for number in range(self.stage.partitions)]
            consumer.assign(parts)
            await consumer.seek_to_beginning(*parts)
            ends = await consumer.end_offsets(parts)
            found = []
            while any([await consumer.position(each) < ends[each] for each in parts]):
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    found += [({k: v.decode() for k, v in r.headers}, json.loads(r.value)) for r in records]
        finally:
            await consumer.stop()
        return [(headers, value) for headers, value in found if value["customer_id"] == customer_id]


@pytest_asyncio.fixture(scope="module")
async def desk(stage: Stage) -> AsyncIterator[Desk]:
    clock = FrozenClock(NOW)
    intake = Bus(service="ingest", settings=stage.settings(await stage.migrated("ingest")), clock=clock)
    verifier = TokenVerifier(issuer=SIGNER.issuer, audience=SIGNER.audience, keys=FixedKeys(SIGNER.jwks()))
    settings = Settings.model_validate(stage.surroundings(await stage.migrated("scoring")))
    app = create_app(settings, parts=Parts(verifier=verifier, clock=clock))
    headers = SIGNER.bearer("sup-1", Role.SUPERVISOR)
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://scoring", headers=headers)
    async with intake.running(), app.router.lifespan_context(app), client as http:

        async def ready() -> bool:
            return not [*await intake.not_ready(), *await app.state.bus.not_ready()]

        await until(ready)
        yield Desk(stage, app, intake, http, clock)


@pytest.fixture(autouse=True)
def at_ten_in_the_morning(desk: Desk) -> None:
    desk.clock.set(NOW)


async def test_a_snapshot_is_graded_told_and_shown_with_reasons_and_basis(desk: Desk) -> None:
    await desk.tell("new", snapshot(days=75, periods=3, history=months(3, 2, 1, 0)), traceparent=TRACE)
    (shown,) = await desk.grades("new")
    assert (shown["bucket"], shown["grade"], shown["version"]) == ("M3", "E", 1)
    assert (shown["card"], shown["card_version"]) == ("expert-points", "2026-01")
    assert shown["reasons"][0] == {"code": "days_past_due", "zh": "逾期 61 至 90 天", "en": "61 to 90 days past due"}
    assert sum(line["points"] for line in shown["basis"]["points"]) == shown["score"]
    ((headers, fact),) = await desk.told("new")
    assert (fact["grade"], fact["suggested_treatment"]) == (shown["grade"], shown["suggested_treatment"])
    assert headers["traceparent"].split("-")[1] == TRACE.split("-")[1]
    assert headers["ce_causeid"]


async def test_a_payment_a_reversal_and_a_cure_change_the_grade_and_each_change_is_told_once(desk: Desk) -> None:
    await desk.tell("story", snapshot(days=40, periods=2))
    await desk.tell("story", payment(120_000))
    await desk.tell("story", payment(120_000), snapshot(days=40, periods=2))
    await desk.tell("story", reversal(120_000))
    await desk.tell("story", cure(at(25, 3)))
    buckets = [shown["bucket"] for shown in await desk.grades("story")]
    assert buckets == ["M0", "M2", "M0", "M2"]
    facts = [fact for _, fact in await desk.told("story")]
    assert [fact["version"] for fact in facts] == [1, 2, 3, 4]
    assert [fact["bucket"] for fact in facts] == buckets[::-1]


async def test_payments_before_their_debt_leave_the_same_grade_as_after_it(desk: Desk) -> None:
    facts: Sequence[Fact] = (reversal(60_000), payment(60_000), payment(60_000, number=2), snapshot(days=40))
    for fact in facts:
        await desk.tell("early", fact)
    await desk.tell("late", *reversed(facts))
    early, late = (await desk.grades("early"))[0], (await desk.grades("late"))[0]
    assert [early[name] for name in ("score", "grade", "bucket", "basis")] == [
        late[name] for name in ("score", "grade", "bucket", "basis")
    ]


async def test_an_account_that_ages_is_graded_anew_by_itself_in_the_trace_of_its_last_fact(desk: Desk) -> None:
    await desk.tell("older", snapshot(days=30), traceparent=TRACE)
    desk.clock.set(NOW + timedelta(days=1))
    await desk.settled()
    assert [shown["bucket"] for shown in await desk.grades("older")] == ["M2", "M1"]
    headers = [headers for headers, _ in await desk.told("older")]
    assert [each["traceparent"].split("-")[1] for each in headers] == [TRACE.split("-")[1]] * 2


async def test_a_months_sleep_of_the_clock_grades_once_for_what_is_then(desk: Desk) -> None:
    await desk.tell("slept", snapshot(days=1))
    desk.clock.set(NOW + timedelta(days=100))
    await desk.settled()
    assert [shown["bucket"] for shown in await desk.grades("slept")] == ["M4", "M1"]


async def test_a_payment_in_another_currency_is_a_dead_letter_and_the_rest_goes_on(desk: Desk) -> None:
    await desk.tell("dollars", snapshot(currency="USD"), payment(100))
    await desk.tell("dollars", cure())
    assert [shown["bucket"] for shown in await desk.grades("dollars")] == ["M0", "M1"]
    async with desk.app.state.bus.reading() as connection:
        dead = await connection.fetch("SELECT code FROM dead_letter WHERE key = 'dollars'")
    assert [row["code"] for row in dead] == ["currency_mismatch"]


async def test_each_account_of_a_customer_has_its_own_grades(desk: Desk) -> None:
    await desk.tell("two", snapshot(days=40, account_id="a-1"), snapshot(days=5, account_id="a-2"))
    assert {(shown["account_id"], shown["bucket"]) for shown in await desk.grades("two")} == {
        ("a-1", "M2"),
        ("a-2", "M1"),
    }


async def test_grades_are_paged_newest_first_without_gap_or_repetition(desk: Desk) -> None:
    facts = [snapshot(days=40, account_id=f"a-{number}") for number in range(7)]
    await desk.tell("paged", *facts)
    found: list[str] = []
    following: str | None = "/v1/customers/paged/grades?limit=3"
    while following:
        page = (await desk.http.get(following)).json()
        found += [shown["account_id"] for shown in page["items"]]
        following = page["next"]
    assert found == [f"a-{number}" for number in reversed(range(7))]


async def test_a_customer_of_whom_nothing_is_known_is_not_found_and_one_without_grade_has_none(desk: Desk) -> None:
    await desk.tell("stub", payment(100))
    assert await desk.grades("stub") == []
    assert (await desk.http.get("/v1/customers/nobody/grades")).status_code == 404


@pytest.mark.parametrize("path", ["grades?cursor=x", "grades?limit=0", "grades?limit=x"])
async def test_a_wrong_question_gets_a_problem_document(desk: Desk, path: str) -> None:
    answer = await desk.http.get(f"/v1/customers/new/{path}")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_fields")


@pytest.mark.parametrize("role", list(Role))
async def test_only_supervisors_and_phone_agents_read_grades(desk: Desk, role: Role) -> None:
    answer = await desk.http.get("/v1/customers/new/grades", headers=SIGNER.bearer("somebody", role))
    assert answer.status_code == (200 if role is Role.SUPERVISOR else 403)


async def test_of_two_writers_of_a_new_customer_the_second_must_load_again(desk: Desk) -> None:
    """FOR UPDATE locks no row that is not there; the guarded upsert does."""
    async with desk.app.state.bus.reading() as connection:
        row = CustomerRow("raced")
        await store.save(connection, [row])
        with pytest.raises(StaleState):
            await store.save(connection, [row])
        assert (await store.load(connection, ["raced"]))["raced"].version == 1


async def test_a_due_customer_that_another_replica_holds_is_left_to_it(desk: Desk) -> None:
    bus = desk.app.state.bus
    due = NOW + timedelta(days=300)
    async with bus.reading() as mine, bus.reading() as other:
        await store.save(mine, [structs.replace(CustomerRow("held"), next_due=due)])
        async with mine.transaction():
            assert "held" in [row.customer_id for row in await store.load_due(mine, due, 1000)]
            assert await store.load_due(other, due, 1000) == []
        assert "held" in [row.customer_id for row in await store.load_due(other, due, 1000)]
