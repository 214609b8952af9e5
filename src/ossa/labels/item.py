"""A label that is to be written as one of many: what every format that keeps a whole set together takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ossa.errors import LabelError
from ossa.segmentation.compare import intersection_area
from ossa.segmentation.segmentation import Segmentation


@dataclass(frozen=True, eq=False)
class Item:
    """The bones of one picture, and where both may go below the folder that is written.

    ``name`` is a path with "/" and without ending that no other item has ("ID001/hand"), ``file`` that of the picture
    ("ID001/hand.png"). ``judged``: the bones that somebody judged. ``bring`` puts the picture at a place that the
    format chooses and gives the path that the label is to name; None where pictures stay where they lie.
    """

    name: str
    file: str
    image: Path
    segmentation: Segmentation
    judged: frozenset[str]
    split: str = "train"
    subject: str = ""
    bring: Callable[[Path], Path] | None = None

    def brought(self, place: Path) -> Path:
        """The picture, at ``place`` or where it lies."""
        return self.image if self.bring is None else self.bring(place)

    @property
    def everything_judged(self) -> bool:
        """Whether all bones of the schema were looked for."""
        return len(self.judged) == len(self.segmentation.schema)


#: ``write_set(root, items)``: all labels of a set, with what a set needs beside them. An iterable that is read once.
SetWriter = Callable[[Path, Iterable[Item]], None]


def refuse_overlap(segmentation: Segmentation, picture: Path, form: str, instead: str) -> None:
    """Raise LabelError naming the two bones that share most pixels, where any do: ``form`` gives a pixel one bone."""
    regions = list(segmentation)
    worst = (0, "", "")
    for i, (first, one) in enumerate(regions):
        for second, other in regions[i + 1 :]:
            worst = max(worst, (intersection_area(one, other), first, second))
    if worst[0]:
        raise LabelError(
            f"bones overlap, and a label of the form '{form}' gives each pixel one bone",
            path=picture,
            found=f"{worst[0]:,} px that are both {worst[1]} and {worst[2]}",
            expected="bones side by side",
            remedy=f"Write them as '{instead}', which keeps the overlap",
        )


def flat_name(name: str) -> str:
    """A path as one name: folders joined by two underscores, since one is common in names."""
    return "__".join(PurePosixPath(name).parts)
