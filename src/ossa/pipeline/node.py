"""A DICOM node's own work, without its network: what it takes, how it answers, and how answers reach the peers.

    arrived picture -> queue on disk -> answer -> queue on disk -> every peer

``apps.node`` listens and calls ``Node.take``; ``Node.work`` answers one picture; ``deliver`` sends to one peer. Each of
the three may be stopped anywhere, by whatever: what was acknowledged stays in the queue (pipeline.node_queue).
"""

from __future__ import annotations

import io
import re
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ossa.errors import ConfigError, DeviceError, ImageError, MissingExtraError, OssaError, OutputError
from ossa.export.dicom.tls import Tls, reason_of
from ossa.pipeline.answer import Answer
from ossa.pipeline.node_queue import NodeQueue, Waiting
from ossa.safety import MAX_IMAGE_BYTES

__all__ = ["TAKEN", "Node", "Tls", "Verdict", "looker", "peers_of", "printable", "read_header", "reason_of", "stamped"]

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from ossa.export.dicom.send import Archive
    from ossa.export.dicom.stow import WebArchive
    from ossa.pipeline.node_queue import Received

#: Statuses of C-STORE (PS3.4 table B.2-1; the duplicate: PS3.7 C.5.7).
TAKEN, NO_ROOM, MISMATCH, NOT_UNDERSTOOD, DUPLICATE = 0x0000, 0xA700, 0xA900, 0xC000, 0x0111

#: With less room on the disk nothing is taken, so that what is there can still be answered; bytes.
ROOM = 200_000_000

#: A unique identifier (PS3.5 9.1); files of the queue are called by it.
_UID = re.compile(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))*", re.ASCII)


@dataclass(frozen=True)
class Verdict:
    """What the sender of a picture is told: a status of C-STORE, and why in at most 64 characters (PS3.7 C)."""

    status: int
    why: str = ""


