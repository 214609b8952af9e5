"""Midlines of all bones at once against one bone after the other, slice after slice."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers_known import known
from ossa.measurement.midlines import midlines
from ossa.measurement.trace import Scale, Trace, left_of, trace
from ossa.segmentation.segmentation import Region

UNIT = Scale(1.0, 1.0)


def slowly(bone: Trace, start: np.ndarray) -> np.ndarray:
    """The midline as its docstring says it, in plain steps."""
    axis = start
    for _ in range(2):
        along, across = (bone.points - bone.centre) @ axis, (bone.points - bone.centre) @ left_of(axis)
        low, high = along.min() + 0.2 * np.ptp(along), along.min() + 0.8 * np.ptp(along)
        found = []
        for k in range(16):
            here = across[np.floor((along - low) / (high - low) * 16 + 1e-9) == k]
            if not here.size:
                continue
            upper = here >= (here.min() + here.max()) / 2 - 1e-9 * np.ptp(here)
            if upper.all() or not here[upper].mean() - here[~upper].mean() > 0:
                continue
            found.append((low + (k + 0.5) / 16 * (high - low), (here[upper].mean() + here[~upper].mean()) / 2))
        if len(found) < 8:
            return start
        t, m = np.array(found).T
        line = np.polyfit(t, m, 1)
        away = np.abs(m - np.polyval(line, t))
        kept = away <= 2 * np.sqrt((away**2).mean()) + 1e-9
        if 4 <= kept.sum() < len(kept):
            line = np.polyfit(t[kept], m[kept], 1)
        axis = axis + line[0] * left_of(axis)
        axis = axis / np.hypot(*axis)
    return axis


@st.composite
def bones(draw: st.DrawFn) -> tuple[Trace, np.ndarray]:
    """A shaft with a flare and perhaps a gap, turned by no round number; now and then too short for a midline."""
    turn, size = draw(st.floats(0.01, 6.27)), draw(st.sampled_from([3, 40, 80]))
    axis = np.array([np.sin(turn), -np.cos(turn)])
    y, x = np.mgrid[0:240, 0:240] - 119.7
    t, u = x * axis[0] + y * axis[1], x * left_of(axis)[0] + y * left_of(axis)[1]
    wide = draw(st.floats(2, 14))
    mask = (np.abs(t) < size) & (np.abs(u - draw(st.floats(-0.001, 0.001)) * t**2) < wide)
    mask |= (t > 0.7 * size) & (t < size) & (u > 0) & (u < draw(st.floats(0, 40)))
    gap = draw(st.floats(-size, size))
    mask &= ~((t > gap) & (t < gap + draw(st.sampled_from([0, 0, 6, 60]))))
    mask[118:122, 118:122] = True
    bone = trace(known(Region.tight(mask)), UNIT)
    return bone, bone.axis if bone.axis @ axis > 0 else -bone.axis


@given(st.lists(bones(), min_size=1, max_size=4))
@settings(deadline=None, max_examples=60)
def test_all_at_once_are_those_of_each(several: list[tuple[Trace, np.ndarray]]) -> None:
    found = midlines([bone for bone, _ in several], [start for _, start in several])
    for axis, (bone, start) in zip(found, several, strict=True):
        assert axis == pytest.approx(slowly(bone, start), abs=1e-9)


def test_of_no_bones_there_are_none() -> None:
    assert midlines([], []) == []
