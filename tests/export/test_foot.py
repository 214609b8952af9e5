"""A foot goes out as a foot: body part, regions, names; no code that says hand."""

from __future__ import annotations

import numpy as np

from ossa.export.dicom.codes import part_of_body, region_code, type_code
from ossa.hand.bones import called, rays
from ossa.hand.geometry import geometry
from ossa.hand.sides import side_notes, side_of, votes
from ossa.measurement.measure import measure_hand
from ossa.pages.report.words import Words
from ossa.schema import load_schema
from ossa.segmentation.segmentation import Region, Segmentation

FOOT, HAND = load_schema("foot28"), load_schema()


def right_foot() -> Segmentation:
    """Boxes where a right foot seen from above has its bones, the toes up."""
    regions = {}
    for digit in range(1, 6):
        x = 20 + 30 * (digit - 1)
        names = [FOOT.names[i] for i in rays(FOOT)[digit - 1]]
        for k, name in enumerate(names):
            regions[name] = Region(240 - 50 * k, x, np.ones((44, 16), bool))
    regions["talus"] = Region(320, 60, np.ones((50, 40), bool))
    regions["tibia"] = Region(350, 64, np.ones((50, 30), bool))
    return Segmentation(FOOT, (400, 200), regions)


def test_a_digit_of_a_foot_begins_with_its_metatarsal() -> None:
    assert [FOOT.names[i] for i in rays(FOOT)[0]] == ["metatarsal-1", "toe-1-proximal", "toe-1-distal"]
    assert [len(ray) for ray in rays(FOOT)] == [3, 4, 4, 4, 4] == [len(ray) for ray in rays(HAND)]
    assert (called(FOOT), called(HAND)) == ("foot", "hand")


def test_the_side_of_a_foot_is_told_by_its_metatarsals() -> None:
    measured = geometry(right_foot())
    assert votes(measured).tolist() == [1, 1, 1, 1]
    assert side_of(measured) == "R"
    (note,) = side_notes(right_foot(), "L")
    assert "marked as a left foot" in note
    assert "sole" in note


def test_a_foot_is_measured_bone_by_bone_and_by_nothing_that_is_a_hands() -> None:
    found = measure_hand(right_foot())
    measured = {(one.name, one.bone) for one in found if one.value is not None}
    assert {("length", "metatarsal-2"), ("width", "talus"), ("joint_space", "toe-3-proximal")} <= measured
    assert found.get("length", "tibia") is None  # a film shows its end alone
    assert found.get("length_z", "toe-2-middle") is None
    assert not [one for one in found if one.bone is None]


def test_toes_are_not_called_fingers() -> None:
    for language in ("en", "ko"):
        words = Words(language, FOOT)
        assert words.bone("toe-2-middle") == "Second toe middle phalanx"
        assert words.bone("metatarsal-1") == "First metatarsal"
    assert Words("en", HAND).bone("finger-5") == "Middle phalanx of the index finger"


def test_dicom_is_told_of_a_foot() -> None:
    assert (part_of_body(FOOT), part_of_body(HAND)) == ("FOOT", "HAND")
    regions = {name: region_code(FOOT, FOOT.bone(name)).meaning for name in ("toe-1-distal", "talus", "tibia")}
    assert regions == {"toe-1-distal": "Foot", "talus": "Foot", "tibia": "Lower leg"}
    assert region_code(HAND, HAND.bone("Lunate")).meaning == "Wrist region"
    assert region_code(HAND, HAND.bone("finger-5")).meaning == "Hand"
    assert type_code(FOOT, FOOT.bone("talus"), "R").value == "67453005"
    # Without a published code a bone is a bone; its FMA identifier says which.
    coded = type_code(FOOT, FOOT.bone("cuboid"), "R")
    assert coded.meaning == "Bone"
    assert coded.EquivalentCodeSequence[0].CodeValue == "24528"
