"""Overlapping bone masks of one radiograph, each kept as the small array of its own box.

A ``Segmentation`` is made from outlines, planes, bit planes, run lengths or a network's logits,
and read region by region. Only this type knows axis order and packing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ossa.errors import LabelError, MissingExtraError, SchemaError
from ossa.schema import BoneSchema
from ossa.segmentation.origin import Origin

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, eq=False, repr=False)
class Region:
    """The pixels of one bone: ``mask`` (h, w) bool whose first pixel lies at (``top``, ``left``).

    The box is tight: every border row and column of ``mask`` holds a True pixel.

    >>> plane = np.zeros((8, 8), bool)
    >>> plane[2:4, 3:6] = True
    >>> ossa.Region.tight(plane)
    <Region of 6 px in rows 2..4, columns 3..6>
    """

    top: int
    left: int
    mask: BoolArray

    def __repr__(self) -> str:
        return f"<Region of {self.area} px in rows {self.top}..{self.bottom}, columns {self.left}..{self.right}>"

    @property
    def bottom(self) -> int:
        """The first row below the box."""
        return self.top + int(self.mask.shape[0])

    @property
    def right(self) -> int:
        """The first column right of the box."""
        return self.left + int(self.mask.shape[1])

    @property
    def middle(self) -> tuple[float, float]:
        """The middle (x, y) of the box."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2

    @cached_property
    def area(self) -> int:
        """Pixels in the bone."""
        return int(np.count_nonzero(self.mask))

    @classmethod
    def tight(cls, mask: NDArray[np.generic], top: int = 0, left: int = 0) -> Region | None:
        """The region of ``mask`` (h, w; non-zero is bone) cut to its tight box; None when empty."""
        array = np.ascontiguousarray(mask if mask.dtype.kind in "biu" else np.asarray(mask) != 0)
        rows = np.flatnonzero(_any_in_rows(array))
        if rows.size == 0:
            return None
        first, last = int(rows[0]), int(rows[-1]) + 1
        columns = np.flatnonzero(np.bitwise_or.reduce(array[first:last], axis=0))
        start, stop = int(columns[0]), int(columns[-1]) + 1
        box = array[first:last, start:stop]
        return cls(top + first, left + start, np.ascontiguousarray(box) if box.dtype == np.bool_ else box != 0)

    def shared(self, other: Region) -> tuple[BoolArray, BoolArray] | None:
        """Both masks where the two boxes overlap, as views of one shape; None where the boxes do not meet."""
        top, bottom = max(self.top, other.top), min(self.bottom, other.bottom)
        left, right = max(self.left, other.left), min(self.right, other.right)
        if top >= bottom or left >= right:
            return None
        return (
            self.mask[top - self.top : bottom - self.top, left - self.left : right - self.left],
            other.mask[top - other.top : bottom - other.top, left - other.left : right - other.left],
        )

    def plane(self, shape: tuple[int, int]) -> BoolArray:
        """The full (H, W) bool plane."""
        out = np.zeros(shape, dtype=bool)
        out[self.top : self.bottom, self.left : self.right] = self.mask
        return out


def _any_in_rows(array: NDArray[np.generic]) -> NDArray[np.generic]:
    """(h,): not 0 where a row of a contiguous array of bool or whole numbers (h, w) holds anything but 0.

    Rows are read eight bytes at a time where they can be: a full plane is gone through once, as fast as memory gives
    it, and never copied.
    """
    if array.size and array.shape[1] * array.itemsize % 8 == 0:
        array = array.view(np.uint64)
    out: NDArray[np.generic] = np.bitwise_or.reduce(array, axis=1)
    return out


