"""Errors as answers: whatever goes wrong, a client reads {"error": {code, message, found, expected, remedy}}."""

from __future__ import annotations

import re
from collections.abc import Mapping
from errno import EDQUOT, ENOSPC
from pathlib import PurePath
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from ossa.errors import (
    BundleError,
    ConfigError,
    DeviceError,
    ImageError,
    InputError,
    MissingExtraError,
    OssaError,
    OutputError,
    SchemaError,
    SubmissionError,
)

#: Error of ossa -> status and code; the first that fits counts.
STATUS: tuple[tuple[type[OssaError], int, str], ...] = (
    (ImageError, 422, "image"),
    (BundleError, 500, "model"),
    (SchemaError, 422, "schema"),
    (SubmissionError, 422, "name"),
    (InputError, 422, "input"),
    (ConfigError, 422, "setting"),
    (OutputError, 507, "storage"),
    (MissingExtraError, 501, "missing-extra"),
    (DeviceError, 503, "device"),
    (OssaError, 500, "defect"),
)

#: Status -> code of errors that are the protocol's.
CODES = {
    400: "request",
    401: "token",
    403: "forbidden",
    404: "not-found",
    405: "method",
    406: "not-acceptable",
    408: "too-slow",
    409: "conflict",
    411: "length",
    413: "too-large",
    415: "content-type",
    421: "host",
    422: "input",
    429: "overload",
    503: "unavailable",
    504: "too-long",
    507: "storage",
}


class Refusal(HTTPException):
    """An answer with an error. ``code`` is for programs; None: the usual one of the ``status``."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        found: object = None,
        expected: object = None,
        remedy: str | None = None,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        self.body = body(code or CODES.get(status, "error"), message, found, expected, remedy) | more
        super().__init__(status, message, dict(headers) if headers else None)

    def response(self) -> JSONResponse:
        """The answer itself."""
        return JSONResponse(self.body, self.status_code, self.headers)


def body(
    code: str, message: str, found: object = None, expected: object = None, remedy: str | None = None
) -> dict[str, Any]:
    """The JSON of an error."""
    texts = {"found": found, "expected": expected, "remedy": remedy}
    said = {key: None if value is None else _printable(str(value)) for key, value in texts.items()}
    return {"error": {"code": code, "message": _printable(message), **said}}


def refusal_of(error: OssaError) -> Refusal:
    """An error of ossa as an answer; of paths only the file's name is told."""
    status, code = next((status, code) for kind, status, code in STATUS if isinstance(error, kind))
    path = error.path
    where = "" if path is None else f"{PurePath(path).name}: "

    def told(text: object) -> str | None:
        if text is None:
            return None
        return str(text).replace(path, PurePath(path).name) if path else str(text)

    return Refusal(
        status,
        f"{where}{told(error.what)}",
        code=code,
        found=told(error.found),
        expected=told(error.expected),
        remedy=told(error.remedy),
    )


def _printable(text: str) -> str:
    """Bytes of a request may stand in a message: no control characters, no lone surrogates, no end."""
    clean = text.encode("utf-8", "replace").decode()
    return "".join(c if c.isprintable() else "?" for c in clean[:2000])


def methods_of(app: FastAPI, path: str) -> list[str]:
    """The methods that a path takes, by the OpenAPI document."""
    found: set[str] = set()
    for template, told in app.openapi()["paths"].items():
        if re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template)), path):
            found |= {method.upper() for method in told}
    return sorted(found)


def install(app: FastAPI) -> None:
    """Let every error of ``app`` come out in this shape."""

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> JSONResponse:
        if isinstance(error, Refusal):
            return error.response()
        headers = dict(error.headers or {})
        if error.status_code == 405:  # the frame names the methods of the first route alone
            headers["Allow"] = ", ".join(methods_of(app, request.url.path)) or headers.get("Allow", "")
        return Refusal(error.status_code, str(error.detail), headers=headers).response()

    @app.exception_handler(RequestValidationError)
    async def _invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        found = first.get("input")
        shown = None if found is None else repr(found)[:200]
        return Refusal(422, f"{place}: {first['msg']}", code="setting", found=shown).response()

    @app.exception_handler(ClientDisconnect)
    async def _gone(_request: Request, _error: ClientDisconnect) -> JSONResponse:
        return Refusal(499, "the client has gone", code="gone").response()

    @app.exception_handler(OssaError)
    async def _ossa(_request: Request, error: OssaError) -> JSONResponse:
        return refusal_of(error).response()

    @app.exception_handler(OSError)
    async def _full(_request: Request, error: OSError) -> JSONResponse:
        if error.errno not in (ENOSPC, EDQUOT):
            raise error
        remedy = "Ask again when there is room"
        return Refusal(507, "the server's disk is full", found=error.strerror, remedy=remedy).response()

    @app.exception_handler(Exception)
    async def _defect(_request: Request, error: Exception) -> JSONResponse:  # uvicorn logs it
        return Refusal(500, f"{type(error).__name__} (a defect in ossa: please report it)", code="defect").response()
