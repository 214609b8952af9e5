"""Routes about retrainings."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Request

from ossa.apps.studio.desk import desk_of
from ossa.errors import ConfigError

router = APIRouter(prefix="/api/jobs", tags=["studio"])


@router.post("/finetune", status_code=202)
def finetune(request: Request, sent: Annotated[Any, Body()]) -> dict[str, Any]:
    """Retrain the model on the corrected pictures: {epochs, name}."""
    if not isinstance(sent, dict):
        raise ConfigError("is no job", found=type(sent).__name__, expected="{epochs, name}")
    desk = desk_of(request)
    job = desk.finetune(sent.get("epochs", 30), sent.get("name"))
    return {"job": desk.jobs.told(job.id)}


@router.get("")
def jobs(request: Request) -> list[dict[str, Any]]:
    """Every job, the newest first."""
    return desk_of(request).jobs.all()


@router.get("/{job}")
def one(request: Request, job: str) -> dict[str, Any]:
    """A job with its curves."""
    return desk_of(request).jobs.told(job)


@router.post("/{job}/cancel")
def cancel(request: Request, job: str) -> dict[str, Any]:
    """End a job."""
    return desk_of(request).jobs.cancel(job)
