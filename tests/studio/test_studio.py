"""A studio over a small data set: the list, bones, corrections, scores, pictures, bad input."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from helpers_dataset import write_competition
from helpers_desk import SCHEMA, SIZE, data_set, decoded, predictions, studio
from ossa.errors import ConfigError, ImageError, InputError, OssaError, OutputError
from ossa.radiograph.read import read_radiograph
from ossa.segmentation.compare import dice
from ossa.segmentation.segmentation import Region, Segmentation
from ossa.studio.collection import Picture, open_collection, pairs_of
from ossa.studio.corrections import Conflict, Missing
from ossa.studio.films import FilmHand, SeenHand, hand_for, read_hands, write_hands
from ossa.studio.index import Index
from ossa.studio.listing import Listing, Query, next_doubtful
from ossa.studio.reading import Reader
from ossa.studio.studio import ModelFacts, Studio
from ossa.studio.views import THUMB, Bounded, Views

PREDICTED = "predictions-1"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    folder = tmp_path_factory.mktemp("studio")
    root = data_set(folder)
    return folder, root, predictions(folder, root)


@pytest.fixture
def made(place: tuple[Path, Path, Path], tmp_path: Path) -> Studio:
    return studio(tmp_path, place[1], place[2])


def first(made: Studio, **query: object) -> dict:
    return made.list(Query(**query))["rows"][0]  # type: ignore[arg-type]


def test_the_list_knows_every_picture(made: Studio) -> None:
    answer = made.list(Query())
    assert answer["total"] == len(answer["rows"]) == 8
    names = [row["name"] for row in answer["rows"]]
    assert names == sorted(names, key=str.casefold)
    labelled = [row for row in answer["rows"] if row["name"].startswith("train")]
    assert all(row["width"] == row["height"] == SIZE and 0.3 < row["score"] < 1 for row in labelled)
    assert all(row["score"] is None for row in answer["rows"] if row["name"].startswith("test"))
    assert {row["subject"] for row in labelled} == {"ID002", "ID004", "ID007"}
    assert made.session()["indexing"] == {"done": 8, "total": 8}
    assert made.session()["flags"] == ["doubtful"]


def test_hands_of_one_person_know_each_other(made: Studio) -> None:
    rows = {row["id"]: row for row in made.list(Query())["rows"]}
    paired = [row for row in rows.values() if row["pair"]]
    assert len(paired) == 2  # only the first subject's files say their side
    assert {row["side"] for row in paired} == {"L", "R"}
    assert all(rows[rows[row["pair"]]["pair"]] is row for row in paired)
    twice = [Picture(str(k), str(k), Path(), "A", "L" if k else "R") for k in range(3)]
    assert pairs_of(twice) == {}


def test_scores_are_those_of_the_comparison(made: Studio) -> None:
    row = first(made, sort="score", descending=True)
    picture = made.picture(row["id"])
    truth, judged = made.reader.segmentation(picture, "truth")
    found, _ = made.reader.segmentation(picture, PREDICTED)
    expected = {n: dice(found.get(n), truth.get(n)) if n in judged else None for n in SCHEMA.names}
    told = made.scores(row["id"], PREDICTED, "truth")
    assert told["bones"] == {n: None if v is None else pytest.approx(v, abs=1e-4) for n, v in expected.items()}
    assert (
        told["mean"]
        == row["score"]
        == pytest.approx(np.mean([v for v in expected.values() if v is not None]), abs=1e-4)
    )


def test_filters(made: Studio) -> None:
    rows = made.list(Query())["rows"]
    assert made.list(Query(subject="ID004"))["total"] == 2
    assert made.list(Query(search="id004/"))["total"] == 2
    assert made.list(Query(side="L"))["total"] == 1
    flagged = [row["id"] for row in rows if "doubtful" in row["flags"]]
    assert 0 < len(flagged) < 6
    assert [row["id"] for row in made.list(Query(flag="doubtful"))["rows"]] == flagged
    assert made.list(Query(corrected=True))["total"] == 0
    assert made.list(Query(corrected=False, offset=5, limit=2))["rows"] == rows[5:7]


@pytest.mark.parametrize("query", [{"source": "nobody"}, {"against": "../truth"}])
def test_an_unknown_source(made: Studio, query: dict) -> None:
    with pytest.raises(Missing, match="no such source"):
        made.list(Query(**query))


@pytest.mark.parametrize("query", [{"sort": "size"}, {"limit": 0}, {"limit": 10**6}, {"offset": -1}])
def test_a_query_that_cannot_be(query: dict) -> None:
    with pytest.raises(ConfigError):
        Query(**query)


def test_bones_and_a_correction(made: Studio) -> None:
    row = first(made, search="train")
    key = row["id"]
    before = made.bones(key, "truth")
    assert (before["revision"], before["author"], before["width"]) == (0, None, SIZE)
    assert [bone["name"] for bone in before["bones"]] == list(SCHEMA.names)
    predicted = made.bones(key, PREDICTED)
    assert predicted["revision"] == 0
    bones = [{k: bone[k] for k in ("name", "state", "polygons")} for bone in predicted["bones"]]
    bones[27] = {"name": "Radius", "state": "absent", "polygons": []}
    done = made.save(key, {"revision": 0, "author": "kim", "note": "no radius", "bones": bones})
    assert done["revision"] == 1
    assert "Radius" in done["changed"]
    after = made.bones(key, "truth")
    assert [{k: bone[k] for k in ("name", "state", "polygons")} for bone in after["bones"]] == bones
    assert (after["revision"], after["author"]) == (1, "kim")
    assert made.bones(key, PREDICTED)["revision"] == 1
    assert first(made, search=row["name"])["corrected"] is True
    assert first(made, search=row["name"])["score"] == pytest.approx(made.scores(key, PREDICTED, "truth")["mean"])
    assert [entry["revision"] for entry in made.history(key)] == [0, 1]
    own = made.revision(key, 0)
    assert own["bones"] == before["bones"]
    assert made.revision(key, 1)["author"] == "kim"
    with pytest.raises(Missing):
        made.revision(key, 2)
    with pytest.raises(Conflict):
        made.save(key, {"revision": 0, "author": "lee", "bones": bones})
    again = Studio(made.collection, made.folder, True, made.root, made.model)
    assert again.corrected == {row["name"]: 1}


def test_thinned_outlines_have_fewer_points(made: Studio) -> None:
    key = first(made, search="train")["id"]

    def points(simplify: float) -> int:
        return sum(len(ring) for bone in made.bones(key, PREDICTED, simplify)["bones"] for ring in bone["polygons"])

    assert points(0.7) < 0.8 * points(0.0)
    with pytest.raises(ConfigError):
        made.bones(key, PREDICTED, math.nan)


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (None, "no correction"),
        ({}, "revision"),
        ({"revision": 0}, "no list"),
        ({"revision": "0", "bones": []}, "revision"),
        ({"revision": True, "bones": []}, "revision"),
        ({"revision": 0, "bones": [], "author": 7}, "texts"),
    ],
)
def test_a_correction_that_is_none(made: Studio, sent: object, words: str) -> None:
    with pytest.raises(OssaError, match=words):
        made.save(first(made)["id"], sent)
    assert made.corrected == {}


def test_a_read_only_studio_saves_nothing(place: tuple[Path, Path, Path], tmp_path: Path) -> None:
    made = studio(tmp_path, place[1], writable=False)
    key = first(made)["id"]
    with pytest.raises(OutputError, match="saves nothing"):
        made.save(key, {"revision": 0, "bones": []})
    with pytest.raises(OutputError):
        made.keep_dropped("a.png", b"")
    assert made.thumb(key)[1]()
    assert not (tmp_path / "studio").exists()


@pytest.mark.parametrize("key", ["", "..", "../../etc/passwd", "train/DCM", "0" * 16, "\0"])
def test_ids_are_looked_up_and_nothing_else(made: Studio, key: str) -> None:
    for ask in (made.thumb, made.image, made.history, lambda k: made.bones(k, "truth"), lambda k: made.save(k, {})):
        with pytest.raises(Missing):
            ask(key)


def test_pictures_for_the_eye(made: Studio) -> None:
    row = first(made)
    tag, make = made.thumb(row["id"])
    small = decoded(make())
    assert max(small.shape) == min(THUMB, SIZE)
    assert made.thumb(row["id"])[0] == tag
    image = decoded(made.image(row["id"])[1]())
    assert np.array_equal(image, read_radiograph(made.picture(row["id"]).path).pixels)
    assert list((made.folder / "cache" / "thumbs").rglob("*.jpg"))


def test_a_changed_picture_has_another_tag(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.zeros((40, 30), np.uint8))
    views = Views(tmp_path / "cache", disk=0)
    picture = Picture("a", "a.png", path)
    from ossa.studio.views import etag

    tag, old = etag(picture, "thumb"), views.thumb(picture)
    cv2.imwrite(str(path), np.full((41, 30), 200, np.uint8))
    assert etag(picture, "thumb") != tag
    assert views.thumb(picture) != old
    assert len(list((tmp_path / "cache").rglob("*.jpg"))) <= 1  # there is no room for any


def test_a_bounded_store_forgets_the_oldest() -> None:
    held = Bounded(10)
    for key in "abcd":
        held.get(key, lambda: b"1234")
    assert held.size == 8
    assert held.get("d", lambda: b"other") == b"1234"
    assert held.get("a", lambda: b"other") == b"other"
    assert held.get("huge", lambda: b"x" * 11) == b"x" * 11
    assert held.size <= 10


def test_measurements_with_what_to_draw(made: Studio) -> None:
    told = made.measurements(first(made, search="train")["id"], "truth")
    assert told["unit"] == "px"
    row = next(row for row in told["rows"] if row["name"] == "length" and row["bone"] == "finger-11")
    assert row["title"] == {"en": "Third metacarpal: Length", "ko": "셋째손허리뼈: 길이"}
    assert row["value"] > 10
    assert any(drawing["measurement"] == "length" and len(drawing["lines"][0]) >= 2 for drawing in told["drawings"])
    assert all(row["reason"]["ko"] for row in told["rows"] if row["value"] is None)


def test_warnings_are_told_in_groups(made: Studio) -> None:
    key = first(made, flag="doubtful")["id"]
    told = made.bones(key, PREDICTED)
    assert [(w["code"], w["count"]) for w in told["warnings"]] == [("doubtful", 2)]
    assert told["warnings"][0]["title"] == {"en": "Doubtful bones", "ko": "의심스러운 뼈"}
    assert "반달뼈" in told["warnings"][0]["text"]["ko"]
    lunate = next(bone for bone in told["bones"] if bone["name"] == "Lunate")
    assert lunate["flags"] == [{"code": "doubtful", "text": {"en": "its border is blurred", "ko": "경계가 흐림"}}]


def test_the_next_doubtful(made: Studio) -> None:
    order, after = [], ""
    while (found := made.doubtful(PREDICTED, after)) is not None:
        order.append(found)
        after = found
    assert len(order) == 6
    doubt = [
        sum(1 - b["confidence"] for b in made.bones(key, PREDICTED)["bones"] if b["confidence"] is not None)
        for key in order
    ]
    assert doubt == sorted(doubt, reverse=True)
    made.corrected[made.picture(order[1]).name] = 1
    assert made.doubtful(PREDICTED, order[0]) == order[2]
    assert made.doubtful(PREDICTED, order[1]) == order[2]
    assert made.doubtful("truth", "") == order[0]  # the truth has no confidences: the prediction's count
    assert next_doubtful(made.index, PREDICTED, "unknown", {}) == order[0]


def test_a_start_reads_only_what_has_changed(
    place: tuple[Path, Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = studio(tmp_path, place[1], place[2])
    expected = before.list(Query(sort="score"))
    before.close()
    read: list[str] = []
    real = Reader.segmentation

    def reading(self: Reader, picture: Picture, source: str) -> Any:
        read.append(picture.name)
        return real(self, picture, source)

    monkeypatch.setattr(Reader, "segmentation", reading)
    again = studio(tmp_path, place[1], place[2])
    assert read == []
    assert again.list(Query(sort="score")) == expected
    again.close()
    (tmp_path / "studio" / "cache" / "index.sqlite").write_bytes(b"no database" * 1000)
    assert studio(tmp_path, place[1], place[2]).list(Query(sort="score")) == expected


def test_a_dropped_picture_is_one_like_any_other(made: Studio, place: tuple[Path, Path, Path]) -> None:
    data = made.picture(first(made)["id"]).path.read_bytes()
    [key] = made.welcome(made.keep_dropped("../../evil\\name: x.png", data))
    assert made.welcome(made.keep_dropped("name_ x.png", data)) != [key]
    row = first(made, search="dropped/name_ x.png")
    assert row["id"] == key
    assert row["name"] == "dropped/name_ x.png"
    assert row["width"] == SIZE
    assert made.unanswered(key, "model") == (made.picture(key).path, None)
    with pytest.raises(Missing, match="nothing is known"):
        made.bones(key, "model")
    other = made.reader.segmentation(made.picture(first(made, search="train")["id"]), "truth")[0]
    made.answered(key, "model", [SeenHand(other)])
    assert made.unanswered(key, "model") is None
    assert sum(bone["state"] == "found" for bone in made.bones(key, "model")["bones"]) == len(other)
    again = Studio(made.collection, made.folder, True, made.root, made.model)
    assert key in again.pictures
    assert again.unanswered(key, "model") is None
    other_model = Studio(made.collection, made.folder, True, made.root, ModelFacts("another", "1" * 12))
    assert other_model.unanswered(key, "model") is not None
    with pytest.raises(ImageError):
        made.keep_dropped("a.png", b"\x89PNG no picture")
    with pytest.raises(ImageError):
        made.keep_dropped("a.html", b"<script>")
    assert {path.name for path in (made.folder / "dropped").iterdir()} == {"name_ x.png", "name_ x (2).png"}


def test_a_label_of_another_size_is_told_and_the_rest_shown(tmp_path: Path) -> None:
    root = data_set(tmp_path, 2, 0)
    wrong = predictions(tmp_path, root)
    label = sorted(wrong.rglob("*.json"))[0]
    label.write_text(label.read_text().replace(f'"height":{SIZE}', '"height":64'))
    made = studio(tmp_path, root, wrong)
    flagged = made.list(Query(flag="unreadable"))
    assert flagged["total"] == 1
    key = flagged["rows"][0]["id"]
    assert flagged["rows"][0]["score"] is None
    with pytest.raises(InputError, match="another size"):
        made.bones(key, PREDICTED)
    assert made.bones(key, "truth")["bones"]


def test_folders_without_pictures_are_refused(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    for root in (empty, tmp_path / "gone"):
        with pytest.raises(InputError):
            open_collection(root)
    (empty / "notes.txt").write_text("nothing")
    with pytest.raises(InputError):
        open_collection(empty)
    root = data_set(tmp_path, 1, 0)
    alone = predictions(tmp_path, root)
    with pytest.raises(InputError, match="no picture was found"):
        open_collection(None, [alone])
    assert len(open_collection(None, [alone], images=root / "train" / "DCM").pictures) == 2
    assert open_collection(None).pictures == {}


def test_a_damaged_picture_stays_in_the_list(tmp_path: Path) -> None:
    root = write_competition(tmp_path / "set", 1, size=SIZE, tests=0)
    bad = sorted(root.rglob("*.png"))[0]
    bad.write_bytes(bad.read_bytes()[:40])
    made = studio(tmp_path, root)
    rows = made.list(Query())["rows"]
    assert len(rows) == 2
    assert sum(row["width"] is None for row in rows) == 1
    key = next(row["id"] for row in rows if row["width"] is None)
    with pytest.raises(ImageError):
        made.thumb(key)[1]()


def test_a_list_of_ten_thousand_is_sorted_as_the_slow_way_sorts_it(made: Studio) -> None:
    """Whatever is asked, against a plain sort of plain rows."""
    generator, count = np.random.default_rng(3), 10_000
    pictures = [
        Picture(
            f"{k:016x}",
            f"{chr(97 + k % 7)}/Picture {k * 7919 % count}.png",
            Path("x"),
            f"S{k // 2}",
            "R" if k % 2 else "L",
        )
        for k in range(count)
    ]
    index = Index(SCHEMA, made.reader, pictures, ["truth", PREDICTED], made.lexicon.codes)
    for values in (index.said[PREDICTED].confidence, index.said[PREDICTED].area):
        values[:] = generator.integers(0, 50, values.shape) / 50
        values[generator.random(values.shape) < 0.1] = np.nan
        values[::50] = np.nan
    dices = generator.integers(0, 50, (count, len(SCHEMA))) / 50
    index.dice["truth", PREDICTED] = dices.astype(np.float32)
    index.dice["truth", PREDICTED][::37] = np.nan
    index.facts.height[:], index.facts.width[:] = 100, 100
    index.said[PREDICTED].flags = [("doubtful",) if k % 3 else () for k in range(count)]
    corrected = {one.name: 1 for one in pictures[::11]}
    listing = Listing(index, {}, corrected)
    arrays = {"score": index.dice["truth", PREDICTED], "confidence": index.said[PREDICTED].confidence}
    chance = random.Random(5)
    for _ in range(12):
        query = Query(
            sort=chance.choice(["name", "score", "confidence"]),
            descending=chance.random() < 0.5,
            bone=chance.choice(["", "Lunate"]),
            source=PREDICTED,
            side=chance.choice(["", "L"]),
            flag=chance.choice(["", "doubtful"]),
            search=chance.choice(["", "C/PICTURE 1"]),
            corrected=chance.choice([None, True, False]),
            offset=chance.choice([0, 150]),
        )

        def value(k: int, query: Query = query) -> float | None:
            row = arrays[query.sort][k].astype(np.float64)
            told = row[[SCHEMA.index(query.bone)]] if query.bone else row[np.isfinite(row)]
            mean = float(np.float32(np.float32(told.astype(np.float32).sum()) / len(told))) if len(told) else math.nan
            return None if math.isnan(mean) else mean

        fits = [
            k
            for k, one in enumerate(pictures)
            if (not query.side or one.side == query.side)
            and (not query.flag or "doubtful" in index.said[PREDICTED].flags[k])
            and query.search.lower() in one.name.lower()
            and (query.corrected is None or (one.name in corrected) == query.corrected)
        ]
        fits.sort(key=lambda k: pictures[k].name.casefold(), reverse=query.sort == "name" and query.descending)
        if query.sort != "name":
            sign = -1 if query.descending else 1
            means = {k: value(k) for k in fits}
            rounded = {k: v if v is None else round(v, 4) for k, v in means.items()}
            fits.sort(key=lambda k: (rounded[k] is None, sign * (rounded[k] or 0.0)))
        total, rows = listing.select(query)
        assert total == len(fits)
        page = fits[query.offset : query.offset + query.limit]
        if query.sort == "name":
            assert [row["id"] for row in rows] == [pictures[k].id for k in page]
        else:  # ties of rounded numbers may fall either way in float32
            assert [row[query.sort] for row in rows] == [rounded[k] for k in page]
            assert len({row["id"] for row in rows}) == len(rows)


def test_the_hand_that_is_meant() -> None:
    def hand(left: int, side: Any, sure: float) -> SeenHand:
        bone = Region(10, left, np.ones((20, 20), bool))
        return SeenHand(Segmentation(SCHEMA, (SIZE, SIZE), {"Radius": bone}), side, sure)

    one, two = hand(0, "R", 0.5), hand(60, "L", 0.9)
    both = [one, two]
    assert hand_for(both, None, None, alone=False) is two.bones
    assert hand_for(both, None, "R", alone=False) is one.bones
    assert hand_for(both, (5, 10, 30, 40), "L", alone=False) is one.bones
    assert hand_for(both, (100, 100, 120, 120), "R", alone=False) is one.bones
    nothing = hand_for(both, (100, 100, 120, 120), "R", alone=True)
    assert not nothing.regions
    assert nothing.notes == ("no hand found at this place of the film",)


def test_hands_of_a_film_are_kept(tmp_path: Path) -> None:
    boxes = ((0, 0, 40, 90), (50, 0, 100, 90))
    hands = [FilmHand("film_left.png", 1, boxes, "L"), FilmHand("film_right.png", 2, boxes, "R")]
    film = tmp_path / "film.png"
    assert read_hands(film) == []
    write_hands(film, hands)
    assert read_hands(film) == hands
    assert hands[0].window(None, (100, 120)) == (0, 0, 45, 95)
    assert hands[1].window((48, 0, 60, 95), (100, 120)) == (44, 0, 106, 100)
    for text in ("{", "[]", "[1]", '[{"name": "../x", "number": 1, "boxes": [[0,0,1,1]], "side": null}]'):
        (tmp_path / "film.png.hands.json").write_text(text)
        assert read_hands(film) == []
