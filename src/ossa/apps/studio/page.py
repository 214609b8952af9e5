"""The page itself: what Vite built, shipped in ``static``, looked up by name and never by path."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from ossa.apps.serve.answers import Refusal
from ossa.apps.serve.guard import PAGE_CSP, TOKEN_COOKIE
from ossa.apps.serve.service import service_of

router = APIRouter(include_in_schema=False)

_KINDS = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
    "json": "application/json",
    "png": "image/png",
    "woff2": "font/woff2",
}


@cache
def _files() -> dict[str, bytes]:
    """Name below ``static`` -> content."""
    found: dict[str, bytes] = {}

    def walk(folder: Traversable, before: str) -> None:
        for one in folder.iterdir():
            if one.is_dir():
                walk(one, f"{before}{one.name}/")
            else:
                found[f"{before}{one.name}"] = one.read_bytes()

    static = files("ossa").joinpath("apps", "studio", "static")
    if static.is_dir():
        walk(static, "")
    return found


@router.get("/", response_class=Response)
def index(request: Request) -> Response:
    """The page. A token in its address moves into a cookie, so that it stays in no history."""
    token = request.query_params.get("token")
    if token is not None:
        moved = RedirectResponse("/", 303)
        if token == service_of(request).settings.token:
            moved.set_cookie(TOKEN_COOKIE, token, httponly=True, samesite="strict", path="/")
        return moved
    page = _files().get("index.html")
    if page is None:
        raise Refusal(404, "this installation has no page", expected="apps/studio/static/index.html, which Vite builds")
    headers = {"Content-Security-Policy": PAGE_CSP, "Cache-Control": "no-cache"}
    return Response(page, media_type=_KINDS["html"], headers=headers)


@router.get("/static/{name:path}", response_class=Response)
def static(name: str) -> Response:
    """A file of the page. Vite puts a hash of their content into the names of those in assets/."""
    data = _files().get(name)
    kind = _KINDS.get(name.rpartition(".")[2])
    if data is None or kind is None:
        raise Refusal(404, "there is no such file", found=name[:80])
    lasting = "public, max-age=31536000, immutable" if name.startswith("assets/") else "no-cache"
    headers = {"Content-Security-Policy": PAGE_CSP, "Cache-Control": lasting}
    return Response(data, media_type=kind, headers=headers)
