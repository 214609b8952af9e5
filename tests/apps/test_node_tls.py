"""A node whose connections are encrypted: who is let in, who is believed, and what is told where that fails."""

from __future__ import annotations

import io
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from click.testing import CliRunner

from helpers_clinic import free_port
from helpers_dicom import DX
from helpers_node import archive, calling, certificates, film_bytes, node_in, take
from ossa.apps.node import Door, listening
from ossa.cli import cli
from ossa.errors import ConfigError, OutputError
from ossa.export.dicom.send import Archive, send
from ossa.export.dicom.tls import Tls
from ossa.pipeline.node import peers_of

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")

ECHOSCU = shutil.which("echoscu")


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tls]:
    return certificates(tmp_path_factory.mktemp("papers"))


@contextmanager
def open_door(folder: Path, tls: Tls, lines: list[str] | None = None) -> Iterator[int]:
    node = node_in(folder / "queue", Archive("127.0.0.1", free_port(), "PACS", "OSSA"), lines=lines)
    try:
        with listening(node, Door("OSSA", port=0, callers=frozenset({"MODALITY"}), tls=tls)) as port:
            yield port
    finally:
        node.queue.close()


def test_who_has_a_certificate_of_the_clinic_comes_in(papers: dict[str, Tls], tmp_path: Path) -> None:
    data, _ = film_bytes(tmp_path)
    lines: list[str] = []
    with open_door(tmp_path, papers["node"], lines) as port:
        with calling(port, DX, tls=papers["modality"].calling(), patience=5) as link:
            assert link.is_established
            assert link.send_c_store(pydicom.dcmread(io.BytesIO(data))).Status == 0
        for context in (None, Tls(trust=papers["node"].trust).calling(), papers["stranger"].calling()):
            with calling(port, DX, tls=context, patience=5) as link:
                assert not link.is_established
        with calling(port, DX, tls=papers["modality"].calling(), patience=5) as link:  # and nobody was harmed
            assert link.send_c_echo().Status == 0
    heard = " ".join(lines)
    for words in ("it has no certificate", "its certificate is not trusted", "it does not speak TLS"):
        assert words in heard
    with (
        open_door(tmp_path, replace(papers["node"], trust=None)) as port,  # encrypted, no certificate asked of callers
        calling(port, DX, tls=Tls(trust=papers["node"].trust).calling(), patience=5) as link,
    ):
        assert link.is_established


def test_a_caller_that_says_nothing_keeps_nobody_out(papers: dict[str, Tls], tmp_path: Path) -> None:
    with (
        open_door(tmp_path, papers["node"]) as port,
        socket.create_connection(("127.0.0.1", port)),
        calling(port, DX, tls=papers["modality"].calling(), patience=5) as link,
    ):
        assert link.is_established


# A plain pynetdicom peer that is spoken to by TLS may end its own thread with an error.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_answers_go_encrypted_to_a_peer_that_is_believed(papers: dict[str, Tls], tmp_path: Path) -> None:
    lines: list[str] = []
    with archive(tls=papers["pacs"]) as there:
        address = f"PACS@127.0.0.1:{there.port}"
        [peer] = peers_of((), (), "OSSA", None, (address,), papers["node"])
        node = node_in(tmp_path / "queue", peer, lines=lines)
        assert take(node, *film_bytes(tmp_path)) == 0
        assert node.work()
        assert node.deliver(str(peer)) is None
        assert sorted(there.kinds) == ["SEG", "SR"]
        take(node, *film_bytes(tmp_path))
        node.work()
        files = [one.path for one in node.queue.due_answers(str(peer))]
        wrong = {
            "it does not answer": None,
            "its certificate is not trusted": Tls(trust=papers["stranger"].certificate),
            "it does not take this certificate": papers["stranger"],
        }
        for words, tls in wrong.items():
            with pytest.raises(OutputError, match=words):
                send(files, Archive("127.0.0.1", there.port, "PACS", "OSSA", tls))
        assert len(there.got) == 2
        node.queue.close()
    with archive() as there, pytest.raises(OutputError, match="cannot be reached"):  # one that speaks in the clear
        send(files, Archive("127.0.0.1", there.port, "PACS", "OSSA", papers["node"]))


def test_files_that_cannot_be_used_are_told(papers: dict[str, Tls], tmp_path: Path) -> None:
    good = papers["node"]
    text = tmp_path / "text.pem"
    text.write_text("no certificate")
    locked = tmp_path / "locked.key"
    words = ["ec", "-in", str(good.key), "-aes256", "-passout", "pass:secret", "-out", str(locked)]
    subprocess.run(["openssl", *words], check=True, capture_output=True)
    for tls, told in (
        (Tls(tmp_path / "none.pem"), "No such file"),
        (Tls(text), "certificate cannot be used"),
        (Tls(good.certificate, papers["pacs"].key), "belongs to another certificate"),
        (Tls(good.certificate, locked), "a key with a password"),
        (Tls(good.certificate, good.key, text), "whom to trust"),
        (Tls(key=good.key), "a key without its certificate"),
    ):
        with pytest.raises(ConfigError, match=told):
            tls.calling()
    with pytest.raises(ConfigError, match="a listener needs a certificate"):
        Tls().listening()
    queue = str(tmp_path / "queue")
    for given in (["--tls"], ["--to-tls", "PACS@127.0.0.1:104", "--tls-certificate", str(text)]):
        words = ["node", "start", queue, "--to", "PACS@127.0.0.1:104", "--allow", "MODALITY", *given]
        result = CliRunner().invoke(cli, words)
        assert result.exit_code == 2, result.output
        assert "certificate" in result.output
    assert not Path(queue).exists()


@pytest.mark.skipif(ECHOSCU is None, reason="dcmtk is not installed")
def test_dcmtk_is_let_in_by_its_certificate(papers: dict[str, Tls], tmp_path: Path) -> None:
    def echo(port: int, *words: str) -> int:
        call = [str(ECHOSCU), *words, "-aet", "MODALITY", "-aec", "OSSA", "127.0.0.1", str(port)]
        return subprocess.run(call, capture_output=True, timeout=60).returncode

    own, trust = papers["modality"], str(papers["modality"].trust)
    usage = subprocess.run([str(ECHOSCU), "--help"], capture_output=True, text=True, timeout=60).stdout
    if "--enable-tls" not in usage:
        pytest.skip("this dcmtk was built without TLS")
    with open_door(tmp_path, papers["node"]) as port:
        assert echo(port, "+tls", str(own.key), str(own.certificate), "+cf", trust) == 0
        stranger = papers["stranger"]
        assert echo(port, "+tls", str(stranger.key), str(stranger.certificate), "+cf", trust) != 0
        assert echo(port) != 0


def test_no_older_protocol(papers: dict[str, Tls]) -> None:
    for context in (papers["node"].calling(), papers["node"].listening()):
        assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
        assert context.verify_mode == ssl.CERT_REQUIRED
    assert papers["node"].calling().check_hostname
