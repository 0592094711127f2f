"""Reports and the colleagues who are told of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import asyncpg
import msgspec
from msgspec import Struct

from services.notify.domain.model import Audience, Colleague, Report, ReportBody

_encode = msgspec.json.Encoder().encode
_body = msgspec.json.Decoder(ReportBody).decode

_ROSTER = 0x61727265617273_01
"""Advisory lock: who changes the roster takes it alone, who tells reports by the roster shares it. Without it a report
and a new colleague, each committed unseen by the other, would never meet."""

_SAVE_COLLEAGUES = """
INSERT INTO colleague AS c (staff_id, version, name, role, team, language, email, active, since)
SELECT staff_id, version, name, role, team, language, email, active, since
FROM jsonb_to_recordset($1::jsonb) AS t (staff_id text, version int, name text, role text, team text, language text,
    email text, active boolean, since timestamptz)
ORDER BY staff_id
ON CONFLICT (staff_id) DO UPDATE
SET version = excluded.version, name = excluded.name, role = excluded.role, team = excluded.team,
    language = excluded.language, email = excluded.email, active = excluded.active, since = excluded.since
WHERE c.version < excluded.version
"""
_REOPEN = """
UPDATE report r SET due = r.occurred_at
FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[]) AS w (staff_id, role, team, since)
WHERE r.due IS NULL AND (r.told = 0 OR r.occurred_at >= w.since)
  AND (r.staff_id = w.staff_id OR r.staff_id IS NULL AND r.role = w.role AND (r.team IS NULL OR r.team = w.team))
"""
_ADD_REPORTS = """
INSERT INTO report (report_key, purpose, staff_id, role, team, body, occurred_at, due, told, traceparent)
SELECT report_key, purpose, staff_id, role, team, body, occurred_at, occurred_at, 0, traceparent
FROM jsonb_to_recordset($1::jsonb) AS t (report_key text, purpose text, staff_id text, role text, team text, body jsonb,
    occurred_at timestamptz, traceparent text)
ORDER BY report_key
ON CONFLICT (report_key) DO NOTHING
"""
_DUE_REPORTS = """
SELECT report_key, purpose, staff_id, role, team, body, occurred_at, told, traceparent FROM report
WHERE due <= $1 ORDER BY due, report_key LIMIT $2 FOR UPDATE SKIP LOCKED
"""
_TOLD = """
UPDATE report r SET due = NULL, told = w.told FROM unnest($1::text[], $2::int[]) AS w (report_key, told)
WHERE r.report_key = w.report_key
"""
_UNTOLD = """
UPDATE report r SET due = r.occurred_at, told = greatest(r.told - w.lost, 0)
FROM (
    SELECT left(natural_key, -length(staff_id) - 1) AS report_key, count(*) AS lost
    FROM notice WHERE notice_id = ANY ($1::text[]) GROUP BY 1
) AS w
WHERE r.report_key = w.report_key AND r.staff_id IS NULL
"""
_COLLEAGUES = "SELECT staff_id, version, name, role, team, language, email, active, since FROM colleague"
_NEXT_REPORT = "SELECT min(due) FROM report WHERE due IS NOT NULL"


class OpenReport(Struct, frozen=True):
    """A report whose telling is due. `told`: how many colleagues have been told before."""

    report: Report
    told: int
    traceparent: str


async def lock_roster(connection: asyncpg.Connection, *, alone: bool) -> None:
    """Hold the roster still until the transaction ends: alone to change it, shared to tell by it."""
    function = "pg_advisory_xact_lock" if alone else "pg_advisory_xact_lock_shared"
    await connection.execute(f"SELECT {function}($1)", _ROSTER)


async def save_colleagues(connection: asyncpg.Connection, colleagues: Sequence[Colleague]) -> None:
    """Keep the newest of each colleague, and reopen the reports that somebody new is to be told of."""
    await connection.execute(_SAVE_COLLEAGUES, _encode(colleagues).decode())
    active = [each for each in colleagues if each.active]
    await connection.execute(
        _REOPEN,
        [each.staff_id for each in active],
        [each.role for each in active],
        [each.team for each in active],
        [each.since for each in active],
    )


async def colleagues(connection: asyncpg.Connection) -> list[Colleague]:
    """Return everybody who works here, or did."""
    return [Colleague(**row) for row in await connection.fetch(_COLLEAGUES)]


async def add_reports(connection: asyncpg.Connection, reports: Iterable[tuple[Report, str]]) -> None:
    """Add reports, each with its trace; one that is there already stays as it is."""
    rows = [
        {
            "report_key": report.key,
            "purpose": report.purpose,
            **msgspec.structs.asdict(report.audience),
            "body": report.body,
            "occurred_at": report.occurred_at,
            "traceparent": traceparent,
        }
        for report, traceparent in reports
    ]
    if rows:
        await connection.execute(_ADD_REPORTS, _encode(rows).decode())


async def due_reports(connection: asyncpg.Connection, now: datetime, limit: int) -> list[OpenReport]:
    """Lock and return reports whose telling is due; those that another replica holds are passed over."""
    return [_open_report(row) for row in await connection.fetch(_DUE_REPORTS, now, limit)]


async def mark_told(connection: asyncpg.Connection, told: Mapping[str, int]) -> None:
    """Close reports, each with the number of colleagues told so far."""
    await connection.execute(_TOLD, list(told), list(told.values()))


async def reopen_untold(connection: asyncpg.Connection, notice_ids: Sequence[str]) -> None:
    """Tell anew the reports whose notices found their reader gone; one that was for that person alone is over."""
    if notice_ids:
        await connection.execute(_UNTOLD, notice_ids)


async def next_report(connection: asyncpg.Connection) -> datetime | None:
    """Return the earliest instant at which a report is to be told."""
    due: datetime | None = await connection.fetchval(_NEXT_REPORT)
    return due


def _open_report(row: asyncpg.Record) -> OpenReport:
    report = Report(
        key=row["report_key"],
        purpose=row["purpose"],
        audience=Audience(staff_id=row["staff_id"], role=row["role"], team=row["team"]),
        body=_body(row["body"]),
        occurred_at=row["occurred_at"],
    )
    return OpenReport(report, row["told"], row["traceparent"])