class Node:
    """Takes pictures into ``queue`` and answers them; the methods may be called by different threads.

    ``look``: a DICOM file -> its Answer (``looker`` makes it of a predictor), ``maker``: what decides such answers.
    ``peers``: those that every answer is sent to. ``tell`` hears one line for each event: identifiers, titles and
    reasons, no names.
    """

    def __init__(
        self,
        queue: NodeQueue,
        look: Callable[[Path], Answer],
        maker: str,
        peers: Sequence[Archive | WebArchive],
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.queue, self.maker, self.tell = queue, maker, tell
        self.peers = {str(peer): peer for peer in peers}
        self._look = look
        self._door = threading.Lock()
        self.arrived, self.made = threading.Event(), {name: threading.Event() for name in self.peers}

    # What arrives --------------------------------------------------------------------------------

    def take(self, data: bytes, sop_class: str, sop_instance: str, caller: str) -> Verdict:
        """Keep a picture, a whole DICOM file of which its sender says ``sop_class`` and ``sop_instance``.

        Once this says TAKEN, the picture is on the disk. One that is known already is taken and not answered again.
        """
        caller = printable(caller)
        verdict = self._take(data, sop_class, sop_instance, caller)
        if verdict.status != TAKEN:
            self.tell(f"refused {printable(sop_instance)} from {caller}: {verdict.why}")
        return verdict

    def _take(self, data: bytes, sop_class: str, sop_instance: str, caller: str) -> Verdict:
        if len(data) > MAX_IMAGE_BYTES:
            return Verdict(NO_ROOM, "the picture is too large")
        try:
            header = read_header(data, sop_class, sop_instance)
        except ImageError as error:
            understood = error.found is None
            return Verdict(MISMATCH if understood else NOT_UNDERSTOOD, error.what[:64])
        study = str(header.StudyInstanceUID)
        with self._door:
            known = self.queue.known(sop_instance, self.maker)
            if known is not None and known != study:
                return Verdict(DUPLICATE, "this identifier came before, in another study")
            if known is not None:
                self.tell(f"received {sop_instance} from {caller} again: nothing is made twice")
                return Verdict(TAKEN)
            if shutil.disk_usage(self.queue.folder).free < ROOM + len(data):
                return Verdict(NO_ROOM, "the disk is full")
            try:
                self.queue.receive(data, uid=sop_instance, study=study, kind=sop_class, caller=caller, maker=self.maker)
            except OutputError as error:
                self.tell(str(error))
                return Verdict(NO_ROOM, "the queue cannot be written")
        self.tell(f"received {sop_instance} from {caller}")
        self.arrived.set()
        return Verdict(TAKEN)

    # What is made of it --------------------------------------------------------------------------

    def work(self) -> bool:
        """Answer the next picture; whether there was one. Raises MissingExtraError, and OutputError without a queue."""
        from ossa.export.dicom.seg import write_object

        picture = self.queue.next_picture()
        if picture is None:
            return False
        try:
            answer = self._look(picture.path)
            if answer.objects:
                for kind, made in answer.objects.items():
                    write_object(self.queue.answer_file(picture.number, kind), made)
                told = {kind: str(made.SOPInstanceUID) for kind, made in answer.objects.items()}
                self.queue.answered(picture, told, list(self.peers), self.maker, answer.notes)
                self.tell(f"answered {picture.uid}: {' and '.join(told).upper()}")
                for event in self.made.values():
                    event.set()
            else:
                reason = answer.reason or "nothing was found"
                self.queue.unanswered(picture, "no hand", self.maker, reason, answer.notes)
                self.tell(f"no answer to {picture.uid}: {reason}")
        except MissingExtraError:
            self.queue.postpone(picture, "a package is missing")
            raise
        except (DeviceError, OutputError, MemoryError) as error:
            reason = str(error) or "not enough memory"
            wait = self.queue.postpone(picture, reason)
            self.tell(f"{picture.uid} is tried again in {wait:.0f} s: {reason}")
        except Exception as error:  # whatever one picture does, the others are answered
            reason = _reason(error, picture)
            self.queue.unanswered(picture, "failed", self.maker, reason)
            self.tell(f"no answer to {picture.uid}: {reason}")
        return True

    # What is sent --------------------------------------------------------------------------------

    def deliver(self, name: str) -> float | None:
        """Send the peer called ``name`` what it waits for; None when that went well, otherwise seconds to wait.

        Every answer that the peer has taken is noted before the next one goes, so that a node that is stopped in
        between sends at most that one again, under the same identifier.
        """
        by_path: dict[Path, Waiting] = {}
        for answer in self.queue.due_answers(name):
            if answer.path.is_file():
                by_path[answer.path] = answer
            else:
                self.queue.lost(answer, name)
                self.tell(f"{answer.kind.upper()} {answer.uid} cannot be sent: somebody removed its file")
        if not by_path:
            return None
        total = len(by_path)

        def heard(path: Path, reason: str | None) -> None:
            answer = by_path.pop(path)
            if reason is None:
                self.queue.sent(answer, name)
                self.tell(f"sent {answer.kind.upper()} {answer.uid} to {name}")
            else:
                wait = self.queue.unsent([answer], name, reason, refused=True)
                self.tell(
                    f"{name} did not take {answer.kind.upper()} {answer.uid} ({reason}), tried again in {wait:.0f} s"
                )

        try:
            _send(list(by_path), self.peers[name], heard)
        except Exception as error:  # whatever it is, the answers stay, and go later
            found = error.found or error.what if isinstance(error, OssaError) else f"{type(error).__name__}: {error}"
            return self._put_off(name, list(by_path.values()), str(found))
        finally:
            if len(by_path) < total:
                self.queue.reached(name)
        return None

    def _put_off(self, name: str, answers: Sequence[Waiting], reason: str) -> float:
        wait = self.queue.unsent(answers, name, reason, refused=False)
        self.tell(f"{name} cannot be reached ({reason}): {len(answers)} answers wait, tried again in {wait:.0f} s")
        return wait

    def orphans(self) -> Mapping[str, int]:
        """Peers that are not named any more, and how many answers they wait for."""
        return {name: n for name, n in self.queue.waiting_peers().items() if name not in self.peers}


def _send(files: Sequence[Path], peer: Archive | WebArchive, heard: Callable[[Path, str | None], None]) -> None:
    from ossa.export.dicom.send import Archive, send
    from ossa.export.dicom.stow import store

    if isinstance(peer, Archive):
        send(files, peer, heard=heard)
    else:
        store(files, peer, heard)


def read_header(data: bytes, sop_class: str, sop_instance: str) -> Dataset:
    """The header of a picture that arrived, fit to be answered.

    Raises ImageError: with what was ``found`` where the bytes are not understood or cannot be referred to, without it
    where they are no picture of the kind that their sender says.
    """
    import pydicom

    from ossa.export.dicom.source import quietly

    stream = io.BytesIO(data)
    try:
        with quietly():
            header = pydicom.dcmread(stream, stop_before_pixels=True)
            told = {
                name: str(header.get(name) or "")
                for name in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
            }
            sides = [int(header.get(name) or 0) for name in ("Rows", "Columns")]
            invalid = [name for name, value in told.items() if len(value) > 64 or not _UID.fullmatch(value)]
    except Exception as error:  # pydicom raises whatever the damage leads to
        raise ImageError("is not understood as DICOM", found=type(error).__name__) from error
    if told["SOPClassUID"] != sop_class or told["SOPInstanceUID"] != sop_instance:
        raise ImageError("the object is not the one that was announced")
    if min(sides) <= 0 or stream.tell() >= len(data):
        raise ImageError("is no radiograph: it has no pixels")
    if invalid:
        raise ImageError(f"has no valid {invalid[0]}", found=f"{told[invalid[0]]!r:.70}")
    return header


def _reason(error: Exception, picture: Received) -> str:
    """Why a picture has no answer, without the queue's folders in it."""
    if isinstance(error, OssaError):
        return str(error).replace(f"{picture.path}: ", "")
    return f"unforeseen {type(error).__name__}: {error} (a defect in ossa: please report it)"


def printable(text: str) -> str:
    """What somebody else said, fit for one line of a log."""
    return "".join(c if c.isprintable() else "?" for c in text)[:64]


def looker(model: str | Path | None, device: str) -> tuple[Callable[[Path], Answer], str]:
    """What answers a DICOM file with ``model`` (None: the shipped one), and what its answers are known by."""
    from ossa.export.dicom.source import require
    from ossa.pipeline.answer import answer, maker_of
    from ossa.pipeline.asked import usual_predictor

    require()
    predictor = usual_predictor(model, device, "auto")
    return lambda path: answer(path, predictor), maker_of(predictor)


def peers_of(
    to: Sequence[str],
    stow: Sequence[str],
    calling: str,
    token: str | None,
    to_tls: Sequence[str] = (),
    tls: Tls | None = None,
) -> list[Archive | WebArchive]:
    """The peers at "AE@host:port", encrypted (``to_tls``, with ``tls``) or not, and at DICOMweb addresses.

    Raises ConfigError for one that is not understood, and for certificates that cannot be used.
    """
    from ossa.export.dicom.send import Archive
    from ossa.export.dicom.stow import WebArchive

    secure = tls or Tls()
    if to_tls:
        secure.calling()  # what is wrong with the files is told before anything begins
    named: list[Archive | WebArchive] = [Archive.named(text, calling) for text in to]
    named += [replace(Archive.named(text, calling), tls=secure) for text in to_tls]
    named += [WebArchive.parse(text, token) for text in stow]
    if not named:
        raise ConfigError(
            "nobody would get the answers", expected="a peer: --to or --to-tls AE@HOST:PORT, or --stow URL"
        )
    return list({str(peer): peer for peer in named}.values())


def stamped(line: str) -> str:
    """A line of the log with its time."""
    return f"{datetime.now().astimezone().isoformat(timespec='seconds')} {line}"
