"""The radiograph with its outlines as a Secondary Capture: for viewers that show neither segmentations nor reports.

A Secondary Capture and not a presentation state (GSPS): every viewer that shows a radiograph shows it, while many leave
presentation states aside without a word. The price: the outlines are burned in, and the picture has 8 bits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ossa.errors import InputError
from ossa.export.dicom.hands import BonesOfHand
from ossa.export.dicom.seg import SC_SERIES, version
from ossa.export.dicom.source import Source, quietly, require, uid
from ossa.export.overlay import Picture, grey_picture, tint, trace
from ossa.radiograph.radiograph import Radiograph

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


def drawn(radiograph: Radiograph, hands: Sequence[BonesOfHand]) -> Picture:
    """(H, W, 3) uint8 RGB: the bones of every hand over the radiograph, in its own size and without any text."""
    picture = grey_picture(radiograph)
    for draw in (tint, trace):
        for hand in hands:
            for name, region in hand.segmentation:
                draw(picture, region, hand.segmentation.schema.bone(name).colour)
    return picture


def capture_object(source: Source, radiograph: Radiograph, hands: Sequence[BonesOfHand]) -> Dataset:
    """A Secondary Capture of ``drawn`` in the study of ``source``, losslessly compressed (JPEG-LS).

    Raises InputError where the bones belong to a picture of another size.
    """
    require()
    from highdicom.sc import SCImage
    from pydicom.uid import JPEGLSLossless

    for hand in hands:
        if hand.segmentation.shape != radiograph.shape:
            raise InputError(
                "the bones belong to a picture of another size",
                found="{}x{}".format(*hand.segmentation.shape),
                expected="{}x{}".format(*radiograph.shape),
            )
    picture = drawn(radiograph, hands)
    header = source.header
    own = f"{header.SOPInstanceUID} {version()} {hashlib.sha256(picture.tobytes()).hexdigest()}"
    with quietly():
        out: Dataset = SCImage(
            pixel_array=picture,
            photometric_interpretation="RGB",
            bits_allocated=8,
            coordinate_system="PATIENT",
            patient_orientation=("L", "F"),  # highdicom asks for one; that of the picture follows below
            study_instance_uid=header.StudyInstanceUID,
            series_instance_uid=uid(own, "series"),
            series_number=SC_SERIES,
            sop_instance_uid=uid(own, "capture"),
            instance_number=1,
            manufacturer="ossa",
            patient_id=header.PatientID,
            patient_name=header.PatientName,
            patient_birth_date=header.PatientBirthDate,
            patient_sex=header.PatientSex,
            accession_number=header.AccessionNumber,
            study_id=header.StudyID,
            study_date=header.StudyDate or None,
            study_time=header.StudyTime or None,
            referring_physician_name=header.ReferringPhysicianName,
            transfer_syntax_uid=JPEGLSLossless,
            series_description="Outlines of the bones (ossa)",
            manufacturer_model_name="ossa",
            software_versions=version(),
        )
        out.copy_patient_and_study_information(header)
    out.ConversionType = "WSD"
    out.DerivationDescription = "Outlines of bones drawn over the radiograph; for research, not for diagnosis"
    out.SourceImageSequence = [_reference(header)]
    out.PatientOrientation = header.get("PatientOrientation") or ""
    out.Laterality = _laterality(hands)
    for name in ("SpecificCharacterSet", "BurnedInAnnotation"):
        if header.get(name):
            setattr(out, name, header.get(name))
    return out


def _laterality(hands: Sequence[BonesOfHand]) -> str:
    """The side of all hands, "" where they differ or it is not known."""
    sides = {hand.side or "" for hand in hands}
    return sides.pop() if len(sides) == 1 else ""


def _reference(header: Dataset) -> Dataset:
    from pydicom.dataset import Dataset

    out = Dataset()
    out.ReferencedSOPClassUID = header.SOPClassUID
    out.ReferencedSOPInstanceUID = header.SOPInstanceUID
    return out
