"""Grey for the eye, and pictures as files that a decoder reads back."""

from __future__ import annotations

from io import BytesIO

import cv2
import numpy as np
import pytest
from PIL import Image

from ossa.errors import OutputError
from ossa.radiograph.display import for_the_eye, jpeg, png


def test_grey_values_in_use_fill_the_range() -> None:
    grey = np.linspace(1000, 3000, 64 * 64).reshape(64, 64).astype(np.uint16)
    shown = for_the_eye(grey)
    assert shown.dtype == np.uint8
    assert (shown.min(), shown.max()) == (0, 255)
    assert not for_the_eye(np.full((8, 8), 7, np.uint8)).any()


@pytest.mark.parametrize("shape", [(9, 7), (9, 7, 3), (9, 7, 4), (1, 1), (1, 1, 3), (3, 1, 3), (1, 300)])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_png_comes_back(shape: tuple[int, ...], kind: type[np.unsignedinteger]) -> None:
    whole = np.random.default_rng(1).integers(0, np.iinfo(kind).max, (shape[0], 2 * shape[1], *shape[2:])).astype(kind)
    picture = whole[:, ::2]  # not in one piece
    with Image.open(BytesIO(png(picture))) as strict:
        strict.verify()
    back = cv2.imdecode(np.frombuffer(png(picture), np.uint8), cv2.IMREAD_UNCHANGED)
    assert back is not None
    assert (back == (picture if picture.ndim == 2 else picture[..., [2, 1, 0, 3][: shape[2]]])).all()


def test_jpeg_keeps_the_order_of_colours() -> None:
    colour = np.zeros((16, 16, 3), np.uint8)
    colour[..., 0] = 250  # red in RGB
    back = cv2.imdecode(np.frombuffer(jpeg(colour), np.uint8), cv2.IMREAD_COLOR)
    assert back is not None
    assert back[8, 8, 2] > 200 > 60 > back[8, 8, 0]


def test_an_empty_picture_is_told() -> None:
    with pytest.raises(OutputError, match="could not be encoded"):
        jpeg(np.zeros((0, 5), np.uint8))


@pytest.mark.parametrize(
    "picture", [np.zeros((0, 5), np.uint8), np.zeros((5, 5), np.float32), np.zeros((5, 5, 2), np.uint8)]
)
def test_what_is_no_picture_is_told(picture: np.ndarray) -> None:
    with pytest.raises(OutputError, match="could not be encoded"):
        png(picture)


def test_a_few_bright_pixels_are_still_seen() -> None:
    picture = np.zeros((300, 300), np.uint16)
    picture[7, 7] = 4000
    shown = for_the_eye(picture)
    assert (shown[7, 7], shown[0, 0]) == (255, 0)
