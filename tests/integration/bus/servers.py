"""A database server of a test's own, small, that can be backed up, put back, doubled and failed over."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import asyncpg

from deploy.local import postgres
from deploy.local.postgres import Postgres
from deploy.local.process import run_program, spawn, terminate
from tests import patience

_RECOVER = "restore_command = 'false'\nrecovery_target_timeline = 'current'\n"
_PASSWORD = "toy"


def free_port() -> int:
    """Return a port that nobody listens on just now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


class Server:
    """One server on a data folder; `port` may be taken over by another one when this one has stopped."""

    def __init__(self, like: Postgres, name: str, port: int | None = None) -> None:
        self.postgres = replace(like, data=like.data.with_name(name), port=port or free_port())
        self._process: asyncio.subprocess.Process | None = None

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.postgres.port

    async def initialise(self) -> None:
        """Make empty data, small and without waiting for the disk: what is written lives for a test."""
        self._make_folder()
        with postgres._password_file(self.postgres) as password_file:
            if self.postgres.account is not None:
                os.chown(password_file, self.postgres.account.uid, self.postgres.account.gid)
            await self._run(
                "initdb", "--no-sync", "--wal-segsize=1", "-U", postgres.SUPERUSER, "--auth=scram-sha-256",
                "--encoding=UTF8", "--no-locale", f"--pwfile={password_file}",
            )  # fmt: skip
        with (self.postgres.data / "postgresql.auto.conf").open("a", encoding="ascii") as settings:
            settings.write("fsync = off\n")

    def _make_folder(self) -> None:
        self.remove()
        self.postgres.data.mkdir(mode=0o700)
        if self.postgres.account is not None:
            os.chown(self.postgres.data, self.postgres.account.uid, self.postgres.account.gid)

    async def _run(self, program: str, *arguments: str) -> None:
        """Run one of the server's programs on the data folder, as the server's account."""
        command = [str(self.postgres.programs / program), "-D", str(self.postgres.data), *arguments]
        done = await asyncio.to_thread(run_program, command, _ENV, self.postgres.account)
        assert done.returncode == 0, done.stdout

    async def database(self, name: str) -> str:
        """Make a database and return its owner's URL."""
        await self.postgres.ensure_databases({name: _PASSWORD})
        return self.postgres.url(name, name, _PASSWORD)

    async def start(self) -> None:
        """Start, and wait until it takes connections; whether it may be written to is another question."""
        with self.postgres.data.with_suffix(".log").open("ab") as log:
            self._process = await spawn(self.postgres.process({}), log)
        async with asyncio.timeout(patience.SECONDS):
            while not await self._answers():  # noqa: ASYNC110 - what is awaited is another process
                await asyncio.sleep(0.05)

    async def _answers(self) -> bool:
        try:
            connection = await asyncpg.connect(self.postgres.admin_url, timeout=5)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False
        connection.terminate()
        return True

    async def stop(self) -> None:
        """Stop, if it runs."""
        if self._process is not None:
            await terminate(self._process, self.postgres.process({}).stop_signal, 20.0)
            self._process = None

    async def copy_to(self, other: Path) -> None:
        """Copy the data of the stopped server, as a snapshot of its volume does."""
        shutil.rmtree(other, ignore_errors=True)
        done = await asyncio.to_thread(run_program, ["cp", "-a", str(self.postgres.data), str(other)], _ENV, None)
        assert done.returncode == 0, done.stdout

    async def back_up(self, other: Server, *arguments: str) -> None:
        """Copy the data of the running server to another one's folder, as an operator does."""
        other._make_folder()
        await other._run(
            "pg_basebackup", "--no-sync", "-X", "stream", "-c", "fast", "-d", self.postgres.admin_url, *arguments
        )

    def restore(self) -> None:
        """Have the next start end the backup's recovery and go on, on a timeline of its own."""
        with (self.postgres.data / "postgresql.auto.conf").open("a", encoding="ascii") as settings:
            settings.write(_RECOVER)
        (self.postgres.data / "recovery.signal").touch()

    async def promote(self) -> None:
        """Wait until a restored server has ended its recovery, or make a standby the first server."""
        connection = await asyncpg.connect(self.postgres.admin_url, timeout=5)
        try:
            if (self.postgres.data / "standby.signal").exists():
                assert await connection.fetchval("SELECT pg_promote()")
            async with asyncio.timeout(patience.SECONDS):
                while await connection.fetchval("SELECT pg_is_in_recovery()"):  # noqa: ASYNC110 - as above
                    await asyncio.sleep(0.05)
        finally:
            await connection.close()

    def remove(self) -> None:
        """Remove the data."""
        shutil.rmtree(self.postgres.data, ignore_errors=True)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Server]:
        """Run for the length of the block."""
        await self.start()
        try:
            yield self
        finally:
            await self.stop()
            self.remove()


_ENV = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
