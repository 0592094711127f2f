"""Five services a world, each world with its own topics and databases, and with its own fate."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import httpx
from aiokafka import AIOKafkaConsumer, TopicPartition

from deploy.local.parts import SERVICES
from deploy.local.ready import HOST
from deploy.local.state import choose_ports
from shared.events.registry import TOPICS
from shared.web.auth import Role
from shared.web.signing import Signer
from tests.integration.conftest import Stage
from tests.integration.outages.lives import ISSUER, Life
from tests.proxy import Mode
from tests.unit.ingest.events import event

STRUCTURED = "application/cloudevents+json"


@dataclass(frozen=True)
class State:
    """What becomes of a world's broker and database: `pass`, or away in one way or the other."""

    name: str
    kafka: Mode = "pass"
    postgres: Mode = "pass"
    from_the_start: bool = False

    @property
    def reasons(self) -> set[str]:
        """The codes with which a service says that it is not ready."""
        away = {"broker_away": self.kafka, "database_away": self.postgres}
        return {code for code, mode in away.items() if mode != "pass"}


STATES = (
    State("healthy"),
    State("broker_silent", kafka="black_hole"),
    State("broker_refusing", kafka="cut"),
    State("database_silent", postgres="black_hole"),
    State("database_refusing", postgres="cut"),
    State("both_silent", kafka="black_hole", postgres="black_hole"),
    State("starting", kafka="black_hole", postgres="black_hole", from_the_start=True),
)


@dataclass
class World:
    """A state's services with what they live on. `databases`: as the test reaches them, past the proxies."""

    state: State
    stage: Stage
    databases: Mapping[str, str]
    ports: Mapping[str, int]
    environments: Mapping[str, Mapping[str, str]]
    signer: Signer
    folder: Path
    http: httpx.AsyncClient
    lives: dict[str, Life] = field(default_factory=dict)
    taken: list[str] = field(default_factory=list)

    def begin(self) -> None:
        """Start the services."""
        for service in SERVICES:
            log = self.folder / f"{self.state.name}-{service}.log"
            self.lives[service] = Life.begin(service, self.ports[service], self.environments[service], self.signer, log)

    async def says(self, service: str) -> set[str] | None:
        """Return the codes of the reasons why a service is not ready: none when it is, None when it does not answer."""
        try:
            answer = await self.http.get(f"{self.lives[service].url}/readyz")
        except httpx.HTTPError:
            return None
        return {reason["code"] for reason in answer.json()["reasons"]}

    async def send(self, name: str, event_id: str) -> httpx.Response:
        """Send intake an event about the customer of the same name as the event."""
        made = event(name, id=event_id)
        made["data"]["customer_id"] = event_id
        answer = await self.http.post(
            f"{self.lives['ingest'].url}/v1/events",
            content=json.dumps(made).encode(),
            headers={**self.signer.bearer("cards", Role.UPSTREAM), "content-type": STRUCTURED},
        )
        if answer.status_code in (200, 202):
            self.taken.append(event_id)
        return answer

    async def caught_up(self) -> bool:
        """Whether everything that was taken is published, and everything published read by whoever reads it."""
        ends = await self._ends()
        for service in SERVICES:
            rows = await self.rows(service, "SELECT topic, log_offset FROM inbox_position")
            pending = await self.rows(service, "SELECT topic FROM outbox_segment")
            if pending or any(row["log_offset"] < ends[row["topic"]] for row in rows):
                return False
        return len(self.taken) <= ends["card"]

    async def _ends(self) -> dict[str, int]:
        kafka = AIOKafkaConsumer(bootstrap_servers=self.stage.infra.bootstrap)
        await kafka.start()
        try:
            names = {TopicPartition(topic.full_name(self.stage.namespace), 0): topic.name for topic in TOPICS}
            return {names[tp]: end for tp, end in (await kafka.end_offsets(list(names))).items()}
        finally:
            await kafka.stop()

    async def rows(self, service: str, statement: str) -> list[asyncpg.Record]:
        """Ask a service's database."""
        connection = await asyncpg.connect(self.databases[service])
        try:
            found: list[asyncpg.Record] = await connection.fetch(statement)
        finally:
            await connection.close()
        return found


async def make_worlds(
    states: Sequence[State],
    stages: Sequence[Stage],
    templates: Mapping[str, str],
    links: Mapping[tuple[str, Mode], int],
    folder: Path,
    http: httpx.AsyncClient,
) -> list[World]:
    """Make a world for each state, on the stage of the same place; `links`: the ports of the proxies."""
    signer = Signer.generate(issuer=ISSUER)
    worlds = []
    for state, stage in zip(states, stages, strict=True):
        databases = {service: await _copy(stage, url) for service, url in templates.items()}
        ports = choose_ports(SERVICES, {})
        environments = {service: _environment(state, stage, databases[service], links) for service in SERVICES}
        worlds.append(World(state, stage, databases, ports, environments, signer, folder, http))
    return worlds


async def _copy(stage: Stage, template: str) -> str:
    """Copy a migrated database, which is quicker than to migrate another one."""
    owner = template.rpartition("/")[2]
    name = f"{owner}_{stage.namespace.replace('-', '_')}"
    admin = await asyncpg.connect(stage.infra.admin_url)
    try:
        await admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{owner}" OWNER "{owner}"')
    finally:
        await admin.close()
    return f"{template.rpartition('/')[0]}/{name}"


def _environment(state: State, stage: Stage, url: str, links: Mapping[tuple[str, Mode], int]) -> dict[str, str]:
    infra = stage.infra
    through = links.get(("postgres", state.postgres), infra.ports["postgres"])
    return {
        "ARREARS_ENV": "development",
        "ARREARS_DATABASE_URL": url.replace(f":{infra.ports['postgres']}/", f":{through}/"),
        "ARREARS_KAFKA_BOOTSTRAP": f"{HOST}:{links.get(('kafka', state.kafka), infra.ports['kafka'])}",
        "ARREARS_NAMESPACE": stage.namespace,
        "ARREARS_PARTITIONS": str(stage.partitions),
        "ARREARS_ISSUER": ISSUER,
        "ARREARS_JWKS_URL": f"{ISSUER}/jwks",
        "ARREARS_SMTP_HOST": HOST,
        "ARREARS_SMTP_PORT": str(infra.ports["smtp"]),
        "ARREARS_SMPP_HOST": HOST,
        "ARREARS_SMPP_PORT": str(infra.ports["smpp"]),
        "ARREARS_SMPP_SYSTEM_ID": "arrears",
        "ARREARS_SMPP_PASSWORD": infra.secrets["smpp"],
    }
