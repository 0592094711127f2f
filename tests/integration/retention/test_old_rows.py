"""What each service forgets by itself: on real tables, with rows just older and just younger than the bound."""

from __future__ import annotations

import importlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
import pytest_asyncio
from sqlalchemy import ARRAY, Boolean, Column, Date, DateTime, LargeBinary, MetaData, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from services.assignment.store import retention as assignment
from services.fieldvisit import store as fieldvisit
from services.notify.store import retention as notify
from services.scoring import store as scoring
from shared.bus.limits import FactLimits
from shared.bus.unit_of_work import UnitOfWork
from shared.forgetting import BATCH, OLD_KEYS, Old
from shared.web.signing import Signer
from tests.apps import SERVICES, build
from tests.integration.conftest import MakeStage

NOW = datetime(2026, 2, 25, 2, 0, tzinfo=UTC)
KEPT = timedelta(days=1096)
JUST_OLD, JUST_YOUNG = NOW - KEPT - timedelta(seconds=1), NOW - KEPT + timedelta(seconds=1)
OLD: dict[str, tuple[Old, ...]] = {
    "assignment": assignment.old_rows(KEPT),
    "fieldvisit": fieldvisit.old_rows(KEPT),
    "notify": notify.old_rows(KEPT),
    "scoring": scoring.old_rows(KEPT),
}
CELLS = [pytest.param(service, old, id=f"{service}-{old.table}") for service, olds in OLD.items() for old in olds]
_ONE_ACCOUNT = {"customer_id": "c", "account_id": "a"}

Values = Mapping[str, object]


def metadata_of(service: str) -> MetaData:
    metadata: MetaData = importlib.import_module(f"services.{service}.tables").metadata
    return metadata


DUMMIES: tuple[tuple[type, object], ...] = (
    (DateTime, NOW),
    (Date, NOW.date()),
    (JSONB, json.dumps({})),
    (ARRAY, []),
    (Boolean, False),
    (LargeBinary, b""),
)


def dummy(column: Column[object], number: int) -> object:
    """Return a value that the column takes; where it may be part of a key, another one for each number."""
    if isinstance(column.type, Text):
        return f"{column.name}-{number}"
    return next((value for kind, value in DUMMIES if isinstance(column.type, kind)), number)


async def insert(connection: asyncpg.Connection, table: Table, number: int, given: Values) -> None:
    """Insert a row in which only what is given means anything."""
    row = {
        column.name: given.get(column.name, dummy(column, number))
        for column in table.columns
        if not column.nullable or column.name in given
    }
    places = ", ".join(f"${place}" for place in range(1, len(row) + 1))
    await connection.execute(f"INSERT INTO {table.name} ({', '.join(row)}) VALUES ({places})", *row.values())


class Bench:
    """A service's database, in a transaction that is rolled back."""

    def __init__(self, connection: asyncpg.Connection, service: str) -> None:
        self.connection = connection
        self.service = service
        self.uow = UnitOfWork(connection, service, 1, NOW, FactLimits("nowhere:1", "none", service))

    async def put(self, table: str, number: int, **given: object) -> None:
        await insert(self.connection, metadata_of(self.service).tables[table], number, given)

    async def count(self, table: str) -> int:
        found: int = await self.connection.fetchval(f"SELECT count(*) FROM {table}")
        return found


Benches = Callable[[str], Awaitable[str]]


@pytest_asyncio.fixture(scope="module")
async def urls(make_stage: MakeStage) -> Benches:
    made: dict[str, str] = {}
    stage = await make_stage(topics=())

    async def url_of(service: str) -> str:
        if service not in made:
            made[service] = await stage.migrated(service)
        return made[service]

    return url_of


@asynccontextmanager
async def at(urls: Benches, service: str) -> AsyncIterator[Bench]:
    connection = await asyncpg.connect(await urls(service))
    transaction = connection.transaction()
    await transaction.start()
    try:
        yield Bench(connection, service)
    finally:
        await transaction.rollback()
        await connection.close()


def by_its_clock(old: Old, instant: datetime) -> datetime:
    """Return the instant as long ago by the clock that the rows go by."""
    return instant if not old.machine else datetime.now(UTC) - (NOW - instant) + (KEPT - old.kept)


