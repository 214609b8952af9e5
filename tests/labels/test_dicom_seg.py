"""DICOM Segmentations: what is written is read back to the bit, whoever's picture it is of; others are told."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.uid import generate_uid

import ossa
from helpers_clinic import DCIODVFY, KOREAN, bones, complaints, film, radiograph
from ossa.errors import ImageError, InputError, LabelError, MissingExtraError
from ossa.export.dicom.hands import BonesOfHand, Segment, segments, told_apart
from ossa.export.dicom.seg import packed, segmentation_object, write_object
from ossa.export.dicom.source import source_of
from ossa.labels import dicom_seg
from ossa.labels.dicom_frames import is_segmentation, read_segmentation
from ossa.labels.format import writable
from ossa.labels.item import Item
from ossa.labels.names import bone_names
from ossa.labels.results import open_results
from ossa.schema import load_schema
from ossa.segmentation.origin import Model, Origin
from ossa.segmentation.segmentation import Segmentation

SCHEMA = load_schema()


def thing(name: str, image: Path, found: Segmentation) -> Item:
    return Item(name, image.name, image, found, frozenset(SCHEMA.names))


def same(a: Segmentation | dict[str, Any], b: Any) -> bool:
    mine = a.regions if isinstance(a, Segmentation) else a
    other = b.regions if isinstance(b, Segmentation) else b
    return list(mine) == list(other) and all(
        (r.top, r.left) == (other[n].top, other[n].left) and np.array_equal(r.mask, other[n].mask)
        for n, r in mine.items()
    )


def written(image: Path, path: Path, *found: Segmentation) -> pydicom.FileDataset:
    picture = ossa.read_radiograph(image)
    write_object(path, segmentation_object(source_of(image, picture), told_apart(found, picture.side)))
    return pydicom.dcmread(path)


def test_29_overlapping_bones_come_back_to_the_bit(tmp_path: Path) -> None:
    image = radiograph(tmp_path / "hand.dcm")
    found = bones()
    data = written(image, tmp_path / "hand_seg.dcm", found)
    assert data.file_meta.TransferSyntaxUID == pydicom.uid.DeflatedExplicitVRLittleEndian
    assert (data.SegmentationType, data.SegmentsOverlap, int(data.NumberOfFrames)) == ("BINARY", "YES", 29)
    [(side, regions)] = dicom_seg.regions(tmp_path / "hand_seg.dcm", SCHEMA)
    assert side == "L"
    assert same(found, regions)
    reading = dicom_seg.read(tmp_path, bone_names(SCHEMA))
    [case] = reading.cases
    assert (case.image, case.side, reading.problems) == (image, "L", ())
    truth = case.truth(SCHEMA, found.shape)
    assert truth.annotated == frozenset(SCHEMA.names)
    assert same(found, truth.segmentation(SCHEMA, found.shape))


def test_whose_it_is_and_what_it_refers_to(tmp_path: Path) -> None:
    image = radiograph(tmp_path / "hand.dcm")
    source = pydicom.dcmread(image)
    data = written(image, tmp_path / "hand_seg.dcm", bones())
    assert str(data.PatientName) == KOREAN
    for name in ("PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyID", "AccessionNumber"):
        assert data[name].value == source[name].value
    assert data.SeriesInstanceUID != source.SeriesInstanceUID
    [series] = data.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == source.SeriesInstanceUID
    assert series.ReferencedInstanceSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID
    assert "FrameOfReferenceUID" not in data
    for groups in (*data.SharedFunctionalGroupsSequence, *data.PerFrameFunctionalGroupsSequence):
        assert not {"PlanePositionSequence", "PlaneOrientationSequence"} & set(groups.dir())
    segment = data.SegmentSequence[SCHEMA.index("Scaphoid")]
    [code] = segment.SegmentedPropertyTypeCodeSequence
    assert (code.CodingSchemeDesignator, code.CodeValue) == ("SCT", "724196009")
    assert code.EquivalentCodeSequence[0].CodeValue == SCHEMA.bone("Scaphoid").fma_left == "24436"
    assert segment.AnatomicRegionSequence[0].AnatomicRegionModifierSequence[0].CodeMeaning == "Left"
    assert segment.SegmentLabel == "Scaphoid (left)"
    [algorithm] = segment.SegmentationAlgorithmIdentificationSequence
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("ossa", "not told")


def test_who_found_the_bones_is_read_back(tmp_path: Path) -> None:
    image = radiograph(tmp_path / "hand.dcm")
    origin = Origin("1.0", (Model("mine", "MIT", {"model.onnx": "ab" * 32}),), {"thresholds": {"Radius": 0.4}})
    data = written(image, tmp_path / "hand_seg.dcm", replace(bones(), origin=origin))
    [algorithm] = data.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence
    assert algorithm.AlgorithmVersion == "1.0"
    [case] = dicom_seg.read(tmp_path, bone_names(SCHEMA)).cases
    assert case.truth(SCHEMA).origin == origin
    assert data.SOPInstanceUID != written(image, tmp_path / "other.dcm", bones()).SOPInstanceUID


def test_the_same_bones_are_the_same_object_and_others_are_not(tmp_path: Path) -> None:
    image = radiograph(tmp_path / "hand.dcm")
    first = written(image, tmp_path / "a.dcm", bones())
    again = written(image, tmp_path / "b.dcm", bones())
    other = written(image, tmp_path / "c.dcm", bones(only=20))
    assert first.SOPInstanceUID == again.SOPInstanceUID != other.SOPInstanceUID
    assert first.SegmentSequence[0].TrackingUID == other.SegmentSequence[0].TrackingUID


def test_two_hands_are_one_object_and_two_cases(tmp_path: Path) -> None:
    image = radiograph(tmp_path / "both.dcm", film((90, 120)), ImageLaterality="B")
    left, right = bones((90, 120), only=12), bones((90, 120), only=9, left=70)
    picture = ossa.read_radiograph(image)
    hands = (BonesOfHand(left, "L"), BonesOfHand(right, "R"))
    write_object(tmp_path / "both_seg.dcm", segmentation_object(source_of(image, picture), hands))
    data = pydicom.dcmread(tmp_path / "both_seg.dcm")
    assert len(data.SegmentSequence) == 21
    assert len({segment.SegmentLabel for segment in data.SegmentSequence}) == 21
    cases = dicom_seg.read(tmp_path, bone_names(SCHEMA)).cases
    assert [(case.name, case.side) for case in cases] == [("both_left.dcm", "L"), ("both_right.dcm", "R")]
    for case, found in zip(cases, (left, right), strict=True):
        assert same(found, case.truth(SCHEMA, (90, 120)).segmentation(SCHEMA, (90, 120)))


def test_hands_of_unknown_side_are_numbered() -> None:
    labels = [one.label for one in segments([BonesOfHand(bones(only=1), None), BonesOfHand(bones(only=1), None)])]
    assert labels == ["Thumb distal phalanx (hand 1)", "Thumb distal phalanx (hand 2)"]
    [alone] = segments([BonesOfHand(bones(only=1), None)])
    assert alone.label == "Thumb distal phalanx"


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_bits_are_packed_without_a_gap(height: int, width: int, count: int, seed: int) -> None:
    planes = np.random.default_rng(seed).random((count, height, width)) < 0.5
    planes[:, 0, 0] = True  # none is empty
    found = Segmentation.from_planes(np.concatenate([planes, np.zeros((29 - count, height, width), bool)]), SCHEMA)
    listed: list[Segment] = list(segments([BonesOfHand(found, None)]))
    data, overlap = packed(listed, (height, width))
    slow = "".join("1" if bit else "0" for bit in planes.reshape(-1))
    read = "".join(f"{byte:08b}"[::-1] for byte in data)
    assert read.startswith(slow)
    assert set(read[len(slow) :]) <= {"0"}
    assert len(data) % 2 == 0
    assert overlap == bool((planes.sum(axis=0) > 1).any())


def test_a_picture_that_is_no_dicom_file_is_wrapped_and_known_again(tmp_path: Path) -> None:
    Image.fromarray(film()).save(tmp_path / "hand.png")
    found = bones()
    dicom_seg.write_set(tmp_path, [thing("hand", tmp_path / "hand.png", found)])
    picture = pydicom.dcmread(tmp_path / "hand_picture.dcm")
    assert np.array_equal(picture.pixel_array, film())
    assert (picture.PatientID, str(picture.PatientName), picture.PatientOrientation) == ("", "", "")
    reading = dicom_seg.read(tmp_path, bone_names(SCHEMA))
    assert not reading.problems
    [labelled] = [case for case in reading.cases if case.label is not None]
    assert labelled.image.name == "hand_picture.dcm"
    (tmp_path / "hand_picture.dcm").unlink()
    [case] = dicom_seg.read(tmp_path, bone_names(SCHEMA)).cases
    assert case.image.name == "hand.png"
    assert same(found, case.truth(SCHEMA, found.shape).segmentation(SCHEMA, found.shape))
    Image.fromarray(film(seed=1)).save(tmp_path / "hand.png")
    with pytest.raises(LabelError, match="refers to another picture"):
        case.truth(SCHEMA, found.shape)


def test_one_that_refers_to_another_image_is_told(tmp_path: Path) -> None:
    image = radiograph(tmp_path / "hand.dcm")
    written(image, tmp_path / "hand_seg.dcm", bones())
    radiograph(image)  # another picture under the same name
    reading = dicom_seg.read(tmp_path, bone_names(SCHEMA))
    assert [case.label for case in reading.cases] == [None]
    [problem] = reading.problems
    assert "refers to another image" in str(problem)
    image.unlink()
    reading = dicom_seg.read(tmp_path, bone_names(SCHEMA))
    assert len(reading.bare) == 1
    assert "is not here" in str(reading.problems[0])


def test_a_picture_without_an_identifier_cannot_be_referred_to(tmp_path: Path) -> None:
    image = radiograph(tmp_path / "hand.dcm", SOPInstanceUID=None)
    with pytest.raises(ImageError, match=r"no SOPInstanceUID.*dcmodify -gin"):
        source_of(image, ossa.read_radiograph(image))
    good = radiograph(tmp_path / "good.dcm")
    things = [thing("hand", image, bones()), thing("good", good, bones())]
    with pytest.raises(InputError, match=r"1 of 2 pictures.*no SOPInstanceUID"):
        dicom_seg.write_set(tmp_path, things)
    assert is_segmentation(tmp_path / "good_seg.dcm")


def test_a_result_of_another_size_or_without_bones_is_refused(tmp_path: Path) -> None:
    image = radiograph(tmp_path / "hand.dcm")
    source = source_of(image, ossa.read_radiograph(image))
    with pytest.raises(InputError, match="another size"):
        segmentation_object(source, told_apart([bones((80, 60))], None))
    with pytest.raises(InputError, match="no bones"):
        segmentation_object(source, told_apart([Segmentation(SCHEMA, (90, 60), {})], None))


def test_what_is_wrong_with_a_file_is_told(tmp_path: Path) -> None:
    image = radiograph(tmp_path / "hand.dcm")
    path = tmp_path / "hand_seg.dcm"
    data = written(image, path, bones(only=3))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(LabelError, match="damaged"):
        read_segmentation(path, SCHEMA)
    data.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    data.PixelData = data.PixelData[:-600]
    data.save_as(path)
    with pytest.raises(LabelError, match="bytes of pixels"):
        read_segmentation(path, SCHEMA)
    data.SegmentationType = "FRACTIONAL"
    data.save_as(path)
    with pytest.raises(LabelError, match="another type; found FRACTIONAL; expected BINARY"):
        read_segmentation(path, SCHEMA)


def test_segments_of_others_are_known_by_codes_or_by_names(tmp_path: Path) -> None:
    image = radiograph(tmp_path / "hand.dcm")
    path = tmp_path / "seg.dcm"
    found = bones(only=4)
    data = written(image, path, found)
    for segment in data.SegmentSequence:
        del segment.TrackingID
        del segment.TrackingUID
        del segment.SegmentDescription
    data.SegmentSequence[0].SegmentedPropertyTypeCodeSequence[0].CodeValue = "1"  # FMA still says it
    del data.SegmentSequence[1].SegmentedPropertyTypeCodeSequence[0].EquivalentCodeSequence
    data.SegmentSequence[1].SegmentedPropertyTypeCodeSequence[0].CodeValue = "1"
    data.SegmentSequence[1].SegmentLabel = "Finger-2"
    data.SegmentSequence[2].SegmentedPropertyTypeCodeSequence = data.SegmentSequence[
        1
    ].SegmentedPropertyTypeCodeSequence
    data.SegmentSequence[2].SegmentLabel = "Tumour"
    data.ManufacturerModelName = "other"
    data.SOPInstanceUID = generate_uid()
    data.save_as(path)
    [case] = dicom_seg.read(tmp_path, bone_names(SCHEMA)).cases
    truth = case.truth(SCHEMA)
    assert set(truth.outlines) == truth.annotated == {"finger-1", "finger-2", "finger-4"}
    assert truth.left_out == ("the segment 'Tumour' is named after no bone",)


@pytest.mark.skipif(DCIODVFY is None, reason="dciodvfy (Debian's dicom3tools) is not installed")
def test_dciodvfy_has_no_complaint(tmp_path: Path) -> None:
    image = radiograph(tmp_path / "hand.dcm")
    written(image, tmp_path / "hand_seg.dcm", bones())
    assert complaints(tmp_path / "hand_seg.dcm", tmp_path) == []
    bare = written(radiograph(image, PixelSpacing=None), tmp_path / "bare_seg.dcm", bones())
    [shared] = bare.SharedFunctionalGroupsSequence
    assert len(shared.PixelMeasuresSequence[0]) == 0
    assert complaints(tmp_path / "bare_seg.dcm", tmp_path) == []


def test_a_prediction_and_a_set_are_written_and_opened_as_any_other(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    image = radiograph(tmp_path / "in" / "hand.dcm")
    form = writable("dicom-seg")
    assert form.write_set is not None
    form.write_set(tmp_path / "out", [thing("hand", image, bones(only=5))])
    found = open_results(tmp_path / "out")
    [entry] = found.entries.values()
    assert same(bones(only=5), entry.read((90, 60)))
    assert entry.open().read((90, 60))[1] == frozenset(SCHEMA.names)  # all were looked for
    drawn = Item(
        "a/hand", "a/hand.dcm", image, bones(only=5), frozenset({"finger-1"}), subject="a", bring=copied(image)
    )
    form.write_set(tmp_path / "set", [drawn])
    [case] = dicom_seg.read(tmp_path / "set", bone_names(SCHEMA)).cases
    assert case.truth(SCHEMA).annotated == frozenset(SCHEMA.names[:5])
    assert case.image == tmp_path / "set" / "a" / "hand.dcm"


def test_without_highdicom_the_command_that_adds_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "highdicom", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'ossa\[dicom\]'"):
        writable("dicom-seg")


def copied(image: Path) -> Callable[[Path], Path]:
    def bring(place: Path) -> Path:
        place.parent.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copyfile(image, place))

    return bring
