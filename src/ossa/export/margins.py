"""What stands around a picture and covers none of it: the bones' names at its sides, sentences above it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ossa.segmentation.segmentation import Segmentation

Picture = NDArray[np.uint8]
Colour = tuple[int, int, int]

#: Names are written beside pictures whose longer side has at least this many px: below, no letter could be read.
NAMED_FROM = 400

#: Lines of text per height of a picture; letters of a line have half its height.
_LINES = 56

#: A line of names has at least this many px.
_SMALLEST = 13

_GROUND: Colour = (18, 18, 18)
_INK: Colour = (230, 230, 230)
_WARNING: Colour = (255, 214, 90)


@dataclass(frozen=True)
class _Label:
    """One name: ``anchor`` (x, y) in px of the picture is where its line ends, ``row`` the y of its middle."""

    text: str
    colour: Colour
    anchor: tuple[int, int]
    row: int


def with_names(picture: Picture, segmentation: Segmentation) -> Picture:
    """The (H, W, 3) RGB picture between two margins that name its bones, each with a thin line to the bone.

    Bones left of the bones' middle are named at the left. The picture itself comes back untouched where it is too small
    for letters (NAMED_FROM) or shows no bone; else only the lines run over it, in the bones' colours.
    """
    import cv2

    height, width = picture.shape[:2]
    if max(height, width) < NAMED_FROM or not len(segmentation):
        return picture
    sides = _sides(segmentation)
    line = max(_SMALLEST, round(max(height, width) / _LINES))
    line = max(8, min(line, height // max(len(sides[0]), len(sides[1]), 1)))
    scale = line / 44
    bones = segmentation.schema
    left, right = (
        max((_text_size(bones.bone(n).title, scale)[0] for n in side), default=0) + 3 * line for side in sides
    )
    framed: Any = cv2.copyMakeBorder(picture, 0, 0, left, right, cv2.BORDER_CONSTANT, value=_GROUND)
    out: Picture = framed
    for k, side in enumerate(sides):
        for label in _labels(segmentation, side, k == 0, height, line):
            _draw(out, label, left, width, k == 0, line)
    return out


def _sides(segmentation: Segmentation) -> tuple[list[str], list[str]]:
    """The bones' names for the left and the right margin, as many here as there."""
    middle = {name: region.left + region.mask.shape[1] / 2 for name, region in segmentation}
    order = sorted(middle, key=lambda name: middle[name])
    half = (len(order) + 1) // 2
    return order[:half], order[half:]


