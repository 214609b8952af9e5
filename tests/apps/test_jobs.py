"""Batch jobs: taken, done, fetched, cancelled, deleted; and whole again after a kill."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from threading import Event

import pytest

from helpers_pictures import hand_picture, save
from helpers_serve import client_of, service
from ossa.apps.serve.settings import Limits
from ossa.apps.serve.store import DONE, FACTS, QUEUED, KeyTaken, Store
from ossa.errors import OutputError
from ossa.inference.predictor import Predictor
from ossa.pipeline.reply import Wanted


@pytest.fixture(scope="module")
def predictor(bright_model: Path) -> Predictor:
    return Predictor.load(bright_model, "cpu", fast=True)


@pytest.fixture(scope="module")
def hand(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return save(tmp_path_factory.mktemp("pictures") / "hand.png", hand_picture()).read_bytes()


def finished(client, job: str) -> dict:
    for _ in range(600):
        found = client.get(f"/v1/jobs/{job}").json()
        if found["finished"]:
            return found
        time.sleep(0.02)
    raise AssertionError(found)


def code(answer) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_the_life_of_a_job(predictor: Predictor, hand: bytes, tmp_path: Path) -> None:
    with client_of(service(lambda: predictor, folder=tmp_path / "data")) as client:
        files = [("files", ("a.png", hand)), ("files", ("a.png", hand)), ("files", ("../no.png", b"no picture"))]
        answer = client.post("/v1/jobs?format=json,rle", files=files)
        assert answer.status_code == 202, answer.text
        job = answer.json()["id"]
        assert answer.headers["location"] == f"/v1/jobs/{job}"
        end = finished(client, job)
        assert (end["state"], end["items"]["done"], end["items"]["failed"]) == ("done", 2, 1)
        first, second, third = client.get(f"/v1/jobs/{job}/items").json()["pictures"]
        assert (first["name"], first["bones"], first["files"]) == ("a.png", 29, ["a.json", "predictions.csv"])
        assert (third["name"], third["state"], third["error"]["code"]) == ("no.png", "failed", "image")
        assert client.get(f"/v1/jobs/{job}/items/2").json() == second
        one = client.get(f"/v1/jobs/{job}/items/1/results/a.json")
        direct = client.post("/v1/predict?name=a.png", content=hand, headers={"Content-Type": "image/png"})
        assert one.json() == direct.json()
        archive = zipfile.ZipFile(io.BytesIO(client.get(f"/v1/jobs/{job}/results").content))
        names = {f"{k}_a.png/{name}" for k in (1, 2) for name in ("a.json", "predictions.csv")}
        assert set(archive.namelist()) == names | {"errors.txt"}
        assert client.get("/v1/jobs").json()["total"] == 1
        for path in ("items/4", "items/1/results/none", "items/1/results/.facts.json"):
            assert code(client.get(f"/v1/jobs/{job}/{path}")) == (404, "not-found")
        assert code(client.get(f"/v1/jobs/{job}/items/3/results/no.json")) == (409, "conflict")
        assert client.delete(f"/v1/jobs/{job}").status_code == 204
        assert code(client.get(f"/v1/jobs/{job}")) == (404, "not-found")
        assert not (tmp_path / "data" / "jobs" / job).exists()


def test_a_request_that_comes_again_makes_no_second_job(predictor: Predictor, hand: bytes, tmp_path: Path) -> None:
    data = tmp_path / "data"
    files = [("files", ("a.png", hand)), ("files", ("b.png", hand))]
    key = {"Idempotency-Key": '"8e03978e-40d5"'}
    with client_of(service(lambda: predictor, folder=data, limits=Limits(stored_jobs=2))) as client:
        first = client.post("/v1/jobs", files=files, headers=key)
        again = client.post("/v1/jobs", files=files, headers={"Idempotency-Key": "8e03978e-40d5"})
        assert (first.status_code, again.status_code) == (202, 202)
        assert again.json()["id"] == first.json()["id"]
        assert again.headers["location"] == first.headers["location"]
        for others in (files[:1], files[::-1], [("files", ("a.png", hand)), ("files", ("b.png", hand[:-1]))]):
            assert code(client.post("/v1/jobs", files=others, headers=key)) == (422, "key")
        assert code(client.post("/v1/jobs?format=rle", files=files, headers=key)) == (422, "key")
        for wrong in (b"", b'""', b"a\tb", b"x" * 256, "é".encode()):
            assert client.post("/v1/jobs", files=files, headers={b"Idempotency-Key": wrong}).status_code in (400, 422)
        other = client.post("/v1/jobs", files=files, headers={"Idempotency-Key": "another"})
        assert other.json()["id"] != first.json()["id"]
        # The store is full now: what is there already is told all the same.
        assert code(client.post("/v1/jobs", files=files, headers={"Idempotency-Key": "third"})) == (507, "storage")
        assert client.post("/v1/jobs", files=files, headers=key).json()["id"] == first.json()["id"]
        assert client.get("/v1/jobs").json()["total"] == 2
        assert len([path for path in (data / "jobs").iterdir() if path.is_dir()]) == 2
        finished(client, other.json()["id"])
    with client_of(service(lambda: predictor, folder=data)) as client:  # another server of the same folder
        assert client.post("/v1/jobs", files=files, headers=key).json()["id"] == first.json()["id"]
        client.delete(first.headers["location"])
        assert client.post("/v1/jobs", files=files, headers=key).json()["id"] != first.json()["id"]


def test_two_at_once_with_one_key(predictor: Predictor, hand: bytes, tmp_path: Path) -> None:
    store = Store(tmp_path)
    rooms = [store.room() for _ in range(2)]
    for _, place in rooms:
        (place / "1").mkdir()
        (place / "1" / "a.png").write_bytes(hand)
    assert store.keyed("k") is None  # as both saw it
    store.add(rooms[0][0], ["a.png"], Wanted(), ("k", "digest"))
    with pytest.raises(KeyTaken) as taken:
        store.add(rooms[1][0], ["a.png"], Wanted(), ("k", "digest"))
    assert (taken.value.job, taken.value.digest) == (rooms[0][0], "digest")
    assert store.jobs()[0] == 1
    store.close()


def test_what_is_no_job(predictor: Predictor, hand: bytes) -> None:
    app = service(lambda: predictor, limits=Limits(job_files=2, stored_jobs=1))
    with client_of(app) as client:
        assert code(client.post("/v1/jobs", content=hand)) == (415, "content-type")
        assert code(client.post("/v1/jobs", files={"file": hand})) == (400, "request")
        assert code(client.post("/v1/jobs?format=xml", files={"files": hand})) == (422, "setting")
        assert code(client.post("/v1/jobs", files=[("files", hand)] * 3)) == (400, "request")
        assert list((app.folder / "jobs").iterdir()) == []
        for name in ("none", "..%2f..", "0" * 24, "0" * 63):
            assert code(client.get(f"/v1/jobs/{name}"))[0] == 404
        job = client.post("/v1/jobs", files={"files": hand}).json()["id"]
        assert code(client.post("/v1/jobs", files={"files": hand})) == (507, "storage")
        finished(client, job)


def test_cancelling_keeps_what_is_done(predictor: Predictor, hand: bytes) -> None:
    began, go = Event(), Event()

    def hold(_owned: object) -> None:
        began.set()
        go.wait(10)

    app = service(lambda: predictor)
    with client_of(app) as client:
        app.worker.ask(hold)
        began.wait(10)
        job = client.post("/v1/jobs", files=[("files", hand)] * 3).json()["id"]
        assert code(client.get(f"/v1/jobs/{job}/results")) == (409, "conflict")
        found = client.post(f"/v1/jobs/{job}/cancel").json()
        assert (found["state"], found["items"]["cancelled"]) == ("cancelled", 3)
        other = client.post("/v1/jobs", files={"files": hand}).json()["id"]
        assert client.delete(f"/v1/jobs/{job}").status_code == 204
        go.set()
        assert finished(client, other)["state"] == "done"
        names = [path.name for path in (app.folder / "jobs").iterdir()]
        assert names == [other]


def test_one_server_a_folder(predictor: Predictor, tmp_path: Path) -> None:
    other = service(lambda: predictor, folder=tmp_path)
    first = client_of(service(lambda: predictor, folder=tmp_path))
    with first, pytest.raises(OutputError, match="another run"), client_of(other):
        pass


def entered(store: Store, count: int) -> str:
    job, place = store.room()
    for k in range(1, count + 1):
        (place / str(k)).mkdir()
        (place / str(k) / "hand.png").write_bytes(b"picture")
    return store.add(job, ["hand.png"] * count, Wanted()).id


def test_what_a_killed_server_leaves_is_put_right(tmp_path: Path) -> None:
    store = Store(tmp_path)
    job = entered(store, 3)
    begun = store.begin()
    assert begun is not None
    whole, _, part = begun
    (part / "hand.json").write_text("{}")
    facts = {"bones": 29, "notes": ["one"], "files": [["hand.json", "application/json"]]}
    (part / FACTS).write_text(json.dumps(facts))
    os.replace(part, store.results_of(job, whole.number))  # killed before its row says so
    store.begin()  # killed while it was done
    lost, _ = store.room()  # killed while pictures came
    other = tmp_path / "jobs" / "notes"  # nobody's but the user's
    other.mkdir()
    store.close()
    again = Store(tmp_path)
    states = [(item.state, item.bones) for item in again.items(job)]
    assert states == [(DONE, 29), (QUEUED, None), (QUEUED, None)]
    assert again.items(job)[0].notes == ("one",)
    assert not (tmp_path / "jobs" / lost).exists()
    assert other.exists()
    assert sorted(path.name for path in (tmp_path / "jobs" / job / "out").iterdir()) == ["1"]
    again.close()


def test_what_is_no_folder_of_jobs(tmp_path: Path) -> None:
    (tmp_path / "jobs.sqlite").write_text("no database, " * 100)
    with pytest.raises(OutputError, match="jobs cannot be kept here"):
        Store(tmp_path)


#: A server whose predictor notes every picture that it looks at, and takes its time.
SERVER = """
import sys, time
from pathlib import Path
from ossa.apps.serve.app import create_app
from ossa.apps.serve.seats import LocalSeat
from ossa.apps.serve.settings import Settings
from ossa.apps.serve.worker import Worker
from ossa.apps.serve import runner
from ossa.pipeline.reply import File, Reply
from ossa.safety import write_bytes

