"""Pictures of a result: bones over the radiograph, translucent, outlined, in the schema's colours."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ossa import safety
from ossa.errors import OutputError
from ossa.radiograph.radiograph import Radiograph
from ossa.schema import BoneSchema
from ossa.segmentation.outlines import outlines_from_region
from ossa.segmentation.segmentation import Region, Segmentation

Picture = NDArray[np.uint8]
Colour = tuple[int, int, int]
#: left, top, right, bottom in px; right and bottom are the first outside.
Box = tuple[int, int, int, int]

#: How much of the colour a bone's inside takes; the radiograph keeps the rest.
FILL = 0.30

#: Colours of a difference (Okabe and Ito's orange and sky blue, told apart by colour-blind readers too):
#: what only the prediction has, and what only the truth has.
EXTRA: Colour = (230, 159, 0)
MISSED: Colour = (86, 180, 233)

#: Outlines are one pixel per this many pixels of the picture's longer side.
_LINE_PER = 900


def grey_picture(radiograph: Radiograph) -> Picture:
    """The radiograph as (H, W, 3) uint8 RGB; other than 8 bit is windowed to its 0.5 to 99.5 percentiles."""
    pixels = radiograph.pixels
    if pixels.dtype != np.uint8:
        low, high = np.percentile(pixels[::4, ::4], (0.5, 99.5))
        scale = 255.0 / max(float(high - low), 1.0)
        pixels = np.clip((pixels.astype(np.float32) - low) * scale, 0, 255).astype(np.uint8)
    return np.repeat(pixels[:, :, None], 3, axis=2)


def overlay(radiograph: Radiograph, segmentation: Segmentation) -> Picture:
    """(H, W, 3) uint8 RGB: each bone's inside tinted, then each outline drawn in full colour.

    All outlines come after all fills, so that a bone is still seen where another lies over it.
    Raises OutputError when the two are not of one size.
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
    blended = cv2.addWeighted(box, 1 - strength, np.full_like(box, colour), strength, 0)
    np.copyto(box, blended, where=region.mask[:, :, None])


def trace(picture: Picture, region: Region, colour: Colour, thickness: int | None = None) -> None:
    """Draw the region's outline in full ``colour`` on an RGB picture, in place.

    ``thickness`` in px; when not given it follows the picture's size.
    """
    import cv2

    thickness = thickness or max(1, round(max(picture.shape[:2]) / _LINE_PER))
    rings = [np.rint(ring).astype(np.int32) for part in outlines_from_region(region) for ring in part.rings]
    cv2.polylines(picture, rings, True, colour, thickness, cv2.LINE_AA)


def difference(radiograph: Radiograph, pred: Segmentation, truth: Segmentation) -> Picture:
    """(H, W, 3) uint8 RGB: where a prediction leaves the truth.

    Pixels that only the prediction has are ``EXTRA`` (orange), those that only the truth has ``MISSED``
    (blue), bone by bone; the truth's outlines are drawn in white. Raises OutputError when the sizes differ.
    """
    _same_shape(radiograph, pred)
    _same_shape(radiograph, truth)
    picture = grey_picture(radiograph)
    for name in truth.schema.names:
        extra, missed = _without(pred.get(name), truth.get(name)), _without(truth.get(name), pred.get(name))
        for region, colour in ((extra, EXTRA), (missed, MISSED)):
            if region is not None:
                tint(picture, region, colour, 0.8)
    for _, region in truth:
        trace(picture, region, (255, 255, 255), thickness=1)
    return picture


def _without(region: Region | None, other: Region | None) -> Region | None:
    """The pixels of ``region`` that ``other`` does not have."""
    if region is None or other is None:
        return region
    own = Region(region.top, region.left, region.mask.copy())
    both = own.shared(other)
    if both is not None:
        both[0][...] &= ~both[1]
    return Region.tight(own.mask, own.top, own.left)


