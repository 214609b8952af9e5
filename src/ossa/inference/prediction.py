"""What a prediction answers: the bones, and the radiograph in which they were found."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from ossa.segmentation.segmentation import Segmentation

if TYPE_CHECKING:
    from ossa.radiograph.radiograph import Radiograph

#: Longer side of the picture that a notebook shows, px.
SHOWN = 1024


@dataclass(frozen=True, eq=False, repr=False)
class Prediction(Segmentation):
    """A Segmentation that carries its ``radiograph`` along, so that a notebook can show it.

    >>> radiograph = ossa.Radiograph(np.zeros((64, 64), np.uint8))
    >>> bone = ossa.Region(10, 10, np.ones((20, 20), bool))
    >>> found = ossa.Segmentation(ossa.load_schema(), (64, 64), {"Radius": bone})
    >>> ossa.Prediction.of(found, radiograph)
    <Prediction of 64x64 px: 1 of 29 bones of hand29>
    """

    radiograph: Radiograph | None = None

    @classmethod
    def of(cls, found: Segmentation, radiograph: Radiograph) -> Prediction:
        """``found`` in ``radiograph``."""
        return cls(**{f.name: getattr(found, f.name) for f in fields(Segmentation)}, radiograph=radiograph)

    def _repr_png_(self) -> bytes | None:
        """The bones over the radiograph as a PNG of at most SHOWN px, for IPython; None without a radiograph."""
        if self.radiograph is None:
            return None
        import cv2

        from ossa.export.overlay import annotated_overlay
        from ossa.radiograph.display import png

        picture = annotated_overlay(self.radiograph, self)
        scale = SHOWN / max(picture.shape[:2])
        if scale < 1:
            shrunk = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            picture = np.asarray(shrunk, np.uint8)
        return png(picture)
