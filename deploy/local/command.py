"""The commands of the local stack.

up      start in the background, wait until ready, show the addresses
run     the same in the foreground, until Ctrl-C
down    stop; the data stay (--wipe removes them)
status  what runs
logs    the last lines of the logs
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from deploy.local.errors import AlreadyRunningError, MissingPartError, StartFailedError
from deploy.local.ledger import Identity, Ledger
from deploy.local.parts import SERVICES
from deploy.local.stack import ROOT, Stack, tell, wipe
from deploy.local.state import StateDir, default_state_dir
from deploy.local.supervisor import last_lines

_POLL = 0.1
_STOP_LIMIT = 60.0
"""Seconds that a stopping supervisor is given: the longest grace of a process in each of the three layers."""


def main(arguments: Sequence[str]) -> int:
    """Run one command; its exit code."""
    options = _parser().parse_args(arguments)
    state = StateDir(default_state_dir(ROOT))
    try:
        return _run(options, state)
    except (AlreadyRunningError, MissingPartError, StartFailedError, ValueError) as error:
        tell(f"arrears: {error}")
        return 1


def _run(options: argparse.Namespace, state: StateDir) -> int:
    if options.command == "up":
        return up(state, _stack_arguments(options))
    if options.command == "run":
        return asyncio.run(run(state, _services(options), options.clock_file))
    if options.command == "down":
        return down(state, wipe_data=options.wipe)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `… | head` ends a listing without a word
    if options.command == "status":
        return status(state)
    return logs(state, options.name, options.lines)


def up(state: StateDir, stack_arguments: Sequence[str]) -> int:
    """Start a supervisor in the background and wait until all is ready."""
    state.make()
    if state.is_held():
        tell("arrears: the local stack already runs (stop it with `make down`)")
        return show(state)
    log = state.logs / "supervisor.log"
    log.unlink(missing_ok=True)
    state.status.unlink(missing_ok=True)
    with log.open("wb") as output:
        supervisor = subprocess.Popen(
            [sys.executable, "-m", "deploy.local", "run", *stack_arguments],
            cwd=ROOT,
            env=os.environ | {"ARREARS_LOCAL_DIR": str(state.path)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        came_up = _follow(supervisor, state, log)
    except KeyboardInterrupt:
        supervisor.terminate()
        supervisor.wait(_STOP_LIMIT)
        return 130
    return show(state) if came_up else 1


def _follow(supervisor: "subprocess.Popen[bytes]", state: StateDir, log: Path) -> bool:
    """Repeat what the supervisor says until it is ready (True) or has ended."""
    with log.open(encoding="utf-8") as lines:
        while True:
            ended = supervisor.poll() is not None
            for line in lines:
                tell(line.rstrip())
            if ended:
                return False
            if _published(state).get("ready"):
                return True
            time.sleep(_POLL)


async def run(state: StateDir, services: Sequence[str], clock_file: Path | None) -> int:
    """Run the stack here until a signal comes; a process that is given up ends it with an error.

    Raises:
        AlreadyRunningError, MissingPartError, StartFailedError: it could not start, or not go on.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    main_task = asyncio.current_task()

    def on_signal() -> None:
        if stopping.is_set():
            os._exit(130)  # asked twice: leave at once, the kernel ends the children
        stopping.set()
        if main_task is not None:
            main_task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, on_signal)
    try:
        async with Stack(state.path, services=services, clock_file=clock_file) as stack:
            if sys.stdout.isatty():
                show(state)
            await stack.failed()
    except asyncio.CancelledError:
        if not stopping.is_set():
            raise
    return 0


def down(state: StateDir, *, wipe_data: bool) -> int:
    """Stop the supervisor, then whatever a killed one left; with `wipe_data` remove the state folder."""
    supervisor = _supervisor(state)
    if supervisor is not None and supervisor.is_alive():
        supervisor.end(_STOP_LIMIT)
        tell("arrears: stopped")
    else:
        tell("arrears: the local stack does not run")
    if state.path.exists():
        with state.held():
            for name in Ledger(state.ledger).end_leftovers():
                tell(f"arrears: ended {name}, left over from an earlier start")
    if wipe_data:
        wipe(state.path)
        tell(f"arrears: removed all data in {state.path}")
    return 0


