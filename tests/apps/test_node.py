"""A node with its network: callers of this process, a killed process of its own, and a real archive."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pydicom
import pytest
from click.testing import CliRunner

from helpers_clinic import DICOMWEB, ORTHANC, free_port, orthanc, radiograph
from helpers_dicom import CR, DX, SECONDARY
from helpers_node import VERIFICATION, archive, calling, film_bytes, node_in
from ossa.apps.node import Door, listening, serve
from ossa.cli import cli
from ossa.errors import ConfigError, OutputError
from ossa.export.dicom.send import Archive
from ossa.pipeline.node import Node
from ossa.pipeline.node_queue import status_of

CT = "1.2.840.10008.5.1.4.1.1.2"


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = node_in(tmp_path / "queue", Archive("127.0.0.1", free_port(), "PACS", "OSSA"))
    yield made
    made.queue.close()


def door(**settings: object) -> Door:
    return Door(**{"entity": "OSSA", "port": 0, "callers": frozenset({"MODALITY"}), **settings})  # type: ignore[arg-type]


def test_it_answers_an_echo_and_keeps_what_it_takes(node: Node, tmp_path: Path) -> None:
    data, told = film_bytes(tmp_path)
    with listening(node, door()) as port, calling(port, DX) as link:
        assert link.send_c_echo().Status == 0
        assert link.send_c_store(pydicom.dcmread(io.BytesIO(data))).Status == 0
        # On the disk before it was acknowledged.
        kept = pydicom.dcmread(tmp_path / "queue" / "received" / f"{told.SOPInstanceUID}.dcm")
        assert kept == told
        assert kept.PixelData == told.PixelData


@pytest.mark.parametrize("hangs_up", [False, True])
def test_who_says_nothing_does_not_keep_it_from_its_end(node: Node, hangs_up: bool) -> None:
    with ExitStack() as rest:
        with listening(node, door()) as port:
            probe = rest.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
            until(lambda: any(thread.name.startswith("AcceptorThread") for thread in threading.enumerate()))
            inside = [thread for thread in threading.enumerate() if thread.name.startswith("AcceptorThread")]
            if hangs_up:
                probe.close()
        assert not any(thread.is_alive() for thread in inside)
        if not hangs_up:
            assert probe.recv(1) == b""  # hung up by the node


def test_who_is_not_allowed_is_turned_away(node: Node) -> None:
    heard: list[str] = []
    node.tell = heard.append
    with listening(node, door()) as port:
        with calling(port, DX, title="STRANGER") as link:
            assert not link.is_established
        with calling(port, DX, called="OTHER") as link:
            assert not link.is_established
    assert "turned away 'STRANGER'" in heard[0]
    assert "not among those who may call" in heard[0]
    assert "it called 'OTHER', this is 'OSSA'" in heard[1]
    with listening(node, door(callers=None)) as port, calling(port, DX, title="STRANGER") as link:
        assert link.is_established


def test_only_radiographs_come_in(node: Node, tmp_path: Path) -> None:
    with listening(node, door()) as port, calling(port, CR, DX, CT, SECONDARY) as link:
        taken = {str(context.abstract_syntax) for context in link.accepted_contexts}
        assert taken == {VERIFICATION, CR, DX}
        empty, _ = film_bytes(tmp_path, Rows=0)
        status = link.send_c_store(pydicom.dcmread(io.BytesIO(empty)))
        assert status.Status == 0xA900
        assert "no pixels" in status.ErrorComment
    with listening(node, door(secondary=True)) as port, calling(port, SECONDARY) as link:
        assert len(link.accepted_contexts) == 2
    assert status_of(tmp_path / "queue")["pictures"] == {}


def test_a_port_in_use_and_wrong_settings_are_told(node: Node) -> None:
    with (
        listening(node, door()) as port,
        pytest.raises(OutputError, match=f"cannot listen at 127.0.0.1:{port}"),
        listening(node, door(port=port)),
    ):
        pass
    with pytest.raises(ConfigError, match="nobody may call this node"):
        door(callers=frozenset())
    with pytest.raises(ConfigError, match="application entity title cannot be this"):
        door(entity="far more than sixteen letters")
    with pytest.raises(ConfigError, match="no port"):
        door(port=70000)


def test_from_a_modality_to_the_archive_and_an_end_in_order(tmp_path: Path) -> None:
    with archive() as peer:
        node = node_in(tmp_path / "queue", Archive("127.0.0.1", peer.port, "PACS", "OSSA"))
        stop, ports = threading.Event(), []

        def ready(port: int) -> None:
            ports.append(port)

        running = threading.Thread(target=serve, args=(node, door()), kwargs={"stop": stop, "ready": ready})
        running.start()
        try:
            until(lambda: bool(ports))
            for _ in range(3):
                data, _ = film_bytes(tmp_path)
                with calling(ports[0], DX) as link:
                    assert link.send_c_store(pydicom.dcmread(io.BytesIO(data))).Status == 0
            until(lambda: len(peer.got) == 6)
        finally:
            stop.set()
            running.join(20)
        assert not running.is_alive()
        node.queue.close()
    assert sorted(peer.kinds) == ["SEG"] * 3 + ["SR"] * 3


def until(done: object, patience: float = 60) -> None:
    end = time.monotonic() + patience
    while not done():  # type: ignore[operator]
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.05)


# The command ------------------------------------------------------------------------------------


def test_the_command_says_what_is_wrong(tmp_path: Path) -> None:
    def said(*words: str) -> str:
        result = CliRunner().invoke(cli, ["node", "start", str(tmp_path / "queue"), *words])
        assert result.exit_code == 2, result.output
        return result.output

    assert "nobody may call" in said()
    assert "nobody would get the answers" in said("--allow", "MODALITY")
    assert "AE@HOST:PORT" in said("--to", "127.0.0.1:104", "--allow-any")
    assert not (tmp_path / "queue").exists()
    result = CliRunner().invoke(cli, ["node", "status", str(tmp_path)])
    assert result.exit_code == 2
    assert "is no node queue" in result.output


def test_signals_are_heeded_before_anybody_is_let_in(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has heard that the node listens may end it at once, and it ends in order."""
    heeded = []

    @contextmanager
    def looked(*words: Any) -> Iterator[int]:
        heeded.append(signal.getsignal(signal.SIGTERM))
        with listening(*words) as port:
            yield port

    monkeypatch.setattr("ossa.apps.node.listening", looked)
    before, stop = signal.getsignal(signal.SIGTERM), threading.Event()
    stop.set()
    serve(node, door(), stop=stop)
    assert len(heeded) == 1
    assert heeded[0] != before
    assert signal.getsignal(signal.SIGTERM) == before


