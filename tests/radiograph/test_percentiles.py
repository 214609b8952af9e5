"""Percentiles by counting are numpy's to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ossa.radiograph.percentiles import percentiles

SHARES = st.sampled_from([(0.5, 99.5), (1.0, 99.0), (40.0, 75.0), (5.0, 5.0), (0.0, 100.0), (33.3, 66.7)])
SHAPE = arrays.array_shapes(min_dims=2, max_dims=2, max_side=40)


@settings(deadline=None)
@given(values=arrays.arrays(st.sampled_from([np.uint8, np.uint16]), SHAPE), shares=SHARES)
def test_whole_values(values: np.ndarray, shares: tuple[float, float]) -> None:
    assert percentiles(values, *shares) == tuple(np.percentile(values, shares))
    assert percentiles(values[::2, ::3], *shares) == tuple(np.percentile(values[::2, ::3], shares))


@settings(deadline=None)
@given(
    values=arrays.arrays(st.sampled_from([np.float32, np.float64]), SHAPE, elements=st.floats(-1e6, 1e6, width=32)),
    shares=SHARES,
)
def test_others(values: np.ndarray, shares: tuple[float, float]) -> None:
    assert percentiles(values, *shares) == tuple(float(one) for one in np.percentile(values, shares))
    assert percentiles(values.ravel(), *shares) == percentiles(values, *shares)


def test_what_is_no_number_makes_both_none() -> None:
    assert np.isnan(percentiles(np.array([[1.0, np.nan, 2.0]]), 0.5, 50.0)).all()


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_more_pixels_of_one_value_than_a_float_counts(kind: type[np.uint8]) -> None:
    values = np.full((4200, 4100), 7, kind)
    values[:43] = 3  # a little more than 1 %
    assert percentiles(values, 1.0, 99.0) == tuple(np.percentile(values, (1.0, 99.0)))
