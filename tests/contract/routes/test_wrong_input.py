"""Every route of every service answers wrong input with a problem document, and never with a 500.

The applications are real and not started, so what gets past the checks meets no database. What the content of a
command may be is tested with each service.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import httpx
import pytest
from fastapi import FastAPI

from shared.web.auth import Role
from shared.web.permissions import role_matrix
from shared.web.signing import Signer
from tests.apps import SERVICES, build

SIGNER = Signer.generate(issuer="http://issuer.test")
APPS: dict[str, FastAPI] = {service: build(service, SIGNER) for service in SERVICES}


class Route(NamedTuple):
    """One method of one path of one service, and the roles it takes."""

    service: str
    method: str
    path: str
    roles: tuple[Role, ...]

    @property
    def url(self) -> str:
        """The path with something in place of each parameter."""
        return re.sub(r"\{[^}]*\}", "x-1", self.path)

    def __str__(self) -> str:
        return f"{self.service} {self.method} {self.path}"


ROUTES = [Route(service, *row) for service, app in APPS.items() for row in role_matrix(app)]
COMMANDS = [route for route in ROUTES if route.method in {"POST", "PUT", "PATCH"}]

BODIES: dict[str, bytes] = {
    "nothing": b"",
    "not JSON": b"{",
    "not UTF-8": b'{"a":"\xff"}',
    "duplicate keys": b'{"a":1,"a":2}',
    "NaN": b'{"amount":NaN}',
    "infinity": b'{"amount":1e999}',
    "a lone surrogate": b'{"a":"\\ud800"}',
    "a number over 64 bits": b'{"amount":99999999999999999999999}',
    "NUL": b'{"a":"\\u0000"}',
    "deep": b"[" * 5000 + b"]" * 5000,
    "a number": b"7",
    "a list": b"[]",
    "null": b"null",
}


async def call(route: Route, headers: dict[str, str], body: bytes | None = None) -> httpx.Response:
    """Send one request to the route's application."""
    transport = httpx.ASGITransport(APPS[route.service], raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as http:
        return await http.request(route.method, route.url, headers=headers, content=body)


def bearer(route: Route) -> dict[str, str]:
    """Return headers with a token of a role that the route takes."""
    return {
        **SIGNER.bearer("s-1", route.roles[0], team="north"),
        "content-type": "application/json",
        "idempotency-key": "k-1",
    }


def is_problem(answer: httpx.Response) -> bool:
    """Tell whether the answer is a problem document in both languages."""
    found = answer.json()
    members = {"type", "title", "title_en", "status", "detail", "detail_en", "code", "request_id"}
    return answer.headers["content-type"] == "application/problem+json" and members <= set(found)


def bad_tokens() -> Iterator[tuple[str, dict[str, str]]]:
    """Yield headers that let nobody in."""
    yield "missing", {}
    yield "empty", {"authorization": "Bearer "}
    yield "not a token", {"authorization": "Bearer abc"}
    yield "expired", {"authorization": f"Bearer {SIGNER.token('s-1', list(Role), iat=1, exp=2)}"}
    yield "another audience", {"authorization": f"Bearer {SIGNER.token('s-1', list(Role), aud=['other'])}"}
    stranger = Signer.generate(issuer="http://issuer.test")
    yield "another key", {"authorization": f"Bearer {stranger.token('s-1', list(Role))}"}


@pytest.mark.parametrize("route", ROUTES, ids=str)
async def test_a_request_without_a_good_token_is_refused(route: Route) -> None:
    for name, headers in bad_tokens():
        answer = await call(route, headers)
        assert (answer.status_code, is_problem(answer)) == (401, True), name


@pytest.mark.parametrize("route", ROUTES, ids=str)
async def test_a_request_of_a_role_that_the_route_does_not_take_is_refused(route: Route) -> None:
    for role in set(Role) - set(route.roles):
        answer = await call(route, {**bearer(route), **SIGNER.bearer("s-1", role, team="north")}, b"{}")
        assert (answer.status_code, is_problem(answer)) == (403, True), role


@pytest.mark.parametrize("fault", BODIES)
@pytest.mark.parametrize("route", COMMANDS, ids=str)
async def test_a_malformed_body_is_refused(route: Route, fault: str) -> None:
    answer = await call(route, bearer(route), BODIES[fault])
    assert 400 <= answer.status_code < 500, answer.text
    assert is_problem(answer)


@pytest.mark.parametrize("route", COMMANDS, ids=str)
async def test_an_oversized_body_is_refused_with_the_limit(route: Route) -> None:
    answer = await call(route, bearer(route), b'{"a":"' + b"x" * (2 << 20) + b'"}')
    assert (answer.status_code, is_problem(answer)) == (413, True)


@pytest.mark.parametrize("route", COMMANDS, ids=str)
async def test_a_body_that_is_not_said_to_be_json_is_refused(route: Route) -> None:
    answer = await call(route, {**bearer(route), "content-type": "text/plain"}, b"{}")
    assert (answer.status_code, is_problem(answer)) == (415, True)


@pytest.mark.parametrize("service", SERVICES)
async def test_an_unknown_path_and_a_wrong_method_are_told(service: str) -> None:
    for method, path, status in (("GET", "/v1/nothing-here", 404), ("DELETE", ROUTES[0].url, 404)):
        route = Route(service, method, path, (Role.OPERATOR,))
        answer = await call(route, bearer(route))
        assert answer.status_code in {status, 405}
        assert is_problem(answer)
