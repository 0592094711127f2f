from __future__ import annotations

import asyncpg
import pytest

from shared.errors import Permanent, Problem, Retriable, Unknown
from shared.web.guard import passing


@pytest.mark.parametrize(
    "error",
    [
        Retriable(),
        Unknown(),
        OSError(),
        TimeoutError(),
        ConnectionResetError(),
        asyncpg.DeadlockDetectedError(),
        asyncpg.SerializationError(),
        asyncpg.LockNotAvailableError(),
        asyncpg.TooManyConnectionsError(),
        asyncpg.ConnectionDoesNotExistError(),
        asyncpg.AdminShutdownError(),
        asyncpg.InterfaceError("cannot call Connection.fetch(): connection is closed"),
        asyncpg.InterfaceError("pool is closing"),
    ],
)
def test_an_absence_or_a_lost_race_passes_by_itself(error: Exception) -> None:
    assert passing(error)


@pytest.mark.parametrize(
    "error",
    [
        ValueError(),
        KeyError(),
        Permanent(),
        Problem("conflict", "", ""),
        asyncpg.UniqueViolationError(),
        asyncpg.NotNullViolationError(),
        asyncpg.UndefinedTableError(),
        asyncpg.InsufficientPrivilegeError(),
        asyncpg.InterfaceError("the server expects 2 arguments for this query, 1 was passed"),
    ],
)
def test_a_defect_of_ours_does_not(error: Exception) -> None:
    assert not passing(error)
