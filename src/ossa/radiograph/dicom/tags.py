"""What a DICOM header says of millimetres and of the side of the body.

Pixel spacing after PS3.3 section 10.7.1 (Basic Pixel Spacing Calibration Macro), laterality after
PS3.3 C.7.3.1 (Laterality), C.8.11.2 (Image Laterality) and C.7.6.16.2.8 (Frame Laterality).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ossa.radiograph.dicom.elements import element, number
from ossa.radiograph.radiograph import Aspect, Side, Spacing

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

#: Bones lie at the detector or a little above it; what is magnified more than this is no such film.
_MOST_MAGNIFIED = 2.0

#: Sides of a pixel in mm: micro-focus magnification below, a portal imager above.
_SMALLEST, _LARGEST = 0.001, 10.0


def spacing_of(header: Dataset) -> tuple[Spacing | None, list[str], list[str]]:
    """Millimetres per pixel, notes on what cannot be used, and remarks on how far they can be trusted.

    PixelSpacing that differs from the detector's spacing, or that names its calibration, is
    calibrated ("PixelSpacing"). PixelSpacing equal to ImagerPixelSpacing (or to the
    NominalScannedPixelSpacing of a scanned film) has not been corrected for magnification and
    takes that name; it is divided by EstimatedRadiographicMagnificationFactor, the ratio of the distances
    of detector and patient from the source (PS3.3 C.8.11.5), where the file gives it, and named so.
    PixelSpacing alone is kept with a remark: whether it was corrected cannot be told. A spacing that is
    no length of a pixel is left out with a note, and so are two that contradict each other: a patient
    lies between source and detector, so that pixels are smaller there, but not by half.
    """
    notes: list[str] = []
    remarks: list[str] = []
    pixel = _pair(header, "PixelSpacing", notes)
    plain_name, plain = "", None
    for name in ("ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        plain = plain or _pair(header, name, notes)
        plain_name = plain_name or (name if plain else "")
    kind = str(element(header, "PixelSpacingCalibrationType") or "")
    spacing: Spacing | None = None
    if pixel and plain and not _same(pixel, plain) and not _fit(pixel, plain):
        both = f"PixelSpacing {_said(pixel)} and {plain_name} {_said(plain)} mm"
        notes.append(f"its spacings contradict each other ({both}): lengths stay in px")
    elif pixel and (kind or (plain and not _same(pixel, plain))):
        spacing = Spacing(*pixel, "PixelSpacing")
        remarks.append(f"spacing calibrated ({kind.lower() or 'differs from ' + plain_name})")
    elif plain:
        spacing = Spacing(*plain, plain_name)
    elif pixel:
        spacing = Spacing(*pixel, "PixelSpacing")
        remarks.append("the file does not say whether its PixelSpacing is corrected for magnification")
    factor = number(element(header, "EstimatedRadiographicMagnificationFactor"), None)
    if factor and spacing is not None and spacing.source != "PixelSpacing":
        if 1.0 <= factor <= _MOST_MAGNIFIED:
            name = f"{spacing.source} / EstimatedRadiographicMagnificationFactor"
            spacing = Spacing(spacing.row / factor, spacing.column / factor, name)
            remarks.append(f"spacing at the detector divided by the estimated magnification {factor:g}")
        else:
            notes.append(f"its EstimatedRadiographicMagnificationFactor is no magnification ({factor:g}): left out")
    return spacing, notes, remarks


def _fit(pixel: tuple[float, float], detector: tuple[float, float]) -> bool:
    """Whether the one can be the other without its magnification; two per cent are left to calibration."""
    return all(0.98 <= there / here <= _MOST_MAGNIFIED for here, there in zip(pixel, detector, strict=True))


def _said(pair: tuple[float, float]) -> str:
    return " x ".join(f"{side:g}" for side in dict.fromkeys(pair))


def aspect_of(header: Dataset) -> tuple[Aspect | None, list[str]]:
    """The sides of a pixel whose size in mm is not known (PixelAspectRatio), where they differ, and a remark."""
    value = element(header, "PixelAspectRatio")
    if value is None or isinstance(value, (str, int, float)) or len(value) != 2:
        return None, []
    row, column = number(value[0], 0.0), number(value[1], 0.0)
    if not (row > 0 and column > 0) or row == column or not math.isfinite(row / column):
        return None, []
    return Aspect(row, column), [f"pixels are not square ({row:g}:{column:g}), their size in mm is not known"]


def _pair(header: Dataset, name: str, notes: list[str]) -> tuple[float, float] | None:
    """(row, column) in mm from the header or its first Pixel Measures; None when absent or no length, with a note."""
    for item in _places(header, "PixelMeasuresSequence"):
        value = element(item, name)
        if value is None or value == "":
            continue
        try:
            row, column = (float(number) for number in value)
            if min(row, column) >= _SMALLEST and max(row, column) <= _LARGEST:  # no NaN passes
                return row, column
        except (TypeError, ValueError):
            pass
        said = value if isinstance(value, str) else "\\".join(map(str, value)) if hasattr(value, "__iter__") else value
        notes.append(f"its {name} is no size of a pixel ({str(said)[:40]}): left out")
    return None


def _same(a: tuple[float, float], b: tuple[float, float]) -> bool:
    return all(abs(x - y) <= _SAME * max(x, y) for x, y in zip(a, b, strict=True))


def side_of(header: Dataset) -> tuple[Side | None, list[str]]:
    """The side of the body, "L" or "R"; None when it is not said, both sides, or contradictory (with a note)."""
    said: list[tuple[str, Side]] = []

    def take(name: str, value: object) -> None:
        text = str(value or "").strip().upper()
        side = _SIDES.get(text)
        if side is not None:
            said.append((name, side))

    take("ImageLaterality", element(header, "ImageLaterality"))
    take("Laterality", element(header, "Laterality"))
    for place in _places(header, "FrameAnatomySequence"):
        take("FrameLaterality", element(place, "FrameLaterality"))
        for region in element(place, "AnatomicRegionSequence") or ():
            for modifier in element(region, "AnatomicRegionModifierSequence") or ():
                take("AnatomicRegionModifier", element(modifier, "CodeValue"))
    sides = {side for _, side in said}
    if len(sides) == 2:
        phrase = ", ".join(f"{name} {side}" for name, side in said)
        return None, [f"the header contradicts itself about the side: {phrase}"]
    return (sides.pop() if sides else None), []


def _places(header: Dataset, macro: str) -> Iterator[Dataset]:
    """The header itself, then the macro's items of the shared and of the first frame's functional groups."""
    yield header
    for groups in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        for group in list(element(header, groups) or ())[:1]:
            yield from element(group, macro) or ()
