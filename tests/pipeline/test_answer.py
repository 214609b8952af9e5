"""What answers a DICOM radiograph: its Segmentation and a report, or the first alone where nothing is measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import ossa
from helpers_clinic import bones, radiograph
from ossa.inference.hands import Hand
from ossa.pipeline.answer import SEG, SR, answer
from ossa.segmentation.segmentation import Segmentation


@dataclass(frozen=True)
class Stub:
    """A predictor that finds what it was given."""

    found: Segmentation
    edges: bool = False

    def predict_hands(self, picture: Any) -> tuple[Hand, ...]:
        return (Hand(self.found),)

    def settings(self) -> dict[str, Any]:
        return {"stub": True}


def test_a_picture_of_which_nothing_can_be_measured_gets_its_segmentation(tmp_path: Path) -> None:
    path = radiograph(tmp_path / "film.dcm")
    shape = ossa.read_radiograph(path).shape
    whole = bones(shape)
    assert set(answer(path, Stub(whole)).objects) == {SEG, SR}  # type: ignore[arg-type]
    # The film ends every bone at both sides: there is no length to tell, nor a width.
    planes = np.zeros((len(whole.schema), *shape), bool)
    for k in range(3):
        planes[k, 4 * k + 1 : 4 * k + 4] = True
    cut = answer(path, Stub(Segmentation.from_planes(planes, whole.schema)))  # type: ignore[arg-type]
    assert set(cut.objects) == {SEG}
    assert cut.reason is None
    assert cut.notes[-1] == "no report: none of its bones could be measured"
