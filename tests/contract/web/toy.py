"""A small service made by `service_app`, with a route for each way in which a request can go wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated
from uuid import UUID

import asyncpg
import msgspec
from fastapi import APIRouter, FastAPI
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import StreamingResponse

from shared.errors import Problem, Retriable
from shared.settings import ServiceSettings
from shared.web.app import Parts, service_app
from shared.web.auth import Principal, Role, require
from shared.web.health import NotReady
from shared.web.idempotency import SentCommand

ISSUER = "http://issuer.test"
SECRET = "张伟 13800138000"  # what must never be in an answer or a log line

Supervisor = Annotated[Principal, require(Role.SUPERVISOR)]


class Extension(BaseModel):
    model_config = ConfigDict(extra="forbid")

    until: AwareDatetime
    amount: int = Field(ge=1, le=10)
    reason: str = Field(max_length=20)


class Event(msgspec.Struct, forbid_unknown_fields=True):
    id: UUID
    amount: Annotated[int, msgspec.Meta(ge=0)]


class CommitFails:
    """A unit of work whose COMMIT fails, as when the database goes away at the last moment."""

    async def __aenter__(self) -> CommitFails:
        return self

    async def __aexit__(self, *_: object) -> None:
        raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")


def toy_router() -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["toy"])

    @router.get("/who")
    async def who(who: Supervisor) -> dict[str, object]:
        return {"subject": who.subject, "team": who.team, "roles": sorted(who.roles)}

    @router.post("/extensions", status_code=201)
    async def extend(who: Supervisor, body: Extension) -> dict[str, int]:
        return {"amount": body.amount}

    @router.post("/commands", status_code=201)
    async def command(who: Supervisor, sent: SentCommand) -> dict[str, str]:
        return {"key": sent.key, "route": sent.route, "hash": sent.request_hash.hex()}

    @router.post("/events", status_code=202)
    async def events(who: Supervisor, request: Request) -> dict[str, int]:
        return {"taken": len(msgspec.json.decode(await request.body(), type=list[Event]))}

    @router.get("/items/{item_id}")
    async def item(who: Supervisor, item_id: UUID, limit: int = 5) -> dict[str, str]:
        raise Problem("not_found", "没有这一项。", "There is no such item.")

    @router.post("/commit-fails", status_code=201)
    async def commit_fails(who: Supervisor) -> dict[str, str]:
        answer: dict[str, str] = {}
        async with CommitFails():
            answer["id"] = "1"
        return answer

    @router.get("/fails/{how}")
    async def fails(who: Supervisor, how: str) -> dict[str, str]:
        raise {"bug": ValueError(SECRET), "retry": Retriable(SECRET), "away": OSError(SECRET)}[how]

    @router.get("/breaks-off")
    async def breaks_off(who: Supervisor) -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"half of "
            raise ValueError(SECRET)

        return StreamingResponse(parts())

    return router


def settings(**changed: object) -> ServiceSettings:
    usual: dict[str, object] = {
        "env": "development",
        "database_url": "postgresql://toy",
        "kafka_bootstrap": "127.0.0.1:1",
        "instance": "0",
        "issuer": ISSUER,
        "jwks_url": f"{ISSUER}/jwks",
    }
    return ServiceSettings.model_validate({**usual, **changed})


async def ready() -> Sequence[NotReady]:
    return []


@asynccontextmanager
async def no_lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield


def toy_app(parts: Parts | None = None, **changed: object) -> FastAPI:
    return service_app(
        name="toy",
        title="玩具服务 Toy",
        settings=settings(**changed),
        routers=[toy_router()],
        lifespan=no_lifespan,
        readiness=ready,
        parts=parts,
    )
