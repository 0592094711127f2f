"""The whole stack as one object. `async with Stack(state_dir, services=()) as stack:` starts PostgreSQL and Kafka;
`stack.bootstrap`, `await stack.create_database("toy")` (its URL), `await stack.kill("kafka")`, `await stack.wait_ready()`.
"""

import asyncio
import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from deploy.local import kafka, postgres
from deploy.local.ledger import Ledger
from deploy.local.process import Process
from deploy.local.state import StateDir
from deploy.local.supervisor import Status, Supervisor

ROOT = Path(__file__).resolve().parents[2]
_PORTS = ("postgres", "kafka", "kafka-controller")
_SECRETS = ("postgres",)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


class Stack:
    """A local stack; starts in `__aenter__`, stops in `__aexit__`.

    Args:
        state_dir: where data, ports, passwords and logs are kept; a second start goes on with them.
        services: names of the services to run; none: infrastructure alone.
        say: told what takes long, one line each.
    """

    def __init__(self, state_dir: Path, *, services: tuple[str, ...] = (), say: Callable[[str], None] = _tell) -> None:
        self.state = StateDir(state_dir.absolute())
        self._services = services
        self._say = say
        self._exits = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as exits:
            self.state.make()
            exits.enter_context(self.state.held())
            ledger = Ledger(self.state.ledger)
            ledger.end_leftovers()
            await self._prepare()
            self._supervisor = Supervisor(self._processes(), self.state.logs, ledger)
            exits.push_async_callback(self._supervisor.stop)
            await self._supervisor.start()
            self._exits = exits.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._exits.aclose()

    async def _prepare(self) -> None:
        self.ports = self.state.ports(_PORTS)
        self.secrets = self.state.secrets(_SECRETS)
        path = self.state.path
        self._postgres, self._kafka = await asyncio.gather(
            postgres.prepare(path, self.ports["postgres"], self.secrets["postgres"], self._say),
            kafka.prepare(path, self.ports["kafka"], self.ports["kafka-controller"], self._say),
        )

    def _processes(self) -> tuple[Process, ...]:
        return (self._postgres.process({}), self._kafka.process())

    @property
    def bootstrap(self) -> str:
        """Kafka's host:port."""
        return self._kafka.bootstrap

    @property
    def admin_url(self) -> str:
        """PostgreSQL's superuser."""
        return self._postgres.admin_url

    async def create_database(self, name: str) -> str:
        """Make a database with its own owner, as each service has one; the owner's URL."""
        key = f"database {name}"
        password = self.state.secrets((key,))[key]
        await self._postgres.ensure_databases({name: password})
        return self._postgres.url(name, name, password)

    async def drop_database(self, name: str) -> None:
        """Remove what `create_database` made."""
        await self._postgres.drop_database(name)

    async def kill(self, name: str) -> None:
        """SIGKILL a process; returns when it is gone. It is started again: see `wait_ready`."""
        await self._supervisor.kill(name)

    async def wait_ready(self, *names: str) -> None:
        """Wait until the named processes (all, when none is named) are ready."""
        await self._supervisor.wait_ready(*names)

    def status(self) -> tuple[Status, ...]:
        """What runs."""
        return self._supervisor.status()
