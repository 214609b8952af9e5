"""``ossa report``: pages per picture and per patient; identity only where asked; what cannot be used is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from helpers_clinic import bones, clinic_of, film, radiograph
from ossa.cli import cli
from ossa.radiograph.dicom.patient import patient_of


def run(*words: Any) -> Result:
    return CliRunner().invoke(cli, ["report", *map(str, words)])


@pytest.fixture
def clinic(tmp_path: Path) -> Path:
    """Two films of one patient, one of another, a PNG, and results of all."""
    films: dict[str, Any] = {"a.dcm": {}, "b.dcm": {"ImageLaterality": "R"}, "c.dcm": {"PatientID": "K-2"}}
    films["plain.png"] = {}
    return clinic_of(tmp_path, films, {Path(name).stem: bones() for name in films})


def pages(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_films_of_one_patient_share_a_page(clinic: Path) -> None:
    out = clinic / "out"
    done = run(clinic / "results", "--images", clinic / "films", "-o", out)
    assert done.exit_code == 0, done.output
    assert pages(out) == ["c.html", "patient_1.html", "plain.html"]
    both = (out / "patient_1.html").read_text()
    assert both.count("data-hand=") == 2 + both.count('[data-hand="')
    for secret in ("K-1", "홍", "1980", "20260102"):
        assert secret not in both
    assert "not told by these results" in both


def test_identity_where_it_is_asked_for(clinic: Path) -> None:
    out = clinic / "out"
    words = ("--images", clinic / "films", "-o", out, "--identity", "--language", "ko")
    assert run(clinic / "results", *words).exit_code == 0
    both = (out / "patient_1.html").read_text()
    assert "K-1" in both
    assert "1980-02-29" in both
    assert "등록번호" in both


def test_together_is_one_page_and_never_of_two_names(clinic: Path) -> None:
    out, words = clinic / "out", (clinic / "results", "--images", clinic / "films", "--together")
    assert run(*words, "-o", out).exit_code == 0
    assert pages(out) == ["hands.html"]
    refused = run(*words, "--identity", "-o", clinic / "other")
    assert refused.exit_code == 2
    assert "one patient" in refused.output


def test_a_result_without_its_picture_is_told(clinic: Path) -> None:
    (clinic / "films" / "c.dcm").unlink()
    done = run(clinic / "results", "--images", clinic / "films", "-o", clinic / "out")
    assert done.exit_code == 1
    assert "--images" in done.output
    assert pages(clinic / "out") == ["patient_1.html", "plain.html"]
    alone = run(clinic / "results", "-o", clinic / "none")
    assert alone.exit_code == 2


def test_an_output_that_cannot_be_written(clinic: Path) -> None:
    (clinic / "out").write_text("a file")
    refused = run(clinic / "results", "--images", clinic / "films", "-o", clinic / "out")
    assert refused.exit_code == 2
    assert "out" in refused.output
    assert (clinic / "out").read_text() == "a file"


def test_settings_that_cannot_be() -> None:
    refused = run("x.png", "-o", "out", "--language", "de")
    assert refused.exit_code == 2
    assert "en, ko" in refused.output


def test_who_nobody_is(tmp_path: Path) -> None:
    for number in ("ANONYMOUS", "0", "", "unknown"):
        found = patient_of(radiograph(tmp_path / "x.dcm", PatientID=number))
        assert found is not None
        assert found.key is None
    first = patient_of(radiograph(tmp_path / "x.dcm"))
    second = patient_of(radiograph(tmp_path / "y.dcm", PatientBirthDate="19990101"))
    assert first is not None
    assert second is not None
    assert first.key not in (None, second.key)
    Image.fromarray(film()).save(tmp_path / "z.png")
    assert patient_of(tmp_path / "z.png") is None
