"""What an operator does about a stream that stands still, over HTTP as the shell command does it, while it is read."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

import httpx
import pytest

from shared.bus import inbox
from shared.bus.bus import Bus
from shared.events.registry import CARD
from shared.service import create_service
from shared.web.app import Parts
from shared.web.auth import Role, TokenVerifier
from shared.web.keys import FixedKeys
from shared.web.signing import Signer
from tests.integration.bus.log import Record, cut, sound, write
from tests.integration.bus.test_reading import expected, numbered
from tests.integration.bus.toys import Toys, at_rest, execute, fetch, payments, ready, until

SIGNER = Signer.generate(issuer="http://issuer.test")


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.bus.reading.LOOK_SECONDS", 0.2)


@asynccontextmanager
async def operator(toys: Toys, bus: Bus | None = None) -> AsyncIterator[tuple[Bus, httpx.AsyncClient]]:
    """Run the reader with its routes, and somebody who may act on its positions."""
    bus = bus or toys.reader()
    verifier = TokenVerifier(issuer=SIGNER.issuer, audience=SIGNER.audience, keys=FixedKeys(SIGNER.jwks()))
    settings = toys.stage.settings(toys.read_url)
    app = create_service(bus, title="玩具 Toy", settings=settings, routers=(), parts=Parts(verifier=verifier))
    client = httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://toy", headers=SIGNER.bearer("op-1", Role.OPERATOR)
    )
    async with app.router.lifespan_context(app), client as http:
        yield bus, http


async def shell(http: httpx.AsyncClient, *given: str) -> tuple[int, str]:
    """Run the command as a person types it."""
    written = io.StringIO()
    code = await inbox.run(inbox.arguments(["--service", "http://toy", *given]), http, written.write)
    return code, written.getvalue()


async def stopped(bus: Bus) -> bool:
    return "stream_stopped" in {why.code for why in await bus.not_ready()}


async def listed(http: httpx.AsyncClient, partition: int = 0) -> dict[str, Any]:
    items = (await http.get("/v1/positions")).json()["items"]
    return next(item for item in items if item["partition"] == partition)


@pytest.mark.expected_errors("stream stopped")
async def test_a_gap_is_accepted_once_with_who_and_why_and_the_rest_is_taken_while_the_reader_runs(toys: Toys) -> None:
    """Seen to fail with the place left out of the condition: an older answer accepted what nobody had looked at."""
    await write(toys.stage, CARD, 0, [*numbered(1, 2), *numbered(4, 5), sound("c-0", 8)])
    async with operator(toys) as (bus, http):
        await until(partial(stopped, bus))
        shown = await listed(http)
        assert [shown[name] for name in ("state", "accept", "next", "position")] == [
            "stopped",
            "accept-gap",
            "7:4",
            "7:2",
        ]
        gap = ("accept-gap", "card", "0", "--reason", "lost with the broker's disk", "--next")
        code, said = await shell(http, *gap, "7:5")
        assert (code, said[:3]) == (1, "409")
        assert (await shell(http, *gap, "7:4"))[0] == 0
        await until(partial(_waits_at, http, "7:8"))
        assert await _took(toys, expected(1, 2, 4, 5))
        code, said = await shell(http, *gap, "7:4")
        assert (code, said[:3]) == (1, "409")
        [act] = (await http.get("/v1/positions/acts")).json()["items"]
        assert (act["by"], act["reason"], act["old"], act["new"]) == ("op-1", gap[4], "7:2", "7:3")
        assert act["found"] == "gap: expected 7:3, got 7:4"
        assert "lost with the broker's disk" in (await shell(http, "acts"))[1]
    assert await payments(toys.read_url) == {"c-0": expected(1, 2, 4, 5)}


@pytest.mark.expected_errors("stream stopped")
async def test_a_gap_that_was_published_again_is_found_wherever_it_lies_when_reading_is_resumed(toys: Toys) -> None:
    """Seen to fail with the stream stopped at the first gap of the second pass: what lay behind was never looked at."""
    await write(toys.stage, CARD, 0, [*numbered(1, 2), *numbered(4, 5)])
    async with operator(toys) as (bus, http):
        await until(partial(stopped, bus))
        again = [sound("c-0", 3), sound("c-0", 6), *numbered(4, 5)]
        await write(toys.stage, CARD, 0, again)
        assert (await shell(http, "resume", "card", "0", "--reason", "published again"))[0] == 0
        await until(partial(_took, toys, expected(1, 2, 3, 4, 5, 6)))
        await at_rest(bus)
        assert not await bus.not_ready()


@pytest.mark.expected_errors("stream stopped")
async def test_a_position_older_than_the_logs_start_goes_on_or_stops_by_its_number_and_can_be_accepted(
    toys: Toys,
) -> None:
    """What was removed had been read: it goes on. What was removed unread is a gap like any other."""
    await write(toys.stage, CARD, 0, numbered(1, 4))
    async with operator(toys) as (bus, _):
        await ready(bus)
        await at_rest(bus)
    await cut(toys.stage, CARD, 0, before=2)
    await execute(toys.read_url, "UPDATE inbox_position SET log_offset = 1 WHERE partition = 0")
    async with operator(toys) as (bus, _):
        await write(toys.stage, CARD, 0, [sound("c-0", 5)])
        await until(partial(_took, toys, expected(1, 2, 3, 4, 5)))
    await write(toys.stage, CARD, 0, numbered(6, 9))
    await cut(toys.stage, CARD, 0, before=7)
    async with operator(toys) as (bus, http):
        await until(partial(stopped, bus))
        assert (await listed(http))["next"] == "7:8"
        assert (await shell(http, "accept-gap", "card", "0", "--next", "7:8", "--reason", "kept too short"))[0] == 0
        await until(partial(_took, toys, expected(1, 2, 3, 4, 5, 8, 9)))


@pytest.mark.expected_errors("stream stopped")
async def test_a_stream_begun_anew_waits_for_a_person_and_is_then_taken_from_its_first_number_on(toys: Toys) -> None:
    """The old history lies before it in the log and is not taken again."""
    anew = [sound("c-0", number, epoch=9, base=(0, 0) if number == 1 else None) for number in (1, 2)]
    await write(toys.stage, CARD, 0, [*numbered(1, 3), *anew])
    async with operator(toys) as (bus, http):
        await until(partial(stopped, bus))
        shown = await listed(http)
        assert (shown["accept"], shown["next"]) == ("accept-epoch", "9:1")
        wrong = ("card", "0", "--next", "9:1", "--reason", "emptied by mistake")
        assert (await shell(http, "accept-gap", *wrong))[0] == 1
        assert (await shell(http, "accept-epoch", *wrong))[0] == 0
        await until(partial(_took, toys, [*expected(1, 2, 3), *expected(1, 2)]))
        found = (await http.get("/v1/positions/histories")).json()
        assert [(fork["epoch"], fork["base"], fork["had"]) for fork in found["forks"]] == [(9, "0:0", "7:3")]
        assert "7:3" in (await shell(http, "histories"))[1]


@pytest.mark.expected_errors("stream forked")
async def test_a_stream_begun_anew_is_taken_by_itself_where_the_setting_says_so(toys: Toys) -> None:
    """For development, where databases are thrown away and the log is not."""
    await write(toys.stage, CARD, 0, [*numbered(1, 3), sound("c-0", 1, epoch=9)])
    bus = toys.reader(accept_new_streams=True)
    async with operator(toys, bus):
        await until(partial(_took, toys, [*expected(1, 2, 3), "p-1"]))


@pytest.mark.expected_errors("stream stopped")
async def test_the_second_fact_of_a_number_is_given_up_only_by_a_person(toys: Toys) -> None:
    await write(toys.stage, CARD, 0, [*numbered(1, 2), Record(*sound("another", 2)), sound("c-0", 3)])
    async with operator(toys) as (bus, http):
        await until(partial(stopped, bus))
        assert (await listed(http))["accept"] == "accept-fork"
        assert (await shell(http, "resume", "card", "0", "--reason", "try"))[0] == 0
        await until(partial(_waits_at, http, "7:3"))
        assert (await shell(http, "accept-fork", "card", "0", "--next", "7:3", "--reason", "told again"))[0] == 0
        await until(partial(_took, toys, expected(1, 2, 3)))


async def test_a_stream_subscribed_from_its_end_takes_the_first_that_comes_as_given_and_then_counts(toys: Toys) -> None:
    """Seen to fail with the first record judged by the table, and with the record before the place read as well."""
    await execute(toys.read_url, "DELETE FROM inbox_position WHERE partition = 0")
    await write(toys.stage, CARD, 0, numbered(1, 3))
    async with operator(toys) as (bus, http):
        await until(partial(stopped, bus))
        assert (await shell(http, "subscribe", "card", "--partition", "0", "--from", "end", "--reason", "new"))[0] == 0
        await until(partial(_runs, bus))
        await write(toys.stage, CARD, 0, numbered(4, 6))
        await until(partial(_took, toys, expected(4, 5, 6)))
        for origin in ("start", "end"):  # something was taken: nothing is given up while it runs
            code, said = await shell(http, "subscribe", "card", "--from", origin, "--reason", "again")
            assert (code, said[:3]) == (1, "409")
        assert (await shell(http, "subscribe", "risk", "--from", "end", "--reason", "not read here"))[0] == 1
    [row] = await fetch(toys.read_url, "SELECT sequence, adopt FROM inbox_position WHERE partition = 0")
    assert tuple(row) == (6, False)


@pytest.mark.expected_errors("stream stopped")
async def test_a_stopped_stream_may_be_given_up_to_an_instant_and_never_takes_what_was_taken(toys: Toys) -> None:
    """The instant is before everything, so what was taken already is read again, and dropped."""
    since = datetime.now(UTC)
    await write(toys.stage, CARD, 0, [*numbered(1, 3), *numbered(6, 8)])
    async with operator(toys) as (bus, http):
        await until(partial(stopped, bus))
        reason = ("--partition", "0", "--reason", "the lost ones are of no account")
        assert (await shell(http, "subscribe", "card", "--from", since.isoformat(), *reason))[0] == 0
        await until(partial(_took, toys, expected(1, 2, 3, 6, 7, 8)))


async def _took(toys: Toys, found: list[str]) -> bool:
    return (await payments(toys.read_url)).get("c-0") == found


async def _waits_at(http: httpx.AsyncClient, place: str) -> bool:
    return bool((await listed(http))["next"] == place)


async def _runs(bus: Bus) -> bool:
    return not await bus.not_ready()
