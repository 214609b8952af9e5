"""The trip behind ``ossa phantom``: the same pictures however the work is cut, and no folder spoilt."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

pytest.importorskip("numba")

from ossa.cli import cli
from ossa.dataset.dataset import open_dataset
from ossa.errors import AnatomyError, ConfigError
from ossa.pipeline.phantom import make_phantoms
from ossa.schema import load_schema

SIZE = 96


def content(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three phantoms made in one go by one process."""
    folder = tmp_path_factory.mktemp("phantoms") / "three"
    made = make_phantoms(folder, 3, seed=5, size=SIZE, processes=1)
    assert (made.made, made.kept) == (3, 0)
    return folder


def test_it_is_a_data_set_of_the_competitions_layout(three: Path) -> None:
    dataset = open_dataset(three)
    assert dataset.format == "competition"
    assert not dataset.problems
    assert [case.subject for case in dataset] == ["ID001", "ID001", "ID002"]
    assert len(dataset.labelled) == 3
    for case in dataset:
        assert case.side in ("L", "R")
        radiograph = case.radiograph()
        assert max(radiograph.shape) == SIZE
        segmentation = case.segmentation(load_schema(), radiograph.shape)
        assert len(segmentation) >= 10
        # Bone is where the picture is bright: the truth belongs to this picture.
        plane = segmentation.bits().max(axis=0) > 0
        assert radiograph.pixels[plane].mean() > radiograph.pixels[~plane].mean()


def test_continued_in_parallel_it_is_the_same(three: Path, tmp_path: Path) -> None:
    folder = tmp_path / "p"
    make_phantoms(folder, 1, seed=5, size=SIZE, processes=1)
    picture = next((folder / "train" / "DCM").rglob("*.png"))
    before = picture.stat().st_mtime_ns
    made = make_phantoms(folder, 3, seed=5, size=SIZE, processes=2)
    assert (made.made, made.kept) == (2, 1)
    assert picture.stat().st_mtime_ns == before
    assert content(folder) == content(three)


def test_a_picture_that_was_lost_is_made_again(three: Path, tmp_path: Path) -> None:
    folder = tmp_path / "p"
    make_phantoms(folder, 2, seed=5, size=SIZE, processes=1)
    for path in (folder / "train" / "DCM").rglob("*_000001_*.png"):
        path.unlink()
    assert make_phantoms(folder, 2, seed=5, size=SIZE, processes=1).made == 1
    assert content(folder).items() <= content(three).items()


def test_another_seed_gives_other_hands(three: Path, tmp_path: Path) -> None:
    make_phantoms(tmp_path / "p", 1, seed=6, size=SIZE, processes=1)
    ours = {v for k, v in content(tmp_path / "p").items() if k.endswith(".png")}
    assert not ours & set(content(three).values())


def test_other_settings_are_refused(three: Path) -> None:
    before = content(three)
    with pytest.raises(ConfigError, match=r"begun with other settings; found size 96; expected size 64"):
        make_phantoms(three, 3, seed=5, size=64)
    assert content(three) == before


def test_a_folder_with_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(ConfigError, match=r"holds something else; found thesis\.tex"):
        make_phantoms(tmp_path, 1, size=SIZE)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_spoilt_record_is_told(tmp_path: Path) -> None:
    (tmp_path / "phantoms.json").write_text("{")
    with pytest.raises(ConfigError, match="record of the folder"):
        make_phantoms(tmp_path, 1, size=SIZE)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"count": 0}, "number of phantoms"),
        ({"seed": -1}, "seed is out of range"),
        ({"size": 8}, "found 8 px"),
        ({"size": 100_000}, "64 to 8192 px"),
        ({"processes": 0}, "number of processes"),
    ],
)
def test_settings_out_of_range(tmp_path: Path, change: dict[str, int], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        make_phantoms(tmp_path / "p", **({"count": 1} | change))  # type: ignore[arg-type]
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize("processes", [1, 2])
def test_a_missing_anatomy_is_told(tmp_path: Path, processes: int) -> None:
    with pytest.raises(AnatomyError, match="nowhere"):
        make_phantoms(tmp_path / "p", 2, size=SIZE, anatomies=(tmp_path / "nowhere",), processes=processes)


def test_the_command(tmp_path: Path) -> None:
    arguments = ["phantom", str(tmp_path / "p"), "-n", "1", "--size", str(SIZE), "-j", "1"]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0, result.output
    assert "1 phantoms made" in result.stdout
    assert "1 were there already" in CliRunner().invoke(cli, arguments).stdout
    assert json.loads((tmp_path / "p" / "phantoms.json").read_text())["seed"] == 1
