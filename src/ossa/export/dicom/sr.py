"""Measurements as a DICOM Structured Report (TID 1500): numbers with UCUM units, of bones that a Segmentation shows.

A bone's numbers stand in a planar region group (TID 1410) that refers to its segment and bears its tracking identifier;
those of a whole hand in a measurement group (TID 1501). Numbers that are not there, are not in the report.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ossa.errors import InputError
from ossa.export.dicom.codes import WORDS, region_code, side_code, type_code
from ossa.export.dicom.hands import BonesOfHand, Segment, segments
from ossa.export.dicom.seg import SR_SERIES, equipment, tracking_uid, version, version_of
from ossa.export.dicom.source import Source, quietly, require, uid
from ossa.hand.bones import called
from ossa.radiograph.radiograph import Side

if TYPE_CHECKING:
    from highdicom.sr import (
        AlgorithmIdentification,
        CodedConcept,
        MeasurementsAndQualitativeEvaluations,
        PlanarROIMeasurementsAndQualitativeEvaluations,
    )
    from pydicom.dataset import Dataset

    from ossa.segmentation.origin import Origin

#: ossa's own names of measurements (PS3.16 table 8-1: private schemes begin with 99).
SCHEME = "99OSSA"

#: Measurements that CID 7469 (Generic Intensity and Size Measurements) has a code for; all others have ossa's own.
_PUBLISHED = {"area": ("42798000", "Area"), "length": ("410668003", "Length"), "width": ("103355008", "Width")}

#: UCUM units in words.
_UNITS = {
    "mm": "millimeter",
    "mm2": "square millimeter",
    "deg": "degree",
    "{ratio}": "ratio",
    "{pixels}": "pixels",
    "{pixels}2": "square pixels",
}


@dataclass(frozen=True)
class Number:
    """One number: ``name`` is the measurement's, ``title`` its name in words, ``unit`` in UCUM.

    ``bone``: of which bone, None of the whole hand. ``uncertainty``: plus and minus, None where it is not known.
    """

    name: str
    title: str
    value: float
    unit: str
    bone: str | None = None
    uncertainty: float | None = None


class NothingMeasured(InputError):
    """No hand of a picture has a number to report."""


def report_object(
    source: Source,
    seg: Dataset,
    hands: Sequence[BonesOfHand],
    numbers: Sequence[Sequence[Number]],
    *,
    maker: str | None = None,
) -> Dataset:
    """The report on the picture of ``source``: ``numbers`` of each hand, ``seg`` the Segmentation made of ``hands``.

    Its identifiers follow from those of ``seg`` and from the numbers, or, as those of ``seg`` do, from ``maker``.
    Raises NothingMeasured where there is no number at all.
    """
    require()
    from highdicom.coding_schemes import CodingSchemeIdentificationItem
    from highdicom.sr import ComprehensiveSR

    if not any(numbers):
        raise NothingMeasured(
            "no numbers: a report of measurements holds one at least", remedy="Leave this picture out"
        )
    told = hashlib.sha256(repr([list(map(repr, few)) for few in numbers]).encode()).hexdigest()
    own = f"{seg.SOPInstanceUID} {version()} {told}" if maker is None else f"{seg.SOPInstanceUID} {maker}"
    with quietly():
        out: Dataset = ComprehensiveSR(
            evidence=[_evidence(source), seg],
            content=_content(source, seg, hands, numbers)[0],
            series_instance_uid=uid(own, "series"),
            series_number=SR_SERIES,
            sop_instance_uid=uid(own, "report"),
            instance_number=1,
            **equipment(),
            is_complete=True,
            is_final=False,
            is_verified=False,
            series_description=f"Measurements of the {called(hands[0].segmentation.schema)} (ossa)",
            coding_schemes=[CodingSchemeIdentificationItem(SCHEME, name="Measurements of ossa", version=version())],
        )
    _name_segments(out)
    charset = source.header.get("SpecificCharacterSet")
    if charset:
        out.SpecificCharacterSet = charset
    return out


def _name_segments(container: Dataset) -> None:
    """References to a segment name no frame beside it, as highdicom has them (PS3.3 table C.18.4-1)."""
    for item in container.get("ContentSequence") or ():
        for reference in item.get("ReferencedSOPSequence") or ():
            if "ReferencedSegmentNumber" in reference:
                reference.pop("ReferencedFrameNumber", None)
        _name_segments(item)


def _evidence(source: Source) -> Dataset:
    """The picture's header, of which highdicom takes the patient and the study."""
    from copy import deepcopy

    out = deepcopy(source.header)
    out.pop("SpecificCharacterSet", None)
    return out


