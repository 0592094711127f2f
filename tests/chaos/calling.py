"""HTTP as a patient client speaks it: any replica of the service, and again with the same key until it is answered."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from random import Random
from typing import Any, TypeAlias

import httpx

from deploy.demo.client import Caller

Json: TypeAlias = Any
"""What a service answers, or is sent: decoded JSON."""

GIVE_UP_SECONDS = 120.0
"""Longer than any fault and the recovery from it."""
_ANSWER_SECONDS = 12.0
_PAUSE = (0.1, 0.5)
_TOKEN_SECONDS = 600.0


class Unanswered(Exception):
    """No service answered within the time given."""


@dataclass(frozen=True)
class Answer:
    """What came back in the end, after `tries`."""

    status: int
    body: Json
    tries: int

    @property
    def ok(self) -> bool:
        """Whether it was done."""
        return self.status < HTTPStatus.BAD_REQUEST

    @property
    def code(self) -> str:
        """The problem's code."""
        body = self.body if isinstance(self.body, dict) else {}
        return str(body.get("type", self.status)).rsplit("/", 1)[-1]


@dataclass
class Client:
    """Calls the services.

    `urls`: all replicas of each service. `broken`: answers that no fault excuses (5xx but 503), by what was called;
    they are tried again like the others.
    """

    http: httpx.AsyncClient
    urls: Mapping[str, Sequence[str]]
    token_of: Callable[[Caller], Awaitable[str]]
    chance: Random
    broken: Counter[str] = field(default_factory=Counter)
    patience: float = GIVE_UP_SECONDS
    """Seconds after which a call that nobody answers is given up."""
    waited: int = 0
    """How many tries were answered by nobody, or with 503."""
    _tokens: dict[Caller, tuple[float, str]] = field(default_factory=dict)

    async def get(self, who: Caller, service: str, path: str) -> Answer:
        """Read."""
        return await self.call(who, "GET", service, path)

    async def pages(self, who: Caller, service: str, path: str) -> list[Json]:
        """All items of a list; what is refused is empty."""
        items: list[Json] = []
        following: str | None = path
        while following is not None:
            link = following if following.startswith("/") else httpx.URL(following).raw_path.decode()
            page = await self.get(who, service, link)
            if not page.ok:
                break
            items += page.body["items"]
            following = page.body.get("next")
        return items

    async def call(
        self,
        who: Caller,
        method: str,
        service: str,
        path: str,
        body: Json = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One call, tried again at any replica while there is no answer or none that means anything.

        Raises:
            Unanswered: that lasted too long.
        """
        content = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        deadline = time.monotonic() + self.patience
        for tries in range(1, 10_000):
            url = f"{self.chance.choice(self.urls[service])}{path}"
            sent = {"content-type": "application/json", **(headers or {})}
            answer = await self._try(who, method, url, content, sent, f"{method} {service} {path.partition('?')[0]}")
            if answer is not None:
                return Answer(answer.status_code, _json(answer), tries)
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(self.chance.uniform(*_PAUSE))
        raise Unanswered(f"{method} {service} {path}")

    async def _try(
        self, who: Caller, method: str, url: str, content: bytes | None, headers: Mapping[str, str], what: str
    ) -> httpx.Response | None:
        try:
            signed = {**headers, "authorization": f"Bearer {await self._token(who)}"}
            answer = await self.http.request(method, url, content=content, headers=signed, timeout=_ANSWER_SECONDS)
        except httpx.TransportError:
            self.waited += 1
            return None
        if answer.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
            return answer
        self.waited += 1
        if answer.status_code != HTTPStatus.SERVICE_UNAVAILABLE:
            self.broken[f"{what}: {answer.status_code} {answer.text[:120]}"] += 1
        elif "retry-after" not in answer.headers:
            self.broken[f"{what}: 503 without Retry-After"] += 1
        return None

    async def _token(self, who: Caller) -> str:
        begun, token = self._tokens.get(who, (0.0, ""))
        if time.monotonic() - begun > _TOKEN_SECONDS or not token:
            token = await self.token_of(who)
            self._tokens[who] = (time.monotonic(), token)
        return token


def _json(answer: httpx.Response) -> Json:
    try:
        return answer.json() if answer.content else None
    except ValueError:
        return {"detail": answer.text[:200]}
