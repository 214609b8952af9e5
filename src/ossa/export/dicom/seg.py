"""A DICOM Segmentation of a radiograph: one object, one binary frame for each bone of each hand.

BINARY and not LABELMAP, since bones overlap in every radiograph. There is no frame of reference and no geometry: a
projection has none, and the frames lie pixel on pixel on the picture that they refer to. Deflated, a hand takes some
tens of kilobytes (JPEG and RLE are not for single bits).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ossa import safety
from ossa.errors import InputError
from ossa.export.dicom.codes import needs_side, part_of_body, region_code, side_code, type_code
from ossa.export.dicom.hands import BonesOfHand, Segment, segments
from ossa.export.dicom.source import Source, quietly, require, uid
from ossa.hand.bones import called

if TYPE_CHECKING:
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.seg import SegmentDescription
    from pydicom.dataset import Dataset

    from ossa.segmentation.origin import Origin

#: Numbers of the series in which objects of ossa stand in a study.
SEG_SERIES, SR_SERIES, SC_SERIES = 9001, 9002, 9003

#: The version of an algorithm that its results do not tell (a value that has to be there).
NOT_TOLD = "not told"

#: Characters that a long text holds (PS3.5 6.2, LT).
_LONG_TEXT = 10_240

#: The stand-in for the picture's size while highdicom builds the object, px.
_SMALL = 8


def version() -> str:
    """The version of ossa, as objects tell it."""
    from ossa import __version__

    return __version__


def equipment() -> dict[str, Any]:
    """What made a derived object, as highdicom takes it (PS3.3 C.7.5.2)."""
    return {
        "manufacturer": "ossa",
        "manufacturer_model_name": "ossa",
        "software_versions": version(),
        "device_serial_number": f"ossa {version()}",
    }


def segmentation_object(
    source: Source, hands: Sequence[BonesOfHand], *, drawn: bool = False, maker: str | None = None
) -> Dataset:
    """The DICOM Segmentation of all bones of all ``hands`` on the picture of ``source``.

    ``drawn``: people drew the bones; otherwise an algorithm found them. The same bones of the same picture give an
    object of the same identifiers. ``maker``: a text from which, and from the picture's own identifier, those of the
    object follow instead, whatever the bones (``pipeline.answer.maker_of``): whoever asks once more what was asked
    before, gets the same object. Raises InputError where there is no bone at all or the sizes differ.
    """
    require()
    listed = list(segments(hands))
    for hand in hands:
        if hand.segmentation.shape != source.shape:
            raise InputError(
                "the bones belong to a picture of another size",
                found="{}x{}".format(*hand.segmentation.shape),
                expected="{}x{}".format(*source.shape),
                remedy="Take the result of this picture",
            )
    if not listed:
        raise InputError("no bones: a DICOM Segmentation holds one at least", remedy="Leave this picture out")
    pixels, overlap = packed(listed, source.shape)
    own = identity(source, listed, pixels) if maker is None else f"{source.header.SOPInstanceUID} {maker}"
    out = _built(source, listed, own, drawn)
    out.Rows, out.Columns = source.shape
    out.SegmentsOverlap = "YES" if overlap else "NO"
    out.PixelData = pixels
    for item in _source_items(out) if source.frames > 1 else ():
        item.ReferencedFrameNumber = 1
    # highdicom draws one at random; an object that is made again is the same object.
    for item in (*out.DimensionOrganizationSequence, *out.DimensionIndexSequence):
        item.DimensionOrganizationUID = uid(own, "dimensions")
    _share_something(out)
    charset = source.header.get("SpecificCharacterSet")
    if charset:
        out.SpecificCharacterSet = charset
    part = part_of_body(listed[0].schema)
    if part is not None:
        out.BodyPartExamined = part
    out.PatientOrientation = source.header.get("PatientOrientation") or ""
    return out


def _share_something(out: Dataset) -> None:
    """One item of shared functional groups with pixel measures, if empty ones where the spacing is not known.

    highdicom leaves the sequence empty then, where the standard asks for one item (PS3.3 C.7.6.16.1.1), and OHIF opens
    no segmentation without pixel measures, of which a projection has to say nothing (C.7.6.16.2.1).
    """
    from pydicom.dataset import Dataset

    if not out.SharedFunctionalGroupsSequence:
        out.SharedFunctionalGroupsSequence = [Dataset()]
    shared = out.SharedFunctionalGroupsSequence[0]
    if "PixelMeasuresSequence" not in shared:
        shared.PixelMeasuresSequence = [Dataset()]


def identity(source: Source, listed: Sequence[Segment], pixels: bytes) -> str:
    """What an object's identifiers follow from: the picture, the bones, their pixels, who found them, this version."""
    told = hashlib.sha256(pixels)
    told.update("\n".join(segment.label for segment in listed).encode())
    for origin in {segment.hand: segment.origin for segment in listed}.values():
        told.update(b"" if origin is None else json.dumps(origin.to_json(), sort_keys=True).encode())
    return f"{source.header.SOPInstanceUID} {version()} {told.hexdigest()}"


