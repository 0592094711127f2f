"""The issuer's public keys: fetched, cached, and kept while the issuer is away."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Protocol

import httpx
from joserfc.errors import JoseError
from joserfc.jwk import Key, KeySet

from shared.errors import Retriable

MAX_AGE_SECONDS = 300.0
"""How old the keys may be before they are asked for again; a withdrawn key is honoured at most this much longer."""

COOLDOWN_SECONDS = 5.0
"""At least this long between two requests to the issuer, whatever key ids strangers make up."""

_TIMEOUT_SECONDS = 2.0
_MOST_BYTES = 1 << 18

_log = logging.getLogger("arrears.web.keys")


class KeySource(Protocol):
    """Finds the public key that a token names."""

    async def find(self, kid: str) -> Key | None:
        """Return the key, None when the issuer has no such key; raises `Retriable` when that cannot be known."""
        ...

    async def aclose(self) -> None:
        """Give up connections."""
        ...


class FixedKeys:
    """Keys that are known from the start: tests, and issuers whose keys are handed over as a file."""

    def __init__(self, jwks: dict[str, Any]) -> None:
        self._keys = public_keys(jwks)

    async def find(self, kid: str) -> Key | None:
        """Return the key with this id."""
        return self._keys.get(kid)

    async def aclose(self) -> None:
        """Nothing to give up."""


class FetchedKeys:
    """Keys from the issuer's JWKS address, and from nowhere else: addresses inside a token are never followed."""

    def __init__(
        self,
        url: str,
        *,
        client: httpx.AsyncClient | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._client = client or _client()
        self._monotonic = monotonic
        self._lock = asyncio.Lock()
        self._keys: dict[str, Key] = {}
        self._fetched_at: float | None = None
        self._tried_at: float | None = None

    async def find(self, kid: str) -> Key | None:
        """Return the key with this id.

        An unknown id or keys past their age ask the issuer, at most every `COOLDOWN_SECONDS`. While the issuer is
        away the keys held go on; with none held yet the answer cannot be known and `Retriable` is raised.
        """
        if kid in self._keys and not self._old():
            return self._keys[kid]
        if kid in self._keys and self._lock.locked():
            return self._keys[kid]  # somebody is asking already; what is held will do meanwhile
        async with self._lock:
            if (kid not in self._keys or self._old()) and self._may_ask():
                await self._refresh()
        if self._fetched_at is None:
            raise Retriable("the token issuer's keys have not been reached yet")
        return self._keys.get(kid)

    async def aclose(self) -> None:
        """Close the connections to the issuer."""
        await self._client.aclose()

    def _old(self) -> bool:
        return self._fetched_at is None or self._monotonic() - self._fetched_at > MAX_AGE_SECONDS

    def _may_ask(self) -> bool:
        return self._tried_at is None or self._monotonic() - self._tried_at >= COOLDOWN_SECONDS

    async def _refresh(self) -> None:
        self._tried_at = self._monotonic()
        try:
            response = await self._client.get(self._url)
            response.raise_for_status()
            if len(response.content) > _MOST_BYTES:
                raise ValueError("the key set is too large")
            keys = public_keys(response.json())
        except (httpx.HTTPError, ValueError, JoseError) as error:
            _log.warning("the token issuer's keys cannot be read", extra={"error_type": type(error).__name__})
            return
        self._keys, self._fetched_at = keys, self._tried_at


def _client() -> httpx.AsyncClient:
    # Proxies from the environment are for the world outside. The machine's own certificate store counts beside the
    # bundled one, since a bank's issuer is signed by the bank.
    trust = httpx.create_ssl_context(trust_env=False)
    trust.load_default_certs()
    return httpx.AsyncClient(timeout=_TIMEOUT_SECONDS, follow_redirects=False, trust_env=False, verify=trust)


def public_keys(jwks: object) -> dict[str, Key]:
    """Return the signature keys of a JWK set by id; raises ValueError or JoseError when it is not one.

    Keys without id, keys for encryption and symmetric keys are left out: a shared secret in a public set would let
    anybody sign.
    """
    if not isinstance(jwks, dict) or not isinstance(jwks.get("keys"), list) or not jwks["keys"]:
        raise ValueError("not a JWK set")
    named = [entry for entry in jwks["keys"] if isinstance(entry, dict) and isinstance(entry.get("kid"), str)]
    usable = [entry for entry in named if entry.get("kty") in {"EC", "RSA"} and entry.get("use") != "enc"]
    if not usable:
        raise ValueError("no usable key in the JWK set")
    keys = KeySet.import_key_set({"keys": usable}).keys
    return {str(key.kid): key for key in keys}
