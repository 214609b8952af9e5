"""A radiograph made larger by a network, tile by tile, and brought back to its own size.

Only one tile is ever large: its core is averaged back to the picture's grid at once, so memory does not grow with
the picture. The network comes in as a function; where it comes from is the caller's business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ossa.errors import ConfigError
from ossa.radiograph.radiograph import Grey

Float = NDArray[np.float32]

#: Grey (h, w) in 0..1 to (h * scale, w * scale) in 0..1.
Upscale = Callable[[Float], Float]

#: Tile sides and overlaps are multiples of this, so that every tile begins on the same phase of a network that
#: works on blocks of 2 or 4 pixels (Real-ESRGAN x2 and x1).
_STEP = 8


@dataclass(frozen=True, slots=True)
class Tiling:
    """A picture is worked on in squares of ``tile`` px, each seen with ``overlap`` px of its surroundings."""

    tile: int = 192
    overlap: int = 32

    def __post_init__(self) -> None:
        for name, value, least in (("tile", self.tile, 32), ("overlap", self.overlap, 0)):
            if value < least or value > 4096 or value % _STEP:
                raise ConfigError(
                    f"super-resolution: '{name}' is out of range",
                    found=value,
                    expected=f"a multiple of {_STEP} of {least}..4096 px",
                )


@dataclass(frozen=True, slots=True)
class Window:
    """``core`` (top, left, bottom, right) is what a tile answers for, ``seen`` what the network looks at."""

    core: tuple[int, int, int, int]
    seen: tuple[int, int, int, int]


def windows(shape: tuple[int, int], tiling: Tiling) -> list[Window]:
    """The tiles of a picture (H, W); their cores cover it exactly once."""
    return [
        Window((top, left, bottom, right), (y, x, y_end, x_end))
        for top, bottom, y, y_end in _spans(shape[0], tiling)
        for left, right, x, x_end in _spans(shape[1], tiling)
    ]


def pixels_seen(shape: tuple[int, int], tiling: Tiling) -> int:
    """How many pixels the network looks at for a picture (H, W), overlaps counted again: what the time depends on."""
    down, across = (sum(end - start for _, _, start, end in _spans(side, tiling)) for side in shape)
    return down * across


def tile_count(shape: tuple[int, int], tiling: Tiling) -> int:
    """How many tiles a picture (H, W) has."""
    return -(-shape[0] // tiling.tile) * -(-shape[1] // tiling.tile)


def _spans(length: int, tiling: Tiling) -> list[tuple[int, int, int, int]]:
    """Along one side: (first, end) of each core and (first, end) of what is seen around it."""
    starts = range(0, length, tiling.tile)
    ends = [min(start + tiling.tile, length) for start in starts]
    return [
        (start, end, max(0, start - tiling.overlap), min(length, end + tiling.overlap))
        for start, end in zip(starts, ends, strict=True)
    ]


def enhance_tiles(pixels: Grey, out: Grey, upscale: Upscale, scale: int, tiling: Tiling) -> Iterator[None]:
    """Fill ``out`` (same shape and dtype as ``pixels``) tile by tile, one step of the iterator each."""
    import cv2

    top_grey = 255.0 if pixels.dtype == np.uint8 else float(max(1, pixels.max()))
    for window in windows((pixels.shape[0], pixels.shape[1]), tiling):
        top, left, bottom, right = window.core
        y, x, y_end, x_end = window.seen
        large = upscale(pixels[y:y_end, x:x_end].astype(np.float32) / np.float32(top_grey))
        core = large[(top - y) * scale : (bottom - y) * scale, (left - x) * scale : (right - x) * scale]
        if scale > 1:
            core = cv2.resize(core, (right - left, bottom - top), interpolation=cv2.INTER_AREA).astype(np.float32)
        out[top:bottom, left:right] = np.round(np.clip(core, 0.0, 1.0) * top_grey).astype(out.dtype)
        yield


def enhance(pixels: Grey, upscale: Upscale, scale: int, tiling: Tiling | None = None) -> Grey:
    """``pixels`` (H, W) enlarged ``scale`` times by ``upscale`` and averaged back to (H, W), same dtype."""
    out: Grey = np.empty_like(pixels)
    for _ in enhance_tiles(pixels, out, upscale, scale, tiling or Tiling()):
        pass
    return out
