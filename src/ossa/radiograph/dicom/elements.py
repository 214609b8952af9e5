"""Elements of a DICOM header, none of which may be trusted to be what its VR says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

Default = TypeVar("Default", float, None)


def element(header: Dataset, name: str) -> Any:
    """The value of an element, its text where that is not what its VR says ("0,14" for a decimal); None when absent."""
    try:
        return header.get(name)
    except Exception:  # pydicom converts on access and raises whatever the value leads to
        raw = getattr(header.get_item(name), "value", None)
        return raw.decode("latin-1").strip(" \0") if isinstance(raw, bytes) else None


def number(value: Any, default: Default) -> float | Default:
    """The first number of a possibly multi-valued, possibly malformed element."""
    try:
        return float(value[0] if hasattr(value, "__len__") and not isinstance(value, (str, bytes)) else value)
    except (TypeError, ValueError, IndexError):
        return default


def count(header: Dataset, name: str) -> int:
    """A whole number of the header, 0 when it is missing or malformed."""
    try:
        return max(0, int(element(header, name) or 0))
    except (TypeError, ValueError):
        return 0
