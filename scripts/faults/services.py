"""Rounds of the services: clients bring work, the service is killed meanwhile and started again until all is answered.

What a service has acknowledged must be answered, once, as one that nobody disturbed answers it; what it has not
acknowledged its client brings again, as real ones do.
"""

from __future__ import annotations

import io
import math
import random
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol
from unittest import mock

from rounds import Ground, Tally
from running import Command, Fault

#: A service is killed at most so often in a round: a picture over which the node ends a third time is given up as one
#: that ends it (``ossa.pipeline.node_queue.DEADLY``).
KILLS = 2

#: Longest wait for a service to have answered everything, seconds.
PATIENCE = 600.0

#: Batch jobs that a client of the server brings.
JOBS = 2


class Service(Protocol):
    """One service with its clients, for one round. ``out``: its folder."""

    out: Path

    def start(self, fault: Fault | None = None) -> Command:
        """Begin it, or begin it again, with a ``fault`` in it."""
        ...

    def bring(self) -> None:
        """Bring everything, again and again until it is acknowledged; in a thread of its own."""
        ...

    def answers(self) -> Mapping[str, Any]:
        """Wait for everything that was acknowledged: what was answered, by names. Raises TimeoutError."""
        ...

    def done(self) -> bool:
        """Whether everything is acknowledged and answered."""
        ...

    def listens(self) -> bool:
        """Whether it answers a question that leaves nothing open in it."""
        ...

    def left(self) -> list[str]:
        """Names in the folder that should not be there once the service has ended."""
        ...

    def close(self) -> None:
        """End the clients."""
        ...


Make = Callable[[Ground], Service]


def at_random(name: str, make: Make, ground: Ground, rounds: int, seed: int, until: float = math.inf) -> Tally:
    """Kill a service at ``rounds`` random moments and more, start it again, and compare what its clients have."""
    tally = Tally(name)
    draw = random.Random(f"{seed} {name}")
    whole, seconds, wall = undisturbed(make, ground)
    while tally.rounds < rounds and time.monotonic() < until:
        where = f"round {tally.rounds + 1}"
        # A service that has nothing left to do takes no processor time: it is killed when an undisturbed one would be.
        shares = [draw.random() for _ in range(draw.randint(1, KILLS))]
        moments = [(share * seconds, share * wall) for share in shares]
        answers, _ = _round(make(ground), tally, moments, draw, where)
        tally.rounds += 1
        compare(tally, answers, whole, where)
    return tally


def undisturbed(make: Make, ground: Ground) -> tuple[Mapping[str, Any], float, float]:
    """What the clients of an undisturbed service have, its seconds of processor time and those by the wall's clock."""
    begin = time.monotonic()
    tally = Tally("undisturbed")
    answers, seconds = _round(make(ground), tally, [], random.Random(), "undisturbed")
    if not tally.clean:
        raise RuntimeError(f"the service cannot be run at all: {tally.told[0]}")
    return answers, seconds, time.monotonic() - begin


def compare(tally: Tally, answers: Mapping[str, Any], whole: Mapping[str, Any], where: str) -> None:
    """Note what clients of a service lack, or have otherwise or besides, beside those of an undisturbed one."""
    tally.note("lost", [one for one in whole if one not in answers], where)
    tally.note("corrupt", [one for one in whole if one in answers and answers[one] != whole[one]], where)
    tally.note("left", [one for one in answers if one not in whole], where)


def _round(
    service: Service, tally: Tally, moments: list[tuple[float, float]], draw: random.Random, where: str
) -> tuple[Mapping[str, Any], float]:
    shutil.rmtree(service.out, ignore_errors=True)
    client = threading.Thread(target=service.bring)
    try:
        command = service.start()
        client.start()
        for seconds, longest in moments:
            if not command.at_work(seconds, longest):
                tally.note("lost", [f"it ended by itself: {command.said()[-500:]}"], where)
            command.kill(everybody=draw.random() < 0.5)
            tally.kills += 1
            tally.note("left", command.rest(), f"{where}, processes of a killed service")
            command = service.start()
        return to_the_end(service, client, command, tally, where), command.seconds
    finally:
        service.close()
        client.join(PATIENCE)


