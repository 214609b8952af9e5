"""The forms in which data sets keep labels: one typed table, asked in order, open to forms of users' own.

A form of your own is a ``LabelFormat`` in a package of yours, named by an entry point of the group
``ossa.label_formats``; CONTRIBUTING shows one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from ossa.errors import ConfigError, DatasetError
from ossa.labels.case import Problem, Reading
from ossa.labels.item import SetWriter, refuse_overlap
from ossa.labels.names import BoneNames
from ossa.segmentation.segmentation import Segmentation

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

#: Where packages name formats of their own.
GROUP = "ossa.label_formats"

#: ``write(path, segmentation, image, known)``: the label of the picture that lies at ``image``; ``known`` are the bones
#: that somebody judged (None: all).
Writer = Callable[[Path, Segmentation, Path, frozenset[str] | None], None]


@dataclass(frozen=True)
class LabelFormat:
    """A form of labels.

    ``layout`` is one line for messages. Formats are asked by ``order``, lower numbers first: one that knows itself by
    little comes late. ``detect(root)`` says whether a folder has this form; ``read(root, names)`` gives its cases and
    what did not fit, and the readers of the cases are functions of a module, since they travel to other processes.
    ``write`` writes the label of one picture, whose file's name ends in ``ending``; None where a label cannot stand
    alone. ``write_set`` writes all labels of a set, in folders of the format's own; None where a set is no more than
    its labels. ``mark`` is the file that such a set has. ``keeps_overlap``: a pixel may be of several bones; else
    ``refuse`` tells which label cannot be written. ``loses``: a sentence on what the format has no room for. ``needs``
    raises MissingExtraError where what it is written with is not installed.
    """

    name: str
    layout: str
    order: int
    detect: Callable[[Path], bool]
    read: Callable[[Path, BoneNames], Reading]
    write: Writer | None = None
    write_set: SetWriter | None = None
    ending: str = ".json"
    mark: str = ""
    keeps_overlap: bool = True
    loses: str = ""
    needs: Callable[[], None] | None = None

    @property
    def writable(self) -> bool:
        """Whether labels can be written in this form."""
        return self.write is not None or self.write_set is not None

    def refuse(self, segmentation: Segmentation, picture: Path) -> None:
        """Raise LabelError for the label of ``picture`` when bones overlap and the form cannot say so."""
        if not self.keeps_overlap:
            refuse_overlap(segmentation, picture, self.name, "nnunet-regions")


#: The formats that ossa brings with it, each by the file of ``labels/`` that has it among its ``FORMATS``: only what is
#: asked for is imported, since writing one label needs no other format.
OWN = {
    "competition": "competition",
    "coco": "coco",
    "nnunet": "nnunet",
    "nnunet-regions": "nnunet",
    "ramw600": "ramw600",
    "labelme": "beside",
    "dicom-seg": "dicom_seg",
    "masks": "masks",
    "bits": "bits",
    "yolo": "yolo",
    "cvat": "cvat",
    "voc": "foreign",
    "via": "foreign",
    "flat": "beside",
}


def own(name: str) -> LabelFormat:
    """The format of OWN that is called ``name``."""
    several: tuple[LabelFormat, ...] = import_module(f"ossa.labels.{OWN[name]}").FORMATS
    return next(one for one in several if one.name == name)


@dataclass(frozen=True)
class Formats:
    """The table, in the order in which formats are asked, and what of other packages could not be loaded."""

    table: Mapping[str, LabelFormat]
    problems: tuple[Problem, ...] = ()

    def recognise(self, root: Path) -> LabelFormat | None:
        """The first format that knows ``root`` as its own."""
        return next((one for one in self.table.values() if one.detect(root)), None)

    def called(self, name: str) -> LabelFormat:
        """The format called ``name``; DatasetError lists all."""
        if name not in self.table:
            raise DatasetError(f"no label format is called '{name}'", expected="one of " + ", ".join(self.table))
        return self.table[name]

    def layouts(self) -> str:
        """Every layout that is read, for messages."""
        return " | ".join(f"{f.name}: {f.layout}" for f in self.table.values() if f.layout != "not read")


@cache
def formats() -> Formats:
    """The formats of ossa and of installed packages."""
    from importlib.metadata import entry_points

    return build(map(own, OWN), entry_points(group=GROUP))


def build(own: Iterable[LabelFormat], plugins: Iterable[EntryPoint]) -> Formats:
    """A table of ``own`` formats and those behind ``plugins``; a damaged plug-in is told and left out.

    Raises ConfigError when two of ossa's own have one name.
    """
    known = list(own)
    if len({one.name for one in known}) < len(known):
        raise ConfigError("two label formats have one name", found=", ".join(one.name for one in known))
    problems = []
    for plugin in plugins:
        try:
            loaded = plugin.load()
            if not isinstance(loaded, LabelFormat):
                raise TypeError(f"{type(loaded).__name__}, not a LabelFormat")
            if loaded.name in {one.name for one in known}:
                raise ValueError(f"the name '{loaded.name}' is taken")
        except Exception as error:  # whatever a stranger's module does when it is imported
            what = f"the label format of {plugin.value} cannot be loaded: {type(error).__name__}: {error}"
            problems.append(Problem(Path(plugin.name), what))
            continue
        known.append(loaded)
    return Formats({one.name: one for one in sorted(known, key=lambda one: one.order)}, tuple(problems))


def writable(name: str) -> LabelFormat:
    """The format called ``name``, which can be written. ConfigError lists the formats that can.

    Raises MissingExtraError where what it is written with is not installed.
    """
    if name in OWN:
        found: LabelFormat | None = own(name)
    else:  # only then are installed packages asked, which takes longer than all of the rest
        found = formats().table.get(name)
    if found is None or not found.writable:
        able = ", ".join(one.name for one in formats().table.values() if one.writable)
        raise ConfigError(f"no label format called '{name}' can be written", expected=f"one of {able}")
    if found.needs is not None:
        found.needs()
    return found
