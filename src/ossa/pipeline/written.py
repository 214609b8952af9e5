"""Where the results of a picture go: its label, its overlay and, where that is asked for, its measurements."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ossa.pipeline.measured import SUFFIX, Numbers, measure_and_write
from ossa.places import Place
from ossa.safety.pictures import MEASURED_SUFFIX, OVERLAY_SUFFIX

if TYPE_CHECKING:
    from ossa.labels.format import LabelFormat
    from ossa.pipeline.films import Film
    from ossa.radiograph.radiograph import Radiograph
    from ossa.segmentation.segmentation import Segmentation


@dataclass(frozen=True)
class Written:
    """Labels of single pictures are written as ``single``, all of them at the end as ``form``; ``numbers``: what is
    measured.
    """

    place: Place
    single: LabelFormat
    form: LabelFormat
    numbers: Numbers | None = None

    def label(self, name: str) -> str:
        """The label of results called ``name``, in the place."""
        return f"{name}{self.single.ending}"

    def has_label(self, name: str) -> bool:
        """Whether results called ``name`` are there; of a name that no file can have there are none."""
        try:
            return self.place.has(self.label(name))
        except (OSError, ValueError):
            return False

    def all_of(self, name: str) -> tuple[str, ...]:
        """All files of results called ``name``, in the place."""
        numbers = () if self.numbers is None else (f"{name}{SUFFIX}",)
        return (self.label(name), f"{name}{OVERLAY_SUFFIX}", *numbers)

    def every(self, name: str) -> tuple[str, ...]:
        """All files that ``write`` may write of results called ``name``, in the place."""
        drawn = self.numbers is not None and self.numbers.draw
        return (*self.all_of(name), *([f"{name}{MEASURED_SUFFIX}"] if drawn else []))

    def write(self, film: Film, radiograph: Radiograph, segmentation: Segmentation) -> None:
        """Write the results of one hand."""
        from ossa.export.overlay import write_overlay

        assert self.single.write is not None  # chosen for that
        with self.place.writing() as folder:
            self.single.write(folder / self.label(film.name), segmentation, film.path, None)
            write_overlay(folder / f"{film.name}{OVERLAY_SUFFIX}", radiograph, segmentation)
            if self.numbers is not None:
                spacing, draw = self.numbers.spacing, self.numbers.draw
                measure_and_write(folder, film.name, segmentation, radiograph, spacing=spacing, draw=draw)


def names_of(image: str) -> tuple[str, str]:
    """What the results of an image may be called: see ``films.name_films``."""
    try:
        return Path(image).with_suffix("").as_posix(), image
    except ValueError:  # a table that somebody changed: no name at all
        return image, image
