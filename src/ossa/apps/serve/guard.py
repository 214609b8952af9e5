"""What stands before every route: who asks, from which page, under which name, how much and how slowly.

A web page elsewhere must not drive a server on loopback. Four things keep it out: the Host header must be one of this
server's names (DNS rebinding); a request that a browser sends for another site's page is refused by its Origin and
Sec-Fetch-Site; writing from a page needs the session's CSRF value in a header, which no form can set; and no answer
ever carries a CORS header. Sources: OWASP Cross-Site Request Forgery Prevention Cheat Sheet; W3C Fetch Metadata.
"""

from __future__ import annotations

import asyncio
import secrets
from time import monotonic
from urllib.parse import parse_qsl, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ossa.apps.serve.answers import Refusal
from ossa.apps.serve.settings import Settings

CSRF_HEADER = "x-ossa-csrf"

#: Where a page of this server keeps the token: a cookie that no script reads and no other site's page makes a browser
#: send (HttpOnly, SameSite=Strict). Its name has no port, so two servers with tokens need two names of the machine.
TOKEN_COOKIE = "ossa_token"

#: Routes that answer without a token: what watches a server has none.
OPEN = frozenset({"/health", "/ready"})

#: Below these a write needs the CSRF value even where no browser shows itself: they are a page's own.
PAGES = ("/api/",)

#: Routes that take many pictures at once, and have the limits of jobs.
LARGE = frozenset({"/v1/jobs"})

#: Methods that change nothing (RFC 9110, 9.2.1).
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

#: What answers may load when a browser shows them: nothing. A page sets its own policy in its answer.
CSP = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

#: For pages of this server: scripts, styles and pictures of its own and of no other host.
PAGE_CSP = (
    "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; connect-src 'self'; "
    "worker-src 'self' blob:; object-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)

#: Headers of every answer that does not set them itself.
HEADERS = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}


class Guard:
    """ASGI middleware around a whole application. ``csrf``: what writing pages send in CSRF_HEADER."""

    def __init__(self, app: ASGIApp, settings: Settings, csrf: str) -> None:
        self.app, self.settings, self.csrf = app, settings, csrf
        self.open = 0  # requests that write, or bring a picture

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # there are no web sockets here
            await send({"type": "websocket.close", "code": 1008})
            return
        answer = _with_headers(send)
        try:
            self.check(scope)
        except Refusal as refusal:
            await refusal.response()(scope, receive, answer)
            return
        limits = self.settings.limits
        most, seconds = limits.upload_bytes, limits.upload_seconds
        if scope["path"] in LARGE:
            most, seconds = limits.job_bytes, limits.job_seconds
        if scope["method"] in SAFE:
            await self.app(scope, Body(receive, most, seconds), answer)
            return
        if self.open >= limits.requests:
            busy = Refusal(429, "too many requests at once", headers={"Retry-After": "1", "Connection": "close"})
            await busy.response()(scope, receive, answer)
            return
        self.open += 1
        try:
            await self.app(scope, Body(receive, most, seconds), answer)
        finally:
            self.open -= 1

    def check(self, scope: Scope) -> None:
        """Raise Refusal for a request that may not come in, from its head alone."""
        headers = Headers(scope=scope)
        method, path = scope["method"], scope["path"]
        host = _host(headers)
        known = self.settings.known_hosts
        if known is not None and _name(host) not in known:
            raise Refusal(
                421,
                "this server is not called so",
                found=host or "no Host header",
                expected=", ".join(sorted(known)),
                remedy="Call it by one of these names, or start it with --allow-host NAME",
            )
        self._check_site(headers, method, host)
        if path not in OPEN:
            self._check_token(headers, scope)
        if method not in SAFE:
            self._check_csrf(headers, path)
        length = headers.get("content-length")
        limits = self.settings.limits
        most = limits.job_bytes if path in LARGE else limits.upload_bytes
        if length is not None and length.isdecimal() and int(length) > most:
            raise too_large(most, f"{int(length):,} bytes")

    def _check_site(self, headers: Headers, method: str, host: str) -> None:
        """Refuse what a browser sends on behalf of another site's page."""
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host:
            raise Refusal(
                403, "a page of another site may not use this server", code="origin", found=origin, expected=host
            )
        site = headers.get("sec-fetch-site", "none")
        link = method in ("GET", "HEAD") and headers.get("sec-fetch-mode") == "navigate"
        if site not in ("none", "same-origin") and not link:
            raise Refusal(403, "a page of another site may not use this server", code="origin", found=site)

    def _check_token(self, headers: Headers, scope: Scope) -> None:
        """Programs send the token in a header, pages in a cookie; the link that opens a page brings it there."""
        token = self.settings.token
        if token is None:
            return
        scheme, _, given = headers.get("authorization", "").partition(" ")
        given = given.strip() if scheme.lower() == "bearer" else ""
        if not given:
            given = cookie_parser(headers.get("cookie", "")).get(TOKEN_COOKIE, "")
        if not given and scope["path"] == "/":
            given = dict(parse_qsl(scope["query_string"].decode("latin-1"))).get("token", "")
        if secrets.compare_digest(given.encode(), token.encode()):
            return
        raise Refusal(
            401,
            "a token is needed" if not given else "this is not the token",
            expected="the header Authorization: Bearer TOKEN",
            headers={"WWW-Authenticate": 'Bearer realm="ossa"'},
        )

    def _check_csrf(self, headers: Headers, path: str) -> None:
        page = "origin" in headers or "sec-fetch-site" in headers or path.startswith(PAGES)
        given = headers.get(CSRF_HEADER, "")
        if page and not secrets.compare_digest(given.encode(), self.csrf.encode()):
            raise Refusal(
                403,
                "a page that changes something must show that it is this server's",
                code="csrf",
                found="another value" if given else "no value",
                expected="the session's value in the header X-Ossa-Csrf",
                remedy="Load the page again",
            )


def too_large(most: int, found: str) -> Refusal:
    """The answer to a body of more than ``most`` bytes."""
    return Refusal(
        413,
        "the request is too large",
        found=found,
        expected=f"at most {most:,} bytes",
        headers={"Connection": "close"},
    )


class Body:
    """``receive`` of a request whose body has at most ``most`` bytes and is here within ``seconds``.

    Calling it raises Refusal (413, 408) where the body breaks that.
    """

    def __init__(self, receive: Receive, most: int, seconds: float) -> None:
        self.receive, self.most, self.seconds = receive, most, seconds
        self.end = monotonic() + seconds
        self.size = 0
        self.whole = False

    async def __call__(self) -> Message:
        if self.whole:  # what comes now is that the client has gone
            return await self.receive()
        try:
            async with asyncio.timeout(max(0.0, self.end - monotonic())):
                message = await self.receive()
        except TimeoutError as error:
            raise Refusal(
                408,
                "the request came too slowly",
                found=f"{self.size:,} bytes in {self.seconds:g} s",
                expected=f"all of it within {self.seconds:g} s",
                headers={"Connection": "close"},
            ) from error
        if message["type"] == "http.request":
            self.size += len(message.get("body", b""))
            self.whole = not message.get("more_body", False)
            if self.size > self.most:
                raise too_large(self.most, f"more than {self.most:,} bytes")
        return message


def _host(headers: Headers) -> str:
    """The one Host header in lower case; "" where there is none or several."""
    given = headers.getlist("host")
    return given[0].strip().lower() if len(given) == 1 else ""


def _name(host: str) -> str:
    """A Host header without its port."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


def _with_headers(send: Send) -> Send:
    """``send``, with HEADERS where an answer has none of its own."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sending
