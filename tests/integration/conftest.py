"""One real PostgreSQL and one real Kafka for all integration tests, with an SMTP and an SMPP server beside them.

`infra` is the running stack. `stage` gives a test module its own topics and databases on it, so that tests do not meet.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import pytest_asyncio
from aiokafka.admin import AIOKafkaAdminClient
from pydantic import SecretStr

from deploy.local.stack import Stack, wipe
from deploy.local.state import StateDir
from shared.bus.positions import subscribe
from shared.bus.topics import create_topics
from shared.db.migrate import migrate, subscriptions_of
from shared.events.registry import TOPICS, Topic
from shared.settings import ServiceSettings

ROOT = Path(__file__).resolve().parents[2]
PARTITIONS = 3
PROXIED = ("kafka-silent", "kafka-refusing")
"""Listeners of the broker for clients that come through a proxy, which a test puts at `infra.through[name]`."""


@dataclass
class Stage:
    """A module's own topics on the shared broker, and its own databases on the shared server.

    `drop` undoes all of it at the end.
    """

    infra: Stack
    namespace: str
    topics: tuple[Topic, ...]
    partitions: int = PARTITIONS
    _databases: list[str] = field(default_factory=list)

    async def database(self, name: str) -> str:
        """Make an empty database and return its owner's URL."""
        unique = f"{name}_{secrets.token_hex(4)}"
        self._databases.append(unique)
        return await self.infra.create_database(unique)

    async def migrated(self, service: str) -> str:
        """Make a database with the service's migrations and subscriptions, and return its owner's URL."""
        url = await self.database(service)
        package = f"services.{service}"
        await asyncio.to_thread(migrate, package, url)
        connection = await asyncpg.connect(url)
        try:
            await subscribe(connection, subscriptions_of(package), self.partitions)
        finally:
            await connection.close()
        return url

    def settings(self, url: str, *, instance: str = "0") -> ServiceSettings:
        """Return the settings of a service on this stage with the database at `url`."""
        return ServiceSettings.model_validate(self.surroundings(url, instance=instance))

    def surroundings(self, url: str, *, instance: str = "0") -> dict[str, object]:
        """Return the same as keyword arguments, for a service's own settings class."""
        return {
            "env": "development",
            "database_url": SecretStr(url),
            "kafka_bootstrap": self.infra.bootstrap,
            "namespace": self.namespace,
            "partitions": self.partitions,
            "instance": instance,
            "issuer": "http://issuer.test",
            "jwks_url": "http://issuer.test/jwks",
        }

    async def drop(self) -> None:
        """Remove the databases and the topics."""
        for name in self._databases:
            await self.infra.drop_database(name)
        admin = AIOKafkaAdminClient(bootstrap_servers=self.infra.bootstrap)
        await admin.start()
        try:
            await admin.delete_topics([topic.full_name(self.namespace) for topic in self.topics])
        finally:
            await admin.close()


@pytest_asyncio.fixture(scope="session")
async def infra() -> AsyncIterator[Stack]:
    """The running infrastructure, without services; `ARREARS_LOCAL_DIR` lets two runs stand side by side."""
    folder = Path(os.environ.get("ARREARS_LOCAL_DIR", ROOT / ".local")).absolute() / "tests"
    wipe(folder)
    state = StateDir(folder)
    state.make()
    ports = state.ports((*PROXIED, *(f"through {name}" for name in PROXIED)))
    through = {name: ports[f"through {name}"] for name in PROXIED}
    async with Stack(folder, services=(), through=through) as stack:
        yield stack


MakeStage = Callable[..., Awaitable[Stage]]


@pytest_asyncio.fixture(scope="module")
async def make_stage(infra: Stack) -> AsyncIterator[MakeStage]:
    """Make stages that are dropped when the module's tests are over."""
    async with AsyncExitStack() as exits:

        async def make(topics: Collection[Topic] = TOPICS, partitions: int = PARTITIONS) -> Stage:
            stage = Stage(infra, f"t-{secrets.token_hex(4)}", tuple(topics), partitions)
            await create_topics(
                infra.bootstrap, namespace=stage.namespace, partitions=partitions, replication=1, topics=topics
            )
            exits.push_async_callback(stage.drop)
            return stage

        yield make


@pytest_asyncio.fixture(scope="module")
async def stage(make_stage: MakeStage) -> Stage:
    """The module's stage with all topics."""
    return await make_stage()
