"""POST /v1/predict: answers are what the commands write, and one bad request never harms another."""

from __future__ import annotations

import errno
import io
import json
import tempfile
import zipfile
from dataclasses import fields, replace
from pathlib import Path
from threading import Event

import pytest

import helpers_dicom as dicom
from helpers_pictures import hand_picture, save
from helpers_serve import client_of, service
from ossa.apps.serve.settings import Limits
from ossa.inference.predictor import Predictor

PNG = {"Content-Type": "image/png"}


@pytest.fixture(scope="module")
def predictor(bright_model: Path) -> Predictor:
    return Predictor.load(bright_model, "cpu", fast=True)


@pytest.fixture
def client(predictor: Predictor):
    with client_of(service(lambda: predictor, limits=Limits(megapixels=1))) as opened:
        yield opened


@pytest.fixture(scope="module")
def hand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("pictures") / "hand é.png", hand_picture())


@pytest.fixture(scope="module")
def commands(predictor: Predictor, hand: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``ossa predict --measure``, ``report`` and ``export`` write for the same picture."""
    from ossa.pipeline.measured import Numbers
    from ossa.pipeline.predict import predict_with
    from ossa.pipeline.report import report

    out = tmp_path_factory.mktemp("commands")
    predict_with(lambda: predictor, [hand], out / "predict", numbers=Numbers())
    report([hand], out / "report", load=lambda: predictor)
    return out


def ask(client, path: Path, form: str, **more):
    query = {"format": form, "name": path.name, **more}
    return client.post("/v1/predict", params=query, content=path.read_bytes(), headers=PNG)


def code(answer) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_the_bytes_are_those_of_the_commands(client, hand: Path, commands: Path) -> None:
    predicted = commands / "predict"
    film = ask(client, hand, "json").json()
    assert (film["image"], film["width"], film["height"]) == (hand.name, 200, 240)
    (label,) = [json.dumps(one["label"], ensure_ascii=False, separators=(",", ":")) for one in film["hands"]]
    assert label + "\n" == (predicted / "hand é.json").read_text()
    assert film["notes"] == film["hands"][0]["label"]["attributes"].get("notes", [])
    assert ask(client, hand, "rle").content == (predicted / "predictions.csv").read_bytes()
    assert ask(client, hand, "overlay").content == (predicted / "hand é_overlay.png").read_bytes()
    (numbers,) = ask(client, hand, "measurements").json()["hands"]
    assert numbers == json.loads((predicted / "hand é_measurements.json").read_text())
    assert ask(client, hand, "bones-csv").content == (predicted / "bones.csv").read_bytes()
    assert ask(client, hand, "hands-csv").content == (predicted / "hands.csv").read_bytes()


def test_the_report_is_that_of_the_command(client, hand: Path, commands: Path) -> None:
    import re

    def timeless(text: str) -> str:
        return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d [+-]\d{4}", "THEN", text)

    answer = ask(client, hand, "report")
    assert answer.headers["content-type"].startswith("text/html")
    assert "sandbox" in answer.headers["content-security-policy"]
    assert timeless(answer.text) == timeless((commands / "report" / "hand é.html").read_text())
    assert 'lang="ko"' in ask(client, hand, "report", language="ko").text


def test_dicom_answers(client, hand: Path) -> None:
    pytest.importorskip("highdicom")
    import pydicom

    seg = pydicom.dcmread(io.BytesIO(ask(client, hand, "dicom-seg").content))
    sr = pydicom.dcmread(io.BytesIO(ask(client, hand, "dicom-sr").content))
    assert (seg.Modality, sr.Modality, len(seg.SegmentSequence)) == ("SEG", "SR", 29)
    assert seg.SOPInstanceUID in str(sr)
    archive = zipfile.ZipFile(io.BytesIO(ask(client, hand, "dicom-seg,dicom-sr").content))
    assert {name.rpartition("_")[2] for name in archive.namelist()} == {"seg.dcm", "sr.dcm", "picture.dcm"}


def test_a_form_and_a_bare_body_are_one_thing(client, hand: Path) -> None:
    files = {"file": (hand.name, hand.read_bytes(), "image/png")}
    by_form = client.post("/v1/predict?format=rle", files=files)
    assert by_form.content == ask(client, hand, "rle").content
    assert by_form.headers["content-disposition"] == (
        "inline; filename=\"predictions.csv\"; filename*=UTF-8''predictions.csv"
    )


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", "application/json"),
        ("text/csv", "text/csv"),
        ("application/json;q=.5, image/png", "image/png"),
        ("image/*", "image/png"),
        ("text/html,application/xhtml+xml,*/*;q=.8", "text/html"),
    ],
)
def test_the_accept_header_chooses(client, hand: Path, accept: str, kind: str) -> None:
    answer = client.post("/v1/predict", content=hand.read_bytes(), headers={**PNG, "Accept": accept})
    assert answer.headers["content-type"].partition(";")[0] == kind


def test_several_answers_come_as_an_archive(client, hand: Path) -> None:
    archive = zipfile.ZipFile(io.BytesIO(ask(client, hand, "json,overlay,json").content))
    assert archive.namelist() == ["hand é.json", "hand é_overlay.png"]


def test_a_spacing_that_is_given(client, hand: Path) -> None:
    (numbers,) = ask(client, hand, "measurements", spacing=".15x.2").json()["hands"]
    assert numbers["spacing_mm"] == {"row": 0.15, "column": 0.2}
    assert code(ask(client, hand, "json", spacing="wide")) == (422, "setting")
    assert code(ask(client, hand, "json", spacing="-1")) == (422, "setting")


def test_what_cannot_be_answered(client, hand: Path) -> None:
    assert code(ask(client, hand, "xml")) == (422, "setting")
    assert code(ask(client, hand, "json", language="tlh")) == (422, "setting")
    body = hand.read_bytes()
    assert code(client.post("/v1/predict", content=body, headers={**PNG, "Accept": "video/mp4"})) == (
        406,
        "not-acceptable",
    )
    assert code(client.post("/v1/predict", json={"a": 1})) == (415, "content-type")
    assert code(client.post("/v1/predict", files={"picture": body})) == (400, "request")
    assert code(client.post("/v1/predict", files=[("file", body), ("file", body)])) == (400, "request")
    broken = {"Content-Type": "multipart/form-data; boundary=x"}
    assert code(client.post("/v1/predict", content=b"--y\r\n", headers=broken)) == (400, "request")
    assert code(client.post("/v1/predict", content=b"abc", headers={"Content-Type": "multipart/form-data"})) == (
        400,
        "request",
    )


def test_bad_pictures_are_told_and_harm_nobody(client, hand: Path, tmp_path: Path) -> None:
    def refused(data: bytes) -> dict:
        answer = client.post("/v1/predict", content=data, headers={"Content-Type": "application/octet-stream"})
        assert code(answer) == (422, "image")
        assert str(tmp_path) not in answer.text
        assert "/tmp" not in answer.text
        return answer.json()["error"]

    assert "empty" in refused(b"")["message"]
    assert refused(b"%PDF-1.7 x")["found"] == "a PDF"
    refused(hand.read_bytes()[:200])
    assert "million pixels" in refused(png_bomb(60_000, 60_000))["found"]
    assert "larger" in refused(png_bomb(1001, 1000))["message"]
    whole = tmp_path / "broken.dcm"
    dicom.save(whole, dicom.dataset(hand_picture()))
    refused(whole.read_bytes()[:-5000])
    assert ask(client, hand, "json").status_code == 200


def png_bomb(width: int, height: int) -> bytes:
    """A PNG that says to be so large, and holds a few bytes."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\films\\hand.png", "hand.png"),
        ("..", "picture"),
        ("", "picture"),
        ("a\r\nb.png", "a__b.png"),
        (".hidden.png", "hidden.png"),
        ("\ud800.png", "?.png".replace("?", "_")),
        ("x" * 300 + ".png", "x" * 146 + ".png"),
    ],
)
def test_names_of_uploads_lead_nowhere(given: str, kept: str) -> None:
    from ossa.apps.serve.uploads import plain_name

    assert plain_name(given) == kept


