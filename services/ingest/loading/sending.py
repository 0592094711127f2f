"""Sends events to intake in batches and gives back what became of each; waits where intake asks to be asked again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import httpx
import msgspec

from services.ingest.answers import BATCH

_PATIENCE: Final = 300.0
"""Seconds for which a batch is tried again while intake is away or asks for later."""
_LONGEST_PAUSE: Final = 10.0
_AGAIN: Final = frozenset({429, 502, 503, 504})


class Refused(Exception):
    """Intake takes nothing from this sender, or is away for too long; the message says why."""


async def send(http: httpx.AsyncClient, events: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Send one batch and return the answer's item for each event, in order.

    A batch is sent again as it was until there is an answer: what was taken is not taken twice.

    Raises:
        Refused: see there.
    """
    body = msgspec.json.encode(events)
    loop = asyncio.get_running_loop()
    until, pause, why = loop.time() + _PATIENCE, 0.2, "no answer"
    while loop.time() < until:
        try:
            answer = await http.post("/v1/events", content=body, headers={"content-type": BATCH})
        except httpx.HTTPError as error:
            why = type(error).__name__
        else:
            if answer.status_code in (202, 207):
                items: list[dict[str, Any]] = answer.json()["items"]
                return items
            if answer.status_code not in _AGAIN:
                raise Refused(_words(answer))
            why = _words(answer)
            pause = max(pause, _asked(answer))
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)
    raise Refused(f"intake does not take anything for {_PATIENCE:.0f} s: {why}")


def _asked(answer: httpx.Response) -> float:
    after = answer.headers.get("retry-after", "")
    return min(float(after), _LONGEST_PAUSE) if after.isdecimal() else 0.0


def _words(answer: httpx.Response) -> str:
    try:
        problem = answer.json()
        return f"{answer.status_code} {problem['code']}: {problem['detail']} {problem['detail_en']}"
    except (ValueError, KeyError, TypeError):
        return f"HTTP {answer.status_code} without a problem document: is this the address of intake?"
