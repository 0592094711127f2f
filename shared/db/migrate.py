"""Brings one service's database up to date: `python -m shared.db.migrate services.scoring`.

Runs the service's Alembic migrations, then subscribes: one position row for each partition of each topic that the
service reads (`SUBSCRIPTIONS` in its `handlers.py`), from the first number on. Rows that are there stay as they are.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import os
import sys
from collections.abc import Sequence

import asyncpg
from alembic import command
from alembic.config import Config

from shared.bus.positions import subscribe
from shared.events.registry import Topic


def migrate(package: str, url: str, to: str = "head") -> None:
    """Run the migrations of `package` (for example `services.scoring`) on the database at `url`, up to one of them."""
    module = importlib.import_module(package)
    config = Config()
    config.set_main_option("script_location", f"{next(iter(module.__path__))}/migrations".replace("%", "%%"))
    config.attributes["url"] = url.replace("postgresql://", "postgresql+asyncpg://", 1)
    command.upgrade(config, to)


def subscriptions_of(package: str) -> Sequence[Topic]:
    """Return the topics that `package` reads; a service without handlers reads none."""
    if importlib.util.find_spec(f"{package}.handlers") is None:
        return ()
    topics: Sequence[Topic] = importlib.import_module(f"{package}.handlers").SUBSCRIPTIONS
    return topics


async def _subscribe(package: str, url: str, partitions: int) -> None:
    connection = await asyncpg.connect(url, timeout=10)
    try:
        await subscribe(connection, subscriptions_of(package), partitions)
    finally:
        await connection.close()


def main(arguments: Sequence[str]) -> int:
    """Migrate and subscribe the service that the first argument names; its surroundings are in the environment."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m shared.db.migrate services.NAME\n")
        return 2
    url = os.environ.get("ARREARS_DATABASE_URL")
    if not url:
        sys.stderr.write("ARREARS_DATABASE_URL is not set: give the URL of the service's own database\n")
        return 2
    migrate(arguments[0], url)
    asyncio.run(_subscribe(arguments[0], url, int(os.environ.get("ARREARS_PARTITIONS", "12"))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
