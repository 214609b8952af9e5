"""Where the bones of a hand lie to each other, and the fit of an outlined hand to it.

The reference is a table (``schemas/reference/<schema>.toml``) of each bone's anchor, its spread and its area,
measured on synthetic hands of many shapes and poses by ``scripts/hand_reference.py``. A fit finds where a hand lies
in the picture however it is turned, mirrored or sized, and even when some of its labels are wrong.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from ossa.hand.geometry import area, centre, middle_of
from ossa.schema import BoneSchema
from ossa.segmentation.outlines import Outlines

#: Bones whose far end is cut off by the picture's border at any height: their anchor is the end at the wrist.
STUBS = ("Radius", "Ulna")

#: Bones that move least against each other; fits start from them.
CORE = ("finger-7", "finger-11", "finger-15", "finger-19", "Trapezium", "Trapezoid", "Capitate", "Hamate", "Scaphoid",
        "Lunate", "Triquetrum")  # fmt: skip

#: Residuals beyond this many spreads no longer pull a fit (Tukey's biweight).
_TUKEY = 6.0

Complex = NDArray[np.complex128]


@dataclass(frozen=True)
class Reference:
    """``anchors`` (x + iy, right hand from the back, fingers up) in units of the hand; ``spread`` of the anchors in
    the same unit; ``log_area`` and ``area_spread``: natural logarithm of area in that unit squared."""

    anchors: Mapping[str, complex]
    spread: Mapping[str, float]
    log_area: Mapping[str, float]
    area_spread: Mapping[str, float]


@cache
def load_reference(schema: BoneSchema) -> Reference | None:
    """The shipped reference of a schema, None when there is none."""
    resource = files("ossa").joinpath("schemas", "reference", f"{schema.name}.toml")
    if not resource.is_file():
        return None
    bones = tomllib.loads(resource.read_text(encoding="utf-8"))["bones"]
    return Reference(
        {name: complex(row["x"], row["y"]) for name, row in bones.items()},
        {name: float(row["spread"]) for name, row in bones.items()},
        {name: float(row["log_area"]) for name, row in bones.items()},
        {name: float(row["area_spread"]) for name, row in bones.items()},
    )


def anchors_of(outlines: Outlines) -> dict[str, complex]:
    """Bone -> anchor x + iy in px: the centroid, for the forearm the tenth of the outline nearest to the hand."""
    found = {}
    others = tuple(name for name in outlines if name not in STUBS)
    hand = middle_of(outlines, others)
    for name, parts in outlines.items():
        at = centre(outlines, name)
        if name in STUBS and hand is not None and parts:
            points = _dense(np.concatenate([part.exterior for part in parts]))
            away = np.hypot(*(points - hand).T)
            at = points[away <= np.quantile(away, 0.1)].mean(axis=0)
        if at is not None:
            found[name] = complex(*at)
    return found


def _dense(ring: NDArray[np.float64]) -> NDArray[np.float64]:
    """About 200 points spread evenly along a ring."""
    closed = np.concatenate([ring, ring[:1]])
    length = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(closed, axis=0).T))])
    at = np.linspace(0, length[-1], 200, endpoint=False)
    return np.stack([np.interp(at, length, closed[:, k]) for k in (0, 1)], axis=1)


@dataclass(frozen=True)
class Fit:
    """A hand placed in the picture. ``z``: bone -> distance from its place in spreads; ``size``: px per unit."""

    z: Mapping[str, float]
    size: float
    mirrored: bool
    places: Mapping[str, complex]

    def nearest(self, point: complex) -> str:
        """The bone whose place is nearest to a point in px."""
        return min(self.places, key=lambda name: abs(self.places[name] - point))


#: An anchor further than this many spreads from its place pulls no fit and is suspect. Over anchors of correct
#: hands (Rayleigh distributed) the share beyond 5 is 4e-6; oblique views reach 9, the two traced real hands 4.2.
OUTLIER = 7.0


def fit_hand(anchors: Mapping[str, complex], reference: Reference) -> Fit | None:
    """The best robust similarity fit (turn, size, shift, mirrored or not); None for fewer than five known bones.

    Weighted least squares over complex numbers, re-weighted by Tukey's biweight, from several starts: all bones, the
    core, the fingers, and trios of bones; the fit with the least median distance wins.
    """
    names = [name for name in anchors if name in reference.anchors]
    if len(names) < 5:
        return None
    seen = np.array([anchors[name] for name in names])
    spread = np.array([reference.spread[name] for name in names])
    upright = np.array([reference.anchors[name] for name in names])
    starts = _starts(names)
    # Every start twice: for the hand as it is and for its mirror image.
    places = np.repeat([upright, -upright.conjugate()], len(starts), axis=0)
    a, b, z = _refined(seen, places, spread, np.tile(starts, (2, 1)))
    score = np.median(z, axis=1) + 0.02 * np.minimum(z, OUTLIER).mean(axis=1)
    best = int(np.argmin(score))
    if not np.isfinite(score[best]):
        return None
    mirrored, turn, shift = best >= len(starts), complex(a[best]), complex(b[best])
    placed = {n: turn * (-p.conjugate() if mirrored else p) + shift for n, p in reference.anchors.items()}
    return Fit(dict(zip(names, z[best].tolist(), strict=True)), abs(turn), mirrored, placed)


def _starts(names: Sequence[str]) -> NDArray[np.float64]:
    """First weights (S, N) of the bones: all, the core, the fingers, the wrist, and sets of four."""
    core = np.array([name in CORE for name in names], float)
    fingers = np.array([name.startswith("finger") for name in names], float)
    starts = [np.ones(len(names)), core, fingers, 1 - fingers]
    rng = np.random.default_rng(0)
    for _ in range(12):
        weights = np.zeros(len(names))
        weights[rng.permutation(len(names))[:4]] = 1
        starts.append(weights)
    return np.stack([weights for weights in starts if weights.sum() >= 3])


def _refined(
    seen: Complex, places: Complex, spread: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[Complex, Complex, NDArray[np.float64]]:
    """(a (S,), b (S,), z (S, N)) of seen = a * places + b after re-weighting from ``weights`` (S, N).

    A start that collapses (all bones on one spot, or too few left) ends with infinite z.
    """
    w = weights / spread**2
    a = b = np.zeros(len(weights), complex)
    z = np.full(weights.shape, np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        for _ in range(12):
            total = w.sum(axis=1)
            mean_s, mean_p = (w * seen).sum(axis=1) / total, (w * places).sum(axis=1) / total
            centred = places - mean_p[:, None]
            above = (w * (seen - mean_s[:, None]) * centred.conjugate()).sum(axis=1)
            a = above / (w * np.abs(centred) ** 2).sum(axis=1)
            b = mean_s - a * mean_p
            z = np.abs((seen - b[:, None]) / a[:, None] - places) / spread
            z = np.where(np.isfinite(z), z, np.inf)
            # As wide as needed at first, so that a poor start can still move; then Tukey's width.
            width = np.maximum(_TUKEY, 2.5 * np.median(z, axis=1))[:, None]
            w = np.where(np.isfinite(z), np.clip(1 - (z / width) ** 2, 0, None) ** 2, 0) / spread**2
    return a, b, z


def area_ratios(outlines: Outlines, fit: Fit, reference: Reference) -> dict[str, float]:
    """Bone -> its area over what it should be in a hand of this size (forearm left out: it is cut off anywhere)."""
    found = {}
    for name in outlines:
        if name in reference.log_area and name not in STUBS:
            pixels = area(outlines, name)
            found[name] = pixels / fit.size**2 / float(np.exp(reference.log_area[name]))
    return found
