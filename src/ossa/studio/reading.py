"""What a source says of a picture, read when it is asked for: labels, corrections, predictions, kept answers of models.

FOLDER/predictions/<source>/<picture>.json    what a model answered, so that it is asked once
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from pathlib import Path

from ossa.errors import InputError
from ossa.labels.case import Truth
from ossa.labels.competition import parse_label, write_label
from ossa.labels.names import bone_names
from ossa.labels.results import Label
from ossa.labels.texts import read_label_json
from ossa.radiograph.read import read_size
from ossa.safety import inside
from ossa.schema import BoneSchema
from ossa.segmentation.segmentation import Segmentation
from ossa.studio.bones import truth_from
from ossa.studio.collection import TRUTH, Picture
from ossa.studio.corrections import Corrections, Missing

PREDICTIONS = "predictions"

Shape = tuple[int, int]

#: How many pictures' sizes are kept in memory.
_MOST_SIZES = 100_000


class Reader:
    """Reads pictures' bones from their sources; ``folder`` is the studio's own."""

    def __init__(self, schema: BoneSchema, corrections: Corrections, folder: Path) -> None:
        self.schema = schema
        self.corrections = corrections
        self.folder = folder
        #: Source -> the folder of its answers, where that is not called as the source.
        self.answers: dict[str, str] = {}
        self._names = bone_names(schema)
        self._sizes: OrderedDict[str, tuple[str, Shape]] = OrderedDict()

    def shape(self, picture: Picture) -> Shape:
        """(H, W) of the picture from its header. Raises ImageError."""
        known = stamp(picture.path)
        if self._sizes.get(picture.id, ("",))[0] != known:
            self._sizes[picture.id] = (known, read_size(picture.path))
            if len(self._sizes) > _MOST_SIZES:
                self._sizes.popitem(last=False)
        return self._sizes[picture.id][1]

    def kept(self, picture: Picture, source: str) -> Path:
        """Where a model's answer lies, or would."""
        return inside(self.folder / PREDICTIONS, Path(self.answers.get(source, source)) / f"{picture.id}.json")

    def keep(self, picture: Picture, source: str, found: Segmentation) -> None:
        """Keep a model's answer. Raises OutputError."""
        write_label(self.kept(picture, source), found, picture.path.name)

    def stamp(self, picture: Picture, source: str) -> str | None:
        """What changes when the source says something else of the picture; None where it says nothing."""
        if source == TRUTH and (revision := self.corrections.revision(picture.name)):
            return f"correction {revision}"
        entry = picture.entry(source)
        if entry is not None:
            return "?" if entry.file is None else stamp(entry.file)
        kept = self.kept(picture, source)
        return stamp(kept) if kept.is_file() else None

    def truth(self, picture: Picture, source: str) -> Truth:
        """What the source drew on the picture: its own outlines where it has some, else the borders of its regions.

        Raises Missing where the source says nothing of the picture, InputError for what cannot be read.
        """
        shape = self.shape(picture)
        if source == TRUTH and self.corrections.revision(picture.name):
            return self.corrections.read(picture.name)
        entry = picture.entry(source)
        if entry is not None:
            opened = entry.open()
            return opened.drawn(shape) if isinstance(opened, Label) else truth_from(*opened.read(shape))
        kept = self.kept(picture, source)
        if not kept.is_file():
            raise Missing(f"nothing is known of '{picture.name}' from '{source}'", expected="another source")
        found = parse_label(read_label_json(kept), kept, self._names)
        if found.shape != shape:
            raise InputError(
                "the model's answer was for a picture of another size",
                path=kept,
                found="{}x{}".format(*(found.shape or (0, 0))),
                expected="{}x{}".format(*shape),
                remedy="Remove this file: the model is then asked again",
            )
        return found

    def own_truth(self, picture: Picture) -> Truth | None:
        """The data set's own label, before any correction; None where it has none."""
        entry = picture.entry(TRUTH)
        if entry is None:
            return None
        opened = entry.open()
        shape = self.shape(picture)
        return opened.drawn(shape) if isinstance(opened, Label) else truth_from(*opened.read(shape))

    def segmentation(self, picture: Picture, source: str) -> tuple[Segmentation, frozenset[str]]:
        """The bones as regions, and those that were judged. Raises as ``truth``."""
        found = self.truth(picture, source)
        return found.segmentation(self.schema, self.shape(picture)), found.annotated


def stamp(path: Path) -> str:
    """A file's size and time of change; a folder's are those of its files. "" for what is not there."""
    try:
        if path.is_dir():
            inner = sorted(f"{one.name} {stamp(one)}" for one in path.iterdir() if one.is_file())
            return hashlib.sha256("\n".join(inner).encode()).hexdigest()[:16]
        found = path.stat()
    except OSError:
        return ""
    return f"{found.st_size}-{found.st_mtime_ns}"
