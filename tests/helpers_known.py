"""What may be absent in general and is there in a test."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")


def known(value: T | None) -> T:
    """``value``, which the test knows to be there."""
    assert value is not None
    return value
