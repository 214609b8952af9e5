"""A heat map laid over a radiograph, panels side by side: the picture of ``ossa explain``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ossa.radiograph.display import for_the_eye, png
from ossa.segmentation.segmentation import Region

Picture = NDArray[np.uint8]


def heat_panel(
    grey: NDArray[Any], heat: NDArray[np.float32], regions: Sequence[Region | None], title: str, height: int = 900
) -> Picture:
    """(h, w, 3) RGB: ``grey`` (H, W) with ``heat`` (H, W; 0 to 1) in colour and the bones' outlines in white.

    A place without heat keeps its grey: how much colour is laid on follows the heat.
    """
    import cv2

    scale = height / grey.shape[0]
    size = (max(1, round(grey.shape[1] * scale)), height)
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    base = cv2.resize(for_the_eye(grey), size, interpolation=method).astype(np.float32)[..., None]
    warm = cv2.resize(heat, size, interpolation=cv2.INTER_LINEAR)
    colour = cv2.applyColorMap((np.clip(warm, 0, 1) * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    share = np.clip(warm * 1.3, 0, 0.8)[..., None]
    panel: Picture = np.ascontiguousarray((base * (1 - share) + colour * share).astype(np.uint8))
    for region in regions:
        if region is None:
            continue
        framed = cv2.copyMakeBorder(region.mask.view(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
        contours, _ = cv2.findContours(framed, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        for contour in contours:
            points = (contour.reshape(-1, 2) + np.array([region.left - 0.5, region.top - 0.5])) * scale - 0.5
            fixed = np.rint(points * 16).astype(np.int32)
            cv2.polylines(panel, [fixed], True, (255, 255, 255), 1, cv2.LINE_AA, shift=4)
    return np.vstack([_caption(title, panel.shape[1]), panel]).astype(np.uint8)


def heat_layer(heat: NDArray[np.float32], size: int) -> bytes:
    """``heat`` (H, W; 0 to 1) as a PNG with alpha to lay over its picture, the longer side at most ``size`` px.

    Colours and their strength as in ``heat_panel``.
    """
    import cv2

    scale = min(1.0, size / max(heat.shape))
    target = (max(1, round(heat.shape[1] * scale)), max(1, round(heat.shape[0] * scale)))
    warm = cv2.resize(heat, target, interpolation=cv2.INTER_AREA)
    colour = cv2.applyColorMap((np.clip(warm, 0, 1) * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)
    alpha = (np.clip(warm * 1.3, 0, 0.8) * 255).astype(np.uint8)
    return png(np.dstack([colour[..., ::-1], alpha]))


def maximum(heats: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Several maps (H, W) of one picture as one: at each pixel the hottest."""
    return np.asarray(np.maximum.reduce(list(heats)), np.float32)


def _caption(text: str, width: int) -> Picture:
    import cv2

    bar: Picture = np.zeros((28, width, 3), np.uint8)
    ascii_text = text.encode("ascii", "replace").decode()  # OpenCV's strokes know no other letters
    (wide, _), _ = cv2.getTextSize(ascii_text, cv2.FONT_HERSHEY_SIMPLEX, 0.5, 1)
    size = 0.5 * min(1.0, (width - 10) / max(wide, 1))
    cv2.putText(bar, ascii_text, (5, 19), cv2.FONT_HERSHEY_SIMPLEX, size, (230, 230, 230), 1, cv2.LINE_AA)
    return bar


def side_by_side(rows: Sequence[Sequence[Picture]]) -> Picture:
    """Panels in rows, each padded with black to the largest of its row and column."""
    lines = []
    for row in rows:
        height = max(panel.shape[0] for panel in row)
        lines.append(np.hstack([_padded(panel, height, panel.shape[1]) for panel in row]))
    width = max(line.shape[1] for line in lines)
    return np.vstack([_padded(line, line.shape[0], width) for line in lines])


def _padded(picture: Picture, height: int, width: int) -> Picture:
    out: Picture = np.zeros((height, width, 3), np.uint8)
    out[: picture.shape[0], : picture.shape[1]] = picture
    return out