@dataclass(frozen=True, eq=False, repr=False)
class Segmentation:
    """The bones found in (or annotated on) one picture of ``shape`` (H, W).

    ``regions`` maps bone names of ``schema`` to their Region, in schema order; a bone that is
    absent has no entry. ``notes`` are sentences for the reader of the result (quality warnings).
    Two numbers in 0..1 may be known of a bone that is there: its ``confidence``, the chance that it was found rightly
    as a judge of the whole result estimates it (docs/quality.md), and its ``probability``, the network's own, as a
    mean over the bone's pixels. ``plausible``: other edges that a bone may as well have (at lower and higher
    thresholds, in another look), by which measurements tell how sure they are. What is said of absent bones is dropped.
    ``origin``: who found them, None where nobody tells or people drew them.

    >>> dot = ossa.Region(2, 3, np.ones((1, 1), dtype=bool))
    >>> found = ossa.Segmentation(ossa.load_schema(), (8, 8), {"Radius": dot})
    >>> "Radius" in found, "Ulna" in found, found["Radius"].area
    (True, False, 1)
    >>> found
    <Segmentation of 8x8 px: 1 of 29 bones of hand29>
    """

    schema: BoneSchema
    shape: tuple[int, int]
    regions: Mapping[str, Region]
    confidence: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    probability: Mapping[str, float] = field(default_factory=dict)
    plausible: Mapping[str, tuple[Region, ...]] = field(default_factory=dict)
    origin: Origin | None = None

    def __post_init__(self) -> None:
        height, width = self.shape
        for name, region in self.regions.items():
            if name not in self.schema:
                self.schema.index(name)  # raises with the nearest name
            if region.top < 0 or region.left < 0 or region.bottom > height or region.right > width:
                raise LabelError(
                    f"the region of '{name}' leaves the picture",
                    found=f"rows {region.top}..{region.bottom}, columns {region.left}..{region.right}",
                    expected=f"inside {height}x{width}",
                )
        ordered = {name: self.regions[name] for name in self.schema.names if name in self.regions}
        object.__setattr__(self, "regions", ordered)
        for told in ("confidence", "probability", "plausible"):
            numbers = getattr(self, told)
            object.__setattr__(self, told, {name: numbers[name] for name in ordered if name in numbers})

    def __repr__(self) -> str:
        found = f"{len(self)} of {len(self.schema)} bones of {self.schema.name}"
        notes = f", {len(self.notes)} notes" if self.notes else ""
        return f"<{type(self).__name__} of {self.shape[0]}x{self.shape[1]} px: {found}{notes}>"

    def __len__(self) -> int:
        return len(self.regions)

    def __iter__(self) -> Iterator[tuple[str, Region]]:
        return iter(self.regions.items())

    def __contains__(self, name: object) -> bool:
        return name in self.regions

    def __getitem__(self, name: str) -> Region:
        """The region of a bone that is there; KeyError for one that is not, SchemaError for a name of no bone."""
        if name not in self.regions:
            self.schema.index(name)
            raise KeyError(f"{name} is not in this segmentation")
        return self.regions[name]

    def get(self, name: str) -> Region | None:
        """The region of a bone, or None when it is absent."""
        return self.regions.get(name)

    def plane(self, name: str) -> BoolArray:
        """One bone as a full (H, W) bool plane, all False when absent."""
        self.schema.index(name)
        region = self.regions.get(name)
        return np.zeros(self.shape, dtype=bool) if region is None else region.plane(self.shape)

    def rows(self) -> list[dict[str, Any]]:
        """A dictionary per bone that is there, in schema order; its entries are the columns of ``to_dataframe``."""
        return [
            {
                "bone": name,
                "title": self.schema.bone(name).title,
                "area": region.area,
                **{side: getattr(region, side) for side in ("top", "left", "bottom", "right")},
                **{told: getattr(self, told).get(name, math.nan) for told in ("confidence", "probability")},
            }
            for name, region in self
        ]

    def to_dataframe(self) -> Any:
        """A pandas.DataFrame with a row per bone that is there, in schema order.

        Columns: bone, title, area, and the box's top, left, bottom and right in px (bottom and right are the first
        beyond it), confidence and probability (NaN where nothing is known). Raises MissingExtraError without pandas.
        """
        try:
            import pandas
        except ImportError as error:
            raise MissingExtraError.of("a table of the bones", "pandas", error) from error
        columns = ["bone", "title", "area", "top", "left", "bottom", "right", "confidence", "probability"]
        return pandas.DataFrame(self.rows(), columns=columns)

    @classmethod
    def from_planes(cls, planes: NDArray[np.generic], schema: BoneSchema) -> Segmentation:
        """From (C, H, W) planes in schema order; non-zero is bone."""
        if planes.ndim != 3 or planes.shape[0] != len(schema):
            raise SchemaError("planes do not fit the schema", found=planes.shape, expected=f"({len(schema)}, H, W)")
        found = {name: Region.tight(plane) for name, plane in zip(schema.names, planes, strict=True)}
        return cls(schema, (planes.shape[1], planes.shape[2]), {n: r for n, r in found.items() if r is not None})

    def planes(self) -> BoolArray:
        """All bones as (C, H, W) bool planes in schema order. 122 MB at 29x2048x2048: for tests."""
        return np.stack([self.plane(name) for name in self.schema.names])

    @classmethod
    def from_bits(cls, bits: NDArray[np.uint32], schema: BoneSchema) -> Segmentation:
        """From bit planes: (H, W) or (P, H, W) uint32, bone i in bit i % 32 of plane i // 32."""
        stack = bits[None] if bits.ndim == 2 else bits
        if stack.ndim != 3 or stack.shape[0] != bit_plane_count(schema):
            raise SchemaError(
                "bit planes do not fit the schema", found=bits.shape, expected=f"({bit_plane_count(schema)}, H, W)"
            )
        regions = {}
        for i, name in enumerate(schema.names):
            region = Region.tight(stack[i // 32] & np.uint32(1 << (i % 32)))
            if region is not None:
                regions[name] = region
        return cls(schema, (stack.shape[1], stack.shape[2]), regions)

    def bits(self) -> NDArray[np.uint32]:
        """Bit planes (P, H, W) uint32, bone i in bit i % 32 of plane i // 32."""
        out = np.zeros((bit_plane_count(self.schema), *self.shape), dtype=np.uint32)
        for name, region in self.regions.items():
            i = self.schema.index(name)
            box = out[i // 32, region.top : region.bottom, region.left : region.right]
            box |= region.mask.astype(np.uint32) << np.uint32(i % 32)
        return out


def bit_plane_count(schema: BoneSchema) -> int:
    """How many uint32 planes a schema's bones need."""
    return -(-len(schema) // 32)
