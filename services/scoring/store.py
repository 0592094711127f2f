"""Every SQL statement of scoring, each for a whole batch."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import msgspec
from msgspec import Struct

from services.scoring.domain.account import Customer
from services.scoring.domain.card import Card
from services.scoring.domain.comparing import Comparison
from services.scoring.domain.panel import Pair
from shared.db.guard import all_saved
from shared.events.risk import AccountGraded
from shared.forgetting import Old

_encode = msgspec.json.Encoder().encode
_decode_customer = msgspec.json.Decoder(Customer).decode

_LOAD = """
SELECT customer_id, version, state, traceparent FROM customer_score
WHERE customer_id = ANY ($1::text[]) ORDER BY customer_id FOR UPDATE
"""

# Which rows are due is asked without locks and asked again of each row that is locked (L4).
_LOAD_DUE = """
SELECT customer_id, version, state, traceparent FROM customer_score
WHERE customer_id IN (SELECT customer_id FROM customer_score WHERE next_due <= $1 ORDER BY next_due LIMIT $2)
  AND next_due <= $1
ORDER BY customer_id FOR UPDATE SKIP LOCKED
"""

_SAVE = """
INSERT INTO customer_score AS t (customer_id, version, state, next_due, traceparent)
SELECT customer_id, version + 1, state, next_due, traceparent
FROM unnest($1::text[], $2::bigint[], $3::jsonb[], $4::timestamptz[], $5::text[])
    AS w (customer_id, version, state, next_due, traceparent)
ORDER BY customer_id
ON CONFLICT (customer_id) DO UPDATE
SET version = excluded.version, state = excluded.state, next_due = excluded.next_due, traceparent = excluded.traceparent
WHERE t.version = excluded.version - 1
RETURNING customer_id
"""

_RECORD = """
INSERT INTO grading (customer_id, account_id, version, graded_at, score, grade, bucket, suggested_treatment, reasons,
    card, card_version, basis)
SELECT * FROM unnest($1::text[], $2::text[], $3::int[], $4::timestamptz[], $5::int[], $6::text[], $7::text[],
    $8::text[], $9::jsonb[], $10::text[], $11::text[], $12::jsonb[]) ORDER BY 1, 2, 3
"""

# What is as it was is not written again.
_COMPARE = """
INSERT INTO comparison AS t (customer_id, account_id, bucket, champion_score, champion_grade, champion_treatment,
    challenger_score, challenger_grade, challenger_treatment, champion, champion_version, challenger,
    challenger_version, compared_at)
SELECT w.*, $10, $11, $12, $13, $14
FROM unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::text[], $6::text[], $7::int[], $8::text[], $9::text[])
    AS w (customer_id, account_id, bucket, champion_score, champion_grade, champion_treatment, challenger_score,
    challenger_grade, challenger_treatment)
ORDER BY w.customer_id, w.account_id
ON CONFLICT (customer_id, account_id) DO UPDATE
SET compared_at = excluded.compared_at, bucket = excluded.bucket, champion = excluded.champion,
    champion_version = excluded.champion_version, champion_score = excluded.champion_score,
    champion_grade = excluded.champion_grade, champion_treatment = excluded.champion_treatment,
    challenger = excluded.challenger, challenger_version = excluded.challenger_version,
    challenger_score = excluded.challenger_score, challenger_grade = excluded.challenger_grade,
    challenger_treatment = excluded.challenger_treatment
WHERE (t.bucket, t.champion, t.champion_version, t.champion_score, t.challenger, t.challenger_version,
        t.challenger_score)
    IS DISTINCT FROM (excluded.bucket, excluded.champion, excluded.champion_version, excluded.champion_score,
        excluded.challenger, excluded.challenger_version, excluded.challenger_score)
"""

_COMPARED = """
SELECT champion_grade, challenger_grade, count(*) AS accounts,
    count(*) FILTER (WHERE champion_treatment = challenger_treatment) AS same_treatment
FROM comparison
WHERE bucket <> 'M0' AND champion = $1 AND champion_version = $2 AND challenger = $3 AND challenger_version = $4
GROUP BY champion_grade, challenger_grade ORDER BY champion_grade, challenger_grade
"""

_COUNT_COMPARISONS = "SELECT count(*) FROM comparison WHERE bucket <> 'M0'"

_LOAD_AFTER = """
SELECT customer_id, version, state, traceparent FROM customer_score
WHERE customer_id > $1 ORDER BY customer_id LIMIT $2 FOR UPDATE
"""

_PEEK = "SELECT customer_id, version, state, traceparent FROM customer_score WHERE customer_id = $1"

_COUNT_CUSTOMERS = "SELECT count(*) FROM customer_score"

_NEXT_DUE = "SELECT min(next_due) FROM customer_score"

_IS_KNOWN = "SELECT EXISTS (SELECT FROM customer_score WHERE customer_id = $1)"

_HISTORY = """
SELECT account_id, version, graded_at, score, grade, bucket, suggested_treatment, reasons, card, card_version, basis
FROM grading
WHERE customer_id = $1 AND ($2::timestamptz IS NULL OR (graded_at, account_id, version) < ($2, $3::text, $4::int))
ORDER BY graded_at DESC, account_id DESC, version DESC LIMIT $5
"""


class CustomerRow(Struct, frozen=True):
    """A customer's state and the version that it was read at (0: there is no row yet)."""

    customer_id: str
    version: int = 0
    customer: Customer = Customer()
    traceparent: str | None = None
    next_due: datetime | None = None


