"""The report: anatomical names, grouped flags, hostile texts, both languages, one file; and as a PDF."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from helpers_hands import SHAPE, made_hand, mirrored
from ossa.errors import ConfigError, MissingExtraError, OutputError
from ossa.inference import hands, judge
from ossa.measurement.definitions import DEFINITIONS
from ossa.measurement.measure import measure_hand
from ossa.pages.report import pdf, words
from ossa.pages.report.content import Report, ReportHand
from ossa.pages.report.document import report_page
from ossa.pages.report.flags import flags_of
from ossa.pages.report.tables import typographic
from ossa.pages.report.words import LANGUAGES, Words
from ossa.radiograph.dicom.patient import Patient
from ossa.radiograph.radiograph import Radiograph, Spacing
from ossa.schema import load_schema
from ossa.segmentation.origin import Model, Origin
from ossa.segmentation.segmentation import Segmentation

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&"
SCHEMA = load_schema()
USER = Spacing(0.2, 0.2, "user")
ORIGIN = Origin("1.0", (Model("model", "Apache-2.0", {"model.onnx": "ab" * 32}),), {"views": 2, "judged": True})


def hand(
    found: Segmentation | None = None,
    spacing: Spacing | None = USER,
    file: str = "hand.png",
    notes: tuple[str, ...] = (),
) -> ReportHand:
    bones = replace(made_hand() if found is None else found, notes=notes, origin=ORIGIN)
    radiograph = Radiograph(np.full(SHAPE, 90, np.uint8), spacing)
    return ReportHand(file, radiograph, bones, measure_hand(bones, radiograph, name=file))


@pytest.fixture(scope="module")
def right() -> ReportHand:
    return hand()


@pytest.fixture(scope="module")
def left() -> ReportHand:
    return hand(mirrored(made_hand()), file="left.png")


def page_of(*those: ReportHand, language: str = "en", patient: Patient | None = None) -> str:
    return report_page(Report(those, "1.0", "2026-01-31", patient), language)


def told(page: str) -> str:
    """What a reader sees."""
    body = page[page.index("<body>") :]
    return re.sub(r"<[^>]+>", " ", re.sub(r"<script>.*?</script>", "", body, flags=re.DOTALL))


@pytest.mark.parametrize("language", LANGUAGES)
def test_one_file_with_a_layer_per_bone_and_no_labels_of_files(right: ReportHand, language: str) -> None:
    page = page_of(right, language=language)
    assert f'<html lang="{language}">' in page
    assert len(re.findall("<g data-bone=", page)) == len(re.findall("data-toggle=", page)) == len(SCHEMA)
    assert not re.search(r'(?:src|href)="(?!data:)', page)
    assert "finger-" not in page
    assert len(page) < 3e6
    assert "SHA-256" in page
    assert "abab" in page


def test_names_are_those_of_anatomy() -> None:
    english, korean = Words("en", SCHEMA), Words("ko", SCHEMA)
    assert english.bone("finger-1") == "Distal phalanx of the thumb"
    assert english.bone("finger-11") == "Third metacarpal"
    assert korean.bone("finger-12") == "반지손가락 끝마디뼈"
    assert korean.bone("Scaphoid") == "손배뼈(주상골)"
    for one in Words("en", SCHEMA), korean:
        assert len({one.bone(bone) for bone in SCHEMA.bones}) == len(SCHEMA)


def test_every_string_is_there_in_every_language() -> None:
    table = words._table()
    for name in ("text", "row", "digit", "phalanx", "metacarpal", "group", "own"):
        for key, entry in table[name].items():
            assert set(entry) == set(LANGUAGES), (name, key)
    for entry in (*table["reason"], *table["doubt"], *table["note"]):
        re.compile(entry["said"])
        assert "ko" in entry or "why" in entry["said"], entry
    assert set(table["measurement"]) == set(DEFINITIONS)
    assert {bone.name for bone in SCHEMA.bones if bone.digit is None} == set(table["bone"])


def test_what_the_judge_and_the_finder_say_is_known() -> None:
    korean = Words("ko", SCHEMA)
    left_out = judge.LEFT_OUT + "Lunate, finger-3"
    unripe = judge.NOT_THERE + "Lunate, Scaphoid"
    others = "3 hands found on this film: this is one of them"
    for note in (judge.NO_HAND, hands.NOT_TOLD, hands.LATERAL, left_out, unripe, others, f"12 {judge.MANY_DOUBTFUL}"):
        assert not korean.note(note).foreign, note
    for reason in judge._REASONS.values():
        assert korean.note(f"Lunate is doubtful ({reason})").why != reason


def test_flags_are_grouped_and_say_names() -> None:
    notes = (
        "Lunate is doubtful (its border is blurred)",
        "finger-1 is doubtful (its border is blurred)",
        "Pisiform is doubtful (in several parts)",
        "not found though they should be in view: finger-3, Capitate",
        "something new about finger-2",
    )
    one = hand(notes=notes)
    flags = {flag.group: flag for flag in flags_of(one, "1.0", Words("en", SCHEMA))}
    assert flags["doubtful"].sentences == (
        "Lunate, distal phalanx of the thumb (its border is blurred); pisiform (in several parts)",
    )
    assert flags["missing"].sentences == ("should be in view: First metacarpal, capitate",)
    assert flags["file"].sentences == ("something new about Proximal phalanx of the thumb",)
    korean = {flag.group: flag for flag in flags_of(one, "1.0", Words("ko", SCHEMA))}
    assert korean["file"].foreign == ("something new about 엄지손가락 첫마디뼈",)
    assert "경계가 흐림" in korean["doubtful"].sentences[0]


def test_millimetres_are_said_to_be_missing_or_too_long() -> None:
    english = Words("en", SCHEMA)
    without = hand(spacing=None)
    assert any(flag.group == "scale" for flag in flags_of(without, "1.0", english))
    assert " mm" not in told(page_of(without))
    detector = hand(spacing=Spacing(0.2, 0.2, "ImagerPixelSpacing"))
    [flag] = [flag for flag in flags_of(detector, "1.0", english) if flag.group == "scale"]
    assert "too long" in flag.sentences[0]


def test_results_of_another_version_are_told(right: ReportHand) -> None:
    older = replace(right.segmentation, origin=replace(ORIGIN, version="0.9"))
    flags = flags_of(replace(right, segmentation=older), "1.0", Words("en", SCHEMA))
    assert [flag.group for flag in flags][-1] == "model"


def test_both_hands_stand_side_by_side(left: ReportHand, right: ReportHand) -> None:
    page = page_of(left, right)
    assert page.count('<svg xmlns="http://www.w3.org/2000/svg" class="film"') == 2
    assert "Left less right" in page
    assert "Left less right" not in page_of(right)


def test_hostile_texts_stay_texts(right: ReportHand) -> None:
    bad = hand(file=f"{HOSTILE}.png", notes=(HOSTILE, f"{{1}} {HOSTILE} is doubtful ({HOSTILE})"))
    origin = Origin(HOSTILE, (Model(HOSTILE, HOSTILE, {HOSTILE: HOSTILE}),), {HOSTILE: HOSTILE, "device": HOSTILE})
    bad = replace(bad, segmentation=replace(bad.segmentation, origin=origin))
    patient = Patient(*[HOSTILE] * 6)
    for language in LANGUAGES:
        page = report_page(Report([bad], "1.0", HOSTILE, patient), language)
        assert page.count("<script") == 1
        assert not re.search(r"<[^>]*onerror", re.sub(r'"[^"]*"', "", page))
        assert "<img" not in page


def test_what_the_model_was_asked_is_said_in_the_readers_language(right: ReportHand) -> None:
    low = replace(ORIGIN, settings={**ORIGIN.settings, "thresholds": {"Radius": 0.3}, "unheard of": 1})
    told = replace(right, segmentation=replace(right.segmentation, origin=low))
    english, korean = (page_of(told, language=language) for language in ("en", "ko"))
    assert "result judged: yes; probability from which a pixel is bone: 0.3–0.5 (by bone)" in english
    assert "결과 검토: 예" in korean
    assert "result judged" not in korean
    assert "unheard of" not in english + korean


def test_results_that_do_not_tell_who_made_them_say_so(right: ReportHand) -> None:
    page = page_of(replace(right, segmentation=replace(right.segmentation, origin=None)))
    assert "not told by these results" in page
    assert "read from results that were there" in page


def test_the_patient_stands_there_only_where_asked(right: ReportHand) -> None:
    assert "K-1" not in page_of(right)
    page = page_of(right, patient=Patient("홍 길동", "K-1", "1980-02-29", "F", "2026-01-02"))
    assert "홍 길동" in page
    assert "female" in page


def test_no_hand_is_a_page_without_numbers() -> None:
    page = page_of(hand(Segmentation(SCHEMA, SHAPE, {}), notes=(judge.NO_HAND,)))
    assert "no hand found" in page
    assert "<table" not in page


def test_a_language_that_is_not_there(right: ReportHand) -> None:
    with pytest.raises(ConfigError, match="한국어"):
        page_of(right, language="xx")


def test_signs_are_printed() -> None:
    assert typographic("-0.6 +- 0.4 mm") == "−0.6\u00a0±\u00a00.4 mm"
    assert typographic("-0.0 +- 0.4 mm") == "0.0\u00a0±\u00a00.4 mm"
    assert typographic("-0.05") == "−0.05"


def test_a_pdf_is_made_of_the_page_and_fetches_nothing(right: ReportHand) -> None:
    pytest.importorskip("weasyprint")
    made = pdf.pdf_of('<p>a</p><img src="file:///etc/hostname"><img src="http://127.0.0.1:9/x.png">')
    assert made.startswith(b"%PDF-")


def test_letters_that_no_font_has_are_told() -> None:
    pytest.importorskip("weasyprint")
    with pytest.raises(OutputError, match="no font"):
        pdf.pdf_of("<p>\U000e0fff\U0003ffff</p>")


def test_a_pdf_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "weasyprint", None)
    with pytest.raises(MissingExtraError, match=r"ossa\[pdf\]"):
        pdf.require()


def test_a_number_that_is_missing_has_its_reason_on_paper_too(right: ReportHand) -> None:
    numbers = right.measurements
    without = [
        replace(one, value=None, uncertainty=None, reason="the outlines overlap: no space shows", strokes=())
        if (one.name, one.bone) == ("joint_space", "finger-10")
        else one
        for one in numbers
    ]
    page = page_of(replace(right, measurements=replace(numbers, measurements=tuple(without))))
    assert "– <sup>1</sup>" in page
    assert re.search(r"<sup>\d+</sup> the outlines overlap: no space shows", page)
