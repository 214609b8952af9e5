"""A grey radiograph in memory, with its pixel spacing, side and origin."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ossa.errors import ImageError

Side = Literal["L", "R"]
Grey = NDArray[np.uint8] | NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class Spacing:
    """Millimetres per pixel: ``row`` between rows (y), ``column`` between columns (x).

    ``source`` says where the numbers come from: "PixelSpacing" (calibrated to the patient),
    "ImagerPixelSpacing" (at the detector: lengths read a few percent too long), "user", "phantom".

    >>> ossa.Spacing(0.15, 0.15, "user").row  # mm from row to row
    0.15
    """

    row: float
    column: float
    source: str


@dataclass(frozen=True, slots=True)
class Aspect:
    """The sides of a pixel, of which only the ratio is known: ``row`` from row to row, ``column`` across."""

    row: float
    column: float


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a radiograph comes from and what was done to its pixels on the way in.

    ``format`` is "PNG", "JPEG", "TIFF", "BMP", "DICOM" or "array"; ``bits`` per pixel in memory (DICOM:
    stored); ``inverted``: the stored grey values were turned over (white-is-zero TIFF, MONOCHROME1,
    or a film found to be a negative). ``notes`` are sentences that whoever uses a result of this picture must know, and
    stand in that result too: no radiograph, one of several, turned over on a guess, a header that contradicts itself.
    ``remarks`` say what else was read or done, as the file tells it.
    """

    path: str | None = None
    format: str = "array"
    bits: int = 8
    inverted: bool = False
    notes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Radiograph:
    """``pixels`` (H, W), uint8 or uint16, bone brighter than soft tissue (as MONOCHROME2).

    ``spacing`` is None when the size of a pixel is not known; ``aspect`` is given where its shape is known all the
    same and is not square. Raises ImageError when ``pixels`` is not such an array.

    >>> pixels = np.zeros((300, 200), np.uint16)
    >>> ossa.Radiograph(pixels, ossa.Spacing(0.15, 0.15, "user"), side="L").shape
    (300, 200)
    """

    pixels: Grey
    spacing: Spacing | None = None
    side: Side | None = None
    provenance: Provenance = field(default_factory=Provenance)
    aspect: Aspect | None = None

    def __post_init__(self) -> None:
        pixels: object = self.pixels
        if not isinstance(pixels, np.ndarray):
            raise self._refused(type(pixels).__name__)
        if pixels.ndim != 2 or pixels.size == 0 or pixels.dtype not in (np.uint8, np.uint16):
            raise self._refused(f"{pixels.dtype} of shape {pixels.shape}")

    def _refused(self, found: str) -> ImageError:
        return ImageError(
            "these pixels are no radiograph",
            path=self.provenance.path,
            found=found,
            expected="a grey array (height, width) of uint8 or uint16 that is not empty",
            remedy="Make one channel of colours, and whole numbers of others, before you give it",
        )

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        return (self.pixels.shape[0], self.pixels.shape[1])

    @property
    def sides(self) -> Spacing | Aspect | None:
        """The sides of a pixel, in mm or by their ratio; None where pixels are square as far as is known."""
        return self.spacing or self.aspect