def test_overload_is_told_before_the_body_is_read(predictor: Predictor, hand: Path) -> None:
    began, go = Event(), Event()

    def hold(_owned: object) -> None:
        began.set()
        go.wait(10)

    app = service(lambda: predictor, waiting=1)
    with client_of(app) as client:
        app.worker.ask(hold)
        began.wait(10)
        waiting = app.worker.ask(hold)
        refused = ask(client, hand, "json")
        assert code(refused) == (429, "overload")
        assert int(refused.headers["retry-after"]) >= 1
        assert code(client.get("/ready")) == (503, "unavailable")
        go.set()
        waiting.result(10)
        assert ask(client, hand, "json").status_code == 200


def test_no_upload_is_left(predictor: Predictor, hand: Path) -> None:
    app = service(lambda: predictor)
    with client_of(app) as client:
        ask(client, hand, "json")
        client.post("/v1/predict", content=b"nothing", headers=PNG)
        client.post("/v1/predict", files={"file": b"no picture" * 200_000})
        assert tempfile.gettempdir() == str(app.room)  # where a large form is unpacked
        assert list(app.room.iterdir()) == []
    assert not app.room.exists()
    assert tempfile.gettempdir() != str(app.room)


def test_a_full_disk_is_told(client, hand: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("ossa.apps.serve.uploads._keep", full)
        answer = client.post("/v1/predict", files={"file": (hand.name, hand.read_bytes(), "image/png")})
        assert code(answer) == (507, "storage")
        patch.setattr("ossa.apps.serve.jobs._keep_all", full)
        answer = client.post("/v1/jobs", files={"files": (hand.name, hand.read_bytes(), "image/png")})
        assert code(answer) == (507, "storage")
    assert client.get("/v1/jobs").json()["total"] == 0
    assert ask(client, hand, "json").status_code == 200


class Two(Predictor):
    """The same hand twice, a right and a left one, the left one with a bone less."""

    def predict_hands(self, picture):
        (one,) = super().predict_hands(picture)
        fewer = dict(list(one.segmentation.regions.items())[1:])
        left = replace(one, side="L", segmentation=replace(one.segmentation, regions=fewer))
        return replace(one, side="R"), left


def test_a_film_of_two_hands(predictor: Predictor, hand: Path, tmp_path: Path) -> None:
    from ossa.pipeline.measured import Numbers
    from ossa.pipeline.predict import predict_with

    two = Two(**{field.name: getattr(predictor, field.name) for field in fields(predictor)})
    predict_with(lambda: two, [hand], tmp_path, numbers=Numbers())
    with client_of(service(lambda: two, limits=Limits(megapixels=1))) as client:
        answer = ask(client, hand, "overlay")
        assert answer.headers["content-type"] == "application/zip"
        archive = zipfile.ZipFile(io.BytesIO(answer.content))
        names = ["hand é_right_overlay.png", "hand é_left_overlay.png"]
        assert archive.namelist() == names
        for name in names:
            assert archive.read(name) == (tmp_path / name).read_bytes()
        for asked, name in (("left", names[1]), ("2", names[1]), ("1", names[0])):
            one = ask(client, hand, "overlay", hand=asked)
            assert (one.headers["content-type"], one.content) == ("image/png", (tmp_path / name).read_bytes())
        film = ask(client, hand, "json").json()
        assert [one["name"] for one in film["hands"]] == ["hand é_right", "hand é_left"]
        (only,) = ask(client, hand, "json", hand="left").json()["hands"]
        assert only == film["hands"][1]
        (numbers,) = ask(client, hand, "measurements", hand="right").json()["hands"]
        assert numbers == json.loads((tmp_path / "hand é_right_measurements.json").read_text())
        assert "hand%20%C3%A9_left" in ask(client, hand, "report", hand="left").headers["content-disposition"]
        for asked, status in (("3", 422), ("0", 422), ("both", 422), ("٣", 422)):
            assert ask(client, hand, "json", hand=asked).status_code == status

        def accepting(accept: str, path: str = "/v1/predict"):
            return client.post(path, content=hand.read_bytes(), headers={**PNG, "Accept": accept})

        refused = accepting("image/png")
        assert code(refused) == (406, "not-acceptable")
        both = accepting("image/png, application/zip")
        assert both.headers["content-type"] == "application/zip"
        of_one = accepting("image/png", "/v1/predict?hand=1")
        assert of_one.headers["content-type"] == "image/png"
