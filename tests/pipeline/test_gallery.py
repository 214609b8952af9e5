"""The gallery's files: every picture, its scores and outlines; hostile names; what cannot be read."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from helpers_dataset import SCHEMA, draw, save_image, schematic_hand, segmentation, write_competition
from helpers_films import film
from ossa.dataset.dataset import open_dataset
from ossa.errors import ConfigError, ImageError, InputError, OutputError
from ossa.labels.competition import write_label
from ossa.labels.submission import write_submission
from ossa.pipeline.evaluate import evaluate
from ossa.pipeline.gallery import gallery, read_small
from ossa.segmentation.segmentation import Segmentation

SIZE = 192


def data_of(folder: Path) -> dict:
    text = (folder / "data.js").read_text(encoding="utf-8")
    return json.loads(text.removeprefix("window.OSSA = ").removesuffix(";\n"))


def item_of(folder: Path, file: str) -> dict:
    text = (folder / "items" / f"{file}.js").read_text(encoding="utf-8")
    return json.loads(text.split(",", 1)[1].removesuffix(");\n"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A data set, and a submission with one bone missing."""
    root = tmp_path_factory.mktemp("g") / "data"
    write_competition(root, subjects=2, size=SIZE, tests=1)
    rows = []
    for case in open_dataset(root).labelled:
        truth = case.segmentation(SCHEMA, (SIZE, SIZE))
        rows.append((case.id, Segmentation(SCHEMA, truth.shape, {n: r for n, r in truth if n != "Lunate"})))
    write_submission(root.parent / "pred.csv", rows)
    return root, root.parent / "pred.csv"


def test_scores_are_those_of_evaluate(made: tuple[Path, Path], tmp_path: Path) -> None:
    root, pred = made
    written = gallery([root, pred], tmp_path / "g")
    assert written.pictures == 4
    assert not written.failed
    data = data_of(tmp_path / "g")
    assert [(one["id"], one["title"]) for one in data["sources"]] == [("truth", "Truth"), ("set0", "pred.csv")]
    expected = evaluate(pred, root).scores
    for item in data["items"]:
        row = expected.values["dice"][expected.images.index(item["name"])]
        assert item["dice"] == {"set0|truth": [round(1000 * v) for v in row.tolist()]}
        assert item["flags"] == ["missing: Lunate"]
        assert item["side"] in ("L", "R")
        assert cv2.imread(str(tmp_path / "g" / "thumbs" / f"{item['file']}.jpg")) is not None
        shown = np.frombuffer(base64.b64decode(item_of(tmp_path / "g", item["file"])["image"]), np.uint8)
        decoded = cv2.imdecode(shown, cv2.IMREAD_GRAYSCALE)
        assert decoded is not None
        assert decoded.shape == (SIZE, SIZE)
    sides = {item["name"]: item["side"] for item in data["items"]}
    assert all(side == name.split("_")[1][0] for name, side in sides.items() if "_" in name)


def test_outlines_fill_to_the_bones(made: tuple[Path, Path], tmp_path: Path) -> None:
    """What the page draws is the region, at the accuracy of a screen."""
    gallery([made[0]], tmp_path / "g")
    data = data_of(tmp_path / "g")
    truths = {c.id: c.segmentation(SCHEMA, (SIZE, SIZE)) for c in open_dataset(made[0]).labelled}
    labelled = [item for item in data["items"] if item["name"] in truths]
    assert len(labelled) == 4
    for item in labelled:
        bones = item_of(tmp_path / "g", item["file"])["bones"]["truth"]
        for i, name in enumerate(SCHEMA.names):
            drawn = np.zeros((SIZE, SIZE), np.uint8)
            rings = [np.array(ring).reshape(-1, 2) / data["quantum"] for ring in bones[str(i)]]
            cv2.fillPoly(drawn, [np.rint(r).astype(np.int32) for r in rings], 1)
            plane = truths[item["name"]].plane(name)
            assert 2 * (drawn.astype(bool) & plane).sum() / (drawn.sum() + plane.sum()) > 0.93


def test_several_submissions_without_a_truth_are_compared_with_each_other(
    made: tuple[Path, Path], tmp_path: Path
) -> None:
    root, pred = made
    other = tmp_path / "other.csv"
    write_submission(other, [(c.id, c.segmentation(SCHEMA, (SIZE, SIZE))) for c in open_dataset(root).labelled])
    gallery([pred, other], tmp_path / "g", images=root)
    data = data_of(tmp_path / "g")
    assert [one["kind"] for one in data["sources"]] == ["predictions", "predictions"]
    assert list(data["items"][0]["dice"]) == ["set0|set1"]
    agreement = data["items"][0]["dice"]["set0|set1"]
    assert agreement[SCHEMA.index("Lunate")] == 0
    assert agreement[SCHEMA.index("Radius")] == 1000


