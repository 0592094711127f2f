"""A file loaded into a real intake: taken once, however often and in whatever parts; what was refused is kept."""

from __future__ import annotations

import asyncio
import random
import re
from pathlib import Path

import httpx
from aiokafka import AIOKafkaConsumer, TopicPartition
from fastapi import FastAPI

from services.ingest.load import arguments, load
from shared.events.registry import CARD
from tests.integration.conftest import Stage
from tests.integration.ingest.conftest import published
from tests.unit.ingest.loading.files import HEADER, ROW, csv_file, xlsx_file


def rows_of(first: int, count: int) -> list[list[str]]:
    return [[f"load-{n}", f"acc-{n}", *ROW[2:]] for n in range(first, first + count)]


async def loaded(http: httpx.AsyncClient, file: Path, *options: str) -> tuple[int, str]:
    """Load the file; return the exit code and the last line of counts."""
    said: list[str] = []
    code = await load(arguments([str(file), "--service", "http://ingest", *options]), http, said.append)
    return code, [line for line in said if "accepted" in line][-1]


async def test_a_file_of_stops_says_from_when_they_are_in_force(http: httpx.AsyncClient, tmp_path: Path) -> None:
    """B4: by file as by event, what a stop forbids is forbidden from its publication on."""
    mapping = tmp_path / "stops.yaml"
    mapping.write_text(
        """
source: /bank/complaints
type: arrears.customer.stop_set.v1
id: [customer_id, kind, set_at]
time: set_at
zone: Asia/Shanghai
fields:
  customer_id: {column: customer}
  kind: {value: dispute}
  set_at: {column: since, kind: instant}
""",
        encoding="utf-8",
    )
    file = csv_file(tmp_path, [["customer", "since"], ["stop-1", "2026-02-25"], ["stop-2", "2026-02-24 17:00"]])
    said: list[str] = []
    given = [str(file), "--service", "http://ingest", "--mapping", str(mapping)]
    assert await load(arguments(given), http, said.append) == 0
    assert re.search(r"in force from 2\d{3}-\d\d-\d\dT.* at the latest", "".join(said))


async def told(app: FastAPI) -> int:
    """How many facts were told so far: the heads of all streams together."""
    async with app.state.bus.reading() as connection:
        return int(await connection.fetchval("SELECT coalesce(sum(head), 0) FROM outbox_stream"))


async def test_a_file_shuffled_doubled_and_in_parts_is_told_once(
    http: httpx.AsyncClient, app: FastAPI, tmp_path: Path
) -> None:
    rows = rows_of(0, 1_100)
    before = await told(app)
    code, counts = await loaded(http, csv_file(tmp_path, [HEADER, *rows]))
    assert (code, re.sub(r"[\d,]+/s", "RATE", counts)) == (
        0,
        "\r    1,100 of 1,100 rows 100 %   RATE   1,100 accepted   0 replayed   0 nothing to tell   0 refused",
    )
    random.Random(4).shuffle(rows)
    for part in range(0, 1_100, 220):
        code, counts = await loaded(http, csv_file(tmp_path, [HEADER, *rows[part : part + 220]], "gb18030"))
        assert (code, "220 replayed" in counts) == (0, True)
    assert await loaded(http, xlsx_file(tmp_path, [HEADER, *rows[:30]]))
    assert await told(app) - before == 1_100
    await published(app)


async def test_refused_rows_are_kept_with_their_faults_and_are_taken_when_they_are_mended(
    http: httpx.AsyncClient, app: FastAPI, tmp_path: Path
) -> None:
    good, unreadable, wrong = rows_of(5_000, 3)
    unreadable[HEADER.index("逾期金额")] = "lots"
    wrong[HEADER.index("账单日")] = "2027-02-05"  # after the snapshot: intake finds this one
    before = await told(app)
    code, counts = await loaded(http, csv_file(tmp_path, [HEADER, good, unreadable, wrong]))
    assert (code, "1 accepted" in counts, "2 refused" in counts) == (1, True, True)
    kept = tmp_path / "portfolio.rejected.csv"
    text = kept.read_text(encoding="utf-8-sig")
    assert "逾期金额: 不是金额" in text
    assert "账单日: " in text
    mended = tmp_path / "mended.csv"
    mended.write_text(text.replace("lots", "1200").replace("2027-02-05", "2026-02-05"), encoding="utf-8")
    code, counts = await loaded(http, mended)
    assert (code, "2 accepted" in counts) == (0, True)
    assert await told(app) - before == 3


async def test_a_row_that_came_before_with_other_content_is_refused_and_changes_nothing(
    http: httpx.AsyncClient, app: FastAPI, tmp_path: Path
) -> None:
    (row,) = rows_of(9_000, 1)
    await loaded(http, csv_file(tmp_path, [HEADER, row]))
    before = await told(app)
    row[HEADER.index("欠款余额")] = "1"
    code, counts = await loaded(http, csv_file(tmp_path, [HEADER, row]))
    assert (code, "1 refused" in counts) == (1, True)
    assert "content" in (tmp_path / "portfolio.rejected.csv").read_text(encoding="utf-8-sig")
    assert await told(app) == before


async def values_of(stage: Stage, keys: set[str]) -> dict[str, bytes]:
    """Return the value of each key's record on `card`."""
    consumer = AIOKafkaConsumer(bootstrap_servers=stage.infra.bootstrap, enable_auto_commit=False)
    await consumer.start()
    found: dict[str, bytes] = {}
    try:
        topic = CARD.full_name(stage.namespace)
        consumer.assign([TopicPartition(topic, number) for number in range(stage.partitions)])
        await consumer.seek_to_beginning()
        async with asyncio.timeout(30):
            while keys - found.keys():
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    found |= {r.key.decode(): r.value for r in records if r.key.decode() in keys}
    finally:
        await consumer.stop()
    return found
