"""A radiograph is a grey array: anything else is refused with what was found."""

from __future__ import annotations

import numpy as np
import pytest

from ossa.errors import ImageError
from ossa.radiograph.radiograph import Provenance, Radiograph


@pytest.mark.parametrize(
    ("pixels", "found"),
    [
        (np.zeros((4, 5, 3), np.uint8), r"uint8 of shape \(4, 5, 3\)"),
        (np.zeros(9, np.uint8), r"uint8 of shape \(9,\)"),
        (np.zeros((0, 5), np.uint8), r"uint8 of shape \(0, 5\)"),
        (np.zeros((4, 5)), r"float64 of shape \(4, 5\)"),
        (np.zeros((4, 5), np.int16), "int16"),
        (np.zeros((4, 5), bool), "bool"),
        ([[1, 2]], "found list"),
        ("hand.png", "found str"),
        (None, "found NoneType"),
    ],
)
def test_what_is_no_grey_array_is_refused(pixels: object, found: str) -> None:
    with pytest.raises(ImageError, match=found):
        Radiograph(pixels)  # type: ignore[arg-type]


def test_the_file_is_named() -> None:
    with pytest.raises(ImageError, match=r"^hand\.png: these pixels are no radiograph"):
        Radiograph(np.zeros((4, 5)), provenance=Provenance("hand.png"))  # type: ignore[arg-type]


def test_a_grey_array_is_taken() -> None:
    for grey in (np.ones((4, 5), np.uint8), np.ones((4, 5), np.uint16)):
        assert Radiograph(grey).shape == (4, 5)
