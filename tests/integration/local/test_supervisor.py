import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from deploy.local.errors import NotReadyError, StartFailedError
from deploy.local.ledger import Ledger, read_identities
from deploy.local.process import Backoff, Check, Process
from deploy.local.stack import ROOT
from deploy.local.supervisor import Phase, Status, Supervisor
from tests.integration.local.conftest import is_running

_ENVIRONMENT = {"PATH": os.defpath}
_QUICK = Backoff(first=0.01, most=0.05)
_LIMIT = 10

Run = Callable[..., Supervisor]


def _sh(
    name: str,
    script: str,
    *,
    after: tuple[str, ...] = (),
    ready: Check | None = None,
    one_shot: bool = False,
    grace: float = 5.0,
    ready_within: float = 5.0,
) -> Process:
    return Process(
        name=name,
        argv=("sh", "-c", script),
        env=_ENVIRONMENT,
        ready=ready,
        after=after,
        one_shot=one_shot,
        backoff=_QUICK,
        grace=grace,
        ready_within=ready_within,
    )


def _exists(file: Path) -> Check:
    async def check() -> None:
        if not file.exists():
            raise NotReadyError(f"{file} is not there")

    return check


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(_LIMIT):
        while not holds():  # noqa: ASYNC110 - what is waited for is another process
            await asyncio.sleep(0.01)


def _of(supervisor: Supervisor, name: str) -> Status:
    return next(status for status in supervisor.status() if status.name == name)


@pytest.fixture
async def run(tmp_path: Path) -> AsyncIterator[Run]:
    started: list[Supervisor] = []

    def make(*processes: Process) -> Supervisor:
        supervisor = Supervisor(processes, tmp_path / "logs", Ledger(tmp_path / "processes.json"))
        started.append(supervisor)
        return supervisor

    yield make
    for supervisor in started:
        await supervisor.stop()


async def test_process_starts_only_when_what_it_needs_is_ready(run: Run, tmp_path: Path) -> None:
    flag, seen = tmp_path / "flag", tmp_path / "seen"
    supervisor = run(
        _sh("second", f"test -e {flag} && touch {seen}; exec sleep 60", after=("first",), ready=_exists(seen)),
        _sh("first", f"sleep 0.1; touch {flag}; exec sleep 60", ready=_exists(flag)),
    )
    await supervisor.start()
    assert _of(supervisor, "second").restarts == 0


async def test_process_that_dies_is_started_again(run: Run, tmp_path: Path) -> None:
    supervisor = run(_sh("fragile", f"echo life >> {tmp_path}/lives; exec sleep 60"))
    await supervisor.start()
    first = _of(supervisor, "fragile").pid
    await supervisor.kill("fragile")
    await supervisor.wait_ready("fragile")
    again = _of(supervisor, "fragile")
    assert again.pid != first
    assert again.restarts == 1


