"""Curves and summary."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path

import pytest

pytest.importorskip("torch")

from hypothesis import given, settings
from hypothesis import strategies as st

from ossa.pages.run import FoldFigures, chart, read_curves, ticks, write_curves, write_summary

numbers = st.floats(-1e6, 1e6).map(lambda v: round(v, 6))


@settings(max_examples=100, deadline=None)
@given(numbers, numbers, st.integers(2, 8))
def test_ticks_cover_the_range_in_round_even_steps(a: float, b: float, count: int) -> None:
    low, high = min(a, b), max(a, b)
    found = ticks(low, high, count)
    assert len(found) >= 2
    assert found[0] <= low + 1e-9 * max(1, abs(low))
    assert found[-1] >= high - 1e-9 * max(1, abs(high))
    assert len(found) <= 3 * count + 3
    steps = [y - x for x, y in pairwise(found)]
    assert max(steps) == pytest.approx(min(steps), rel=1e-6, abs=1e-9)


def test_ticks_of_a_learning_rate_that_has_faded_are_apart() -> None:
    found = ticks(1e-17, 4e-13, 5)
    assert found[0] <= 1e-17
    assert found[-1] >= 4e-13
    assert len(set(found)) == len(found) >= 2


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 50), st.one_of(numbers, st.just(math.nan))), max_size=20))
def test_a_chart_is_well_formed_svg_inside_its_frame(points: list[tuple[int, float]]) -> None:
    text = chart("Loss & <more>", [("fold 0", [(float(x), y) for x, y in sorted(points)])])
    root = ET.fromstring(text)
    for circle in root.iter("{http://www.w3.org/2000/svg}circle"):
        assert 0 <= float(circle.attrib["cx"]) <= 460
        assert 0 <= float(circle.attrib["cy"]) <= 260


def test_metrics_are_read_by_epoch_and_losses_of_steps_by_step(tmp_path: Path) -> None:
    rows = ("epoch,step,train/loss_step,val/dice", "1,3,5,", "1,3,,0.25", "2,5,,0.3", "2,5,4,", "3,7,,nan")
    (tmp_path / "metrics.csv").write_text("\n".join(rows) + "\n")
    curves = read_curves(tmp_path)
    assert curves.get("val/dice")[:2] == [(1, 0.25), (2, 0.3)]
    assert math.isnan(curves.get("val/dice")[2][1])
    assert curves.get("train/loss_step") == [(3, 5.0), (5, 4.0)]
    assert curves.get("nothing") == []
    assert read_curves(tmp_path / "absent").get("val/dice") == []


def test_summary_names_everything_and_escapes(tmp_path: Path) -> None:
    curves = read_curves(tmp_path)
    fold = FoldFigures("fold 0", 0.9, 3, {"Radius": 0.95, "Ulna": math.nan}, curves, "bundle0")
    data = {"sha256": "ab" * 32, "samples": 3}
    run = {"started": "now", "versions": {"torch": "2"}, "git": None, "data": data}
    write_summary(tmp_path / "s.html", "a<b", [fold], "name: x<y\n", {"runs": [run]}, ["a note"])
    text = (tmp_path / "s.html").read_text()
    for part in ("a&lt;b", "x&lt;y", "0.9000", "Radius", "not annotated", "bundle0", "a note", "no git"):
        assert part in text
    write_curves(tmp_path / "c.svg", [fold])
    ET.fromstring((tmp_path / "c.svg").read_text())
