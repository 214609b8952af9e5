"""Planted faults are found and named; correct hands give no finding."""

import os
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from helpers_dataset import SCHEMA, competition_json, draw, save_image, save_json, schematic_hand, write_ram_w600
from helpers_known import known
from ossa.dataset.audit import CaseFindings, area_outliers, audit, audit_case
from ossa.dataset.dataset import open_dataset
from ossa.phantom.scene import PhantomOptions, generate
from ossa.segmentation.outlines import Outline, map_outlines, outlines_from_segmentation

SIZE = 384
OPTIONS = PhantomOptions(wrist_only=0, oblique_views=0, clutter=0.0, turned=0.3, fill=(0.6, 0.8))
FINGERS = [f"finger-{n}" for n in range(1, 20)]
CARPALS = ["Trapezium", "Trapezoid", "Capitate", "Hamate", "Scaphoid", "Lunate", "Triquetrum", "Pisiform"]


@pytest.fixture(scope="module")
def hands():
    """Five synthetic hands (picture, outlines), straight and bent, whole in the picture with some of the forearm."""
    made = []
    for seed in range(31_000_000, 31_000_040):
        radiograph, truth = generate(seed, SIZE, OPTIONS)
        cut = [
            n
            for n, r in truth
            if n not in ("Radius", "Ulna")
            and (r.top == 0 or r.left == 0 or r.bottom == truth.shape[0] or r.right == truth.shape[1])
        ]
        if len(truth) == 29 and not cut and all(known(truth.get(n)).area > 1500 for n in ("Radius", "Ulna")):
            made.append((radiograph.pixels, outlines_from_segmentation(truth)))
        if len(made) == 5:
            return made
    raise AssertionError("no five whole hands among forty phantoms")


def case_of(folder: Path, pixels, outlines, name="image1.png"):
    save_image(folder / "train/DCM/ID001" / name, pixels)
    save_json(folder / f"train/outputs_json/ID001/{Path(name).stem}.json", competition_json(outlines, name))
    return open_dataset(folder).case(name)


def kinds(report):
    return {f.kind for f in report.findings}


def renamed(outlines, order):
    return {order.get(name, name): parts for name, parts in outlines.items()}


def swapped(*pairs):
    return {a: b for p in pairs for a, b in (p, p[::-1])}


def test_correct_hands_give_no_finding(tmp_path, hands):
    for k, (pixels, outlines) in enumerate(hands):
        report = audit_case(case_of(tmp_path / str(k), pixels, outlines), SCHEMA)
        assert report.findings == (), k
        assert report.side in ("L", "R")
        assert len(report.areas) == 27


def test_perfect_phantoms_of_every_kind_raise_hardly_an_alarm(tmp_path):
    """Wrists alone, oblique views, collimated fields, markers: 8 of 300 alarm, a third of a kind more would be seen."""
    alarms: list[Any] = []
    for seed in range(40):
        radiograph, truth = generate(33_000_000 + seed, SIZE, PhantomOptions())
        outlines = outlines_from_segmentation(truth)
        alarms += audit_case(case_of(tmp_path / str(seed), radiograph.pixels, outlines), SCHEMA).findings[:1]
    assert len(alarms) <= 2, alarms


ORDERS = {
    "all labels": swapped(*zip(SCHEMA.names[:14], SCHEMA.names[:14:-1], strict=True)),
    "finger labels seem to be in reverse": swapped(*zip(FINGERS[:9], FINGERS[:9:-1], strict=True)),
    "counted from the wrist": swapped(
        ("finger-1", "finger-3"), *((f"finger-{d}", f"finger-{d + 3}") for d in (4, 8, 12, 16)),
        *((f"finger-{d + 1}", f"finger-{d + 2}") for d in (4, 8, 12, 16)),
    ),
    "two carpal rows": swapped(*zip(CARPALS[:4], CARPALS[4:], strict=True)),
    "carpal labels seem to be in reverse": swapped(*zip(CARPALS[:4], CARPALS[:3:-1], strict=True)),
    "Radius and Ulna": swapped(("Radius", "Ulna")),
}  # fmt: skip


@pytest.mark.parametrize("words", ORDERS)
def test_labels_in_a_wrong_order_are_recognised(tmp_path, hands, words):
    for k, (pixels, outlines) in enumerate(hands[:3]):
        report = audit_case(case_of(tmp_path / str(k), pixels, renamed(outlines, ORDERS[words])), SCHEMA)
        assert "reversed" in kinds(report), (k, report.findings)
        assert any(words in f.message for f in report.findings), (k, report.findings)


def test_two_exchanged_carpals_are_named_with_their_places(tmp_path, hands):
    for k, (pixels, outlines) in enumerate(hands[:3]):
        wrong = renamed(outlines, swapped(("Hamate", "Trapezium")))
        (finding,) = audit_case(case_of(tmp_path / str(k), pixels, wrong), SCHEMA).findings
        assert finding.kind == "misplaced"
        assert "Hamate lies where" in finding.message
        assert set(finding.bones) == {"Hamate", "Trapezium"}


