"""What a prediction answers: the bones, and the radiograph in which they were found."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from ossa.errors import MissingExtraError
from ossa.segmentation.segmentation import Segmentation

if TYPE_CHECKING:
    from collections.abc import Iterable

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

    def table(self) -> Any:
        """A row per bone that is there: a pandas.DataFrame, or a list of dictionaries where pandas is not installed.

        The columns are those of ``to_dataframe``.

        >>> bone = ossa.Region(10, 10, np.ones((20, 20), bool))
        >>> found = ossa.Segmentation(ossa.load_schema(), (64, 64), {"Radius": bone})
        >>> len(ossa.Prediction.of(found, ossa.Radiograph(np.zeros((64, 64), np.uint8))).table())
        1
        """
        try:
            return self.to_dataframe()
        except MissingExtraError:
            return self.rows()

    def plot(
        self, axes: Any = None, bones: Iterable[str] | None = None, *, names: bool = False, fill: float = 0.3
    ) -> Any:
        """Draw the bones over the radiograph on matplotlib's ``axes``, and return these.

        ``axes``: None for those of a new figure; ``bones``: names, None for all; ``names``: write titles beside them;
        ``fill``: how opaque the insides are. Raises MissingExtraError without matplotlib, SchemaError for a name of no
        bone.
        """
        from ossa.export.plot import plot

        return plot(self.radiograph, self, axes, bones, names=names, fill=fill)

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
