"""The server's own state: ready or not, which version, what Prometheus reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers_pictures import hand_picture, save
from helpers_serve import client_of, local_worker, service
from helpers_stub import StubPredictor
from ossa.apps.serve.metrics import resident_bytes
from ossa.apps.serve.seats import SeatLost


def test_what_prometheus_reads(tmp_path: Path) -> None:
    parser = pytest.importorskip("prometheus_client.parser")
    with client_of(service(StubPredictor)) as client:
        picture = save(tmp_path / "a.png", hand_picture()).read_bytes()
        assert client.post("/v1/predict", content=picture, headers={"Content-Type": "image/png"}).status_code == 200
        client.get("/v1/jobs/no-such-job")
        client.get("/nowhere/at/all")
        answer = client.get("/metrics")
        assert answer.headers["content-type"].startswith("text/plain")
        found = {
            (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
            for family in parser.text_string_to_metric_families(answer.text)
            for sample in family.samples
        }
    assert found["ossa_requests_total", "POST", "/v1/predict", "200"] == 1
    assert found["ossa_requests_total", "GET", "/v1/jobs/{job}", "404"] == 1
    assert found["ossa_requests_total", "GET", "none", "404"] == 1  # no path of a stranger becomes a label
    assert found["ossa_request_seconds_count", "POST", "/v1/predict"] == 1
    assert (found["ossa_pictures_total",], found["ossa_waiting",], found["ossa_ready",]) == (1, 0, 1)
    assert found["ossa_job_items", "queued"] == 0
    assert not any("no-such-job" in str(key) for key in found)


def test_a_model_that_cannot_be_loaded_again_is_not_ready() -> None:
    broken = False

    def load() -> object:
        if broken:
            raise RuntimeError("the folder is gone")
        return StubPredictor()

    def lose(_owned: object) -> None:
        raise SeatLost("a test")

    app = service(load)
    with client_of(app) as client:
        assert client.get("/ready").json() == {"status": "ready", "waiting": 0}
        broken = True
        with pytest.raises(Exception, match="was lost"):
            app.worker.ask(lose).result(10)
        assert app.worker.ask(lose).exception(10) is not None
        answer = client.get("/ready")
        assert (answer.status_code, answer.json()["error"]["message"]) == (503, "RuntimeError: the folder is gone")
        broken = False
        assert app.worker.ask(str).result(10)  # asked again, it is loaded again
        assert client.get("/ready").status_code == 200


def test_version() -> None:
    import ossa

    with client_of(service(StubPredictor)) as client:
        assert client.get("/version").json()["version"] == ossa.__version__


def test_memory_of_a_process() -> None:
    import os

    assert resident_bytes(None) is None
    assert resident_bytes(1 << 30) is None
    if os.path.exists("/proc/self/statm"):
        assert (resident_bytes(os.getpid()) or 0) > 1e6


def test_a_worker_is_started_once() -> None:
    loaded = []
    worker = local_worker(lambda: loaded.append(1))
    worker.start()
    worker.start()
    worker.close()
    assert loaded == [1]
