"""A prediction that looks twice, so that its result can be judged."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ossa.hand.sides import side_notes
from ossa.inference.judge import Assessment, Judge, assess, judged
from ossa.inference.views import View

if TYPE_CHECKING:
    from ossa.inference.predictor import Predictor
    from ossa.radiograph.radiograph import Radiograph
    from ossa.segmentation.segmentation import Segmentation

#: Scale of the second look. A bone that is really there is found at nine tenths of its size too.
SECOND_SCALE = 0.9


def second_look(predictor: Predictor, radiograph: Radiograph) -> NDArray[np.float32]:
    """The logits of another look at the picture, mirrored and a little smaller, on the grid of the first one."""
    other = replace(predictor, views=(View(mirrored=True, scale=SECOND_SCALE),))
    return other.logits(radiograph)[0]


def looked_at(predictor: Predictor, radiograph: Radiograph, judge: Judge) -> tuple[Segmentation, Assessment]:
    """What was found, as it was decoded, and its assessment."""
    logits, placement = predictor.logits(radiograph)
    found = predictor.found_in(radiograph, logits, placement)
    return found, assess(found, logits, judge, second_look(predictor, radiograph), predictor.thresholds)


def examine(predictor: Predictor, radiograph: Radiograph, judge: Judge) -> Segmentation:
    """The bones of a radiograph with confidences and notes; none when there is no hand."""
    found, assessment = looked_at(predictor, radiograph, judge)
    result = judged(found, assessment, judge)
    return replace(result, notes=(*result.notes, *side_notes(result, radiograph.side)))
