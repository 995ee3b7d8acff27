"""The console: a page that asks the service as any client does. It holds nothing by itself."""

from __future__ import annotations

from functools import cache
from importlib import resources

from fastapi import Response

from guardrail.server.routing import open_router

router = open_router("console")

FILES = {
    "index.html": "text/html; charset=utf-8",
    "console.css": "text/css; charset=utf-8",
    "console.js": "text/javascript; charset=utf-8",
}
# Nothing from elsewhere, nothing inline, nowhere else to send what was typed.
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; "
        "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}


@router.get("/console", include_in_schema=False)
async def page() -> Response:
    """The page."""
    return _file("index.html")


@router.get("/console/console.css", include_in_schema=False)
async def style() -> Response:
    """What it looks like."""
    return _file("console.css")


@router.get("/console/console.js", include_in_schema=False)
async def script() -> Response:
    """What it does."""
    return _file("console.js")


def _file(name: str) -> Response:
    return Response(_content(name), media_type=FILES[name], headers=HEADERS)


@cache
def _content(name: str) -> bytes:
    return resources.files("guardrail.server").joinpath("console", name).read_bytes()
