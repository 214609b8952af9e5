"""What a phantom shows, in the picture's own pixels: for whoever learns to find parts and to tell views apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ossa.phantom.mesh import F64
from ossa.phantom.part import Part, default_part
from ossa.phantom.placed import PlacedBone, axis_of
from ossa.phantom.pose import View
from ossa.radiograph.radiograph import Side


@dataclass(frozen=True)
class DrawnPart:
    """The part that a phantom shows, in px of the picture; points are (column, row) and may lie outside of it.

    ``centre``: the middle between the bones that its schema calls so. ``towards_tips``: unit vector from there to the
    far end of the middle digit's first bone. ``length``: from ``centre`` to the tip of the middle digit if it were
    stretched out and seen from the front, whatever the pose and the view: the part's scale. ``box``: (top, left,
    bottom, right) of all its bones but the shafts, seen or not. ``bones``: those of the truth. ``rays``: digits of
    which a bone is in the truth. ``side``: as the part is seen in radiographs, where digit 1 of a right one lies on the
    picture's left.
    """

    view: View
    side: Side
    centre: tuple[float, float]
    towards_tips: tuple[float, float]
    length: float
    box: tuple[float, float, float, float]
    bones: tuple[str, ...] = ()
    rays: tuple[int, ...] = ()
    part: Part = field(default_factory=default_part, repr=False)

    def with_truth(self, bits: NDArray[np.uint32], names: tuple[str, ...]) -> DrawnPart:
        """The same part with ``bones`` and ``rays`` told from its truth ``bits`` (H, W), whose bit k is names[k]."""
        seen = int(np.bitwise_or.reduce(bits, axis=None))
        present = tuple(name for k, name in enumerate(names) if seen >> k & 1)
        rays = tuple(digit for digit, own in self.part.digits.items() if set(own) & set(present))
        return replace(self, bones=present, rays=rays)


def drawn_part(bones: list[PlacedBone], view: View, side: Side, part: Part | None = None) -> DrawnPart:
    """The record of a part whose ``bones`` lie in picture space, its truth not told yet."""
    part = part or default_part()
    by_name = {bone.bone: bone for bone in bones}
    centre = np.mean([_middle(by_name[bone]) for bone in part.keys.centre], axis=0)
    near, direction, reach = axis_of(by_name[part.digits[part.keys.middle_digit][0]])
    way = near + direction * reach - centre
    points = np.concatenate([b.points[:, :2] for b in bones if b.bone not in part.shafts])
    (left_edge, top), (right_edge, bottom) = points.min(axis=0), points.max(axis=0)
    return DrawnPart(
        view,
        side,
        (float(centre[0]), float(centre[1])),
        _unit(way),
        _stretched(by_name, part),
        (float(top), float(left_edge), float(bottom), float(right_edge)),
        part=part,
    )


def _middle(bone: PlacedBone) -> F64:
    return np.asarray(bone.points[:, :2].mean(axis=0))


def _unit(vector: F64) -> tuple[float, float]:
    length = max(float(np.linalg.norm(vector)), 1e-6)
    return float(vector[0]) / length, float(vector[1]) / length


def _stretched(bones: Mapping[str, PlacedBone], part: Part) -> float:
    """From the centre to the tip of the middle digit along the bones, in space: px."""
    chain = [np.mean([bones[name].points.mean(axis=0) for name in part.keys.centre], axis=0)]
    digit = part.digits[part.keys.middle_digit]
    for name in digit:
        bone = bones[name]
        chain += [bone.points[bone.t < -0.9].mean(axis=0), bone.points[bone.t > 0.9].mean(axis=0)]
    chain[-1] = bones[digit[-1]].points[int(np.argmax(bones[digit[-1]].t))]
    return float(np.linalg.norm(np.diff(chain, axis=0), axis=1).sum())
