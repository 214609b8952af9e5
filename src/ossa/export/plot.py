"""Bones on the axes of matplotlib: for figures, and beside what else somebody plots."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from ossa.errors import MissingExtraError
from ossa.export.overlay import FILL, grey_picture
from ossa.quiet import fonts_elsewhere
from ossa.segmentation.outlines import outlines_from_region

if TYPE_CHECKING:
    from ossa.radiograph.radiograph import Radiograph
    from ossa.segmentation.segmentation import Region, Segmentation


def plot(
    radiograph: Radiograph | None,
    segmentation: Segmentation,
    axes: Any = None,
    bones: Iterable[str] | None = None,
    *,
    names: bool = False,
    fill: float = FILL,
) -> Any:
    """Draw bones, over their radiograph where there is one, on matplotlib's ``axes``, and return these.

    ``axes``: None for those of a new figure. Coordinates are the picture's px, pixel (row, column) at (column, row).
    ``bones``: names, None for all; ``names``: write titles beside them; ``fill``: how opaque the insides are, 0..1.
    Raises MissingExtraError without matplotlib, SchemaError for a name of no bone.
    """
    try:
        with fonts_elsewhere():
            from matplotlib import patheffects, pyplot
            from matplotlib.patches import PathPatch
    except ImportError as error:
        raise MissingExtraError.of("a plot of the bones", "plot", error) from error
    wanted = list(segmentation.schema.names if bones is None else bones)
    for name in wanted:
        segmentation.schema.index(name)  # raises with the nearest name
    if axes is None:
        height, width = segmentation.shape
        size = 6.0 / max(height, width)
        _, axes = pyplot.subplots(figsize=(max(width * size, 1.0), max(height * size, 1.0)), layout="constrained")
    if radiograph is not None:
        axes.imshow(grey_picture(radiograph), interpolation="antialiased")
    else:
        axes.set(xlim=(-0.5, segmentation.shape[1] - 0.5), ylim=(segmentation.shape[0] - 0.5, -0.5), aspect="equal")
    for name in wanted:
        region = segmentation.get(name)
        if region is None:
            continue
        bone = segmentation.schema.bone(name)
        colour = tuple(part / 255 for part in bone.colour)
        axes.add_patch(
            PathPatch(_path(region), facecolor=(*colour, fill), edgecolor=colour, linewidth=1.0, label=bone.title)
        )
        if names:
            text = axes.annotate(
                bone.title,
                (region.right, (region.top + region.bottom) / 2),
                color="white",
                fontsize="small",
                va="center",
                zorder=3,  # above every bone
            )
            text.set_path_effects([patheffects.withStroke(linewidth=2, foreground="black")])
    axes.set_axis_off()
    return axes


def _path(region: Region) -> Any:
    """The outlines of a bone, with their holes, as one path."""
    from matplotlib.path import Path

    rings = [np.asarray(ring, float) for part in outlines_from_region(region) for ring in part.rings]
    closed = [np.vstack([ring, ring[:1]]) for ring in rings]
    codes = [[Path.MOVETO, *[Path.LINETO] * (len(ring) - 1), Path.CLOSEPOLY] for ring in rings]
    return Path(np.vstack(closed), np.concatenate(codes))
