"""The server as one ASGI application, with what every route may use: the guard, the worker, the settings.

A route asks ``service_of(request)`` for it. ``app.create_app`` puts routers onto it.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, cast

from fastapi import FastAPI, Request
from starlette.types import Receive, Scope, Send

import ossa
from ossa.apps.serve import answers
from ossa.apps.serve.guard import Guard
from ossa.apps.serve.seats import Trip
from ossa.apps.serve.settings import Settings
from ossa.apps.serve.worker import Overload, Worker
from ossa.safety import output_folder
from ossa.safety.apart import clear_abandoned

#: Adds something to a service before it starts: ``service.include_router(...)``, ``service.closing.append(...)``.
Part = Callable[["Service"], None]

#: Below the server's folder: what requests bring, for as long as it is needed. Whatever lies there is removed.
ROOM = ".ossa-uploads"

#: Where no folder is given, what the temporary one's name begins with.
PREFIX = "ossa-serve-"

#: FastAPI reports to nobody here, whatever its environment says.
SILENT: Any = {"tracing": False, "metrics": False, "logs": False, "operation_spans": False, "auto_configure": False}

DESCRIPTION = """Finds the 29 bones of the hand and wrist in X-rays. For research; not a medical device.

Every error is `{"error": {"code", "message", "found", "expected", "remedy"}}`. Where the server was started with a
token, requests carry `Authorization: Bearer TOKEN`. 429 comes with `Retry-After`: ask again then."""


class Service(FastAPI):
    """A FastAPI application with what its routes share.

    ``csrf``: what a page of this server sends in X-Ossa-Csrf when it writes; ``worker`` owns the predictor;
    functions in ``starting`` run when it begins, those in ``closing`` before the worker ends, in ``ending`` after.
    ``folder`` keeps what outlives a request, ``room`` holds uploads for as long as they are needed; both are there
    while the server runs.
    """

    folder: Path
    room: Path

    def __init__(self, settings: Settings, worker: Worker) -> None:
        super().__init__(
            title="ossa",
            version=ossa.__version__,
            description=DESCRIPTION,
            license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
            lifespan=_life,
            docs_url=None,  # their pages load scripts from another host
            redoc_url=None,
            redirect_slashes=False,
            telemetry=SILENT,
        )
        self.settings, self.worker = settings, worker
        self.begun = False
        self.csrf = secrets.token_urlsafe(32)
        self.starting: list[Callable[[], None]] = []
        self.closing: list[Callable[[], None]] = []
        self.ending: list[Callable[[], None]] = []
        self.guard = Guard(super().__call__, settings, self.csrf)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Every request goes through the guard, errors of the frame itself too."""
        if scope["type"] == "http":
            scope["app"] = self
        await self.guard(scope, receive, send)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Load the model, open what the parts need; close it in turn. Raises what loading and opening raise."""
        with ExitStack() as ending:
            self.folder = self.settings.folder or Path(ending.enter_context(_temporary_folder()))
            ending.enter_context(output_folder(self.folder))
            self.room = self.folder / ROOM
            shutil.rmtree(self.room, ignore_errors=True)  # of a server that was killed
            self.room.mkdir()
            ending.callback(shutil.rmtree, self.room, ignore_errors=True)
            # Forms are unpacked into temporary files: there too, so that nothing is written but into one folder.
            ending.callback(setattr, tempfile, "tempdir", tempfile.tempdir)
            tempfile.tempdir = str(self.room)
            for end in self.ending:
                ending.callback(end)
            ending.callback(self.worker.close)
            self.worker.start()
            for close in self.closing:
                ending.callback(close)
            for begin in self.starting:
                begin()
            ending.callback(setattr, self, "begun", False)
            self.begun = True
            yield

    async def ask(
        self, request: Request | None, trip: Trip, *arguments: Any, seconds: float | None = None, patient: bool = False
    ) -> Any:
        """``trip(predictor, *arguments)`` by the worker, for the client of ``request``.

        When the client hangs up, a question that still waits is dropped. Raises Refusal: 429 with Retry-After when too
        many wait; what the trip raises, DeviceError when the predictor was lost over it.
        """
        try:
            future = self.worker.ask(trip, *arguments, seconds=seconds, patient=patient)
        except Overload as overload:
            raise too_many(overload) from overload
        answer = asyncio.wrap_future(future)
        if request is None:
            return await answer
        gone = asyncio.ensure_future(_gone(request))
        try:
            await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                answer.cancel()
                raise answers.Refusal(499, "the client has gone", code="gone")
            return answer.result()
        except asyncio.CancelledError as error:
            if answer.cancelled():
                raise answers.Refusal(503, "the server is closing", remedy="Ask again when it is back") from error
            answer.cancel()
            raise
        finally:
            gone.cancel()


def _temporary_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder that is gone with the server; those of this user's servers that were killed go now."""
    clear_abandoned(Path(tempfile.gettempdir()), PREFIX)
    return tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True)


async def _gone(request: Request) -> None:
    """Return when the client has hung up; the request's body has been read before."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def too_many(overload: Overload) -> answers.Refusal:
    """The answer to whoever comes when too many wait."""
    return answers.Refusal(
        429,
        "too many requests wait for the model",
        remedy=f"Try again in {overload.seconds} s",
        headers={"Retry-After": str(overload.seconds)},
    )


def service_of(request: Request) -> Service:
    """The service that a request came to."""
    return cast(Service, request.app)


@asynccontextmanager
async def _life(app: FastAPI) -> AsyncIterator[None]:
    service = cast(Service, app)
    if service.begun:  # by whoever runs it
        yield
        return
    with service.running():
        yield
