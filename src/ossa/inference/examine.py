"""A prediction that looks twice: judged by a second look, and turned upright when it makes no sense as it lies."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ossa.inference.quality import Assessment, Judge, assess, judged
from ossa.inference.tta import View
from ossa.radiograph.radiograph import Radiograph, Spacing
from ossa.segmentation.segmentation import Region, Segmentation

if TYPE_CHECKING:
    from ossa.inference.predictor import Predictor

#: Scale of the second look. A bone that is really there is found at nine tenths of its size too.
SECOND_SCALE = 0.9

#: Below this evidence for a hand the picture is tried turned by a half and by quarter turns.
TURN_BELOW = 0.8

#: A turned picture must show this much more evidence to be believed.
TURN_GAIN = 0.1


def second_look(predictor: Predictor, radiograph: Radiograph) -> NDArray[np.float32]:
    """The logits of another look at the picture, mirrored and a little smaller, on the grid of the first one."""
    other = replace(predictor, views=(View(mirrored=True, scale=SECOND_SCALE),))
    return other.network(predictor.prepare(radiograph))[0]


def examine(predictor: Predictor, radiograph: Radiograph, judge: Judge) -> Segmentation:
    """The bones of a radiograph with confidences and notes; none when there is no hand, however it is turned.

    A picture in which hardly anything is found is looked at upside down and on its sides too; the result is always in
    the picture's own frame.
    """
    found, assessment, turns = best_look(predictor, radiograph, judge)
    result = judged(found, assessment, judge)
    return turned_back(result, turns, radiograph.shape) if turns else result


def best_look(predictor: Predictor, radiograph: Radiograph, judge: Judge) -> tuple[Segmentation, Assessment, int]:
    """What was found, its assessment, and by how many quarters the picture was turned counter-clockwise for it."""
    found, assessment = _look(predictor, radiograph, judge)
    if assessment.evidence >= TURN_BELOW:
        return found, assessment, 0
    best = (found, assessment, 0)
    for turns in (2, 1, 3):
        other, other_assessment = _look(predictor, turned(radiograph, turns), judge)
        if other_assessment.evidence > max(best[1].evidence, assessment.evidence + TURN_GAIN):
            best = (other, other_assessment, turns)
        if best[1].evidence >= TURN_BELOW:
            break
    return best


def _look(predictor: Predictor, radiograph: Radiograph, judge: Judge) -> tuple[Segmentation, Assessment]:
    logits, placement = predictor.logits(radiograph)
    found = predictor.decode(logits, placement)
    other = second_look(predictor, radiograph)
    return found, assess(found, logits, judge, other, predictor.thresholds)


def turned(radiograph: Radiograph, turns: int) -> Radiograph:
    """The radiograph turned counter-clockwise by ``turns`` quarters."""
    spacing = radiograph.spacing
    if spacing is not None and turns % 2:
        spacing = Spacing(spacing.column, spacing.row, spacing.source)
    pixels: Any = np.ascontiguousarray(np.rot90(radiograph.pixels, turns))
    return replace(radiograph, pixels=pixels, spacing=spacing)


def turned_back(segmentation: Segmentation, turns: int, shape: tuple[int, int]) -> Segmentation:
    """A segmentation of a picture that was turned counter-clockwise by ``turns`` quarters, in its own ``shape``."""
    height, width = shape
    regions = {}
    for name, r in segmentation:
        mask = np.ascontiguousarray(np.rot90(r.mask, -turns))
        # np.rot90 by one quarter sends pixel (row, column) of an H x W picture to (W - 1 - column, row).
        top, left = {
            0: (r.top, r.left),
            1: (r.left, width - r.bottom),
            2: (height - r.bottom, width - r.right),
            3: (height - r.right, r.top),
        }[turns % 4]
        regions[name] = Region(top, left, mask)
    return replace(segmentation, shape=shape, regions=regions)
