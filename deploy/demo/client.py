"""HTTP as the demo's people speak it: with their own token, and again with the same key while nobody answers."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any, Self, TypeAlias

import httpx

from deploy.demo.story import Member

Json: TypeAlias = Any
"""What a service answers, or is sent: decoded JSON."""

_TRY_SECONDS = 90.0
"""How long a call is tried again while a service is away: longer than a killed one needs to be back."""
_PAUSE = 0.15
_AWAY = 503
AT_ONCE = 24
"""So many calls are under way at most: fewer than a service lets in at once."""
_TOKEN_SECONDS = 600.0
"""A token is used for so long; the issuer's last longer."""


class Refusal(Exception):
    """A service refused; `code` is the problem's, `problem` the document."""

    def __init__(self, method: str, url: str, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.problem = problem
        self.code = str(problem.get("type", "")).rsplit("/", 1)[-1] or str(problem.get("code", status))
        detail = problem.get("detail_en") or problem.get("detail") or problem.get("title") or ""
        super().__init__(f"{method} {url}: {status} {self.code}: {detail} {json.dumps(problem, ensure_ascii=False)}")


class Away(Exception):
    """A service did not answer within the time given."""


@dataclass(frozen=True)
class Caller:
    """Whose token is used."""

    subject: str
    role: str
    team: str | None = None

    @classmethod
    def of(cls, member: Member) -> Self:
        """The caller that a colleague is."""
        return cls(member.staff_id, member.role, member.team)


CARD_SYSTEM = Caller("card-system", "upstream")
OPERATOR = Caller("demo-operator", "operator")


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    body: Json
    etag: str | None = None


@dataclass
class Client:
    """Calls the services. `urls`: by service; `token_of`: asks the issuer; `retries`: calls that had to be repeated.

    `patience`: how many seconds a call is tried again.
    """

    http: httpx.AsyncClient
    urls: Mapping[str, str]
    token_of: Callable[[Caller], Awaitable[str]]
    retries: int = 0
    patience: float = _TRY_SECONDS
    _tokens: dict[Caller, tuple[str, float]] = field(default_factory=dict)
    _issuing: asyncio.Lock = field(default_factory=asyncio.Lock)
    _gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def get(self, who: Caller, service: str, path: str) -> Json:
        """The body of a GET."""
        return (await self.call(who, "GET", service, path)).body

    async def post(self, who: Caller, service: str, path: str, body: Json = None) -> Json:
        """The body of a command's answer; the command has a key of its own and takes effect once."""
        return (await self.call(who, "POST", service, path, {} if body is None else body)).body

    async def pages(self, who: Caller, service: str, path: str) -> list[Json]:
        """All items of a list, page by page."""
        items: list[Json] = []
        following: str | None = path
        while following is not None:
            page = await self.get(who, service, _path_of(following))
            items += page["items"]
            following = page.get("next")
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
        """One call, tried again on a lost connection or 503 with the same key.

        Raises:
            Refusal: the service says no.
            Away: it did not answer in time.
        """
        sent = dict(headers or {})
        if body is not None:
            sent |= {"content-type": "application/json", "idempotency-key": str(uuid.uuid4())} | sent
        answer = await self._persist(who, method, f"{self.urls[service]}{path}", body, sent)
        if answer.is_success:
            return Answer(answer.status_code, _json(answer), answer.headers.get("etag"))
        raise Refusal(method, f"{service} {path}", answer.status_code, _json(answer) or {})

    async def token(self, who: Caller) -> str:
        """A token that is good for some minutes yet."""
        async with self._issuing:  # when it has run out, thousands of calls may find that at once: one asks
            token, until = self._tokens.get(who, ("", 0.0))
            if time.monotonic() >= until:
                token = await self.token_of(who)
                self._tokens[who] = token, time.monotonic() + _TOKEN_SECONDS
        return token

    async def plain(self, url: str) -> httpx.Response:
        """A GET without a token: metrics, readiness, the catchers.

        Raises:
            Away: nobody answered in time.
        """
        return await self._again(lambda: self.http.get(url), url)

    async def _persist(
        self, who: Caller, method: str, url: str, body: Json, headers: Mapping[str, str]
    ) -> httpx.Response:
        signed = {**headers, "authorization": f"Bearer {await self.token(who)}"}
        content = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        return await self._again(
            lambda: self.http.request(method, url, content=content, headers=signed), f"{method} {url}"
        )

    async def _again(self, ask: Callable[[], Awaitable[httpx.Response]], what: str) -> httpx.Response:
        deadline = inf
        while True:
            try:
                async with self._gate:
                    # Thousands may wait at the gate: that is not the service's silence.
                    deadline = min(deadline, time.monotonic() + self.patience)
                    answer = await ask()
                if answer.status_code != _AWAY:
                    return answer
                why = "503"
            except httpx.TransportError as error:
                why = type(error).__name__
            if time.monotonic() > deadline:
                raise Away(f"{what}: no answer for {self.patience:g} s ({why})")
            self.retries += 1
            await asyncio.sleep(_PAUSE)


def _json(answer: httpx.Response) -> Json:
    try:
        return answer.json() if answer.content else None
    except ValueError:
        return {"detail": answer.text[:200]}


def _path_of(link: str) -> str:
    """The path of a page's link, which may be whole."""
    return link if link.startswith("/") else httpx.URL(link).raw_path.decode()
