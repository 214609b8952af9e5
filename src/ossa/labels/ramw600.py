"""RAM-W600 wrists: one array of 14 binary masks per picture.

    ROOT/BoneSegmentation/images/{train,val,test}/0040_0001_L.bmp
    ROOT/BoneSegmentation/masks/{train,val,test}/0040_0001_L.npy      (14, H, W), 0 and 1

Channels stand for bones through ``schemas/maps/ram-w600.toml``. Triquetrum and pisiform share a channel: they are
not annotated on their own, their common outline is in ``Truth.merged``. Phalanges are not annotated.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ossa.dataset.dataset import Dataset, Problem
from ossa.errors import LabelError
from ossa.labels._cases import RASTER_SUFFIXES, case_of
from ossa.labels.case import Case, Truth
from ossa.labels.schema_map import collect, load_map
from ossa.safety import MAX_PIXELS
from ossa.schema import BoneSchema
from ossa.segmentation.outlines import Outline, outlines_from_region
from ossa.segmentation.segmentation import Region

NAME = "ramw600"
LAYOUT = "BoneSegmentation/images/<split>/*.bmp with BoneSegmentation/masks/<split>/*.npy"
PRIORITY = 30


def _base(root: Path) -> Path:
    return root / "BoneSegmentation" if (root / "BoneSegmentation").is_dir() else root


def detect(root: Path) -> bool:
    """Whether ``root`` has this layout."""
    return (_base(root) / "masks").is_dir() and (_base(root) / "images").is_dir()


def read_masks(path: Path, channels: int = 14) -> NDArray[np.uint8]:
    """The (C, H, W) masks of one file as 0 and 1, mapped from the disk where possible.

    Raises LabelError for a file that is no array, holds objects, has another shape or values besides 0 and 1.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise LabelError(
            "is not a mask array",
            path=path,
            found=str(error)[:100],
            expected=f"a .npy file of shape ({channels}, H, W)",
        ) from error
    if not isinstance(array, np.ndarray) or array.ndim != 3 or array.shape[0] != channels:
        found = array.shape if isinstance(array, np.ndarray) else type(array).__name__
        raise LabelError(
            "the mask array has another shape",
            path=path,
            found=found,
            expected=f"({channels}, H, W), one mask per bone",
        )
    if array.shape[1] * array.shape[2] > MAX_PIXELS:
        raise LabelError("the masks are too large", path=path, found=array.shape, expected=f"at most {MAX_PIXELS:,} px")
    values = np.asarray(array)
    if values.dtype.kind not in "biuf" or not np.isin(np.unique(values), (0, 1)).all():
        raise LabelError("the mask array holds other values than 0 and 1", path=path, found=str(values.dtype))
    masks: NDArray[np.uint8] = values.astype(np.uint8, copy=False)
    return masks


def read_case(case: Case, schema: BoneSchema) -> Truth:
    """The truth of a case out of its mask array."""
    assert case.label is not None  # Case.truth checked it
    naming = load_map("ram-w600", schema)
    masks = read_masks(case.label, len(naming.bones))
    found: dict[tuple[str, ...], tuple[Outline, ...]] = {}
    for mask, targets in zip(masks, naming.bones.values(), strict=True):
        region = Region.tight(mask)
        if region is not None:
            found[targets] = outlines_from_region(region)
    outlines, merged = collect(found, schema)
    return Truth(outlines, naming.annotated, merged)


def read_dataset(root: Path, schema: BoneSchema) -> Dataset:
    """All pictures of all splits. A picture without masks is unlabelled; masks without a picture are a problem."""
    base = _base(root)
    naming = load_map("ram-w600", schema)
    cases: list[Case] = []
    problems: list[Problem] = []
    masks = {p.relative_to(base / "masks").with_suffix(""): p for p in sorted((base / "masks").rglob("*.npy"))}
    for image in sorted(p for p in (base / "images").rglob("*") if p.suffix.lower() in RASTER_SUFFIXES):
        place = image.relative_to(base / "images").with_suffix("")
        label = masks.pop(place, None)
        if label is None:
            problems.append(Problem(image, "a picture without masks"))
        split = place.parts[0] if len(place.parts) > 1 else "train"
        cases.append(case_of(image, label, naming.subject_of(image.stem), naming.annotated, read_case, split))
    problems.extend(Problem(path, "masks without a picture") for path in masks.values())
    return Dataset(root, schema, NAME, tuple(cases), tuple(problems))
