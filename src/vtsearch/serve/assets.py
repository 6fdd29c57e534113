"""The routes of the page's files."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from vtsearch import page
from vtsearch.serve.caching import is_known, tagged
from vtsearch.serve.errors import NotThere

if TYPE_CHECKING:
    from fastapi import FastAPI

TYPES = {"html": "text/html; charset=utf-8", "css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8"}
TYPES |= {"svg": "image/svg+xml"}


def add_page(app: FastAPI) -> None:
    """Serve the page and what it loads."""

    @app.get("/", include_in_schema=False)
    async def index_page(request: Request) -> Response:
        return _asset(request, "index.html")

    @app.get("/page/{name}", include_in_schema=False)
    async def asset(request: Request, name: str) -> Response:
        return _asset(request, name)

    @app.get("/favicon.ico", include_in_schema=False)
    async def favicon(request: Request) -> Response:
        return _asset(request, "favicon.svg")


def _asset(request: Request, name: str) -> Response:
    """A file of the page; browsers ask each time whether it has changed."""
    if name not in page.names():
        raise NotThere(f"no such file of the page: {name[:80]!r}")
    content = page.asset(name)
    headers = tagged(content, "no-cache")
    if is_known(request, headers):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(content, media_type=TYPES[name.rpartition(".")[2]], headers=headers)
