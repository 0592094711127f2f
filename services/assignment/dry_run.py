"""Tries a strategy file on today's cases: `python -m services.assignment.dry_run FILE --service URL`.

Tells who would move where, and why, before the file takes effect; nothing is written. Needs a supervisor's token in
`ARREARS_TOKEN`: one with a team sees that team's cases, one without sees all. Ends with 0 when the file can be used,
whatever it changes, and 2 when it cannot, or the service says no.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx

from shared.bus.letters import Refused, call, table

_TIMEOUT_SECONDS = 60.0
_COLUMNS = ("cases", "from", "to", "why")
_CASE = ("case", "customer", "collector", "from", "to", "why")

Say = Callable[[str], object]
Move = dict[str, Any]


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Return what was asked for; ends the program with 2 and the usage when it makes no sense."""
    parser = argparse.ArgumentParser(prog="python -m services.assignment.dry_run", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--service", required=True, metavar="URL", help="where assignment listens")
    parser.add_argument("--cases", action="store_true", help="also name every case that moves")
    return parser.parse_args(given)


async def run(asked: argparse.Namespace, http: httpx.AsyncClient, say: Say) -> int:
    """Try the file on every open case and say what would change; returns the program's exit code.

    Raises:
        Refused: the file cannot be used, or the token is not a supervisor's.
        OSError, httpx.HTTPError: the file cannot be read, or the service is away.
    """
    text = asked.file.read_text(encoding="utf-8")
    moves: list[Move] = []
    examined, after = 0, None
    while True:
        answer = await call(http, "POST", "/v1/strategies/dry-run", body={"strategy": text, "after": after})
        moves += answer["moves"]
        examined += answer["examined"]
        after = answer["next"]
        if after is None:
            break
    say(f"{answer['strategy']} (from {answer['valid_from']}) beside {answer['against']}, which is in force\n")
    say(f"{len(moves)} of {examined} open cases would move; nothing was written\n")
    if moves:
        say(table(summary(moves), _COLUMNS))
    if asked.cases and moves:
        say(table([_case(move) for move in moves], _CASE))
    return 0


def summary(moves: Sequence[Move]) -> list[dict[str, Any]]:
    """Return how many cases go from where to where for the same reasons, the most first."""
    counted = Counter((_place(move["before"]), _place(move["after"]), _why(move)) for move in moves)
    return [
        {"cases": count, "from": before, "to": after, "why": why}
        for (before, after, why), count in sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    ]


def _case(move: Move) -> dict[str, Any]:
    return {
        "case": move["case_id"],
        "customer": move["customer_id"],
        "collector": move["collector"],
        "from": _place(move["before"]),
        "to": _place(move["after"]),
        "why": "; ".join(reason["en"] for reason in move["reasons"]),
    }


def _why(move: Move) -> str:
    return ", ".join(reason["code"] for reason in move["reasons"])


def _place(seen: dict[str, Any]) -> str:
    here = f"{seen['queue'] or 'gathering'} ({seen['step'] or '-'})"
    if seen["proposal"]:
        return f"{here}, {seen['proposal']} proposed"
    return f"{here}, then {seen['next_step']}" if seen["next_step"] else f"{here}, rests"


async def main() -> int:
    """Try the file that the command line names."""
    asked = arguments()
    token = os.environ.get("ARREARS_TOKEN", "").strip()
    if not token:
        sys.stderr.write("请设置 ARREARS_TOKEN（主管令牌）。 Set ARREARS_TOKEN to a supervisor's bearer token.\n")
        return 2
    headers = {"authorization": f"Bearer {token}"}
    try:
        async with httpx.AsyncClient(base_url=asked.service, headers=headers, timeout=_TIMEOUT_SECONDS) as http:
            return await run(asked, http, sys.stdout.write)
    except (Refused, OSError, httpx.HTTPError) as error:
        sys.stderr.write(f"{error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
