"""Planes as a finder that is always right would give them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ossa.models import finder_maps as maps


def as_output(targets: NDArray[np.float32]) -> NDArray[np.float32]:
    """Targets of ``finder_maps.planes_of`` as a network's output: their probabilities as logits."""
    out = targets.copy()
    for planes in (maps.HEAT, maps.VIEW, maps.IN_VIEW, maps.NEGATIVE, maps.PRESENT):
        p = np.clip(targets[planes], 1e-5, 1 - 1e-5)
        out[planes] = np.log(p / (1 - p))
    return out


def as_mirrored(output: NDArray[np.float32]) -> NDArray[np.float32]:
    """A network's output for a picture as that of a network that knows no side for it and it mirrored: (2, ...)."""
    return np.stack([output, maps.mirrored(output)])
