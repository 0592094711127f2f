"""The record of the processes that a supervisor started, so that a later one can end what an earlier one left behind.

A process is named by its id, the tick it started at, and the boot it belongs to: an id alone may be somebody else's
by now.
"""

import contextlib
import json
import os
import signal
import time
from dataclasses import asdict, dataclass
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_START_TIME = 19
"""Place of `starttime` among the fields that follow the command's name in /proc/PID/stat (proc(5): field 22)."""
_STATE = 0
_POLL = 0.02


@dataclass(frozen=True)
class Identity:
    """One process, unmistakably."""

    name: str
    pid: int
    started: int
    """Clock ticks after boot."""
    boot: str

    @classmethod
    def of(cls, name: str, pid: int) -> "Identity":
        """The identity of a process that runs now; `started` is -1 (never alive) when it is already gone."""
        fields = _stat_fields(pid)
        return cls(name, pid, -1 if fields is None else int(fields[_START_TIME]), _boot_id())

    @classmethod
    def current(cls, name: str) -> "Identity":
        """The identity of this process."""
        return cls.of(name, os.getpid())

    def is_alive(self) -> bool:
        """Whether exactly this process still runs (one that only waits to be reaped does not)."""
        fields = _stat_fields(self.pid)
        if fields is None or fields[_STATE] in {"Z", "X"}:
            return False
        return int(fields[_START_TIME]) == self.started and _boot_id() == self.boot

    def end(self, grace: float) -> None:
        """Ask it to stop, and kill it with its group when it still runs after `grace` seconds."""
        if not self.is_alive():
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        self._wait(grace)
        if self.is_alive():
            with contextlib.suppress(ProcessLookupError):
                if os.getpgid(self.pid) == self.pid:
                    os.killpg(self.pid, signal.SIGKILL)
                else:  # a supervisor that a shell started as a part of its own job
                    os.kill(self.pid, signal.SIGKILL)
            self._wait(grace)

    def _wait(self, limit: float) -> None:
        deadline = time.monotonic() + limit
        while self.is_alive() and time.monotonic() < deadline:
            time.sleep(_POLL)


class Ledger:
    """The identities of the running children, in a file that is replaced as a whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._running: dict[str, Identity] = {}

    def add(self, name: str, pid: int) -> None:
        """Record a child that has just been started."""
        self._running[name] = Identity.of(name, pid)
        self._save()

    def remove(self, name: str) -> None:
        """Forget a child that has ended."""
        if self._running.pop(name, None) is not None:
            self._save()

    def end_leftovers(self, grace: float = 5.0) -> tuple[str, ...]:
        """End every recorded process that still runs; the names of those that did."""
        left = [identity for identity in read_identities(self._path) if identity.is_alive()]
        for identity in reversed(left):
            identity.end(grace)
        self._running.clear()
        self._path.unlink(missing_ok=True)
        return tuple(identity.name for identity in left)

    def _save(self) -> None:
        replace_json(self._path, [asdict(identity) for identity in self._running.values()])


def read_identities(path: Path) -> tuple[Identity, ...]:
    """What the file records; nothing when there is no file."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ()
    return tuple(Identity(**row) for row in rows)


def replace_json(path: Path, value: object, mode: int = 0o644) -> None:
    """Write a JSON file so that a reader sees the old or the new content, and nobody ever a wider mode."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as file:
        json.dump(value, file, indent=2)
        file.write("\n")
    fresh.replace(path)


def _stat_fields(pid: int) -> list[str] | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return stat.rpartition(")")[2].split()  # the command's name may hold spaces and brackets


def _boot_id() -> str:
    return _BOOT_ID.read_text(encoding="ascii").strip()
