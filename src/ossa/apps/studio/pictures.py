"""Routes about pictures and their bones; what is done stands in ``ossa.studio``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Request, UploadFile
from fastapi.responses import JSONResponse, Response

from ossa.apps.serve.service import service_of, too_many
from ossa.apps.serve.worker import Overload
from ossa.apps.studio.desk import desk_of
from ossa.pipeline.studio import Query as Asked
from ossa.pipeline.studio import gradcam, predict_file, source_model

router = APIRouter(prefix="/api", tags=["studio"])

#: A browser keeps pictures and asks whether they are still the same.
_REVALIDATE = "private, no-cache"


@router.get("/session")
def session(request: Request) -> dict[str, Any]:
    """What the page needs to know at its start."""
    return {**desk_of(request).studio.session(), "csrf": service_of(request).csrf}


@router.get("/pictures")
def pictures(
    request: Request,
    sort: str = "name",
    order: Annotated[str, Query(pattern="^(asc|desc)$")] = "asc",
    bone: str = "",
    source: str = "",
    against: str = "truth",
    side: str = "",
    fold: str = "",
    flag: str = "",
    subject: str = "",
    search: str = "",
    corrected: Annotated[str, Query(pattern="^(|true|false)$")] = "",
    offset: int = 0,
    limit: int = 200,
) -> dict[str, Any]:
    """A page of the list of pictures."""
    wanted = {"": None, "true": True, "false": False}[corrected]
    asked = Asked(
        sort, order == "desc", bone, source, against, side, fold, flag, subject, search, wanted, offset, limit
    )  # fmt: skip
    return desk_of(request).studio.list(asked)


@router.get("/pictures/{key}")
def picture(request: Request, key: str, source: str = "", against: str = "truth", bone: str = "") -> dict[str, Any]:
    """One row of the list, with the sources that have bones for the picture."""
    return desk_of(request).studio.one(key, Asked(source=source, against=against, bone=bone))


@router.get("/pictures/{key}/thumb", response_class=Response)
def thumb(request: Request, key: str) -> Response:
    """A small JPEG."""
    return _view(request, *desk_of(request).studio.thumb(key), "image/jpeg")


@router.get("/pictures/{key}/image", response_class=Response)
def image(request: Request, key: str) -> Response:
    """The whole picture as an 8-bit grey PNG."""
    return _view(request, *desk_of(request).studio.image(key), "image/png")


def _view(request: Request, tag: str, make: Callable[[], bytes], kind: str) -> Response:
    headers = {"ETag": f'"{tag}"', "Cache-Control": _REVALIDATE}
    if f'"{tag}"' in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(make(), media_type=kind, headers=headers)


@router.get("/pictures/{key}/bones")
async def bones(request: Request, key: str, source: str = "truth", simplify: float = 0.0) -> JSONResponse:
    """What a source drew; a model is asked where it was not yet."""
    await _answered(request, key, source)
    told = await asyncio.to_thread(desk_of(request).studio.bones, key, source, simplify)
    return JSONResponse(told)  # already plain values: twenty thousand points are not looked at one by one


async def _answered(request: Request, key: str, source: str) -> None:
    """Ask a model for its bones of a picture, where it was not asked before."""
    desk = desk_of(request)
    asked = await asyncio.to_thread(desk.studio.unanswered, key, source)
    if asked is not None:
        path, model = asked
        found = await service_of(request).ask(request, predict_file, str(path), None if model is None else str(model))
        await asyncio.to_thread(desk.studio.answered, key, source, found)


@router.put("/pictures/{key}/bones")
def save(request: Request, key: str, sent: Annotated[Any, Body()]) -> dict[str, Any]:
    """Save a correction: {revision, author, note, bones: [{name, state, polygons}]}."""
    return desk_of(request).studio.save(key, sent)


@router.get("/pictures/{key}/history")
def history(request: Request, key: str) -> list[dict[str, Any]]:
    """Every revision of the picture's label."""
    return list(desk_of(request).studio.history(key))


@router.get("/pictures/{key}/history/{revision}")
def revision(request: Request, key: str, revision: int) -> JSONResponse:
    """A revision's bones."""
    return JSONResponse(desk_of(request).studio.revision(key, revision))


@router.get("/pictures/{key}/scores")
async def scores(request: Request, key: str, source: str, against: str = "truth") -> dict[str, Any]:
    """Dice of every bone of two sources."""
    for one in (source, against):
        await _answered(request, key, one)
    return await asyncio.to_thread(desk_of(request).studio.scores, key, source, against)


@router.get("/pictures/{key}/measurements")
async def measurements(request: Request, key: str, source: str = "truth") -> dict[str, Any]:
    """What is measured on the bones of a source, with what to draw."""
    await _answered(request, key, source)
    return await asyncio.to_thread(desk_of(request).studio.measurements, key, source)


@router.get("/pictures/{key}/gradcam", response_class=Response)
async def heat(request: Request, key: str, bone: str, source: str = "model") -> Response:
    """Where a model looked to find a bone: a PNG with alpha over the whole picture."""
    desk = desk_of(request)
    path = desk.studio.picture(key).path
    data = await service_of(request).ask(request, gradcam, str(path), bone, source_model(desk, source))
    return Response(data, media_type="image/png", headers={"Cache-Control": _REVALIDATE})


@router.get("/doubtful")
def doubtful(request: Request, after: str = "", source: str = "") -> dict[str, str | None]:
    """The next picture that is worth looking at."""
    studio = desk_of(request).studio
    return {"id": studio.doubtful(source or studio.usual_source(), after)}


@router.post("/drop", status_code=201)
async def drop(request: Request, file: UploadFile) -> dict[str, Any]:
    """A picture from the page: kept, and its bones predicted; one picture for each hand on it."""
    service, desk = service_of(request), desk_of(request)
    try:
        service.worker.refuse_when_full()
    except Overload as overload:
        raise too_many(overload) from overload
    path = await asyncio.to_thread(desk.studio.keep_dropped, file.filename or "picture", await file.read())
    try:
        hands = await service.ask(request, predict_file, str(path), None)
    except BaseException:
        await asyncio.shield(asyncio.to_thread(desk.dropped, path, ()))  # it is there, and asked for when it is opened
        raise
    ids = await asyncio.to_thread(desk.dropped, path, hands)
    return {"id": ids[0], "ids": ids}
