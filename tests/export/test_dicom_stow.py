"""STOW-RS: what is sent, and every answer that a service may give."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from helpers_clinic import free_port
from ossa.errors import OutputError
from ossa.export.dicom.stow import WebArchive, store


class Service(ThreadingHTTPServer):
    """Answers every request with ``status`` and ``body``; remembers what came."""

    status, body = 200, b"{}"
    headers: dict[str, str]

    def __init__(self) -> None:
        self.headers, self.got = {}, []  # type: ignore[var-annotated]
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/dicom-web"


class _Handler(BaseHTTPRequestHandler):
    server: Service

    def do_POST(self) -> None:
        self.server.got.append((self.path, dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(self.server.status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    out = [tmp_path / "a.dcm", tmp_path / "b.dcm"]
    for path in out:
        path.write_bytes(b"\r\n--not a border\r\n" + path.name.encode())
    return out


def test_files_go_one_by_one_and_are_heard_of(service: Service, files: list[Path]) -> None:
    heard: list[Any] = []
    sent = store(files, WebArchive.parse(service.url, "secret"), lambda *told: heard.append(told))
    assert sent.taken == tuple(files)
    assert heard == [(files[0], None), (files[1], None)]
    path, headers, body = service.got[0]
    assert path == "/dicom-web/studies"
    assert headers["Authorization"] == "Bearer secret"
    border = headers["Content-Type"].rpartition("boundary=")[2].encode()
    assert body.split(b"--" + border)[1].partition(b"\r\n\r\n")[2] == files[0].read_bytes() + b"\r\n"


@pytest.mark.parametrize("status", [200, 202, 409])
def test_an_instance_that_was_not_stored_is_told(service: Service, files: list[Path], status: int) -> None:
    reason = {"vr": "US", "Value": [0xA700]}
    service.status = status
    service.body = json.dumps({"00081198": {"vr": "SQ", "Value": [{"00081197": reason}]}}).encode()
    sent = store(files[:1], WebArchive.parse(service.url))
    assert sent.taken == ()
    assert "A700" in sent.refused[0][1]


@pytest.mark.parametrize("body", [b"", b"<no json/>", b"[]", b'{"00081198": {"Value": [3]}}'])
def test_an_answer_that_says_little_is_believed_by_its_status(service: Service, files: list[Path], body: bytes) -> None:
    service.status, service.body = 409, body
    assert "refused" in store(files[:1], WebArchive.parse(service.url)).refused[0][1]
    service.status = 415
    assert "415" in store(files[:1], WebArchive.parse(service.url)).refused[0][1]


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_what_concerns_all_files_ends_the_sending(service: Service, files: list[Path], status: int) -> None:
    service.status = status
    with pytest.raises(OutputError, match=f"cannot be reached; found it answered {status}"):
        store(files, WebArchive.parse(service.url))
    assert len(service.got) == 1


def test_nothing_goes_to_another_address(service: Service, files: list[Path]) -> None:
    with Service() as other:
        service.status, service.headers = 307, {"Location": f"{other.url}/studies"}
        with pytest.raises(OutputError, match="307"):
            store(files, WebArchive.parse(service.url, "secret"))
        assert other.got == []


def test_a_service_that_is_down_is_told(files: list[Path]) -> None:
    with pytest.raises(OutputError, match="does not answer"):
        store(files, WebArchive.parse(f"http://127.0.0.1:{free_port()}"))
