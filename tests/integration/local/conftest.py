"""Real parts of the local stack, each with its own folder, and nothing left of it afterwards."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from deploy.local import mail, sms
from deploy.local.ledger import Ledger
from deploy.local.parts import base_environment
from deploy.local.stack import ROOT, wipe
from deploy.local.state import choose_ports
from deploy.local.supervisor import Supervisor

SMPP_PASSWORD = "secret12"


class Catchers:
    """The mail catcher and the SMS centre, running."""

    def __init__(self, ports: dict[str, int]) -> None:
        self.smtp, self.smpp = ports["smtp"], ports["smpp"]
        self.mail, self.sms = f"http://127.0.0.1:{ports['mail']}", f"http://127.0.0.1:{ports['sms']}"
        self.supervisor: Supervisor


@pytest.fixture(scope="module")
async def catchers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Catchers]:
    folder = tmp_path_factory.mktemp("catchers")
    ports = choose_ports(("smtp", "mail", "smpp", "sms"), {})
    environment = base_environment()
    running = Catchers(ports)
    running.supervisor = Supervisor(
        [
            mail.process(ports["smtp"], ports["mail"], folder / "mail", ROOT, environment),
            sms.process(ports["smpp"], ports["sms"], folder / "sms.jsonl", ROOT, environment, SMPP_PASSWORD),
        ],
        folder / "logs",
        Ledger(folder / "processes.json"),
    )
    try:
        await running.supervisor.start()
        yield running
    finally:
        await running.supervisor.stop()


@pytest.fixture
def state_dir(tmp_path: Path) -> Iterator[Path]:
    """A state folder; pytest's own folders are closed to other accounts, which the stack must cope with as root."""
    state = tmp_path / "state"
    yield state
    wipe(state)


def is_running(pid: int) -> bool:
    """Whether the process exists and is more than an entry waiting to be reaped."""
    try:
        os.kill(pid, 0)
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (ProcessLookupError, FileNotFoundError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
