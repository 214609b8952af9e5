"""Where the results of a picture go: its label, its overlay and, where that is asked for, its measurements."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ossa.pipeline.measured import Numbers, measure_and_write, measurements_path
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

    folder: Path
    single: LabelFormat
    form: LabelFormat
    numbers: Numbers | None = None

    def of(self, name: str) -> tuple[Path, Path]:
        """The label and the overlay of results called ``name``."""
        return self.folder / f"{name}{self.single.ending}", self.folder / f"{name}{OVERLAY_SUFFIX}"

    def all_of(self, name: str) -> tuple[Path, ...]:
        """All files of results called ``name``."""
        return (*self.of(name), *([] if self.numbers is None else [measurements_path(self.folder, name)]))

    def every(self, name: str) -> tuple[Path, ...]:
        """All files that ``write`` may write of results called ``name``."""
        drawn = self.numbers is not None and self.numbers.draw
        return (*self.all_of(name), *([self.folder / f"{name}{MEASURED_SUFFIX}"] if drawn else []))

    def write(self, film: Film, radiograph: Radiograph, segmentation: Segmentation) -> None:
        """Write the results of one hand."""
        from ossa.export.overlay import write_overlay

        label, overlay = self.of(film.name)
        assert self.single.write is not None  # chosen for that
        self.single.write(label, segmentation, film.path, None)
        write_overlay(overlay, radiograph, segmentation)
        if self.numbers is not None:
            spacing, draw = self.numbers.spacing, self.numbers.draw
            measure_and_write(self.folder, film.name, segmentation, radiograph, spacing=spacing, draw=draw)


def names_of(image: str) -> tuple[str, str]:
    """What the results of an image may be called: see ``films.name_films``."""
    try:
        return Path(image).with_suffix("").as_posix(), image
    except ValueError:  # a table that somebody changed: no name at all
        return image, image
