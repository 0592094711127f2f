"""Champion, challenger, what if, and a portfolio graded anew, on a real PostgreSQL and Kafka."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from services.scoring import regrade, store
from services.scoring.app import create_app
from services.scoring.domain.account import with_overdue
from services.scoring.domain.loading import load_panel
from services.scoring.domain.panel import Panel
from services.scoring.handlers import Grader, whole
from services.scoring.settings import SHIPPED_CARDS, Settings
from shared.bus.bus import Bus
from shared.bus.unit_of_work import UnitOfWork
from shared.clock import FrozenClock
from shared.events.kinds import Fact
from shared.web.app import Parts
from shared.web.auth import Role, TokenVerifier
from shared.web.keys import FixedKeys
from tests.integration.conftest import Stage
from tests.integration.scoring.test_scoring import NOW, SIGNER, Desk, until
from tests.unit.scoring.facts import cure, months, payment, snapshot

_BUCKET = "SELECT bucket FROM comparison WHERE customer_id = 'both'"
TABLES = ("comparison", "customer_score", "grading", "outbox_stream")


@pytest_asyncio.fixture(scope="module")
async def url(stage: Stage) -> str:
    return await stage.migrated("scoring")


@pytest_asyncio.fixture(scope="module")
async def desk(stage: Stage, url: str) -> AsyncIterator[Desk]:
    clock = FrozenClock(NOW)
    intake = Bus(service="ingest", settings=stage.settings(await stage.migrated("ingest")), clock=clock)
    verifier = TokenVerifier(issuer=SIGNER.issuer, audience=SIGNER.audience, keys=FixedKeys(SIGNER.jwks()))
    app = create_app(Settings.model_validate(stage.surroundings(url)), parts=Parts(verifier=verifier, clock=clock))
    headers = SIGNER.bearer("sup-1", Role.SUPERVISOR)
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://scoring", headers=headers)
    async with intake.running(), app.router.lifespan_context(app), client as http:

        async def ready() -> bool:
            return not [*await intake.not_ready(), *await app.state.bus.not_ready()]

        await until(ready)
        yield Desk(stage, app, intake, http, clock)


async def comparison(desk: Desk, customer_id: str) -> list[dict[str, Any]]:
    async with desk.app.state.bus.reading() as connection:
        rows = await connection.fetch("SELECT * FROM comparison WHERE customer_id = $1 ORDER BY 1, 2", customer_id)
    return [dict(row) for row in rows]


async def contents(desk: Desk) -> dict[str, Any]:
    """Return what lies in every table that a grading writes to."""
    async with desk.app.state.bus.reading() as connection:
        return {table: await connection.fetch(f"SELECT * FROM {table} ORDER BY 1, 2") for table in TABLES}


async def test_the_champion_is_told_and_the_challenger_only_recorded_beside_it(desk: Desk) -> None:
    await desk.tell("both", snapshot(days=75, periods=3, history=months(3, 2, 1, 0)))
    (row,) = await comparison(desk, "both")
    (shown,) = await desk.grades("both")
    assert (row["champion"], row["champion_grade"], row["champion_score"]) == (
        "expert-points",
        shown["grade"],
        shown["score"],
    )
    assert (row["challenger"], row["challenger_version"]) == ("uci-scorecard", "2026-11")
    ((_, fact),) = await desk.told("both")
    assert (fact["card"], fact["grade"]) == ("expert-points", shown["grade"])


async def test_a_comparison_follows_the_account_even_when_nothing_is_news(desk: Desk) -> None:
    await desk.tell("follows", snapshot(days=40, periods=2, history=months(2, 1, 0, 0)))
    await desk.tell("follows", payment(120_000))
    (row,) = await comparison(desk, "follows")
    assert row["bucket"] == "M0"


async def test_grading_and_comparison_are_stored_together_or_not_at_all(desk: Desk) -> None:
    """Seen to fail with the comparison written in a transaction of its own."""
    before = await contents(desk)

    async def act(uow: UnitOfWork) -> None:
        row = (await store.load(uow.connection, ["both"]))["both"]
        change = whole(row)
        later = with_overdue(row.customer.account("a-1"), snapshot(days=9, as_of=NOW))
        change.customer = row.customer.with_account(later)
        await desk.app.state.grader.settle([change], uow)
        assert [dict(each)["bucket"] for each in await uow.connection.fetch(_BUCKET)] == ["M1"]
        raise LookupError("after everything was written")

    with pytest.raises(LookupError):
        await desk.app.state.bus.transact(act)
    assert await contents(desk) == before


async def test_what_if_starts_from_what_is_known_and_changes_nothing(desk: Desk) -> None:
    """Seen to fail with a route that grades the customer anew before it answers."""
    await desk.tell("asked", snapshot(days=40, periods=2, history=months(2, 1, 0, 0)))
    before = await contents(desk)
    known = {"customer_id": "asked", "account_id": "a-1"}
    (shown,) = await desk.grades("asked")
    as_is = (await desk.http.post("/v1/explain", json=known)).json()["verdicts"][0]
    assert [as_is[name] for name in ("score", "grade", "bucket")] == [shown[n] for n in ("score", "grade", "bucket")]
    assert as_is["reasons"] == shown["reasons"]
    paid = (await desk.http.post("/v1/explain", json={**known, "facts": {"amount_past_due": 0}})).json()["verdicts"][0]
    assert (paid["bucket"], paid["score"] < as_is["score"]) == ("M0", True)
    assert await contents(desk) == before


async def test_what_if_of_an_account_that_is_not_known_is_not_found(desk: Desk) -> None:
    await desk.tell("cured", cure())
    for customer, account in (("nobody", "a-1"), ("cured", "a-1"), ("cured", "a-9")):
        answer = await desk.http.post("/v1/explain", json={"customer_id": customer, "account_id": account})
        assert answer.status_code == 404, answer.text


async def test_the_comparison_counts_overdue_accounts_by_both_grades(desk: Desk) -> None:
    """Seen to fail with paid accounts counted."""
    found = (await desk.http.get("/v1/cards/comparison")).json()
    async with desk.app.state.bus.reading() as connection:
        rows = await connection.fetch("SELECT * FROM comparison WHERE bucket <> 'M0'")
    counts = Counter((row["champion_grade"], row["challenger_grade"]) for row in rows)
    assert {(c["champion_grade"], c["challenger_grade"]): c["accounts"] for c in found["counts"]} == counts
    assert found["accounts"] == len(rows)
    assert found["same_grade"] == sum(count for (ours, theirs), count in counts.items() if ours == theirs)
    assert found["other_cards"] == 0


@pytest.fixture
def next_card(tmp_path: Path) -> Path:
    """The shipped cards, and a newer expert card whose grades begin at fewer points."""
    for shipped in SHIPPED_CARDS.glob("*.yaml"):
        (tmp_path / shipped.name).write_text(shipped.read_text(encoding="utf-8"), encoding="utf-8")
    text = (SHIPPED_CARDS / "expert-points-2026-01.yaml").read_text(encoding="utf-8")
    text = text.replace('version: "2026-01"', 'version: "2026-02"').replace("2026-01-01", "2026-02-20")
    text = re.sub(r"grade: (\w), below: (\d+)", lambda found: f"grade: {found[1]}, below: {int(found[2]) // 2}", text)
    (tmp_path / "newer.yaml").write_text(text, encoding="utf-8")
    return tmp_path


async def told_by(desk: Desk, customer_id: str) -> list[str]:
    return [fact["card_version"] for _, fact in await desk.told(customer_id)]


async def test_a_portfolio_is_graded_anew_in_batches_and_what_changed_is_told_once(
    desk: Desk, url: str, next_card: Path
) -> None:
    """Seen to fail with one customer skipped between batches, and with a dry run that stores."""
    facts: dict[str, Fact] = {f"many-{number}": snapshot(days=5 + number * 12) for number in range(6)}
    for customer, fact in facts.items():
        await desk.tell(customer, fact)
    clock_settings = desk.stage.surroundings(url) | {"cards_dir": next_card}
    settings = Settings.model_validate(clock_settings)
    before = await contents(desk)
    said: list[str] = []
    bus = desk.app.state.bus
    panel = load_panel(settings.cards_dir, settings.champion_card, settings.challenger_card)
    grader = Grader(panel, settings.zone)

    dry = await regrade.regrade(bus, grader, said.append, batch=2, dry_run=True)
    assert await contents(desk) == before
    assert dry.moved > 0

    said.clear()
    tally = await regrade.regrade(bus, grader, said.append, batch=2, dry_run=False)
    assert tally == dry
    async with bus.reading() as connection:
        everybody = await store.count_customers(connection)
    assert tally.customers == everybody
    assert [int(line.split(" ", 1)[0]) for line in said] == [*range(2, everybody, 2), everybody]
    await desk.settled()
    for customer in facts:
        assert await told_by(desk, customer) == ["2026-01", "2026-02"]
        newest = (await desk.grades(customer))[0]
        assert newest["reasons"]

    again = await regrade.regrade(bus, grader, said.append, batch=500, dry_run=False)
    assert (again.told, again.customers) == (0, everybody)

    found = (await desk.http.get("/v1/cards/comparison")).json()  # the service itself still has the older cards
    assert found["accounts"] == 0
    assert found["other_cards"] > 0


async def test_a_new_challenger_is_recorded_for_the_whole_portfolio_and_nobody_is_told(desk: Desk) -> None:
    """Seen to fail with comparisons kept only of accounts of which there is news."""
    await desk.tell("challenged", snapshot(days=40, periods=2))
    shipped = load_panel(SHIPPED_CARDS, "expert-points", "uci-scorecard")
    newer = Panel(shipped.champion, [replace(shipped.challenger[0], version="newer")])
    bus, zone = desk.app.state.bus, desk.app.state.grader.zone
    await regrade.regrade(bus, Grader(shipped, zone), str, batch=500, dry_run=False)
    tally = await regrade.regrade(bus, Grader(newer, zone), str, batch=500, dry_run=False)
    assert tally.told == 0
    (row,) = await comparison(desk, "challenged")
    assert (row["champion_version"], row["challenger_version"]) == ("2026-01", "newer")


async def test_the_command_stands_alone_and_publishes_what_it_tells(
    desk: Desk, url: str, next_card: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It lives by the machine's clock, on any day of which the newer card holds."""
    await desk.tell("alone", snapshot(days=40))
    for name, value in desk.stage.surroundings(url).items():
        secret = getattr(value, "get_secret_value", None)
        monkeypatch.setenv(f"ARREARS_{name.upper()}", secret() if secret else str(value))
    monkeypatch.setenv("ARREARS_CARDS_DIR", str(next_card))
    assert await asyncio.to_thread(regrade.main, ["--batch", "3"]) == 0
    said = capsys.readouterr()
    assert "accounts changed their grade" in said.out
    assert "customers" in said.err
    assert "wait to be published" not in said.err
    assert (await told_by(desk, "alone"))[-1] == "2026-02"


async def test_a_card_that_is_not_there_stops_the_command(
    monkeypatch: pytest.MonkeyPatch, desk: Desk, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in desk.stage.surroundings(url).items():
        secret = getattr(value, "get_secret_value", None)
        monkeypatch.setenv(f"ARREARS_{name.upper()}", secret() if secret else str(value))
    monkeypatch.setenv("ARREARS_CHAMPION_CARD", "nobody")
    assert await asyncio.to_thread(regrade.main, []) == 1
    assert "ARREARS_CHAMPION_CARD" in capsys.readouterr().err
