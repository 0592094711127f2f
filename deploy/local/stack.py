"""The whole stack as one object.

`async with Stack(state_dir, services=()) as stack:` starts PostgreSQL, Kafka and the catchers, and stops them at the
end: `stack.bootstrap`, `await stack.create_database("toy")` gives its URL, `await stack.kill("kafka")`, then
`await stack.wait_ready()`. With services (by default all five) also `stack.urls["ingest"]`, `stack.env("ingest")`,
`await stack.token("li", "upstream")`.
"""

import asyncio
import contextlib
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from deploy.local import kafka, mail, postgres, sms
from deploy.local.ledger import Identity, Ledger, replace_json
from deploy.local.parts import SERVICES, Replica, Surroundings, base_environment
from deploy.local.process import Process
from deploy.local.ready import HOST
from deploy.local.state import StateDir
from deploy.local.supervisor import Phase, Status, Supervisor

ROOT = Path(__file__).resolve().parents[2]
_INFRASTRUCTURE_PORTS = ("postgres", "kafka", "kafka-controller", "issuer", "mail", "smtp", "sms", "smpp")


def tell(line: str) -> None:
    """Tell the person at the terminal."""
    print(line, file=sys.stderr, flush=True)


class Stack:
    """A local stack; starts in `__aenter__`, stops in `__aexit__`.

    Args:
        state_dir: where data, ports, passwords and logs are kept; a second start goes on with them.
        services: the services to run, replicas as `scoring-1`; none: the infrastructure alone, without an issuer.
        catchers: whether the mail catcher and the SMS centre run.
        clock_file: the file of a stepped clock, for all services; None: the real clock.
        partitions: of every topic.
        through: ports by which services reach a part instead of its own, by `<part>-<service>` as `kafka-scoring`
            (kafka, postgres, smtp, smpp): of something that stands between and forwards to `ports[name]`.
        more: further settings by service; each start of a process reads them anew.
        runner: the module that runs a service, where it is not uvicorn; it takes uvicorn's arguments.
        say: told what takes long, one line each.

    Raises:
        MissingPartError: the machine lacks something.
        AlreadyRunningError: another stack runs in this folder.
        StartFailedError: a process did not come up.
        ValueError: a service has a name that is none.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        services: Iterable[str] = SERVICES,
        catchers: bool = True,
        clock_file: Path | None = None,
        partitions: int = 12,
        through: Mapping[str, int] | None = None,
        more: Mapping[str, MutableMapping[str, str]] | None = None,
        runner: str = "uvicorn",
        say: Callable[[str], None] = tell,
    ) -> None:
        self.state = StateDir(state_dir.absolute())
        self.replicas = tuple(Replica.named(name) for name in services)
        self._catchers = catchers or any(replica.service == "notify" for replica in self.replicas)
        self._clock_file = clock_file
        self._partitions = partitions
        self.through = dict(through or {})
        self._more = more or {}
        self._runner = runner
        self._say = say
        self._exits = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as exits:
            self.state.make()
            exits.enter_context(self.state.held())
            ledger = Ledger(self.state.ledger)
            for name in ledger.end_leftovers():
                self._say(f"ended {name}, left over from an earlier start")
            await self._prepare()
            self._supervisor = Supervisor(self._processes(), self.state.logs, ledger, self._publish)
            exits.push_async_callback(self._supervisor.stop)
            await self._supervisor.start()
            self._publish(self._supervisor.status())
            self._exits = exits.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._exits.aclose()

    @property
    def bootstrap(self) -> str:
        """Kafka's host:port."""
        return self._kafka.bootstrap

    @property
    def admin_url(self) -> str:
        """PostgreSQL's superuser."""
        return self._postgres.admin_url

    @property
    def urls(self) -> dict[str, str]:
        """The HTTP addresses: of each replica, the issuer, the mail catcher and the SMS centre, as far as they run."""
        names = [replica.name for replica in self.replicas]
        issuer = ["issuer"] if self.replicas else []
        catchers = ["mail", "sms"] if self._catchers else []
        return {name: self._surroundings.url(name) for name in (*names, *issuer, *catchers)}

    def env(self, service: str) -> dict[str, str]:
        """The settings of a service (or a replica of it), for a test that runs it by itself."""
        return self._surroundings.settings(Replica.named(service))

    async def token(self, subject: str, *roles: str, team: str | None = None) -> str:
        """A bearer token of the development issuer.

        Raises:
            httpx.HTTPError: the issuer refuses or does not answer.
        """
        form = {
            "grant_type": "client_credentials",
            "client_id": subject,
            "client_secret": self.secrets["issuer"],
            "scope": " ".join(roles),
        } | ({} if team is None else {"team": team})
        async with httpx.AsyncClient() as client:
            answer = await client.post(f"{self.urls['issuer']}/token", data=form)
        return str(answer.raise_for_status().json()["access_token"])

    async def create_database(self, name: str) -> str:
        """Make a database with its own owner, as each service has one; the owner's URL."""
        key = _database_secret(name)
        password = self.state.secrets((key,))[key]
        await self._postgres.ensure_databases({name: password})
        return self._postgres.url(name, name, password)

    async def drop_database(self, name: str) -> None:
        """Remove what `create_database` made."""
        await self._postgres.drop_database(name)

    async def kill(self, name: str) -> None:
        """SIGKILL a process; returns when it is gone. It is started again: see `wait_ready`."""
        await self._supervisor.kill(name)

    async def halt(self, name: str) -> bool:
        """Stop one process as `stop` does, and leave it stopped until `resume`; whether it ended by itself in time."""
        return await self._supervisor.halt(name)

    async def resume(self, name: str) -> None:
        """Start a process that was halted; see `wait_ready`."""
        self._supervisor.resume(name)

    async def wait_ready(self, *names: str) -> None:
        """Wait until the named processes (all that are not halted, when none is named) are ready.

        Raises:
            StartFailedError: a process was given up.
        """
        await self._supervisor.wait_ready(*names)

    async def failed(self) -> None:
        """Wait until a process is given up; raises its StartFailedError."""
        await self._supervisor.failed()

    def status(self) -> tuple[Status, ...]:
        """What runs."""
        return self._supervisor.status()

    async def _prepare(self) -> None:
        listeners = [name for name in self.through if name.startswith("kafka-")]
        replicas = [replica.name for replica in self.replicas]
        self.ports = self.state.ports((*_INFRASTRUCTURE_PORTS, *listeners, *replicas))
        names = ("postgres", "smpp", "issuer", *(_database_secret(service) for service in SERVICES))
        self.secrets = self.state.secrets(names)
        self._postgres, self._kafka = await asyncio.gather(
            postgres.prepare(self.state, self.ports["postgres"], self.secrets["postgres"], self._say),
            kafka.prepare(
                self.state, self.ports["kafka"], self.ports["kafka-controller"], self._say, self._links(listeners)
            ),
        )
        self.state.completed()
        self._surroundings = Surroundings(
            root=ROOT,
            ports=self.ports,
            secrets=self.secrets,
            database_urls={
                name: self._postgres.url(name, name, word, self.through.get(f"postgres-{name}"))
                for name, word in self._databases().items()
            },
            bootstrap=self._kafka.bootstrap,
            partitions=self._partitions,
            telemetry=self.state.telemetry,
            issuer_key=self.state.path / "issuer-key.json",
            clock_file=self._clock_file,
            through=self.through,
            more=self._more,
            runner=self._runner,
        )

    def _links(self, names: Iterable[str]) -> list[kafka.Link]:
        return [kafka.Link(name.removeprefix("kafka-").upper(), self.ports[name], self.through[name]) for name in names]

    def _databases(self) -> dict[str, str]:
        return {service: self.secrets[_database_secret(service)] for service in SERVICES}

    def _processes(self) -> list[Process]:
        processes = [self._postgres.process(self._databases()), self._kafka.process()]
        if self._catchers:
            processes += self._catcher_processes()
        if self.replicas:
            around, services = self._surroundings, {replica.service: None for replica in self.replicas}
            processes += [around.topics(), around.issuer()]
            processes += [around.migration(service) for service in services]
            processes += [around.service(replica) for replica in self.replicas]
        return processes

    def _catcher_processes(self) -> list[Process]:
        ports, env = self.ports, base_environment()
        return [
            mail.process(ports["smtp"], ports["mail"], self.state.mail, ROOT, env),
            sms.process(
                ports["smpp"], ports["sms"], self.state.sms / "messages.jsonl", ROOT, env, self.secrets["smpp"]
            ),
        ]

    def _publish(self, processes: tuple[Status, ...]) -> None:
        """Keep the file that `python -m deploy.local status` reads; it is written before the first process starts."""
        replace_json(
            self.state.status,
            {
                "supervisor": asdict(Identity.current("supervisor")),
                "ready": all(status.phase in {Phase.READY, Phase.DONE} for status in processes),
                "urls": self.urls,
                "bootstrap": self.bootstrap,
                "postgres": f"{HOST}:{self.ports['postgres']}",
                "processes": [asdict(status) for status in processes],
            },
        )


def wipe(state_dir: Path) -> None:
    """Remove all that a stack keeps in its state folder, and what of it lies outside.

    Folders in it that are none of its own stay: they may be the state of other stacks, running ones even.

    Raises:
        AlreadyRunningError: a stack runs in it.
    """
    state = StateDir(state_dir.absolute())
    if state.path.exists():
        with state.held():
            shutil.rmtree(postgres.outside(state.path), ignore_errors=True)
            state.empty()


def _database_secret(name: str) -> str:
    return f"database {name}"
