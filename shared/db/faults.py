"""Which failures of the database are worth the same call again, and which are a bug or bad data."""

from __future__ import annotations

import asyncpg

from shared.errors import Retriable, Unknown

_RETRIABLE_STATES = ("40P01", "40001", "55P03", "57014", "57P0", "25P03", "25P04", "08", "53")


class CommitUnknown(Unknown):
    """The answer to COMMIT was lost: the transaction may have happened. The table will tell, by key."""


def is_retriable(error: BaseException) -> bool:
    """Tell whether `error` is a race, a time limit or an absence that passes by itself (L5).

    Deadlocks, serialization failures, lock and statement time limits, a server that shuts down or has no room, and
    lost connections. Such an error never makes a dead letter.
    """
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "").startswith(_RETRIABLE_STATES)
    return isinstance(error, Retriable | Unknown | OSError | TimeoutError | asyncpg.InterfaceError)


def is_lost_connection(error: BaseException) -> bool:
    """Tell whether the connection itself is gone, so that nothing is known of what was under way on it."""
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "").startswith(("08", "57P0"))
    return isinstance(error, OSError | TimeoutError | asyncpg.InterfaceError)
