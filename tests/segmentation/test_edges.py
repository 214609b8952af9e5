"""Edges that a bone may as well have: those of decoding at other thresholds, and of another look."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ossa.radiograph.prepare import Preparation, place
from ossa.schema import Bone, BoneSchema
from ossa.segmentation.decode import decode, logit
from ossa.segmentation.edges import ENOUGH, LEAST, MOST, with_edges, with_look
from ossa.segmentation.segmentation import Region

NAMES = ("a", "b", "c")
SCHEMA = BoneSchema("t", "T", tuple(Bone(n, n, "carpal", None, (1, 2, 3), None, n) for n in NAMES))


def same(one: Region, other: Region) -> bool:
    return (one.top, one.left) == (other.top, other.left) and np.array_equal(one.mask, other.mask)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**31), names=st.none() | st.sets(st.sampled_from(NAMES)))
def test_they_are_what_decoding_gives(seed: int, names: set[str] | None) -> None:
    rng = np.random.default_rng(seed)
    placement = place((60, 50), Preparation(32, 8))
    shape = (3, placement.grid_shape[0] // 2, placement.grid_shape[1] // 2)
    logits, other = rng.normal(0, 3, (2, *shape)).astype(np.float32)
    found = decode(logits, placement, SCHEMA)
    edged = with_edges(found, logits, placement, None, names)
    asked = set(found.regions) if names is None else names & set(found.regions)
    assert set(edged.plausible) == asked
    for name in asked:
        steps = [1 / (1 + np.exp(-logit(share))) for share in (LEAST, MOST)]
        regions = [decode(logits, placement, SCHEMA, {name: step}).get(name) for step in steps]
        assert all(map(same, edged.plausible[name], [region for region in regions if region is not None]))
    # Another look counts where there are few edges, and there alone.
    one = next(iter(found.regions))
    full = replace(edged, plausible={**edged.plausible, one: (found.regions[one],) * ENOUGH})
    looked, again = with_look(full, other, placement), decode(other, placement, SCHEMA)
    assert looked.plausible[one] == full.plausible[one]
    for name, _ in found:
        before = full.plausible.get(name, ())
        if name != one and name in again.regions:
            assert same(looked.plausible[name][len(before)], again.regions[name])


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**31), names=st.sets(st.sampled_from(NAMES)))
def test_bones_decoded_by_name_are_those_of_all(seed: int, names: set[str]) -> None:
    placement = place((40, 70), Preparation(32, 8))
    logits = np.random.default_rng(seed).normal(0, 3, (3, *placement.grid_shape)).astype(np.float32)
    every, some = decode(logits, placement, SCHEMA), decode(logits, placement, SCHEMA, names=names)
    assert set(some.regions) == names & set(every.regions)
    assert all(same(region, every.regions[name]) for name, region in some)
    assert some.probability == {name: every.probability[name] for name in some.regions}
