"""The pages that a service serves itself: one for each kind of problem, and its API's documentation.

No page asks for anything outside the service, and none runs inline script.
"""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from shared.errors import Problem
from shared.web.catalogue import Catalogue

_FOLDER = Path(__file__).parent / "pages"
_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
}


class Pages:
    """Renders the templates beside this file."""

    def __init__(self, service_title: str) -> None:
        self._templates = Environment(
            loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )
        self._title = service_title

    def html(self, template: str, **values: object) -> Response:
        """Return a rendered page."""
        text = self._templates.get_template(template).render(service=self._title, **values)
        return HTMLResponse(text, headers=_HEADERS)

    @staticmethod
    def file(name: str, media_type: str) -> Response:
        """Return a file beside the templates as it is."""
        return Response((_FOLDER / name).read_bytes(), media_type=media_type, headers=_HEADERS)


def problem_pages(pages: Pages, types: Catalogue) -> APIRouter:
    """Return the routes of the problem pages: the list, one a code, their style."""
    router = APIRouter(include_in_schema=False)

    @router.get("/problems")
    def listing() -> Response:
        return pages.html("problems.html", types=sorted(types.values(), key=lambda row: (row.status, row.code)))

    @router.get("/problems/page.css")
    def style() -> Response:
        return pages.file("page.css", "text/css")

    @router.get("/problems/{code}")
    def one(code: str) -> Response:
        if code not in types:
            raise Problem("not_found", "没有这种问题。", "There is no such kind of problem.")
        return pages.html("problem.html", type=types[code])

    return router


def documentation_pages(pages: Pages) -> APIRouter:
    """Return the routes of the API's documentation, which its own script draws from `/openapi.json`."""
    router = APIRouter(include_in_schema=False)

    @router.get("/docs")
    def documentation() -> Response:
        return pages.html("docs.html")

    @router.get("/docs/docs.js")
    def script() -> Response:
        return pages.file("docs.js", "text/javascript")

    return router
