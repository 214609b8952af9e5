"""What a report holds: hands with their pictures, bones and numbers, and where all that comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ossa.measurement.types import HandMeasurements
from ossa.radiograph.dicom.patient import Patient
from ossa.radiograph.radiograph import Radiograph
from ossa.segmentation.segmentation import Segmentation


@dataclass(frozen=True, eq=False)
class ReportHand:
    """One hand: its bones and numbers in px of ``radiograph``. ``file``: the picture's name, as the reader may see it;
    ``several``: the film shows other hands too, and this one's part of it is shown. ``here``: the bones were found for
    this report, not read from results.
    """

    file: str
    radiograph: Radiograph
    segmentation: Segmentation
    measurements: HandMeasurements
    several: bool = False
    here: bool = False


@dataclass(frozen=True, eq=False)
class Report:
    """Everything one page shows: ``hands`` side by side, the left one first. ``version`` of the ossa that
    writes the page, ``made``: when. ``patient`` only where the reader asked for it.
    """

    hands: Sequence[ReportHand]
    version: str
    made: str
    patient: Patient | None = None
