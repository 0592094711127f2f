"""The answer to DATA or to submit_sm is lost on the way: shown as unconfirmed, and never sent again by itself."""

from __future__ import annotations

import asyncio

import pytest

from services.notify.app import make_gateways
from services.notify.hand_over import Hands
from services.notify.rendering import load_issuer
from shared.events.kinds import MessageChannel
from shared.events.notices import NoticeUnconfirmed
from tests import patience
from tests.integration.notify.conftest import Person, told, until
from tests.integration.notify.test_at_most_once import _connected, due, quiet, reached, senders
from tests.proxy import Link


@pytest.mark.parametrize("channel", ["sms", "email"])
async def test_a_message_whose_answer_was_lost_on_the_way_is_unconfirmed_and_never_sent_again(
    person: Person, channel: MessageChannel
) -> None:
    """Seen to fail with a lost answer taken for "not now": it was sent again."""
    house = person.house
    smtp, smpp = (Link(name, 0, house.stage.infra.ports[name]) for name in ("smtp", "smpp"))
    await smtp.start()
    await smpp.start()
    through = house.settings.model_copy(update={"smtp_port": smtp.port, "smpp_port": smpp.port})
    made = make_gateways(through, load_issuer())
    gateway = made[channel]
    try:
        await gateway.start()
        await until(lambda: _connected(gateway))
        async with quiet(house):
            await due(person, channel=channel)
            request = person.mobile.removeprefix("+").encode() if channel == "sms" else b"\r\n.\r\n"
            link = smpp if channel == "sms" else smtp
            answered = link.hold_answer(request)
            other = senders(house, Hands(made, "7/first"))
            sending = asyncio.create_task(other.to_customers(house.bus))
            await until(lambda: _arrived(person))  # a long text goes in parts: all of them
            await asyncio.wait_for(answered.wait(), patience.SECONDS)
            await link.set("cut")
            assert await sending == 1
            assert await other.to_customers(house.bus) == 0
    finally:
        await gateway.stop()
        await smtp.stop()
        await smpp.stop()
    await house.settled()
    notice = await person.notice()
    assert notice["state"] == "unconfirmed"
    open_ones = (await house.get("/v1/notices?state=unconfirmed")).json()["items"]
    assert notice["notice_id"] in [each["notice_id"] for each in open_ones]
    assert await reached(person) == 1
    assert [type(fact) for _, fact in await told(house.stage, person.id)] == [NoticeUnconfirmed]


async def _arrived(person: Person) -> bool:
    return await reached(person) > 0