@pytest.mark.parametrize(("service", "old"), CELLS)
async def test_a_row_goes_when_it_is_older_than_the_bound_and_not_before(urls: Benches, service: str, old: Old) -> None:
    """Seen to fail: with the comparison turned round, and with the domain's clock where the machine's is meant."""
    one_account = _ONE_ACCOUNT if old.table == "grading" else {}
    old_at, young_at = by_its_clock(old, JUST_OLD), by_its_clock(old, JUST_YOUNG + timedelta(minutes=5))
    async with at(urls, service) as bench:
        await bench.put(old.table, 1, **{**one_account, old.at: old_at})
        await bench.put(old.table, 2, **{**one_account, old.at: young_at})
        assert await old.sweep(bench.uow) == 1
        assert await bench.connection.fetchval(f"SELECT {old.at} FROM {old.table}") == young_at
        assert await old.sweep(bench.uow) == 0


@pytest.mark.parametrize(("service", "old"), CELLS)
def test_old_rows_are_found_by_an_index(service: str, old: Old) -> None:
    table = metadata_of(service).tables[old.table]
    assert old.at in {next(iter(index.columns)).name for index in table.indexes}


@pytest.mark.parametrize("table", ["timeline", "contact", "skipped_case"])
async def test_what_belongs_to_an_open_case_stays_until_it_is_closed(urls: Benches, table: str) -> None:
    (old,) = (each for each in OLD["assignment"] if each.table == table)
    async with at(urls, "assignment") as bench:
        await bench.put("customer", 1, customer_id="c", case_id="k", status="open")
        await bench.put(table, 1, case_id="k", **{old.at: JUST_OLD})
        assert await old.sweep(bench.uow) == 0
        await bench.connection.execute("UPDATE customer SET status = 'closed'")
        assert await old.sweep(bench.uow) == 1


@pytest.mark.parametrize(
    ("service", "table", "open_row"),
    [
        *(("fieldvisit", "visit", {"state": state}) for state in ("accepted", "planned", "started", "missed")),
        *(("notify", "notice", {"state": state}) for state in ("due", "waiting", "sending")),
        ("notify", "report", {"due": NOW}),
        ("scoring", "grading", {}),
    ],
)
async def test_what_is_not_over_stays_however_old_it_is(
    urls: Benches, service: str, table: str, open_row: dict[str, object]
) -> None:
    """A grading is not over while it is its account's newest."""
    (old,) = (each for each in OLD[service] if each.table == table)
    async with at(urls, service) as bench:
        await bench.put(table, 1, **{**open_row, old.at: JUST_OLD - timedelta(days=900)})
        assert await old.sweep(bench.uow) == 0
        assert await bench.count(table) == 1


async def test_the_notes_of_a_visit_to_be_done_stay(urls: Benches) -> None:
    old = OLD["fieldvisit"][0]
    async with at(urls, "fieldvisit") as bench:
        await bench.put("visit", 1, visit_id="v", state="missed")
        await bench.put("visit_note", 1, visit_id="v", written_at=JUST_OLD)
        assert await old.sweep(bench.uow) == 0
        await bench.connection.execute("UPDATE visit SET state = 'completed'")
        assert await old.sweep(bench.uow) == 1


async def test_many_old_rows_go_in_small_transactions_the_oldest_first(urls: Benches) -> None:
    old = next(each for each in OLD["assignment"] if each.table == "personal_data_read")
    async with at(urls, "assignment") as bench:
        await bench.connection.execute(
            "INSERT INTO personal_data_read (read_id, staff_id, case_id, at) "
            "SELECT n, 's', 'c', $1::timestamptz + n * interval '1 microsecond' FROM generate_series(1, $2::int) n",
            JUST_OLD - timedelta(seconds=1),
            2 * BATCH + 1,
        )
        assert await old.sweep(bench.uow) == BATCH
        assert await bench.connection.fetchval("SELECT min(read_id::int) FROM personal_data_read") == BATCH + 1
        assert [await old.sweep(bench.uow), await old.sweep(bench.uow)] == [BATCH, 1]


async def test_a_row_that_somebody_works_on_is_left_for_later(urls: Benches) -> None:
    """Committed rows, since two connections look at them."""
    other = await asyncpg.connect(await urls("assignment"))
    try:
        table = metadata_of("assignment").tables["idempotency_key"]
        await insert(other, table, 1, {"at": datetime.now(UTC) - 2 * OLD_KEYS.kept})
        async with at(urls, "assignment") as bench, other.transaction():
            await other.execute("SELECT FROM idempotency_key FOR UPDATE")
            assert await OLD_KEYS.sweep(bench.uow) == 0
        async with at(urls, "assignment") as bench:
            assert await OLD_KEYS.sweep(bench.uow) == 1
        await other.execute("DELETE FROM idempotency_key")
    finally:
        await other.close()


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_forgets_by_itself(service: str) -> None:
    app = build(service, Signer.generate(issuer="http://issuer.test"))
    assert "forgetting" in {timer.name for timer in app.state.bus._timers}
