"""RAM-W600 wrists, in and out: one array of 14 binary masks per picture.

    ROOT/BoneSegmentation/images/{train,val,test}/0040_0001_L.bmp
    ROOT/BoneSegmentation/masks/{train,val,test}/0040_0001_L.npy      (14, H, W), 0 and 1

Channels stand for bones through ``schemas/maps/ram-w600.toml``. Triquetrum and pisiform share a channel: they are
not annotated on their own, their common outline is in ``Truth.merged``. Phalanges are not annotated, and of a channel
without a pixel nobody knows whether the bone is absent or was not looked for. Written arrays lose the same: phalanges
have no channel, triquetrum and pisiform share one, and who judged what is not said. A picture may lie in folders below
its split (a subject's, as ossa writes them).
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ossa.errors import LabelError
from ossa.labels.case import Case, Problem, Reading, Truth, judged
from ossa.labels.format import LabelFormat
from ossa.labels.item import Item
from ossa.labels.names import BoneNames, SchemaMap, collect, load_map
from ossa.labels.pictures import case_of, pictures, visible_files
from ossa.labels.polygons import check_box
from ossa.safety import write_bytes
from ossa.schema import BoneSchema
from ossa.segmentation.outlines import Outline, outlines_from_region
from ossa.segmentation.segmentation import Region, Segmentation

LAYOUT = "BoneSegmentation/images/<split>/*.bmp with BoneSegmentation/masks/<split>/*.npy"

LOSES = (
    "RAM-W600's arrays have no channels for phalanges and one for triquetrum and pisiform together, and do not say "
    "which bones were looked for"
)


def _base(root: Path) -> Path:
    return root / "BoneSegmentation" if (root / "BoneSegmentation").is_dir() else root


def detect(root: Path) -> bool:
    """Whether ``root`` has this layout."""
    masks = _base(root) / "masks"
    return masks.is_dir() and (_base(root) / "images").is_dir() and bool(_arrays(masks))


def _arrays(masks: Path) -> list[Path]:
    return [path for path in visible_files(masks) if path.suffix.lower() == ".npy"]


def read_mask(path: Path, channel: int, channels: int = 14) -> NDArray[np.bool_]:
    """One (H, W) mask of a (C, H, W) file. Only this mask is read from the disk.

    Raises LabelError for a file that is no array, holds objects, has another shape or values besides 0 and 1.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # numpy reads the header with Python's own parser, which raises what it likes
        raise LabelError(
            "is not a mask array",
            path=path,
            found=f"{type(error).__name__}: {error}"[:100],
            expected=f"a .npy file of shape ({channels}, H, W)",
        ) from error
    if not isinstance(array, np.ndarray) or array.ndim != 3 or array.shape[0] != channels or not array.size:
        found = array.shape if isinstance(array, np.ndarray) else type(array).__name__
        raise LabelError(
            "the mask array has another shape",
            path=path,
            found=found,
            expected=f"({channels}, H, W), one mask per bone",
        )
    check_box(array.shape[1], array.shape[2], "all bones", path)
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        raise LabelError("the mask array holds no masks", path=path, found=str(array.dtype), expected="0 and 1")
    mask: NDArray[np.bool_] = array[channel] == 1
    if np.count_nonzero(array[channel]) != np.count_nonzero(mask):
        raise LabelError("the mask array holds other values than 0 and 1", path=path, found=str(array.dtype))
    return mask


def read_case(case: Case, schema: BoneSchema) -> Truth:
    """The truth of a case out of its mask array."""
    assert case.label is not None  # Case.truth checked it
    naming = load_map("ram-w600", schema)
    found: dict[tuple[str, ...], tuple[Outline, ...]] = {}
    shape: tuple[int, int] | None = None
    for channel, targets in enumerate(naming.bones.values()):
        mask = read_mask(case.label, channel, len(naming.bones))
        shape = (mask.shape[0], mask.shape[1])
        region = Region.tight(mask)
        if region is not None:
            found[targets] = outlines_from_region(region)
    outlines, merged = collect(found, schema)
    return Truth(outlines, judged(outlines, schema, None, merged), merged, shape)


def read(root: Path, names: BoneNames) -> Reading:
    """All pictures of all splits. A picture without masks is unlabelled; masks without a picture are a problem."""
    base = _base(root)
    naming = load_map("ram-w600", names.schema)
    cases: list[Case] = []
    problems: list[Problem] = []
    masks = {path.relative_to(base / "masks").with_suffix(""): path for path in _arrays(base / "masks")}
    for image in pictures(base / "images"):
        place = image.relative_to(base / "images").with_suffix("")
        label = masks.pop(place, None)
        if label is None:
            problems.append(Problem(image, "a picture without masks"))
        cases.append(_case(root, image, label, place, naming))
    bare = [
        _case(root, base / "images" / place.with_suffix(".bmp"), path, place, naming) for place, path in masks.items()
    ]
    problems.extend(Problem(path, "masks without a picture") for path in masks.values())
    return Reading(tuple(cases), tuple(problems), tuple(bare))


def _case(root: Path, image: Path, label: Path | None, place: Path, naming: SchemaMap) -> Case:
    split = place.parts[0] if len(place.parts) > 1 else "train"
    folder = "/".join(place.parts[1:-1])
    subject = naming.subject_of(image.stem) or folder or re.sub(r"_[LR]$", "", image.stem)
    return case_of(root, image, label, subject, naming.annotated, read_case, split)


def write(path: Path, segmentation: Segmentation, image: Path, known: frozenset[str] | None) -> None:
    """Write the (14, H, W) array of one picture. Raises SchemaError for bones of another schema, OutputError."""
    del image, known  # the array has room for neither
    channels = load_map("ram-w600", segmentation.schema).bones.values()
    masks = np.zeros((len(channels), *segmentation.shape), np.uint8)
    for plane, bones in zip(masks, channels, strict=True):
        for region in (segmentation.regions[bone] for bone in bones if bone in segmentation):
            plane[region.top : region.bottom, region.left : region.right] |= region.mask
    buffer = io.BytesIO()
    np.save(buffer, masks, allow_pickle=False)
    write_bytes(path, buffer.getvalue())


def write_set(root: Path, items: Iterable[Item]) -> None:
    """Write a set in RAM-W600's folders, below each split a folder per subject. Raises as ``write``."""
    base = root / "BoneSegmentation"
    for item in items:
        split = item.split if item.split in ("train", "val", "test") else "train"
        item.brought(base / "images" / split / item.file)
        write(base / "masks" / split / f"{item.name}.npy", item.segmentation, item.image, item.judged)


FORMATS = (LabelFormat("ramw600", LAYOUT, 30, detect, read, write, write_set, ending=".npy", loses=LOSES),)
