"""A real server on loopback, as people start it: the one-file client, clients that are slow or go, SIGTERM."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from helpers_pictures import hand_picture, save
from ossa.client import Client, ServerError, Unreachable

TOKEN = "a-token-that-is-long-enough"


class Running:
    def __init__(self, model: Path, folder: Path) -> None:
        (folder / "token").write_text(TOKEN + "\n")
        options = ["--port", "0", "--model", str(model), "--data", str(folder / "data")]
        options += ["--token-file", str(folder / "token"), "--upload-seconds", "1"]
        options += ["--device", "cpu", "--fast"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ossa", "serve", *options], stderr=subprocess.PIPE, text=True
        )
        assert self.process.stderr is not None
        line = self.process.stderr.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
        assert found is not None, line + self.process.stderr.read()
        self.port = int(found[1])
        self.client = Client(found[0], TOKEN, timeout=60)


@pytest.fixture(scope="module")
def server(bright_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = Running(bright_model, tmp_path_factory.mktemp("server"))
    yield running
    running.process.send_signal(signal.SIGTERM)
    try:
        assert running.process.wait(30) == 0
    finally:
        running.process.kill()
        assert running.process.stderr is not None
        running.process.stderr.close()


@pytest.fixture(scope="module")
def hand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("pictures") / "hand.png", hand_picture())


def test_the_client_of_one_file(server: Running, hand: Path, tmp_path: Path) -> None:
    client = server.client
    assert client.ready()
    assert client.version()
    film = client.predict(hand)
    assert (film["image"], film["hands"][0]["bones"]) == ("hand.png", 29)
    client.predict_to(hand, tmp_path / "hand.csv", "rle")
    assert (tmp_path / "hand.csv").read_text().startswith("image_name,class,rle\nhand.png,")
    with pytest.raises(ServerError, match="422 setting: no answer is called 'xml'") as caught:
        client.answer(hand, "xml")
    assert (caught.value.status, caught.value.code) == (422, "setting")
    job = client.submit([hand, hand], "json,rle")
    end = client.wait(job, every=0.05, timeout=60)
    assert (end["state"], end["items"]["done"]) == ("done", 2)
    assert [item["files"] for item in client.items(job)] == [["hand.json", "predictions.csv"]] * 2
    client.fetch(job, tmp_path / "all.zip")
    assert client.cancel(job)["state"] == "done"
    client.delete(job)
    with pytest.raises(ServerError, match="404"):
        client.job(job)


def test_a_wrong_token_and_nobody_there(server: Running, hand: Path) -> None:
    with pytest.raises(ServerError, match="401 token"):
        Client(f"http://127.0.0.1:{server.port}", "wrong").predict(hand)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(Unreachable):
            Client(f"http://127.0.0.1:{free.getsockname()[1]}").version()
    with pytest.raises(ValueError, match="no address"):
        Client("127.0.0.1:8000")


def test_a_client_that_is_too_slow_or_goes_harms_nobody(server: Running, hand: Path) -> None:
    head = (
        f"POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: image/png\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as slow:
        slow.sendall(head.encode() + b"Content-Length: 100000\r\n\r\n" + b"x" * 10)
        with socket.create_connection(("127.0.0.1", server.port)) as gone:
            gone.sendall(head.encode() + b"Content-Length: 100000\r\n\r\n" + b"x" * 10)
        whole = hand.read_bytes()
        with socket.create_connection(("127.0.0.1", server.port)) as impatient:
            impatient.sendall(head.encode() + f"Content-Length: {len(whole)}\r\n\r\n".encode() + whole)
        assert server.client.predict(hand)["hands"][0]["bones"] == 29
        answer = more = slow.recv(4096)
        while more and not answer.endswith(b"}"):
            more = slow.recv(4096)
            answer += more
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "too-slow"
    assert server.client.predict(hand)["hands"][0]["bones"] == 29


def test_a_predictor_that_is_killed_is_begun_anew(server: Running, hand: Path) -> None:
    import os

    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    if not children.exists():
        pytest.skip("no /proc here")
    for child in children.read_text().split():
        if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text():
            os.kill(int(child), signal.SIGKILL)
    with suppress(ServerError):  # 503: the question that found it dead
        server.client.predict(hand)
    assert server.client.predict(hand)["hands"][0]["bones"] == 29


def test_the_client_asks_again_when_it_was_told_to(hand: Path) -> None:
    from http.server import BaseHTTPRequestHandler, HTTPServer
    from threading import Thread

    seen = []

    class Busy(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            seen.append(time.monotonic())
            self.send_response(429 if len(seen) == 1 else 200)
            self.send_header("Retry-After", "0.2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *arguments) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Busy)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        address = f"http://127.0.0.1:{server.server_port}"
        assert Client(address).predict(hand) == {}
        assert seen[1] - seen[0] >= 0.2
        seen.clear()
        with pytest.raises(ServerError, match="429"):
            Client(address, patience=0.1).predict(hand)
    finally:
        server.shutdown()
        server.server_close()
