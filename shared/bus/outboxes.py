"""Mending a service's outbox from the shell: `python -m shared.bus.outboxes void …`.

It works on the service's database, `ARREARS_DATABASE_URL`, and keeps who did what and why. Ends with 0 when it is done,
1 when it was refused or is not done yet, 2 when the call makes no sense.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Sequence

import asyncpg

from shared.bus import voiding
from shared.errors import Permanent
from shared.events.registry import TOPICS

_CONNECT_SECONDS = 10.0
_LOOK_SECONDS = 0.2
_WAIT_SECONDS = 30.0

_STATE = """
SELECT coalesce(p.sequence, 0) >= $3 AS published, v.done_at IS NOT NULL AS voided
FROM outbox_stream s LEFT JOIN outbox_published p USING (topic, partition)
LEFT JOIN outbox_void v ON (v.topic, v.partition, v.sequence) = (s.topic, s.partition, $3)
WHERE (s.topic, s.partition) = ($1, $2)
"""

Write = Callable[[str], object]


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Return what was asked for; ends the program with 2 and the usage when it makes no sense."""
    parser = argparse.ArgumentParser(prog="python -m shared.bus.outboxes", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    act = commands.add_parser("void", help="give up the number that a halted stream waits at; its fact is never told")
    act.add_argument("topic", choices=[topic.name for topic in TOPICS])
    act.add_argument("partition", type=int)
    act.add_argument("number", type=int)
    act.add_argument("--reason", required=True, type=_words, help="travels to all readers: names no customer")
    act.add_argument("--by", required=True, type=_words, help="who you are")
    act.add_argument("--wait", type=float, default=_WAIT_SECONDS, help="seconds to wait until it is done (default 30)")
    return parser.parse_args(given)


def _words(text: str) -> str:
    if not 1 <= len(text.strip()) <= 200:
        raise argparse.ArgumentTypeError("1 to 200 characters")
    return text.strip()


async def run(asked: argparse.Namespace, connection: asyncpg.Connection, write: Write) -> int:
    """Do what was asked; returns the program's exit code."""
    try:
        return await _void(asked, connection, write)
    except Permanent as refused:
        write(f"拒绝执行 Refused: {refused}\n")
        return 1


async def _void(asked: argparse.Namespace, connection: asyncpg.Connection, write: Write) -> int:
    key = (asked.topic, asked.partition)
    await voiding.ask(connection, key, asked.number, asked.reason, asked.by)
    loop = asyncio.get_running_loop()
    until = loop.time() + asked.wait
    while True:
        row = await connection.fetchrow(_STATE, *key, asked.number)
        if row is not None and row["published"]:
            how = "已作废并发布 given up and published" if row["voided"] else "原事实已发布 published as it was"
            write(f"{asked.topic}/{asked.partition} {asked.number}: {how}\n")
            return 0
        if loop.time() >= until:
            write("已登记, 发布者停在该号码时执行。 Recorded; the publisher does it once it halts at that number.\n")
            return 1
        await asyncio.sleep(_LOOK_SECONDS)


async def _main(asked: argparse.Namespace, url: str) -> int:
    connection = await asyncpg.connect(url, timeout=_CONNECT_SECONDS)
    try:
        return await run(asked, connection, sys.stdout.write)
    finally:
        await connection.close(timeout=_CONNECT_SECONDS)


def main() -> int:
    """Run the command on the database of `ARREARS_DATABASE_URL`."""
    asked = arguments()
    url = os.environ.get("ARREARS_DATABASE_URL", "").strip()
    if not url:
        sys.stderr.write(
            "请设置 ARREARS_DATABASE_URL（服务的数据库）。 Set ARREARS_DATABASE_URL to the service's database.\n"
        )
        return 2
    return asyncio.run(_main(asked, url))


if __name__ == "__main__":
    sys.exit(main())
