"""What is usual in a hand: one fitted model of where bones lie to each other and how large and slender they are.

``Usual`` is fitted to the truth of synthetic hands of many poses, ages and shapes (scripts/fit_usual.py) and serves
both who asks whether bones are right: the judge of results (``oddness``: distances, sizes and shapes, free of pose) and
the audit of labels (``hand.align``: the hand laid over the picture, which finds exchanged labels). One unit of length
for all of it: that in which the sizes stand; the side of the square of a bone of middling size.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ossa.errors import ConfigError
from ossa.hand.bones import rays
from ossa.hand.geometry import Float, Geometry
from ossa.schema import BoneSchema

#: A bone is placed by its distances to so many others: those to which its distance varies least.
PARTNERS = 10

#: Deviations beyond this many standard deviations are all the same: wrong.
LIMIT = 8.0

#: Standard deviations (of logarithms) are never taken to be smaller: a phantom is more regular than people are.
FLOOR = 0.05

#: The file that holds what was fitted, one for all schemas.
_FITTED = "usual.json"


@dataclass(frozen=True, eq=False)
class Oddness:
    """Per bone (C,), NaN for an absent one. ``size``, ``length``, ``shape`` and ``place`` count standard deviations
    (0 to LIMIT); size, length and shape are 0 for a bone that the picture's border cuts. ``order``: the bone is out of
    its digit's order. ``scale``: px per unit of the model, NaN with fewer than three whole bones.
    """

    size: Float
    length: Float
    shape: Float
    place: Float
    order: Float
    scale: float


@dataclass(frozen=True, eq=False)
class Usual:
    """What is usual for a schema's bones, relative to the hand's scale; logarithms are natural ones.

    ``size`` (C, 2): mean and SD of log sqrt(area); ``length`` (C, 2): of log length; ``shape`` (C, 2): of
    log(length / width); ``distance`` (C, C, 2): of the log distance of two centres; ``place`` (C, 3): x, y of the
    anchor (``hand.align.anchors_of``) in a right hand seen from the back with its fingers up (y down), and how far
    anchors lie from there (the parameter of a Rayleigh distribution). NaN where nothing is known.
    """

    schema: BoneSchema
    size: Float
    length: Float
    shape: Float
    distance: Float
    place: Float

    def scale(self, measured: Geometry, whole: NDArray[np.bool_] | None = None) -> float:
        """The natural logarithm of px per unit, from the sizes of the ``whole`` bones (C,); NaN for fewer than three.

        Whole are, where nothing is said, those that the picture's border does not cut.
        """
        whole = measured.found & ~measured.cut if whole is None else whole
        whole = whole & np.isfinite(self.size[:, 0]) & (measured.area > 0)
        if whole.sum() < 3:
            return float("nan")
        return float(np.median(0.5 * np.log(measured.area[whole]) - self.size[whole, 0]))

    def oddness(self, measured: Geometry) -> Oddness:
        """How far each bone is from what is usual, given all the others."""
        found, whole = measured.found, measured.found & ~measured.cut
        nothing = np.where(found, 0.0, np.nan)
        scale = self.scale(measured)
        if np.isnan(scale):
            return Oddness(nothing, nothing, nothing, np.where(found, LIMIT, np.nan), nothing, np.nan)
        with np.errstate(invalid="ignore", divide="ignore"):
            size = _deviation(0.5 * np.log(measured.area) - scale, self.size)
            length = _deviation(np.log(measured.length) - scale, self.length)
            shape = _deviation(np.log(measured.length / measured.width), self.shape)
        size, length, shape = (np.where(whole, x, nothing) for x in (size, length, shape))
        return Oddness(size, length, shape, self._place(measured, scale), self._order(measured), float(np.exp(scale)))

    def _place(self, measured: Geometry, scale: float) -> Float:
        """Median deviation of a bone's distances to its steadiest partners: one wrong partner does not matter."""
        found = measured.found
        out = np.full(len(found), np.nan)
        gaps = np.linalg.norm(measured.centre[:, None] - measured.centre[None], axis=2)
        for i in np.flatnonzero(found):
            others = np.flatnonzero(found & (np.arange(len(found)) != i) & np.isfinite(self.distance[i, :, 1]))
            if others.size < 3:
                out[i] = LIMIT
                continue
            steady = others[np.argsort(self.distance[i, others, 1], kind="stable")[:PARTNERS]]
            logs = np.log(np.maximum(gaps[i, steady], 1.0)) - scale
            out[i] = float(np.median(_deviation(logs, self.distance[i, steady])))
        return out

    def _order(self, measured: Geometry) -> Float:
        """1 for a bone of a digit that does not lie between its neighbours along the digit, else 0."""
        out = np.where(measured.found, 0.0, np.nan)
        for ray in rays(self.schema):
            present = [i for i in ray if measured.found[i]]
            if len(present) < 3:
                continue
            for before, here, after in zip(present, present[1:], present[2:], strict=False):
                a, b, c = measured.centre[before], measured.centre[here], measured.centre[after]
                # A finger bends less than 90 degrees between neighbouring bones in any radiograph of a flat hand.
                if float((b - a) @ (c - b)) <= 0:
                    out[[before, here, after]] = 1.0
        return out

    def expected(self, measured: Geometry, bone: int) -> Float | None:
        """Where (x, y) an absent bone of a digit should lie, from its neighbours in the digit; None without two."""
        for ray in rays(self.schema):
            if bone not in ray:
                continue
            k = ray.index(bone)
            centre = measured.centre
            near = [i for i in ray if measured.found[i]]
            before, after = [i for i in near if ray.index(i) < k], [i for i in near if ray.index(i) > k]
            if before and after:
                out: Float = (centre[before[-1]] + centre[after[0]]) / 2
                return out
            if len(before) >= 2:
                return self._beyond(centre, before[-2], before[-1], bone)
            if len(after) >= 2:
                return self._beyond(centre, after[1], after[0], bone)
        return None

    def _beyond(self, centre: Float, far: int, near: int, bone: int) -> Float:
        """The line from ``far`` through ``near`` prolonged by the usual distance, relative to that of the two."""
        usual = float(np.exp(self.distance[near, bone, 0] - self.distance[far, near, 0]))
        out: Float = centre[near] + (centre[near] - centre[far]) * usual
        return out

    def to_json(self) -> dict[str, Any]:
        """Plain lists, rounded to 1/10000."""
        return {
            "schema": self.schema.name,
            "bones": list(self.schema.names),
            **{key: _listed(getattr(self, key)) for key in _TABLES},
        }

    @classmethod
    def from_json(cls, value: dict[str, Any], schema: BoneSchema) -> Usual:
        """From ``to_json``. Raises ConfigError when it was made for other bones."""
        if value.get("bones") != list(schema.names):
            raise ConfigError("what is usual is told of other bones", found=value.get("schema"), expected=schema.name)
        return cls(schema, **{key: np.array(value[key], dtype=np.float64) for key in _TABLES})


_TABLES = tuple(field.name for field in fields(Usual) if field.name != "schema")


@cache
def load_usual(schema: BoneSchema) -> Usual | None:
    """What was fitted for a schema; None where nothing was."""
    value = json.loads(files("ossa").joinpath("hand", _FITTED).read_text(encoding="utf-8"))
    return Usual.from_json(value, schema) if value["bones"] == list(schema.names) else None


def _listed(array: Float) -> Any:
    return (
        [_listed(x) for x in array] if array.ndim > 1 else [None if np.isnan(x) else round(float(x), 4) for x in array]
    )


def _deviation(values: Float, usual: Float) -> Float:
    out: Float = np.minimum(np.abs(values - usual[:, 0]) / np.maximum(usual[:, 1], FLOOR), LIMIT)
    return out
