"""The studio over HTTP: its routes, what they refuse, and a page from elsewhere that cannot drive it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers_desk import SCHEMA, SIZE, data_set, decoded, predictions
from helpers_serve import HERE, client_of, service
from ossa.apps.serve.guard import PAGE_CSP
from ossa.apps.studio.app import studio_part
from ossa.errors import BundleError, InputError, OutputError
from ossa.inference.hands import Hand
from ossa.pipeline.studio import Desk, open_studio, usual_output
from ossa.segmentation.segmentation import Region, Segmentation
from ossa.studio.studio import Studio

#: Words of the interface.
KEYS = ("revision", "author", "note", "bones", "name", "state", "polygons", "epochs")

TOKEN = "a-token-that-is-long-enough"
PREDICTED = "predictions-1"


class Fixed:
    """A predictor that finds one square in every picture."""

    asked = 0
    hands: tuple[tuple[int, Any], ...] = ((4, None),)

    def predict_hands(self, picture: str) -> tuple[Hand, ...]:
        self.asked += 1
        bone = Region(3, 4, np.ones((10, 12), bool))
        notes = ("Radius is doubtful (odd)",)
        return tuple(
            Hand(
                Segmentation(SCHEMA, (SIZE, SIZE), {"Radius": replace(bone, left=left)}, {"Radius": 0.25}, notes), side
            )
            for left, side in self.hands
        )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("studio")
    root = data_set(folder, 2)
    return root, predictions(folder, root)


@contextmanager
def opened(place: tuple[Path, Path], output: Path, **settings: Any) -> Iterator[tuple[TestClient, Desk, Fixed]]:
    predictor = Fixed()
    with open_studio(place[0], predictions=[place[1]], output=output) as desk:
        app = service(lambda: predictor, parts=[studio_part(desk)], **settings)
        with client_of(app) as client:
            if "token" not in settings:
                client.headers["x-ossa-csrf"] = client.get("/api/session").json()["csrf"]
            assert desk.studio._thread is not None
            desk.studio._thread.join(60)
            yield client, desk, predictor


@pytest.fixture
def at(place: tuple[Path, Path], tmp_path: Path) -> Iterator[tuple[TestClient, Desk, Fixed]]:
    with opened(place, tmp_path / "studio") as all_three:
        yield all_three


def code(answer: Any) -> tuple[int, str]:
    error = answer.json()["error"]
    assert set(error) == {"code", "message", "found", "expected", "remedy"}
    return answer.status_code, error["code"]


def test_session_list_and_row(at: tuple[TestClient, Desk, Fixed]) -> None:
    client, _, _ = at
    session = client.get("/api/session").json()
    assert {"en", "ko"} == set(session["notice"])
    assert [bone["name"] for bone in session["bones"]] == list(SCHEMA.names)
    assert session["bones"][0]["title"] == {"en": "Distal phalanx of the thumb", "ko": "엄지손가락 끝마디뼈"}
    assert [source["kind"] for source in session["sources"]] == ["truth", "predictions", "model"]
    assert str(at[1].studio.root) not in str(session)
    listed = client.get("/api/pictures", params={"sort": "score", "order": "desc", "limit": 3}).json()
    assert listed["total"] == 6
    scores = [row["score"] for row in listed["rows"]]
    assert scores == sorted(scores, reverse=True)
    row = client.get(f"/api/pictures/{listed['rows'][0]['id']}").json()
    assert row["sources"] == ["truth", PREDICTED]
    assert row["score"] == scores[0]
    for wrong in ("sort=size", "order=up", "limit=0", "limit=x", "corrected=maybe", "source=nobody", "bone=Radios"):
        assert client.get(f"/api/pictures?{wrong}").status_code in (404, 422), wrong


def test_pictures_are_kept_by_the_browser(at: tuple[TestClient, Desk, Fixed]) -> None:
    client, _, _ = at
    key = client.get("/api/pictures").json()["rows"][0]["id"]
    for what, kind in (("thumb", "image/jpeg"), ("image", "image/png")):
        first = client.get(f"/api/pictures/{key}/{what}")
        assert (first.status_code, first.headers["content-type"]) == (200, kind)
        assert decoded(first.content).shape == (SIZE, SIZE)
        again = client.get(f"/api/pictures/{key}/{what}", headers={"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


def test_correct_conflict_and_history(at: tuple[TestClient, Desk, Fixed]) -> None:
    client, _, _ = at
    key = client.get("/api/pictures", params={"search": "train"}).json()["rows"][0]["id"]
    told = client.get(f"/api/pictures/{key}/bones", params={"source": PREDICTED}).json()
    bones = [{k: bone[k] for k in ("name", "state", "polygons")} for bone in told["bones"]]
    sent = {"revision": told["revision"], "author": "kim", "note": "seen", "bones": bones}
    assert client.put(f"/api/pictures/{key}/bones", json=sent).json()["revision"] == 1
    late = client.put(f"/api/pictures/{key}/bones", json={**sent, "author": "lee"})
    assert code(late) if "theirs" not in late.json() else late.status_code == 409
    assert late.json()["theirs"]["author"] == "kim"
    assert late.json()["error"]["code"] == "conflict"
    assert client.get(f"/api/pictures/{key}/bones").json()["author"] == "kim"
    assert [one["revision"] for one in client.get(f"/api/pictures/{key}/history").json()] == [0, 1]
    restored = client.get(f"/api/pictures/{key}/history/0").json()
    again = {"revision": 1, "author": "lee", "note": "", "bones": restored["bones"]}
    assert client.put(f"/api/pictures/{key}/bones", json=again).json()["revision"] == 2
    assert client.get("/api/pictures", params={"corrected": "true"}).json()["total"] == 1
    scores = client.get(f"/api/pictures/{key}/scores", params={"source": PREDICTED, "against": "truth"}).json()
    assert 0 < scores["mean"] <= 1


@pytest.mark.parametrize("sent", [b"", b"{", b"[]", b'{"revision": 0}', b'{"revision": 0, "bones": [{}]}', b"\xff"])
def test_what_is_no_correction(at: tuple[TestClient, Desk, Fixed], sent: bytes) -> None:
    client, desk, _ = at
    key = client.get("/api/pictures").json()["rows"][0]["id"]
    answer = client.put(f"/api/pictures/{key}/bones", content=sent, headers={"content-type": "application/json"})
    assert code(answer)[0] in (400, 422)
    assert desk.studio.corrected == {}


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(SCHEMA.names),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(KEYS), anything, max_size=6) | anything)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_sent_is_no_defect(at: tuple[TestClient, Desk, Fixed], sent: Any) -> None:
    client, desk, _ = at
    key = next(iter(desk.studio.pictures))
    body = json.dumps(sent).encode()
    headers = {"content-type": "application/json"}
    for method, path in (("PUT", f"/api/pictures/{key}/bones"), ("POST", "/api/jobs/finetune")):
        answer = client.request(method, path, content=body, headers=headers)
        assert answer.status_code in (200, 400, 404, 409, 422), answer.text


@pytest.mark.parametrize("text", ["\ud800", "\0\n\t", "가" * 9000, "<script>", "../.."])
def test_authors_and_notes_are_any_text(at: tuple[TestClient, Desk, Fixed], text: str) -> None:
    client, desk, _ = at
    key = next(iter(desk.studio.pictures))
    body = json.dumps({"revision": 0, "author": text, "note": text, "bones": []}).encode()
    answer = client.put(f"/api/pictures/{key}/bones", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 200, answer.text
    assert client.get(f"/api/pictures/{key}/history").json()[-1]["revision"] == 1


@pytest.mark.parametrize("number", ["-1", "7", "9" * 300, "9" * 5000, "x", "1.0"])
def test_revisions_that_are_not_there(at: tuple[TestClient, Desk, Fixed], number: str) -> None:
    client, desk, _ = at
    key = next(iter(desk.studio.pictures))
    assert code(client.get(f"/api/pictures/{key}/history/{number}"))[0] in (404, 422)


def test_a_full_disk_is_told_and_the_former_label_whole(
    at: tuple[TestClient, Desk, Fixed], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, _, _ = at
    key = client.get("/api/pictures", params={"search": "train"}).json()["rows"][0]["id"]
    before = client.get(f"/api/pictures/{key}/bones").json()

    def full(*_: object, **__: object) -> None:
        raise OutputError("cannot be written", path="/somewhere/secret/0001.json", found="No space left on device")

    monkeypatch.setattr("ossa.studio.corrections.write_outlines", full)
    answer = client.put(f"/api/pictures/{key}/bones", json={"revision": 0, "bones": []})
    assert code(answer) == (507, "storage")
    assert "secret" not in answer.text
    assert client.get(f"/api/pictures/{key}/bones").json() == before


@pytest.mark.parametrize("key", ["..%2f..%2fetc", "%2e%2e", "0123456789abcdef", "x" * 300, "%00", "%ff"])
def test_ids_lead_nowhere(at: tuple[TestClient, Desk, Fixed], key: str) -> None:
    client, _, _ = at
    for what in ("", "/thumb", "/image", "/bones", "/history", "/history/1", "/measurements", "/gradcam?bone=Radius"):
        assert client.get(f"/api/pictures/{key}{what}").status_code == 404, what
    assert client.get(f"/static/{key}").status_code == 404
    assert client.get(f"/api/jobs/{key}").status_code == 404


def test_a_model_is_asked_once(at: tuple[TestClient, Desk, Fixed]) -> None:
    client, _, predictor = at
    key = client.get("/api/pictures").json()["rows"][0]["id"]
    for _ in range(2):
        told = client.get(f"/api/pictures/{key}/bones", params={"source": "model"}).json()
        radius = next(bone for bone in told["bones"] if bone["name"] == "Radius")
        assert (radius["state"], radius["confidence"]) == ("found", 0.25)
    assert predictor.asked == 1
    assert client.get("/api/doubtful", params={"source": "model"}).json()["id"] is not None


def test_drop(at: tuple[TestClient, Desk, Fixed]) -> None:
    client, desk, predictor = at
    data = next(iter(desk.studio.pictures.values())).path.read_bytes()
    answer = client.post("/api/drop", files={"file": ("../../x.png", data, "image/png")})
    assert answer.status_code == 201
    key = answer.json()["id"]
    assert client.get(f"/api/pictures/{key}").json()["sources"] == ["model"]
    assert predictor.asked == 1
    assert code(client.post("/api/drop", files={"file": ("x.png", b"no picture")}))[0] == 422
    assert code(client.post("/api/drop", json={}))[0] == 422
    assert client.get("/api/pictures", params={"search": "dropped"}).json()["total"] == 1


def test_a_film_of_two_hands_is_two_pictures(at: tuple[TestClient, Desk, Fixed]) -> None:
    client, desk, predictor = at
    data = next(iter(desk.studio.pictures.values())).path.read_bytes()
    predictor.hands = ((4, "R"), (80, "L"))
    told = client.post("/api/drop", files={"file": ("film.png", data, "image/png")}).json()
    assert told["id"] == told["ids"][0]
    rows = [client.get(f"/api/pictures/{key}").json() for key in told["ids"]]
    assert [row["name"] for row in rows] == ["dropped/film_right.png", "dropped/film_left.png"]
    assert [row["side"] for row in rows] == ["R", "L"]
    assert [row["pair"] for row in rows] == told["ids"][::-1]
    assert [row["film"] for row in rows] == [{"ids": told["ids"], "number": k, "of": 2} for k in (1, 2)]
    assert predictor.asked == 1

    def lefts(source: str) -> list[Any]:
        out: list[Any] = []
        for key in told["ids"]:
            bones = client.get(f"/api/pictures/{key}/bones", params={"source": source}).json()["bones"]
            polygons = next(bone["polygons"] for bone in bones if bone["name"] == "Radius")
            out.append(min(x for x, _ in polygons[0]) if polygons else None)
        return out

    found = lefts("model")
    assert predictor.asked == 1  # one look answers for both
    assert found[1] == pytest.approx(found[0] + 76)
    thumbs = [client.get(f"/api/pictures/{key}/thumb") for key in told["ids"]]
    assert len({thumb.headers["etag"] for thumb in thumbs}) == 2
    again = client.post("/api/drop", files={"file": ("film_left.png", data, "image/png")}).json()
    names = [client.get(f"/api/pictures/{key}").json()["name"] for key in again["ids"]]
    assert len({*names, *(row["name"] for row in rows)}) == 4
    # Another model that sees one hand says nothing of the other's place.
    desk.studio.reader.answers["model"] = "model-other"
    predictor.hands = ((82, None),)
    assert lefts("model") == [None, pytest.approx(found[1] + 2)]
    with open_studio(desk.studio.root, output=desk.studio.folder.parent / "other", read_only=True) as other:
        assert other.studio.pairs == dict(other.studio.collection.pairs)
    reopened = Studio(desk.studio.collection, desk.studio.folder, True, desk.studio.root, desk.studio.model)
    assert set(told["ids"]) <= set(reopened.pictures)
    assert reopened.pairs[told["ids"][0]] == told["ids"][1]
    reopened.index.close()


def test_a_hand_of_a_film_is_trained_on_without_the_other(at: tuple[TestClient, Desk, Fixed], tmp_path: Path) -> None:
    from ossa.dataset.dataset import open_dataset
    from ossa.radiograph.read import read_radiograph
    from ossa.studio.material import lay_down, lessons_of

    client, desk, predictor = at
    data = next(iter(desk.studio.pictures.values())).path.read_bytes()
    predictor.hands = ((4, "R"), (80, "L"))
    told = client.post("/api/drop", files={"file": ("film.png", data, "image/png")}).json()
    for key in told["ids"]:
        bones = client.get(f"/api/pictures/{key}/bones", params={"source": "model"}).json()["bones"]
        plain = [{k: bone[k] for k in ("name", "state", "polygons")} for bone in bones]
        sent = {"revision": 0, "author": "kim", "bones": plain}
        assert client.put(f"/api/pictures/{key}/bones", json=sent).status_code == 200
    lessons = lessons_of(list(desk.studio.pictures.values()), desk.studio.corrected, "all")
    lay_down(tmp_path / "job", lessons, desk.studio.reader)
    cases = {case.id: case for case in open_dataset(tmp_path / "job" / "data").labelled}
    assert {"film_right.png", "film_left.png"} <= set(cases)
    film = read_radiograph(desk.studio.picture(told["ids"][0]).path).pixels
    for name, left in (("film_right.png", 4), ("film_left.png", 80)):
        pixels = cases[name].radiograph().pixels
        bone = cases[name].segmentation(SCHEMA, (pixels.shape[0], pixels.shape[1])).regions["Radius"]
        assert bone.mask.shape == (10, 12)
        there = film[3:13, left : left + 12]
        assert np.array_equal(pixels[bone.top : bone.top + 10, bone.left : bone.left + 12], there)
        assert pixels.shape[1] < 60  # the other hand is not in it


def test_measurements(at: tuple[TestClient, Desk, Fixed]) -> None:
    client, _, _ = at
    key = client.get("/api/pictures", params={"search": "train"}).json()["rows"][0]["id"]
    told = client.get(f"/api/pictures/{key}/measurements", params={"source": "truth"}).json()
    assert told["unit"] == "px"
    assert told["rows"]
    assert told["drawings"]


def test_jobs_are_refused_in_words(at: tuple[TestClient, Desk, Fixed], monkeypatch: pytest.MonkeyPatch) -> None:
    client, _, _ = at
    assert client.get("/api/jobs").json() == []
    assert code(client.post("/api/jobs/finetune", json={"epochs": 2, "name": "a"})) == (422, "setting")
    assert code(client.post("/api/jobs/finetune", json=[])) == (422, "setting")
    assert code(client.post("/api/jobs/nothing/cancel")) == (404, "not-found")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    answer = client.post("/api/jobs/finetune", json={"epochs": 2, "name": "a"})
    assert code(answer) == (501, "missing-extra")
    assert "pip install 'ossa[train]'" in answer.json()["error"]["remedy"]


WRITES = [
    ("PUT", "/api/pictures/0/bones"),
    ("POST", "/api/drop"),
    ("POST", "/api/jobs/finetune"),
    ("POST", "/api/jobs/x/cancel"),
]


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_a_page_from_elsewhere_cannot_write(at: tuple[TestClient, Desk, Fixed], method: str, path: str) -> None:
    client, _, _ = at
    csrf = client.headers["x-ossa-csrf"]
    assert client.request(method, path, headers={"origin": "https://evil.example"}).status_code == 403
    assert client.request(method, path, headers={"host": "evil.example"}).status_code == 421
    assert client.request(method, path, headers={"x-ossa-csrf": "guess"}).status_code == 403
    client.headers.pop("x-ossa-csrf")
    assert client.request(method, path, headers={"origin": HERE}).status_code == 403
    right = client.request(method, path, headers={"origin": HERE, "x-ossa-csrf": csrf})
    assert right.status_code not in (403, 421)
    for answer in (right, client.get("/api/session")):
        assert not any(name.startswith("access-control") for name in answer.headers)


def test_with_a_token_the_page_has_it_in_a_cookie(place: tuple[Path, Path], tmp_path: Path) -> None:
    with opened(place, tmp_path / "studio", token=TOKEN) as (client, _, _):
        assert client.get("/").status_code == client.get("/api/session").status_code == 401
        assert client.get("/?token=wrong", follow_redirects=False).status_code == 401
        assert client.get(f"/api/session?token={TOKEN}").status_code == 401
        moved = client.get(f"/?token={TOKEN}", follow_redirects=False)
        assert (moved.status_code, moved.headers["location"]) == (303, "/")
        assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(moved.headers["set-cookie"].split("; "))
        assert client.get("/api/session").status_code == 200
        client.cookies.clear()
        assert client.get("/api/session", headers={"cookie": "ossa_token=wrong"}).status_code == 401


def test_the_page_loads_nothing_from_elsewhere(at: tuple[TestClient, Desk, Fixed]) -> None:
    client, _, _ = at
    page = client.get("/")
    if page.status_code == 404:
        pytest.skip("the page is not built")
    assert page.headers["content-security-policy"] == PAGE_CSP
    assert "http://" not in page.text
    assert "https://" not in page.text


def test_a_studio_that_is_open_is_not_opened_twice(at: tuple[TestClient, Desk, Fixed], place: Any) -> None:
    with (
        pytest.raises(OutputError, match="another run is writing"),
        open_studio(place[0], output=at[1].studio.folder),
    ):
        pass


def test_what_cannot_be_opened(place: tuple[Path, Path], tmp_path: Path) -> None:
    root = place[0]
    with pytest.raises(BundleError), open_studio(root, model=tmp_path, output=tmp_path / "out"):
        pass
    with pytest.raises(InputError), open_studio(tmp_path / "gone", output=tmp_path / "out"):
        pass
    with pytest.raises(OutputError, match="one of the inputs"), open_studio(root, output=root):
        pass
    assert not (tmp_path / "out").exists()
    assert usual_output(root) == root.with_name("set-studio")
    with open_studio(root, read_only=True) as desk:
        assert replace(desk.studio.sources["truth"], title="") is not None
    assert not usual_output(root).exists()


def test_export_and_the_way_back(place: tuple[Path, Path], tmp_path: Path) -> None:
    import io
    import zipfile

    with opened(place, tmp_path / "studio") as (client, desk, _):
        assert code(client.post("/api/export", json={})) == (422, "input")
        key = client.get("/api/pictures", params={"search": "train"}).json()["rows"][0]["id"]
        told = client.get(f"/api/pictures/{key}/bones", params={"source": PREDICTED}).json()
        bones = [{k: bone[k] for k in ("name", "state", "polygons")} for bone in told["bones"]]
        client.put(f"/api/pictures/{key}/bones", json={"revision": 0, "author": "kim", "bones": bones})
        options = client.get("/api/export").json()
        assert (options["own"], options["corrected"], options["write_back"]["able"]) == ("competition", 1, False)
        assert [one["name"] for one in options["formats"] if one["own"]] == ["competition"]
        made = client.post("/api/export", json={"pictures": "all", "images": True})
        assert made.status_code == 201
        assert made.json()["written"] == options["labelled"] == 4
        archive = client.get(f"/api/export/{made.json()['id']}")
        assert archive.headers["content-disposition"].startswith("attachment")
        assert len(zipfile.ZipFile(io.BytesIO(archive.content)).namelist()) == 8
        assert str(tmp_path) not in made.text
        none: list[Any] = [[], {"format": 3}, {"images": 1}, {"format": "voc"}, {"pictures": "some"}]
        for wrong in none:
            assert code(client.post("/api/export", json=wrong)) == (422, "setting")
        assert code(client.get("/api/export/001-..")) == (404, "not-found")
        assert code(client.post("/api/write-back")) == (422, "setting")
        desk.write_back = True
        label = place[0] / "train" / "outputs_json"
        before = {path: path.read_bytes() for path in label.rglob("*.json")}
        done = client.post("/api/write-back").json()
        assert len(done["written"]) == done["pictures"] == 1
        changed = place[0] / done["written"][0]
        assert (tmp_path / "studio" / done["kept"] / done["written"][0]).read_bytes() == before[changed]
        changed.write_bytes(before[changed])  # the set is shared with the other tests
        assert "x-ossa-csrf" in client.headers
        del client.headers["x-ossa-csrf"]
        assert client.post("/api/write-back").status_code == 403


def test_what_a_retraining_takes_and_its_log(at: tuple[TestClient, Desk, Fixed]) -> None:
    client, _, _ = at
    told = client.get("/api/jobs/options").json()
    assert set(told) == {"corrected", "all"}
    assert told["corrected"]["pictures"] == 0
    assert told["corrected"]["problem"]["message"]
    assert code(client.get("/api/jobs/none/log")) == (404, "not-found")
    assert code(client.get("/api/jobs/none/log?from=x")) == (422, "setting")
    for asked in ("some", ["all"]):
        sent = {"epochs": 1, "pictures": asked}
        assert code(client.post("/api/jobs/finetune", json=sent))[0] in (422, 501)
