"""Where a bone lies as seen from pairs of other bones: what tells a single bone that is out of its place.

``usual`` lays one hand over all bones, so that it has to allow every bone what poses do to the whole hand. Seen from
two bones nearby a bone keeps its place far better: z = (p_i - p_j) / (p_k - p_j) of complex positions does not change
when the hand is turned, shifted or sized. ``oddness`` is the median over a bone's steadiest pairs of how far z is from
what is usual, so that one wrong partner does not matter. Fitted by scripts/fit_neighbours.py; the judge is left alone.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ossa.errors import ConfigError
from ossa.hand.align import Complex, anchors_of
from ossa.hand.bones import row
from ossa.hand.geometry import Float, Geometry
from ossa.hand.sides import side_of
from ossa.schema import BoneSchema

#: Pairs per bone, how many of them one partner may be in, and how many must be there to judge a bone.
_PAIRS, _OFTEN, _NEEDED = 8, 2, 3

#: Hands in which a pair must be seen whole to be fitted; the least spread; the share of hands that tells the spread.
_FEWEST, _FLOOR, _QUANTILE = 60, 0.01, 0.9

_FITTED = "neighbours.json"


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Per bone (C, K): its pairs ``first`` and ``second`` (-1 where there are fewer), and ``mean`` and ``spread`` of z
    (the parameter of a Rayleigh distribution)."""

    schema: BoneSchema
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    mean: Complex
    spread: Float

    def oddness(self, points: Complex) -> Float:
        """(C,) how odd each bone lies, in spreads; NaN where too few of its pairs are there.

        ``points`` (C,) are such as ``upright`` gives.
        """
        a, b = points[self.first], points[self.second]
        with np.errstate(divide="ignore", invalid="ignore"):
            z = np.abs((points[:, None] - a) / (b - a) - self.mean) / self.spread
        z[(self.first < 0) | ~np.isfinite(z)] = np.nan
        out = np.full(len(points), np.nan)
        enough = np.isfinite(z).sum(axis=1) >= _NEEDED
        if enough.any():
            out[enough] = np.nanmedian(z[enough], axis=1)
        return out

    def to_json(self) -> dict[str, Any]:
        """Plain lists, rounded to 1/10000."""
        mean = np.where(np.isfinite(self.mean), self.mean, 0)
        return {
            "schema": self.schema.name,
            "bones": list(self.schema.names),
            "first": self.first.tolist(),
            "second": self.second.tolist(),
            "mean": [np.round(mean.real, 4).tolist(), np.round(mean.imag, 4).tolist()],
            "spread": np.round(np.where(np.isfinite(self.spread), self.spread, 1), 4).tolist(),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any], schema: BoneSchema) -> Neighbours:
        """From ``to_json``. Raises ConfigError when it was made for other bones."""
        if value.get("bones") != list(schema.names):
            raise ConfigError("neighbours are told of other bones", found=value.get("schema"), expected=schema.name)
        real, imaginary = (np.array(part, dtype=np.float64) for part in value["mean"])
        first, second = (np.array(value[key], dtype=np.int64) for key in ("first", "second"))
        return cls(schema, first, second, real + 1j * imaginary, np.array(value["spread"], dtype=np.float64))


@cache
def load_neighbours(schema: BoneSchema) -> Neighbours | None:
    """What was fitted for a schema; None where nothing was."""
    value = json.loads(files("ossa").joinpath("hand", _FITTED).read_text(encoding="utf-8"))
    return Neighbours.from_json(value, schema) if value["bones"] == list(schema.names) else None


#: The median of a hand's oddness in a usual pose: that of 300 phantoms, of which 9 of 10 lie below 1.6.
_USUAL = 1.13


def pose(odd: Float | None) -> float:
    """How much odder than usual a hand's bones lie altogether, 1 or more: the pose's doing, and no single bone's.

    ``odd`` (C,): such as ``Neighbours.oddness`` gives; 1 where nothing is known.
    """
    if odd is None or not np.isfinite(odd).any():
        return 1.0
    return max(1.0, float(np.nanmedian(odd)) / _USUAL)


def upright(measured: Geometry, cut: NDArray[np.bool_]) -> Complex:
    """(C,) the bones' anchors as a right hand's; NaN for absent ones and those ``cut`` (C,), the forearm excepted."""
    out = anchors_of(measured)
    hidden = cut.copy()
    hidden[row(measured.schema, "forearm")] = False
    out[hidden] = np.nan
    return -out.conjugate() if side_of(measured) == "L" else out


def fit_neighbours(points: Sequence[Complex], sizes: Sequence[float], schema: BoneSchema) -> Neighbours:
    """From hands as ``upright`` gives them and their ``sizes`` (px per unit): each bone's steadiest pairs."""
    seen, size = np.stack(points), np.asarray(sizes, dtype=np.float64)
    count = len(schema)
    first, second = (np.full((count, _PAIRS), -1, np.int64) for _ in range(2))
    mean, spread = np.full((count, _PAIRS), np.nan, complex), np.full((count, _PAIRS), np.nan)
    for i in range(count):
        found = [
            fitted
            for j in range(count)
            for k in range(j + 1, count)
            if i not in (j, k) and (fitted := _fitted_pair(seen, size, i, j, k)) is not None
        ]
        used = np.zeros(count, int)
        place = 0
        for _, j, k, middle, wide in sorted(found, key=lambda pair: pair[0]):
            if used[j] < _OFTEN and used[k] < _OFTEN and place < _PAIRS:
                first[i, place], second[i, place], mean[i, place], spread[i, place] = j, k, middle, wide
                used[[j, k]] += 1
                place += 1
    return Neighbours(schema, first, second, mean, spread)


def _fitted_pair(seen: Complex, size: Float, i: int, j: int, k: int) -> tuple[float, int, int, complex, float] | None:
    """(spread in units of the hand, j, k, mean, spread of z) of bone i seen from j and k; None with too few hands."""
    away = seen[:, k] - seen[:, j]
    with np.errstate(divide="ignore", invalid="ignore"):
        z = (seen[:, i] - seen[:, j]) / away
    good = np.isfinite(z) & np.isfinite(size)
    if good.sum() < _FEWEST:
        return None
    middle = complex(np.median(z[good].real), np.median(z[good].imag))
    wide = float(np.quantile(np.abs(z[good] - middle), _QUANTILE)) / float(np.sqrt(-2 * np.log(1 - _QUANTILE)))
    return wide * float(np.median(np.abs(away[good]) / size[good])), j, k, middle, max(wide, _FLOOR)
