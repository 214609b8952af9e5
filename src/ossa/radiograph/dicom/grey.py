"""Stored DICOM values to display grey: modality LUT or rescale, VOI LUT or window, MONOCHROME1, padding.

Up to 16 bits everything is worked out once per possible value and looked up, so a 4-megapixel
picture costs one table look-up and no float copy. Formulas: PS3.3 C.11.1 and C.11.2.1.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ossa.radiograph.dicom.elements import count, element, number
from ossa.radiograph.radiograph import Grey

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

Floats = NDArray[np.float64]


def to_grey(stored: NDArray[Any], header: Dataset) -> tuple[Grey, list[str]]:
    """Stored values (H, W) of a monochrome picture as grey, and remarks.

    uint8 up to 8 stored bits, else uint16. Without a window the values in use are stretched over
    the whole range, except 8-bit values without rescale, which stay as they are.
    """
    notes: list[str] = []
    padding = _padding(stored, header)
    top = 255 if (count(header, "BitsStored") or 16) <= 8 else 65535
    if stored.dtype.kind == "f" or stored.dtype.itemsize > 2:
        shown = _shown(stored.astype(np.float64), ~padding, header, notes)
        return _quantised(shown, padding, top, header), notes
    low, high = int(stored.min()), int(stored.max())
    values = np.arange(low, high + 1, dtype=np.float64)
    used = np.ones(values.shape, bool)
    if padding.any():
        used = np.zeros(values.shape, bool)
        used[np.unique(stored[~padding]).astype(np.int64) - low] = True
    shown = _shown(values, used, header, notes)
    table = _quantised(shown, _padding(values, header), top, header)
    grey: Grey = np.empty(stored.shape, table.dtype)
    for row in range(0, len(stored), 256):  # in bands: an index takes four times the memory of its value
        grey[row : row + 256] = table[stored[row : row + 256].astype(np.int64) - low]
    return grey, notes


def _quantised(shown: Floats, padding: NDArray[np.bool_], top: int, header: Dataset) -> Grey:
    """0..1 to 0..top, bones bright; padding is film without exposure and becomes 0."""
    if header.get("PhotometricInterpretation") == "MONOCHROME1":
        shown = 1.0 - shown
    rounded = np.round(shown * top)
    grey: Grey = rounded.astype(np.uint8) if top == 255 else rounded.astype(np.uint16)
    grey[padding] = 0
    return grey


def _shown(values: Floats, used: NDArray[np.bool_], header: Dataset, notes: list[str]) -> Floats:
    """Each value as 0 (MONOCHROME2: black) to 1. ``used`` marks the values that occur in the picture."""
    output = _modality(values, header, notes)
    voi = _voi(output, header, notes)
    if voi is not None and (np.ptp(voi[used]) > 0 if used.any() else True):
        return voi
    if voi is not None and np.ptp(output[used]) > 0:
        notes.append("its window shows a single grey: ignored")
    if (
        voi is None
        and values is output
        and (count(header, "BitsStored") or 16) <= 8
        and values.size
        and values.min() >= 0
    ):
        return values / 255.0 if (count(header, "BitsStored") or 16) > 1 else values
    kept = output[used & np.isfinite(output)]
    low, high = (float(kept.min()), float(kept.max())) if kept.size else (0.0, 0.0)
    scale = 1.0 / (high - low) if high > low else 0.0
    return np.clip((np.nan_to_num(output, nan=low, posinf=high, neginf=low) - low) * scale, 0.0, 1.0)


def _modality(values: Floats, header: Dataset, notes: list[str]) -> Floats:
    """Modality LUT Sequence, or RescaleSlope and RescaleIntercept; ``values`` itself when there is neither."""
    table = _lut(header, "ModalityLUTSequence", notes)
    if table is not None:
        first, data, _ = table
        return data[np.clip(values - first, 0, data.size - 1).astype(np.int64)]
    slope, intercept = number(element(header, "RescaleSlope"), 1.0), number(element(header, "RescaleIntercept"), 0.0)
    if (slope, intercept) == (1.0, 0.0) or slope == 0.0:
        return values
    return values * slope + intercept


def _voi(output: Floats, header: Dataset, notes: list[str]) -> Floats | None:
    """VOI LUT Sequence, else the first window, as 0..1; None when there is neither."""
    table = _lut(header, "VOILUTSequence", notes)
    if table is not None:
        first, data, bits = table
        return np.asarray(data[np.clip(output - first, 0, data.size - 1).astype(np.int64)] / (2.0**bits - 1)).clip(0, 1)
    centre, width = number(element(header, "WindowCenter"), None), number(element(header, "WindowWidth"), None)
    if centre is None or width is None:
        return None
    function = str(element(header, "VOILUTFunction") or "LINEAR").upper()
    if function not in ("LINEAR", "LINEAR_EXACT", "SIGMOID") or width < (1 if function == "LINEAR" else 1e-12):
        notes.append(f"its window ({function}, centre {centre:g}, width {width:g}) is not valid: ignored")
        return None
    if function == "SIGMOID":
        return 1.0 / (1.0 + np.exp(np.clip(-4.0 * (output - centre) / width, -700, 700)))
    if function == "LINEAR_EXACT":
        return np.clip((output - centre) / width + 0.5, 0.0, 1.0)
    if width == 1:
        return (output > centre - 0.5).astype(np.float64)
    return np.clip((output - (centre - 0.5)) / (width - 1.0) + 0.5, 0.0, 1.0)


def _lut(header: Dataset, name: str, notes: list[str]) -> tuple[int, Floats, int] | None:
    """(first mapped value, entries, bits) of the first table of a sequence; None when absent or malformed."""
    for item in list(element(header, name) or ())[:1]:
        try:
            count, first, bits = (int(number) for number in item.LUTDescriptor)
            count = count or 1 << 16  # 0 stands for 65536
            raw = item["LUTData"].value
            data = np.frombuffer(raw, "<u2") if isinstance(raw, bytes) else np.asarray(raw)
            if bits <= 8 and data.size * 2 == count:  # two 8-bit entries in each word
                data = data.astype("<u2").view(np.uint8)
            if not 1 <= bits <= 16 or data.size < count:
                raise ValueError
        except (AttributeError, KeyError, TypeError, ValueError):
            notes.append(f"its {name} is malformed: ignored")
            return None
        return first, data[:count].astype(np.float64), bits
    return None


def _padding(values: NDArray[Any], header: Dataset) -> NDArray[np.bool_]:
    """Where ``values`` are PixelPaddingValue (or between it and PixelPaddingRangeLimit)."""
    first = number(element(header, "PixelPaddingValue"), None)
    if first is None:
        return np.zeros(values.shape, bool)
    last = number(element(header, "PixelPaddingRangeLimit"), first)
    return np.asarray((values >= min(first, last)) & (values <= max(first, last)))
