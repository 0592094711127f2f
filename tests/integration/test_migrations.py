"""A service's migrations make exactly the tables that its code describes."""

from __future__ import annotations

import asyncio
import importlib

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData, text
from sqlalchemy.ext.asyncio import create_async_engine

from shared.db.migrate import migrate
from tests.integration.conftest import MakeStage, Stage

SERVICES = ("ingest", "scoring", "assignment", "fieldvisit", "notify")


def differences(connection: Connection, metadata: MetaData) -> list[object]:
    """Return what autogeneration would change to get to `metadata`; partitions come and go by themselves."""
    partitions = set(connection.scalars(text("SELECT relname FROM pg_class WHERE relispartition AND relkind = 'r'")))
    context = MigrationContext.configure(
        connection,
        opts={
            "compare_type": True,
            "compare_server_default": True,
            "include_name": lambda name, kind, _parents: kind != "table" or name not in partitions,
        },
    )
    return list(compare_metadata(context, metadata))


@pytest.mark.parametrize("service", SERVICES)
async def test_the_migrated_database_is_what_the_tables_describe(make_stage: MakeStage, service: str) -> None:
    """Does not cover CHECK constraints: autogeneration does not see them."""
    stage = Stage((await make_stage(topics=())).infra, "none", ())
    url = await stage.migrated(service)
    metadata: MetaData = importlib.import_module(f"services.{service}.tables").metadata
    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://"))
    async with engine.connect() as connection:
        found = await connection.run_sync(differences, metadata)
    await engine.dispose()
    assert found == []


async def test_a_second_migration_changes_nothing(make_stage: MakeStage) -> None:
    """An upgrade runs the same command again on a database that is up to date."""
    stage = Stage((await make_stage(topics=())).infra, "none", ())
    url = await stage.migrated("ingest")
    await asyncio.to_thread(migrate, "services.ingest", url)
