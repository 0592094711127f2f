"""What every service's `migrations/env.py` calls, so that it is two lines.

Migrations go forward only, and run one at a time a database (an advisory lock), whoever starts them.
"""

from __future__ import annotations

import asyncio

from alembic import context
from sqlalchemy import Connection, MetaData, text
from sqlalchemy.ext.asyncio import create_async_engine

_LOCK = 0x61727265617273  # "arrears"


def run(metadata: MetaData) -> None:
    """Run the migrations that the Alembic context asks for, on the connection or the URL that it was given."""
    given = context.config.attributes.get("connection")
    if given is not None:
        _on(given, metadata)
    else:
        asyncio.run(_connect_and_run(metadata))


async def _connect_and_run(metadata: MetaData) -> None:
    engine = create_async_engine(context.config.attributes["url"])
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_on, metadata)
            await connection.commit()
    finally:
        await engine.dispose()


def _on(connection: Connection, metadata: MetaData) -> None:
    connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _LOCK})
    context.configure(connection=connection, target_metadata=metadata, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
