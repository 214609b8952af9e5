"""A DICOM Segmentation file taken apart: its hands, their segments, and the pixels of each."""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ossa.errors import LabelError
from ossa.export.dicom.codes import is_own_code
from ossa.export.dicom.source import quietly
from ossa.radiograph.radiograph import Side
from ossa.safety import parse_json
from ossa.schema import BoneSchema
from ossa.segmentation.origin import Origin
from ossa.segmentation.segmentation import Region

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

#: The SOP class of binary and fractional segmentations (PS3.4 B.5).
SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"

#: The class stands among the first bytes of a file (PS3.10, 7.1).
HEAD = 400

#: Largest data set, in bytes: 64 bones of 16 megapixels are 128 MB.
_MAX_BYTES = 1 << 29

_DEFLATED = "1.2.840.10008.1.2.1.99"
_PLAIN = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", _DEFLATED)
_SIDES: dict[str, Side] = {"7771000": "L", "24028007": "R", "G-A101": "L", "G-A100": "R"}


@dataclass(frozen=True, eq=False)
class SegPart:
    """One segment. ``bone``: the bone of the schema that its codes mean, else its ``words`` may name one.

    ``region``: its pixels; None where it has none, or where pixels were not asked for.
    """

    label: str
    bone: str | None
    words: tuple[str, ...]
    region: Region | None = None


@dataclass(frozen=True, eq=False)
class SegHand:
    """The segments of one hand; ``key`` tells it from the other hands of the file."""

    key: str
    side: Side | None
    segments: tuple[SegPart, ...]


@dataclass(frozen=True, eq=False)
class SegFile:
    """``refers_to``: the SOPInstanceUID of its picture. ``looked_for_all``: ossa made it, and looked for every bone;
    ``origin``: who found the bones, as ossa tells it.
    """

    shape: tuple[int, int]
    refers_to: str
    hands: tuple[SegHand, ...] = field(default=())
    looked_for_all: bool = False
    origin: Origin | None = None


def is_segmentation(path: Path) -> bool:
    """Whether a file says in its first bytes that it is a DICOM Segmentation."""
    try:
        with path.open("rb") as stream:
            head = stream.read(HEAD)
    except OSError:
        return False
    return head[128:132] == b"DICM" and re.search(rb"1\.2\.840\.10008\.5\.1\.4\.1\.1\.66\.4(?![.\d])", head) is not None


def read_segmentation(path: Path, schema: BoneSchema, *, pixels: bool = True) -> SegFile:
    """Read a segmentation; the bones by the codes of ``schema``. Raises LabelError naming what is wrong."""
    try:
        with quietly():
            return _read(path, schema, pixels)
    except LabelError:
        raise
    except OSError as error:
        raise LabelError("cannot be read", path=path, found=error.strerror or str(error)) from error
    except Exception as error:  # pydicom raises whatever the damage leads to
        found = (str(error).strip() or type(error).__name__).splitlines()[0][:160]
        raise LabelError(
            "is a damaged DICOM Segmentation", path=path, found=found, remedy="Copy or export it again"
        ) from error


def _dataset(path: Path) -> Dataset:
    """The data set with its pixels; a deflated one is inflated up to a bound."""
    import pydicom
    from pydicom.filereader import read_dataset, read_file_meta_info

    size = path.stat().st_size
    if size > _MAX_BYTES:
        raise LabelError(
            "the file is too large", path=path, found=f"{size:,} bytes", expected=f"at most {_MAX_BYTES:,}"
        )
    meta = read_file_meta_info(path)
    syntax = str(meta.get("TransferSyntaxUID") or "")
    if syntax not in _PLAIN:
        raise LabelError(
            "is a DICOM Segmentation in a transfer syntax that is not read",
            path=path,
            found=syntax or "none",
            expected="uncompressed or deflated",
            remedy="Convert it, for example with: dcmconv +te IN.dcm OUT.dcm",
        )
    if syntax != _DEFLATED:
        return pydicom.dcmread(path)
    with path.open("rb") as stream:
        stream.seek(132 + 12 + int(meta.FileMetaInformationGroupLength))
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        data = inflater.decompress(stream.read(), _MAX_BYTES)
    if not inflater.eof:
        raise LabelError(
            "is a damaged DICOM Segmentation",
            path=path,
            found="deflated data that stop early, or are too large",
            expected=f"at most {_MAX_BYTES:,} bytes",
        )
    return read_dataset(io.BytesIO(data), is_implicit_VR=False, is_little_endian=True)


