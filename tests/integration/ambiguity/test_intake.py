"""Events and refusals whose COMMIT was done and not answered: told once, however often they are sent again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable

import httpx
import pytest_asyncio

from services.ingest.app import create_app
from services.ingest.settings import Settings
from services.notify.app import create_app as create_notify
from services.notify.settings import Settings as NotifySettings
from shared.clock import FrozenClock
from shared.web.app import Parts
from shared.web.auth import Role, TokenVerifier
from shared.web.keys import FixedKeys
from tests.integration.ambiguity.conftest import Linked, timers_asleep
from tests.integration.ingest.conftest import SIGNER, of, ready, send, until
from tests.unit.ingest.events import NOW

PARTS = Parts(
    verifier=TokenVerifier(issuer=SIGNER.issuer, audience=SIGNER.audience, keys=FixedKeys(SIGNER.jwks())),
    clock=FrozenClock(NOW),
)


@pytest_asyncio.fixture
async def cards(linked: Linked) -> AsyncIterator[httpx.AsyncClient]:
    """The card system, before an intake whose database lies behind the link."""
    app = create_app(Settings.model_validate(linked.surroundings(await linked.migrated("ingest"))), parts=PARTS)
    bearer = SIGNER.bearer("cards", Role.UPSTREAM)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://ingest", headers=bearer) as http,
    ):
        await until(lambda: ready(app))
        async with timers_asleep():
            yield http


async def test_an_event_whose_commit_was_not_answered_is_found_by_its_id_and_told_once(
    cards: httpx.AsyncClient, linked: Linked
) -> None:
    def post() -> Awaitable[httpx.Response]:
        return send(cards, of("lost", "customer.stop_set"))

    unknown = await linked.unanswered(post)
    assert (unknown.status_code, unknown.json()["code"]) == (503, "unavailable")
    assert await linked.count() == (1, 0)
    answer = await post()
    assert (answer.status_code, answer.json()["outcome"]) == (200, "replayed")
    assert answer.json()["effective_at"]
    assert await linked.count() == (1, 0)


@pytest_asyncio.fixture
async def desk(linked: Linked) -> AsyncIterator[httpx.AsyncClient]:
    """A collector, before a notify whose database lies behind the link."""
    ports = linked.infra.ports
    settings = NotifySettings.model_validate(
        {
            **linked.surroundings(await linked.migrated("notify")),
            "smtp_host": "127.0.0.1",
            "smtp_port": ports["smtp"],
            "smpp_host": "127.0.0.1",
            "smpp_port": ports["smpp"],
            "smpp_system_id": "arrears",
            "smpp_password": linked.infra.secrets["smpp"],
        }
    )
    app = create_notify(settings, parts=PARTS)
    bearer = SIGNER.bearer("phone-1", Role.PHONE_AGENT)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://notify", headers=bearer) as http,
    ):
        await until(lambda: ready(app))
        async with timers_asleep():
            yield http


async def test_a_refusal_of_a_medium_whose_commit_was_not_answered_is_told_once(
    desk: httpx.AsyncClient, linked: Linked
) -> None:
    """It needs no key: the first refusal of a medium is the one that is kept."""

    def post() -> Awaitable[httpx.Response]:
        return desk.post("/v1/opt-outs", json={"customer_id": "C1", "channel": "sms"})

    unknown = await linked.unanswered(post)
    assert (unknown.status_code, unknown.json()["code"]) == (503, "unavailable")
    assert await linked.count() == (1, 0)
    answer = await post()
    assert answer.status_code in (200, 202), answer.text
    assert await linked.count() == (1, 0)
