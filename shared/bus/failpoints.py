"""Where a process can be told to kill itself, so that tests can show what a death at that very step costs: nothing.

`ARREARS_FAILPOINT=name` or `name:count`, in development only: at the first, or the count-th, passing of that point the
process gets SIGKILL from itself, so that nothing of it is cleaned up. There is one before or after each await between
receiving a record and moving the position, and between reading a segment and moving `published`.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

READING: Final[Mapping[str, str]] = MappingProxyType(
    {
        "received": "records are in hand; no transaction yet",
        "begun": "the transaction is open; the position is not fenced yet",
        "moved": "the position is moved; nothing is handled yet",
        "handled": "state and dead letters are written; nothing is appended yet",
        "taken": "all is committed; the reader's memory does not know it yet",
    }
)
"""Passed by who reads, in this order; what is written in between passes `WRITING`."""

WRITING: Final[Mapping[str, str]] = MappingProxyType(
    {
        "appended": "facts are numbered and stored; no COMMIT yet",
        "committed": "COMMIT is answered; the publisher does not know it yet",
        "offered": "the publisher has the segments; nobody has the answer yet",
    }
)
"""Passed by every transaction that makes facts, in this order."""

PUBLISHING: Final[Mapping[str, str]] = MappingProxyType(
    {
        "chosen": "segments are read; nothing is sent yet",
        "produced": "the broker has acknowledged; nothing is noted yet",
        "recording": "it is noted in memory; `published` is not moved yet",
        "recorded": "`published` is moved and the segments are gone; the memory does not know it yet",
    }
)
"""Passed by the publisher, in this order."""

NAMES: Final = (*READING, *WRITING, *PUBLISHING)


@dataclass(slots=True)
class _Armed:
    name: str | None = None
    left: int = 0


_armed = _Armed()
"""Of this process: it can die only once."""


def parse(setting: str) -> tuple[str, int]:
    """Return the name and the passing at which to die.

    Raises:
        ValueError: there is no such point, or the count is no whole number above 0.
    """
    name, _, count = setting.partition(":")
    if name not in NAMES or not (count or "1").isdecimal() or int(count or "1") < 1:
        raise ValueError(f"ARREARS_FAILPOINT is <name> or <name>:<count>; the names are {', '.join(NAMES)}")
    return name, int(count or "1")


def arm(setting: str | None) -> None:
    """Arm the point that the setting names, or none.

    Raises:
        ValueError: see `parse`.
    """
    _armed.name, _armed.left = (None, 0) if setting is None else parse(setting)


def reach(name: str) -> None:
    """Pass a point; die, if it is armed and this is the passing."""
    if name != _armed.name:
        return
    _armed.left -= 1
    if _armed.left == 0:
        sys.stderr.write(f"failpoint {name}: this process kills itself\n")
        sys.stderr.flush()
        os.kill(os.getpid(), signal.SIGKILL)