def _labels(segmentation: Segmentation, names: Sequence[str], left: bool, height: int, line: int) -> list[_Label]:
    """The labels of one margin from top to bottom, at least a ``line`` apart, each as near to its bone as may be."""
    anchors = {}
    for name in names:
        region = segmentation.regions[name]
        rows = np.flatnonzero(region.mask.any(axis=1))
        row = int(rows[len(rows) // 2])
        columns = np.flatnonzero(region.mask[row])
        inner = columns[len(columns) // 4] if left else columns[-1 - len(columns) // 4]
        anchors[name] = (region.left + int(inner), region.top + row)
    order = sorted(names, key=lambda name: anchors[name][1])
    rows_ = _spread([anchors[name][1] for name in order], line, height)
    schema = segmentation.schema
    return [
        _Label(schema.bone(name).title, schema.bone(name).colour, anchors[name], row)
        for name, row in zip(order, rows_, strict=True)
    ]


def _spread(wanted: Sequence[int], step: int, height: int) -> list[int]:
    """Rising positions near the ``wanted`` (rising) ones, ``step`` apart, all of a line inside 0..``height``.

    Neighbours that are too close become a block around their mean, which grows as it meets others.
    """
    blocks: list[tuple[float, int]] = []  # (first position, how many)
    sums: list[float] = []
    half = step / 2
    for position in wanted:
        total, count = float(position), 1
        first = _inside(total, count, step, half, height)
        while blocks and blocks[-1][0] + blocks[-1][1] * step > first:
            _, more = blocks.pop()
            total = sums.pop() + total - count * more * step
            count += more
            first = _inside(total / count, count, step, half, height)
        blocks.append((first, count))
        sums.append(total)
    return [round(first + k * step) for first, count in blocks for k in range(count)]


def _inside(first: float, count: int, step: int, half: float, height: int) -> float:
    return max(half, min(first, height - half - (count - 1) * step))


def _draw(out: Picture, label: _Label, margin: int, width: int, left: bool, line: int) -> None:
    import cv2

    scale = line / 44
    wide, high = _text_size(label.text, scale)
    edge = margin if left else margin + width
    x = edge - 2 * line - wide if left else edge + 2 * line
    cv2.putText(
        out, label.text, (x, label.row + high // 2), cv2.FONT_HERSHEY_SIMPLEX, scale, _INK, _stroke(scale), cv2.LINE_AA
    )
    near = edge - 2 * line + line // 2 if left else edge + 2 * line - line // 2
    anchor = (margin + label.anchor[0], label.anchor[1])
    bend = (edge if left else edge - 1, label.row)
    points = np.array([(near, label.row), bend, anchor], np.int32)
    cv2.polylines(out, [points], False, label.colour, max(1, line // 26), cv2.LINE_AA)
    cv2.circle(out, anchor, max(2, line // 7), label.colour, -1, cv2.LINE_AA)


def with_lines(picture: Picture, lines: Sequence[str]) -> Picture:
    """The (H, W, 3) RGB picture below sentences, broken where they are wider than the picture."""
    import cv2

    if not lines:
        return picture
    width = picture.shape[1]
    line = max(10, round(max(picture.shape[:2]) / 50))
    scale = line / 44
    rows = [row for text in lines for row in _broken(_ascii(text), scale, width - line)]
    band: Picture = np.full((line * len(rows) + line // 2, width, 3), _GROUND, np.uint8)
    for i, row in enumerate(rows):
        place = (line // 2, round(line * (i + 0.95)))
        cv2.putText(band, row, place, cv2.FONT_HERSHEY_SIMPLEX, scale, _WARNING, _stroke(scale), cv2.LINE_AA)
    return np.concatenate([band, picture])


def with_legend(picture: Picture, entries: Sequence[tuple[str, Colour]]) -> Picture:
    """The (H, W, 3) RGB picture beside a column of texts, each with a swatch of its colour.

    Texts become smaller where there are many, but never too small to be read: the column may be the higher one.
    """
    import cv2

    if not entries:
        return picture
    height = picture.shape[0]
    line = max(_SMALLEST, min(round(max(picture.shape[:2]) / _LINES), height // (len(entries) + 1)))
    scale = line / 44
    wide = max(_text_size(text, scale)[0] for text, _ in entries) + 3 * line
    out: Picture = np.full((max(height, line * (len(entries) + 1)), picture.shape[1] + wide, 3), _GROUND, np.uint8)
    out[:height, : picture.shape[1]] = picture
    left = picture.shape[1] + line // 2
    for k, (text, colour) in enumerate(entries):
        row = round(line * (k + 1.3))
        cv2.rectangle(out, (left, row - line // 2), (left + line, row), colour, -1)
        place = (left + 3 * line // 2, row)
        cv2.putText(out, _ascii(text), place, cv2.FONT_HERSHEY_SIMPLEX, scale, _INK, _stroke(scale), cv2.LINE_AA)
    return out


def _broken(text: str, scale: float, width: int) -> list[str]:
    rows: list[str] = []
    for word in text.split():
        longer = f"{rows[-1]} {word}" if rows else word
        if rows and _text_size(longer, scale)[0] <= width:
            rows[-1] = longer
        else:
            rows.append(word)
    return rows


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode()  # OpenCV's strokes know no other letters


def _text_size(text: str, scale: float) -> tuple[int, int]:
    """(width, height) in px of a text."""
    import cv2

    width, height = cv2.getTextSize(_ascii(text), cv2.FONT_HERSHEY_SIMPLEX, scale, _stroke(scale))[0]
    return width, height


def _stroke(scale: float) -> int:
    # OpenCV 5 takes the stroke for the weight of an outline font: it changes a text's width.
    return max(1, round(scale * 2))