def test_hostile_names_and_broken_pictures(tmp_path: Path) -> None:
    root = tmp_path / "set"
    outlines = schematic_hand(SIZE)
    name = "x'<img src=x onerror=alert(1)>&\u2028"
    save_image(root / f"{name}.png", draw(outlines, SIZE))
    write_label(root / f"{name}.json", segmentation(outlines, SIZE), name)
    (root / "broken.png").write_bytes(b"not a picture")
    save_image(root / "badlabel.png", draw(outlines, SIZE))
    (root / "badlabel.json").write_text('{"annotations": [{"label": "finger-99", "points": [[1,1],[2,2],[1,2]]}]}')
    written = gallery([root], tmp_path / "g", title="</title><script>alert(3)</script>")
    assert sorted(n for n, _ in written.failed) == ["badlabel.png", "broken.png"]
    for name_, reason in written.failed:
        assert reason.count(str(root / Path(name_).stem)) == 1  # the path once
    data = data_of(tmp_path / "g")
    items = {item["name"]: item for item in data["items"]}
    assert f"{name}.png" in items
    assert "cannot be read" in items["broken.png"]["flags"]
    assert any(
        flag.startswith("truth cannot be read") and "finger-99" in flag for flag in items["badlabel.png"]["flags"]
    )
    text = (tmp_path / "g" / "data.js").read_text(encoding="utf-8")
    assert "<" not in text
    assert "\u2028" not in text
    files = {p.name for p in (tmp_path / "g").rglob("*") if p.is_file()}
    assert not [f for f in files if "onerror" in f]


def test_results_without_pictures_are_refused(made: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--images"):
        gallery([made[1]], tmp_path / "g")
    with pytest.raises(ConfigError, match="size"):
        gallery([made[0]], tmp_path / "g", size=3)


def test_pictures_of_one_name_are_told_apart(tmp_path: Path) -> None:
    outlines = schematic_hand(SIZE)
    for side, label in (("left", outlines), ("right", {"Radius": outlines["Radius"]})):
        save_image(tmp_path / "set" / side / "hand.png", draw(outlines, SIZE))
        write_label(tmp_path / "set" / side / "hand.json", segmentation(label, SIZE), "hand.png")
    write_submission(
        tmp_path / "p.csv", [(f"{side}/hand.png", segmentation(outlines, SIZE)) for side in ("left", "right")]
    )
    gallery([tmp_path / "p.csv"], tmp_path / "g", truth=tmp_path / "set")
    items = data_of(tmp_path / "g")["items"]
    assert [item["name"] for item in items] == ["left/hand.png", "right/hand.png"]
    whole = [item["dice"]["set0|truth"] for item in items]
    assert all(value == 1000 for value in whole[0])
    assert whole[1][SCHEMA.index("Radius")] == 1000
    assert whole[1][SCHEMA.index("Ulna")] == 0


def test_a_smaller_gallery_leaves_nothing_of_a_larger_one(made: tuple[Path, Path], tmp_path: Path) -> None:
    gallery([made[0]], tmp_path / "g", size=128)
    large = {p.relative_to(tmp_path / "g").as_posix() for p in (tmp_path / "g").rglob("*") if p.is_file()}
    (tmp_path / "g" / "items" / ".000099.js.ossa-part").write_text("half")
    single = tmp_path / "one"
    single.mkdir()
    outlines = schematic_hand(SIZE)
    save_image(single / "a.png", draw(outlines, SIZE))
    write_label(single / "a.json", segmentation(outlines, SIZE), "a.png")
    gallery([single], tmp_path / "g", size=128)
    small = {p.relative_to(tmp_path / "g").as_posix() for p in (tmp_path / "g").rglob("*") if p.is_file()}
    assert small < large
    assert [name for name in small if "/" in name] == [n for n in small if "000000" in n]
    assert len(data_of(tmp_path / "g")["items"]) == 1


def test_a_gallery_never_falls_among_what_it_shows(made: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(made[0])
    for output in (made[0], made[0].parent, tmp_path / "link", made[0] / "train"):
        with pytest.raises(OutputError, match="one of the inputs"):
            gallery([made[0], made[1]], output)
    gallery([made[0]], made[0] / "gallery", size=128)
    gallery([made[0]], made[0] / "gallery", size=128)
    shutil.rmtree(made[0] / "gallery")


def test_a_killed_run_leaves_no_page_of_other_pictures(
    made: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery([made[0]], tmp_path / "g", size=128)

    def stops(_: object) -> str:
        raise SystemExit

    monkeypatch.setattr("ossa.pages.gallery.script_json", stops)
    with pytest.raises(SystemExit):
        gallery([made[0]], tmp_path / "g", size=256)
    assert not (tmp_path / "g" / "index.html").exists()


def test_pictures_are_read_as_every_command_reads_them(tmp_path: Path) -> None:
    """A negative is turned over, a film of 12 bits is no black page, a damaged file is told and not half shown."""
    upright = film(384)
    kinds = {
        "negative.png": cv2.imencode(".png", 255 - upright)[1],
        "deep.png": cv2.imencode(".png", upright.astype(np.uint16) * 16)[1],
        "plain.png": cv2.imencode(".png", upright)[1],
    }
    for name, data in kinds.items():
        (tmp_path / name).write_bytes(data.tobytes())
        found = read_small(tmp_path / name)
        assert np.corrcoef(found.astype(float).ravel(), upright.ravel())[0, 1] > 0.999, name
    large = cv2.resize(upright, (1700, 1700))
    (tmp_path / "large.png").write_bytes(cv2.imencode(".png", large)[1].tobytes())
    assert read_small(tmp_path / "large.png").shape == (850, 850)
    (tmp_path / "cut.png").write_bytes(kinds["plain.png"].tobytes()[:-500])
    with pytest.raises(ImageError, match="truncated"):
        read_small(tmp_path / "cut.png")
