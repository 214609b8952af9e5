"""From a radiograph to the network's grid and back: the one resampling for training, inference and ONNX.

``place`` decides where the picture lies on the grid, ``resample`` brings the grey values there,
``normalise`` scales them, ``prepare`` does all three; a ``Placement`` takes points back exactly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ossa.errors import ConfigError
from ossa.radiograph.percentiles import percentiles
from ossa.radiograph.radiograph import Aspect, Radiograph, Spacing

#: Ratios of row to column spacing outside 1/10..10 are taken for wrong headers, not for geometry.
_MAX_ASPECT = 10.0


@dataclass(frozen=True, slots=True)
class Preparation:
    """The longest side becomes ``size`` grid pixels; the grid is padded to a ``multiple`` at bottom and right.

    >>> ossa.Preparation(size=512, multiple=32).to_json()
    {'size': 512, 'multiple': 32}
    """

    size: int = 512
    multiple: int = 32

    def __post_init__(self) -> None:
        for name, value in (("size", self.size), ("multiple", self.multiple)):
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 1 << 16:
                what = f"preparation: '{name}' is out of range"
                raise ConfigError(what, found=value, expected="a whole number of 1..65536")

    def to_json(self) -> dict[str, Any]:
        """As plain values for a model's card."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Preparation:
        """Back from ``to_json``; unknown or wrong entries raise ConfigError."""
        unknown = sorted(set(values) - {"size", "multiple"})
        if unknown:
            raise ConfigError("preparation: unknown entries", found=", ".join(unknown), expected="size, multiple")
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a picture of ``image_shape`` (H, W) lies on a grid of ``grid_shape``.

    It fills ``content_shape`` from the grid's top left corner; ``scale_y`` and ``scale_x`` are grid
    pixels per picture pixel. Whole numbers are pixel centres: x_grid = (x_image + .5) * scale - .5.

    >>> radiograph = ossa.Radiograph(np.zeros((400, 200), np.uint8))
    >>> _, placement = ossa.prepare(radiograph, ossa.Preparation(size=100))
    >>> placement.to_grid(np.array([199.5, 399.5])).tolist()  # the picture's lower right corner
    [49.5, 99.5]
    """

    image_shape: tuple[int, int]
    grid_shape: tuple[int, int]
    content_shape: tuple[int, int]
    scale_y: float
    scale_x: float

    def to_grid(self, points: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Picture points (..., 2) as (x, y) to grid points."""
        return (np.asarray(points, np.float64) + 0.5) * (self.scale_x, self.scale_y) - 0.5

    def to_image(self, points: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Grid points (..., 2) as (x, y) to picture points; the exact way back of ``to_grid``."""
        return (np.asarray(points, np.float64) + 0.5) / (self.scale_x, self.scale_y) - 0.5


def place(image_shape: tuple[int, int], preparation: Preparation, spacing: Spacing | Aspect | None = None) -> Placement:
    """Where a picture of ``image_shape`` (H, W) lies on the grid.

    Pixels that are not square (``spacing``) are made square first: a millimetre is as long down as
    across. Sides are rounded to whole grid pixels, at least 1, so the two scales differ by less
    than one grid pixel over the picture.
    """
    height, width = image_shape
    tall, wide = float(height), float(width)
    if spacing is not None and spacing.row > 0 and spacing.column > 0:
        aspect = spacing.row / spacing.column
        if 1 / _MAX_ASPECT <= aspect <= _MAX_ASPECT:
            tall *= aspect
    scale = preparation.size / max(tall, wide)
    content = (max(1, round(tall * scale)), max(1, round(wide * scale)))
    step = preparation.multiple
    grid = (-(-content[0] // step) * step, -(-content[1] // step) * step)
    return Placement((height, width), grid, content, content[0] / height, content[1] / width)


def height_of_a_pixel(radiograph: Radiograph) -> float:
    """In widths of a pixel, as ``place`` takes it: 1 where the spacing is not known or not to be believed."""
    unit = place((1000, 1000), Preparation(1000, 1), radiograph.sides)
    return unit.scale_y / unit.scale_x


def resample(pixels: NDArray[Any], placement: Placement) -> NDArray[Any]:
    """Grey (H, W) of ``image_shape`` to ``content_shape``, same dtype: area averages where it shrinks."""
    import cv2

    height, width = placement.content_shape
    out = pixels
    # Each axis by itself when one shrinks and the other grows: INTER_AREA averages only when both shrink.
    shrunk = (min(height, pixels.shape[0]), min(width, pixels.shape[1]))
    if out.shape != shrunk:
        out = cv2.resize(out, shrunk[::-1], interpolation=cv2.INTER_AREA)
    if out.shape != (height, width):
        out = cv2.resize(out, (width, height), interpolation=cv2.INTER_LINEAR)
    return out


def normalise(grey: NDArray[Any]) -> NDArray[np.float32]:
    """Grey (h, w) of any dtype to float32: clipped to its .5 and 99.5 percentiles, mean 0, SD 1.

    A picture of one value becomes all 0.
    """
    low, high = percentiles(np.asarray(grey), 0.5, 99.5)
    # In float64 throughout: of a nearly constant picture float32 leaves more error than signal.
    out = np.asarray(grey).astype(np.float64)
    np.clip(out, low, high, out=out)
    out -= out.mean()
    out /= np.sqrt(np.dot(out.ravel(), out.ravel()) / out.size) + 1e-6
    return out.astype(np.float32)


def pad(content: NDArray[np.float32], placement: Placement) -> NDArray[np.float32]:
    """Content (h, w) onto the grid, 0 at bottom and right."""
    out = np.zeros(placement.grid_shape, np.float32)
    out[: content.shape[0], : content.shape[1]] = content
    return out


def prepare(radiograph: Radiograph, preparation: Preparation) -> tuple[NDArray[np.float32], Placement]:
    """The network's input (1, h, w) float32 and the way back to the picture.

    >>> radiograph = ossa.Radiograph(np.zeros((400, 200), np.uint8))
    >>> grid, placement = ossa.prepare(radiograph, ossa.Preparation(size=100, multiple=32))
    >>> grid.shape, placement.content_shape  # the rest of the grid is padding
    ((1, 128, 64), (100, 50))
    """
    placement = place(radiograph.shape, preparation, radiograph.sides)
    return pad(normalise(resample(radiograph.pixels, placement)), placement)[None], placement
