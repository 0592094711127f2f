from __future__ import annotations

import asyncio

import httpx
import pytest

from deploy.demo.client import AT_ONCE, Away, Caller, Client

WHO = Caller("li", "supervisor")
SLOW, PATIENCE = 0.4, 0.2


async def token_of(who: Caller) -> str:
    return who.subject


def client(answer: httpx.AsyncBaseTransport, patience: float) -> Client:
    return Client(httpx.AsyncClient(transport=answer), {"scoring": "http://scoring"}, token_of, patience=patience)


class Busy(httpx.AsyncBaseTransport):
    """Answers slowly; whatever comes after the first lot loses its connection once, or always (`down`)."""

    def __init__(self, *, down: bool = False) -> None:
        self.down = down
        self.asked = 0
        self.at_once = 0
        self.most = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        late = self.asked == AT_ONCE + 1
        try:
            await asyncio.sleep(0 if late or self.down else SLOW)
        finally:
            self.at_once -= 1
        if late or self.down:
            raise httpx.ReadError("lost", request=request)
        return httpx.Response(200, json={"items": []})


async def test_a_call_that_waited_its_turn_for_long_is_still_tried_again() -> None:
    """Seen to fail when the time is counted from before the turn: thousands of calls wait for theirs."""
    transport = Busy()
    calls = client(transport, PATIENCE)
    answers = await asyncio.gather(*(calls.get(WHO, "scoring", "/v1/grades") for _ in range(AT_ONCE + 1)))
    assert answers == [{"items": []}] * (AT_ONCE + 1)
    assert calls.retries == 1
    assert transport.most == AT_ONCE, "a service lets in only so many at once"


async def test_a_token_that_thousands_want_is_asked_for_once() -> None:
    """Seen to fail without the lock: each call then asks the issuer, over a connection of its own."""
    asked: list[str] = []

    async def issue(who: Caller) -> str:
        asked.append(who.subject)
        await asyncio.sleep(0.01)
        return who.subject

    calls = Client(httpx.AsyncClient(transport=Busy()), {}, issue)
    assert await asyncio.gather(*(calls.token(WHO) for _ in range(50))) == ["li"] * 50
    assert asked == ["li"]


async def test_a_service_that_stays_away_is_given_up() -> None:
    with pytest.raises(Away, match=r"GET http://scoring/v1/grades: no answer for 0\.1 s \(ReadError\)"):
        await client(Busy(down=True), 0.1).get(WHO, "scoring", "/v1/grades")
