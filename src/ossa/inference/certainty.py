"""How sure a network is of what it drew, from its logits alone."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Certainty(NamedTuple):
    """Of one bone; NaN where nothing was drawn.

    ``doubt``: 1 - soft Dice of the probabilities with their own mask (Dice that the network itself expects, to a first
    approximation). ``blur``: mean binary entropy (bits) of the mask's border pixels and their outer neighbours.
    ``parts``: the share of the mask outside its largest part.
    """

    doubt: float = float("nan")
    blur: float = float("nan")
    parts: float = float("nan")


class Closely(NamedTuple):
    """What a closer look says of a bone: its ``agreement`` with the first look (Dice), and how sure it is itself."""

    agreement: float
    doubt: float = float("nan")
    blur: float = float("nan")


def certainty(plane: NDArray[Any], limit: float) -> Certainty:
    """Of logits (h, w), of which those above ``limit`` are bone."""
    import cv2

    rows, columns = np.flatnonzero(plane.max(axis=1) > -3.0), np.flatnonzero(plane.max(axis=0) > -3.0)
    if rows.size == 0 or columns.size == 0:
        return Certainty()
    box = plane[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.float64) - limit
    p = 1.0 / (1.0 + np.exp(-np.clip(box, -30, 30)))
    mask = box > 0
    inside = float(mask.sum())
    if inside == 0:
        return Certainty()
    doubt = 1.0 - 2.0 * float(p[mask].sum()) / (float(p.sum()) + inside)
    framed = cv2.copyMakeBorder(mask.view(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    kernel = np.ones((3, 3), np.uint8)
    band = (cv2.dilate(framed, kernel) - cv2.erode(framed, kernel))[1:-1, 1:-1] > 0
    q = np.clip(p[band], 1e-6, 1 - 1e-6)
    blur = float(np.mean(-(q * np.log2(q) + (1 - q) * np.log2(1 - q))))
    count, _, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    parts = 1.0 - float(stats[1:count, cv2.CC_STAT_AREA].max()) / inside if count > 2 else 0.0
    return Certainty(doubt, blur, parts)
