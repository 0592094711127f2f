"""The state folder of one local stack: ports, passwords, logs, data. Two stacks side by side have two folders."""

import atexit
import contextlib
import fcntl
import json
import os
import secrets
import shutil
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from deploy.local.errors import AlreadyRunningError, MissingPartError
from deploy.local.ledger import replace_json
from deploy.local.ready import HOST

_LOCK_SECONDS = 1.0

_PORTS = range(20_000, 30_000)
"""Below the range from which the kernel takes ports for outgoing connections (32768 upwards)."""

_BLOCK = 100
_guards: dict[int, socket.socket] = {}
"""The blocks of ports that this process holds, by their first one."""

_given: set[int] = set()
"""What this process has given out: no two of its own stacks meet either."""

_OWN_FOLDERS = ("kafka", "logs", "mail", "postgres", "postgres.new", "sms", "telemetry")
_SMPP_PASSWORD_BYTES = 6
"""Becomes 8 characters, the most that SMPP 3.4 has room for."""


def default_state_dir(root: Path) -> Path:
    """`ARREARS_LOCAL_DIR`, or `.local` beside the code."""
    return Path(os.environ.get("ARREARS_LOCAL_DIR", root / ".local")).absolute()


@dataclass(frozen=True)
class StateDir:
    """Names the files of a state folder."""

    path: Path

    @property
    def logs(self) -> Path:
        """One log file a process."""
        return self.path / "logs"

    @property
    def mail(self) -> Path:
        """One .eml file a mail."""
        return self.path / "mail"

    @property
    def sms(self) -> Path:
        """The short messages."""
        return self.path / "sms"

    @property
    def telemetry(self) -> Path:
        """One file of spans a process."""
        return self.path / "telemetry"

    @property
    def ledger(self) -> Path:
        """The running children."""
        return self.path / "processes.json"

    @property
    def status(self) -> Path:
        """What `status` shows, written at each change."""
        return self.path / "status.json"

    def make(self) -> None:
        """Create the folder; everybody may pass through it (PostgreSQL may run as another account), and see nothing.

        Raises:
            MissingPartError: the folder cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self.path.chmod(0o711)
            for folder in (self.logs, self.mail, self.sms, self.telemetry):
                folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise MissingPartError(
                f"the state folder {self.path} cannot be written ({error.strerror})",
                "set ARREARS_LOCAL_DIR to a folder of your own",
            ) from error

    @property
    def is_new(self) -> bool:
        """Whether the data of the parts have never been complete here."""
        return not self._complete.exists()

    def completed(self) -> None:
        """From now on the data of the parts belong together."""
        self._complete.touch()

    @property
    def _complete(self) -> Path:
        return self.path / "complete"

    def empty(self) -> None:
        """Remove what stacks keep here, and the folder when nothing else is left in it."""
        for name in _OWN_FOLDERS:
            shutil.rmtree(self.path / name, ignore_errors=True)
        for file in [entry for entry in self.path.iterdir() if not entry.is_dir()]:
            file.unlink()
        with contextlib.suppress(OSError):  # not empty
            self.path.rmdir()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the folder for one supervisor; the kernel lets go when it ends in whatever way.

        Raises:
            AlreadyRunningError: another one holds it.
        """
        with self._locked(patience=_LOCK_SECONDS):
            yield

    def is_held(self) -> bool:
        """Whether a supervisor runs in this folder."""
        try:
            with self._locked(patience=0):
                return False
        except AlreadyRunningError:
            return True
        except FileNotFoundError:
            return False

    @contextlib.contextmanager
    def _locked(self, patience: float) -> Iterator[None]:
        """Lock the folder; a process that is just being started holds a copy of the lock for an instant."""
        deadline = time.monotonic() + patience
        with (self.path / "lock").open("a") as lock:
            while not _try_lock(lock):
                if time.monotonic() >= deadline:
                    raise AlreadyRunningError(f"a local stack already runs in {self.path}")
                time.sleep(0.02)  # no loop runs here yet, and whoever holds the copy lets go within that
            yield

    def ports(self, names: tuple[str, ...]) -> dict[str, int]:
        """A port for each name: that of the earlier starts while it is free, else a new one, then recorded."""
        recorded = _read_ports(self.path / "ports.json")
        chosen = choose_ports(names, recorded)
        replace_json(self.path / "ports.json", recorded | chosen)
        return chosen

    def secrets(self, names: tuple[str, ...]) -> dict[str, str]:
        """A random secret for each name, made at the first start and kept, readable by the owner alone."""
        file = self.path / "secrets.json"
        kept = _read_secrets(file)
        made = {name: secrets.token_urlsafe(24) for name in names if name not in kept}
        if "smpp" in made:
            made["smpp"] = secrets.token_urlsafe(_SMPP_PASSWORD_BYTES)
        if made:
            replace_json(file, kept | made, mode=0o600)
        return kept | made


def choose_ports(names: tuple[str, ...], recorded: dict[str, int]) -> dict[str, int]:
    """A free port for each name, the recorded one where it can be had; no port is given twice.

    What is given here stays this process's as long as it lives, whether or not anything listens there yet.
    """
    chosen = {name: recorded[name] for name in names if name in recorded and _is_ours(recorded[name])}
    taken = set(chosen.values()) | set(recorded.values())
    for name in names:
        if name not in chosen:
            chosen[name] = _free_port(taken | _given)
            taken.add(chosen[name])
    _given.update(chosen.values())
    return chosen


def is_free(port: int) -> bool:
    """Whether nothing listens on the port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _is_ours(port: int) -> bool:
    return port in _PORTS and port % _BLOCK != 0 and is_free(port) and _hold(port - port % _BLOCK)


def _hold(block: int) -> bool:
    """Hold the block of ports that begins here, unless another process does: whoever has bound its first port.

    Two stacks that choose at the same moment, or one whose parts are not all running, so never meet at a port.
    """
    if block not in _guards:
        guard = socket.socket()
        try:
            guard.bind((HOST, block))
        except OSError:
            guard.close()
            return False
        _guards[block] = guard
        atexit.register(guard.close)
    return True


def _free_port(taken: set[int]) -> int:
    others = list(_PORTS[::_BLOCK])
    secrets.SystemRandom().shuffle(others)
    for block in (*_guards, *others):
        if _hold(block):
            for port in range(block + 1, block + _BLOCK):
                if port not in taken and is_free(port):
                    return port
    raise MissingPartError(
        f"no free port on {HOST} between {_PORTS.start} and {_PORTS.stop - 1}", "stop what listens there"
    )


def _read_ports(file: Path) -> dict[str, int]:
    try:
        return {str(name): int(port) for name, port in json.loads(file.read_text(encoding="utf-8")).items()}
    except FileNotFoundError:
        return {}


def _read_secrets(file: Path) -> dict[str, str]:
    try:
        return {str(name): str(value) for name, value in json.loads(file.read_text(encoding="utf-8")).items()}
    except FileNotFoundError:
        return {}


def _try_lock(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
