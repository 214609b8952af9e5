"""From the signs of failure to a confidence: a small network that was fitted once and is read from a file.

    logit = constant - linear . z - outer . tanh(hidden . z + offset)

``z`` are the standardised signs of a bone and what its hand shows around it. Weights of signs are never below 0, so
that a sign can only speak against a bone, however it meets others; what lies around may count either way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

#: A sign or surrounding further from the usual than this many standard deviations counts as this far.
FAR = 6.0

#: The signs whose means over a hand's other bones are told of each bone, and the share of the bones that are there.
AROUND = ("doubt", "blur", "disagreement", "place")

_ARRAYS = ("centre", "spread", "linear", "hidden", "offset", "outer")


@dataclass(frozen=True, eq=False)
class Suspicion:
    """What was fitted, for S signs, A surroundings (I = S + A) and H hidden units.

    ``centre`` and ``spread`` (I,): right bones' means, all bones' standard deviations; ``linear`` (S,), ``hidden``
    (H, I), ``offset`` (H,), ``outer`` (H,), all but the last A columns of ``hidden`` and ``offset`` at least 0.
    """

    centre: Float
    spread: Float
    linear: Float
    hidden: Float
    offset: Float
    outer: Float
    constant: float

    @property
    def signs(self) -> int:
        """How many of the inputs are signs."""
        return len(self.linear)

    def usual(self, inputs: Float) -> Float:
        """Inputs (N, I) with the usual in place of what is not known (NaN)."""
        return np.where(np.isnan(inputs), self.centre, inputs)

    def logit(self, inputs: Float) -> Float:
        """(N,) logits of being right, from inputs (N, I) without NaN."""
        z = np.clip((inputs - self.centre) / self.spread, -FAR, FAR)
        out: Float = (
            self.constant - z[:, : self.signs] @ self.linear - np.tanh(z @ self.hidden.T + self.offset) @ self.outer
        )
        return out

    def __call__(self, inputs: Float) -> Float:
        """(N,) probabilities of being right."""
        out: Float = 1.0 / (1.0 + np.exp(-np.clip(self.logit(self.usual(inputs)), -60, 60)))
        return out

    def speaks(self, inputs: Float) -> Float:
        """(S,) how far each sign of one bone, inputs (I,), lowers its logit: by what it would gain were the sign usual.

        0 for a sign that is no worse than usual.
        """
        known = self.usual(inputs)
        changed = np.repeat(known[None], self.signs, axis=0)
        each = np.arange(self.signs)
        changed[each, each] = np.minimum(known[: self.signs], self.centre[: self.signs])
        out: Float = self.logit(changed) - self.logit(known[None])
        return out

    def to_json(self) -> dict[str, Any]:
        """As plain values of six significant digits."""
        return {name: short(getattr(self, name)) for name in _ARRAYS} | {"constant": float(f"{self.constant:.6g}")}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Suspicion:
        """From ``to_json``."""
        arrays: dict[str, Any] = {name: np.array(value[name], np.float64) for name in _ARRAYS}
        return cls(constant=float(value["constant"]), **arrays)


def surroundings(signs: Float, names: tuple[str, ...]) -> Float:
    """(C, A): of each bone the means of the signs AROUND over the other bones that are there, and the share of bones
    that are there; NaN for absent bones and where nobody else is there. ``signs`` (C, S) with columns ``names``.
    """
    columns = signs[:, [names.index(name) for name in AROUND]]
    there = np.asarray(np.isfinite(signs).any(axis=1))
    known = np.isfinite(columns) & there[:, None]
    total = np.where(known, columns, 0.0)
    others = known.sum(axis=0) - known
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.where(others > 0, (total.sum(axis=0) - total) / others, np.nan)
    out = np.concatenate([means, np.full((len(signs), 1), there.mean())], axis=1)
    out[~there] = np.nan
    return out


def short(array: Float) -> Any:
    """Nested lists of six significant digits."""
    return [short(x) for x in array] if array.ndim > 1 else [float(f"{x:.6g}") for x in array.tolist()]
