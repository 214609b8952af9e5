"""What a client sends: pictures as files on the disk, each under the name that it came with, and what is asked of them.

A picture never lies in memory as a whole here: its body goes to the disk as it comes, and the worker reads it there.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path, PureWindowsPath
from typing import Any

from fastapi import Request
from starlette.datastructures import UploadFile

from ossa.apps.serve.answers import Refusal
from ossa.errors import ConfigError
from ossa.pipeline.reply import FORMATS, Wanted, check

#: Bodies that are taken for a picture as it is. What a file really is its first bytes say.
RAW = frozenset(
    {
        "application/octet-stream", "application/dicom", "image/png", "image/jpeg", "image/tiff", "image/bmp",
        "image/x-ms-bmp",
    }
)  # fmt: skip

MULTIPART = "multipart/form-data"

#: Longest name of an upload that is kept, in bytes: results have longer ones (pipeline.films).
LONGEST_NAME = 150

#: Media type that a client accepts -> the answer that it gets without asking for one by name.
ACCEPTED = {
    "application/json": "json",
    "text/csv": "rle",
    "image/png": "overlay",
    "text/html": "report",
    "application/dicom": "dicom-seg",
}


def plain_name(given: str | None, instead: str = "picture") -> str:
    """The name of an upload without folders and without what cannot stand in a file's name."""
    text = PureWindowsPath(given or "").name.encode("utf-8", "replace").decode()
    text = "".join(c if c.isprintable() and c not in '<>:"|?*' else "_" for c in text).strip().lstrip(".")
    while len(text.encode("utf-8")) > LONGEST_NAME:
        stem, dot, ending = text.rpartition(".")
        text = f"{stem[:-1]}.{ending}" if dot and stem and len(ending) < 10 else text[:-1]
    return text or instead


@asynccontextmanager
async def picture_of(request: Request, room: Path) -> AsyncIterator[Path]:
    """The one picture of a request, raw or as the field "file" of a form, on the disk for as long as it is needed.

    Raises Refusal (400, 415).
    """
    kind = request.headers.get("content-type", "application/octet-stream").partition(";")[0].strip().lower()
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, dir=room))
    try:
        if kind == MULTIPART:
            async with request.form(max_files=2, max_fields=20) as form:
                files = [value for value in form.getlist("file") if isinstance(value, UploadFile)]
                if len(files) != 1:
                    raise Refusal(
                        400,
                        "a form must hold one picture in the field 'file'",
                        found=f"{len(files)} files in that field",
                        remedy="For several pictures: POST /v1/jobs",
                    )
                path = folder / plain_name(files[0].filename)
                await asyncio.to_thread(_keep, files[0].file, path)
        elif kind in RAW:
            path = folder / plain_name(request.query_params.get("name"))
            with path.open("wb") as stream:
                async for chunk in request.stream():
                    stream.write(chunk)
        else:
            raise Refusal(
                415,
                "this is not how pictures are sent",
                found=kind[:100],
                expected=f"{MULTIPART} with a field 'file', or a picture as the body: {', '.join(sorted(RAW))}",
            )
        yield path
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def _keep(source: Any, path: Path) -> None:
    source.seek(0)
    with path.open("wb") as stream:
        shutil.copyfileobj(source, stream, 1 << 20)


def wanted_of(
    formats: str | None, accept: str, spacing: str | None, language: str, megapixels: float, hand: str | None = None
) -> Wanted:
    """What a request asks for: ``formats`` joined by commas, else by its Accept header.

    Raises Refusal (406), ConfigError.
    """
    names = by_accept(accept) if formats is None else tuple(name.strip() for name in formats.split(","))
    wanted = Wanted(names, None if spacing is None else _spacing(spacing), language, megapixels, hand)
    check(wanted)
    return wanted


def by_accept(accept: str) -> tuple[str, ...]:
    """The answer for an Accept header (RFC 9110, 12.5.1): the first type of the highest quality that there is."""
    best, chosen = 0.0, None
    for part in accept.lower().split(","):
        kind, *parameters = (word.strip() for word in part.split(";"))
        quality = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    quality = float(parameter[2:])
                except ValueError:
                    quality = 0.0
        if kind in ("", "*/*", "application/*"):
            kind = "application/json"
        elif kind.endswith("/*"):
            kind = next((own for own in ACCEPTED if own.startswith(kind[:-1])), kind)
        if kind in ACCEPTED and quality > best:
            best, chosen = quality, ACCEPTED[kind]
    if chosen is None:
        raise Refusal(
            406,
            "no answer is of a type that you accept",
            found=accept[:200],
            expected=", ".join(ACCEPTED),
            remedy="Or ask by name: ?format=" + ",".join(FORMATS),
        )
    return (chosen,)


def takes_archive(accept: str) -> bool:
    """Whether an Accept header lets a ZIP archive through."""
    kinds = {part.partition(";")[0].strip() for part in accept.lower().split(",")}
    return bool(kinds & {"", "*/*", "application/*", "application/zip"})


def _spacing(text: str) -> tuple[float, float]:
    """ ".15" or ".15x.2" in mm. Raises ConfigError."""
    row, times, column = text.lower().partition("x")
    try:
        return float(row), float(column if times else row)
    except ValueError as error:
        raise ConfigError("the spacing is no number", found=repr(text[:40]), expected=".15 or .15x.2 (mm)") from error
