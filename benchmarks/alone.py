"""What is measured outside the chain, each on topics and a database of its own: floors, single services, peers."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import asyncpg
import msgspec

from benchmarks import floor_hop, floor_intake, goals, snapshots
from benchmarks.feed import Numbering, Record, Topics
from benchmarks.lines import Line, running
from benchmarks.meter import Servers
from benchmarks.plain_java import WARM_UP as JAVA_WARM_UP
from benchmarks.plain_java import PlainJava
from benchmarks.samples import Sample
from benchmarks.sending import LINES_TYPE, post_all
from deploy.local.parts import Replica, base_environment
from deploy.local.process import Process
from deploy.local.ready import HOST, http, tcp
from deploy.local.stack import ROOT, Stack
from deploy.local.state import choose_ports
from shared.bus.positions import subscribe
from shared.bus.topics import create_topics
from shared.db.migrate import migrate, subscriptions_of
from shared.events.registry import CARD, RISK

WARM_UP = 600
HOPS = 5
BATCH_TYPE = "application/cloudevents-batch+json"
SINGLE_TYPE = "application/cloudevents+json"
SINGLE_EVENTS = 1_500
LINES_AT_ONCE = 5_000
AT_ONCE = 48
_STORED = "SELECT * FROM account_state WHERE customer_id = ANY ($1::text[]) ORDER BY account_id"


def namespace(service: str) -> str:
    """Return the prefix of the topics on which a service is measured: each topic has one writer, and so have these."""
    return f"bench-{service}"


@dataclass
class Alone:
    """The infrastructure, and what has been made on it; `made` counts the facts of all rounds, each told once."""

    stack: Stack
    topics: Topics
    servers: Servers
    folder: Path
    at: datetime
    numbering: Numbering
    made: int = 0

    @classmethod
    async def on(cls, stack: Stack, topics: Topics, servers: Servers, folder: Path, at: datetime) -> Alone:
        """Make databases and topics for all that will be measured."""
        alone = cls(stack, topics, servers, folder, at, Numbering())
        for service in ("ingest", "scoring"):
            await alone._migrated(service)
            await create_topics(
                stack.bootstrap, namespace=namespace(service), partitions=floor_hop.PARTITIONS, replication=1
            )
        await topics.make("floor-kafka", "floor-in", "floor-out", *(f"floor-{number}" for number in range(HOPS + 1)))
        await topics.make("java-in", "java-out")
        for name in ("floor_hop", "java_hop", *(f"floor_{number}" for number in range(HOPS))):
            await alone._database(name, floor_hop.SCHEMA)
        await alone._database("floor_intake", floor_intake.SCHEMA)
        return alone

    async def hops(self, events: int, java: PlainJava, *, with_sampled: bool) -> list[Sample]:
        """The floor hop, scoring, the hop in Java, and the chain of five floor hops, all on the same facts."""
        warm, facts = self.facts(WARM_UP), self.facts(events)
        hop = [self._hop("floor_hop", "floor-in", "floor-out")]
        chain = [self._hop(f"floor_{number}", f"floor-{number}", f"floor-{number + 1}") for number in range(HOPS)]
        scoring, _ = self._service("scoring")
        card, risk = CARD.full_name(namespace("scoring")), RISK.full_name(namespace("scoring"))
        samples = [
            await self._through(goals.FLOOR_HOP, hop, "floor-in", "floor-out", warm, facts),
            await self._through(goals.SCORING, [scoring], card, risk, warm, facts),
            await self._java(java, facts),
            await self._through(goals.FLOOR_CHAIN, chain, "floor-0", f"floor-{HOPS}", warm, facts),
        ]
        if with_sampled:
            warm, facts = self.facts(WARM_UP, sampled=True), self.facts(events // 4, sampled=True)
            samples.append(await self._through(goals.SCORING_SAMPLED, [scoring], card, risk, warm, facts))
        return samples

    async def _java(self, java: PlainJava, facts: Sequence[Record]) -> Sample:
        """The hop in Java, warm, with what it stored compared to what the floor hop stored of the same facts."""
        times, count = JAVA_WARM_UP
        warm = self.unnumbered(count)
        process = java.process(self.url("java_hop"), self.stack.bootstrap, "java-in", "java-out")
        async with running([process], self.folder) as pids:
            line = Line(goals.JAVA_HOP, pids, "java-in", "java-out", self.topics, self.servers)
            for _ in range(times):
                await line.warm_up(warm)
            sample = await line.measure(facts)
        keys = [key.decode() for key, _, _ in facts]
        if await self._stored("java_hop", keys) != await self._stored("floor_hop", keys):
            raise RuntimeError("the hop in Java has not stored what the floor hop has")
        return sample

    async def _stored(self, database: str, customers: Sequence[str]) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.url(database))
        try:
            found: list[asyncpg.Record] = await connection.fetch(_STORED, customers)
        finally:
            await connection.close()
        return found

    async def _through(
        self,
        name: str,
        specs: Sequence[Process],
        topic_in: str,
        topic_out: str,
        warm: Sequence[Record],
        facts: Sequence[Record],
    ) -> Sample:
        async with running(specs, self.folder) as pids:
            line = Line(name, pids, topic_in, topic_out, self.topics, self.servers)
            await line.warm_up(warm)
            return await line.measure(facts)

    def facts(self, count: int, *, sampled: bool = False) -> list[Record]:
        """Return the next facts, of customers not told of before."""
        first, self.made = self.made, self.made + count
        made = snapshots.snapshots("bench", first, count, self.at)
        return self.numbering.records(made, self.at, sampled=sampled)

    def unnumbered(self, count: int) -> list[Record]:
        """Return facts for topics that nobody reads by numbers."""
        first, self.made = self.made, self.made + count
        return Numbering().records(snapshots.snapshots("bench", first, count, self.at), self.at, sampled=False)

    async def intake(self, events: int) -> list[Sample]:
        """The floor intake and ingest, each taking batches of 500; then ingest taking lines and single events."""
        port = choose_ports(("floor",), {})["floor"]
        floor = self._web(
            "floor-intake", "benchmarks.floor_intake:app", port, {"BENCH_DATABASE_URL": self.url("floor_intake")}
        )
        ingest, own_port = self._service("ingest")
        token = await self.stack.token("bench", "upstream")
        samples = []
        for name, spec, number in ((goals.FLOOR_INTAKE, floor, port), (goals.INTAKE, ingest, own_port)):
            url = f"http://{HOST}:{number}/v1/events"
            headers = {"authorization": f"Bearer {token}", "content-type": BATCH_TYPE}
            async with running([spec], self.folder) as pids:
                await post_all([url], self._bodies(1000), headers)
                bodies = self._bodies(events)
                start = self.servers.read(pids)
                await post_all([url], bodies, headers)
                samples.append(Sample(name, events, self.servers.read(pids).since(start)))
                if name == goals.INTAKE:
                    samples.append(await self._lines(url, headers | {"content-type": LINES_TYPE}, pids, events))
                    samples += await self._singles(url, headers | {"content-type": SINGLE_TYPE}, pids)
        return samples

    async def _lines(self, url: str, headers: dict[str, str], pids: Collection[int], events: int) -> Sample:
        """Events a line each, as a large load comes; every line's answer is looked at."""
        first, self.made = self.made, self.made + events
        bodies = snapshots.lines(snapshots.events("bench", first, events, self.at), LINES_AT_ONCE)
        start = self.servers.read(pids)
        await post_all([url], bodies, headers)
        return Sample(goals.LINES, events, self.servers.read(pids).since(start))

    async def _singles(self, url: str, headers: dict[str, str], pids: Collection[int]) -> list[Sample]:
        """Single events one after the other, each with a commit of its own, and as many at once as intake lets in."""
        samples = []
        for name, at_once in ((goals.ALONE, 1), (goals.SINGLES, AT_ONCE)):
            first, self.made = self.made, self.made + SINGLE_EVENTS
            bodies = [msgspec.json.encode(one) for one in snapshots.events("bench", first, SINGLE_EVENTS, self.at)]
            start = self.servers.read(pids)
            await post_all([url], bodies, headers, at_once)
            samples.append(Sample(name, SINGLE_EVENTS, self.servers.read(pids).since(start)))
        return samples

    def _bodies(self, count: int) -> list[bytes]:
        first, self.made = self.made, self.made + count
        return snapshots.batches(snapshots.events("bench", first, count, self.at), 500)

    def _hop(self, name: str, topic_in: str, topic_out: str) -> Process:
        module = ("benchmarks.floor_hop", self.url(name), self.stack.bootstrap, topic_in, topic_out)
        return Process(name=name, argv=(sys.executable, "-m", *module), env=base_environment(), cwd=ROOT, grace=1)

    def _service(self, service: str) -> tuple[Process, int]:
        port = choose_ports((service,), {})[service]
        settings = self.stack.env(Replica.named(service).name) | {
            "ARREARS_DATABASE_URL": self.url(f"bench_{service}"),
            "ARREARS_NAMESPACE": namespace(service),
        }
        return self._web(service, f"services.{service}.app:create_app", port, settings, "/readyz", "--factory"), port

    def _web(
        self, name: str, app: str, port: int, settings: Mapping[str, str], ready: str | None = None, *options: str
    ) -> Process:
        words = ("--loop", "asyncio", "--host", HOST, "--port", str(port), "--no-access-log", *options, app)
        return Process(
            name=name,
            argv=(sys.executable, "-m", "uvicorn", *words),
            env={**base_environment(), **settings},
            ready=http(port, ready) if ready else tcp(port),
            cwd=ROOT,
        )

    def url(self, name: str) -> str:
        return f"{self.stack.admin_url.rpartition('/')[0]}/{name}"

    async def _migrated(self, service: str) -> None:
        name, package = f"bench_{service}", f"services.{service}"
        await self._database(name, "")
        await asyncio.to_thread(migrate, package, self.url(name))
        connection = await asyncpg.connect(self.url(name))
        try:
            await subscribe(connection, subscriptions_of(package), floor_hop.PARTITIONS)
        finally:
            await connection.close()

    async def _database(self, name: str, schema: str) -> None:
        await self.stack.create_database(name)
        connection = await asyncpg.connect(self.url(name))
        try:
            if schema:
                await connection.execute(schema)
        finally:
            await connection.close()
