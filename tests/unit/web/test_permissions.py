from __future__ import annotations

from typing import Annotated

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.staticfiles import StaticFiles

from shared.web.auth import Principal, Role, anybody, require
from shared.web.permissions import check_declared, role_matrix, route_templates

Supervisor = Annotated[Principal, require(Role.SUPERVISOR)]


async def open_to_all() -> str:
    return "hole"


async def declared(who: Supervisor) -> str:
    return who.subject


def app_with(*routers: APIRouter) -> FastAPI:
    app = FastAPI(openapi_url=None)
    for router in routers:
        app.include_router(router)
    return app


def test_an_undeclared_route_is_refused_by_name() -> None:
    router = APIRouter(prefix="/v1")
    router.add_api_route("/cases/{case_id}", declared, methods=["GET"])
    router.add_api_route("/cases/{case_id}/close", open_to_all, methods=["POST"])
    with pytest.raises(RuntimeError, match=r"POST /v1/cases/\{case_id\}/close"):
        check_declared(app_with(router))


def test_an_undeclared_route_in_a_nested_router_is_refused() -> None:
    inner, outer = APIRouter(prefix="/cases"), APIRouter(prefix="/v1")
    inner.add_api_route("/{case_id}", open_to_all)
    outer.include_router(inner)
    with pytest.raises(RuntimeError, match=r"/v1/cases/\{case_id\}"):
        check_declared(app_with(outer))


def test_a_declared_route_outside_the_protected_prefix_is_refused() -> None:
    router = APIRouter()
    router.add_api_route("/cases", declared)
    with pytest.raises(RuntimeError, match="/cases"):
        check_declared(app_with(router))


def test_a_mounted_app_has_no_permission_and_is_refused(tmp_path: object) -> None:
    app = app_with()
    app.mount("/v1/files", StaticFiles(directory=str(tmp_path)))
    with pytest.raises(RuntimeError, match="/v1/files"):
        check_declared(app)


def test_a_permission_of_a_router_counts_for_its_routes() -> None:
    router = APIRouter(prefix="/v1", dependencies=[require(Role.OPERATOR)])
    router.add_api_route("/dead-letters", open_to_all)
    app = app_with(router)
    check_declared(app)
    assert role_matrix(app) == [("GET", "/v1/dead-letters", (Role.OPERATOR,))]


def test_the_role_table_lists_each_protected_route_with_who_passes_all_its_permissions() -> None:
    router = APIRouter(prefix="/v1", dependencies=[require(Role.SUPERVISOR, Role.PHONE_AGENT)])
    router.add_api_route("/cases", declared, methods=["GET", "POST"])
    everyone = APIRouter(prefix="/v1", dependencies=[anybody()])
    everyone.add_api_route("/me", open_to_all)
    probes = APIRouter()
    probes.add_api_route("/healthz", open_to_all)
    assert role_matrix(app_with(router, everyone, probes)) == [
        ("GET", "/v1/cases", (Role.SUPERVISOR,)),
        ("POST", "/v1/cases", (Role.SUPERVISOR,)),
        ("GET", "/v1/me", tuple(sorted(Role))),
    ]


def test_metrics_name_routes_by_template() -> None:
    router = APIRouter(prefix="/v1")
    router.add_api_route("/cases/{case_id}", declared)
    assert route_templates(app_with(router))[declared] == "/v1/cases/{case_id}"


def test_a_permission_for_nobody_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="role"):
        require()
