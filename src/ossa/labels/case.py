"""One picture of a data set and its truth: what every label format produces and everything else reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ossa.errors import DatasetError, LabelError
from ossa.radiograph.radiograph import Radiograph, Side
from ossa.radiograph.read import read_radiograph
from ossa.schema import BoneSchema
from ossa.segmentation.outlines import Outline, Outlines, region_from_outlines
from ossa.segmentation.segmentation import Region, Segmentation

#: Points may lie this far (px) outside the picture: drawing tools put points on the picture's edge, that is
#: up to half a pixel beyond the outermost pixel centres, and some count the edge as W instead of W - .5.
EDGE_TOLERANCE = 1.0


@dataclass(frozen=True, eq=False)
class Merged:
    """Several bones that a data set outlines as one: it tells where they are together, not where each ends."""

    bones: frozenset[str]
    parts: tuple[Outline, ...]


@dataclass(frozen=True, eq=False)
class Truth:
    """What is known of one picture.

    ``outlines``: bone name -> parts, points (x, y) in full-size pixels. ``annotated``: the bones whose truth is
    complete: one that is annotated but has no outline is known to be absent, one that is not annotated is unknown
    and must be left out of losses and scores. ``merged``: bones outlined together (never in ``annotated``).
    """

    outlines: Outlines
    annotated: frozenset[str]
    merged: tuple[Merged, ...] = ()

    def segmentation(self, schema: BoneSchema, shape: tuple[int, int]) -> Segmentation:
        """The outlines filled at ``shape`` (H, W)."""
        regions: dict[str, Region] = {}
        for name, parts in self.outlines.items():
            region = region_from_outlines(parts, shape)
            if region is not None:
                regions[name] = region
        return Segmentation(schema, shape, regions)


#: Reads the truth of a case; module-level functions only, so that cases travel to worker processes.
LabelReader = Callable[["Case", BoneSchema], Truth]


@dataclass(frozen=True)
class Case:
    """One picture, where its truth lies, and who it belongs to.

    ``id`` is the picture's base name with extension (the ``image_name`` of a submission). ``subject`` groups the
    pictures of one person. ``side`` is what the file name or the data set says, None when it says nothing (see
    ``ossa.hand.geometry.side_of``). ``split`` is the part of the data set as published ("train", "test", ...).
    ``key`` finds the picture in a label file that holds many.
    """

    id: str
    subject: str
    image: Path
    label: Path | None
    side: Side | None = None
    split: str = "train"
    annotated: frozenset[str] = frozenset()
    key: str = ""
    reader: LabelReader | None = field(default=None, repr=False)

    def truth(self, schema: BoneSchema, shape: tuple[int, int] | None = None) -> Truth:
        """Read the label. With ``shape`` (H, W) of the picture, points outside it are refused.

        Raises DatasetError when the case has no label, LabelError when the label is malformed.
        """
        if self.label is None or self.reader is None:
            raise DatasetError(
                f"'{self.id}' has no label", path=self.image, remedy="Leave it out, or use it as an unlabelled picture"
            )
        truth = self.reader(self, schema)
        if shape is not None:
            check_inside(truth.outlines, shape, self.label)
        return truth

    def outlines(self, schema: BoneSchema, shape: tuple[int, int] | None = None) -> Outlines:
        """The outlines of ``truth``: bone name -> parts in full-size pixels."""
        return self.truth(schema, shape).outlines

    def segmentation(self, schema: BoneSchema, shape: tuple[int, int]) -> Segmentation:
        """The truth filled at the picture's ``shape`` (H, W)."""
        return self.truth(schema, shape).segmentation(schema, shape)

    def radiograph(self) -> Radiograph:
        """Read the picture."""
        return read_radiograph(self.image)


def check_inside(outlines: Outlines, shape: tuple[int, int], path: Path) -> None:
    """Raise LabelError naming the first point that lies outside a picture of ``shape`` (H, W)."""
    height, width = shape
    low = -0.5 - EDGE_TOLERANCE
    for name, parts in outlines.items():
        for part in parts:
            ring = part.exterior
            bad = (ring < low).any(axis=1) | (ring[:, 0] > width - 0.5 + EDGE_TOLERANCE)
            bad |= ring[:, 1] > height - 0.5 + EDGE_TOLERANCE
            if bad.any():
                x, y = ring[int(bad.argmax())]
                raise LabelError(
                    f"{int(bad.sum())} of {len(ring)} points of '{name}' lie outside the picture",
                    path=path,
                    found=f"({x:g}, {y:g})",
                    expected=f"0..{width - 1} by 0..{height - 1}",
                    remedy="Check that the label belongs to this picture and was drawn at its size",
                )


def side_from_name(stem: str) -> Side | None:
    """The side that a file name without extension states by ending in ``_R`` or ``_L``."""
    if stem.endswith("_R"):
        return "R"
    return "L" if stem.endswith("_L") else None
