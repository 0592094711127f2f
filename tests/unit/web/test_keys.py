"""The key cache, on a made-up monotonic clock; the issuer behind it is httpx's own transport for functions."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from joserfc.jwk import ECKey, OctKey

from shared.errors import Retriable
from shared.web.keys import COOLDOWN_SECONDS, MAX_AGE_SECONDS, FetchedKeys, public_keys


class Issuer:
    """Answers with the keys it has now, or not at all."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.asked = 0
        self.away = False
        self.answer: Any = None

    def hold(self, *names: str) -> None:
        self.answer = {"keys": [{**ECKey.generate_key("P-256").as_dict(private=False), "kid": name} for name in names]}

    def keys(self) -> FetchedKeys:
        client = httpx.AsyncClient(transport=httpx.MockTransport(self._handle))
        return FetchedKeys("http://issuer.test/jwks", client=client, monotonic=lambda: self.now)

    def _handle(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        if self.away:
            raise httpx.ConnectError("away", request=request)
        if isinstance(self.answer, bytes):
            return httpx.Response(200, content=self.answer)
        return httpx.Response(200, json=self.answer)


@pytest.fixture
def issuer() -> Issuer:
    made = Issuer()
    made.hold("a")
    return made


async def test_a_known_key_is_fetched_once(issuer: Issuer) -> None:
    keys = issuer.keys()
    assert await keys.find("a") is not None
    assert await keys.find("a") is not None
    assert issuer.asked == 1


async def test_a_new_key_is_found_at_once_and_strangers_ids_ask_at_most_every_few_seconds(issuer: Issuer) -> None:
    keys = issuer.keys()
    await keys.find("a")
    issuer.now += COOLDOWN_SECONDS
    issuer.hold("a", "b")
    assert await keys.find("b") is not None
    for number in range(100):
        assert await keys.find(f"made-up-{number}") is None
    assert issuer.asked == 2


async def test_a_hundred_callers_with_a_new_key_ask_once(issuer: Issuer) -> None:
    keys = issuer.keys()
    found = await asyncio.gather(*(keys.find("a") for _ in range(100)))
    assert None not in found
    assert issuer.asked == 1


async def test_keys_held_go_on_while_the_issuer_is_away(issuer: Issuer) -> None:
    keys = issuer.keys()
    await keys.find("a")
    issuer.away = True
    issuer.now += MAX_AGE_SECONDS * 100
    assert await keys.find("a") is not None
    assert await keys.find("b") is None


async def test_without_any_key_yet_the_answer_is_not_known(issuer: Issuer) -> None:
    issuer.away = True
    keys = issuer.keys()
    with pytest.raises(Retriable):
        await keys.find("a")
    issuer.away = False
    with pytest.raises(Retriable):
        await keys.find("a")  # still within the cool-down
    issuer.now += COOLDOWN_SECONDS
    assert await keys.find("a") is not None


async def test_a_withdrawn_key_is_gone_after_the_grace(issuer: Issuer) -> None:
    keys = issuer.keys()
    await keys.find("a")
    issuer.hold("b")
    issuer.now += MAX_AGE_SECONDS
    assert await keys.find("a") is not None
    issuer.now += 1
    assert await keys.find("a") is None


@pytest.mark.parametrize(
    "answer",
    [b"", b"[]", b"{}", b'{"keys":[]}', b'{"keys":["x"]}', b'{"keys":[{"kid":"a","kty":"EC"}]}', b"x" * 400_000],
)
async def test_an_answer_that_is_no_key_set_replaces_nothing(issuer: Issuer, answer: bytes) -> None:
    keys = issuer.keys()
    await keys.find("a")
    issuer.answer = answer
    issuer.now += MAX_AGE_SECONDS + 1
    assert await keys.find("a") is not None


def test_a_shared_secret_in_the_key_set_is_never_a_key() -> None:
    public = {**ECKey.generate_key("P-256").as_dict(private=False), "kid": "a"}
    secret = {**OctKey.generate_key(256).as_dict(), "kid": "s"}
    other_use = {**ECKey.generate_key("P-256").as_dict(private=False), "kid": "e", "use": "enc"}
    assert set(public_keys({"keys": [public, secret, other_use]})) == {"a"}
