"""What a timer asks several times a second reads what it finds, however many rows only wait."""

from __future__ import annotations

import json

import asyncpg
import pytest

from services.assignment.store import customers
from services.notify.store import notices
from tests.integration.conftest import MakeStage, Stage

WAITING = 20_000
FEW = 100
"""Pages of 8 KiB; a look through all that waits takes several hundred."""

REMINDED = """
INSERT INTO customer (customer_id, version, entries, state, next_due, case_id, status, queue, workable, rank, currency,
    owed, decided_by)
SELECT 'c-' || n, 1, 0, '{}', now() + interval '1 day', 'case-' || n, 'open', 'reminder', false, 0, 'CNY', 1, 'first'
FROM generate_series(1, $1::integer) AS n
"""
QUEUED = """
INSERT INTO notice (notice_id, natural_key, partition, customer_id, staff_id, purpose, channel, template, state, due,
    attempts, payload, created_at, traceparent)
SELECT 'n-' || n, 'n-' || n, 0, CASE WHEN n % 2 = 0 THEN 'c-' || n END, CASE WHEN n % 2 = 1 THEN 's-' || n % 7 END,
    'any', 'email', 't', CASE WHEN n % 2 = 0 THEN 'waiting' ELSE 'sent' END, now() + interval '1 day', 0, '{}', now(),
    ''
FROM generate_series(1, $1::integer) AS n
"""
QUESTIONS: dict[str, tuple[str, str, str, tuple[object, ...]]] = {
    "a case without a collector": ("assignment", REMINDED, customers._ANY_UNASSIGNED, ([],)),
    "a case with a field collector who left": ("assignment", REMINDED, customers._ANY_WITH_GONE, ([],)),
    "the collectors' loads": ("assignment", REMINDED, customers._LOADS, ()),
    "a report that is due": ("notify", QUEUED, notices._NEXT_TO_COLLEAGUE, ()),
    "a reminder that is due": ("notify", QUEUED, notices._NEXT_TO_CUSTOMER, ()),
}


@pytest.mark.parametrize("question", QUESTIONS)
async def test_a_question_reads_few_pages_while_many_wait(make_stage: MakeStage, question: str) -> None:
    """Seen to fail: at a million cases one such look read them all, for half a second, four times a second."""
    service, fill, query, arguments = QUESTIONS[question]
    stage = Stage((await make_stage(topics=())).infra, "none", ())
    connection = await asyncpg.connect(await stage.migrated(service))
    try:
        await connection.execute(fill, WAITING)
        await connection.execute("ANALYZE")
        await connection.fetch(query, *arguments)
        plan = json.loads(await connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {query}", *arguments))
    finally:
        await connection.close()
    top = plan[0]["Plan"]
    assert top["Shared Hit Blocks"] + top["Shared Read Blocks"] < FEW
