"""What a measurement answers: one ``Measurement`` per number, ``HandMeasurements`` for all of one hand.

Tables, pages, pictures and DICOM objects are made from these and know nothing of how a number was found. What a name
means stands in ``measurement.definitions``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ossa.errors import MissingExtraError
from ossa.measurement.definitions import Definition, definition
from ossa.radiograph.radiograph import Side, Spacing
from ossa.schema import BoneSchema
from ossa.segmentation.origin import Origin

#: What a number counts. "ratio" has no unit. Degrees are those of an angle. "px" where the spacing is not known.
Unit = Literal["mm", "mm2", "px", "px2", "degrees", "ratio"]

#: Each unit as UCUM writes it (https://ucum.org; curly braces are annotations and count 1).
UCUM: Mapping[Unit, str] = {
    "mm": "mm", "mm2": "mm2", "px": "{pixels}", "px2": "{pixels}", "degrees": "deg", "ratio": "{ratio}",
}  # fmt: skip

Point = tuple[float, float]

#: Columns of ``HandMeasurements.rows``.
ROWS = (
    "hand", "side", "bone", "title", "measurement", "value", "uncertainty", "unit", "reason", "confidence", "cut",
    "spacing_source", "uncertainty_source", "experimental", "made_by",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Stroke:
    """A line through ``points`` (x, y in px of the picture, integer = pixel centre); one point alone is a dot.

    ``role``: "measured" is what the number is the size of (a distance's two ends; the three points of an angle, its
    vertex in the middle; an area's closed outline is not drawn), "help" what it was found by (axes, tangents).
    """

    points: tuple[Point, ...]
    role: Literal["measured", "help"] = "measured"


@dataclass(frozen=True, slots=True)
class Measurement:
    """One number of one bone or, where ``bone`` is None, of the hand.

    ``name``: a key of ``measurement.definitions``. ``value`` and ``uncertainty`` are in ``unit``; the truth lies within
    +- ``uncertainty`` in about 95 of 100 cases (docs/measurements.md says how that was checked). Exactly one of
    ``value`` and ``reason`` is None: a number that cannot be had says why. ``strokes``: what to draw, the measured
    ones first.

    >>> length = Measurement("length", "finger-11", 62.41, 0.38, "mm")
    >>> print(length)
    Length of finger-11: 62.4 +- 0.4 mm
    >>> print(Measurement("length", "Radius", reason="cut by the edge of the picture", unit="mm"))
    Length of Radius: not measured (cut by the edge of the picture)
    """

    name: str
    bone: str | None = None
    value: float | None = None
    uncertainty: float | None = None
    unit: Unit = "px"
    reason: str | None = None
    strokes: tuple[Stroke, ...] = ()

    def __str__(self) -> str:
        of = "" if self.bone is None else f" of {self.bone}"
        return f"{self.definition.title}{of}: {self.text}"

    @property
    def definition(self) -> Definition:
        """What is measured, in words, and who defined it."""
        return definition(self.name)

    @property
    def ucum(self) -> str:
        """The unit's UCUM code."""
        return UCUM[self.unit]

    @property
    def text(self) -> str:
        """The number with its uncertainty and unit, rounded as far as it is known: "62.4 +- 0.4 mm"."""
        if self.value is None:
            return f"not measured ({self.reason})"
        digits = _digits(self.uncertainty, self.unit)
        word = {"ratio": "", "mm2": " mm²", "px2": " px²", "degrees": "°"}.get(self.unit, f" {self.unit}")
        about = "" if self.uncertainty is None else f" +- {self.uncertainty:.{digits}f}"
        return f"{self.value:.{digits}f}{about}{word}"


def _digits(uncertainty: float | None, unit: Unit) -> int:
    """Decimals that are worth telling: down to the first digit of the uncertainty."""
    if unit in ("mm2", "px2", "px"):
        return 0
    if unit == "ratio":
        return 3 if uncertainty is None or uncertainty < 0.05 else 2
    return 1 if uncertainty is None or uncertainty >= 0.05 else 2


@dataclass(frozen=True, eq=False, repr=False)
class HandMeasurements:
    """All numbers of one hand.

    ``measurements``: bone by bone in schema order, then those of the hand; each name once per bone, measured or with
    its reason. ``spacing``: mm per px with its source, None where lengths are in px. ``side``: that of a hand seen
    from the back, told by the bones; ``marked``: what the film says. ``cut``: bones that an edge cuts off.
    ``confidence``: the judge's, where known. ``centroids``: x, y in px of the bones that are there.
    ``uncertainty_source``: what the uncertainties rest on. ``origin``: who found the bones, where
    that is told. ``notes``: sentences for the reader, among them those of the segmentation.
    """

    name: str
    schema: BoneSchema
    measurements: tuple[Measurement, ...]
    spacing: Spacing | None = None
    side: Side | None = None
    marked: Side | None = None
    cut: frozenset[str] = frozenset()
    confidence: Mapping[str, float] = field(default_factory=dict)
    centroids: Mapping[str, Point] = field(default_factory=dict)
    uncertainty_source: str = ""
    origin: Origin | None = None
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        told = sum(one.value is not None for one in self.measurements)
        unit = "px" if self.spacing is None else f"mm ({self.spacing.source})"
        return f"<{type(self).__name__} of {self.name!r}: {told} of {len(self.measurements)} numbers in {unit}>"

    def __iter__(self) -> Iterator[Measurement]:
        return iter(self.measurements)

    def __len__(self) -> int:
        return len(self.measurements)

    def get(self, name: str, bone: str | None = None) -> Measurement | None:
        """The measurement of this name (of ``bone``, or of the hand); None when there is none."""
        return next((one for one in self.measurements if one.name == name and one.bone == bone), None)

    def of_bone(self, bone: str) -> tuple[Measurement, ...]:
        """What was measured of one bone."""
        return tuple(one for one in self.measurements if one.bone == bone)

    def of_hand(self) -> tuple[Measurement, ...]:
        """What was measured of the hand as a whole."""
        return tuple(one for one in self.measurements if one.bone is None)

    def rows(self) -> Iterator[dict[str, Any]]:
        """A row per number, with the columns of ``ROWS``: what a statistics package reads best."""
        for one in self:
            yield {
                "hand": self.name,
                "side": self.side or "",
                "bone": one.bone or "",
                "title": "" if one.bone is None else self.schema.bone(one.bone).title,
                "measurement": one.name,
                "value": one.value,
                "uncertainty": one.uncertainty,
                "unit": one.unit,
                "reason": one.reason or "",
                "confidence": None if one.bone is None else self.confidence.get(one.bone),
                "cut": one.bone in self.cut,
                "spacing_source": self.spacing_source,
                "uncertainty_source": self.uncertainty_source,
                "experimental": one.definition.experimental,
                "made_by": self.made_by,
            }

    @property
    def spacing_source(self) -> str:
        """Where the millimetres come from, in words."""
        return "none: lengths in px" if self.spacing is None else self.spacing.source

    @property
    def made_by(self) -> str:
        """Who found the bones, in words; "" where nobody tells."""
        return "" if self.origin is None else str(self.origin)

    def to_dataframe(self) -> Any:
        """A pandas.DataFrame of ``rows``. Raises MissingExtraError without pandas."""
        try:
            import pandas
        except ImportError as error:
            raise MissingExtraError.of("a table of measurements", "pandas", error) from error
        return pandas.DataFrame(list(self.rows()), columns=list(ROWS))
