"""A second server that was restored from a backup of the first one, on its own timeline."""

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

from deploy.local.postgres import Postgres
from deploy.local.process import run_program, spawn, terminate

_RECOVER = "restore_command = 'false'\nrecovery_target_timeline = 'current'\n"


async def back_up(server: Postgres) -> Path:
    """Copy the server's data while it runs, as an operator does, and return where they are."""
    copy = server.data.with_name("restored")
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir(mode=0o700)
    if server.account is not None:
        os.chown(copy, server.account.uid, server.account.gid)
    program = str(server.programs / "pg_basebackup")
    command = [program, "-D", str(copy), "-X", "stream", "-c", "fast", "-d", server.admin_url]
    done = await asyncio.to_thread(run_program, command, {"PATH": os.defpath, "LC_ALL": "C"}, server.account)
    assert done.returncode == 0, done.stdout
    with (copy / "postgresql.auto.conf").open("a", encoding="ascii") as settings:
        settings.write(_RECOVER)
    (copy / "recovery.signal").touch()
    return copy


@asynccontextmanager
async def restored(server: Postgres, copy: Path) -> AsyncIterator[int]:
    """Run a server on the copy for the length of the block; its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    second = replace(server, data=copy, port=port)
    with (copy.parent / "restored.log").open("ab") as log:
        process = await spawn(second.process({}), log)
        try:
            async with asyncio.timeout(60):
                while not await _is_up(second):  # noqa: ASYNC110 - what is awaited is another process
                    await asyncio.sleep(0.1)
            yield port
        finally:
            await terminate(process, second.process({}).stop_signal, 20.0)
            shutil.rmtree(copy, ignore_errors=True)


async def _is_up(server: Postgres) -> bool:
    try:
        connection = await asyncpg.connect(server.admin_url, timeout=5)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False
    try:
        return not await connection.fetchval("SELECT pg_is_in_recovery()")
    finally:
        await connection.close()
