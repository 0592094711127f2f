"""Services as processes of their own, forked from one that has imported them all: a life begins in a tenth of a second.

They are built and served as in production, but for a verifier that takes a test's tokens without asking an issuer.
"""

from __future__ import annotations

import importlib
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

import uvicorn

from deploy.local.parts import REQUEST_GRACE, SERVICES
from deploy.local.process import die_with_parent
from deploy.local.ready import HOST
from shared.bus import publisher, timers
from shared.web.app import Parts
from shared.web.auth import TokenVerifier
from shared.web.keys import FixedKeys
from shared.web.signing import Signer

ISSUER = "http://issuer.test"
_FORKING = get_context("forkserver")


def preload() -> None:
    """Let the process that others are forked from import everything; before the first one is."""
    _FORKING.set_forkserver_preload([*(f"services.{name}.app" for name in SERVICES), "pytest", __name__])


@dataclass(frozen=True)
class Life:
    """A service that runs, or has ended."""

    service: str
    process: BaseProcess
    port: int
    log: Path

    @classmethod
    def begin(cls, service: str, port: int, environment: Mapping[str, str], signer: Signer, log: Path) -> Life:
        """Start it; returns at once."""
        given = (service, port, dict(environment), signer.jwks(), str(log))
        process = _FORKING.Process(target=_serve, args=given, name=f"{service} {log.stem}", daemon=True)
        process.start()
        return cls(service, process, port, log)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{HOST}:{self.port}"

    def terminate(self) -> None:
        """Send it SIGTERM."""
        self.process.terminate()

    def kill(self) -> None:
        """End it in any case, and wait for that."""
        self.process.kill()
        self.process.join(10)


def _serve(service: str, port: int, environment: Mapping[str, str], jwks: dict[str, object], log: str) -> None:
    die_with_parent(os.getppid(), signal.SIGKILL)()
    file = os.open(log, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.environ.update(environment)
    # Thirty services share a machine: each looks less often than it would, else they have no time for anything else.
    publisher.POLL_SECONDS = timers.LOOK_SECONDS = 1.0
    verifier = TokenVerifier(issuer=ISSUER, audience="arrears", keys=FixedKeys(jwks))
    app = importlib.import_module(f"services.{service}.app").create_app(parts=Parts(verifier=verifier))
    uvicorn.run(app, loop="asyncio", host=HOST, port=port, access_log=False, timeout_graceful_shutdown=REQUEST_GRACE)
