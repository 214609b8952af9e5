"""A radiograph in, DICOM objects out: the Segmentation and the report that answer it, or the reason why there are none.

Whoever asks the same maker about the same picture again gets objects of the same identifiers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from ossa.inference.hands import Hand
    from ossa.inference.predictor import Predictor

#: What an answer may hold: the Segmentation, the report on it.
SEG, SR = "seg", "sr"


@dataclass(frozen=True, eq=False)
class Answer:
    """``objects``: kind -> data set, empty where nothing can be answered; ``reason`` says why then.

    ``notes``: what a reader of the result should know, which has no place in the objects.
    """

    objects: Mapping[str, Dataset] = field(default_factory=dict)
    hands: int = 0
    notes: tuple[str, ...] = ()
    reason: str | None = None


def maker_of(predictor: Predictor) -> str:
    """What decides a predictor's answers, as 16 letters: its models' files, its settings, the version of ossa."""
    from ossa import __version__

    told = json.dumps(predictor.settings(), sort_keys=True, default=str)
    return hashlib.sha256(f"{__version__} {told}".encode()).hexdigest()[:16]


def answer(path: str | Path, predictor: Predictor) -> Answer:
    """The Segmentation and the report for the DICOM radiograph at ``path``; no report where nothing is measured.

    A picture without a hand, or one of which the judge says so, has no objects but a reason; so has a hand with less
    bones than tell which they are. Raises ImageError for what cannot be read, or cannot be referred to.
    """
    from dataclasses import replace

    from ossa.export.dicom.hands import told_apart
    from ossa.export.dicom.seg import segmentation_object
    from ossa.export.dicom.source import source_of
    from ossa.export.dicom.sr import NothingMeasured
    from ossa.pipeline.export import report_on
    from ossa.radiograph.read import read_radiograph

    radiograph = read_radiograph(path)
    source = source_of(Path(path), radiograph)
    seen = replace(predictor, edges=True).predict_hands(radiograph)
    notes = tuple(dict.fromkeys(note for hand in seen for note in hand.segmentation.notes))
    usable = _usable(seen)
    if not usable:
        return Answer(notes=notes, reason=notes[0] if notes else "no bones were found")
    hands = told_apart([hand.segmentation for hand in usable], radiograph.side)
    maker = maker_of(predictor)
    seg = segmentation_object(source, hands, maker=maker)
    objects: dict[str, Dataset] = {SEG: seg}
    try:
        objects[SR] = report_on(source, seg, hands, radiograph, radiograph.spacing, maker=maker)
    except NothingMeasured:
        notes += ("no report: none of its bones could be measured",)
    return Answer(objects, len(hands), notes)


def _usable(seen: Sequence[Hand]) -> list[Hand]:
    from ossa.inference.hands import FEW

    return [hand for hand in seen if len(hand.segmentation) >= FEW]
