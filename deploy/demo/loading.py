"""A bank's file, brought in by the loader as a bank runs it; afterwards intake is asked which rows it has taken."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE
from collections import Counter
from datetime import date
from pathlib import Path

from deploy.demo.campaign import Bring
from deploy.demo.campaign_ending import customers_of
from deploy.demo.card_system import CardSystem
from deploy.demo.client import CARD_SYSTEM, Client
from deploy.local.stack import ROOT
from deploy.portfolio.files import Portfolio

_ALL_TAKEN, _SOME_REFUSED = 0, 1


class LoadFailed(Exception):
    """The loader could not go on; the text is what it said."""


def loading(portfolio: Portfolio, as_of: date, client: Client, rejects: Path) -> Bring:
    """Return how the file comes in. `as_of`: the day of a file without dates; `rejects`: where refused rows go."""

    async def bring(card_system: CardSystem) -> list[str]:
        begun = time.monotonic()
        code, said = await _load(portfolio, as_of, client, rejects)
        if code not in (_ALL_TAKEN, _SOME_REFUSED):
            raise LoadFailed(f"the loader ended with {code}: {said}")
        told = [f"装载 the loader: {said} ({time.monotonic() - begun:.1f} s)"]
        if code == _SOME_REFUSED:
            told.append(f"拒收 refused rows are in {rejects.name}, in the demo's folder")
        outcomes = await card_system.recognise(portfolio.events)
        if not customers_of(card_system.taken):
            raise LoadFailed(f"intake took no row of {portfolio.path.name}: {_words(outcomes)}; see {rejects.name}")
        return [*told, f"再次发送 the same rows again: {_words(outcomes)}; nothing more happens"]

    return bring


async def _load(portfolio: Portfolio, as_of: date, client: Client, rejects: Path) -> tuple[int, str]:
    options = ["--mapping", portfolio.mapping, "--service", client.urls["ingest"], "--rejects", str(rejects)]
    if portfolio.mapping == "uci":
        options += ["--as-of", as_of.isoformat()]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.ingest.load",
        str(portfolio.path.absolute()),
        *options,
        cwd=ROOT,
        env=os.environ | {"ARREARS_TOKEN": await client.token(CARD_SYSTEM)},
        stdin=DEVNULL,
        stdout=DEVNULL,
        stderr=PIPE,
    )
    try:
        _, output = await process.communicate()
    finally:
        if process.returncode is None:  # interrupted
            process.kill()
            await process.wait()
    return process.returncode or 0, _last_count(output.decode(errors="replace"))


def _last_count(output: str) -> str:
    """Return the loader's last count, without the ones that it overwrote, or all that it said when it counted none."""
    counted = [line for line in output.replace("\r", "\n").splitlines() if " rows " in line]
    return " ".join((counted[-1] if counted else output).split())


def _words(outcomes: Counter[str]) -> str:
    return ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(outcomes.items()))
