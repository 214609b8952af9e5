"""Pictures of a result: bones over the radiograph, translucent, outlined, in the schema's colours."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ossa import safety
from ossa.errors import OutputError
from ossa.export.margins import with_lines, with_names
from ossa.radiograph.display import for_the_eye, jpeg, png
from ossa.radiograph.radiograph import Radiograph
from ossa.segmentation.outlines import outlines_from_region
from ossa.segmentation.segmentation import Region, Segmentation

Picture = NDArray[np.uint8]
Colour = tuple[int, int, int]
#: How much of the colour a bone's inside takes; the radiograph keeps the rest.
FILL = 0.30

#: Outlines are one pixel per this many pixels of the picture's longer side.
_LINE_PER = 900


def grey_picture(radiograph: Radiograph) -> Picture:
    """The radiograph as (H, W, 3) uint8 RGB; other than 8 bit is windowed to its 0.5 to 99.5 percentiles."""
    import cv2

    pixels: Any = radiograph.pixels
    if pixels.dtype != np.uint8:
        pixels = for_the_eye(pixels)
    picture: Any = cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB)
    return np.asarray(picture, np.uint8)


def overlay(radiograph: Radiograph, segmentation: Segmentation) -> Picture:
    """(H, W, 3) uint8 RGB: each bone's inside tinted, then each outline drawn in full colour.

    All outlines come after all fills, so that a bone is still seen where another lies over it.
    Raises OutputError when the two are not of one size.

    >>> radiograph = ossa.Radiograph(np.full((64, 64), 90, np.uint8))
    >>> bone = ossa.Region(10, 10, np.ones((20, 20), bool))
    >>> ossa.overlay(radiograph, ossa.Segmentation(ossa.load_schema(), (64, 64), {"Radius": bone})).shape
    (64, 64, 3)
    """
    _same_shape(radiograph, segmentation)
    picture = grey_picture(radiograph)
    for name, region in segmentation:
        tint(picture, region, segmentation.schema.bone(name).colour)
    for name, region in segmentation:
        trace(picture, region, segmentation.schema.bone(name).colour)
    return picture


def tint(picture: Picture, region: Region, colour: Colour, strength: float = FILL) -> None:
    """Blend ``colour`` into the region's pixels of an RGB picture, in place."""
    import cv2

    box = picture[region.top : region.bottom, region.left : region.right]
    every = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(1, 256, 3)
    table = cv2.addWeighted(every, 1 - strength, np.full_like(every, colour), strength, 0)
    cv2.copyTo(cv2.LUT(box, table), region.mask.view(np.uint8), box)


def trace(picture: Picture, region: Region, colour: Colour, thickness: int | None = None) -> None:
    """Draw the region's outline in full ``colour`` on an RGB picture, in place.

    ``thickness`` in px; when not given it follows the picture's size.
    """
    import cv2

    thickness = thickness or max(1, round(max(picture.shape[:2]) / _LINE_PER))
    rings = [np.rint(ring).astype(np.int32) for part in outlines_from_region(region) for ring in part.rings]
    cv2.polylines(picture, rings, True, colour, thickness, cv2.LINE_AA)


def annotated_overlay(radiograph: Radiograph, segmentation: Segmentation) -> Picture:
    """``overlay`` with the bones' names beside it and the segmentation's notes above it."""
    return with_lines(with_names(overlay(radiograph, segmentation), segmentation), segmentation.notes)


def write_overlay(path: str | PathLike[str], radiograph: Radiograph, segmentation: Segmentation) -> None:
    """Write ``annotated_overlay`` to a .png or .jpg file.

    >>> radiograph = ossa.Radiograph(np.full((64, 64), 90, np.uint8))
    >>> bone = ossa.Region(10, 10, np.ones((20, 20), bool))
    >>> ossa.write_overlay("overlay.png", radiograph, ossa.Segmentation(ossa.load_schema(), (64, 64), {"Radius": bone}))
    """
    write_picture(path, annotated_overlay(radiograph, segmentation))


def write_picture(path: str | PathLike[str], picture: Picture) -> None:
    """Write an (H, W, 3) uint8 RGB picture to a .png or .jpg file, at once or not at all."""
    suffix = Path(path).suffix.lower()
    if suffix not in (".png", ".jpg", ".jpeg"):
        raise OutputError(
            "a picture of this kind cannot be written", path=path, found=repr(suffix), expected=".png or .jpg"
        )
    safety.write_bytes(path, png(picture) if suffix == ".png" else jpeg(picture, 92))


def _same_shape(radiograph: Radiograph, segmentation: Segmentation) -> None:
    if radiograph.shape != segmentation.shape:
        raise OutputError(
            "a result cannot be drawn over a picture of another size",
            path=radiograph.provenance.path,
            found=f"a picture of {radiograph.shape[0]}x{radiograph.shape[1]}",
            expected=f"{segmentation.shape[0]}x{segmentation.shape[1]} as the result",
        )
