"""Every route declares its permission, or the app does not start."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import RouteContext, iter_route_contexts

from shared.web.auth import Permission, Role
from shared.web.guard import PROTECTED

OPEN = re.compile(r"/(?:healthz|readyz|metrics|openapi\.json|(?:problems|docs)(?:/[^/]+)?)")
"""Routes that need no token: probes, metrics, problem pages, and the API's pages where a setting allows them."""


def check_declared(app: FastAPI) -> None:
    """Refuse an app with a route that declares no permission or stands outside `PROTECTED`; raises RuntimeError."""
    undeclared = [_name(route) for route in iter_route_contexts(app.routes) if not _is_declared(route)]
    if undeclared:
        raise RuntimeError(
            f"routes without a permission, or not under {PROTECTED}: {', '.join(sorted(undeclared))};"
            " declare one with shared.web.auth.require(…)"
        )


def role_matrix(app: FastAPI) -> list[tuple[str, str, tuple[Role, ...]]]:
    """Return (method, path, roles of which one is needed) for each protected route, sorted: a table to review."""
    rows = [
        (method, str(route.path_format), tuple(sorted(_needed(route))))
        for route in iter_route_contexts(app.routes)
        if not _is_open(route)
        for method in sorted(route.methods or ())
    ]
    return sorted(rows, key=lambda row: (row[1], row[0]))


def route_templates(app: FastAPI) -> dict[Any, str]:
    """Return each endpoint's path template, so that metrics name routes and never the ids in a path."""
    return {route.endpoint: str(route.path_format) for route in iter_route_contexts(app.routes) if route.endpoint}


def _is_declared(route: RouteContext) -> bool:
    if _is_open(route):
        return True
    return str(route.path or "").startswith(PROTECTED) and bool(_needed(route))


def _is_open(route: RouteContext) -> bool:
    return OPEN.fullmatch(str(route.path or "")) is not None


def _needed(route: RouteContext) -> frozenset[Role]:
    """Return the roles that pass every permission the route declares; none when it declares none."""
    dependant = getattr(route, "dependant", None)
    permissions = list(_permissions(dependant)) if isinstance(dependant, Dependant) else []
    if not permissions:
        return frozenset()
    return frozenset.intersection(*(permission.roles for permission in permissions))


def _permissions(dependant: Dependant) -> Iterator[Permission]:
    if isinstance(dependant.call, Permission):
        yield dependant.call
    for below in dependant.dependencies:
        yield from _permissions(below)


def _name(route: RouteContext) -> str:
    return f"{'/'.join(sorted(route.methods or ())) or 'MOUNT'} {route.path}"