def _content(source: Source, seg: Dataset, hands: Sequence[BonesOfHand], numbers: Sequence[Sequence[Number]]) -> Any:
    from highdicom.sr import DeviceObserverIdentifyingAttributes, MeasurementReport, ObservationContext, ObserverContext
    from pydicom.sr.codedict import codes

    observer = DeviceObserverIdentifyingAttributes(
        uid=uid("ossa", version()), name="ossa", manufacturer_name="ossa", model_name=f"ossa {version()}"
    )
    groups: list[Any] = []
    for segment in segments(hands):
        few = [number for number in numbers[segment.hand - 1] if number.bone == segment.bone.name]
        if few:
            groups.append(_of_bone(source, seg, segment, few))
    for k, (hand, some) in enumerate(zip(hands, numbers, strict=True), start=1):
        few = [number for number in some if number.bone is None]
        if few:
            groups.append(_of_hand(source, k, hand.side, few, hand.segmentation.origin))
    return MeasurementReport(
        observation_context=ObservationContext(
            observer_device_context=ObserverContext(
                observer_type=codes.DCM.Device, observer_identifying_attributes=observer
            )
        ),
        procedure_reported=codes.DCM.ProjectionXRay,
        imaging_measurements=groups,
        title=codes.DCM.ImagingMeasurementReport,
    )


def _of_bone(
    source: Source, seg: Dataset, segment: Segment, few: Sequence[Number]
) -> PlanarROIMeasurementsAndQualitativeEvaluations:
    from highdicom.sr import (
        FindingSite,
        PlanarROIMeasurementsAndQualitativeEvaluations,
        ReferencedSegmentationFrame,
        SourceImageForSegmentation,
        TrackingIdentifier,
    )

    header = source.header
    picture = SourceImageForSegmentation(header.SOPClassUID, header.SOPInstanceUID, [1] if source.frames > 1 else None)
    return PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(tracking_uid(source, segment), segment.tracking_id),
        referenced_segment=ReferencedSegmentationFrame(
            seg.SOPClassUID, seg.SOPInstanceUID, segment.number, segment.number, picture
        ),
        finding_type=type_code(segment.schema, segment.bone, segment.side),
        algorithm_id=_algorithm(segment.origin),
        finding_sites=[FindingSite(region_code(segment.schema, segment.bone), _laterality(segment.side))],
        measurements=[_measurement(number) for number in few],
    )


def _of_hand(
    source: Source, hand: int, side: Side | None, few: Sequence[Number], origin: Origin | None
) -> MeasurementsAndQualitativeEvaluations:
    from highdicom.sr import (
        FindingSite,
        MeasurementsAndQualitativeEvaluations,
        SourceImageForMeasurementGroup,
        TrackingIdentifier,
    )
    from pydicom.sr.codedict import codes

    header = source.header
    tracked = f"hand{hand}" + (f" {WORDS[side]}" if side else "")
    picture = SourceImageForMeasurementGroup(
        header.SOPClassUID, header.SOPInstanceUID, [1] if source.frames > 1 else None
    )
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(uid(str(header.SOPInstanceUID), tracked), tracked),
        finding_type=codes.SCT.Hand,
        algorithm_id=_algorithm(origin),
        finding_sites=[FindingSite(codes.SCT.Hand, _laterality(side))],
        measurements=[_measurement(number) for number in few],
        source_images=[picture],
    )


def _algorithm(origin: Origin | None) -> AlgorithmIdentification | None:
    """Who found what was measured (TID 4019); None where nobody tells, or people drew it."""
    from highdicom.sr import AlgorithmIdentification
    from pydicom.sr.codedict import codes

    if origin is None:
        return None
    told = [f"{name}: {value}" for name, value in _parameters(origin)]
    return AlgorithmIdentification("ossa", version_of(origin), told, codes.DCM.ArtificialIntelligence, "ossa")


def _parameters(origin: Origin) -> Iterator[tuple[str, str]]:
    """What an algorithm ran with, name and value: its models, the SHA-256 of their weights, what was asked of them."""
    yield "model", " + ".join(model.name for model in origin.models)
    yield "sha256", " + ".join(model.weights for model in origin.models)
    for name, value in origin.settings.items():
        if isinstance(value, Mapping):
            yield from ((f"{name} {bone}", f"{number:g}") for bone, number in value.items())
        else:
            yield name, {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _laterality(side: Side | None) -> CodedConcept | None:
    return None if side is None else side_code(side)


def _measurement(number: Number) -> Any:
    from highdicom.sr import CodedConcept, Measurement, MeasurementProperties

    published = _PUBLISHED.get(number.name) if number.bone is not None else None
    name = (
        CodedConcept(published[0], "SCT", published[1])
        if published is not None
        else CodedConcept(number.name, SCHEME, number.title[:64])
    )
    properties = None
    if number.uncertainty is not None:
        spread = _decimal(number.uncertainty)
        properties = MeasurementProperties(upper_measurement_uncertainty=spread, lower_measurement_uncertainty=spread)
    unit = CodedConcept(number.unit, "UCUM", _UNITS.get(number.unit, number.unit))
    return Measurement(name, _decimal(number.value), unit, properties=properties)


def _decimal(value: float) -> float:
    """A number that a decimal string of 16 characters holds (PS3.5 6.2), six digits of it: no length has more."""
    return float(f"{value:.6g}")
