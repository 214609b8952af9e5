"""The whole trip: folder in, folder out, stopped and continued, one bad file left out."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from helpers_dataset import SCHEMA, write_competition
from helpers_dicom import dataset
from helpers_dicom import save as save_dicom
from helpers_films import film
from helpers_rrdb import rrdb_file

pytest.importorskip("torch")
if find_spec("spandrel") is None:  # imported by ossa itself, which mends torchvision first
    pytest.skip("spandrel is not installed", allow_module_level=True)

from ossa.cli import cli
from ossa.dataset.dataset import open_dataset
from ossa.errors import InputError, OutputError
from ossa.pipeline.super_resolve import RECORD, super_resolve
from ossa.radiograph.read import read_radiograph
from ossa.radiograph.superres import Tiling

FILM = film(80)
TILES: dict[str, Any] = {"tile": 40, "overlap": 8}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "in"
    for name in ("ID001/a_R.png", "ID002/b.png", "c.jpg", "c.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(root / name), FILM)
    save_dicom(root / "d.dcm", dataset(FILM.astype(np.uint16) * 16, bits=12))
    return root


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return rrdb_file(tmp_path / "x2.pth")


def test_labels_of_a_data_set_come_along(weights: Path, tmp_path: Path) -> None:
    root = write_competition(tmp_path / "data", subjects=1, size=64, tests=0)
    result = super_resolve(root, tmp_path / "out", weights, **TILES, device="cpu")
    assert (result.made, result.labelled) == (2, 2)
    for old, new in zip(open_dataset(root).labelled, open_dataset(tmp_path / "out").labelled, strict=True):
        assert (old.subject, old.id, old.truth(SCHEMA).outlines.keys()) == (
            new.subject,
            new.id,
            new.truth(SCHEMA).outlines.keys(),
        )


def test_folders_and_names_are_kept(source: Path, weights: Path, tmp_path: Path) -> None:
    told: list[str] = []
    result = super_resolve(source, tmp_path / "out", weights, **TILES, device="cpu", tell=told.append)
    assert (result.made, result.kept, result.skipped) == (5, 0, ())
    files = sorted(p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.png"))
    assert files == ["ID001/a_R.png", "ID002/b.png", "c.png", "c.png.png", "d.png"]
    made = read_radiograph(tmp_path / "out" / "ID001" / "a_R.png")
    assert made.shape == FILM.shape
    assert made.pixels.dtype == np.uint8
    assert read_radiograph(tmp_path / "out" / "d.png").pixels.dtype == np.uint16
    assert told[0].startswith("5 pictures to make: ESRGAN x2 on cpu, about ")


def test_a_stopped_run_continues(source: Path, weights: Path, tmp_path: Path) -> None:
    whole = super_resolve(source, tmp_path / "whole", weights, **TILES, device="cpu")

    class Stop(Exception):
        pass

    def stop(items, total, what):
        for number, item in enumerate(items):
            if number == 10:
                raise Stop
            yield item

    with pytest.raises(Stop):
        super_resolve(source, tmp_path / "out", weights, **TILES, device="cpu", track=stop)
    done = list((tmp_path / "out").rglob("*.png"))
    assert 0 < len(done) < whole.made
    stamps = {path: path.stat().st_mtime_ns for path in done}
    told: list[str] = []
    result = super_resolve(source, tmp_path / "out", weights, **TILES, device="cpu", tell=told.append)
    assert (result.kept, result.made) == (len(done), whole.made - len(done))
    assert f"{len(done)} are there already" in told[0]
    assert {path: path.stat().st_mtime_ns for path in done} == stamps
    for path in (tmp_path / "whole").rglob("*.png"):
        assert path.read_bytes() == (tmp_path / "out" / path.relative_to(tmp_path / "whole")).read_bytes()
    assert not list((tmp_path / "out").rglob("*.part"))
    again = super_resolve(source, tmp_path / "out", weights, **TILES, device="cpu", tell=told.append)
    assert (again.kept, again.made) == (whole.made, 0)
    assert told[-1].startswith("No picture to make")


def test_every_tile_is_counted(source: Path, weights: Path, tmp_path: Path) -> None:
    seen: list[int] = []

    def count(items, total, what):
        seen.extend([total, sum(1 for _ in items)])
        yield from ()

    super_resolve(source, tmp_path / "out", weights, **TILES, device="cpu", track=count)
    assert seen == [20, 20]


def test_other_settings_need_another_folder(source: Path, weights: Path, tmp_path: Path) -> None:
    super_resolve(source / "c.png", tmp_path / "out", weights, **TILES, device="cpu")
    with pytest.raises(OutputError, match=r"x2.pth, other sha256"):
        super_resolve(source, tmp_path / "out", rrdb_file(tmp_path / "x4.pth", 4), **TILES, device="cpu")
    with pytest.raises(OutputError, match="other tile, overlap"):
        super_resolve(source, tmp_path / "out", weights, device="cpu")
    (tmp_path / "out" / RECORD).write_text("[]")
    with pytest.raises(OutputError, match="an unknown file"):
        super_resolve(source, tmp_path / "out", weights, **TILES, device="cpu")


def test_bad_pictures_are_left_out(source: Path, weights: Path, tmp_path: Path) -> None:
    (source / "text.png").write_text("not a picture")
    whole = (source / "c.png").read_bytes()
    broken = bytearray(whole)
    broken[len(broken) // 2] ^= 255
    (source / "broken.png").write_bytes(broken)
    result = super_resolve(source, tmp_path / "out", weights, **TILES, device="cpu")
    assert result.made == 5
    assert {path.name for path, _ in result.skipped} == {"text.png", "broken.png"}


def test_the_sources_are_never_replaced(source: Path, weights: Path) -> None:
    with pytest.raises(OutputError, match="would replace the picture itself"):
        super_resolve(source, source, weights, device="cpu")
    with pytest.raises(OutputError, match="would replace the picture itself"):
        super_resolve(source / "c.png", source, weights, device="cpu")


def test_an_empty_folder(tmp_path: Path, weights: Path) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(InputError, match="no radiograph was found"):
        super_resolve(tmp_path / "in", tmp_path / "out", weights)


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "1 s"), (80, "80 s"), (600, "10 min"), (9000, "2.5 h"), (864000, "10.0 days")]
)
def test_durations(seconds: float, words: str) -> None:
    from ossa.pipeline.super_resolve import _duration

    assert _duration(seconds) == words


def test_a_long_job_on_the_cpu_is_told(source: Path) -> None:
    from ossa.pipeline.super_resolve import _estimate

    class Slow:
        architecture, scale, device = "ESRGAN", 4, "cpu"

        def __call__(self, grey: np.ndarray) -> np.ndarray:
            import time

            time.sleep(0.01)
            return grey

    sentence = _estimate(Slow(), {source / str(i): (4000, 4000) for i in range(200)}, Tiling(40, 8), 0)
    assert "h. On a GPU (--device cuda)" in sentence or "days. On a GPU" in sentence


def test_command(source: Path, weights: Path, tmp_path: Path) -> None:
    (source / "text.png").write_text("not a picture")
    arguments = ["prepare", "super-resolve", str(source), str(tmp_path / "out"), "--weights", str(weights)]
    result = CliRunner().invoke(cli, [*arguments, "--tile", "40", "--overlap", "8", "--device", "cpu"])
    assert result.exit_code == 1, result.output
    assert "5 pictures made, 1 left out" in result.output
    assert "text.png: is not a picture" in result.output
    result = CliRunner().invoke(cli, [*arguments, "--tile", "41"])
    assert result.exit_code == 2
    assert "a multiple of 8" in result.output
