"""Mending a service's outbox: `python -m shared.bus.outboxes void|republish|collect-forgotten|forgotten|reviewed`.

It works on the service's database, `ARREARS_DATABASE_URL`, and keeps who did what and why. What reads the log needs
`ARREARS_KAFKA_BOOTSTRAP` and `ARREARS_NAMESPACE` as well. Ends with 0 when it is done,
1 when it was refused or is not done yet, 2 when the call makes no sense.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Mapping, Sequence

import asyncpg
from aiokafka.errors import KafkaError

from shared.bus import collecting, republishing, voiding
from shared.bus.letters import Write, table
from shared.bus.producing import ProduceUnknown, Producing
from shared.bus.republishing import Wish
from shared.errors import Permanent
from shared.events.registry import TOPICS

_CONNECT_SECONDS = 10.0
_FORGOTTEN = ("fact", "sequence", "began_here", "fact_type", "key", "time", "body", "reviewed_by", "review")
_LOOK_SECONDS = 0.2
_WAIT_SECONDS = 30.0

_STATE = """
SELECT coalesce(p.sequence, 0) >= $3 AS published, v.done_at IS NOT NULL AS voided
FROM outbox_stream s LEFT JOIN outbox_published p USING (topic, partition)
LEFT JOIN outbox_void v ON (v.topic, v.partition, v.sequence) = (s.topic, s.partition, $3)
WHERE (s.topic, s.partition) = ($1, $2)
"""


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
    again = commands.add_parser(
        "republish", help="send kept facts again under their numbers, where Kafka has lost them"
    )
    again.add_argument("topic", choices=[topic.name for topic in TOPICS])
    again.add_argument("partition", type=int)
    again.add_argument("first", type=int, metavar="from")
    again.add_argument("--to", type=int, help="the last number (default: the last that is published)")
    again.add_argument("--reason", required=True, type=_words)
    again.add_argument("--by", required=True, type=_words, help="who you are")
    collect = commands.add_parser("collect-forgotten", help="after a restore, before the service starts again")
    collect.add_argument("--service", required=True, choices=sorted({topic.writer for topic in TOPICS}))
    listing = commands.add_parser("forgotten", help="what waits for review; what began here comes first")
    listing.add_argument("--all", action="store_true", help="also what was reviewed")
    listing.add_argument("--limit", type=int, default=200, help="at most so many (default 200)")
    review = commands.add_parser("reviewed", help="one forgotten fact was seen to, or all that wait")
    which = review.add_mutually_exclusive_group(required=True)
    which.add_argument("--fact", type=_place, metavar="TOPIC/PARTITION/OFFSET")
    which.add_argument("--all", action="store_true")
    review.add_argument("--note", required=True, type=_words, help="what came of it")
    review.add_argument("--by", required=True, type=_words, help="who you are")
    return parser.parse_args(given)


def _words(text: str) -> str:
    if not 1 <= len(text.strip()) <= 200:
        raise argparse.ArgumentTypeError("1 to 200 characters")
    return text.strip()


def _place(text: str) -> tuple[str, int, int]:
    topic, partition, offset = (*text.split("/"), "", "")[:3]
    if not (partition.isdecimal() and offset.isdecimal()):
        raise argparse.ArgumentTypeError("topic/partition/offset, as the list shows them")
    return topic, int(partition), int(offset)


async def run(
    asked: argparse.Namespace, connection: asyncpg.Connection, write: Write, environment: Mapping[str, str]
) -> int:
    """Do what was asked; returns the program's exit code."""
    acts = {"void": _void, "forgotten": _forgotten, "reviewed": _reviewed}
    of_the_log = {"collect-forgotten": _collect, "republish": _republish}
    try:
        if asked.command in acts:
            return await acts[asked.command](asked, connection, write)
        if not environment.get("ARREARS_KAFKA_BOOTSTRAP"):
            write("请设置 ARREARS_KAFKA_BOOTSTRAP。 Set ARREARS_KAFKA_BOOTSTRAP to the broker's host:port.\n")
            return 2
        return await of_the_log[asked.command](asked, connection, write, environment)
    except Permanent as refused:
        write(f"拒绝执行 Refused: {refused}\n")
    except (KafkaError, OSError, TimeoutError, ProduceUnknown) as away:
        write(f"消息总线连接不上 The broker does not answer: {type(away).__name__}\n")
    return 1


async def _collect(
    asked: argparse.Namespace, connection: asyncpg.Connection, write: Write, environment: Mapping[str, str]
) -> int:
    bootstrap, namespace = _broker(environment)
    count = await collecting.collect(connection, bootstrap, namespace, asked.service)
    write(f"共有被遗忘的事实 Forgotten facts: {count}\n")
    return 0


def _broker(environment: Mapping[str, str]) -> tuple[str, str]:
    return environment["ARREARS_KAFKA_BOOTSTRAP"], environment.get("ARREARS_NAMESPACE", "arrears")


async def _republish(
    asked: argparse.Namespace, connection: asyncpg.Connection, write: Write, environment: Mapping[str, str]
) -> int:
    bootstrap, namespace = _broker(environment)
    wish = Wish((asked.topic, asked.partition), asked.first, asked.to, asked.reason, asked.by)
    producing = Producing(bootstrap, "republish")
    try:
        first, last = await republishing.republish(connection, producing, namespace, wish)
    finally:
        await producing.stop()
    write(f"{asked.topic}/{asked.partition} {first}-{last}: 已重新发布 published again\n")
    return 0


async def _forgotten(asked: argparse.Namespace, connection: asyncpg.Connection, write: Write) -> int:
    rows = await collecting.listed(connection, reviewed_too=asked.all, most=asked.limit)
    for row in rows:
        row["fact"] = f"{row['topic']}/{row['partition']}/{row['log_offset']}"
    write(table(rows, _FORGOTTEN))
    return 0


async def _reviewed(asked: argparse.Namespace, connection: asyncpg.Connection, write: Write) -> int:
    count = await collecting.mark_reviewed(connection, asked.by, asked.note, asked.fact)
    write(f"已核对 Reviewed: {count}\n")
    return 0 if count else 1


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
        return await run(asked, connection, sys.stdout.write, os.environ)
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
