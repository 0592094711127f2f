from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from fastapi import FastAPI

from shared.web.app import Parts
from shared.web.auth import TokenVerifier
from shared.web.keys import FixedKeys
from shared.web.signing import Signer
from tests.contract.web.toy import ISSUER, toy_app


@pytest.fixture(autouse=True)
def _root_logger_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers, root.level = handlers, level


@pytest.fixture(scope="session")
def signer() -> Signer:
    return Signer.generate(issuer=ISSUER)


@pytest.fixture
def parts(signer: Signer) -> Parts:
    keys = FixedKeys(signer.jwks())
    return Parts(verifier=TokenVerifier(issuer=ISSUER, audience="arrears", keys=keys), body_limit=65_536)


@pytest.fixture
def app(parts: Parts) -> FastAPI:
    return toy_app(parts)


@pytest.fixture
async def http(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    # Exceptions that reach the server are raised here, so a test sees that none does.
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://toy") as client:
        yield client


@pytest.fixture
def supervisor(signer: Signer) -> dict[str, str]:
    return signer.bearer("sup-1", "supervisor", team="north")