def test_a_wrong_proximal_row_is_found(tmp_path, hands):
    order = {"Scaphoid": "Lunate", "Lunate": "Triquetrum", "Triquetrum": "Scaphoid"}
    for k, (pixels, outlines) in enumerate(hands[:3]):
        report = audit_case(case_of(tmp_path / str(k), pixels, renamed(outlines, order)), SCHEMA)
        bones = {bone for f in report.findings for bone in f.bones}
        assert {"Scaphoid", "Lunate"} <= bones, report.findings


def test_a_pisiform_on_the_ulna_is_found(tmp_path, hands):
    for k, (pixels, outlines) in enumerate(hands):
        ulna = outlines["Ulna"][0].exterior
        hand = outlines["finger-11"][0].exterior.mean(axis=0)
        head = ulna[np.argsort(np.hypot(*(ulna - hand).T))[: len(ulna) // 3]].mean(axis=0)
        (part,) = outlines["Pisiform"][:1]
        moved = Outline(part.exterior - part.exterior.mean(axis=0) + head * 0.9 + ulna.mean(axis=0) * 0.1)
        report = audit_case(case_of(tmp_path / str(k), pixels, {**outlines, "Pisiform": (moved,)}), SCHEMA)
        assert any("pisiform lies on the ulna" in f.message for f in report.findings), (k, report.findings)


def test_a_ring_outlined_as_bone_is_found_by_its_area_and_its_metal(tmp_path, hands):
    for k, (pixels, outlines) in enumerate(hands[:3]):
        ring = outlines["finger-14"][0].exterior
        middle = ring.mean(axis=0)
        band = Outline((ring - middle) * 0.22 + middle)
        picture = np.minimum(pixels, 200).astype(np.uint8)
        cv2.fillPoly(picture, [np.rint(band.exterior).astype(np.int32)], 255)
        report = audit_case(case_of(tmp_path / str(k), picture, {**outlines, "finger-14": (band,)}), SCHEMA)
        assert {"area", "metal"} <= kinds(report), (k, report.findings)
        assert {f.bones for f in report.findings} == {("finger-14",)}


def test_missing_bones_are_found_but_not_those_outside_of_the_picture(tmp_path, hands):
    pixels, outlines = hands[0]
    less = {n: p for n, p in outlines.items() if n not in ("Lunate", "finger-10")}
    (finding,) = audit_case(case_of(tmp_path / "a", pixels, less), SCHEMA).findings
    assert (finding.kind, finding.bones) == ("missing", ("finger-10", "Lunate"))
    size = 256
    whole = schematic_hand(size, seed=1)
    low = map_outlines(whole, lambda ring: ring * 0.8 + (25, 60))
    low = {n: p for n, p in low.items() if n not in ("Radius", "Ulna")}
    down = np.array([0.0, 10 - min(p[0].exterior[:, 1].min() for p in low.values())])
    shifted = map_outlines(low, lambda ring: ring + down)
    bottom = max(p[0].exterior[:, 1].max() for p in shifted.values())
    picture = draw(shifted, size)[: int(bottom) + 4]
    report = audit_case(case_of(tmp_path / "b", picture, shifted), SCHEMA)
    assert "missing" not in kinds(report), report.findings
    (tmp_path / "c").mkdir()
    (empty,) = audit_case(case_of(tmp_path / "c", pixels, {}), SCHEMA).findings
    assert "no bone at all" in empty.message


def test_the_label_of_another_picture_is_found(tmp_path, hands):
    pixels, outlines = hands[0]
    turned = map_outlines(outlines, lambda ring: np.array([pixels.shape[1], pixels.shape[0]]) - 1 - ring)
    report = audit_case(case_of(tmp_path / "a", pixels, turned), SCHEMA)
    assert "mismatch" in kinds(report)
    half = map_outlines(outlines, lambda ring: ring * 0.5)
    assert "mismatch" in kinds(audit_case(case_of(tmp_path / "b", pixels, half), SCHEMA))
    large = map_outlines(outlines, lambda ring: ring * 3060 / 2048)
    report = audit_case(case_of(tmp_path / "c", pixels, large), SCHEMA)
    assert any("outside the picture" in f.message for f in report.findings)


def test_one_outline_under_two_names(tmp_path, hands):
    pixels, outlines = hands[1]
    report = audit_case(case_of(tmp_path, pixels, {**outlines, "finger-12": outlines["finger-16"]}), SCHEMA)
    assert any(f.kind == "twice" and set(f.bones) == {"finger-12", "finger-16"} for f in report.findings)


def test_the_wrong_side_in_the_name(tmp_path, hands):
    pixels, outlines = hands[2]
    good = audit_case(case_of(tmp_path / "a", pixels, outlines), SCHEMA).side
    wrong = "L" if good == "R" else "R"
    (finding,) = audit_case(case_of(tmp_path / "b", pixels, outlines, f"image_{wrong}.png"), SCHEMA).findings
    assert finding.kind == "side"
    assert audit_case(case_of(tmp_path / "c", pixels, outlines, f"image_{good}.png"), SCHEMA).findings == ()


def test_files_that_cannot_be_read_are_findings(tmp_path, hands):
    pixels, outlines = hands[0]
    case = case_of(tmp_path, pixels, outlines)
    case.label.write_text("{")
    assert "the label cannot be used" in audit_case(case, SCHEMA).findings[0].message
    case.image.write_bytes(b"x")
    (finding,) = audit_case(case, SCHEMA).findings
    assert finding.kind == "picture"


def test_whole_data_sets_areas_duplicates_and_stray_files(tmp_path):
    """Fourteen hands: one with a swollen bone, one copied, one stored anew, one label without a picture."""
    for k in range(14):
        outlines = schematic_hand(256, seed=k, side="RL"[k % 2])
        if k == 3:
            (part,) = outlines["finger-9"]
            middle = part.exterior.mean(axis=0)
            outlines = {**outlines, "finger-9": (Outline((part.exterior - middle) * 1.45 + middle),)}
        folder = f"ID{k:03d}"
        save_image(tmp_path / "train/DCM" / folder / f"image{k}.png", draw(outlines, 256, k))
        save_json(
            tmp_path / "train/outputs_json" / folder / f"image{k}.json", competition_json(outlines, f"image{k}.png")
        )
    images = tmp_path / "train/DCM"
    shutil.copy(images / "ID002/image2.png", images / "ID002/again.png")
    cv2.imwrite(
        str(images / "ID005/anew.png"),
        known(cv2.imread(str(images / "ID005/image5.png"), 0)),
        [cv2.IMWRITE_PNG_COMPRESSION, 0],
    )
    for source, copy in (("ID002/image2", "ID002/again"), ("ID005/image5", "ID005/anew")):
        shutil.copy(tmp_path / f"train/outputs_json/{source}.json", tmp_path / f"train/outputs_json/{copy}.json")
    save_json(tmp_path / "train/outputs_json/ID003/lost.json", {"annotations": []})
    seen = []

    def track(items, total, what):
        seen.append((total, what))
        yield from items

    found = audit(open_dataset(tmp_path), workers=2, track=track)
    assert seen == [(16, "auditing")]
    assert found.checked == 16
    told = {(f.case, f.kind) for f in found.findings if f.kind in ("area", "duplicate", "folder")}
    assert ("image3.png", "area") in told
    assert {("lost.json", "folder")} == {t for t in told if t[1] == "folder"}
    doubles = {c for c, kind in told if kind == "duplicate"}
    assert len(doubles) == 2
    assert doubles & {"again.png", "image2.png"}
    assert doubles & {"anew.png", "image5.png"}
    assert [c for c, kind in told if kind == "area"] == ["image3.png"]
    assert set(found.cases) == {f.case for f in found.findings}


def test_a_bent_finger_is_no_part_of_a_bone():
    """A third of a bone is told; as small a bone beside another one is a finger that points at the tube."""
    rng = np.random.default_rng(5)
    usual = [
        CaseFindings(f"{k}.png", (), {name: float(np.exp(rng.normal(0, 0.05))) for name in SCHEMA.names})
        for k in range(20)
    ]
    part = CaseFindings("part.png", (), {**dict.fromkeys(SCHEMA.names, 1.0), "finger-9": 0.35})
    bent = CaseFindings("bent.png", (), {**dict.fromkeys(SCHEMA.names, 1.0), "finger-9": 0.45, "finger-8": 0.4})
    # One bone larger, its neighbour smaller: two bones in one outline, and no pose.
    both = CaseFindings("both.png", (), {**dict.fromkeys(SCHEMA.names, 1.0), "finger-9": 2.4, "finger-10": 0.3})
    told = {(f.case, f.bones) for f in area_outliers([*usual, part, bent, both], SCHEMA)}
    assert told == {("part.png", ("finger-9",)), ("both.png", ("finger-9",)), ("both.png", ("finger-10",))}


def test_partial_labels_do_not_count_as_missing(tmp_path):
    case = open_dataset(write_ram_w600(tmp_path, size=192)).cases[0]
    assert "missing" not in kinds(audit_case(case, SCHEMA))


@pytest.mark.real
def test_real_traced_hands_give_no_finding():
    folder = Path(os.environ.get("OSSA_REAL", Path(__file__).parents[3] / "shared" / "real")) / "hands"
    if not folder.is_dir():
        pytest.skip("no real hands here")
    found = audit(open_dataset(folder), workers=1)
    assert found.findings == ()
    assert found.measured["dha_3229.png"][0] == found.measured["dha_7232.png"][0] == "L"