class Program:
    """``ossa node start`` as a process of its own."""

    def __init__(self, queue: Path, port: int, *words: str) -> None:
        self.log = queue.with_suffix(".log")
        with self.log.open("ab") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ossa", "node", "start", str(queue), "--port", str(port), *words],
                stdout=stream,
                stderr=stream,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
        until(lambda: self._listens(port) or self.process.poll() is not None, 120)
        assert self.process.poll() is None, self.log.read_text()

    @staticmethod
    def _listens(port: int) -> bool:
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", port)) == 0

    def end(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        return self.process.wait(60)


@pytest.mark.slow
@pytest.mark.skipif(ORTHANC is None, reason="Orthanc (Debian's orthanc) is not installed")
@pytest.mark.skipif(DICOMWEB is None, reason="Orthanc's DICOMweb (Debian's orthanc-dicomweb) is not installed")
def test_a_real_archive_has_every_answer_though_it_and_the_node_were_killed(tmp_path: Path) -> None:
    """Three radiographs of the sample hand; the node is killed at work, the archive is down meanwhile."""
    sample = ossa_pixels()
    films = [radiograph(tmp_path / f"{k}.dcm", sample[k:, :]) for k in range(3)]
    queue, port = tmp_path / "queue", free_port()
    with orthanc(tmp_path) as first:
        dicom, http = first.dicom, first.http
    words = [
        "--to",
        f"ORTHANC@127.0.0.1:{dicom}",
        "--stow",
        f"http://127.0.0.1:{http}/dicom-web",
        "--allow",
        "MODALITY",
    ]
    program = Program(queue, port, *words)
    try:
        with calling(port, DX) as link:
            for path in films:
                assert link.send_c_store(pydicom.dcmread(path)).Status == 0
        until(lambda: status_of(queue)["pictures"].get("answered", 0) >= 1)
        program.end(signal.SIGKILL)
        with orthanc(tmp_path, ports=(http, dicom)) as server:
            program = Program(queue, port, *words)
            until(lambda: len(server.instances()) == 6 and not any(p["waiting"] for p in status_of(queue)["peers"]))
            assert program.end(signal.SIGTERM) == 0
            tags = [json.loads(server.get(f"/instances/{one}/simplified-tags")) for one in server.instances()]
            shown = CliRunner().invoke(cli, ["node", "status", str(queue)]).output
    finally:
        program.process.kill()
        program.process.wait()
    studies = {str(pydicom.dcmread(path).StudyInstanceUID) for path in films}
    for modality in ("SEG", "SR"):
        assert {one["StudyInstanceUID"] for one in tags if one["Modality"] == modality} == studies
    assert "answered: 3" in shown
    assert shown.count("6 answers sent, 0 wait") == 2
    assert "Hong" not in program.log.read_text()


def ossa_pixels() -> Any:
    import cv2

    from ossa.radiograph.read import read_radiograph

    pixels = read_radiograph(Path(__file__).parents[2] / "samples" / "hand.png").pixels
    return cv2.resize(pixels, (pixels.shape[1] // 2, pixels.shape[0] // 2), interpolation=cv2.INTER_AREA)
