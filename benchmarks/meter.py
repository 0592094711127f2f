"""CPU time and memory of processes, as the kernel counts them.

User and system time of our processes, of PostgreSQL's whole tree, and of the broker; in ticks of 10 ms, so a run must
take long enough for that not to matter.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from benchmarks.samples import Cost

_TICK = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


class Usage(NamedTuple):
    """A process's parent, its own CPU seconds, and those of children that have ended."""

    parent: int
    own: float
    ended: float


@dataclass(frozen=True, slots=True)
class Reading:
    """The counters at one instant, in seconds."""

    at: float
    clients: Mapping[int, float]
    postgres: float
    broker: float

    def since(self, start: Reading) -> Cost:
        """Return what was spent from `start` until now."""
        return Cost(
            self.at - start.at,
            sum(self.clients.values()) - sum(start.clients.values()),
            self.postgres - start.postgres,
            self.broker - start.broker,
        )


@dataclass(frozen=True, slots=True)
class Servers:
    """The process ids of PostgreSQL's first process and of the broker."""

    postgres: int
    broker: int

    def read(self, clients: Iterable[int]) -> Reading:
        """Read the counters; `clients` are the processes that do the measured work."""
        return Reading(
            at=time.perf_counter(),
            clients={pid: _own(pid) for pid in clients},
            postgres=_tree(self.postgres),
            broker=_own(self.broker),
        )


def resident(pid: int) -> int:
    """Return the bytes of a process that are in memory now; 0 when it has gone."""
    try:
        pages = int((_PROC / str(pid) / "statm").read_text().split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def parse(stat: str) -> Usage:
    """Read a line of /proc/PID/stat; the program's name in it may hold spaces and brackets."""
    fields = stat.rsplit(")", 1)[1].split()
    own, ended = int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14])
    return Usage(int(fields[1]), own / _TICK, ended / _TICK)


def _usage(pid: int | str) -> Usage | None:
    try:
        return parse((_PROC / str(pid) / "stat").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return None


def _own(pid: int) -> float:
    usage = _usage(pid)
    return 0.0 if usage is None else usage.own


def _tree(pid: int) -> float:
    """A process, its children, and the children that have ended: PostgreSQL has no grandchildren."""
    root = _usage(pid)
    if root is None:
        return 0.0
    children = (_usage(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit())
    return root.own + root.ended + sum(usage.own for usage in children if usage is not None and usage.parent == pid)
