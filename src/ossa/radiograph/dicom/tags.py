"""What a DICOM header says of millimetres and of the side of the body.

Pixel spacing after PS3.3 section 10.7.1 (Basic Pixel Spacing Calibration Macro), laterality after
PS3.3 C.7.3.1 (Laterality), C.8.11.2 (Image Laterality) and C.7.6.16.2.8 (Frame Laterality).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ossa.radiograph.radiograph import Side, Spacing

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

#: Laterality values, and Anatomic Region Modifier codes (PS3.16 CID 244; the second of each pair is the former
#: SNOMED-RT code) -> side. "U" (unpaired) and "B" (both) say no side.
_SIDES: dict[str, Side] = {
    "L": "L",
    "R": "R",
    "7771000": "L",
    "G-A101": "L",
    "24028007": "R",
    "G-A100": "R",
}

#: Spacings that differ by less than this share are the same number written twice.
_SAME = 1e-4


def spacing_of(header: Dataset) -> tuple[Spacing | None, list[str]]:
    """Millimetres per pixel and remarks on how far they can be trusted.

    PixelSpacing that differs from the detector's spacing, or that names its calibration, is
    calibrated ("PixelSpacing"). PixelSpacing equal to ImagerPixelSpacing (or to the
    NominalScannedPixelSpacing of a scanned film) has not been corrected for magnification and
    takes that name. PixelSpacing alone is kept with a remark: whether it was corrected cannot be
    told.
    """
    notes: list[str] = []
    pixel = _pair(header, "PixelSpacing")
    plain_name, plain = "", None
    for name in ("ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        plain = plain or _pair(header, name)
        plain_name = plain_name or (name if plain else "")
    kind = str(header.get("PixelSpacingCalibrationType", "") or "")
    spacing: Spacing | None = None
    if pixel and (kind or (plain and not _same(pixel, plain))):
        spacing = Spacing(*pixel, "PixelSpacing")
        notes.append(f"spacing calibrated ({kind.lower() or 'differs from ' + plain_name})")
    elif plain:
        spacing = Spacing(*plain, plain_name)
    elif pixel:
        spacing = Spacing(*pixel, "PixelSpacing")
        notes.append("the file does not say whether its PixelSpacing is corrected for magnification")
    else:
        ratio = header.get("PixelAspectRatio")
        if ratio is not None and len(ratio) == 2 and ratio[0] != ratio[1]:
            notes.append(f"pixels are not square ({ratio[0]}:{ratio[1]}) but have no size in mm: not corrected")
    factor = header.get("EstimatedRadiographicMagnificationFactor")
    if factor and spacing is not None and spacing.source != "PixelSpacing":
        notes.append(f"spacing is at the detector; divide lengths by the estimated magnification {float(factor):g}")
    return spacing, notes


def _pair(header: Dataset, name: str) -> tuple[float, float] | None:
    """(row, column) in mm from the header or its first Pixel Measures; None when absent or not positive."""
    for item in _places(header, "PixelMeasuresSequence"):
        value = item.get(name)
        try:
            row, column = (float(number) for number in value)
        except (TypeError, ValueError):
            continue
        if row > 0 and column > 0 and math.isfinite(row) and math.isfinite(column):
            return row, column
    return None


def _same(a: tuple[float, float], b: tuple[float, float]) -> bool:
    return all(abs(x - y) <= _SAME * max(x, y) for x, y in zip(a, b, strict=True))


def side_of(header: Dataset) -> tuple[Side | None, list[str]]:
    """The side of the body, "L" or "R"; None when it is not said, both sides, or contradictory (with a remark)."""
    said: list[tuple[str, Side]] = []

    def take(name: str, value: object) -> None:
        text = str(value or "").strip().upper()
        side = _SIDES.get(text)
        if side is not None:
            said.append((name, side))

    take("ImageLaterality", header.get("ImageLaterality"))
    take("Laterality", header.get("Laterality"))
    for place in _places(header, "FrameAnatomySequence"):
        take("FrameLaterality", place.get("FrameLaterality"))
        for region in place.get("AnatomicRegionSequence") or ():
            for modifier in region.get("AnatomicRegionModifierSequence") or ():
                take("AnatomicRegionModifier", modifier.get("CodeValue"))
    sides = {side for _, side in said}
    if len(sides) == 2:
        phrase = ", ".join(f"{name} {side}" for name, side in said)
        return None, [f"the header contradicts itself about the side: {phrase}"]
    return (sides.pop() if sides else None), []


def _places(header: Dataset, macro: str) -> Iterator[Dataset]:
    """The header itself, then the macro's items of the shared and of the first frame's functional groups."""
    yield header
    for groups in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        for group in list(header.get(groups) or ())[:1]:
            yield from group.get(macro) or ()
