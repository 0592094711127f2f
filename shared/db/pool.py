"""One pool a service, with time limits on everything: no call to the database waits for ever (L6)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import cast

import asyncpg

ACQUIRE_SECONDS = 10.0
RELEASE_SECONDS = 3.0
COMMAND_SECONDS = 65.0  # above transaction_timeout, so that the server is the one to give up first

_SESSION = {
    "application_name": "arrears",
    "idle_in_transaction_session_timeout": "5s",
    "lock_timeout": "5s",
    "transaction_timeout": "60s",
    "client_connection_check_interval": "2s",
    "tcp_user_timeout": "10s",
    "tcp_keepalives_idle": "10",
    "jit": "off",
    "timezone": "UTC",
}


async def open_pool(
    url: str, *, size: int, greet: Callable[[asyncpg.Connection], Coroutine[None, None, None]] | None = None
) -> asyncpg.Pool:
    """Open the service's pool of at most `size` connections; `greet` is done once on each before it is lent.

    Raises:
        OSError, asyncpg.PostgresError: the server is away or refuses; the caller waits and tries again.
    """
    return await asyncpg.create_pool(
        url,
        min_size=1,
        max_size=size,
        timeout=ACQUIRE_SECONDS,
        command_timeout=COMMAND_SECONDS,
        server_settings=_SESSION,
        init=greet,
        reset=_nothing_to_reset,
    )


async def _nothing_to_reset(_connection: object) -> None:
    """Spare each return of a connection a round trip.

    Nobody changes a session here: settings are given at connect, locks and cursors end with their transaction. One left
    open is rolled back by the pool itself, before it asks this.
    """


@asynccontextmanager
async def borrow(pool: asyncpg.Pool) -> AsyncIterator[asyncpg.Connection]:
    """Lend a connection of the pool; the one way to get one, since a bare acquire would wait for ever.

    Raises:
        TimeoutError: none was free in time.
    """
    connection = await pool.acquire(timeout=ACQUIRE_SECONDS)
    try:
        yield cast(asyncpg.Connection, connection)
    except asyncio.CancelledError:
        # Cut off in the middle of BEGIN or COMMIT it would be given back inside a transaction; the server rolls back.
        connection.terminate()
        raise
    finally:
        # A failure to give it back says nothing of what was done on it: told as one, a committed decision would be made
        # again. The pool has closed such a connection already.
        with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await pool.release(connection, timeout=RELEASE_SECONDS)
