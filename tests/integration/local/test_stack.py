"""The infrastructure as a whole; the services have their own tests."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiokafka
import asyncpg
import pytest

from deploy.local.errors import AlreadyRunningError, LostDataError
from deploy.local.ledger import read_identities
from deploy.local.parts import SERVICES
from deploy.local.stack import ROOT, Stack, wipe
from tests.integration.local.conftest import is_running


def _infrastructure(state_dir: Path) -> Stack:
    return Stack(state_dir, services=(), catchers=False)


@pytest.fixture(scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    state_dir = tmp_path_factory.mktemp("stack") / "state"
    async with _infrastructure(state_dir) as running:
        yield running
    wipe(state_dir)


async def _write(stack: Stack, url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE TABLE kept (word text); INSERT INTO kept VALUES ('row')")
    await connection.close()
    admin = aiokafka.admin.AIOKafkaAdminClient(bootstrap_servers=stack.bootstrap)
    await admin.start()
    await admin.create_topics([aiokafka.admin.NewTopic("kept", num_partitions=1, replication_factor=1)])
    await admin.close()
    async with aiokafka.AIOKafkaProducer(bootstrap_servers=stack.bootstrap) as producer:
        await producer.send_and_wait("kept", b"record")


async def _read(stack: Stack, url: str) -> tuple[str, bytes]:
    connection = await asyncpg.connect(url)
    word = await connection.fetchval("SELECT word FROM kept")
    await connection.close()
    consumer = aiokafka.AIOKafkaConsumer(
        "kept", bootstrap_servers=stack.bootstrap, group_id="reader", auto_offset_reset="earliest"
    )
    async with consumer:
        record = await consumer.getone()
    return word, record.value


async def test_second_start_goes_on_with_kept_data_on_the_same_ports(state_dir: Path) -> None:
    async with _infrastructure(state_dir) as stack:
        ports = stack.ports
        url = await stack.create_database("toy")
        await _write(stack, url)
    async with _infrastructure(state_dir) as stack:
        assert stack.ports == ports
        assert await stack.create_database("toy") == url
        assert await _read(stack, url) == ("row", b"record")


async def test_lost_data_of_one_part_are_not_made_anew_beside_those_of_the_other(state_dir: Path) -> None:
    async with _infrastructure(state_dir):
        pass
    shutil.rmtree(state_dir / "kafka")
    with pytest.raises(LostDataError, match=r"the data of Kafka in .* are gone: start anew"):
        await _infrastructure(state_dir).__aenter__()


async def test_killed_parts_come_back_with_what_was_written(state_dir: Path) -> None:
    async with _infrastructure(state_dir) as stack:
        url = await stack.create_database("toy")
        await _write(stack, url)
        await stack.kill("postgres")
        await stack.kill("kafka")
        await stack.wait_ready()
        assert await _read(stack, url) == ("row", b"record")


async def test_port_that_somebody_took_is_chosen_anew(state_dir: Path) -> None:
    async with _infrastructure(state_dir) as stack:
        ports = stack.ports
    with socket.create_server(("127.0.0.1", ports["postgres"])):
        async with _infrastructure(state_dir) as stack:
            assert stack.ports["postgres"] != ports["postgres"]
            assert stack.ports["kafka"] == ports["kafka"]


async def test_each_service_has_a_database_that_no_other_gets_into(stack: Stack) -> None:
    for service in SERVICES:
        connection = await asyncpg.connect(stack.env(service)["ARREARS_DATABASE_URL"])
        assert await connection.fetchval("SELECT current_user = current_database()")
        await connection.execute("CREATE TABLE own ()")
        await connection.close()
    foreign = stack.env("scoring")["ARREARS_DATABASE_URL"].removesuffix("scoring") + "ingest"
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await asyncpg.connect(foreign)


async def test_dropped_database_is_gone_whoever_is_connected(stack: Stack) -> None:
    url = await stack.create_database("toy")
    connection = await asyncpg.connect(url)
    await stack.drop_database("toy")
    connection.terminate()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(url)


async def test_folder_belongs_to_one_stack_at_a_time(stack: Stack) -> None:
    with pytest.raises(AlreadyRunningError, match="already runs in"):
        await _infrastructure(stack.state.path).__aenter__()


async def test_secrets_are_for_the_owner_alone(stack: Stack) -> None:
    assert (stack.state.path / "secrets.json").stat().st_mode & 0o777 == 0o600


def _command(state_dir: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "deploy.local", *arguments],
        cwd=ROOT,
        env=os.environ | {"ARREARS_LOCAL_DIR": str(state_dir)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def test_commands_start_show_and_stop_it(state_dir: Path) -> None:
    assert _command(state_dir, "status").returncode == 3
    up = _command(state_dir, "up", "--infra-only")
    assert up.returncode == 0, up.stdout
    pids = [identity.pid for identity in read_identities(state_dir / "processes.json")]
    again = _command(state_dir, "up", "--infra-only")
    assert again.returncode == 0
    assert "already runs" in again.stdout
    assert "http://127.0.0.1:" in _command(state_dir, "status").stdout
    assert "Kafka Server started" in _command(state_dir, "logs", "kafka").stdout
    assert "stopped" in _command(state_dir, "down").stdout
    assert len(pids) == 4
    assert not any(is_running(pid) for pid in pids)
    assert "does not run" in _command(state_dir, "down").stdout


def test_command_says_in_one_line_what_is_wrong(state_dir: Path) -> None:
    done = _command(state_dir, "run", "--services", "billing")
    assert done.returncode == 1
    assert done.stdout.startswith("arrears: no service is called 'billing'")
    assert done.stdout.count("\n") == 1
