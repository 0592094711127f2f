"""Signs access tokens of the form that `shared.web.auth` takes: for the development issuer and for tests."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey

from shared.ids import uuid7

LIFETIME_SECONDS = 900


class Signer:
    """One ES256 key and the name of the issuer that signs with it."""

    def __init__(self, key: ECKey, *, issuer: str, audience: str, now: Callable[[], float] = time.time) -> None:
        key.ensure_kid()
        self._key = key
        self._now = now
        self.issuer = issuer
        self.audience = audience

    @classmethod
    def generate(cls, *, issuer: str, audience: str = "arrears", now: Callable[[], float] = time.time) -> Signer:
        """Return a signer with a new key that is kept nowhere."""
        return cls(ECKey.generate_key("P-256"), issuer=issuer, audience=audience, now=now)

    @classmethod
    def from_file(cls, path: Path, *, issuer: str, audience: str) -> Signer:
        """Return a signer whose key is kept in `path`; a missing file is made, readable by its owner only."""
        return cls(_load_or_make(path), issuer=issuer, audience=audience)

    def token(self, subject: str, roles: Sequence[str] = (), team: str | None = None, **changed: object) -> str:
        """Return a signed token; `changed` claims replace or add, and None leaves one out."""
        now = int(self._now())
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "aud": [self.audience],
            "sub": subject,
            "roles": [str(role) for role in roles],
            "team": team,
            "iat": now,
            "exp": now + LIFETIME_SECONDS,
            "jti": str(uuid7()),
            **changed,
        }
        present = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode({"alg": "ES256", "kid": self._key.kid, "typ": "at+jwt"}, present, self._key)

    def bearer(self, subject: str, *roles: str, team: str | None = None) -> dict[str, str]:
        """Return the request header that carries a token for `subject`."""
        return {"authorization": f"Bearer {self.token(subject, roles, team)}"}

    def jwks(self) -> dict[str, Any]:
        """Return the public key set."""
        return {"keys": [{**self._key.as_dict(private=False), "use": "sig", "alg": "ES256"}]}


def _load_or_make(path: Path) -> ECKey:
    try:
        return ECKey.import_key(path.read_bytes())
    except FileNotFoundError:
        key = ECKey.generate_key("P-256")
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(file, "wb") as opened:
        opened.write(key.as_pem(private=True))
    fresh.rename(path)
    return key
