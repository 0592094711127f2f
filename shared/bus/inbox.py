"""Positions from the shell: `python -m shared.bus.inbox --service URL list|acts|histories|accept-gap|resume|…`.

It calls the service's own routes with the operator's own token (`ARREARS_TOKEN`), so that each act is recorded with who
did it and why. Ends with 0 when it was done, 1 when it was refused, 2 when the call makes no sense.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import httpx

from shared.bus.letters import Refused, Write, as_operator, call, table

_POSITION = ("topic", "partition", "state", "position", "offset", "at", "stopped_at", "accept", "next", "reason")
_ACT = ("at", "topic", "partition", "act", "by", "old", "new", "reason", "found")
_FORK = ("at", "topic", "partition", "epoch", "base", "had")
_STALE = ("last_at", "topic", "partition", "epoch", "first", "last", "count")
_ACCEPTS = {
    "accept-gap": "go on behind a gap: what is missing takes no effect here",
    "accept-epoch": "go on with a stream that begins again from nothing",
    "accept-fork": "go on behind a number that was given twice: the second fact takes no effect here",
}


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Return what was asked for; ends the program with 2 and the usage when it makes no sense."""
    parser = argparse.ArgumentParser(prog="python -m shared.bus.inbox", description=__doc__)
    parser.add_argument("--service", required=True, metavar="URL", help="where the service listens")
    commands = parser.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("list", help="how far each stream is read, and why one stands still")
    listing.add_argument("--state", choices=("running", "stopped", "all"), default="all")
    commands.add_parser("acts", help="what was decided about positions, and by whom")
    commands.add_parser("histories", help="what writers forgot, and what was dropped of earlier epochs")
    for name, help_text in (*_ACCEPTS.items(), ("resume", "read on; it stops again if the cause is still there")):
        act = commands.add_parser(name, help=help_text)
        act.add_argument("topic")
        act.add_argument("partition", type=int)
        if name in _ACCEPTS:
            act.add_argument("--next", required=True, help="where it goes on, as the list shows it")
        act.add_argument("--reason", required=True)
    begin = commands.add_parser("subscribe", help="begin to read; a stopped stream gives up what lies before the place")
    begin.add_argument("topic")
    begin.add_argument("--partition", type=int, help="only this one")
    begin.add_argument("--from", dest="origin", required=True, help="start, end, or an instant with its offset")
    begin.add_argument("--reason", required=True)
    return parser.parse_args(given)


async def run(asked: argparse.Namespace, http: httpx.AsyncClient, write: Write) -> int:
    """Do what was asked and write the answer as tables; returns the program's exit code."""
    try:
        if asked.command == "list":
            found = await call(http, "GET", "/v1/positions", {"state": asked.state})
            write(table(found["items"], _POSITION))
        elif asked.command == "acts":
            write(table((await call(http, "GET", "/v1/positions/acts"))["items"], _ACT))
        elif asked.command == "histories":
            found = await call(http, "GET", "/v1/positions/histories")
            write(f"forks\n{table(found['forks'], _FORK)}\nstale\n{table(found['stale'], _STALE)}")
        else:
            write(table(await _act(asked, http), _ACT))
    except (Refused, httpx.HTTPError) as refused:
        write(f"{str(refused) or type(refused).__name__}\n")
        return 1
    return 0


async def _act(asked: argparse.Namespace, http: httpx.AsyncClient) -> list[dict[str, Any]]:
    path = f"/v1/positions/{quote(asked.topic, safe='')}"
    if asked.command == "subscribe":
        body = {"from": asked.origin, "partition": asked.partition, "reason": asked.reason}
        items: list[dict[str, Any]] = (await call(http, "POST", f"{path}/subscribe", body=body))["items"]
        return items
    body = {"reason": asked.reason, **({"next": asked.next} if asked.command in _ACCEPTS else {})}
    return [await call(http, "POST", f"{path}/{asked.partition}/{asked.command}", body=body)]


def main() -> int:
    """Run the command with the token of `ARREARS_TOKEN`."""
    return as_operator(arguments(), run)


if __name__ == "__main__":
    sys.exit(main())
