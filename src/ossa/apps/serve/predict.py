"""POST /v1/predict: one radiograph in, its bones out, in the form that was asked for."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response

from ossa.apps.serve.answers import Refusal
from ossa.apps.serve.describe import BODY, answers_of_predict, errors
from ossa.apps.serve.service import Service, service_of, too_many
from ossa.apps.serve.uploads import picture_of, takes_archive, wanted_of
from ossa.apps.serve.worker import Overload
from ossa.pipeline.reply import FORMATS, File, Reply, reply

router = APIRouter(prefix="/v1", tags=["bones"])

#: A report is a page with a script of its own: it may run that, and reach nothing else.
REPORT_CSP = (
    "sandbox allow-scripts allow-modals; default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; font-src data:; frame-ancestors 'none'"
)

Formats = Annotated[
    str | None,
    Query(
        alias="format",
        description="What to answer: "
        + "; ".join(f"`{name}` ({form.title})" for name, form in FORMATS.items())
        + ". Several with commas come as a ZIP archive. Without it the Accept header decides.",
        examples=["json", "overlay", "json,measurements,report"],
        max_length=300,
        pattern=r"^[a-z, -]*$",
    ),
]
Spacing = Annotated[
    str | None,
    Query(
        description="Millimetres per pixel, or between rows and columns (`.15x.2`), before what the file says.",
        examples=["0.15"],
        max_length=40,
        pattern=r"^\s*[0-9.]+\s*([xX]\s*[0-9.]+\s*)?$",
    ),
]
HandAsked = Annotated[
    str | None,
    Query(
        description="Of a film with several hands only this one: `left`, `right`, or its number from the left.",
        examples=["left"],
        max_length=10,
        pattern=r"^(left|right|[1-9][0-9]?)$",
    ),
]
Language = Annotated[str, Query(description="Language of the report: `en` or `ko`.", examples=["en"], max_length=40)]


def add(service: Service) -> None:
    """Mount this route."""
    service.include_router(router)


@router.post(
    "/predict",
    response_class=Response,
    responses=answers_of_predict() | errors(400, 406, 408, 413, 415, 422, 429, 501, 503, 507),
    openapi_extra=BODY,
)
async def predict(
    request: Request,
    form: Formats = None,
    spacing: Spacing = None,
    language: Language = "en",
    hand: HandAsked = None,
    name: Annotated[
        str | None, Query(description="Name of a picture that is sent as the body itself.", max_length=200)
    ] = None,
) -> Response:
    """Find the bones of one radiograph (PNG, JPEG, TIFF, BMP or DICOM).

    Send it as the body itself or as the field `file` of a form. What `ossa predict`, `measure`, `report` and `export`
    write for the same picture is what comes back, to the byte. Overlays of several hands come as a ZIP archive.
    """
    del name  # uploads.picture_of asks the request
    service = service_of(request)
    limits = service.settings.limits
    accept = request.headers.get("accept", "*/*")
    wanted = wanted_of(form, accept, spacing, language, limits.megapixels, hand)
    try:
        service.worker.refuse_when_full()  # before a body is read that nobody will look at
    except Overload as overload:
        raise too_many(overload) from overload
    async with picture_of(request, service.room) as path:
        made: Reply = await service.ask(request, reply, path, wanted)
    several = len(wanted.formats) > 1 or (FORMATS[wanted.formats[0]].by_hand and len(made.files) > 1)
    if several and form is None and not takes_archive(accept):
        raise Refusal(
            406,
            "there is an answer for each hand of this film, and they come as an archive",
            found=f"{len(made.files)} hands, Accept: {accept[:100]}",
            expected="Accept: application/zip besides",
            remedy="Ask for one hand: ?hand=left, or by its number from the left, ?hand=1",
        )
    return response_of(made.files, single=not several)


def response_of(files: Sequence[File], single: bool) -> Response:
    """The first file of ``files``, or all of them as an archive."""
    if single:
        return _response(files[0].data, files[0].media, files[0].name)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for file in files:
            archive.writestr(file.name, file.data)
    return _response(stream.getvalue(), "application/zip", "bones.zip")


def _response(data: bytes, media: str, name: str) -> Response:
    headers = {"Content-Disposition": disposition(name)}
    if media == "text/html":
        headers["Content-Security-Policy"] = REPORT_CSP
    return Response(data, media_type=media, headers=headers)


def disposition(name: str) -> str:
    """A Content-Disposition with a file's name (RFC 6266)."""
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%' else "_" for c in name)
    return f"inline; filename=\"{plain}\"; filename*=UTF-8''{quote(name)}"
