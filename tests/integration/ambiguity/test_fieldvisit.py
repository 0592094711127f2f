"""Commands of the field collectors whose COMMIT was done and not answered: found by their key, not done twice."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest_asyncio

from shared.clock import FrozenClock
from shared.ids import uuid7
from tests.integration.ambiguity.conftest import Linked, timers_asleep
from tests.integration.fieldvisit.conftest import Field, running
from tests.unit.fieldvisit.build import HOUR, NOW


@pytest_asyncio.fixture(scope="module")
async def desk(linked: Linked) -> AsyncIterator[Field]:
    """The field desk on Wednesday 10:00."""
    clock = FrozenClock(NOW)
    async with (
        running(linked, clock) as (app, signer),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://fieldvisit.test") as http,
        timers_asleep(),
    ):
        yield Field(app, http, clock, signer, linked, 1)


async def found(linked: Linked, desk: Field, path: str, body: dict[str, object]) -> None:
    """Send a command whose COMMIT is not answered, and send it again."""
    headers = {**desk.headers(), "idempotency-key": str(uuid7())}
    before = await linked.count()
    unknown = await linked.unanswered(lambda: desk.http.post(path, json=body, headers=headers))
    assert unknown.status_code == 503, unknown.text
    done = await linked.count()
    assert done[0] > before[0]
    answer = await desk.http.post(path, json=body, headers=headers)
    assert answer.status_code in (200, 201), answer.text
    assert await linked.count() == done


async def test_a_plan_a_visits_begin_and_its_report_are_found_by_their_key_and_not_done_twice(
    desk: Field, linked: Linked
) -> None:
    visit_id = await desk.handed_over()
    await found(linked, desk, "/v1/plans", {"visits": [desk.line(visit_id)]})
    desk.clock.set(NOW + 2 * HOUR)
    await found(linked, desk, f"/v1/visits/{visit_id}/start", {})
    report: dict[str, object] = {"party": "SELF", "outcome": "INFO", "recorder_id": "R1"}
    await found(linked, desk, f"/v1/visits/{visit_id}/complete", report)
    told = sorted(type(fact).__name__ for fact in await desk.told())
    assert told == ["PlanFiled", "VisitAccepted", "VisitCompleted", "VisitPlanned", "VisitStarted"]
