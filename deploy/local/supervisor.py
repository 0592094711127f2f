"""A small process supervisor: starts in order of dependence, waits until ready, restarts what dies, stops cleanly.

Processes that do not wait for each other start at the same time; they stop in the reverse order.
"""

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from graphlib import TopologicalSorter
from pathlib import Path

from deploy.local.errors import NotReadyError, StartFailedError
from deploy.local.ledger import Ledger
from deploy.local.process import Process, signal_group, spawn, terminate

_FIRST_POLL, _LAST_POLL = 0.03, 0.25
"""Seconds between two askings of a readiness check; each wait is half as long again, so that a busy service is left
alone."""
_CHECK_LIMIT = 10.0
"""Seconds that one asking of a readiness check may take."""
_LAST_LINES = 15
_STEADY = 10.0
"""Seconds after which a ready process counts as healthy again: its next death is the first in a row."""


class Phase(StrEnum):
    """Where a process is in its life."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Status:
    """What is known of one process now."""

    name: str
    phase: Phase
    pid: int | None
    restarts: int


@dataclass
class _Unit:
    spec: Process
    dependents: tuple[str, ...]
    phase: Phase = Phase.WAITING
    process: asyncio.subprocess.Process | None = None
    restarts: int = 0
    deaths: int = 0
    ever_ready: bool = False
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    keeper: asyncio.Task[None] | None = None


class Supervisor:
    """Runs a set of processes. Used once: `start`, then `stop`.

    Args:
        processes: what to run; names are unique, and every name in an `after` is among them.
        logs: folder of one log file a process; the log of the run before is kept as NAME.log.1.
        ledger: where the children are recorded.
        on_change: called after each change of a process's phase.
    """

    def __init__(
        self,
        processes: Iterable[Process],
        logs: Path,
        ledger: Ledger,
        on_change: Callable[[tuple[Status, ...]], None] | None = None,
    ) -> None:
        specs = {spec.name: spec for spec in processes}
        order = TopologicalSorter({name: spec.after for name, spec in specs.items()}).static_order()
        self._units = {name: _Unit(specs[name], _dependents(name, specs)) for name in order}
        self._logs = logs
        self._ledger = ledger
        self._on_change = on_change
        self._failure: asyncio.Future[None] | None = None

    async def start(self) -> None:
        """Start everything and wait until all is ready.

        Raises:
            StartFailedError: a one-shot process failed, or another never became ready. What runs goes on running:
                call `stop`.
        """
        self._logs.mkdir(parents=True, exist_ok=True)
        self._failure = asyncio.get_running_loop().create_future()
        for unit in self._units.values():
            _rotate(self._log(unit))
            self._begin(unit)
        await self.wait_ready()

    def _begin(self, unit: _Unit) -> None:
        unit.keeper = asyncio.create_task(self._keep(unit), name=f"keep {unit.spec.name}")
        unit.keeper.add_done_callback(self._keeper_ended)

    async def wait_ready(self, *names: str) -> None:
        """Wait until the named processes (all that are not halted, when none is named) are ready.

        Raises:
            StartFailedError: one of all the processes was given up.
        """
        running = (name for name, unit in self._units.items() if unit.phase is not Phase.STOPPED)
        await self._unless_failed(asyncio.create_task(self._all_ready(names or tuple(running))))

    async def _all_ready(self, names: tuple[str, ...]) -> None:
        for name in names:
            await self._units[name].ready.wait()

    async def failed(self) -> None:
        """Wait until a process is given up; raises its StartFailedError."""
        if self._failure is not None:
            await asyncio.shield(self._failure)

    async def kill(self, name: str) -> None:
        """SIGKILL a process, and return when it is gone; it is then started again."""
        unit = self._units[name]
        process = unit.process
        if process is None:
            return
        unit.ready.clear()
        signal_group(process.pid, signal.SIGKILL)
        await process.wait()
        unit.ready.clear()  # again: a check may have passed between the signal and the death

    async def halt(self, name: str) -> bool:
        """Stop one process, whoever depends on it, and leave it stopped until `resume`.

        Returns whether it ended by itself within its grace; False: it was killed.
        """
        unit = self._units[name]
        process = unit.process
        await self._halt(unit)
        return process is None or process.returncode != -signal.SIGKILL

    def resume(self, name: str) -> None:
        """Start a process that was halted; returns at once."""
        unit = self._units[name]
        self._enter(unit, Phase.WAITING)
        self._begin(unit)

    async def stop(self) -> None:
        """Stop everything, those first that nothing else depends on."""
        await asyncio.gather(*(self._stop_unit(unit) for unit in self._units.values()))
        if self._failure is not None and not self._failure.done():
            self._failure.cancel()

    def status(self) -> tuple[Status, ...]:
        """The processes in order of dependence."""
        return tuple(
            Status(name, unit.phase, None if unit.process is None else unit.process.pid, unit.restarts)
            for name, unit in self._units.items()
        )

    async def _unless_failed(self, waiting: "asyncio.Task[None]") -> None:
        failure = self._failure
        if failure is None:
            raise RuntimeError("the supervisor has not been started")
        either: set[asyncio.Future[None]] = {waiting, failure}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if failure.done():
            failure.result()

    def _keeper_ended(self, keeper: "asyncio.Task[None]") -> None:
        """Hand what ended a keeper, foreseen or not, to those who wait."""
        if keeper.cancelled() or self._failure is None or self._failure.done():
            return
        error = keeper.exception()
        if error is not None:
            self._failure.set_exception(error)
            self._failure.exception()  # marks it as seen: nobody may be waiting at this moment

    async def _keep(self, unit: _Unit) -> None:
        """Hold one process in life until cancelled."""
        for name in unit.spec.after:
            await self._units[name].ready.wait()
        while True:
            await self._run_once(unit)
            if unit.phase is Phase.DONE:
                return
            unit.restarts += 1
            unit.deaths += 1
            self._enter(unit, Phase.RESTARTING)
            await asyncio.sleep(unit.spec.backoff.delay(unit.deaths))

    async def _run_once(self, unit: _Unit) -> None:
        """One life of the process, from its start to its death."""
        with self._log(unit).open("ab") as log:
            try:
                process = await spawn(unit.spec, log)
            except OSError as error:
                raise self._given_up(unit, f"could not be executed: {error}") from error
        unit.process = process
        self._ledger.add(unit.spec.name, process.pid)
        self._enter(unit, Phase.STARTING)
        if unit.spec.one_shot:
            await self._finish_one_shot(unit, process)
        else:
            await self._serve(unit, process)
        signal_group(process.pid, signal.SIGKILL)  # what the process itself started
        if unit.phase is Phase.DONE:
            unit.ready.set()
        else:
            unit.ready.clear()
        unit.process = None
        self._ledger.remove(unit.spec.name)

    async def _finish_one_shot(self, unit: _Unit, process: asyncio.subprocess.Process) -> None:
        code = await process.wait()
        if code != 0:
            raise self._given_up(unit, f"failed with {_exit(code)}")
        self._enter(unit, Phase.DONE)

    async def _serve(self, unit: _Unit, process: asyncio.subprocess.Process) -> None:
        if await self._until_ready(unit.spec, process):
            await self._stay_ready(unit, process)
            return
        too_slow = process.returncode is None
        if too_slow:
            await terminate(process, unit.spec.stop_signal, unit.spec.grace)
        if unit.ever_ready:
            return
        if too_slow:
            raise self._given_up(unit, f"was not ready within {unit.spec.ready_within:g} s")
        if unit.deaths + 1 >= unit.spec.backoff.give_up_after:
            code = _exit(await process.wait())
            raise self._given_up(unit, f"ended with {code} before it was ready, {unit.deaths + 1} times in a row")

    async def _stay_ready(self, unit: _Unit, process: asyncio.subprocess.Process) -> None:
        unit.ever_ready = True
        unit.ready.set()
        self._enter(unit, Phase.READY)
        since = time.monotonic()
        await process.wait()
        if time.monotonic() - since >= _STEADY:
            unit.deaths = 0

    async def _until_ready(self, spec: Process, process: asyncio.subprocess.Process) -> bool:
        """Ask until the check passes: False when the process died or its time is over."""
        if spec.ready is None:
            return True
        deadline = time.monotonic() + spec.ready_within
        pause = _FIRST_POLL
        while process.returncode is None and time.monotonic() < deadline:
            with contextlib.suppress(NotReadyError, OSError, TimeoutError):
                async with asyncio.timeout(_CHECK_LIMIT):
                    await spec.ready()
                return process.returncode is None
            await asyncio.sleep(pause)
            pause = min(_LAST_POLL, pause * 1.5)
        return False

    def _given_up(self, unit: _Unit, reason: str) -> StartFailedError:
        self._enter(unit, Phase.FAILED)
        return StartFailedError(unit.spec.name, reason, last_lines(self._log(unit)))

    async def _stop_unit(self, unit: _Unit) -> None:
        for name in unit.dependents:
            await self._units[name].stopped.wait()
        await self._halt(unit)
        unit.stopped.set()

    async def _halt(self, unit: _Unit) -> None:
        if unit.keeper is not None:
            unit.keeper.cancel()
            await asyncio.wait({unit.keeper})
        if unit.process is not None:
            await terminate(unit.process, unit.spec.stop_signal, unit.spec.grace)
            unit.process = None
            self._ledger.remove(unit.spec.name)
        if unit.phase not in {Phase.DONE, Phase.FAILED}:
            unit.ready.clear()
            self._enter(unit, Phase.STOPPED)

    def _enter(self, unit: _Unit, phase: Phase) -> None:
        unit.phase = phase
        if self._on_change is not None:
            self._on_change(self.status())

    def _log(self, unit: _Unit) -> Path:
        return self._logs / f"{unit.spec.name}.log"


def last_lines(log: Path, count: int = _LAST_LINES) -> tuple[str, ...]:
    """The end of a log file; nothing when there is none."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ()
    return tuple(text.splitlines()[-count:])


def _dependents(name: str, specs: Mapping[str, Process]) -> tuple[str, ...]:
    return tuple(other.name for other in specs.values() if name in other.after)


def _exit(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _rotate(log: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        log.replace(log.with_name(f"{log.name}.1"))
