"""Filed lists of hand-overs."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import asyncpg
import msgspec
from msgspec import Struct

from services.assignment.store.worklists import Scope
from shared.events.kinds import Amount

_encode = msgspec.json.Encoder().encode


class Line(Struct, frozen=True, kw_only=True):
    """One hand-over as filed; the collector's `reason` is kept here and in no fact."""

    hand_over_id: str
    case_id: str
    customer_id: str
    field_agent_id: str
    reason: str
    bucket: str
    grade: str | None
    owed: tuple[Amount, ...]


class FieldList(Struct, frozen=True, kw_only=True):
    """A list as filed with the supervisor of `team`."""

    list_id: str
    phone_agent_id: str
    team: str
    day: date
    filed_at: datetime
    lines: tuple[Line, ...]


_lines = msgspec.json.Decoder(tuple[Line, ...]).decode
_SAVE = """
INSERT INTO field_list (list_id, phone_agent_id, team, day, filed_at, lines) VALUES ($1, $2, $3, $4, $5, $6::jsonb)
"""
_IN_SCOPE = "($1 OR ($2::text IS NOT NULL AND team = $2) OR phone_agent_id = $3)"
_COLUMNS = "SELECT list_id, phone_agent_id, team, day, filed_at, lines FROM field_list"
_PAGE = f"""{_COLUMNS}
WHERE {_IN_SCOPE} AND ($4::timestamptz IS NULL OR (filed_at, list_id) < ($4, $5::text))
ORDER BY filed_at DESC, list_id DESC LIMIT $6
"""
_ONE = f"{_COLUMNS} WHERE list_id = $4 AND {_IN_SCOPE}"


async def save(connection: asyncpg.Connection, filed: FieldList) -> None:
    """Keep a filed list."""
    lines = _encode(filed.lines).decode()
    await connection.execute(_SAVE, filed.list_id, filed.phone_agent_id, filed.team, filed.day, filed.filed_at, lines)


async def page(
    connection: asyncpg.Connection, scope: Scope, after: tuple[datetime, str] | None, fetch: int
) -> list[FieldList]:
    """Return a page of the lists in scope, newest first."""
    since, last = after or (None, None)
    rows = await connection.fetch(_PAGE, scope.everybody, scope.team, scope.person, since, last, fetch)
    return [_list(row) for row in rows]


async def one(connection: asyncpg.Connection, scope: Scope, list_id: str) -> FieldList | None:
    """Return one list, or none when there is none in scope."""
    row = await connection.fetchrow(_ONE, scope.everybody, scope.team, scope.person, list_id)
    return _list(row) if row else None


def _list(row: asyncpg.Record) -> FieldList:
    values: dict[str, Any] = dict(row)
    return FieldList(**{**values, "lines": _lines(values["lines"])})
