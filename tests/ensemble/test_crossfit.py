"""The halves share no subject and do not hang on the order of images; nothing is judged by its own fit."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ossa.ensemble.crossfit import both_ways, judged


@settings(deadline=None, max_examples=50)
@given(st.lists(st.sampled_from(["ID001", "ID002", "ID010", "a", "é", "z"]), min_size=2, max_size=20))
def test_halves_by_subject(subjects: list[str]) -> None:
    (fit, judge), other_way = both_ways(subjects)
    np.testing.assert_array_equal(other_way, (judge, fit))
    people = sorted(set(subjects))
    for subject, in_fit, in_judge in zip(subjects, fit, judge, strict=True):
        assert in_fit != in_judge
        assert in_fit == (people.index(subject) % 2 == 0)


def test_every_image_is_judged_by_the_other_half() -> None:
    subjects = ["b", "a", "c", "a"]  # a and c are the first half
    by_first, by_second = np.full((4, 2), 1.0), np.full((4, 2), 2.0)
    assert judged([by_first, by_second], subjects)[:, 0].tolist() == [1.0, 2.0, 2.0, 2.0]
    assert judged([by_first[:, 0], by_second[:, 0]], subjects).tolist() == [1.0, 2.0, 2.0, 2.0]