def to_the_end(
    service: Service, client: threading.Thread, command: Command, tally: Tally, where: str
) -> Mapping[str, Any]:
    """Let a service answer everything, and end it: what its clients have."""
    if _ended_before(client, command):
        tally.note("lost", [f"it ended by itself: {command.said()[-500:]}"], where)
        return {}
    try:
        answers = service.answers()
    except TimeoutError as error:
        tally.note("lost", [f"{error}; it said: {command.said()[-300:]}"], where)
        answers = {}
    _until_it_listens(service, command)
    command.send(signal.SIGTERM)
    if command.finish() != 0:
        tally.note("left", [f"exit code {command.code} after SIGTERM: {command.said()[-300:]}"], where)
    tally.note("left", [*service.left(), *command.rest()], where)
    return answers


def _ended_before(client: threading.Thread, command: Command) -> bool:
    """Wait until the client brought all its work; whether the service ended before, which then nobody answers."""
    end = time.monotonic() + PATIENCE
    while client.is_alive() and time.monotonic() < end:
        if command.wait(0.0) is not None:
            return True
        client.join(0.1)
    return False


def _until_it_listens(service: Service, command: Command) -> None:
    """Before a service has begun SIGTERM ends it as it ends any process, and what a killed one left stays."""
    while command.wait(0.0) is None and not service.listens():
        time.sleep(0.02)


