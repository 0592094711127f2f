"""Who calls: bearer tokens, roles, and the permission that each route declares.

Tokens live on the machine's clock, never on the injected one: a demo's week that passes in a minute expires nobody.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

from fastapi import Depends, Security
from fastapi.security import HTTPBearer
from joserfc import jwt
from joserfc.errors import ExpiredTokenError, JoseError
from joserfc.jwt import JWTClaimsRegistry
from joserfc.util import urlsafe_b64decode
from starlette.requests import Request

from shared.errors import Problem
from shared.web.keys import FetchedKeys, KeySource
from shared.web.strict_json import check

ALGORITHMS = ("ES256", "ES384", "RS256", "RS384", "RS512", "PS256")
"""Signatures that are taken: public-key ones only."""

TOKEN_TYPES = frozenset({"at+jwt", "application/at+jwt"})
"""RFC 9068: an access token says so, so that an ID token is never taken for one."""

MAX_LIFETIME_SECONDS = 15 * 60
LEEWAY_SECONDS = 5
_MOST_CHARACTERS = 8192

_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)
_BEARER = HTTPBearer(bearerFormat="JWT", auto_error=False, description="令牌 / access token (at+jwt)")


class Role(StrEnum):
    """What a caller does; a token carries a list of them."""

    UPSTREAM = "upstream"
    PHONE_AGENT = "phone_agent"
    FIELD_AGENT = "field_agent"
    SUPERVISOR = "supervisor"
    ADMIN_ASSISTANT = "admin_assistant"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls: the subject of the token (a staff id, or the name of a system), its roles, its team if it has one."""

    subject: str
    roles: frozenset[Role]
    team: str | None = None

    def has(self, *roles: Role) -> bool:
        """Return whether the caller has one of the roles."""
        return not self.roles.isdisjoint(roles)


class TokenVerifier:
    """Tells whose token this is, or refuses it."""

    def __init__(self, *, issuer: str, audience: str, keys: KeySource, now: Callable[[], float] = time.time) -> None:
        self._keys = keys
        self._now = now
        self._claims = {
            "iss": {"essential": True, "value": issuer},
            "aud": {"essential": True, "value": audience},
            "sub": {"essential": True},
            "exp": {"essential": True},
            "iat": {"essential": True},
        }

    @classmethod
    def fetching(cls, issuer: str, audience: str, jwks_url: str) -> TokenVerifier:
        """Return a verifier that asks the issuer for its keys."""
        return cls(issuer=issuer, audience=audience, keys=FetchedKeys(jwks_url))

    async def verify(self, token: str) -> Principal:
        """Return the caller; raises `Problem("unauthenticated")`, or `Retriable` while no key can be had."""
        algorithm, kid = _header(token)
        key = await self._keys.find(kid)
        if key is None:
            raise TokenRefused("unknown_key")
        try:
            claims = jwt.decode(token, key, algorithms=[algorithm]).claims
            registry = JWTClaimsRegistry(now=int(self._now()), leeway=LEEWAY_SECONDS, **self._claims)  # type: ignore[arg-type]  # typed dicts
            registry.validate(claims)
            return _principal(claims)
        except ExpiredTokenError:
            raise TokenRefused("expired") from None
        except (JoseError, ValueError, TypeError, OverflowError) as error:
            raise TokenRefused(getattr(error, "error", "malformed")) from None

    async def aclose(self) -> None:
        """Give up the connections to the issuer."""
        await self._keys.aclose()


def _header(token: str) -> tuple[str, str]:
    """Return algorithm and key id of a token whose form is right; nothing else of its header is ever used."""
    if len(token) > _MOST_CHARACTERS or not _FORM.fullmatch(token):
        raise TokenRefused("malformed")
    try:
        raw = urlsafe_b64decode(token.split(".", 1)[0].encode())
        check(raw)
        header = json.loads(raw)
    except (Problem, ValueError):
        raise TokenRefused("malformed") from None
    if not isinstance(header, dict) or str(header.get("typ", "")).lower() not in TOKEN_TYPES:
        raise TokenRefused("wrong_type")
    algorithm, kid = header.get("alg"), header.get("kid")
    if algorithm not in ALGORITHMS:
        raise TokenRefused("algorithm")
    if not isinstance(kid, str) or not 0 < len(kid) <= 200:
        raise TokenRefused("unknown_key")
    return str(algorithm), kid


def _principal(claims: dict[str, Any]) -> Principal:
    if claims["exp"] - claims["iat"] > MAX_LIFETIME_SECONDS + LEEWAY_SECONDS:
        raise TokenRefused("lives_too_long")
    subject, roles, team = claims["sub"], claims.get("roles", []), claims.get("team")
    if not isinstance(subject, str) or not 0 < len(subject) <= 200 or not subject.isprintable():
        raise TokenRefused("malformed")
    if not isinstance(roles, list) or not (team is None or isinstance(team, str)):
        raise TokenRefused("malformed")
    # A role that is not ours belongs to another system of the same issuer.
    known = frozenset(Role(role) for role in roles if role in Role.__members__.values())
    return Principal(subject, known, team)


class TokenRefused(Problem):
    """The 401 problem. `reason` is for the metric; the caller is told only a missing and an expired token apart."""

    def __init__(self, reason: str) -> None:
        zh, en = _REFUSALS.get(reason, ("令牌无效。", "The token is not valid."))
        told = reason if reason in _REFUSALS else "invalid"
        super().__init__("unauthenticated", zh, en, extra={"reason": told})
        self.reason = reason


_REFUSALS = {
    "missing": ("请求没有携带令牌。", "The request carries no bearer token."),
    "expired": ("令牌已过期，请取得新的令牌。", "The token has expired; get a new one."),
}


@dataclass(frozen=True)
class Permission:
    """What a route declares: the roles of which the caller needs one. Made by `require`."""

    roles: frozenset[Role]

    async def __call__(self, request: Request, _bearer: Annotated[object, Security(_BEARER)] = None) -> Principal:
        """Return the caller, whose token has been verified before the body was read; 403 without the role."""
        principal = getattr(request.state, "principal", None)
        if not isinstance(principal, Principal):
            raise TokenRefused("missing")
        if not principal.has(*self.roles):
            request.app.state.metrics.authz_denied.labels("wrong_role").inc()
            needed = sorted(self.roles)
            raise Problem(
                "forbidden",
                f"此操作需要以下角色之一：{'、'.join(needed)}。",
                f"This needs one of the roles {', '.join(needed)}.",
                extra={"roles": needed},
            )
        return principal


def require(*roles: Role) -> Any:  # noqa: ANN401 - what FastAPI's own Depends returns
    """Declare a route's permission: one of these roles. Use as `Annotated[Principal, require(Role.SUPERVISOR)]`."""
    if not roles:
        raise ValueError("name at least one role")
    return Depends(Permission(frozenset(roles)))


def anybody() -> Any:  # noqa: ANN401 - what FastAPI's own Depends returns
    """Declare that every caller with a valid token and any role of ours may use the route."""
    return require(*Role)
