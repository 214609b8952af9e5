"""Drawings of bones: what is in the truth is drawn, by seed."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

pytest.importorskip("numba")

from ossa.phantom.drawing import drawing
from ossa.phantom.scene import generate


@pytest.mark.parametrize("seed", range(6))
def test_bones_stand_out_and_the_same_numbers_draw_the_same(seed: int) -> None:
    _, truth = generate(7, 192)
    picture = drawing(truth, np.random.default_rng(seed))
    assert picture.shape == truth.shape
    np.testing.assert_array_equal(picture, drawing(truth, np.random.default_rng(seed)))
    bones = np.asarray(truth.planes().any(axis=0), np.uint8)
    around = np.ones((5, 5), np.uint8)
    edges = cv2.morphologyEx(bones, cv2.MORPH_GRADIENT, around) > 0
    far = cv2.dilate(bones, np.ones((9, 9), np.uint8)) == 0
    steps = np.asarray(cv2.morphologyEx(picture, cv2.MORPH_GRADIENT, around))
    assert steps[edges].mean() > 1.3 * steps[far].mean(), "outlines are where the grey changes"


def test_nothing_to_draw_is_paper() -> None:
    from ossa.schema import load_schema
    from ossa.segmentation.segmentation import Segmentation

    picture = drawing(Segmentation(load_schema(), (40, 30), {}), np.random.default_rng(0))
    assert picture.shape == (40, 30)
    assert np.ptp(picture.astype(float)) < 130
