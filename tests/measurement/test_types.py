"""What a measurement says of itself."""

import pytest

from ossa.errors import ConfigError
from ossa.measurement.definitions import DEFINITIONS, definition
from ossa.measurement.single import OF_A_BONE
from ossa.measurement.types import UCUM, HandMeasurements, Measurement
from ossa.measurement.whole import OF_A_HAND
from ossa.schema import load_schema


def test_a_number_is_told_as_far_as_it_is_known() -> None:
    assert Measurement("length", "finger-11", 62.412, 0.38, "mm").text == "62.4 +- 0.4 mm"
    assert Measurement("length", "finger-11", 62.412, 0.03, "mm").text == "62.41 +- 0.03 mm"
    assert Measurement("length", "finger-11", 511.6, 3.2, "px").text == "512 +- 3 px"
    assert Measurement("digit_ratio", None, 0.9213, 0.0082, "ratio").text == "0.921 +- 0.008"
    assert Measurement("carpal_angle", None, 131.46, 2.31, "degrees").text == "131.5 +- 2.3°"
    assert Measurement("area", "Lunate", 142.2, None, "mm2").text == "142 mm²"
    told = str(Measurement("ulnar_variance", unit="mm", reason="Ulna: not found"))
    assert told == "Ulnar variance: not measured (Ulna: not found)"


def test_every_measurement_is_defined_with_its_source() -> None:
    measured = {*OF_A_BONE, *OF_A_HAND}
    assert measured <= set(DEFINITIONS)
    for name, one in DEFINITIONS.items():
        assert one.name == name
        assert one.source
        assert one.text.endswith(".")
    with pytest.raises(ConfigError, match="no measurement is called so"):
        definition("lenght")


def test_measurements_are_found_by_name_and_bone() -> None:
    numbers = (Measurement("area", "Lunate", 9.0), Measurement("carpal_angle", None, 130.0, 2.0, "degrees"))
    hand = HandMeasurements("a", load_schema(), numbers)
    assert hand.get("area", "Lunate") is numbers[0]
    assert hand.get("area") is None
    assert hand.of_bone("Lunate") == numbers[:1]
    assert hand.of_hand() == numbers[1:]
    assert len(hand) == 2
    assert "2 of 2 numbers in px" in repr(hand)
    assert {one.ucum for one in hand} <= set(UCUM.values())


def test_a_definition_says_what_it_is_of() -> None:
    assert {name for name, one in DEFINITIONS.items() if one.of == "hand"} == set(OF_A_HAND)
