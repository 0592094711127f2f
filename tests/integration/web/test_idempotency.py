"""Idempotency keys on a real database: one effect a key, whatever is repeated, raced or rolled back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import asyncpg
import pytest
import pytest_asyncio
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData
from sqlalchemy.ext.asyncio import create_async_engine

from deploy.local.stack import Stack
from shared.errors import Problem
from shared.web.idempotency import DDL, Command, StoredAnswer, answer_once, idempotency_table

COMMAND = Command("sup-1", "key-1", "POST /v1/extensions", b"hash of the content")
NAME = "web_idempotency"


@pytest_asyncio.fixture(scope="module")
async def url(infra: Stack) -> AsyncIterator[str]:
    made = await infra.create_database(NAME)
    yield made
    await infra.drop_database(NAME)


@pytest_asyncio.fixture(scope="module")
async def pool(url: str) -> AsyncIterator[asyncpg.Pool]:
    async with asyncpg.create_pool(url, min_size=1, max_size=8) as opened:
        await opened.execute(DDL)
        await opened.execute("CREATE TABLE effect (at timestamptz NOT NULL DEFAULT now())")
        yield opened


@pytest_asyncio.fixture(autouse=True)
async def _nothing_yet(pool: asyncpg.Pool) -> None:
    await pool.execute("TRUNCATE idempotency_key, effect")


async def send(pool: asyncpg.Pool, command: Command, *, fails: bool = False) -> StoredAnswer:
    """Do what a route does: one transaction around the recall, the effect and the stored answer."""
    async with pool.acquire() as connection, connection.transaction():

        async def act() -> StoredAnswer:
            await connection.execute("INSERT INTO effect DEFAULT VALUES")
            if fails:
                raise Problem("conflict", "冲突。", "Conflict.")
            return StoredAnswer.of(201, {"number": await connection.fetchval("SELECT count(*) FROM effect")})

        return await answer_once(connection, command, act)


async def effects(pool: asyncpg.Pool) -> int:
    return int(await pool.fetchval("SELECT count(*) FROM effect"))


async def test_a_command_sent_again_is_answered_again_and_done_once(pool: asyncpg.Pool) -> None:
    first = await send(pool, COMMAND)
    assert await send(pool, COMMAND) == first == StoredAnswer(201, b'{"number":1}')
    assert await effects(pool) == 1


async def test_twenty_at_the_same_time_are_done_once_and_answered_alike(pool: asyncpg.Pool) -> None:
    answers = await asyncio.gather(*(send(pool, COMMAND) for _ in range(20)))
    assert set(answers) == {StoredAnswer(201, b'{"number":1}')}
    assert await effects(pool) == 1


async def test_a_command_that_was_rolled_back_is_decided_again(pool: asyncpg.Pool) -> None:
    with pytest.raises(Problem):
        await send(pool, COMMAND, fails=True)
    assert await effects(pool) == 0
    assert (await send(pool, COMMAND)).status == 201


@pytest.mark.parametrize("changed", [{"request_hash": b"other"}, {"route": "POST /v1/other"}])
async def test_a_key_with_other_content_is_refused(pool: asyncpg.Pool, changed: dict[str, object]) -> None:
    await send(pool, COMMAND)
    with pytest.raises(Problem) as caught:
        await send(pool, replace(COMMAND, **changed))  # type: ignore[arg-type]  # fields by name
    assert caught.value.code == "idempotency_key_reused"
    assert await effects(pool) == 1


async def test_two_people_may_use_one_key(pool: asyncpg.Pool) -> None:
    await send(pool, COMMAND)
    await send(pool, replace(COMMAND, subject="sup-2"))
    assert await effects(pool) == 2


def differences(connection: Connection) -> list[object]:
    metadata = MetaData()
    idempotency_table(metadata)
    context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
    return [change for change in compare_metadata(context, metadata) if "effect" not in str(change)]


async def test_the_statement_and_the_table_describe_one_thing(pool: asyncpg.Pool, url: str) -> None:
    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://"))
    async with engine.connect() as connection:
        found = await connection.run_sync(differences)
    await engine.dispose()
    assert found == []
