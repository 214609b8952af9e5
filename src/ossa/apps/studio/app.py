"""The studio as a part of the server: ``create_app(settings, parts=[studio_part(desk)])``."""

from __future__ import annotations

import webbrowser
from collections.abc import Callable
from threading import Thread
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import JSONResponse

from ossa.apps.serve.answers import Refusal, refusal_of
from ossa.apps.serve.service import Part, Service
from ossa.apps.studio import exports, jobs, page, pictures
from ossa.apps.studio.desk import seat
from ossa.pipeline.studio import Conflict, Desk, Missing


def studio_part(desk: Desk, browser: bool = False, tell: Callable[[str], None] = lambda _: None) -> Part:
    """What adds the studio to a server.

    ``browser``: open the page when the server has started; ``tell`` hears where the page is.
    """

    def add(service: Service) -> None:
        seat(service, desk)
        for router in (pictures.router, jobs.router, exports.router, page.router):
            service.include_router(router)
        service.add_exception_handler(Missing, _missing)  # type: ignore[arg-type]
        service.add_exception_handler(Conflict, _conflict)  # type: ignore[arg-type]
        service.starting.append(desk.start)
        service.closing.append(lambda: _close(desk, tell))
        service.starting.append(lambda: _open(service, browser, tell))

    return add


async def _missing(_request: Request, error: Missing) -> JSONResponse:
    told = refusal_of(error)
    return Refusal(404, told.body["error"]["message"], found=error.found, expected=error.expected).response()


async def _conflict(_request: Request, error: Conflict) -> JSONResponse:
    theirs = error.theirs.to_json()
    return Refusal(
        409, error.what, found=error.found, expected=error.expected, remedy=error.remedy, theirs=theirs
    ).response()


def _close(desk: Desk, tell: Callable[[str], None]) -> None:
    if desk.jobs.running:
        tell("the retraining is interrupted, which takes up to half a minute; the next start goes on with it")
    desk.close()


def _open(service: Service, browser: bool, tell: Callable[[str], None]) -> None:
    address, token = service.settings.address, service.settings.token
    whole = f"{address}/" if token is None else f"{address}/?token={quote(token)}"
    tell(f"the studio: {whole}")
    if browser:
        # Some browsers are programs of the terminal, which are waited for.
        Thread(target=webbrowser.open, args=(whole,), daemon=True).start()
