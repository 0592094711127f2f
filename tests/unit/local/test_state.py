import socket
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local.errors import AlreadyRunningError, MissingPartError
from deploy.local.stack import wipe
from deploy.local.state import StateDir, choose_ports, is_free


def test_free_recorded_port_is_kept() -> None:
    port = choose_ports(("kafka",), {})["kafka"]
    assert choose_ports(("kafka",), {"kafka": port}) == {"kafka": port}


def test_taken_recorded_port_is_replaced() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        assert not is_free(taken)
        assert choose_ports(("kafka",), {"kafka": taken})["kafka"] != taken


def test_two_processes_are_never_given_the_same_port_though_nothing_listens_there() -> None:
    names = tuple(f"part-{number}" for number in range(150))
    mine = choose_ports(names, {})
    there = f"from deploy.local.state import choose_ports; print(*choose_ports({names!r}, {mine!r}).values())"
    theirs = subprocess.run([sys.executable, "-c", there], check=True, capture_output=True, text=True).stdout.split()
    assert len(set(theirs)) == len(names)
    assert not {*map(int, theirs)} & {*mine.values()}


def test_a_process_gives_no_port_twice_though_nothing_listens_there() -> None:
    assert choose_ports(("ingest",), {}) != choose_ports(("ingest",), {})


def test_no_port_is_given_twice_nor_to_a_part_that_is_not_started_now() -> None:
    recorded = choose_ports(("mail",), {})
    names = tuple(f"part-{number}" for number in range(200))
    chosen = choose_ports(names, recorded)
    assert len(set(chosen.values())) == len(names)
    assert recorded["mail"] not in chosen.values()


def test_ports_are_kept_for_the_parts_of_other_starts(tmp_path: Path) -> None:
    state = StateDir(tmp_path)
    first = state.ports(("kafka", "scoring"))
    assert state.ports(("kafka",))["kafka"] == first["kafka"]
    assert state.ports(("scoring",)) == {"scoring": first["scoring"]}


def test_secrets_are_made_once(tmp_path: Path) -> None:
    state = StateDir(tmp_path)
    first = state.secrets(("issuer", "smpp"))
    assert state.secrets(("issuer", "smpp", "postgres")) == first | {"postgres": state.secrets(())["postgres"]}
    assert len(first["smpp"]) == 8
    assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600


def test_held_folder_lets_no_second_in_and_is_free_afterwards(tmp_path: Path) -> None:
    state = StateDir(tmp_path)
    with state.held():
        assert state.is_held()
        with pytest.raises(AlreadyRunningError), state.held():
            raise AssertionError("let in")
    assert not state.is_held()


def test_wiped_folder_keeps_what_is_none_of_its_own(tmp_path: Path) -> None:
    """The tests' stack keeps its state in a folder inside."""
    state = StateDir(tmp_path / "state")
    state.make()
    state.secrets(("postgres",))
    nested = StateDir(state.path / "tests")
    nested.make()
    wipe(state.path)
    assert [entry.name for entry in state.path.iterdir()] == ["tests"]
    wipe(nested.path)
    assert not nested.path.exists()


def test_running_folder_is_not_wiped(tmp_path: Path) -> None:
    state = StateDir(tmp_path)
    state.make()
    with state.held(), pytest.raises(AlreadyRunningError):
        wipe(tmp_path)
    assert state.logs.exists()


def test_folder_that_cannot_be_made_is_told_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MissingPartError, match="set ARREARS_LOCAL_DIR to a folder of your own"):
        StateDir(tmp_path / "file" / "state").make()
