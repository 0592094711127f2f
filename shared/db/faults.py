"""Which failures of the database are worth the same call again, and which are a bug or bad data."""

from __future__ import annotations

import asyncpg

from shared.db.guard import StaleState
from shared.errors import Retriable, Unknown

_RACES = ("40P01", "40001", "55P03")
_RETRIABLE_STATES = (*_RACES, "57014", "57P0", "25P03", "25P04", "08", "53")
_STALE_PLAN = (asyncpg.InvalidCachedStatementError, asyncpg.OutdatedSchemaCacheError)
"""A migration ran beside us; the driver has dropped its cache, so the same call works."""

_BROKEN_LINK = (OSError, TimeoutError, asyncpg.InternalClientError, asyncpg.ProtocolError)
"""The last two the driver raises when the server dies under a statement and it no longer knows what state it is in."""


class CommitUnknown(Unknown):
    """The answer to COMMIT was lost: the transaction may have happened. The table will tell, by key."""


def is_retriable(error: BaseException) -> bool:
    """Tell whether `error` is a race, a time limit or an absence that passes by itself (L5).

    Deadlocks, serialization failures, lock and statement time limits, a server that shuts down or has no room, and
    lost connections. Such an error never makes a dead letter.
    """
    if isinstance(error, _STALE_PLAN):
        return True
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "").startswith(_RETRIABLE_STATES)
    return isinstance(error, (Retriable, Unknown, *_BROKEN_LINK)) or _says_closed(error)


def is_race(error: BaseException) -> bool:
    """Tell whether another writer was in the way and all is rolled back, so that the same call works at once."""
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "").startswith(_RACES)
    return isinstance(error, StaleState)


def is_lost_connection(error: BaseException) -> bool:
    """Tell whether the connection itself is gone, so that nothing is known of what was under way on it."""
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "").startswith(("08", "57P0"))
    return isinstance(error, _BROKEN_LINK) or _says_closed(error)


def _says_closed(error: BaseException) -> bool:
    """Tell a closed connection or pool from a wrong call: the driver has one class for both, and no code."""
    return isinstance(error, asyncpg.InterfaceError) and ("closed" in str(error) or "closing" in str(error))
