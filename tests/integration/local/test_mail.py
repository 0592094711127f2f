from email.message import EmailMessage
from typing import Any

import aiosmtplib
import httpx
import pytest

from tests.integration.local.conftest import Catchers


async def _send(catchers: Catchers, to: str, text: str) -> None:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "bank@example.com", to, "还款提醒 / Payment reminder"
    mail["X-Notice-Id"] = "n-1"
    mail.set_content(text)
    await aiosmtplib.send(mail, hostname="127.0.0.1", port=catchers.smtp, timeout=5)


async def _received(catchers: Catchers, to: str) -> list[dict[str, Any]]:
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{catchers.mail}/messages", params={"to": to})
    messages: list[dict[str, Any]] = answer.raise_for_status().json()
    return messages


async def _behave(catchers: Catchers, **behaviour: object) -> int:
    async with httpx.AsyncClient() as client:
        return (await client.put(f"{catchers.mail}/behaviour", json=behaviour)).status_code


async def test_mail_comes_back_as_it_was_sent(catchers: Catchers) -> None:
    await _send(catchers, "zhang@example.com", "您好：请于 2026-03-02 前还款。\nPlease pay by 2 March 2026.\n")
    (mail,) = await _received(catchers, "zhang@example.com")
    assert mail["subject"] == "还款提醒 / Payment reminder"
    assert mail["text"] == "您好：请于 2026-03-02 前还款。\nPlease pay by 2 March 2026.\n"
    assert mail["to"] == ["zhang@example.com"]
    assert mail["sender"] == "bank@example.com"
    assert mail["headers"]["X-Notice-Id"] == "n-1"
    assert not any(name.startswith("X-Envelope") for name in mail["headers"])


async def test_mail_for_others_is_not_shown(catchers: Catchers) -> None:
    await _send(catchers, "li@example.com", "one")
    assert await _received(catchers, "nobody@example.com") == []


@pytest.mark.parametrize("code", [451, 550])
async def test_refused_address_gets_the_code_that_was_asked_for(catchers: Catchers, code: int) -> None:
    address = f"refused-{code}@example.com"
    assert await _behave(catchers, refuse={address: code}) == 200
    with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as refused:
        await _send(catchers, address, "text")
    assert [recipient.code for recipient in refused.value.recipients] == [code]
    assert await _received(catchers, address) == []


async def test_dropped_answer_leaves_the_sender_in_doubt_and_the_mail_delivered(catchers: Catchers) -> None:
    await _behave(catchers, drop_answer=["doubt@example.com"])
    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await _send(catchers, "doubt@example.com", "text")
    assert len(await _received(catchers, "doubt@example.com")) == 1


async def test_unknown_behaviour_is_refused(catchers: Catchers) -> None:
    assert await _behave(catchers, refuze={}) == 422


async def test_killed_catcher_still_has_its_mails(catchers: Catchers) -> None:
    await _send(catchers, "kept@example.com", "text")
    await catchers.supervisor.kill("mail")
    await catchers.supervisor.wait_ready("mail")
    assert len(await _received(catchers, "kept@example.com")) == 1
    await _send(catchers, "kept@example.com", "text")
    assert len(await _received(catchers, "kept@example.com")) == 2
