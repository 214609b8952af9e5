"""Long work of a studio, one job at a time: steps that are programs of their own, so that the server stays alive.

    FOLDER/jobs/<job>/job.json    what the job is and how far it came
    FOLDER/jobs/<job>/log.txt     what its programs said

A job survives the server. Closed in good order the server interrupts the program, which keeps what it has, and the next
start goes on with it. Killed, it leaves the program running; the next start waits for it: the program holds a lock for
as long as it lives. A step that left its result is not done again.
"""

from __future__ import annotations

import os
import re
import secrets
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

from ossa.errors import OssaError, TrainingError
from ossa.safety import read_json, write_json
from ossa.safety.lock import lock
from ossa.studio.corrections import Missing
from ossa.studio.log import ending, piece_of, told_by

JOBS, STATE, LOG, ALIVE = "jobs", "job.json", "log.txt", "alive"

QUEUED, RUNNING, DONE, FAILED, CANCELLED = "queued", "running", "done", "failed", "cancelled"

#: A program that is interrupted has so many seconds to keep what it has.
GRACE = 30.0

#: How often a program is looked at, seconds.
_TICK = 0.2


@dataclass(frozen=True)
class Step:
    """One program of a job. ``command`` is asked when it begins; ``finished``: whether its result is there.

    ``share`` of the job's progress that it takes; ``message`` tells what it does; ``far``: 0 to 1, how far it is.
    """

    message: str
    command: Callable[[], Sequence[str]]
    finished: Callable[[], bool]
    share: float = 1.0
    far: Callable[[], float] = lambda: 0.0


