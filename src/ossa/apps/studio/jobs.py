"""Routes about retrainings."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Request

from ossa.apps.studio.desk import desk_of
from ossa.errors import ConfigError
from ossa.pipeline.studio import CORRECTED

router = APIRouter(prefix="/api/jobs", tags=["studio"])


@router.post("/finetune", status_code=202)
def finetune(request: Request, sent: Annotated[Any, Body()]) -> dict[str, Any]:
    """Retrain the model: {epochs, name, pictures: "corrected" or "all", size}."""
    if not isinstance(sent, dict):
        raise ConfigError("is no job", found=type(sent).__name__, expected="{epochs, name, pictures, size}")
    desk = desk_of(request)
    job = desk.finetune(sent.get("epochs", 30), sent.get("name"), sent.get("pictures", CORRECTED), sent.get("size"))
    return {"job": desk.jobs.told(job.id)}


@router.get("")
def jobs(request: Request) -> list[dict[str, Any]]:
    """Every job, the newest first."""
    return desk_of(request).jobs.all()


@router.get("/options")
def options(request: Request) -> dict[str, Any]:
    """What a retraining could take, and why one cannot begin."""
    return desk_of(request).options()


@router.get("/{job}/log")
def log(
    request: Request, job: str, start: Annotated[int, Query(alias="from", ge=-1_000_000, le=1 << 40)] = 0
) -> dict[str, Any]:
    """What the job's programs said, from a byte on (negative: so many before the end)."""
    return desk_of(request).jobs.log(job, start)


@router.get("/{job}")
def one(request: Request, job: str) -> dict[str, Any]:
    """A job with its curves."""
    return desk_of(request).jobs.told(job)


@router.post("/{job}/cancel")
def cancel(request: Request, job: str) -> dict[str, Any]:
    """End a job."""
    return desk_of(request).jobs.cancel(job)
