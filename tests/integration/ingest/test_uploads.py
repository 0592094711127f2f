"""A portfolio that comes once and whole, or shuffled, doubled and in twenty uploads: nobody can tell afterwards."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest_asyncio
from fastapi import FastAPI

from services.assignment.app import create_app as create_assignment
from services.assignment.settings import Settings as AssignmentSettings
from services.scoring.app import create_app as create_scoring
from services.scoring.settings import Settings as ScoringSettings
from shared.clock import FrozenClock
from shared.events.registry import CARD
from shared.web.app import Parts
from shared.web.auth import TokenVerifier
from shared.web.keys import FixedKeys
from tests.integration.conftest import Stage
from tests.integration.ingest.conftest import SIGNER, at_rest, ready, until
from tests.integration.ingest.test_events import facts
from tests.integration.ingest.test_load import loaded
from tests.unit.ingest.events import NOW
from tests.unit.ingest.loading.files import HEADER, ROW, csv_file

ACCOUNTS, UPLOADS = 60, 20

# How often an account was graded on the way, which its version counts, depends on the order, and nothing else does.
_SCORES = """
SELECT DISTINCT ON (g.customer_id, g.account_id) g.customer_id, g.account_id, g.score, g.grade, g.bucket,
    g.suggested_treatment, g.reasons, c.state #> ARRAY['accounts', g.account_id, 'ledger'] AS ledger,
    c.state #> ARRAY['accounts', g.account_id, 'reported'] AS reported
FROM grading g JOIN customer_score c USING (customer_id) ORDER BY g.customer_id, g.account_id, g.version DESC
"""
_CASES = "SELECT customer_id, status, queue, bucket, grade, rank, currency, owed, workable FROM customer"


def rows_of(name: str) -> list[list[str]]:
    """Three snapshots of each account, the newest of which says most; two accounts a customer."""
    return [
        [
            f"{name}-{number // 2:03d}", f"{name}-acc-{number:03d}", *ROW[2:4], f"2026-02-{day} 08:00",
            "2026-02-05", f"2026/{1 + number % 2}/{5 + number % 15}", "500",
            f"{1000 + number + day}", "1000", "", "", f"{9000 + day}.50", "20000", f"{1 + number % 3}",
        ]
        for number in range(ACCOUNTS)
        for day in (22, 23, 24)
    ]  # fmt: skip


@pytest_asyncio.fixture(scope="module")
async def others(stage: Stage) -> AsyncIterator[dict[str, tuple[FastAPI, str]]]:
    """Scoring and assignment beside intake, each with its database."""
    made = {}
    async with AsyncExitStack() as exits:
        verifier = TokenVerifier(issuer=SIGNER.issuer, audience=SIGNER.audience, keys=FixedKeys(SIGNER.jwks()))
        parts = Parts(verifier=verifier, clock=FrozenClock(NOW))
        urls = {name: await stage.migrated(name) for name in ("scoring", "assignment")}
        around = {name: stage.surroundings(url) for name, url in urls.items()}
        apps = {
            "scoring": create_scoring(ScoringSettings.model_validate(around["scoring"]), parts=parts),
            "assignment": create_assignment(AssignmentSettings.model_validate(around["assignment"]), parts=parts),
        }
        for name, app in apps.items():
            await exits.enter_async_context(app.router.lifespan_context(app))
            made[name] = (app, urls[name])
        for app in apps.values():
            await until(partial(ready, app))
        yield made


async def state(url: str, query: str, name: str) -> list[tuple[Any, ...]]:
    """Return what a service holds of the customers of a name, the name itself taken out."""
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(query)
    finally:
        await connection.close()
    found = [row for row in rows if row["customer_id"].startswith(f"{name}-")]
    return sorted(tuple(str(value).replace(f"{name}-", "x-") for value in row) for row in found)


async def settled(apps: Sequence[FastAPI]) -> None:
    """Wait until a round through all services finds nothing to do twice."""
    marks: list[int] = []
    while True:
        for app in apps:
            await until(partial(at_rest, app))
        before, marks = marks, [(await app.state.bus.idle()).mark for app in apps]
        if before == marks:
            return


async def test_a_file_shuffled_doubled_and_in_twenty_uploads_gives_the_same_final_state(
    http: httpx.AsyncClient,
    app: FastAPI,
    others: dict[str, tuple[FastAPI, str]],
    stage: Stage,
    tmp_path: Path,
) -> None:
    """Facts, grades and cases. Who works a case is not compared: it depends on who came first, as it should.

    Seen to fail with a row named after its place in the file.
    """
    code, counts = await loaded(http, csv_file(tmp_path, [HEADER, *rows_of("whole")]))
    assert (code, f"{3 * ACCOUNTS} accepted" in counts) == (0, True)
    parts = rows_of("parts") * 2
    random.Random(20).shuffle(parts)
    taken = 0
    for upload in range(UPLOADS):
        code, counts = await loaded(http, csv_file(tmp_path, [HEADER, *parts[upload::UPLOADS]]))
        taken += int(counts.rpartition(" accepted")[0].rpartition(" ")[2])
        assert code == 0
    assert taken == 3 * ACCOUNTS
    await settled([app, *(other for other, _ in others.values())])
    told = [str(value) for _, value in await facts(stage, CARD)]
    whole, some = (
        sorted(each.replace(f"{name}-", "x-") for each in told if f"'{name}-" in each) for name in ("whole", "parts")
    )
    assert len(whole) == 3 * ACCOUNTS
    assert whole == some
    for name, query, count in (("scoring", _SCORES, ACCOUNTS), ("assignment", _CASES, ACCOUNTS // 2)):
        url = others[name][1]
        held = await state(url, query, "whole")
        assert len(held) == count
        assert await state(url, query, "parts") == held
