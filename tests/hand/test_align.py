"""The usual hand is found however a hand lies, also among wrong labels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers_dataset import SCHEMA, schematic_hand
from helpers_known import known
from ossa.hand.align import align
from ossa.hand.geometry import geometry_of_outlines
from ossa.hand.misplaced import misplaced
from ossa.hand.usual import load_usual
from ossa.phantom.scene import PhantomOptions, generate
from ossa.segmentation.outlines import map_outlines, outlines_from_segmentation

USUAL = known(load_usual(SCHEMA))


@pytest.fixture(scope="module")
def outlines():
    _, truth = generate(31_000_001, 384, PhantomOptions(wrist_only=0, oblique_views=0, clutter=0.0, bent_wrists=0))
    return outlines_from_segmentation(truth)


def laid(outlines):
    return known(align(geometry_of_outlines(outlines, SCHEMA), USUAL))


@settings(max_examples=20, deadline=None)
@given(st.floats(-180, 180), st.booleans(), st.floats(0.3, 8))
def test_fits_are_the_same_however_the_hand_lies(outlines, turn, mirrored, size):
    fit = laid(outlines)
    a = np.deg2rad(turn)
    spin = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]) * size
    turned = map_outlines(outlines, lambda ring: (ring * (-1 if mirrored else 1, 1)) @ spin.T + (900, -20))
    other = laid(turned)
    assert (other.mirrored != fit.mirrored) == mirrored
    assert other.size == pytest.approx(size * fit.size, rel=0.01)
    np.testing.assert_allclose(other.z, fit.z, atol=0.1)
    assert misplaced(other, {}) == {}


def test_the_size_of_a_fit_is_that_of_its_bones(outlines):
    """One unit: the places and the sizes of the model say the same px per unit."""
    measured = geometry_of_outlines(outlines, SCHEMA)
    assert np.log(laid(outlines).size) == pytest.approx(USUAL.scale(measured), abs=0.15)


def test_a_few_wrong_labels_do_not_move_the_fit(outlines):
    fit = laid(outlines)
    measured = geometry_of_outlines(outlines, SCHEMA)
    wrong = measured.renamed(
        {"finger-5": "finger-13", "finger-13": "finger-5", "Hamate": "Trapezium", "Trapezium": "Hamate"}
    )
    other = known(align(wrong, USUAL))
    np.testing.assert_allclose(other.places, fit.places, atol=0.1 * fit.size)
    names = ("finger-5", "finger-13", "Hamate", "Trapezium")
    i, j, h, t = (SCHEMA.index(name) for name in names)
    assert misplaced(other, {}) == {i: j, j: i, h: t, t: h}


def test_too_few_bones_are_no_hand():
    outlines = schematic_hand(256)
    for few in ({name: outlines[name] for name in SCHEMA.names[:4]}, {}):
        assert align(geometry_of_outlines(few, SCHEMA), USUAL) is None
