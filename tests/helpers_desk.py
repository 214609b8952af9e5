"""A small data set with predictions beside it, and studios on both."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from helpers_dataset import write_competition
from ossa.dataset.dataset import open_dataset
from ossa.labels.competition import write_label
from ossa.schema import load_schema
from ossa.segmentation.segmentation import Region
from ossa.studio.collection import open_collection
from ossa.studio.studio import ModelFacts, Studio

SIZE = 128
SCHEMA = load_schema()


def decoded(data: bytes) -> np.ndarray:
    """The pixels of a PNG or JPEG."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    return pixels


def data_set(folder: Path, subjects: int = 3, tests: int = 1) -> Path:
    """The competition's layout with two hands a subject."""
    return write_competition(folder / "set", subjects, size=SIZE, tests=tests)


def predictions(folder: Path, root: Path, seed: int = 0) -> Path:
    """Labels for every picture that has one: the truth moved a little, with confidences and a warning."""
    generator = np.random.default_rng(seed)
    out = folder / f"predictions{seed}"
    for case in open_dataset(root).labelled:
        truth = case.segmentation(SCHEMA, (SIZE, SIZE))
        moved = {
            name: Region(min(region.top + int(generator.integers(0, 3)), SIZE - region.mask.shape[0]), region.left,
                         region.mask)
            for name, region in truth
            if generator.random() > 0.03
        }  # fmt: skip
        sure = {name: round(float(generator.random()), 3) for name in moved}
        notes = (
            "Lunate is doubtful (its border is blurred)",
            "1 bones are doubtful: check this image before you use it",
        )
        found = replace(truth, regions=moved, confidence=sure, notes=notes if generator.random() > 0.5 else ())
        label = out / Path(case.image).relative_to(root / "train" / "DCM").with_suffix(".json")
        write_label(label, found, case.id)
    return out


def studio(folder: Path, root: Path | None = None, *sources: Path, writable: bool = True) -> Studio:
    """A studio whose index is complete."""
    collection = open_collection(root, sources)
    made = Studio(collection, folder / "studio", writable, root, ModelFacts("test", "0" * 12))
    made.index.build()
    return made
