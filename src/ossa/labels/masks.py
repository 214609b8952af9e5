"""A folder of masks beside each picture, one PNG per bone, in and out.

    ROOT/**/hand.png   ROOT/**/hand_masks/Radius.png, hand_masks/Ulna.png, ...

A mask has the picture's size; what is not black is bone. Overlap is kept. A mask without a pixel says that the bone was
looked for and is absent; of a bone without a mask nothing is known.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from ossa.errors import InputError, LabelError
from ossa.labels.case import Case, Problem, Reading, Truth, judged
from ossa.labels.format import LabelFormat
from ossa.labels.names import BoneNames, collect
from ossa.labels.pictures import below, case_of, labels_beside, pictures, subject_of, unclear_problem, visible_files
from ossa.radiograph.display import png
from ossa.radiograph.read import read_radiograph
from ossa.safety import write_bytes
from ossa.safety.pictures import MASKS_SUFFIX
from ossa.safety.whole import remove
from ossa.schema import BoneSchema
from ossa.segmentation.outlines import Outline, outlines_from_region
from ossa.segmentation.segmentation import Region, Segmentation

LAYOUT = f"pictures, and for each a folder NAME{MASKS_SUFFIX} of one PNG per bone"


def detect(root: Path) -> bool:
    """Whether ``root`` holds a folder of masks at any depth."""
    return bool(_folders(root))


def _folders(root: Path) -> list[Path]:
    """Every folder of masks, sorted."""
    return sorted({path.parent for path in visible_files(root) if _is_mask(path)})


def _is_mask(path: Path) -> bool:
    return path.suffix.lower() == ".png" and path.parent.name.endswith(MASKS_SUFFIX)


def read_masks(folder: Path, names: BoneNames) -> Truth:
    """The truth in a folder of masks. Raises LabelError for one of another size, or that is named after no bone."""
    found: dict[tuple[str, ...], tuple[Outline, ...]] = {}
    looked: set[str] = set()
    shape: tuple[int, int] | None = None
    for path in sorted(file for file in folder.iterdir() if _is_mask(file) and not file.name.startswith(".")):
        targets = names.targets(path.stem)
        if targets is None:
            raise LabelError(
                "is named after no bone",
                path=path,
                expected=f"perhaps '{names.nearest(path.stem)}.png'",
                remedy="Rename the file, or map its name (--map)",
            )
        if not targets:
            continue
        try:
            mask = read_radiograph(path).pixels
        except InputError as error:
            raise LabelError(f"the mask cannot be read: {error.what}", path=path, found=error.found) from error
        size = (int(mask.shape[0]), int(mask.shape[1]))
        if shape is not None and size != shape:
            raise LabelError(
                "the mask has another size than its neighbours",
                path=path,
                found="{}x{}".format(*size),
                expected="{}x{}".format(*shape),
            )
        shape = size
        region = Region.tight(mask)
        if len(targets) == 1:
            looked.add(targets[0])
        if region is not None:
            found[targets] = found.get(targets, ()) + outlines_from_region(region)
    outlines, merged = collect(found, names.schema)
    known = judged(outlines, names.schema, sorted(looked), merged)
    return Truth(outlines, known, merged, shape)


def read_case(case: Case, schema: BoneSchema, names: BoneNames) -> Truth:
    """The truth of a case."""
    del schema  # the names know it
    assert case.label is not None  # Case.truth checked it
    return read_masks(case.label, names)


def read(root: Path, names: BoneNames) -> Reading:
    """Every picture under ``root``; masks without a picture, and those that fit two, are problems."""
    images = [path for path in pictures(root) if not _is_mask(path)]
    # "hand_masks" as a label called "hand.masks": folders are found as files of that name would be.
    there = {path.with_name(path.name.removesuffix(MASKS_SUFFIX) + ".masks"): path for path in _folders(root)}
    found, left, unclear = labels_beside(images, list(there))
    problems = [unclear_problem(there[place], several) for place, several in unclear.items()]
    reader = partial(read_case, names=names)
    everything = frozenset(names.schema.names)

    def case(image: Path, label: Path | None) -> Case:
        return case_of(root, image, label, subject_of(below(root, image)), everything, reader)

    cases = [case(image, there[found[image]] if image in found else None) for image in images]
    problems += [Problem(there[place], "masks without a picture") for place in left]
    bare = tuple(case(place.with_suffix(""), there[place]) for place in left)
    return Reading(tuple(cases), tuple(problems), bare)


def write(path: Path, segmentation: Segmentation, image: Path, known: frozenset[str] | None) -> None:
    """Write one PNG per judged bone into the folder ``path``; masks of an earlier result there go.

    Raises OutputError when something cannot be written.
    """
    del image  # the folder's name tells it
    if path.is_dir():
        for old in [file for file in path.iterdir() if _is_mask(file)]:
            remove(old)
    for name in segmentation.schema.names:
        if name in segmentation or known is None or name in known:
            write_bytes(path / f"{name}.png", png(segmentation.plane(name).view(np.uint8) * np.uint8(255)))


FORMATS = (LabelFormat("masks", LAYOUT, 55, detect, read, write, ending=MASKS_SUFFIX),)