def _read(path: Path, schema: BoneSchema, pixels: bool) -> SegFile:
    data = _dataset(path)
    if str(data.get("SegmentationType")) != "BINARY":
        raise LabelError(
            "is a DICOM Segmentation of another type",
            path=path,
            found=str(data.get("SegmentationType") or "none"),
            expected="BINARY",
            remedy="Export it with binary segments",
        )
    shape = (int(data.Rows), int(data.Columns))
    parts = {int(one.SegmentNumber): one for one in data.SegmentSequence}
    taken = _frames(data, path)
    found: dict[str, list[SegPart]] = {}
    sides: dict[str, Side | None] = {}
    for number, item in parts.items():
        frame = taken.get(number)
        region = _region(data, frame, shape, path) if pixels and frame is not None else None
        bone, side = _bone(item, schema)
        side = _side(item) or side
        tracked = re.match(r"(hand\d+)/", str(item.get("TrackingID") or ""))
        key = tracked[1] if tracked else f"side {side}"
        label = str(item.get("SegmentLabel") or f"segment {number}")
        words = (str(item.get("SegmentDescription") or ""), label, re.sub(r"\s*\(.*\)$", "", label))
        found.setdefault(key, []).append(SegPart(label, bone, tuple(filter(None, words)), region))
        sides[key] = side if sides.get(key, side) == side else None
    hands = tuple(SegHand(key, sides[key], tuple(segments)) for key, segments in found.items())
    ours = str(data.get("ManufacturerModelName")) == "ossa"
    automatic = all(str(one.get("SegmentAlgorithmType")) == "AUTOMATIC" for one in parts.values())
    return SegFile(shape, _refers_to(data), hands, ours and automatic, _origin(data) if ours else None)


def _origin(data: Dataset) -> Origin | None:
    """Who found the bones: the parameters of the first algorithm (export.dicom.seg)."""
    for item in data.SegmentSequence:
        for algorithm in item.get("SegmentationAlgorithmIdentificationSequence") or ():
            try:
                return Origin.from_json(parse_json(str(algorithm.get("AlgorithmParameters") or "null")))
            except (ValueError, RecursionError):
                return None
    return None


def _frames(data: Dataset, path: Path) -> dict[int, int]:
    """Segment number -> its frame, counted from 0."""
    out: dict[int, int] = {}
    for frame, groups in enumerate(data.PerFrameFunctionalGroupsSequence):
        number = int(groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
        if number in out:
            raise LabelError(
                "is a DICOM Segmentation of several pictures",
                path=path,
                found=f"segment {number} in two frames",
                expected="one frame for each segment: that of a radiograph",
            )
        out[number] = frame
    return out


def _region(data: Dataset, frame: int, shape: tuple[int, int], path: Path) -> Region | None:
    """The pixels of a frame (PS3.5 8.2: bits follow each other without a gap, the first in the lowest place)."""
    size = shape[0] * shape[1]
    start = frame * size
    first, last = start // 8, -(-(start + size) // 8)
    stored = data.PixelData
    if len(stored) < last:
        raise LabelError(
            "is a damaged DICOM Segmentation",
            path=path,
            found=f"{len(stored):,} bytes of pixels",
            expected=f"{last:,} at least",
            remedy="Copy or export it again",
        )
    bits = np.unpackbits(np.frombuffer(stored, np.uint8, last - first, first), bitorder="little")
    skip = start - 8 * first
    return Region.tight(bits[skip : skip + size].reshape(shape))


def _refers_to(data: Dataset) -> str:
    """The SOPInstanceUID of the first picture that the object names, "" where it names none."""
    for series in data.get("ReferencedSeriesSequence") or ():
        for instance in series.get("ReferencedInstanceSequence") or ():
            return str(instance.get("ReferencedSOPInstanceUID") or "")
    for groups in data.get("PerFrameFunctionalGroupsSequence") or ():
        for derivation in groups.get("DerivationImageSequence") or ():
            for image in derivation.get("SourceImageSequence") or ():
                return str(image.get("ReferencedSOPInstanceUID") or "")
    return ""


def _codes(item: Any, name: str) -> list[Any]:
    return list(item.get(name) or ())


def _side(item: Dataset) -> Side | None:
    """The side that the modifiers of a segment say."""
    regions = _codes(item, "AnatomicRegionSequence")
    places = [code for region in regions for code in _codes(region, "AnatomicRegionModifierSequence")]
    for code in (*places, *_codes(item, "SegmentedPropertyTypeModifierCodeSequence")):
        side = _SIDES.get(str(code.get("CodeValue")))
        if side is not None:
            return side
    return None


def _bone(item: Dataset, schema: BoneSchema) -> tuple[str | None, Side | None]:
    """The one bone of ``schema`` whose SNOMED CT or FMA code a segment bears, and its side where the code says it."""
    table = _code_table(schema)
    for concept in _codes(item, "SegmentedPropertyTypeCodeSequence"):
        for code in (concept, *_codes(concept, "EquivalentCodeSequence")):
            found = table.get((str(code.get("CodingSchemeDesignator")), str(code.get("CodeValue"))))
            if found is not None:
                return found
    return None, None


def _code_table(schema: BoneSchema) -> Mapping[tuple[str, str], tuple[str, Side | None]]:
    sides: tuple[Side | None, ...] = (None, "L", "R")
    table: dict[tuple[str, str], tuple[str, Side | None]] = {}
    for bone in schema.bones:
        for side, code in zip(sides, (bone.snomed, bone.snomed_left, bone.snomed_right), strict=True):
            if code is not None and is_own_code(schema, code):
                table["SCT", code] = (bone.name, side)
        for side, code in zip(sides[1:], (bone.fma_left, bone.fma_right), strict=True):
            if code is not None:
                table["FMA", code] = (bone.name, side)
    return table
