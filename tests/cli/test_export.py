"""``ossa export``: results and their radiographs become DICOM files; films that cannot be used are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from click.testing import CliRunner, Result

from helpers_clinic import bones, clinic_of, film, free_port, radiograph
from ossa.cli import cli
from ossa.labels.dicom_seg import regions
from ossa.schema import load_schema


def run(*words: Any) -> Result:
    return CliRunner().invoke(cli, ["export", *map(str, words)])


@pytest.fixture
def clinic(tmp_path: Path) -> Path:
    """Films (one DICOM, one PNG, one with two hands) and results of them."""
    both = {"pixels": film((90, 120)), "ImageLaterality": None}
    two = {"both_left": bones((90, 120)), "both_right": bones((90, 120), left=70)}
    films = {"hand.dcm": {}, "plain.png": {}, "both.dcm": both}
    return clinic_of(tmp_path, films, {"hand": bones(), "plain": bones(), **two})


def test_segmentations_of_all_films(clinic: Path) -> None:
    out = clinic / "out"
    told = run("dicom-seg", clinic / "results", "--images", clinic / "films", "-o", out)
    assert told.exit_code == 0, told.output
    names = ["both_seg.dcm", "hand_seg.dcm", "plain_picture.dcm", "plain_seg.dcm"]
    assert sorted(path.name for path in out.iterdir()) == names
    [(side, found)] = regions(out / "hand_seg.dcm", load_schema())
    assert side == "L"
    assert all(np.array_equal(region.mask, found[name].mask) for name, region in bones())
    assert len(regions(out / "both_seg.dcm", load_schema())) == 2
    picture, seg = (pydicom.dcmread(out / f"plain_{kind}.dcm") for kind in ("picture", "seg"))
    assert (
        seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence[0].ReferencedSOPInstanceUID == picture.SOPInstanceUID
    )
    assert seg.StudyInstanceUID == picture.StudyInstanceUID


def test_a_report_comes_with_its_segmentation(clinic: Path) -> None:
    told = run("dicom-sr", clinic / "results", "--images", clinic / "films" / "hand.dcm", "-o", clinic / "out")
    assert told.exit_code == 0, told.output
    report = pydicom.dcmread(clinic / "out" / "hand_sr.dcm")
    seg = pydicom.dcmread(clinic / "out" / "hand_seg.dcm")
    assert seg.SOPInstanceUID in str(report)
    assert "UCUM" in str(report)


def test_a_report_takes_the_spacing_that_is_given(clinic: Path) -> None:
    words = ("dicom-sr", clinic / "results", "--images", clinic / "films" / "plain.png")
    assert run(*words, "-o", clinic / "px").exit_code == 0
    assert run(*words, "-o", clinic / "mm", "--spacing", ".2").exit_code == 0
    px, mm = (str(pydicom.dcmread(clinic / folder / "plain_sr.dcm")) for folder in ("px", "mm"))
    assert "millimeter" not in px
    assert "millimeter" in mm
    assert run("dicom-seg", *words[1:], "-o", clinic / "seg", "--spacing", ".2").exit_code == 2
    assert run(*words, "-o", clinic / "none", "--spacing", "0").exit_code == 2


def test_captures_and_files_of_nobody(clinic: Path) -> None:
    told = run("dicom-sc", clinic / "results", "--images", clinic / "films", "-o", clinic / "out", "--anonymise")
    assert told.exit_code == 0, told.output
    files = sorted((clinic / "out").iterdir())
    assert {path.name[:14] for path in files} == {"anonymous_0001", "anonymous_0002", "anonymous_0003"}
    assert len(files) == 6
    for path in files:
        raw = path.read_bytes()
        assert b"Hong" not in raw
        assert b"K-1" not in raw


def test_an_old_file_without_meta_information_is_made_anonymous(clinic: Path) -> None:
    old = clinic / "films" / "hand.dcm"
    plain = pydicom.Dataset()
    plain.update(pydicom.dcmread(old))
    pydicom.dcmwrite(old, plain, implicit_vr=True, little_endian=True)
    assert old.read_bytes()[128:132] != b"DICM"
    told = run("dicom-seg", clinic / "results", "--images", old, "-o", clinic / "out", "--anonymise")
    assert told.exit_code == 0, told.output
    assert np.array_equal(pydicom.dcmread(clinic / "out" / "anonymous_0001_picture.dcm").pixel_array, film())


def test_results_whose_radiograph_is_not_there_or_is_there_twice_are_told(clinic: Path) -> None:
    again = clinic / "films" / "again"
    again.mkdir()
    (again / "hand.dcm").write_bytes((clinic / "films" / "hand.dcm").read_bytes())
    (clinic / "films" / "plain.png").unlink()
    told = run("dicom-seg", clinic / "results", "--images", clinic / "films", "-o", clinic / "out")
    assert told.exit_code == 0, told.output
    assert "hand, plain: left out" in told.output
    assert [path.name for path in (clinic / "out").iterdir()] == ["both_seg.dcm"]
    # Whoever names one picture means that one.
    told = run("dicom-seg", clinic / "results", "--images", again / "hand.dcm", "-o", clinic / "one")
    assert "left out" not in told.output


def test_what_cannot_be_used_is_told(clinic: Path) -> None:
    told = run("dicom-seg", clinic / "results", "-o", clinic / "out")
    assert told.exit_code == 2
    assert "--images FOLDER" in told.output
    radiograph(clinic / "films" / "hand.dcm", SOPInstanceUID=None)
    told = run("dicom-seg", clinic / "results", "--images", clinic / "films", "-o", clinic / "out")
    assert told.exit_code == 1
    assert "hand.dcm" in told.output
    assert "no SOPInstanceUID" in told.output
    assert (clinic / "out" / "plain_seg.dcm").is_file()
    told = run("dicom-seg", clinic / "results", "--images", clinic / "films", "-o", clinic / "films")
    assert told.exit_code == 2
    assert "one of the inputs" in told.output
    (clinic / "file").write_text("x")
    told = run("dicom-seg", clinic / "results", "--images", clinic / "films", "-o", clinic / "file" / "x")
    assert told.exit_code == 2
    assert "cannot be written" in told.output


def test_an_archive_that_is_down_loses_nothing(clinic: Path) -> None:
    to = f"127.0.0.1:{free_port()}"
    told = run("dicom-seg", clinic / "results", "--images", clinic / "films", "-o", clinic / "out", "--send", to)
    assert told.exit_code == 2
    assert "send them again" in told.output
    assert (clinic / "out" / "hand_seg.dcm").is_file()
    assert run("send", clinic / "results", "--to", to).exit_code == 2
    assert run("send", clinic / "out", "--to", "nonsense").exit_code == 2
