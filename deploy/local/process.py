"""One supervised operating-system process: its description, how it is born and how it dies.

A child is the leader of its own session, so that a Ctrl-C on the terminal reaches the supervisor alone, and it asks the
kernel to be killed when the supervisor ends in whatever way (PR_SET_PDEATHSIG), so that nothing is left running.
"""

import asyncio
import ctypes
import os
import signal
import subprocess
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

Check = Callable[[], Awaitable[None]]
"""Returns when ready; raises NotReadyError, OSError or TimeoutError when not yet."""

_PR_SET_PDEATHSIG = 1
_ORPHANED = 111
_PROGRAM_LIMIT = 120
# Loaded before any fork: a forked child must not take the loader's locks.
_LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Account:
    """The operating-system account that a process runs as."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True)
class Backoff:
    """How long to wait before a restart, in seconds: `first`, doubled for each death in a row, at most `most`.

    A process that has never been ready is given up after `give_up_after` deaths in a row.
    """

    first: float = 0.1
    most: float = 5.0
    give_up_after: int = 3

    def delay(self, deaths: int) -> float:
        """Seconds to wait after that many deaths in a row (1 or more)."""
        return float(min(self.most, self.first * 2 ** (min(deaths, 32) - 1)))


@dataclass(frozen=True)
class Process:
    """What the supervisor has to know to run one process."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    """The whole environment of the process."""
    ready: Check | None = None
    """None: ready as soon as it runs. A one-shot process is ready when it has ended with exit code 0."""
    after: tuple[str, ...] = ()
    one_shot: bool = False
    backoff: Backoff = Backoff()
    ready_within: float = 60.0
    stop_signal: signal.Signals = signal.SIGTERM
    grace: float = 10.0
    """Seconds between the stop signal and SIGKILL."""
    death_signal: signal.Signals = signal.SIGKILL
    """What the kernel sends when the supervisor is gone."""
    account: Account | None = None
    """None: the supervisor's own account."""
    cwd: Path | None = None


def die_with_parent(parent: int, death_signal: int) -> Callable[[], None]:
    """Make the function that a forked child runs before it becomes the program, as the account it will keep.

    (A change of account clears the request, so this runs after it; Python's subprocess keeps that order.)
    """

    def arrange() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
        if os.getppid() != parent:  # the parent died between fork and prctl: no signal will come
            os._exit(_ORPHANED)

    return arrange


async def spawn(spec: Process, log: IO[bytes]) -> asyncio.subprocess.Process:
    """Start the process, its output going to `log`.

    Raises:
        OSError: the program cannot be executed.
    """
    account = spec.account
    return await asyncio.create_subprocess_exec(
        *spec.argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        env=dict(spec.env),
        cwd=spec.cwd,
        start_new_session=True,
        user=None if account is None else account.uid,
        group=None if account is None else account.gid,
        extra_groups=None if account is None else [],
        # Only prctl and getppid after the fork: both are safe there, whatever threads this process has.
        preexec_fn=die_with_parent(os.getpid(), spec.death_signal),
    )


def run_program(
    argv: Sequence[str], env: Mapping[str, str], account: Account | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program of the preparations to its end, its output in one text; it too dies with this process.

    Raises:
        OSError: it cannot be executed.
        subprocess.TimeoutExpired: it does not end.
    """
    return subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=_PROGRAM_LIMIT,
        cwd="/",
        env=env,
        user=None if account is None else account.uid,
        group=None if account is None else account.gid,
        extra_groups=None if account is None else [],
        preexec_fn=die_with_parent(os.getpid(), signal.SIGKILL),
    )


def signal_group(pid: int, number: signal.Signals) -> None:
    """Send a signal to the process group led by `pid`; one that is already gone is no error."""
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return


async def terminate(process: asyncio.subprocess.Process, stop_signal: signal.Signals, grace: float) -> None:
    """End the process: the stop signal to itself, after `grace` seconds SIGKILL to whatever is left of its group."""
    if process.returncode is None:
        try:
            process.send_signal(stop_signal)
            async with asyncio.timeout(grace):
                await process.wait()
        except (ProcessLookupError, TimeoutError):
            signal_group(process.pid, signal.SIGKILL)
        await process.wait()
    signal_group(process.pid, signal.SIGKILL)
