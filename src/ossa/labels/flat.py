"""Plain folders of pictures, each with a label of the competition's form beside it, or with none.

ROOT/**/name.png   ROOT/**/name.json
"""

from __future__ import annotations

from pathlib import Path

from ossa.dataset.dataset import Dataset
from ossa.labels._beside import pictures, pictures_with_labels
from ossa.labels.competition import read_case
from ossa.schema import BoneSchema

NAME = "flat"
LAYOUT = "pictures, each with its label .json beside it or none"
PRIORITY = 90


def detect(root: Path) -> bool:
    """Whether there is any picture under ``root``."""
    return bool(pictures(root))


def read_dataset(root: Path, schema: BoneSchema) -> Dataset:
    """All pictures under ``root``; a JSON without a picture is a problem."""
    cases, problems = pictures_with_labels(root, schema, read_case)
    return Dataset(root, schema, NAME, cases, problems)