folder, port, log = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])

def reply_into(_owned, path, wanted, out):
    time.sleep(.05)
    write_bytes(out / "hand.json", path.read_bytes())
    with log.open("a") as stream:
        stream.write(path.parent.name + "\\n")
    return Reply((File("hand.json", "application/json", b""),), 29, ())

runner.reply_into = reply_into
import uvicorn
app = create_app(Settings(folder=folder, port=port), (), Worker(lambda: None, hire=LocalSeat))
uvicorn.run(app, port=port, log_level="error", ws="none")
"""


def test_kill_minus_nine_in_the_middle(tmp_path: Path) -> None:
    import socket
    from urllib.error import URLError
    from urllib.request import urlopen

    from ossa.client import Client

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path / "log"
    program = [sys.executable, "-c", SERVER, str(tmp_path / "data"), str(port), str(log)]
    client = Client(f"http://127.0.0.1:{port}", timeout=30)

    def start() -> subprocess.Popen:
        running = subprocess.Popen(program)
        for _ in range(600):
            try:
                urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                return running
            except URLError:
                assert running.poll() is None
                time.sleep(0.05)
        raise AssertionError("the server did not start")

    count = 12
    pictures = [tmp_path / f"{k}.png" for k in range(count)]
    for k, path in enumerate(pictures):
        path.write_bytes(f"picture {k}".encode())
    running = start()
    try:
        job = client.submit(pictures)
        while client.job(job)["items"]["done"] < 4:
            time.sleep(0.01)
        running.send_signal(signal.SIGKILL)
        running.wait()
        before = log.read_text().split()
        running = start()
        end = client.wait(job, every=0.05, timeout=60)
        assert (end["state"], end["items"]["done"]) == ("done", count)
        done = log.read_text().split()
        # Whatever was finished was not done again; at most the one in its hands when it was killed was.
        assert sorted(set(done), key=int) == [str(k) for k in range(1, count + 1)]
        assert len(done) <= count + 1
        assert done[: len(before)] == before
        client.fetch(job, tmp_path / "all.zip")
        with zipfile.ZipFile(tmp_path / "all.zip") as archive:
            assert [archive.read(f"{k + 1}_{k}.png/hand.json") for k in range(count)] == [
                f"picture {k}".encode() for k in range(count)
            ]
        running.send_signal(signal.SIGTERM)
        assert running.wait(20) in (0, -signal.SIGTERM)
    finally:
        if running.poll() is None:
            running.kill()
            running.wait()
