"""One picture of a data set and its truth: what every label format produces and everything else reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ossa.errors import DatasetError, LabelError
from ossa.radiograph.radiograph import Radiograph, Side
from ossa.radiograph.read import read_radiograph
from ossa.schema import BoneSchema
from ossa.segmentation.origin import Origin
from ossa.segmentation.outlines import Outline, Outlines, Ring, map_outlines, region_from_outlines
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

    ``outlines``: bone name -> parts, points (x, y) in full-size pixels. ``annotated``: the bones that somebody judged.
    One that is annotated but has no outline is known to be absent; one that is not annotated is unknown, and is left
    out of losses and scores. Nobody has judged a bone by not drawing it: see ``judged``. ``merged``: bones outlined
    together (never in ``annotated``). ``shape``: the (H, W) that the label itself says it was drawn at, None where it
    does not say. ``notes`` and ``confidence``: what ``ossa predict`` said of its answer; ``origin``: who gave it.
    ``left_out``: sentences on what of the label is no outline of a bone.
    """

    outlines: Outlines
    annotated: frozenset[str]
    merged: tuple[Merged, ...] = ()
    shape: tuple[int, int] | None = None
    notes: tuple[str, ...] = ()
    confidence: Mapping[str, float] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    origin: Origin | None = None

    def segmentation(self, schema: BoneSchema, shape: tuple[int, int]) -> Segmentation:
        """The outlines filled at ``shape`` (H, W)."""
        regions: dict[str, Region] = {}
        for name, parts in self.outlines.items():
            region = region_from_outlines(parts, shape)
            if region is not None:
                regions[name] = region
        sure = {name: value for name, value in self.confidence.items() if name in regions}
        return Segmentation(schema, shape, regions, sure, self.notes, origin=self.origin)

    def scaled(self, shape: tuple[int, int]) -> Truth:
        """The same drawing on a picture of ``shape`` (H, W): edges come to lie on edges."""
        if self.shape is None or self.shape == shape:
            return self
        factor = (shape[1] / self.shape[1], shape[0] / self.shape[0])

        def move(ring: Ring) -> Ring:
            return (ring + 0.5) * factor - 0.5

        merged = tuple(Merged(m.bones, tuple(part.mapped(move) for part in m.parts)) for m in self.merged)
        return replace(self, outlines=map_outlines(self.outlines, move), merged=merged, shape=shape)


def judged(
    outlines: Outlines, schema: BoneSchema, said: object = None, merged: tuple[Merged, ...] = ()
) -> frozenset[str]:
    """The bones of a label that somebody judged: those drawn on their own, and those that the label says were.

    ``said`` is the label's own word: a list of bone names, or "all". A bone that was only drawn together with another
    one is not among them, whatever is said.
    """
    named = schema.names if said == "all" else said if isinstance(said, list) else ()
    together = {bone for one in merged for bone in one.bones}
    return frozenset(outlines) | frozenset(name for name in schema.names if name in named and name not in together)


#: Reads the truth of a case; module-level functions only, so that cases travel to worker processes.
LabelReader = Callable[["Case", BoneSchema], Truth]


@dataclass(frozen=True)
class Case:
    """One picture, where its truth lies, and who it belongs to.

    ``id`` is the picture's base name with extension (the ``image_name`` of a submission), ``name`` its path below the
    data set's root, which no other picture has. ``subject`` groups the pictures of one person. ``side`` is what the
    file name or the data set says, None when it says nothing (see ``ossa.hand.sides.side_of``). ``split`` is the
    part of the data set as published ("train", "test", ...). ``annotated``: the bones that labels of this set are made
    to show; which of them somebody judged in this picture is in its ``Truth``. ``key`` finds the picture in a label
    file that holds many. ``scale_labels``: a label drawn at another size is scaled to the picture, not refused.

    >>> case = ossa.open_dataset("data").case("hand")
    >>> truth = case.truth(ossa.load_schema())
    >>> case.id, len(truth.outlines)
    ('hand.png', 29)
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
    name: str = ""
    scale_labels: bool = False

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", self.id)

    def truth(self, schema: BoneSchema, shape: tuple[int, int] | None = None) -> Truth:
        """Read the label. With ``shape`` (H, W) of the picture, a label that does not fit it is refused, see ``fit``.

        Raises DatasetError when the case has no label, LabelError when the label is malformed.
        """
        if self.label is None or self.reader is None:
            raise DatasetError(
                f"'{self.id}' has no label", path=self.image, remedy="Leave it out, or use it as an unlabelled picture"
            )
        truth = self.reader(self, schema)
        return truth if shape is None else self.fit(truth, shape)

    def fit(self, truth: Truth, shape: tuple[int, int]) -> Truth:
        """``truth`` for a picture of ``shape`` (H, W).

        Raises LabelError when the label says that it was drawn at another size (unless labels are to be scaled), or
        when points lie outside the picture.
        """
        label = self.label or self.image
        if self.scale_labels:
            truth = truth.scaled(shape)
        if truth.shape is not None and truth.shape != shape:
            raise LabelError(
                f"the label of '{self.name}' was drawn at another size than its picture has",
                path=label,
                found="{}x{}".format(*truth.shape),
                expected="{}x{}".format(*shape),
                remedy="Take the label of this picture; if it shows the same, have labels scaled (--scale-labels)",
            )
        check_inside(truth.outlines, shape, label)
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


@dataclass(frozen=True)
class Problem:
    """Something in a data set's folder that does not fit (a label without its picture, ...), as a sentence."""

    path: Path
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


@dataclass(frozen=True)
class Reading:
    """What a label format finds in a folder: ``cases`` in a stable order, and what did not fit.

    ``bare``: labels whose picture is not there, as cases with the path that it should have. They cannot be trained on,
    but they can be compared with.
    """

    cases: tuple[Case, ...]
    problems: tuple[Problem, ...] = ()
    bare: tuple[Case, ...] = ()


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
