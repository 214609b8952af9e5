"""Whether the server lives, whether it can answer, which version it is."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

import ossa
from ossa.apps.serve.answers import Refusal
from ossa.apps.serve.service import Service, service_of

router = APIRouter(tags=["state"])


def add(service: Service) -> None:
    """Mount these routes."""
    service.include_router(router)


@router.get("/health")
async def health() -> dict[str, str]:
    """The process lives. Needs no token."""
    return {"status": "ok"}


@router.get("/ready")
async def ready(request: Request) -> dict[str, Any]:
    """The model is loaded and there is room for a picture: 503 otherwise. Needs no token."""
    worker = service_of(request).worker
    if worker.problem is not None:
        raise Refusal(503, worker.problem, headers={"Retry-After": "5"})
    if worker.length >= worker.waiting:
        raise Refusal(503, "too many wait", headers={"Retry-After": str(worker.seconds_until_room())})
    return {"status": "ready", "waiting": worker.length}


@router.get("/version")
async def version() -> dict[str, str]:
    """The version of ossa, and what it is for."""
    return {"version": ossa.__version__, "notice": "For research; not a medical device."}