def status(state: StateDir) -> int:
    """Show what runs: 0 when all is ready, 1 when something is not, 3 when nothing runs."""
    if not state.is_held():
        tell("arrears: the local stack does not run (start it with `make up`)")
        return 3
    return show(state)


def show(state: StateDir) -> int:
    """Print the processes with their addresses, and how to get a token."""
    published = _published(state)
    table = Table(box=None, pad_edge=False)
    for heading in ("part", "state", "pid", "restarts", "address"):
        table.add_column(heading)
    addresses = published.get("urls", {}) | {
        "postgres": published.get("postgres", ""),
        "kafka": published.get("bootstrap", ""),
    }
    for row in published.get("processes", ()):
        pid = "" if row["pid"] is None else str(row["pid"])
        table.add_row(row["name"], row["phase"], pid, str(row["restarts"]), addresses.get(row["name"], ""))
    console = Console()
    console.print(table)
    if "issuer" in addresses:
        print(_token_help(addresses["issuer"], state.path / "secrets.json"))
    return 0 if published.get("ready") else 1


def _token_help(issuer: str, secrets: Path) -> str:
    secret = f'''"$(python3 -c "import json; print(json.load(open('{secrets}'))['issuer'])")"'''
    return (
        "\na token (roles: upstream phone_agent field_agent supervisor admin_assistant operator):\n"
        f"  curl -s {issuer}/token -d grant_type=client_credentials -d client_id=me -d scope=supervisor -d team=north"
        f" \\\n    --data-urlencode client_secret={secret}"
    )


def logs(state: StateDir, name: str | None, count: int) -> int:
    """Print the last lines of one log, or of all."""
    files = sorted(state.logs.glob("*.log")) if name is None else [state.logs / f"{name}.log"]
    if not files or not all(file.exists() for file in files):
        known = ", ".join(sorted(file.stem for file in state.logs.glob("*.log"))) or "none yet"
        tell(f"arrears: there is no log {'' if name is None else repr(name)} in {state.logs} (logs: {known})")
        return 1
    for file in files:
        if name is None:
            print(f"== {file.stem}")
        for line in last_lines(file, count):
            print(line)
    return 0


def _published(state: StateDir) -> dict[str, Any]:
    with contextlib.suppress(FileNotFoundError):
        published: dict[str, Any] = json.loads(state.status.read_text(encoding="utf-8"))
        return published
    return {}


def _supervisor(state: StateDir) -> Identity | None:
    row = _published(state).get("supervisor")
    return None if row is None else Identity(**row)


def _services(options: argparse.Namespace) -> tuple[str, ...]:
    if options.infra_only:
        return ()
    return tuple(options.services.split(",")) if options.services else SERVICES


def _stack_arguments(options: argparse.Namespace) -> list[str]:
    arguments = ["--infra-only"] if options.infra_only else []
    arguments += ["--services", options.services] if options.services else []
    arguments += ["--clock-file", str(options.clock_file.absolute())] if options.clock_file else []
    return arguments


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.local", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("up", "run"):
        command = commands.add_parser(name)
        command.add_argument("--infra-only", action="store_true", help="no services, no issuer")
        command.add_argument(
            "--services", help=f"comma-separated, replicas as scoring-1 (default {','.join(SERVICES)})"
        )
        command.add_argument("--clock-file", type=Path, help="the file of a stepped clock")
    commands.add_parser("down").add_argument("--wipe", action="store_true", help="remove all data")
    commands.add_parser("status")
    log_command = commands.add_parser("logs")
    log_command.add_argument("name", nargs="?")
    log_command.add_argument("--lines", type=int, default=20)
    return parser
