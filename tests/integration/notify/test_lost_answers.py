"""The answer to DATA or to submit_sm is lost on the way: shown as unconfirmed, and never sent again by itself."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from services.notify.app import make_gateways
from services.notify.channels.failing_over import FailOver
from services.notify.channels.gateway import Gateway
from services.notify.hand_over import Hands
from services.notify.rendering import load_issuer
from shared.events.kinds import MessageChannel
from shared.events.notices import NoticeUnconfirmed
from tests import patience
from tests.integration.notify.conftest import Person, told, until
from tests.integration.notify.test_at_most_once import _connected, due, quiet, reached, senders
from tests.proxy import Link

_OF_A_CENTRE = ("host", "port", "system_id", "password")


@pytest.mark.parametrize(("channel", "centres"), [("sms", 1), ("sms", 2), ("email", 1)], ids=["sms", "sms-2", "email"])
async def test_a_message_whose_answer_was_lost_on_the_way_is_unconfirmed_and_never_sent_again(
    person: Person, channel: MessageChannel, centres: int
) -> None:
    """Seen to fail with a lost answer taken for "not now": it was sent again, or through the second centre as well."""
    house = person.house
    smtp, smpp = (Link(name, 0, house.stage.infra.ports[name]) for name in ("smtp", "smpp"))
    await asyncio.gather(smtp.start(), smpp.start())
    second = {f"smpp2_{name}": getattr(house.settings, f"smpp_{name}") for name in _OF_A_CENTRE[: 4 * (centres - 1)]}
    through = house.settings.model_copy(update={"smtp_port": smtp.port, "smpp_port": smpp.port, **second})
    made = make_gateways(through, load_issuer())
    gateway = made[channel]
    try:
        await gateway.start()
        await until(partial(_all_connected, gateway))
        async with quiet(house):
            await due(person, channel=channel)
            number = person.mobile.removeprefix("+").encode()
            link, request = (smpp, number) if channel == "sms" else (smtp, b"\r\n.\r\n")
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
        await asyncio.gather(smtp.stop(), smpp.stop())
    await house.settled()
    notice = await person.notice()
    assert notice["state"] == "unconfirmed"
    open_ones = (await house.get("/v1/notices?state=unconfirmed")).json()["items"]
    assert notice["notice_id"] in [each["notice_id"] for each in open_ones]
    assert await reached(person) == 1
    assert [type(fact) for _, fact in await told(house.stage, person.id)] == [NoticeUnconfirmed]


async def _all_connected(gateway: Gateway) -> bool:
    return all([await _connected(each) for each in (gateway.gateways if isinstance(gateway, FailOver) else (gateway,))])


async def _arrived(person: Person) -> bool:
    return await reached(person) > 0
