"""The halves share no subject and do not hang on the order of images; means leave out what does not count."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ossa.ensemble.crossfit import both_ways, mean_of_finite


@settings(deadline=None, max_examples=50)
@given(st.lists(st.sampled_from(["ID001", "ID002", "ID010", "a", "é", "z"]), min_size=2, max_size=20))
def test_halves_by_subject(subjects: list[str]) -> None:
    (fit, judge), other_way = both_ways(subjects)
    np.testing.assert_array_equal(other_way, (judge, fit))
    people = sorted(set(subjects))
    for subject, in_fit, in_judge in zip(subjects, fit, judge, strict=True):
        assert in_fit != in_judge
        assert in_fit == (people.index(subject) % 2 == 0)


@settings(deadline=None, max_examples=50)
@given(
    st.integers(1, 4).flatmap(
        lambda bones: st.lists(
            st.lists(st.one_of(st.just(math.nan), st.floats(0, 1)), min_size=bones, max_size=bones), max_size=6
        ).map(lambda rows: np.array(rows, np.float64).reshape(-1, bones))
    )
)
def test_mean_of_what_counts(table: np.ndarray) -> None:
    for found, column in zip(mean_of_finite(table), table.T, strict=True):
        counted = [value for value in column if not math.isnan(value)]
        assert found == pytest.approx(sum(counted) / len(counted) if counted else 0.0)
