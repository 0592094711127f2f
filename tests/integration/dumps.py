"""A database as text, and what of somebody stands in it."""

from __future__ import annotations

import io
from collections.abc import Iterable

import asyncpg

_TABLES = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY 1"


async def traces_in(url: str, words: Iterable[str]) -> list[str]:
    """Return where words stand in any row of a database, as text or as bytes: `<table>: <word>`."""
    connection = await asyncpg.connect(url)
    try:
        found = []
        for (table,) in await connection.fetch(_TABLES):
            told = io.BytesIO()
            await connection.copy_from_table(table, output=told)
            rows = told.getvalue()
            found += [
                f"{table}: {word}" for word in words if word.encode() in rows or word.encode().hex().encode() in rows
            ]
        return found
    finally:
        await connection.close()
