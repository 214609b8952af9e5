"""Tables, JSON, spacing, left against right, drawings."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helpers_hands import SHAPE, made_hand, mirrored
from ossa.errors import ConfigError, InputError, OutputError
from ossa.export.measured import draw_measurements, panel, write_measured
from ossa.measurement.files import from_json, read_measurements, to_json, write_measurements
from ossa.measurement.measure import measure_hand
from ossa.measurement.sides import compare_sides
from ossa.measurement.spacing import KnownLength, chosen_spacing, spacing_by_user, spacing_from
from ossa.measurement.tables import BONE_COLUMNS, HAND_COLUMNS, bone_rows, csv_text, hand_row
from ossa.measurement.types import ROWS, HandMeasurements
from ossa.radiograph.radiograph import Aspect, Radiograph, Spacing
from ossa.segmentation.origin import Model, Origin

FILM = Radiograph(np.tile(np.linspace(0, 200, SHAPE[1]).astype(np.uint8), (SHAPE[0], 1)))

ORIGIN = Origin("1.0", (Model("mine", files={"model.onnx": "ab" * 32}),))


@pytest.fixture(scope="module")
def right() -> HandMeasurements:
    return measure_hand(replace(made_hand(), origin=ORIGIN), FILM, name="right", spacing=Spacing(0.1, 0.1, "user"))


@pytest.fixture(scope="module")
def left() -> HandMeasurements:
    return measure_hand(mirrored(made_hand()), FILM, name="left", spacing=Spacing(0.1, 0.1, "user"))


def test_a_file_gives_back_what_was_written(right: HandMeasurements, tmp_path: Path) -> None:
    write_measurements(tmp_path / "a.json", right)
    again = read_measurements(tmp_path / "a.json")
    assert to_json(again) == to_json(right)
    assert again.origin == ORIGIN
    assert again.spacing == right.spacing
    assert [(one.name, one.bone, one.unit, one.reason) for one in again] == [
        (one.name, one.bone, one.unit, one.reason) for one in right
    ]


@pytest.mark.parametrize("change", [{"kind": "another"}, {"measurements": [{"name": "length"}]}, {"spacing_mm": 3}])
def test_what_is_no_such_file_is_refused(right: HandMeasurements, change: dict[str, object]) -> None:
    with pytest.raises(InputError, match="are no measurements of a hand"):
        from_json(to_json(right) | change)


def test_tables(right: HandMeasurements) -> None:
    bones = list(csv.DictReader(io.StringIO(csv_text(BONE_COLUMNS, bone_rows(right)))))
    assert [row["bone"] for row in bones] == list(right.schema.names)
    middle = next(row for row in bones if row["bone"] == "finger-11")
    assert float(middle["length"]) == pytest.approx(25, abs=0.2)
    assert float(middle["length_uncertainty"]) > 0
    assert (middle["unit"], middle["spacing_mm"], middle["spacing_source"]) == ("mm", "0.1", "user")
    radius = next(row for row in bones if row["bone"] == "Radius")
    assert (radius["found"], radius["cut"], radius["length"]) == ("yes", "yes", "")
    hand = next(csv.DictReader(io.StringIO(csv_text(HAND_COLUMNS, [hand_row(right)]))))
    assert float(hand["ulnar_variance"]) == pytest.approx(-1, abs=0.2)
    assert hand["bones_found"] == "29"
    assert hand["made_by"] == middle["made_by"] == "ossa 1.0, mine abababababab"
    odd = replace(right, name="=1+1\nx")
    assert next(csv.DictReader(io.StringIO(csv_text(HAND_COLUMNS, [hand_row(odd)]))))["hand"] == "'=1+1 x"


def test_a_data_frame(right: HandMeasurements) -> None:
    pytest.importorskip("pandas")
    frame = right.to_dataframe()
    assert list(frame.columns) == list(ROWS)
    assert len(frame) == len(right)


def test_left_against_right(left: HandMeasurements, right: HandMeasurements) -> None:
    found = compare_sides(left, right)
    numbers = [one for one in found if one.value is not None]
    assert len(numbers) > 100
    assert all(abs(one.value or 0) <= (one.uncertainty or 0) + 0.05 for one in numbers)
    assert not any(one.left.name == "axis_angle" for one in found)
    assert all(one.reason for one in found if one.value is None)
    row = numbers[0].row(left, right)
    assert (row["left_hand"], row["right_hand"]) == ("left", "right")
    in_px = (measure_hand(mirrored(made_hand()), name="l"), measure_hand(made_hand(), name="r"))
    assert "px of two films cannot be compared" in {one.reason for one in compare_sides(*in_px) if one.reason}.__str__()
    assert any(one.value is not None and one.left.unit == "px" for one in compare_sides(*in_px, same_film=True))
    with pytest.raises(ConfigError, match="a left and a right hand are compared"):
        compare_sides(right, left)


def test_spacing_by_the_user() -> None:
    assert spacing_by_user(0.15, 0.2) == Spacing(0.15, 0.2, "user")
    for bad in (0.0, -1.0, float("nan"), 400.0):
        with pytest.raises(ConfigError, match="no size of a pixel"):
            spacing_by_user(bad)


def test_a_known_length() -> None:
    assert spacing_from(KnownLength((100, 50), (400, 450), 50), FILM) == Spacing(0.1, 0.1, "known length of 50 mm")
    tall = replace(FILM, aspect=Aspect(2, 1))
    assert spacing_from(KnownLength((100, 50), (100, 150), 50), tall) == Spacing(0.5, 0.25, "known length of 50 mm")
    for bad in (KnownLength((0, 0), (2000, 0), 9), KnownLength((5, 5), (6, 5), 9), KnownLength((0, 0), (90, 0), 0)):
        with pytest.raises(ConfigError):
            spacing_from(bad, FILM)


def test_a_spacing_that_the_file_contradicts_is_told() -> None:
    film = replace(FILM, spacing=Spacing(0.15, 0.15, "PixelSpacing"))
    assert chosen_spacing(film) == (film.spacing, ())
    assert chosen_spacing(film, Spacing(0.155, 0.155, "user")) == (Spacing(0.155, 0.155, "user"), ())
    chosen, told = chosen_spacing(film, Spacing(0.3, 0.3, "user"))
    assert chosen == Spacing(0.3, 0.3, "user")
    assert "the file says 0.15 mm (PixelSpacing)" in told[0]


def test_drawings(right: HandMeasurements, tmp_path: Path) -> None:
    picture = draw_measurements(FILM, right)
    assert picture.shape[0] >= SHAPE[0]
    assert picture.shape[1] > SHAPE[1]
    base = np.repeat(FILM.pixels[:, :, None], 3, axis=2)
    assert (picture[: SHAPE[0], : SHAPE[1]] != base).any()
    write_measured(tmp_path / "a.png", FILM, right)
    assert (tmp_path / "a.png").stat().st_size > 1000
    variance = right.get("ulnar_variance")
    assert variance is not None
    assert panel(FILM, variance, 120).shape == (120, 120, 3)
    with pytest.raises(OutputError, match="not taken on this picture"):
        draw_measurements(Radiograph(np.zeros((50, 50), np.uint8)), right)
