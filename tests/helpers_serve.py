"""A server in this process whose predictor answers at once, and clients that call it as a program or a page would."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from fastapi.testclient import TestClient

from ossa.apps.serve.app import create_app
from ossa.apps.serve.seats import LocalSeat
from ossa.apps.serve.service import Service
from ossa.apps.serve.settings import Settings
from ossa.apps.serve.worker import Worker

HERE = "http://127.0.0.1:8000"


def local_worker(load: Callable[[], Any] = lambda: None, **more: Any) -> Worker:
    return Worker(load, hire=LocalSeat, **more)


def service(load: Callable[[], Any] = lambda: None, waiting: int = 16, parts: Any = (), **settings: Any) -> Service:
    return create_app(Settings(**settings), parts, local_worker(load, waiting=waiting))


def run_outside(app: Service) -> Any:
    """The ASGI application for clients that would start and end it: somebody else (``client_of``) does."""

    async def without_lifespan(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while True:
                kind = (await receive())["type"]
                await send({"type": f"{kind}.complete"})
                if kind == "lifespan.shutdown":
                    return
        await app(scope, receive, send)

    return without_lifespan


@contextmanager
def client_of(app: Service, **more: Any) -> Iterator[TestClient]:
    with TestClient(app, base_url=HERE, raise_server_exceptions=False, **more) as client:
        yield client
