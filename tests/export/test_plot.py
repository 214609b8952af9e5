"""Bones on matplotlib's axes."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from helpers_clinic import bones, film
from ossa.errors import MissingExtraError, SchemaError
from ossa.inference.prediction import Prediction
from ossa.radiograph.radiograph import Radiograph

matplotlib = pytest.importorskip("matplotlib")


@pytest.fixture
def prediction(monkeypatch: pytest.MonkeyPatch) -> Prediction:
    monkeypatch.setattr(matplotlib, "rcParams", matplotlib.rcParams.copy())
    matplotlib.use("agg")
    return Prediction.of(bones(), Radiograph(film()))


@pytest.fixture(autouse=True)
def closed() -> object:
    yield
    from matplotlib import pyplot

    pyplot.close("all")


def test_every_bone_lies_where_its_region_is(prediction: Prediction) -> None:
    axes = prediction.plot()
    assert len(axes.images) == 1
    assert [patch.get_label() for patch in axes.patches] == [prediction.schema.bone(n).title for n, _ in prediction]
    for (_, region), patch in zip(prediction, axes.patches, strict=True):
        box = patch.get_path().get_extents()
        assert np.allclose([box.x0, box.y0], [region.left, region.top], atol=1)
        assert np.allclose([box.x1, box.y1], [region.right - 1, region.bottom - 1], atol=1)
    # The first bone of the helper has a hole: its ring turns the other way, so that it is not filled.
    outer, hole = (ring[:-1] for ring in np.split(axes.patches[0].get_path().vertices, [5]))
    assert signed_area(outer) * signed_area(hole) < 0


def signed_area(ring: np.ndarray) -> float:
    x, y = ring.T
    return float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)) / 2)


def test_some_bones_with_their_names_on_given_axes(prediction: Prediction) -> None:
    from matplotlib import pyplot

    _, given = pyplot.subplots()
    axes = prediction.plot(given, ["Radius", "Ulna"], names=True, fill=0.0)
    assert axes is given
    assert [text.get_text() for text in axes.texts] == ["Radius", "Ulna"]
    assert {matplotlib.colors.to_rgba(patch.get_facecolor())[3] for patch in axes.patches} == {0.0}
    with pytest.raises(SchemaError, match="Radius"):
        prediction.plot(bones=["Radios"])


def test_without_a_radiograph_the_picture_has_its_size_all_the_same(prediction: Prediction) -> None:
    axes = Prediction.of(prediction, None).plot()  # type: ignore[arg-type]
    assert not axes.images
    assert axes.get_xlim() == (-0.5, 59.5)
    assert axes.get_ylim() == (89.5, -0.5)


def test_without_matplotlib_the_command_that_adds_it_is_told(
    prediction: Prediction, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'ossa\[plot\]'"):
        prediction.plot()


def test_a_table_with_and_without_pandas(prediction: Prediction, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = prediction.table()
    assert list(frame["bone"]) == list(prediction.regions)
    monkeypatch.setitem(sys.modules, "pandas", None)
    rows = prediction.table()
    assert [row["bone"] for row in rows] == list(prediction.regions)
    assert list(rows[0]) == list(frame.columns)
