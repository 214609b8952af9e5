"""Which way round the grey values run: bones bright (as the package wants them) or dark."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ossa.radiograph.radiograph import Grey


def invert(pixels: Grey) -> Grey:
    """Grey values mirrored: 8 bits at 255, 16 bits at the picture's maximum (12-bit data stay 12-bit)."""
    top = np.uint8(255) if pixels.dtype == np.uint8 else pixels.max(initial=0)
    out: Grey = np.subtract(top, pixels, dtype=pixels.dtype)
    return out


def looks_inverted(pixels: NDArray[Any]) -> bool:
    """Whether bones are dark on a bright film. (Decided by measurement in a later step.)"""
    return pixels.size == 0
