"""Pictures of results: every pixel's colour where it can be foretold, and what must be seen."""

from pathlib import Path

import cv2
import numpy as np
import pytest

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


def test_the_difference_says_which_side_has_a_pixel() -> None:
    pred = hand(Ulna=box(20, 20, 40, 40), Radius=box(80, 20, 20, 20))
    truth = hand(Ulna=box(20, 30, 40, 40), Lunate=box(80, 100, 20, 20), Radius=box(100, 60, 10, 10))
    picture = o.difference(grey(0), pred, truth)
    extra, missed = (tuple(0.8 * np.array(c)) for c in (o.EXTRA, o.MISSED))
    assert near(picture[40, 24], extra)
    assert near(picture[40, 66], missed)
    assert near(picture[90, 30], extra)  # the whole bone: the truth has it elsewhere
    assert near(picture[105, 65], missed)
    assert near(picture[90, 110], missed)  # predicted nowhere
    assert near(picture[40, 45], (0, 0, 0))  # agreed
    assert drawn(picture[20, 50], (255, 255, 255))  # the truth's outline


def test_equal_results_have_no_difference() -> None:
    found = hand(Ulna=box(20, 20, 40, 40))
    picture = o.difference(grey(0), found, found)
    assert set(map(tuple, picture.reshape(-1, 3).tolist())) <= {(v, v, v) for v in range(256)}


def test_names_stand_beside_each_other() -> None:
    shape = (2200, 2200)
    picture = o.grey_picture(Radiograph(np.full(shape, 90, np.uint8)))
    middle = Region(1000, 1000, np.ones((60, 60), bool))
    o.write_names(picture, Segmentation(SCHEMA, shape, dict.fromkeys(("Pisiform", "Triquetrum", "Lunate"), middle)))
    rows = np.flatnonzero((picture > 240).any(axis=(1, 2)))
    assert np.count_nonzero(np.diff(rows) > 1) == 2  # three lines of white, not one upon the other
    assert rows[0] > 930
    assert rows[-1] < 1130


def test_names_at_the_border_stay_inside() -> None:
    picture = o.grey_picture(Radiograph(np.full((1500, 1500), 90, np.uint8)))
    corners = {"Radius": Region(0, 0, np.ones((4, 4), bool)), "Ulna": Region(1496, 1496, np.ones((4, 4), bool))}
    o.write_names(picture, Segmentation(SCHEMA, (1500, 1500), corners))
    white = (picture > 200).all(axis=2)
    assert white[:40, :120].sum() > 100
    assert white[1450:, 1400:].sum() > 100


def test_the_legend_shows_every_bone_in_its_colour() -> None:
    picture = o.legend(SCHEMA, 900)
    assert picture.shape[0] == 900
    assert picture.shape[1] < 500
    seen = set(map(tuple, picture.reshape(-1, 3).tolist()))
    assert {bone.colour for bone in SCHEMA.bones} <= seen
    both = o.with_legend(np.zeros((900, 700, 3), np.uint8), SCHEMA)
    assert both.shape == (900, 700 + picture.shape[1], 3)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".JPEG"])
def test_what_is_written_is_the_picture(tmp_path: Path, suffix: str) -> None:
    found = hand(Lunate=box(20, 30, 40, 50))
    o.write_overlay(tmp_path / f"a{suffix}", grey(), found)
    back = cv2.imread(str(tmp_path / f"a{suffix}"))[:, :, ::-1].astype(float)
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
    with pytest.raises(OutputError):
        o.difference(small, Segmentation(SCHEMA, (100, 160), {}), hand())
