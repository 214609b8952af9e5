"""The models of a run of ``ossa train``: which bundles its folder holds, and whether it came to its end."""

from __future__ import annotations

import re
from pathlib import Path

from ossa.errors import BundleError

#: A run's own file, and the one that is written last (pipeline.train).
CONFIG, LAST = "config.yaml", "summary.html"


def is_run(folder: Path) -> bool:
    """Whether ``folder`` is one of ``ossa train``."""
    return (folder / CONFIG).is_file()


def bundles_of_run(folder: Path) -> list[Path]:
    """The bundles of the run in ``folder``, fold by fold; of a run in stages those of its last stage.

    Raises BundleError for a run that is not finished, so that an ensemble of fewer folds than were asked for is not
    taken for the whole, and for one without models.
    """
    from ossa.config.load import parse, read_text

    stages = parse(*read_text(folder / CONFIG)).get("stages") or ()
    last = folder / f"stage{len(stages)}" if stages else folder
    found = [path.parent for path in last.glob("bundle*/card.json") if re.fullmatch(r"bundle\d+", path.parent.name)]
    found.sort(key=lambda path: int(path.name.removeprefix("bundle")))
    if not (last / LAST).is_file():
        raise BundleError(
            "the run is not finished",
            path=folder,
            found=f"{len(found)} models so far",
            remedy=f"Go on with it (ossa train --resume --folder {folder})"
            + (f", or give one model: {found[0]}" if found else ""),
        )
    if not found:
        raise BundleError(
            "the run has no models",
            path=folder,
            found="no bundle0 in it",
            remedy="Train with folds.bundle=true; run.log says why a model could not be written",
        )
    return found
