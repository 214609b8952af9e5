"""A node of the tests: pictures of a few pixels, answers without a network, peers in this process."""

from __future__ import annotations

import io
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pydicom

import ossa
from helpers_clinic import bones, free_port, radiograph
from ossa.apps.node_tls import start_encrypted
from ossa.export.dicom.hands import told_apart
from ossa.export.dicom.seg import segmentation_object
from ossa.export.dicom.send import hang_up
from ossa.export.dicom.source import source_of
from ossa.export.dicom.sr import Number, report_object
from ossa.export.dicom.tls import Tls
from ossa.pipeline.answer import Answer
from ossa.pipeline.node import Node
from ossa.pipeline.node_queue import NodeQueue

MAKER = "tests"
VERIFICATION = "1.2.840.10008.1.1"
PLAIN = "1.2.840.10008.1.2.1"


def look(path: Path) -> Answer:
    """Two made-up bones of any picture; a dark one shows no hand."""
    picture = ossa.read_radiograph(path)
    if picture.pixels.max() < 30:
        return Answer(reason="no hand found: nothing here")
    source = source_of(path, picture)
    hands = told_apart([bones(picture.shape, only=2)], picture.side)
    seg = segmentation_object(source, hands, maker=MAKER)
    number = Number("length", "Length", 12.5, "mm", hands[0].segmentation.schema.names[0])
    return Answer({"seg": seg, "sr": report_object(source, seg, hands, [[number]], maker=MAKER)}, 1)


def film_bytes(folder: Path, **elements: Any) -> tuple[bytes, pydicom.Dataset]:
    """A radiograph as it arrives, and its data set."""
    path = radiograph(folder / "sent.dcm", **elements)
    return path.read_bytes(), pydicom.dcmread(path)


def node_in(folder: Path, *peers: Any, look: Callable[[Path], Answer] = look, lines: list[str] | None = None) -> Node:
    """A node with its queue in ``folder``."""
    heard: list[str] = [] if lines is None else lines
    return Node(NodeQueue(folder, "OSSA"), look, MAKER, peers, heard.append)


def certificates(folder: Path) -> dict[str, Tls]:
    """Files of a clinic's authority and what it signed ("node", "pacs", "modality"), and of a "stranger" of another.

    By openssl: the keys live as long as the test.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = {}

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    for authority, names in {"clinic": ("node", "pacs", "modality"), "elsewhere": ("stranger",)}.items():
        files = ("-keyout", f"{authority}.key", "-out", f"{authority}.pem")
        openssl("req", "-x509", *curve, "-subj", f"/CN={authority}", *files)
        for name in names:
            openssl(
                "req", "-x509", *curve, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem",
                "-CA", f"{authority}.pem", "-CAkey", f"{authority}.key",
                "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-addext", "basicConstraints=CA:FALSE",
            )  # fmt: skip
            made[name] = Tls(folder / f"{name}.pem", folder / f"{name}.key", folder / "clinic.pem")
    return made


@contextmanager
def calling(
    port: int,
    *kinds: str,
    title: str = "MODALITY",
    called: str = "OSSA",
    tls: ssl.SSLContext | None = None,
    patience: float | None = None,
) -> Iterator[Any]:
    """An association, whether it was accepted or not; ``patience``: seconds for every answer, None as pynetdicom has
    it."""
    from pynetdicom import AE

    entity = AE(ae_title=title)
    if patience is not None:
        entity.acse_timeout = entity.connection_timeout = entity.network_timeout = patience
    for kind in (VERIFICATION, *kinds):
        entity.add_requested_context(kind, [PLAIN] if kind != VERIFICATION else None)
    encrypted = None if tls is None else (tls, "127.0.0.1")
    link = entity.associate("127.0.0.1", port, ae_title=called, tls_args=encrypted)
    try:
        yield link
    finally:
        if link.is_established:
            link.release()
        entity.shutdown()
        hang_up(link)


def take(node: Node, data: bytes, told: pydicom.Dataset) -> int:
    return node.take(data, str(told.SOPClassUID), str(told.SOPInstanceUID), "MODALITY").status


@dataclass
class Archive:
    """A C-STORE peer of this process; ``status``: what it says to the next object of a modality."""

    port: int
    got: list[pydicom.Dataset] = field(default_factory=list)
    status: dict[str, int] = field(default_factory=dict)

    @property
    def kinds(self) -> list[str]:
        return [str(one.Modality) for one in self.got]


@contextmanager
def archive(port: int | None = None, title: str = "PACS", tls: Tls | None = None) -> Iterator[Archive]:
    """A peer that takes SEG and SR until the block ends, encrypted where ``tls`` is given."""
    from pynetdicom import AE, evt

    here = Archive(port or free_port())
    lock = threading.Lock()

    def stored(event: Any) -> int:
        data = pydicom.dcmread(io.BytesIO(event.encoded_dataset()))
        with lock:
            status = here.status.get(str(data.Modality), 0)
            if status == 0:
                here.got.append(data)
        return status

    entity = AE(ae_title=title)
    for kind in ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.88.33"):
        entity.add_supported_context(kind, [PLAIN, "1.2.840.10008.1.2.1.99"])
    handlers: list[Any] = [(evt.EVT_C_STORE, stored)]
    if tls is None:
        entity.start_server(("127.0.0.1", here.port), block=False, evt_handlers=handlers)
    else:
        start_encrypted(entity, ("127.0.0.1", here.port), tls.listening(), handlers, lambda _: None)
    try:
        yield here
    finally:
        entity.shutdown()
