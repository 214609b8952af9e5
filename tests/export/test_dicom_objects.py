"""Reports, Secondary Captures and anonymous pictures: sound by dciodvfy, of the right patient or of none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

import ossa
from helpers_clinic import DCIODVFY, KOREAN, bones, complaints, film, radiograph
from helpers_dicom import item
from ossa.errors import InputError, OutputError
from ossa.export.dicom.anonymise import Secret, anonymised, may_show_names
from ossa.export.dicom.hands import told_apart
from ossa.export.dicom.sc import capture_object, drawn
from ossa.export.dicom.seg import segmentation_object, write_object
from ossa.export.dicom.source import source_from, source_of, wrapped
from ossa.export.dicom.sr import Number, report_object

NUMBERS = [
    Number("length", "Length", 62.43217, "mm", "finger-3", 0.4),
    Number("area", "Area", 812.5, "mm2", "finger-3"),
    Number("axis_angle", "Angle of the axis", -3.25, "deg", "Radius", 0.1),
    Number("carpal_height_ratio_nattrass", "Carpal height ratio (Nattrass)", 1.57, "{ratio}", None, 0.02),
]


def objects(image: Path) -> dict[str, pydicom.Dataset]:
    picture = ossa.read_radiograph(image)
    source = source_of(image, picture)
    hands = told_apart([bones()], picture.side)
    seg = segmentation_object(source, hands)
    return {
        "seg": seg,
        "sr": report_object(source, seg, hands, [NUMBERS]),
        "sc": capture_object(source, picture, hands),
    }


def numbers_in(container: Any) -> list[tuple[str, str, str]]:
    """(name, value, unit) of every number of a report."""
    out = []
    for one in container.get("ContentSequence") or ():
        if one.ValueType == "NUM":
            value = one.MeasuredValueSequence[0]
            unit = value.MeasurementUnitsCodeSequence[0]
            assert unit.CodingSchemeDesignator == "UCUM"
            out.append((one.ConceptNameCodeSequence[0].CodeMeaning, str(value.NumericValue), unit.CodeValue))
        out += numbers_in(one)
    return out


def references_in(container: Any) -> set[tuple[str, int | None]]:
    out = set()
    for one in container.get("ContentSequence") or ():
        if one.ValueType == "IMAGE":
            for reference in one.ReferencedSOPSequence:
                out.add((str(reference.ReferencedSOPInstanceUID), reference.get("ReferencedSegmentNumber")))
        out |= references_in(one)
    return out


def test_made_again_they_are_the_same_but_for_the_time(tmp_path: Path) -> None:
    """An archive that gets an object twice, after a kill perhaps, has one object."""
    image = radiograph(tmp_path / "hand.dcm")
    for one, again in zip(objects(image).values(), objects(image).values(), strict=True):
        for made in (one, again):
            for element in made.iterall():
                if element.VR in ("DA", "TM", "DT"):
                    element.value = None
        assert one.to_json() == again.to_json()


def test_a_report_holds_the_numbers_and_refers_to_segments(tmp_path: Path) -> None:
    image = radiograph(tmp_path / "hand.dcm")
    made = objects(image)
    write_object(tmp_path / "hand_sr.dcm", made["sr"])
    report = pydicom.dcmread(tmp_path / "hand_sr.dcm")
    assert str(report.PatientName) == KOREAN
    told = numbers_in(report)
    assert ("Length", "62.4322", "mm") in told
    assert ("Area", "812.5", "mm2") in told
    assert ("Angle of the axis", "-3.25", "deg") in told
    assert ("Carpal height ratio (Nattrass)", "1.57", "{ratio}") in told
    segments = {number for one, number in references_in(report) if one == made["seg"].SOPInstanceUID}
    schema = ossa.load_schema()
    assert segments - {None} == {schema.index("finger-3") + 1, schema.index("Radius") + 1}
    assert report.CodingSchemeIdentificationSequence[0].CodingSchemeDesignator == "99OSSA"
    tracked = {str(segment.TrackingUID) for segment in made["seg"].SegmentSequence}
    assert any(uid in str(report) for uid in tracked)
    with pytest.raises(InputError, match="no numbers"):
        picture = ossa.read_radiograph(image)
        report_object(source_of(image, picture), made["seg"], told_apart([bones()], "L"), [[]])


def test_a_capture_shows_the_outlines_in_the_size_of_the_picture(tmp_path: Path) -> None:
    image = radiograph(tmp_path / "hand.dcm")
    picture = ossa.read_radiograph(image)
    hands = told_apart([bones()], picture.side)
    write_object(tmp_path / "hand_sc.dcm", capture_object(source_of(image, picture), picture, hands))
    capture = pydicom.dcmread(tmp_path / "hand_sc.dcm")
    assert np.array_equal(capture.pixel_array, drawn(picture, hands))
    source = pydicom.dcmread(image)
    assert capture.SourceImageSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID
    assert (str(capture.PatientName), capture.Laterality) == (KOREAN, "L")
    assert list(capture.PatientOrientation) == ["L", "F"]
    with pytest.raises(InputError, match="another size"):
        capture_object(source_of(image, picture), picture, told_apart([bones((50, 60))], None))


@pytest.mark.skipif(DCIODVFY is None, reason="dciodvfy (Debian's dicom3tools) is not installed")
def test_dciodvfy_has_no_complaint(tmp_path: Path) -> None:
    image = radiograph(tmp_path / "hand.dcm")
    for kind, made in objects(image).items():
        write_object(tmp_path / f"{kind}.dcm", made)
        assert complaints(tmp_path / f"{kind}.dcm", tmp_path) == [], kind
    write_object(tmp_path / "wrapped.dcm", wrapped(ossa.read_radiograph(image)))
    assert complaints(tmp_path / "wrapped.dcm", tmp_path) == []


@pytest.mark.parametrize("charset", ["ISO 2022 IR 149", ["", "ISO 2022 IR 149"], "ISO_IR 192", "GB18030"])
def test_korean_names_survive(charset: Any, tmp_path: Path) -> None:
    name = "Hong^Gildong==홍^길동" if charset != "GB18030" else "Wang^XiaoDong==王^小东"
    image = radiograph(tmp_path / "hand.dcm", SpecificCharacterSet=charset, PatientName=name)
    for kind, made in objects(image).items():
        write_object(tmp_path / f"{kind}.dcm", made)
        back = pydicom.dcmread(tmp_path / f"{kind}.dcm")
        assert str(back.PatientName) == str(pydicom.dcmread(image).PatientName) == name


def test_headers_that_bend_the_standard_are_no_obstacle(tmp_path: Path) -> None:
    told: dict[str, Any] = {
        "PatientSex": "W",
        "PatientBirthDate": "",
        "StudyTime": None,
        "AccessionNumber": None,
        "StudyDate": None,
    }
    image = radiograph(tmp_path / "hand.dcm", SpecificCharacterSet=None, PatientName="single", **told)
    for made in objects(image).values():
        assert made.PatientSex == ""
        write_object(tmp_path / "out.dcm", made)


def test_an_output_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    image = radiograph(tmp_path / "hand.dcm")
    made = objects(image)["seg"]
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot be written"):
        write_object(tmp_path / "file" / "seg.dcm", made)


def test_an_anonymous_picture_says_nothing_of_its_patient_at_any_depth(tmp_path: Path) -> None:
    image = radiograph(
        tmp_path / "hand.dcm",
        InstitutionName="Hospital of Seoul",
        PatientAge="045Y",
        RequestAttributesSequence=[item(RequestedProcedureID="R-77", ScheduledProcedureStepDescription="Hand of Hong")],
        ReferencedStudySequence=[item(ReferencedSOPInstanceUID="1.2.3.4")],
        AcquisitionDate="20260102",
    )
    data = pydicom.dcmread(image)
    data.add_new((0x0011, 0x0010), "LO", "SECRET")
    data.add_new((0x0011, 0x1001), "LO", "Hong")
    data.add_new((0x6000, 0x3000), "OW", b"\1\0")
    secret = Secret()
    made = anonymised(data, secret)
    write_object(tmp_path / "anonymous.dcm", made)
    raw = (tmp_path / "anonymous.dcm").read_bytes()
    gone = [
        "Hong",
        "K-1",
        "Seoul",
        "045Y",
        "R-77",
        "20260102",
        "19800229",
        "Arzt",
        "1.2.3.4\0",
        str(data.StudyInstanceUID),
    ]
    for text in gone:
        assert text.encode() not in raw, text
    back = pydicom.dcmread(tmp_path / "anonymous.dcm")
    assert np.array_equal(back.pixel_array, film())
    assert (back.PatientIdentityRemoved, back.PixelSpacing) == ("YES", [0.15, 0.15])
    assert back.file_meta.MediaStorageSOPInstanceUID == back.SOPInstanceUID == secret.other(str(data.SOPInstanceUID))
    assert back.SOPClassUID == data.SOPClassUID
    assert back.PatientID.startswith("ANON-")
    assert anonymised(data, secret).PatientID == back.PatientID != anonymised(data, Secret()).PatientID
    assert str(data.PatientName) == KOREAN  # the original stays as it was
    source_from(back, image)
    assert not may_show_names(data)
    del data.BurnedInAnnotation
    assert may_show_names(data)
