"""Which way round the grey values run: bones bright (as the package wants them) or dark."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Grey = TypeVar("Grey", NDArray[np.uint8], NDArray[np.uint16])


def invert(pixels: Grey) -> Grey:
    """Grey values mirrored inside the range that the picture uses: 8 bits at 255, 16 bits at its maximum."""
    top = np.array(255 if pixels.dtype == np.uint8 else pixels.max(initial=0), pixels.dtype)
    return top - pixels  # type: ignore[return-value]


def looks_inverted(pixels: NDArray[np.generic]) -> bool:
    """Whether bones are dark on a bright film."""
    return False