def write_names(picture: Picture, segmentation: Segmentation) -> None:
    """Write each bone's name at its middle, light with a dark rim, on an RGB picture, in place.

    A name that would lie on another one moves up or down until it is free.
    """
    scale = max(picture.shape[:2]) / 2200
    rim = max(1, round(2 * scale))
    taken: list[Box] = []
    for name, region in segmentation:
        width, height = _text_size(name, scale)
        x = _clipped((region.left + region.right - width) // 2, picture.shape[1] - width)
        middle = (region.top + region.bottom - height) // 2
        for step in range(2 * len(segmentation)):
            y = _clipped(middle + (height + rim) * ((step + 1) // 2) * (-1) ** step, picture.shape[0] - height)
            box = (x - rim, y - rim, x + width + rim, y + height + rim)
            if not any(_meet(box, other) for other in taken):
                break
        taken.append(box)
        for dx, dy in ((-1, -1), (0, -1), (1, -1), (-1, 0), (1, 0), (-1, 1), (0, 1), (1, 1)):
            _write(picture, name, x + dx * rim, y + height + dy * rim, scale, (0, 0, 0))
        _write(picture, name, x, y + height, scale, (255, 255, 255))


def _meet(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _clipped(value: int, most: int) -> int:
    return max(0, min(value, most))


def legend(schema: BoneSchema, height: int) -> Picture:
    """(``height``, W, 3) uint8 RGB: a list of all bones, each with its colour, name and title."""
    line = height / max(len(schema) + 1, 50)
    scale = line / 44
    labels = [bone.name if bone.name == bone.title else f"{bone.name}  {bone.title}" for bone in schema.bones]
    indent = round(line * 1.3)
    width = indent + max(_text_size(label, scale)[0] for label in labels) + round(line / 2)
    picture = np.full((height, width, 3), 18, np.uint8)
    for i, (bone, label) in enumerate(zip(schema.bones, labels, strict=True)):
        top, bottom = round(line * (i + 0.7)), round(line * (i + 1.3))
        picture[top:bottom, round(line * 0.4) : round(line * 1.0)] = bone.colour
        baseline = round((top + bottom + _text_size(label, scale)[1]) / 2)
        _write(picture, label, indent, baseline, scale, (235, 235, 235))
    return picture


def with_legend(picture: Picture, schema: BoneSchema) -> Picture:
    """The picture with the legend of its bones at its right."""
    return np.concatenate([picture, legend(schema, picture.shape[0])], axis=1)


def _text_size(text: str, scale: float) -> tuple[int, int]:
    """(width, height) in px of a text."""
    import cv2

    width, height = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, _stroke(scale))[0]
    return width, height


def _write(picture: Picture, text: str, x: int, y: int, scale: float, colour: Colour) -> None:
    """Draw a text whose lower left corner is (x, y)."""
    import cv2

    cv2.putText(picture, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, colour, _stroke(scale), cv2.LINE_AA)


def _stroke(scale: float) -> int:
    # OpenCV 5 takes the stroke for the weight of an outline font: it changes a text's width.
    return max(1, round(scale * 2))


def write_overlay(path: str | PathLike[str], radiograph: Radiograph, segmentation: Segmentation) -> None:
    """Write ``overlay`` to a .png or .jpg file, with the segmentation's notes as lines at its top."""
    picture = overlay(radiograph, segmentation)
    write_lines(picture, segmentation.notes)
    write_picture(path, picture)


def write_lines(picture: Picture, lines: Sequence[str]) -> None:
    """Write lines of text into the top left of a picture (H, W, 3) RGB, on a dark ground, small enough to fit."""
    import cv2

    height, width = picture.shape[:2]
    y = 0
    for line in lines:
        text = line.encode("ascii", "replace").decode()  # OpenCV's strokes know no other letters
        (wide, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 1.0, 1)
        size = min(max(height, width) / 1400, 0.97 * width / max(wide, 1))
        step = max(8, round(34 * size))
        if y + step > height // 3:
            break
        picture[y : y + step] //= 3
        place = (round(4 * size) + 1, y + round(step * 0.75))
        cv2.putText(
            picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, (255, 214, 90), max(1, round(size)), cv2.LINE_AA
        )
        y += step


def write_picture(path: str | PathLike[str], picture: Picture) -> None:
    """Write an (H, W, 3) uint8 RGB picture to a .png or .jpg file, at once or not at all."""
    import cv2

    suffix = Path(path).suffix.lower()
    options: dict[str, list[int]] = {
        # OpenCV's own setting: half the time of any level of compression that is asked for, and a third larger.
        ".png": [],
        ".jpg": [cv2.IMWRITE_JPEG_QUALITY, 92],
        ".jpeg": [cv2.IMWRITE_JPEG_QUALITY, 92],
    }
    if suffix not in options:
        raise OutputError(
            "a picture of this kind cannot be written", path=path, found=repr(suffix), expected=".png or .jpg"
        )
    _, data = cv2.imencode(suffix, picture[:, :, ::-1], options[suffix])
    safety.write_bytes(path, data.tobytes())


def _same_shape(radiograph: Radiograph, segmentation: Segmentation) -> None:
    if radiograph.shape != segmentation.shape:
        raise OutputError(
            "a result cannot be drawn over a picture of another size",
            path=radiograph.provenance.path,
            found=f"a picture of {radiograph.shape[0]}x{radiograph.shape[1]}",
            expected=f"{segmentation.shape[0]}x{segmentation.shape[1]} as the result",
        )
