"""How the rig runs a service: `python -m tests.chaos.serving …`, with the arguments of `python -m uvicorn …`.

The environment has switches that only this module reads; a service knows nothing of them:

- `CHAOS_DEATHS=<point> <point> …`: the service is a child of this process, and armed with the first failpoint. When it
  has killed itself there, the next child is armed with the next, and the last one lives. What is imported is imported
  once, here, so a new life begins within the tenth part of the time that an interpreter takes to start.
- `CHAOS_WITHOUT=<guarantee> …`: the service runs without these guarantees; see `tests.chaos.without`.
"""

from __future__ import annotations

import gc
import importlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from types import FrameType

import uvicorn

from deploy.local.process import die_with_parent
from tests.chaos.without import remove

DEATHS, WITHOUT = "CHAOS_DEATHS", "CHAOS_WITHOUT"
_FAILPOINT = "ARREARS_FAILPOINT"


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run the service until it ends; its exit code."""
    for guarantee in environment.get(WITHOUT, "").split():
        remove(guarantee)
    points = environment.get(DEATHS, "").split()
    if not points:
        return _serve(arguments)
    importlib.import_module(arguments[-1].partition(":")[0])
    gc.freeze()
    for point in points:
        status = _live(arguments, point)
        if not (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL):
            return os.waitstatus_to_exitcode(status)
    return os.waitstatus_to_exitcode(_live(arguments, None))


def _live(arguments: Sequence[str], point: str | None) -> int:
    """One life of the service; returns the status with which it ended. What this process is asked, the child is."""
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        die_with_parent(parent, signal.SIGKILL)()
        os.environ.pop(_FAILPOINT, None)
        if point is not None:
            os.environ[_FAILPOINT] = point
        os._exit(_serve(arguments))

    def pass_on(number: int, frame: FrameType | None) -> None:
        os.kill(child, number)  # not waited for yet, so the number is still the child's

    signal.signal(signal.SIGTERM, pass_on)
    _, status = os.waitpid(child, 0)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    return status


def _serve(arguments: Sequence[str]) -> int:
    code: object = uvicorn.main.main(args=list(arguments), prog_name="uvicorn", standalone_mode=False)
    return code if isinstance(code, int) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
