"""Batch jobs: POST /v1/jobs with many pictures, then ask how far they are, fetch, cancel, delete."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import tempfile
import zipfile
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi import Path as InPath
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field
from starlette.background import BackgroundTask
from starlette.datastructures import UploadFile

from ossa.apps.serve.answers import Refusal
from ossa.apps.serve.describe import BODIES, Told, errors
from ossa.apps.serve.keys import Key, plain_key, same_job
from ossa.apps.serve.predict import REPORT_CSP, Formats, Language, Spacing, disposition
from ossa.apps.serve.runner import Runner
from ossa.apps.serve.service import Service, service_of
from ossa.apps.serve.settings import Limits
from ossa.apps.serve.store import DONE, ID, QUEUED, RUNNING, Item, Job, KeyTaken, Store
from ossa.apps.serve.uploads import MULTIPART, plain_name, wanted_of
from ossa.pipeline.reply import Wanted

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

Id = Annotated[str, InPath(description="The job's id.", examples=["0123456789abcdef01234567"], max_length=64)]
Number = Annotated[int, InPath(description="Which picture, from 1.", ge=1, le=1_000_000)]
Offset = Annotated[int, Query(ge=0, le=1_000_000_000)]
Limit = Annotated[int, Query(ge=1, le=1000)]


class JobTold(BaseModel):
    """A batch job."""

    id: str = Field(examples=["0123456789abcdef01234567"])
    state: str = Field(description="queued, running, done, failed (no picture could be used) or cancelled.")
    created: str = Field(examples=["2026-01-31T12:00:00.000+00:00"])
    finished: str | None
    formats: list[str] = Field(examples=[["json", "overlay"]])
    items: dict[str, int] = Field(description="Pictures by state.", examples=[{"queued": 3, "done": 1}])


class ItemTold(BaseModel):
    """One picture of a job."""

    number: int
    name: str = Field(examples=["hand.png"])
    state: str
    bones: int | None = Field(examples=[29])
    notes: list[str]
    files: list[str] = Field(examples=[["hand.json", "hand_overlay.png"]])
    error: Told | None


class Jobs(BaseModel):
    """Jobs, the newest first."""

    total: int
    jobs: list[JobTold]


class Items(BaseModel):
    """A job with its pictures."""

    job: JobTold
    pictures: list[ItemTold]


def add(service: Service) -> None:
    """Mount these routes; jobs begin with the server and are kept where its settings say."""

    def begin() -> None:
        store = Store(service.folder)
        runner = Runner(store, service.worker)
        service.state.store, service.state.runner = store, runner
        runner.start()

    def stop() -> None:
        if hasattr(service.state, "runner"):  # not where its folder could not be opened
            service.state.runner.close()

    def end() -> None:
        if hasattr(service.state, "runner"):
            service.state.runner.join()
            service.state.store.close()

    service.starting.append(begin)
    service.closing.append(stop)
    service.ending.append(end)
    service.include_router(router)


def told(job: Job) -> JobTold:
    """A job as the server answers it."""
    return JobTold(
        id=job.id,
        state=job.state,
        created=job.created,
        finished=job.finished,
        formats=list(job.wanted.formats),
        items=dict(job.counts),
    )


def item_told(item: Item) -> ItemTold:
    """An item as the server answers it."""
    return ItemTold(
        number=item.number,
        name=item.name,
        state=item.state,
        bones=item.bones,
        notes=list(item.notes),
        files=[name for name, _ in item.files],
        error=None if item.error is None else Told(**item.error),
    )


def _store(request: Request) -> Store:
    store: Store = service_of(request).state.store
    return store


def _job(request: Request, job: str) -> Job:
    found = _store(request).job(job) if ID.fullmatch(job) else None
    if found is None:
        raise Refusal(404, "there is no such job", found=job[:64], remedy="GET /v1/jobs lists those that there are")
    return found


def _item(request: Request, job: str, number: int) -> Item:
    _job(request, job)
    found = _store(request).item(job, number)
    if found is None:
        raise Refusal(404, "the job has no such picture", found=number)
    return found


@router.post(
    "",
    status_code=202,
    response_model=JobTold,
    responses=errors(400, 408, 413, 415, 422, 429, 507),
    openapi_extra=BODIES,
)
async def create(
    request: Request,
    response: Response,
    form: Formats = "json",
    spacing: Spacing = None,
    language: Language = "en",
    key: Key = None,
) -> JobTold:
    """Take pictures (fields `files` of a form) and find their bones when there is time.

    The answer comes when everything is on the server's disk: from then on the job outlives the server. With an
    Idempotency-Key the request may be sent again where its answer was lost: no job is made twice.
    """
    service, store = service_of(request), _store(request)
    limits = service.settings.limits
    wanted = wanted_of(form, "", spacing, language, limits.megapixels)
    name = None if key is None else plain_key(key)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != MULTIPART:
        raise Refusal(
            415,
            "this is not how jobs are sent",
            found=kind[:100] or "nothing",
            expected=f"{MULTIPART}, a field 'files' for each picture",
        )
    if name is None or await asyncio.to_thread(store.keyed, name) is None:  # what is there already takes no room
        await asyncio.to_thread(_refuse_when_full, store, limits)
    job, place = await asyncio.to_thread(store.room)
    try:
        async with request.form(max_files=limits.job_files, max_fields=20) as sent:
            files = [value for value in sent.getlist("files") if isinstance(value, UploadFile)]
            if not files:
                raise Refusal(400, "a job needs pictures", found="no file in the field 'files'")
            names, digest = await asyncio.to_thread(_keep_all, files, place, wanted)
        made = await asyncio.to_thread(store.add, job, names, wanted, None if name is None else (name, digest))
    except KeyTaken as taken:
        await asyncio.shield(asyncio.to_thread(store.drop_room, job))
        made = await asyncio.to_thread(same_job, store, taken, digest)
    except BaseException:
        await asyncio.shield(asyncio.to_thread(store.drop_room, job))
        raise
    service.state.runner.wake()
    response.headers["Location"] = f"/v1/jobs/{made.id}"
    return told(made)


def _refuse_when_full(store: Store, limits: Limits) -> None:
    """Raise Refusal where no further job fits."""
    waiting = store.unfinished()
    if waiting >= limits.jobs:
        raise Refusal(
            429, "too many jobs wait", found=waiting, expected=f"at most {limits.jobs}", headers={"Retry-After": "60"}
        )
    total, _ = store.jobs(0, 1)
    if total >= limits.stored_jobs:
        raise Refusal(
            507,
            "too many jobs are kept",
            found=total,
            expected=f"at most {limits.stored_jobs}",
            remedy="Delete old ones",
        )


def _keep_all(files: list[UploadFile], place: Path, wanted: Wanted) -> tuple[list[str], str]:
    """Keep the pictures; their names, and a digest of them and of what is asked."""
    names = []
    whole = hashlib.sha256(json.dumps(asdict(wanted), sort_keys=True).encode())
    for number, file in enumerate(files, start=1):
        name = plain_name(file.filename)
        (place / str(number)).mkdir()
        file.file.seek(0)
        one = hashlib.sha256()
        with (place / str(number) / name).open("wb") as stream:
            while chunk := file.file.read(1 << 20):
                stream.write(chunk)
                one.update(chunk)
        whole.update(json.dumps([name, one.hexdigest()]).encode())
        names.append(name)
    return names, whole.hexdigest()


@router.get("", response_model=Jobs, responses=errors(422))
def listed(request: Request, offset: Offset = 0, limit: Limit = 100) -> Jobs:
    """All jobs that are kept, the newest first."""
    total, jobs = _store(request).jobs(offset, limit)
    return Jobs(total=total, jobs=[told(job) for job in jobs])


@router.get("/{job}", response_model=JobTold, responses=errors(404, 422))
def status(request: Request, job: Id) -> JobTold:
    """How far a job is."""
    return told(_job(request, job))


@router.get("/{job}/items", response_model=Items, responses=errors(404, 422))
def pictures(request: Request, job: Id, offset: Offset = 0, limit: Limit = 1000) -> Items:
    """The pictures of a job, each with its state, its warnings, its error."""
    found = _job(request, job)
    return Items(job=told(found), pictures=[item_told(one) for one in _store(request).items(job, offset, limit)])


@router.get("/{job}/items/{number}", response_model=ItemTold, responses=errors(404, 422))
def picture(request: Request, job: Id, number: Number) -> ItemTold:
    """One picture of a job."""
    return item_told(_item(request, job, number))


_ARCHIVE: dict[int | str, dict[str, Any]] = {200: {"content": {"application/zip": {}}}}
_ANY: dict[int | str, dict[str, Any]] = {200: {"content": {"application/octet-stream": {}}}}


@router.get("/{job}/items/{number}/results/{name}", response_class=FileResponse, responses=_ANY | errors(404, 409, 422))
def result(
    request: Request,
    job: Id,
    number: Number,
    name: Annotated[str, InPath(description="One of `files`.", max_length=300)],
) -> FileResponse:
    """One result of one picture, by its name in `files`."""
    item = _item(request, job, number)
    if item.state != DONE:
        raise _not_yet(item.state)
    media = dict(item.files).get(name)
    path = _store(request).results_of(job, number) / name
    if media is None or not path.is_file():
        raise Refusal(404, "there is no such result", found=name[:100], expected=", ".join(n for n, _ in item.files))
    headers = {"Content-Disposition": disposition(name)}
    if media == "text/html":
        headers["Content-Security-Policy"] = REPORT_CSP
    return FileResponse(path, media_type=media, headers=headers)


@router.get(
    "/{job}/results",
    response_class=FileResponse,
    responses=_ARCHIVE | errors(404, 409, 422),
)
def results(request: Request, job: Id) -> FileResponse:
    """Everything that is done as a ZIP archive: a folder `N_NAME` for each picture, and `errors.txt` for the others."""
    found = _job(request, job)
    store = _store(request)
    items = store.items(job)
    if not any(item.state == DONE for item in items):
        raise _not_yet(found.state)
    handle, path = tempfile.mkstemp(suffix=".zip", dir=service_of(request).room)
    try:
        with (
            os.fdopen(handle, "wb") as stream,
            zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        ):
            for item in items:
                for name, _ in item.files if item.state == DONE else ():
                    archive.write(store.results_of(job, item.number) / name, f"{item.number}_{item.name}/{name}")
            wrong = [f"{item.number} {item.name}: {item.error['message']}" for item in items if item.error is not None]
            if wrong:
                archive.writestr("errors.txt", "\n".join(wrong) + "\n")
    except BaseException as error:
        os.unlink(path)
        if isinstance(error, FileNotFoundError):  # deleted while it was read
            raise Refusal(404, "there is no such job", found=job) from error
        raise
    return FileResponse(
        path, media_type="application/zip", filename=f"{job}.zip", background=BackgroundTask(_remove, path)
    )


def _remove(path: str) -> None:
    with suppress(OSError):
        os.unlink(path)


def _not_yet(state: str) -> Refusal:
    waits = state in (QUEUED, RUNNING)
    return Refusal(
        409,
        "there are no results yet" if waits else "there are no results",
        found=state,
        expected=DONE,
        headers={"Retry-After": "2"} if waits else None,
    )


@router.post("/{job}/cancel", response_model=JobTold, responses=errors(404, 422))
def cancel(request: Request, job: Id) -> JobTold:
    """Take what is not done out of the queue; what is done stays."""
    _job(request, job)
    found = _store(request).cancel(job)
    if found is None:
        raise Refusal(404, "there is no such job", found=job)
    return told(found)


@router.delete("/{job}", status_code=204, responses=errors(404, 422))
def delete(request: Request, job: Id) -> None:
    """Remove a job with its pictures and results."""
    _job(request, job)
    _store(request).delete(job)
