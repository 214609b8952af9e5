"""Edges that a bone may as well have, from its logits: what measurements take their doubt from.

A Segmentation and logits flow in, the same Segmentation with ``plausible`` flows out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np

from ossa.errors import SchemaError
from ossa.segmentation.decode import (
    GridPlacement,
    Logits,
    box_above,
    lines_of,
    logit,
    positive,
    reach,
    scales,
    threshold_logits,
)
from ossa.segmentation.segmentation import Region, Segmentation

#: Edges are plausible from the one to the other probability, for a bone whose threshold is .5; others move along.
LEAST, MOST = 0.3, 0.7

#: So many other edges of a bone are measured: a lower and a higher threshold, another look. More cost time and say
#: little.
ENOUGH = 3


def with_edges(
    found: Segmentation,
    logits: Logits,
    placement: GridPlacement,
    thresholds: Mapping[str, float] | None = None,
    names: Collection[str] | None = None,
) -> Segmentation:
    """``found`` with two more edges for each of its bones: at a lower and at a higher threshold than its own.

    ``logits`` (C, h, w) and ``placement`` as in ``decode``; ``names``: the bones that get some (None: all). A bone that
    is nowhere above the higher threshold has the wider edge alone.
    """
    return _with(found, logits, placement, thresholds, (logit(LEAST), logit(MOST)), names)


def with_look(
    found: Segmentation, logits: Logits, placement: GridPlacement, thresholds: Mapping[str, float] | None = None
) -> Segmentation:
    """``found`` with one more edge for each of its bones that has not ``ENOUGH``: as another look at the same picture
    sees it.
    """
    few = [name for name, _ in found if len(found.plausible.get(name, ())) < ENOUGH]
    return _with(found, logits, placement, thresholds, (0.0,), few)


def _with(
    found: Segmentation,
    logits: Logits,
    placement: GridPlacement,
    thresholds: Mapping[str, float] | None,
    steps: tuple[float, ...],
    names: Collection[str] | None,
) -> Segmentation:
    schema = found.schema
    if logits.ndim != 3 or logits.shape[0] != len(schema):
        raise SchemaError("logits do not fit the schema", found=logits.shape, expected=f"({len(schema)}, h, w)")
    limits = threshold_logits(schema, thresholds)
    plausible = dict(found.plausible)
    for name, _ in found:
        if names is not None and name not in names:
            continue
        i = schema.index(name)
        edges = _at(logits[i], placement, [float(limits[i]) + step for step in steps])
        plausible[name] = (*plausible.get(name, ()), *edges)
    return replace(found, plausible=plausible)


def _at(plane: Logits, placement: GridPlacement, limits: list[float]) -> list[Region]:
    """One bone at several limits; what is above none of the plane's pixels is left out."""
    box = box_above(plane, np.float32(min(limits)))
    if box is None:
        return []
    scale_y, scale_x = scales((plane.shape[0], plane.shape[1]), placement)
    top, bottom = reach(box[0], box[1], scale_y, placement.image_shape[0])
    left, right = reach(box[2], box[3], scale_x, placement.image_shape[1])
    if top >= bottom or left >= right:
        return []
    lines, low, weight = lines_of(plane, 0.0, (top, bottom, scale_y), (left, right, scale_x))
    regions = [Region.tight(positive(lines - np.float32(limit), low, weight), top, left) for limit in limits]
    return [region for region in regions if region is not None]
