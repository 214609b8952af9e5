"""Routes that bring corrected labels out of the studio, or back into the data set."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Body, Request
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask

from ossa.apps.serve.service import service_of
from ossa.apps.studio.desk import desk_of
from ossa.errors import ConfigError
from ossa.pipeline.studio_export import CORRECTED, archive, export, exported, offers, write_back

router = APIRouter(prefix="/api", tags=["studio"])


@router.get("/export")
def options(request: Request) -> dict[str, Any]:
    """The formats, the data set's own among them, and whether corrections may go back into it."""
    desk = desk_of(request)
    return offers(desk.studio, desk.write_back)


@router.post("/export", status_code=201)
def make(request: Request, sent: Annotated[Any, Body()]) -> dict[str, Any]:
    """Write labels: {format: null for the set's own, pictures: "corrected" or "all", images: false}."""
    if not isinstance(sent, dict):
        raise ConfigError("is no export", found=type(sent).__name__, expected="{format, pictures, images}")
    form, images = sent.get("format"), sent.get("images", False)
    if not (form is None or isinstance(form, str)) or not isinstance(images, bool):
        raise ConfigError("is no export", found=repr((form, images))[:80], expected="a format's name, true or false")
    return export(desk_of(request).studio, form, sent.get("pictures", CORRECTED), images).to_json()


@router.get("/export/{key}", response_class=FileResponse)
def fetch(request: Request, key: str) -> FileResponse:
    """An export as a ZIP archive."""
    folder = exported(desk_of(request).studio, key)
    handle, path = tempfile.mkstemp(suffix=".zip", dir=service_of(request).room)
    os.close(handle)

    def remove() -> None:
        with suppress(OSError):
            os.unlink(path)

    try:
        archive(folder, Path(path))
    except BaseException:
        remove()
        raise
    return FileResponse(
        path, media_type="application/zip", filename=f"{folder.name}.zip", background=BackgroundTask(remove)
    )


@router.post("/write-back")
def back(request: Request) -> dict[str, Any]:
    """Put corrections into the data set's own files; what stood there is kept."""
    desk = desk_of(request)
    return write_back(desk.studio, desk.write_back).to_json()