@dataclass(eq=False)
class Job:
    """One job in its ``folder``. ``given``: what it was asked for; ``result`` when it is done."""

    id: str
    kind: str
    folder: Path
    given: Mapping[str, Any]
    state: str = QUEUED
    created: str = ""
    started: str | None = None
    ended: str | None = None
    progress: float = 0.0
    message: str = ""
    result: Mapping[str, Any] | None = None

    def write(self) -> None:
        """Keep it. Raises OutputError."""
        told = {key: value for key, value in vars(self).items() if key != "folder"}
        write_json(self.folder / STATE, told)

    @classmethod
    def read(cls, folder: Path) -> Job:
        """The job in ``folder``. Raises InputError, TypeError."""
        return cls(folder=folder, **read_json(folder / STATE))

    @property
    def ended_for_good(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state in (DONE, FAILED, CANCELLED)

    def to_json(self, curves: Mapping[str, Any], eta_seconds: float | None = None) -> dict[str, Any]:
        """As the page gets it."""
        log = self.folder / LOG
        return {
            "id": self.id,
            "kind": self.kind,
            "name": self.given.get("name", ""),
            "state": self.state,
            "created": self.created,
            "started": self.started,
            "ended": self.ended,
            "progress": round(self.progress, 4),
            "message": self.message,
            "pictures": {"corrected": len(self.given.get("pictures", ())), "others": self.given.get("others", 0)},
            "eta_seconds": None if eta_seconds is None else round(eta_seconds),
            "log": log.stat().st_size if log.is_file() else 0,
            "curves": curves,
            "result": self.result,
        }


class Plan:
    """What a kind of job does: its steps, what they come to, what is shown meanwhile."""

    def steps(self, job: Job) -> Sequence[Step]:
        """The programs in their order."""
        raise NotImplementedError

    def result(self, job: Job) -> Mapping[str, Any]:
        """What all steps came to, as JSON values."""
        raise NotImplementedError

    def curves(self, job: Job) -> Mapping[str, Any]:
        """Name -> [[step, value], ...] so far."""
        del job
        return {}


class Cancelled(Exception):
    """Somebody wants the job to end."""


class Closing(Exception):
    """The server ends; the job goes on at the next start."""


@dataclass(eq=False)
class Jobs:
    """The queue below ``folder``. ``plans``: what each kind does; ``finished`` hears of a job before it is done."""

    folder: Path
    plans: Mapping[str, Plan]
    finished: Callable[[Job], None] = lambda _job: None
    jobs: dict[str, Job] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._changed = threading.Condition()
        self._cancelled: set[str] = set()
        self._paces: dict[str, tuple[float, float]] = {}  # job -> (when, how far it was) at the first look at it
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        for path in sorted((self.folder / JOBS).glob(f"*/{STATE}")):
            with suppress(OssaError, TypeError, OSError):
                job = Job.read(path.parent)
                self.jobs[job.id] = job

    @property
    def running(self) -> bool:
        """Whether a job is at work."""
        return any(job.state == RUNNING for job in self.jobs.values())

    def start(self) -> None:
        """Go on with what was begun, then with what waits."""
        self._thread = threading.Thread(target=self._work, name="ossa-jobs", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Interrupt what runs, so that the next start goes on with it."""
        self._closing.set()
        with self._changed:
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(GRACE + 10)

    def add(self, kind: str, given: Mapping[str, Any], prepare: Callable[[Job], None]) -> Job:
        """A new job at the end of the queue. ``prepare`` fills its folder first; what it raises leaves no job."""
        number = 1 + max((int(m[1]) for one in self.jobs if (m := re.match(r"(\d+)-", one))), default=0)
        name = f"{number:03d}-{secrets.token_hex(3)}"
        job = Job(name, kind, self.folder / JOBS / name, given, created=_now(), message="waits")
        try:
            prepare(job)
            job.write()
        except BaseException:
            from ossa.safety.whole import remove

            remove(job.folder)
            raise
        with self._changed:
            self.jobs[job.id] = job
            self._changed.notify_all()
        return job

    def get(self, key: str) -> Job:
        """The job with this id. Raises Missing."""
        if key not in self.jobs:
            raise Missing("there is no such job", found=repr(key)[:80], expected="an id of the list of jobs")
        return self.jobs[key]

    def told(self, key: str) -> dict[str, Any]:
        """A job as the page gets it."""
        job = self.get(key)
        return job.to_json(self.plans[job.kind].curves(job) if job.kind in self.plans else {}, self._eta(job))

    def log(self, key: str, start: int = 0) -> dict[str, Any]:
        """What a job's programs said: ``text`` from byte ``start`` on, ``next`` to ask for, whether there is ``more``.

        A negative ``start`` counts from the end, and begins with a whole line. ``ended``: nothing more will come.
        """
        job = self.get(key)
        ended = job.ended_for_good  # asked first: what is written afterwards is there to be read
        text, after, more = piece_of(job.folder / LOG, start)
        return {"text": text, "next": after, "more": more, "ended": ended and not more}

    def _eta(self, job: Job) -> float | None:
        """Seconds until a job that runs is done, by its pace since this server saw it; None where nothing is seen."""
        if job.state != RUNNING:
            self._paces.pop(job.id, None)
            return None
        now = monotonic()
        begun, at = self._paces.setdefault(job.id, (now, job.progress))
        done = job.progress - at
        return None if done <= 0 else (now - begun) * (1.0 - job.progress) / done

    def all(self) -> list[dict[str, Any]]:
        """Every job, the newest first."""
        return [self.told(key) for key in sorted(self.jobs, reverse=True)]

    def cancel(self, key: str) -> dict[str, Any]:
        """End a job; one that has ended stays as it is."""
        job = self.get(key)
        with self._changed:
            if job.state == QUEUED:
                _end(job, CANCELLED, "cancelled before it began")
            elif job.state == RUNNING:
                self._cancelled.add(key)
                job.message = "is being cancelled"
        return self.told(key)

    # --- the thread -----------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while not self._closing.is_set():
            with self._changed:
                job = self._next()
                if job is None:
                    self._changed.wait(1.0)
                    continue
            self._run(job)

    def _next(self) -> Job | None:
        """What was begun before the server ended goes first, then the oldest that waits."""
        for state in (RUNNING, QUEUED):
            waiting = [self.jobs[key] for key in sorted(self.jobs) if self.jobs[key].state == state]
            if waiting:
                return waiting[0]
        return None

    def _run(self, job: Job) -> None:
        try:
            plan = self.plans[job.kind]
            job.state, job.started = RUNNING, job.started or _now()
            job.write()
            steps = plan.steps(job)
            whole, done = sum(step.share for step in steps), 0.0
            for step in steps:
                self._step(job, step, lambda far, done=done, step=step: (done + step.share * far) / whole)  # type: ignore[misc]
                done += step.share
            job.result = plan.result(job)
            self.finished(job)
            _end(job, DONE, "", 1.0)
        except Closing:
            return  # its state says that it runs: the next start goes on
        except Cancelled:
            _end(job, CANCELLED, "cancelled")
        except OssaError as error:
            _end(job, FAILED, str(error))
        except Exception as error:
            _end(job, FAILED, f"unforeseen {type(error).__name__}: {error} (a defect in ossa: please report it)")

    def _step(self, job: Job, step: Step, progress: Callable[[float], float]) -> None:
        job.message, job.progress = step.message, progress(0.0)
        alive = job.folder / ALIVE
        if _is_held(alive):  # by a program that outlived a killed server
            while _is_held(alive):
                self._look(job, None)
                job.progress = progress(min(1.0, step.far()))
                self._closing.wait(_TICK)
        elif not step.finished():
            self._program(job, step, alive, progress)
        if not step.finished():
            raise TrainingError(
                f"a step of the job failed: {step.message}",
                found=told_by(job.folder / LOG) or "nothing in its log",
                remedy="The log in the job's folder says more",
            )

    def _program(self, job: Job, step: Step, alive: Path, progress: Callable[[float], float]) -> None:
        command = list(step.command())
        handle = os.open(alive, os.O_RDWR | os.O_CREAT, 0o666)
        with (job.folder / LOG).open("ab") as log:
            lock(handle)
            log.write(f"$ {' '.join(command)}\n".encode())
            log.flush()
            kept: dict[str, Any] = {"pass_fds": (handle,)} if os.name == "posix" else {}
            try:
                # A session of its own: Ctrl-C is for the server, which then interrupts it in good order.
                program = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    **kept,
                )
            finally:
                os.close(handle)
        if hasattr(os, "setpriority"):
            with suppress(OSError):  # looking at pictures goes before training
                os.setpriority(os.PRIO_PROCESS, program.pid, 10)
        while program.poll() is None:
            try:
                self._look(job, program)
            except (Cancelled, Closing):
                _interrupt(program)
                raise
            job.progress = progress(min(1.0, step.far()))
            self._closing.wait(_TICK)
        job.progress = progress(1.0)
        if program.returncode != 0:
            with (job.folder / LOG).open("ab") as log:
                log.write(f"{ending(program.returncode)}\n".encode())

    def _look(self, job: Job, program: subprocess.Popen[bytes] | None) -> None:
        """Raise Cancelled or Closing where somebody wants that."""
        if job.id in self._cancelled:
            self._cancelled.discard(job.id)
            if program is None:
                _interrupt_stranger(job.folder / ALIVE)
            raise Cancelled
        if self._closing.is_set():
            raise Closing


def _interrupt(program: subprocess.Popen[bytes]) -> None:
    """Let a program keep what it has; after GRACE seconds it is killed."""
    program.send_signal(signal.SIGINT)
    try:
        program.wait(GRACE)
    except subprocess.TimeoutExpired:
        program.kill()
        program.wait()


def _interrupt_stranger(alive: Path) -> None:
    """Interrupt the program that outlived a server and still holds the lock ``alive``: found by who has it open."""
    own = Path("/proc")
    for links in own.glob("[0-9]*/fd"):
        with suppress(OSError):
            if int(links.parent.name) != os.getpid() and any(os.path.samefile(one, alive) for one in links.iterdir()):
                os.kill(int(links.parent.name), signal.SIGINT)


def _is_held(alive: Path) -> bool:
    """Whether a program holds the lock."""
    try:
        handle = os.open(alive, os.O_RDWR)
    except OSError:
        return False
    try:
        return not lock(handle)
    finally:
        os.close(handle)


def _end(job: Job, state: str, message: str, progress: float | None = None) -> None:
    """Write down that a job has ended before anybody is told."""
    told: dict[str, Any] = {
        "state": state,
        "message": message,
        "ended": _now(),
        "progress": job.progress if progress is None else progress,
    }
    with suppress(OssaError):  # a full disk: the page is told all the same
        replace(job, **told).write()
    for name, value in told.items():
        setattr(job, name, value)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
