"""A contact sheet: what the network is shown, its truth drawn on top, for a person to look at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ossa.schema import BoneSchema
from ossa.segmentation.segmentation import Segmentation
from ossa.training.batches import Sample, normalised


def contact_sheet(samples: Sequence[Sample], schema: BoneSchema, columns: int = 4) -> NDArray[np.uint8]:
    """RGB (rows * H, columns * W, 3) uint8 of samples as the network gets them, bones outlined in their colours.

    Grey is the normalised input, -2.5 to 2.5 SD from black to white. A bone that is not annotated has no outline;
    the number of annotated bones is written where it is not all of them.
    """
    import cv2

    height, width = samples[0].image.shape
    rows = -(-len(samples) // columns)
    sheet = np.zeros((rows * height, columns * width, 3), np.uint8)
    for k, sample in enumerate(samples):
        grey = np.clip((normalised(sample) + 2.5) * 51, 0, 255).astype(np.uint8)
        tile = cv2.merge([grey, grey, grey])
        for name, region in Segmentation.from_bits(sample.bits, schema):
            contours, _ = cv2.findContours(
                region.mask.view(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE, offset=(region.left, region.top)
            )
            cv2.drawContours(tile, contours, -1, schema.bone(name).colour, 1)
        known = int(sample.annotated.sum())
        text = sample.id if known == len(schema) else f"{sample.id}: {known} of {len(schema)} bones annotated"
        cv2.putText(tile, text[:60], (4, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.35, (255, 255, 255), 1, cv2.LINE_AA)
        row, column = divmod(k, columns)
        sheet[row * height : (row + 1) * height, column * width : (column + 1) * width] = tile
    return sheet
