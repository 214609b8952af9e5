"""Test-time augmentation: the same picture seen several ways, the logits brought back and averaged.

A ``View`` says how the picture is turned. ``look`` makes the picture of a view, ``look_back``
brings its logits to the grid they are compared on; a mirrored view also exchanges the channels of
mirror partners.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ossa.errors import ConfigError

Float = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class View:
    """One way to look: mirrored, ``scale`` times as large, turned by ``angle`` degrees; and its weight in the mean."""

    mirrored: bool = False
    scale: float = 1.0
    angle: float = 0.0
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not 0.25 <= self.scale <= 4.0 or not -180.0 <= self.angle <= 180.0 or not self.weight > 0.0:
            raise ConfigError(
                "a test-time view is out of range", found=self, expected="scale .25..4, angle -180..180, weight > 0"
            )


#: One look at the picture as it is.
PLAIN: tuple[View, ...] = (View(),)


#: The usual looks: as it is, and mirrored.
FLIPPED: tuple[View, ...] = (View(), View(mirrored=True))


def views(mirror: bool = True, scales: Sequence[float] = (1.0,), angles: Sequence[float] = (0.0,)) -> tuple[View, ...]:
    """Every combination of the given scales and angles, each also mirrored when ``mirror`` holds."""
    return tuple(View(m, s, a) for s in scales for a in angles for m in ((False, True) if mirror else (False,)))


def parse_views(text: str) -> tuple[View, ...]:
    """Views from the command line: "none", "flip", or parts such as "flip,scale:0.9:1:1.1,rotate:-5:0:5"."""
    mirror, scales, angles = False, [1.0], [0.0]
    for part in (p.strip() for p in text.split(",")):
        name, *values = part.split(":")
        try:
            numbers = [float(v) for v in values]
        except ValueError:
            numbers = []
        if name in ("none", "") and not values:
            continue
        if name == "flip" and not values:
            mirror = True
        elif name == "scale" and numbers:
            scales = numbers
        elif name == "rotate" and numbers:
            angles = numbers
        else:
            raise ConfigError(
                "test-time augmentation not understood",
                found=repr(part),
                expected="none, flip, scale:0.9:1:1.1, rotate:-5:0:5",
            )
    return views(mirror, scales, angles)


def look(picture: Float, view: View, multiple: int) -> Float:
    """``picture`` (C, H, W) as ``view`` sees it, (C, H', W') with sides that are multiples of ``multiple``.

    The canvas grows so that a turned picture keeps its corners; new pixels are 0, the mean grey.
    """
    out = picture
    if _is_warped(view):
        import cv2

        matrix, (height, width) = _matrix(picture.shape[1:], view, multiple)
        out = np.stack(
            [cv2.warpAffine(plane, matrix, (width, height), flags=cv2.INTER_LINEAR, borderValue=0) for plane in picture]
        )
    return np.ascontiguousarray(out[:, :, ::-1]) if view.mirrored else out


def look_back(logits: Float, view: View, grid: tuple[int, int], multiple: int, mirror_order: Sequence[int]) -> Float:
    """The logits (C, h', w') of a view as logits of the picture itself, whose grid is ``grid`` (H, W).

    ``mirror_order`` gives for each channel the one it takes over when the picture is mirrored.
    """
    out = logits
    if view.mirrored:
        out = out[:, :, ::-1]
        if list(mirror_order) != list(range(len(mirror_order))):
            out = out[list(mirror_order)]
    if not _is_warped(view):
        return np.ascontiguousarray(out)
    import cv2

    matrix, (height, _) = _matrix(grid, view, multiple)
    stride = height // logits.shape[1]
    shape = (grid[0] // stride, grid[1] // stride)
    # picture logit pixel -> grid pixel -> view pixel -> view logit pixel, each with pixel centres at whole numbers
    down = np.array([[1 / stride, 0, 0.5 / stride - 0.5], [0, 1 / stride, 0.5 / stride - 0.5], [0, 0, 1]])
    whole = down @ np.vstack([matrix, [0, 0, 1]]) @ np.linalg.inv(down)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.stack(
        [
            cv2.warpAffine(
                np.ascontiguousarray(plane), whole[:2], shape[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE
            )
            for plane in out
        ]
    ).astype(np.float32, copy=False)


def _is_warped(view: View) -> bool:
    return view.scale != 1.0 or view.angle != 0.0


def _matrix(shape: tuple[int, ...], view: View, multiple: int) -> tuple[NDArray[np.float64], tuple[int, int]]:
    """The 2x3 map of picture points to view points (before mirroring) and the view's canvas (H', W')."""
    height, width = shape[0], shape[1]
    turn = math.radians(view.angle)
    c, s = math.cos(turn) * view.scale, math.sin(turn) * view.scale
    tall = abs(s) * width + abs(c) * height
    wide = abs(c) * width + abs(s) * height
    canvas = (
        max(1, math.ceil(tall / multiple - 1e-6)) * multiple,
        max(1, math.ceil(wide / multiple - 1e-6)) * multiple,
    )
    cx, cy = (width - 1) / 2, (height - 1) / 2
    ox, oy = (canvas[1] - 1) / 2, (canvas[0] - 1) / 2
    return np.array([[c, -s, ox - c * cx + s * cy], [s, c, oy - s * cx - c * cy]]), canvas