def free_port() -> int:
    """A port that nobody has now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Server:
    """``ossa serve`` with a client that brings batch jobs."""

    def __init__(self, ground: Ground) -> None:
        self.ground, self.out = ground, ground.folder / "serve"
        self.port = free_port()
        self.jobs: list[str] = []
        self.ended = False

    def start(self, fault: Fault | None = None) -> Command:
        """See ``Service``."""
        words = ["hosts:server", str(self.out), str(self.port), str(self.ground.inputs / "model")]
        return self.ground.nursery.start(words, fault=fault)

    def _client(self) -> Any:
        from ossa.client import Client

        return Client(f"http://127.0.0.1:{self.port}", timeout=30, patience=5)

    def bring(self) -> None:
        """See ``Service``."""
        from ossa.client import ServerError, Unreachable

        films = sorted((self.ground.inputs / "films").iterdir())
        while len(self.jobs) < JOBS and not self.ended:
            try:
                self.jobs.append(self._client().submit(films, "json,overlay"))
            except (ServerError, Unreachable, OSError):
                time.sleep(0.02)

    def answers(self) -> Mapping[str, Any]:
        """See ``Service``; of a job that its client heard nothing of, too."""
        end = time.monotonic() + PATIENCE
        while not self.done():
            if time.monotonic() > end:
                raise TimeoutError(f"{len(self.jobs)} jobs acknowledged, not all of them done")
            time.sleep(0.02)
        out: dict[str, Any] = {}
        for number, job in enumerate(self.jobs):
            out |= {f"job {number}: {name}": data for name, data in self._results(job).items()}
        return out

    def done(self) -> bool:
        """See ``Service``."""
        from ossa.client import Unreachable

        with suppress(Unreachable, OSError):
            return len(self.jobs) == JOBS and all(self._client().job(job)["state"] == "done" for job in self.jobs)
        return False

    def _results(self, job: str) -> dict[str, bytes]:
        root = self.out / "jobs" / job
        return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}

    def listens(self) -> bool:
        """See ``Service``."""
        return bool(self._client().ready())

    def left(self) -> list[str]:
        """See ``Service``."""
        whole = set(self._results(self.jobs[0])) if self.jobs else set()
        jobs = self.out / "jobs"
        strange = [p.name for p in self.out.iterdir() if p.name not in ("jobs", "jobs.sqlite")]
        for job in jobs.iterdir():
            strange += [f"{job.name}/{name}" for name in set(self._results(job.name)) ^ whole]
        return strange

    def close(self) -> None:
        """See ``Service``."""
        self.ended = True


class DicomNode:
    """``ossa node`` between a modality that sends radiographs and an archive that gets answers."""

    def __init__(self, ground: Ground) -> None:
        from pynetdicom import AE, evt
        from pynetdicom.transport import AssociationSocket

        # pynetdicom leaves a socket open that nobody answered, or whose other side was killed.
        self._closing = mock.patch.object(AssociationSocket, "_shutdown_socket", _closed)
        self._closing.start()
        self.ground, self.out = ground, ground.folder / "node"
        self.port, self.peer = free_port(), free_port()
        self.films = sorted((ground.inputs / "dicom").iterdir())
        self.sent: list[Path] = []
        self.got: dict[str, Any] = {}
        self.ended = False
        archive = AE(ae_title="PACS")
        for kind in ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.88.33"):
            archive.add_supported_context(kind, ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99"])
        heard: list[Any] = [(evt.EVT_C_STORE, self._store)]
        self._archive = archive.start_server(("127.0.0.1", self.peer), block=False, evt_handlers=heard)

    def _store(self, event: Any) -> int:
        import pydicom

        data = pydicom.dcmread(io.BytesIO(event.encoded_dataset()))
        for element in list(data.iterall()):
            if element.VR in ("DA", "TM", "DT"):  # when it was made
                element.value = None
        name = f"{data.Modality} {data.SOPInstanceUID}"
        found = data.to_json()
        if self.got.setdefault(name, found) != found:
            self.got[f"{name}, another time"] = found
        return 0

    def start(self, fault: Fault | None = None) -> Command:
        """See ``Service``."""
        words = ["hosts:node", str(self.out), str(self.port), str(self.peer), str(self.ground.inputs / "model")]
        return self.ground.nursery.start(words, fault=fault)

    def _caller(self, kind: str) -> Any:
        """The modality, about to bring objects of a kind."""
        from pynetdicom import AE

        modality = AE(ae_title="MODALITY")
        modality.add_requested_context(kind, "1.2.840.10008.1.2.1")
        modality.connection_timeout = modality.acse_timeout = modality.dimse_timeout = 10
        return modality

    def bring(self) -> None:
        """See ``Service``."""
        import pydicom

        modality = self._caller("1.2.840.10008.5.1.4.1.1.1.1")
        for film in self.films:
            data = pydicom.dcmread(film)
            while film not in self.sent and not self.ended:
                link = modality.associate("127.0.0.1", self.port, ae_title="OSSA")
                if link.is_established:
                    with suppress(RuntimeError, ValueError):
                        if getattr(link.send_c_store(data), "Status", None) == 0:
                            self.sent.append(film)
                    link.release() if link.is_established else link.abort()
                else:
                    time.sleep(0.05)

    def answers(self) -> Mapping[str, Any]:
        """See ``Service``."""
        end = time.monotonic() + PATIENCE
        while not self.done():
            if time.monotonic() > end:
                raise TimeoutError(f"{len(self.sent)} films acknowledged, {len(self.got)} answers")
            time.sleep(0.02)
        return dict(self.got)

    def done(self) -> bool:
        """See ``Service``."""
        from ossa.pipeline.node_queue import status_of

        if len(self.sent) < len(self.films) or len(self.got) < 2 * len(self.films):
            return False
        return not any(peer["waiting"] for peer in status_of(self.out)["peers"])

    def listens(self) -> bool:
        """See ``Service``; by C-ECHO: for a connection on which nothing is said the node would wait at its end."""
        link = self._caller("1.2.840.10008.1.1").associate("127.0.0.1", self.port, ae_title="OSSA")
        if not link.is_established:
            return False
        status = link.send_c_echo()
        link.release()
        return getattr(status, "Status", None) == 0

    def left(self) -> list[str]:
        """See ``Service``."""
        names = [p.relative_to(self.out).as_posix() for p in self.out.rglob("*")]
        return [name for name in names if name not in ("node.sqlite", "received", "answers", ".ossa-lock")]

    def close(self) -> None:
        """See ``Service``."""
        self.ended = True
        self._archive.shutdown()
        self._closing.stop()


def _closed(link: Any) -> None:
    """Shut the socket of an association down where it is connected, and close it in any case."""
    if link.socket is not None:
        with suppress(OSError):
            link.socket.shutdown(socket.SHUT_RDWR)
        link.socket.close()


#: What the services import, to be read once for all rounds.
MODULES = (
    "ossa.apps.serve.app",
    "uvicorn",
    "ossa.apps.node",
    "pynetdicom",
    "highdicom",
    "ossa.pipeline.answer",
    "onnxruntime",
)

SERVICES: dict[str, Make] = {"serve": Server, "node": DicomNode}
