"""One NPZ of bit planes per picture, in and out: what numpy opens in a line, all bones with their overlap.

    ROOT/**/hand.png   ROOT/**/hand.npz

    bits     (P, H, W) uint32: bone i is bit i % 32 of plane i // 32
    bones    (C,) text: the name of bone i
    judged   (J,) text: the bones that somebody judged (left out: those that are drawn)
    made_by  (B,) uint8: who found them, JSON in UTF-8 (left out where nobody tells)

    >>> found = np.load("hand.npz")                                        # doctest: +SKIP
    >>> radius = found["bits"][0] >> list(found["bones"]).index("Radius") & 1   # doctest: +SKIP

Nothing is unpickled, and sizes are asked before anything is unpacked.
"""

from __future__ import annotations

import io
import json
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from ossa.errors import LabelError
from ossa.labels.case import Case, Problem, Reading, Truth, judged
from ossa.labels.format import LabelFormat
from ossa.labels.names import BoneNames, collect
from ossa.labels.pictures import below, case_of, labels_beside, pictures, subject_of, unclear_problem, visible_files
from ossa.safety import MAX_PIXELS, parse_json, write_bytes
from ossa.schema import BoneSchema
from ossa.segmentation.origin import KEY, Origin
from ossa.segmentation.outlines import Outline, outlines_from_region
from ossa.segmentation.segmentation import Region, Segmentation

LAYOUT = "pictures, and for each a NAME.npz of bit planes beside it"

#: Files that are looked into; bones and characters of a name that a file may have.
_LOOKS, _MOST_BONES, _LONGEST = 20, 4096, 200

#: Bytes that an origin may have.
_MOST_ORIGIN = 100_000


def detect(root: Path) -> bool:
    """Whether one of the first .npz files under ``root`` holds bit planes."""
    return any(is_bits(path) for path in _files(root)[:_LOOKS])


def _files(root: Path) -> list[Path]:
    return [path for path in visible_files(root) if path.suffix.lower() == ".npz"]