async def test_killed_process_is_not_ready_until_its_check_passes_again(run: Run, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    supervisor = run(_sh("server", f"touch {flag}; exec sleep 60", ready=_exists(flag)))
    await supervisor.start()
    await supervisor.kill("server")
    flag.unlink()
    await supervisor.wait_ready("server")
    assert flag.exists()


async def test_halted_process_stays_away_until_it_is_resumed_and_nobody_waits_for_it(run: Run) -> None:
    supervisor = run(_sh("server", "exec sleep 60"), _sh("client", "exec sleep 60", after=("server",)))
    await supervisor.start()
    await supervisor.halt("server")
    await asyncio.wait_for(supervisor.wait_ready(), _LIMIT)
    assert (_of(supervisor, "server").phase, _of(supervisor, "server").pid) == (Phase.STOPPED, None)
    assert _of(supervisor, "client").phase is Phase.READY
    supervisor.resume("server")
    await asyncio.wait_for(supervisor.wait_ready("server"), _LIMIT)
    pid = _of(supervisor, "server").pid
    assert pid is not None
    assert is_running(pid)


async def test_one_shot_runs_once_and_then_those_that_wait_for_it(run: Run, tmp_path: Path) -> None:
    done, copy = tmp_path / "done", tmp_path / "copy"
    supervisor = run(
        _sh("migrate", f"sleep 0.1; echo ran >> {done}", one_shot=True),
        _sh(
            "service",
            f"cp {done} {copy}.part; mv {copy}.part {copy}; exec sleep 60",
            after=("migrate",),
            ready=_exists(copy),
        ),
    )
    await supervisor.start()
    assert done.read_text() == "ran\n"
    assert copy.read_text() == "ran\n"
    assert _of(supervisor, "migrate").phase is Phase.DONE


async def test_failed_one_shot_is_told_with_the_last_lines_of_its_log(run: Run, tmp_path: Path) -> None:
    supervisor = run(
        _sh("migrate", "echo one; echo column missing >&2; exit 3", one_shot=True),
        _sh("service", f"touch {tmp_path}/started", after=("migrate",)),
    )
    with pytest.raises(StartFailedError) as failed:
        await supervisor.start()
    assert failed.value.last_lines == ("one", "column missing")
    assert str(failed.value).startswith("migrate failed with exit code 3\n")
    assert not (tmp_path / "started").exists()


async def test_process_that_never_comes_up_is_given_up_after_three_lives(run: Run, tmp_path: Path) -> None:
    supervisor = run(_sh("broken", f"echo life >> {tmp_path}/lives; exit 1", ready=_exists(tmp_path / "never")))
    with pytest.raises(StartFailedError, match="broken ended with exit code 1 before it was ready, 3 times in a row"):
        await supervisor.start()
    assert (tmp_path / "lives").read_text().splitlines() == ["life"] * 3


async def test_process_that_is_never_ready_is_given_up_and_ended(run: Run, tmp_path: Path) -> None:
    supervisor = run(
        _sh("slow", f"echo $$ > {tmp_path}/pid; exec sleep 60", ready=_exists(tmp_path / "never"), ready_within=0.3)
    )
    with pytest.raises(StartFailedError, match=r"slow was not ready within 0\.3 s"):
        await supervisor.start()
    assert not is_running(int((tmp_path / "pid").read_text()))


async def test_program_that_is_not_there_is_named(run: Run) -> None:
    supervisor = run(Process(name="absent", argv=("/nowhere/program",), env=_ENVIRONMENT))
    with pytest.raises(StartFailedError, match="absent could not be executed"):
        await supervisor.start()


async def test_check_that_breaks_is_not_taken_for_not_ready(run: Run) -> None:
    async def broken() -> None:
        raise ZeroDivisionError

    supervisor = run(_sh("server", "exec sleep 60", ready=broken))
    with pytest.raises(ZeroDivisionError):
        await supervisor.start()


async def test_failure_after_the_start_is_told_to_whoever_waits(run: Run, tmp_path: Path) -> None:
    """A process that was ready once is started again for ever; only its program's disappearance ends that."""
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    supervisor = run(Process(name="server", argv=(str(program),), env=_ENVIRONMENT, backoff=_QUICK))
    await supervisor.start()
    program.unlink()
    await supervisor.kill("server")
    with pytest.raises(StartFailedError, match="server could not be executed"):
        await asyncio.wait_for(supervisor.failed(), _LIMIT)


async def test_stop_goes_in_the_reverse_order(run: Run, tmp_path: Path) -> None:
    def told(name: str, *after: str) -> Process:
        ready = tmp_path / f"{name}.ready"
        script = f"trap 'echo {name} >> {tmp_path}/stops; exit 0' TERM; touch {ready}; while :; do sleep 0.01; done"
        return _sh(name, script, after=after, ready=_exists(ready))

    supervisor = run(told("database"), told("bus", "database"), told("service", "bus", "database"))
    await supervisor.start()
    await supervisor.stop()
    assert (tmp_path / "stops").read_text().splitlines() == ["service", "bus", "database"]
    assert {status.phase for status in supervisor.status()} == {Phase.STOPPED}


async def test_process_that_ignores_the_stop_signal_is_killed_after_its_grace(run: Run, tmp_path: Path) -> None:
    ready, pid = tmp_path / "ready", tmp_path / "pid"
    script = f"trap '' TERM; echo $$ > {pid}; touch {ready}; while :; do sleep 0.01; done"
    supervisor = run(_sh("deaf", script, ready=_exists(ready), grace=0.2))
    await supervisor.start()
    await supervisor.stop()
    assert not is_running(int(pid.read_text()))


async def test_what_a_process_started_itself_ends_with_it(run: Run, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    supervisor = run(_sh("parent", f"sleep 60 & echo $! > {pid}.new; mv {pid}.new {pid}; wait", ready=_exists(pid)))
    await supervisor.start()
    grandchild = int(pid.read_text())
    await supervisor.stop()
    await _until(lambda: not is_running(grandchild))


async def test_stop_in_the_middle_of_a_start_leaves_nothing(run: Run, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    supervisor = run(_sh("slow", f"echo $$ > {pid}; exec sleep 60", ready=_exists(tmp_path / "never")))
    start = asyncio.create_task(supervisor.start())
    await _until(lambda: pid.exists() and pid.read_text() != "")
    start.cancel()
    await supervisor.stop()
    assert not is_running(int(pid.read_text()))


async def test_log_of_the_run_before_is_kept_once(run: Run, tmp_path: Path) -> None:
    for word in ("first", "second", "third"):
        supervisor = run(_sh("talker", f"echo {word}", one_shot=True))
        await supervisor.start()
        await supervisor.stop()
    assert (tmp_path / "logs" / "talker.log").read_text() == "third\n"
    assert (tmp_path / "logs" / "talker.log.1").read_text() == "second\n"


_KILLED = """
import asyncio, os, sys
from pathlib import Path
from deploy.local.ledger import Ledger
from deploy.local.process import Process
from deploy.local.supervisor import Supervisor

async def main(folder):
    deaf = "trap '' TERM INT HUP; while :; do sleep 0.05; done"
    processes = [Process(name=f"deaf{n}", argv=("sh", "-c", deaf), env={"PATH": os.defpath}) for n in range(3)]
    await Supervisor(processes, folder / "logs", Ledger(folder / "processes.json")).start()
    (folder / "up").touch()
    await asyncio.sleep(60)

asyncio.run(main(Path(sys.argv[1])))
"""


def test_nothing_outlives_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    """What a child started itself and did not end with it is not covered; no part of the stack does that."""
    with subprocess.Popen([sys.executable, "-c", _KILLED, str(tmp_path)], cwd=ROOT) as supervisor:
        _wait_for((tmp_path / "up").exists)
        children = [identity.pid for identity in read_identities(tmp_path / "processes.json")]
        assert len(children) == 3
        supervisor.kill()
    _wait_for(lambda: not any(is_running(pid) for pid in children))


def test_leftovers_are_ended_by_the_next_start_and_strangers_are_not(tmp_path: Path) -> None:
    """The stranger has a recorded process's id and another start time, as after a reboot."""
    record = tmp_path / "processes.json"
    with contextlib.ExitStack() as exits:
        left, stranger = (
            exits.enter_context(subprocess.Popen(["sleep", "60"], start_new_session=True)) for _ in range(2)
        )
        exits.callback(stranger.kill)
        ledger = Ledger(record)
        ledger.add("left", left.pid)
        ledger.add("stranger", stranger.pid)
        rows = json.loads(record.read_text())
        rows[1]["started"] -= 1
        record.write_text(json.dumps(rows))
        assert Ledger(record).end_leftovers() == ("left",)
        assert left.wait(_LIMIT) == -signal.SIGTERM
        assert stranger.poll() is None
    assert not record.exists()


def _wait_for(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _LIMIT
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)