class Graded(Struct, frozen=True):
    """A grading to be recorded: the fact, and what it was graded on."""

    fact: AccountGraded
    basis: dict[str, Any]


async def load(connection: asyncpg.Connection, customer_ids: Collection[str]) -> dict[str, CustomerRow]:
    """Return the rows of these customers, locked in order of their ids; an empty one for who is not known yet."""
    rows = await connection.fetch(_LOAD, list(customer_ids))
    found = {row["customer_id"]: _row(row) for row in rows}
    return {each: found.get(each) or CustomerRow(each) for each in customer_ids}


async def load_due(connection: asyncpg.Connection, now: datetime, limit: int) -> list[CustomerRow]:
    """Return up to `limit` customers with an account that has aged by `now`, locked; none that another one holds."""
    return [_row(row) for row in await connection.fetch(_LOAD_DUE, now, limit)]


async def save(connection: asyncpg.Connection, rows: Sequence[CustomerRow]) -> None:
    """Write the customers over the versions that they were read at.

    Raises:
        StaleState: another writer was first with one of them.
    """
    if not rows:
        return
    written = await connection.fetch(
        _SAVE,
        [row.customer_id for row in rows],
        [row.version for row in rows],
        [_encode(row.customer).decode() for row in rows],
        [row.next_due for row in rows],
        [row.traceparent for row in rows],
    )
    all_saved(sent=len(rows), returned=len(written))


async def record(connection: asyncpg.Connection, gradings: Sequence[Graded]) -> None:
    """Add gradings to the history."""
    if not gradings:
        return
    facts = [grading.fact for grading in gradings]
    await connection.execute(
        _RECORD,
        [fact.customer_id for fact in facts],
        [fact.account_id for fact in facts],
        [fact.version for fact in facts],
        [fact.graded_at for fact in facts],
        [fact.score for fact in facts],
        [fact.grade for fact in facts],
        [fact.bucket for fact in facts],
        [fact.suggested_treatment for fact in facts],
        [_encode(fact.reasons).decode() for fact in facts],
        [fact.card for fact in facts],
        [fact.card_version for fact in facts],
        [_encode(grading.basis).decode() for grading in gradings],
    )


async def compare(connection: asyncpg.Connection, pair: Pair, comparisons: Sequence[Comparison], now: datetime) -> None:
    """Keep what both cards of `pair` say of these accounts now, in place of what was said before."""
    if pair.challenger is None or not comparisons:
        return
    columns = ([getattr(each, name) for each in comparisons] for name in Comparison.__struct_fields__)
    await connection.execute(_COMPARE, *columns, *_names(pair, pair.challenger), now)


async def compared(connection: asyncpg.Connection, pair: Pair) -> list[asyncpg.Record]:
    """Return how many overdue accounts this very pair of cards gave each pair of grades."""
    if pair.challenger is None:
        return []
    rows: list[asyncpg.Record] = await connection.fetch(_COMPARED, *_names(pair, pair.challenger))
    return rows


async def count_comparisons(connection: asyncpg.Connection) -> int:
    """Return how many overdue accounts have been compared by any pair of cards."""
    return int(await connection.fetchval(_COUNT_COMPARISONS))


async def load_after(connection: asyncpg.Connection, customer_id: str, limit: int) -> list[CustomerRow]:
    """Return the next `limit` customers after this id, locked in order of their ids."""
    return [_row(row) for row in await connection.fetch(_LOAD_AFTER, customer_id, limit)]


async def peek(connection: asyncpg.Connection, customer_id: str) -> CustomerRow | None:
    """Return the customer's row without a lock, none of a customer who is not known."""
    row = await connection.fetchrow(_PEEK, customer_id)
    return None if row is None else _row(row)


async def count_customers(connection: asyncpg.Connection) -> int:
    """Return how many customers are known."""
    return int(await connection.fetchval(_COUNT_CUSTOMERS))


async def next_due(connection: asyncpg.Connection) -> datetime | None:
    """Return when the first account of all ages into another bin or bucket."""
    due: datetime | None = await connection.fetchval(_NEXT_DUE)
    return due


async def is_known(connection: asyncpg.Connection, customer_id: str) -> bool:
    """Return whether any fact about the customer has come."""
    return bool(await connection.fetchval(_IS_KNOWN, customer_id))


async def history(
    connection: asyncpg.Connection, customer_id: str, after: tuple[Any, ...] | None, fetch: int
) -> list[asyncpg.Record]:
    """Return the customer's gradings, newest first, from after the keyset (graded_at, account_id, version)."""
    graded_at, account_id, version = after or (None, None, None)
    rows: list[asyncpg.Record] = await connection.fetch(_HISTORY, customer_id, graded_at, account_id, version, fetch)
    return rows


def _names(pair: Pair, challenger: Card) -> tuple[str, str, str, str]:
    return pair.champion.name, pair.champion.version, challenger.name, challenger.version


def _row(row: asyncpg.Record) -> CustomerRow:
    return CustomerRow(row["customer_id"], row["version"], _decode_customer(row["state"]), row["traceparent"])


def old_rows(kept: timedelta) -> tuple[Old, ...]:
    """Return what is forgotten after `kept`: gradings, but never an account's newest one."""
    newer = (
        "EXISTS (SELECT FROM grading n WHERE (n.customer_id, n.account_id) = (t.customer_id, t.account_id) "
        "AND n.version > t.version)"
    )
    return (Old("grading", "graded_at", kept, but=f"NOT {newer}"),)