def packed(listed: Sequence[Segment], shape: tuple[int, int]) -> tuple[bytes, bool]:
    """The frames as DICOM packs single bits (PS3.5 8.2, first pixel in the lowest bit), and whether any two overlap."""
    size = shape[0] * shape[1]
    seen = np.zeros(shape, np.bool_)
    overlap = False
    frames: list[NDArray[Any]] = []
    for segment in listed:
        region = segment.region
        box = seen[region.top : region.bottom, region.left : region.right]
        overlap = overlap or bool((box & region.mask).any())
        box |= region.mask
        plane = region.plane(shape).reshape(-1)
        # Frames follow each other without a gap: only where their bits fill whole bytes each can be packed by itself.
        frames.append(np.packbits(plane, bitorder="little") if size % 8 == 0 else plane)
    bits = np.concatenate(frames)
    data = (bits if size % 8 == 0 else np.packbits(bits, bitorder="little")).tobytes()
    return data + b"\0" * (len(data) % 2), overlap


def _built(source: Source, listed: Sequence[Segment], own: str, drawn: bool) -> Dataset:
    """The object by highdicom, over a stand-in of a few pixels.

    highdicom looks at every pixel of every segment several times, which takes it two seconds of a 2048x2048 picture;
    the frames are packed by ``packed`` instead, and put in afterwards.
    """
    from copy import deepcopy

    from highdicom.seg import Segmentation, SegmentationTypeValues
    from pydicom.uid import ExplicitVRLittleEndian

    whole = called(listed[0].schema)
    small = deepcopy(source.header)
    small.Rows = small.Columns = _SMALL
    small.pop("NumberOfFrames", None)
    small.pop("FrameOfReferenceUID", None)
    with quietly():
        return Segmentation(
            source_images=[small],
            pixel_array=np.ones((1, _SMALL, _SMALL, len(listed)), np.uint8),
            segmentation_type=SegmentationTypeValues.BINARY,
            segment_descriptions=[_description(segment, source, drawn) for segment in listed],
            series_instance_uid=uid(own, "series"),
            series_number=SEG_SERIES,
            sop_instance_uid=uid(own, "segmentation"),
            instance_number=1,
            **equipment(),
            content_label=f"{whole.upper()}_BONES",
            content_description=f"Bones of the {whole}; for research, not for diagnosis",
            series_description=f"Bones of the {whole} (ossa)",
            transfer_syntax_uid=ExplicitVRLittleEndian,
            specific_character_set=None,
        )


def _description(segment: Segment, source: Source, drawn: bool) -> SegmentDescription:
    from highdicom.color import CIELabColor
    from highdicom.seg import SegmentAlgorithmTypeValues, SegmentDescription
    from pydicom.sr.codedict import codes

    kind = SegmentAlgorithmTypeValues.MANUAL if drawn else SegmentAlgorithmTypeValues.AUTOMATIC
    out = SegmentDescription(
        segment_number=segment.number,
        segment_label=segment.label,
        segmented_property_category=codes.SCT.AnatomicalStructure,
        segmented_property_type=type_code(segment.schema, segment.bone, segment.side),
        algorithm_type=kind,
        algorithm_identification=None if drawn else algorithm(segment.origin),
        tracking_uid=tracking_uid(source, segment),
        tracking_id=segment.tracking_id,
        anatomic_regions=[region_code(segment.schema, segment.bone)],
        display_color=CIELabColor.from_rgb(*segment.bone.colour),
    )
    out.SegmentDescription = segment.bone.name
    if segment.side is not None:
        out.AnatomicRegionSequence[0].AnatomicRegionModifierSequence = [side_code(segment.side)]
        if needs_side(segment.bone, segment.side):
            out.SegmentedPropertyTypeModifierCodeSequence = [side_code(segment.side)]
    return out


def tracking_uid(source: Source, segment: Segment) -> str:
    """What a bone of this picture is called in every object that speaks of it."""
    return uid(str(source.header.SOPInstanceUID), segment.tracking_id)


def algorithm(origin: Origin | None) -> AlgorithmIdentificationSequence:
    """The algorithm that found the bones: ossa; its parameters are the origin as JSON, by which it is read back."""
    from highdicom import AlgorithmIdentificationSequence
    from pydicom.sr.codedict import codes

    family = codes.DCM.ArtificialIntelligence
    out = AlgorithmIdentificationSequence("ossa", family, version_of(origin), source="ossa")
    if origin is not None:
        out[0].AlgorithmParameters = json.dumps(origin.to_json())[:_LONG_TEXT]
    return out


def version_of(origin: Origin | None) -> str:
    """The version of ossa that found bones. An object has to say one: results may tell none."""
    return (origin.version if origin is not None else "") or NOT_TOLD


def _source_items(out: Dataset) -> list[Dataset]:
    """Every place of an object that names the picture as what it was made from."""
    found = list(out.get("SourceImageSequence") or ())
    for frame in out.PerFrameFunctionalGroupsSequence:
        for derivation in frame.get("DerivationImageSequence") or ():
            found += list(derivation.SourceImageSequence)
    return found


def write_object(path: str | PathLike[str], dataset: Dataset) -> None:
    """Write a data set as a DICOM file, at once or not at all; plain binary frames are deflated.

    Raises OutputError where nothing can be written.
    """
    with safety.replacing(Path(path)) as temporary, temporary.open("wb") as stream:
        save_object(stream, dataset)


def save_object(stream: BinaryIO, dataset: Dataset) -> None:
    """``write_object`` into a stream of bytes."""
    from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

    bits = int(dataset.get("BitsAllocated") or 0)
    if bits == 1 and dataset.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian:
        dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    with quietly():
        dataset.save_as(stream, enforce_file_format=True)
