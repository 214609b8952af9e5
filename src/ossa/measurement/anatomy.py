"""The bones of a hand as traces, with what is known of how they lie: which way is distal, radial, along a digit.

``Bones`` is what every measurement is taken on; it says of each bone why it cannot be measured where it cannot.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, wraps
from typing import Any, TypeVar

import numpy as np

from ossa.hand.bones import SHORT, rays, row, towards_fingers
from ossa.measurement.midlines import midlines
from ossa.measurement.trace import Float, Scale, Trace, left_of, pointing, shaft_axis
from ossa.radiograph.radiograph import Side
from ossa.schema import BoneSchema

NOT_FOUND = "not found"
CUT = "cut by the edge of the picture"


Result = TypeVar("Result")


class Unmeasured(Exception):
    """A number cannot be had; the text says why, for the reader of a table."""


class Foreign(Unmeasured):
    """A number means nothing for this schema: it has no such bones."""


def once(measure: Callable[..., Result]) -> Callable[..., Result]:
    """A function of ``Bones`` (and a bone's name) whose answer, or reason for none, is kept: others build on it."""

    @wraps(measure)
    def kept(bones: Bones, *names: str) -> Result:
        key = (measure.__name__, *names)
        if key not in bones.known:
            try:
                bones.known[key] = measure(bones, *names)
            except Unmeasured as reason:
                bones.known[key] = reason
        found = bones.known[key]
        if isinstance(found, Unmeasured):
            raise type(found)(str(found))
        result: Result = found
        return result

    return kept


@dataclass(frozen=True, eq=False)
class Bones:
    """``traces`` of the bones that are there; ``reasons``: why some give no number; ``cut``: cut off by an edge,
    ``ends_cut``: those of the forearm whose end at the wrist is; ``side``: that of a hand seen from the back;
    ``known``: what was found already; ``unseen``: why some have no length (measurement.ends).
    """

    schema: BoneSchema
    traces: Mapping[str, Trace]
    reasons: Mapping[str, str]
    cut: frozenset[str]
    ends_cut: frozenset[str]
    scale: Scale
    side: Side | None
    known: dict[tuple[str, ...], Any] = field(default_factory=dict)
    unseen: Mapping[str, str] = field(default_factory=dict)

    def whole(self, name: str) -> Trace:
        """A bone that is there, sure and not cut. Raises Unmeasured."""
        found = self.part(name)
        if name in self.cut:
            raise Unmeasured(self._said(name, CUT))
        return found

    def part(self, name: str) -> Trace:
        """A bone that is there and sure; it may be cut. Raises Unmeasured, and Foreign for no bone of the schema."""
        if name not in self.schema:
            raise Foreign(f"schema '{self.schema.name}' has no {name}")
        if name in self.reasons:
            raise Unmeasured(self._said(name, self.reasons[name]))
        if name not in self.traces:
            raise Unmeasured(self._said(name, NOT_FOUND))
        return self.traces[name]

    @once
    def forearm(self, name: str) -> tuple[Float, Float]:
        """A point on and the direction of the midline of radius or ulna, pointing to the hand. Raises Unmeasured."""
        found = shaft_axis(self.part(name), self.up)
        if found is None:
            raise Unmeasured(self._said(name, "too little of the shaft is in view for its axis"))
        return found

    @cached_property
    def unit(self) -> float:
        """The size of a middling bone, by which errors scale with the hand."""
        sizes = [one.size for name, one in self.traces.items() if name not in self.cut] or [
            one.size for one in self.traces.values()
        ]
        return float(np.median(sizes)) if sizes else 1.0

    def _said(self, name: str, reason: str) -> str:
        return f"{self.schema.bone(name).title}: {reason}"

    def metacarpal(self, digit: int) -> str:
        """The name of a digit's metacarpal (1: thumb). Raises Foreign for a schema without it."""
        return self.of_digit(digit)["metacarpal"]

    def of_digit(self, digit: int) -> Mapping[str, str]:
        """Row ("metacarpal" to "distal") -> bone of a digit. Raises Foreign for a schema without that digit."""
        found = {bone.row: bone.name for bone in self.schema.bones if bone.digit == digit}
        if "metacarpal" not in found:
            raise Foreign(f"schema '{self.schema.name}' has no such digit of a hand")
        return found

    @cached_property
    def centres(self) -> Float:
        """(C, 2) centres in schema order, NaN for absent bones."""
        out = np.full((len(self.schema), 2), np.nan)
        for name, one in self.traces.items():
            out[self.schema.index(name)] = one.centre
        return out

    @cached_property
    def up(self) -> Float:
        """The unit vector from the wrist to the fingers; up in the picture where nobody knows."""
        way = towards_fingers(self.centres, self.schema)
        length = 0.0 if way is None else float(np.hypot(*way))
        return np.array([0.0, -1.0]) if way is None or length == 0 else np.asarray(way / length)

    @cached_property
    def thumbwards(self) -> Float:
        """The unit vector across the hand to the thumb's side. Raises Unmeasured where the side is not known."""
        if self.side is None:
            raise Unmeasured("the hand's side cannot be told")
        return left_of(self.up) if self.side == "R" else -left_of(self.up)

    @cached_property
    def directions(self) -> Mapping[str, Float]:
        """Digit bone -> unit vector along the midline of its shaft, pointing away from the elbow."""
        wrist = self.centres[[i for i in row(self.schema, *SHORT) if np.isfinite(self.centres[i, 0])]]
        starts: dict[str, Float] = {}
        for ray in rays(self.schema):
            there = [i for i in ray if np.isfinite(self.centres[i, 0])]
            chain = [self.centres[i] for i in there]
            for k, i in enumerate(there):
                first = chain[k - 1] if k else wrist.mean(axis=0) if len(wrist) else chain[k]
                last = chain[min(k + 1, len(chain) - 1)]
                towards = last - first
                name = self.schema.names[i]
                starts[name] = pointing(self.traces[name].axis, towards if np.hypot(*towards) > 0 else self.up)
        found = midlines([self.traces[name] for name in starts], list(starts.values()))
        return dict(zip(starts, found, strict=True))
