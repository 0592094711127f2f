"""Dead letters from the shell: `python -m shared.bus.letters --service URL list|show|replay|discard …`.

It calls the service's own routes with the operator's own token (`ARREARS_TOKEN`), so that each act is recorded with who
did it. Ends with 0 when all was done, 1 when something was refused or failed again, 2 when the call makes no sense.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import httpx

_TIMEOUT_SECONDS = 120.0
"""A bulk command handles up to 500 facts before it answers."""

_LETTER = ("failed_at", "id", "topic", "partition", "sequence", "key", "code", "cause", "attempts", "state", "acted_by")
_ACT = ("id", "outcome", "code", "cause", "attempts", "behind")

Write = Callable[[str], object]
Act = Callable[[argparse.Namespace, httpx.AsyncClient, Write], Awaitable[int]]


class Refused(Exception):
    """The service said no; the message says why, Chinese first."""


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Return what was asked for; ends the program with 2 and the usage when it makes no sense."""
    parser = argparse.ArgumentParser(prog="python -m shared.bus.letters", description=__doc__)
    parser.add_argument("--service", required=True, metavar="URL", help="where the service listens")
    commands = parser.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("list", help="the newest first")
    listing.add_argument("--state", choices=("open", "replayed", "discarded", "all"), default="open")
    listing.add_argument("--code")
    listing.add_argument("--topic")
    listing.add_argument("--limit", type=int, default=50, help="at most so many (default 50)")
    show = commands.add_parser("show", help="one letter, its customer's data masked")
    show.add_argument("id")
    for name, help_text in (("replay", "have it handled again"), ("discard", "resolve it without effect")):
        act = commands.add_parser(name, help=f"{help_text}: one by its id, or all open ones of a code")
        which = act.add_mutually_exclusive_group(required=True)
        which.add_argument("id", nargs="?")
        which.add_argument("--code", help="all open ones of this error code")
        act.add_argument("--topic", help="with --code: only of this topic")
        act.add_argument("--limit", type=int, default=500, help="with --code: at most so many (default 500)")
        if name == "discard":
            act.add_argument("--reason", required=True)
            act.add_argument("--erase", action="store_true", help="remove what the letters hold as well")
    return parser.parse_args(given)


async def run(asked: argparse.Namespace, http: httpx.AsyncClient, write: Write) -> int:
    """Do what was asked and write the answer as a table; returns the program's exit code."""
    try:
        if asked.command == "list":
            write(table(await _list(asked, http), _LETTER))
            return 0
        if asked.command == "show":
            letter = await call(http, "GET", f"/v1/dead-letters/{quote(asked.id, safe='')}")
            write(json.dumps(letter, ensure_ascii=False, indent=2) + "\n")
            return 0
        acts = await _act(asked, http)
    except (Refused, httpx.HTTPError) as refused:
        write(f"{str(refused) or type(refused).__name__}\n")
        return 1
    write(table(acts, _ACT))
    return 0 if all(act["outcome"] in {"replayed", "discarded"} for act in acts) else 1


async def _list(asked: argparse.Namespace, http: httpx.AsyncClient) -> list[dict[str, Any]]:
    wanted = {"state": asked.state, "code": asked.code, "topic": asked.topic, "limit": min(asked.limit, 200)}
    page = await call(http, "GET", "/v1/dead-letters", {k: v for k, v in wanted.items() if v is not None})
    items: list[dict[str, Any]] = page["items"]
    while page["next"] and len(items) < asked.limit:
        page = await call(http, "GET", page["next"])
        items += page["items"]
    return items[: asked.limit]


async def _act(asked: argparse.Namespace, http: httpx.AsyncClient) -> list[dict[str, Any]]:
    """Replay or discard; a single act is a list of one."""
    body = {"reason": asked.reason, "erase": asked.erase} if asked.command == "discard" else {}
    if asked.id is not None:
        path = f"/v1/dead-letters/{quote(asked.id, safe='')}/{asked.command}"
        return [await call(http, "POST", path, body=body or None)]
    chosen = {"code": asked.code, "limit": asked.limit, **({"topic": asked.topic} if asked.topic else {})}
    answer = await call(http, "POST", f"/v1/dead-letters/{asked.command}", body={**chosen, **body})
    items: list[dict[str, Any]] = answer["items"]
    return items


async def call(
    http: httpx.AsyncClient,
    method: str,
    path: str,
    query: Mapping[str, Any] | None = None,
    body: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Call a route of the service and return its answer's members.

    Raises:
        Refused: the service said no, or it is none.
        httpx.HTTPError: it is away.
    """
    answer = await http.request(method, path, params=query, json=body)
    try:
        members = answer.json()
    except ValueError:
        raise Refused(f"HTTP {answer.status_code} without JSON: is this the address of a service?") from None
    if answer.is_success:
        found: dict[str, Any] = members
        return found
    raise Refused("\n".join(_words(answer.status_code, members)))


def _words(status: int, problem: Mapping[str, Any]) -> list[str]:
    known = ("acted_by", "acted_at", "behind")
    return [
        f"{status} {problem.get('code')}: {problem.get('detail')} {problem.get('detail_en')}",
        *(f"  {name}: {problem[name]}" for name in known if name in problem),
        *(f"  {error['field']}: {error['fault']} {error['fault_en']}" for error in problem.get("errors", ())),
    ]


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Return rows as lines of aligned columns under their names; a column that is empty throughout is left out."""
    used = [name for name in columns if any(row[name] is not None for row in rows)]
    cells = [used, *(["-" if row[name] is None else str(row[name]) for name in used] for row in rows)]
    widths = [max(len(line[number]) for line in cells) for number in range(len(used))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    return "\n".join(lines) + "\n" if rows else "none\n"


async def _main(asked: argparse.Namespace, token: str, act: Act) -> int:
    headers = {"authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=asked.service, headers=headers, timeout=_TIMEOUT_SECONDS) as http:
        return await act(asked, http, sys.stdout.write)


def as_operator(asked: argparse.Namespace, act: Act) -> int:
    """Run a command against the service with the token of `ARREARS_TOKEN`; returns the program's exit code."""
    token = os.environ.get("ARREARS_TOKEN", "").strip()
    if not token:
        sys.stderr.write("请设置 ARREARS_TOKEN（操作员令牌）。 Set ARREARS_TOKEN to an operator's bearer token.\n")
        return 2
    return asyncio.run(_main(asked, token, act))


def main() -> int:
    """Run the command with the token of `ARREARS_TOKEN`."""
    return as_operator(arguments(), run)


if __name__ == "__main__":
    sys.exit(main())