def is_bits(path: Path) -> bool:
    """Whether a file is a ZIP with the members of this format."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {"bits.npy", "bones.npy"} <= set(archive.namelist())
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        return False


def read_bits(path: Path) -> tuple[NDArray[np.uint32], tuple[str, ...], tuple[str, ...] | None]:
    """(bits (P, H, W), bones, judged or None) of a file. Raises LabelError for what is no such file, or too large."""
    try:
        with zipfile.ZipFile(path) as archive:
            bits = _member(archive, "bits.npy", "u", 3, MAX_PIXELS)
            bones = _member(archive, "bones.npy", "U", 1, _MOST_BONES)
            known = _member(archive, "judged.npy", "U", 1, _MOST_BONES) if "judged.npy" in archive.namelist() else None
    except LabelError as error:
        raise LabelError(error.what, path=path, found=error.found, expected=error.expected) from error
    except Exception as error:  # zipfile and numpy raise what they like for damaged data
        raise LabelError(
            "is not a file of bit planes",
            path=path,
            found=f"{type(error).__name__}: {error}"[:100],
            expected="an .npz with bits, bones and perhaps judged",
        ) from error
    if bits.dtype.itemsize != 4 or bits.shape[0] != -(-len(bones) // 32) or 0 in bits.shape:
        raise LabelError(
            "the bit planes do not fit the bones",
            path=path,
            found=f"{bits.dtype} {bits.shape} for {len(bones)} bones",
            expected=f"uint32 ({-(-len(bones) // 32)}, H, W)",
        )
    names = tuple(map(str, bones.tolist()))
    if len(set(names)) < len(names):
        raise LabelError("two of the bones have one name", path=path, found=", ".join(names)[:100])
    return bits.astype(np.uint32, copy=False), names, None if known is None else tuple(map(str, known.tolist()))


def read_origin(path: Path) -> Origin | None:
    """Who found the bones of a file; None where nobody tells, or tells it in another way."""
    member = f"{KEY}.npy"
    try:
        with zipfile.ZipFile(path) as archive:
            if member not in archive.namelist():
                return None
            text = _member(archive, member, "u", 1, _MOST_ORIGIN).astype(np.uint8).tobytes().decode()
        return Origin.from_json(parse_json(text))
    except Exception:  # the bones are none the worse for it
        return None


def _member(archive: zipfile.ZipFile, name: str, kind: str, dimensions: int, most: int) -> NDArray[np.generic]:
    """One array of the archive; its header is asked before its data are unpacked."""
    with archive.open(name) as stream:
        version = npy.read_magic(stream)
        if version not in ((1, 0), (2, 0)):
            raise LabelError("an array has a version that is not read", found=version, expected="1.0 or 2.0")
        header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, dtype = header(stream, max_header_size=10_000)
        count = int(np.prod(shape, dtype=object)) if shape else 1
        fits = dtype.kind == kind and len(shape) == dimensions and 0 <= count <= most
        if not fits or (kind == "U" and dtype.itemsize > 4 * _LONGEST):
            raise LabelError(
                f"'{name.removesuffix('.npy')}' is another array than it should be",
                found=f"{dtype} {shape}"[:80],
                expected={"u": "whole numbers", "U": "names"}[kind] + f", {dimensions} dimensions",
            )
        data = stream.read(count * dtype.itemsize)
        if len(data) < count * dtype.itemsize:
            raise LabelError(f"'{name.removesuffix('.npy')}' stops early", found=f"{len(data):,} bytes")
    array: NDArray[np.generic] = np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")
    return array


def parse(path: Path, names: BoneNames) -> Truth:
    """The truth in one file. Raises LabelError as ``read_bits``, and for a name of no bone."""
    bits, bones, known = read_bits(path)
    found: dict[tuple[str, ...], tuple[Outline, ...]] = {}
    looked: list[str] | None = None if known is None else []
    for i, bone in enumerate(bones):
        targets = names.known(bone, path)
        region = Region.tight(bits[i // 32] & np.uint32(1 << (i % 32))) if targets else None
        if region is not None:
            found[targets] = found.get(targets, ()) + outlines_from_region(region)
        if looked is not None and known is not None and bone in known and len(targets) == 1:
            looked.append(targets[0])
    outlines, merged = collect(found, names.schema)
    shape, annotated = (bits.shape[1], bits.shape[2]), judged(outlines, names.schema, looked, merged)
    return Truth(outlines, annotated, merged, shape, origin=read_origin(path))


def read_case(case: Case, schema: BoneSchema, names: BoneNames) -> Truth:
    """The truth of a case."""
    del schema  # the names know it
    assert case.label is not None  # Case.truth checked it
    return parse(case.label, names)


def read(root: Path, names: BoneNames) -> Reading:
    """Every picture under ``root``; a file without a picture, and one that fits two, are problems."""
    images = pictures(root)
    found, left, unclear = labels_beside(images, _files(root))
    problems = [unclear_problem(label, several) for label, several in unclear.items()]
    reader = partial(read_case, names=names)
    everything = frozenset(names.schema.names)

    def case(image: Path, label: Path | None) -> Case:
        return case_of(root, image, label, subject_of(below(root, image)), everything, reader)

    cases = [case(image, found.get(image)) for image in images]
    problems += [Problem(label, "a label without a picture") for label in left]
    bare = tuple(case(label.with_suffix(""), label) for label in left)
    return Reading(tuple(cases), tuple(problems), bare)


def write(path: Path, segmentation: Segmentation, image: Path, known: frozenset[str] | None) -> None:
    """Write one file; reading it gives the same pixels. Raises OutputError when it cannot be written."""
    del image  # the file's name tells it
    names = segmentation.schema.names
    buffer = io.BytesIO()
    arrays: dict[str, Any] = {
        "bits": segmentation.bits(),
        "bones": np.array(names),
        "judged": np.array([name for name in names if known is None or name in known], dtype=np.str_),
    }
    if segmentation.origin is not None:
        told = json.dumps(segmentation.origin.to_json(), ensure_ascii=False).encode()
        arrays[KEY] = np.frombuffer(told, np.uint8)
    np.savez_compressed(buffer, **arrays)
    write_bytes(path, buffer.getvalue())


FORMATS = (LabelFormat("bits", LAYOUT, 56, detect, read, write, ending=".npz"),)
