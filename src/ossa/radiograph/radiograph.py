"""A grey radiograph in memory, with its pixel spacing, side and origin."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Side = Literal["L", "R"]
Grey = NDArray[np.uint8] | NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class Spacing:
    """Millimetres per pixel: ``row`` between rows (y), ``column`` between columns (x).

    ``source`` says where the numbers come from: "PixelSpacing" (calibrated to the patient),
    "ImagerPixelSpacing" (at the detector: lengths read a few percent too long), "user", "phantom".
    """

    row: float
    column: float
    source: str


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a radiograph comes from and what was done to its pixels on the way in.

    ``format`` is "PNG", "JPEG", "TIFF", "BMP", "DICOM" or "array"; ``bits`` per pixel in memory (DICOM:
    stored); ``inverted``: the stored grey values were turned over (white-is-zero TIFF, MONOCHROME1,
    or a film found to be a negative; ``notes`` say which).
    """

    path: str | None = None
    format: str = "array"
    bits: int = 8
    inverted: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Radiograph:
    """``pixels`` (H, W), uint8 or uint16, bone brighter than soft tissue (as MONOCHROME2)."""

    pixels: Grey
    spacing: Spacing | None = None
    side: Side | None = None
    provenance: Provenance = field(default_factory=Provenance)

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        return (self.pixels.shape[0], self.pixels.shape[1])
