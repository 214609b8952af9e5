"""Pictures of results: every pixel's colour where it can be foretold, and what must be seen."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from helpers_known import known
from ossa.errors import OutputError
from ossa.export import overlay as o
from ossa.radiograph.radiograph import Provenance, Radiograph
from ossa.schema import load_schema
from ossa.segmentation.segmentation import Region, Segmentation

SCHEMA = load_schema()
SHAPE = (120, 160)


def box(top: int, left: int, height: int, width: int) -> Region:
    return Region(top, left, np.ones((height, width), bool))


def hand(**regions: Region) -> Segmentation:
    return Segmentation(SCHEMA, SHAPE, regions)


def grey(value: int = 100) -> Radiograph:
    return Radiograph(np.full(SHAPE, value, np.uint8))


def near(pixel: np.ndarray, colour: tuple[float, ...], slack: float = 2) -> bool:
    return bool(np.all(np.abs(pixel.astype(float) - colour) <= slack))


def drawn(pixel: np.ndarray, colour: tuple[float, ...]) -> bool:
    """On a line: its anti-aliased middle takes about nine tenths of the colour."""
    return near(pixel, colour, 25)


def test_inside_is_tinted_outline_is_full_and_outside_is_kept() -> None:
    picture = o.overlay(grey(), hand(Lunate=box(20, 30, 40, 50)))
    colour = np.array(SCHEMA.bone("Lunate").colour, float)
    assert picture.shape == (*SHAPE, 3)
    assert picture.dtype == np.uint8
    assert near(picture[40, 55], tuple((1 - o.FILL) * 100 + o.FILL * colour))
    assert drawn(picture[20, 50], tuple(colour))
    assert drawn(picture[59, 50], tuple(colour))
    assert drawn(picture[40, 30], tuple(colour))
    for y, x in ((5, 5), (62, 50), (40, 27), (119, 159)):
        assert near(picture[y, x], (100, 100, 100))


def test_both_bones_are_seen_where_they_overlap() -> None:
    """Each one's outline runs on over the other, and the shared part is of neither's tint."""
    first, second = box(20, 20, 50, 60), box(40, 50, 50, 60)
    picture = o.overlay(grey(), hand(Triquetrum=first, Pisiform=second))
    one, other = (SCHEMA.bone(name).colour for name in ("Triquetrum", "Pisiform"))
    assert drawn(picture[69, 65], one)  # the lower side of the first, inside the second
    assert drawn(picture[40, 65], other)  # the upper side of the second, inside the first
    alone_one, alone_other, both = picture[30, 30], picture[80, 100], picture[55, 65]
    assert not near(both, tuple(alone_one))
    assert not near(both, tuple(alone_other))


def test_the_radiograph_is_not_changed() -> None:
    radiograph = grey()
    o.overlay(radiograph, hand(Ulna=box(0, 0, 120, 160)))
    assert (radiograph.pixels == 100).all()


def test_sixteen_bits_are_windowed() -> None:
    ramp = np.repeat(np.linspace(3000, 9000, 160).astype(np.uint16)[None], 120, axis=0)
    picture = o.grey_picture(Radiograph(ramp))
    assert picture[0, 0, 0] <= 2
    assert picture[0, -1, 0] >= 253
    assert 120 < picture[0, 80, 0] < 136
    flat = o.grey_picture(Radiograph(np.full(SHAPE, 40000, np.uint16)))
    assert (flat == flat[0, 0]).all()


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".JPEG"])
def test_what_is_written_is_the_picture(tmp_path: Path, suffix: str) -> None:
    found = hand(Lunate=box(20, 30, 40, 50))
    o.write_overlay(tmp_path / f"a{suffix}", grey(), found)
    back = known(cv2.imread(str(tmp_path / f"a{suffix}")))[:, :, ::-1].astype(float)
    gap = np.abs(back - o.overlay(grey(), found))
    assert gap.max() == 0 if suffix == ".png" else gap.mean() < 3
    assert [p.name for p in tmp_path.iterdir()] == [f"a{suffix}"]


def test_bad_output_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"\.png or \.jpg"):
        o.write_overlay(tmp_path / "a.tif", grey(), hand())
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="folder"):
        o.write_overlay(tmp_path / "file" / "a.png", grey(), hand())


def test_sizes_must_agree() -> None:
    small = Radiograph(np.zeros((100, 160), np.uint8), provenance=Provenance(path="x.png"))
    with pytest.raises(OutputError, match=r"x\.png.*100x160.*120x160"):
        o.overlay(small, hand())
