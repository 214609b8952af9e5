"""Bones in, numbers out: ``measure_hand`` takes every measurement of one hand, each with its uncertainty or its reason.

Nothing is asked of a network: an uncertainty comes from the bones' plausible edges where the segmentation carries them
(``Segmentation.plausible``, as a Predictor with ``edges`` gives them), otherwise from moving the outlines by a pixel.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import replace

import numpy as np

from ossa.errors import InputError
from ossa.hand.bones import SHAFTS
from ossa.hand.cut import find_cut
from ossa.hand.geometry import geometry
from ossa.hand.sides import side_notes, side_of
from ossa.measurement.anatomy import Bones, Foreign, Unmeasured
from ossa.measurement.cortex import DIGITS, cortex
from ossa.measurement.definitions import DEFINITIONS
from ossa.measurement.ends import unseen_ends
from ossa.measurement.norms import with_scores
from ossa.measurement.single import OF_A_BONE, Found, applies
from ossa.measurement.trace import Scale, trace
from ossa.measurement.types import HandMeasurements, Measurement, Unit
from ossa.measurement.uncertainty import FROM_EDGES, FROM_PIXELS, HAND, moved, uncertainty
from ossa.measurement.whole import OF_A_HAND
from ossa.radiograph.radiograph import Radiograph, Spacing
from ossa.segmentation.edges import ENOUGH
from ossa.segmentation.outlines import outlines_from_region
from ossa.segmentation.segmentation import Region, Segmentation

#: A bone below this confidence is doubtful and gives no number: the limit of the judge's warnings
#: (``unsure`` of inference/judge.json).
DOUBTFUL = 0.308

#: The unit of each quantity, where the spacing is known and where it is not.
_UNITS: Mapping[str, tuple[Unit, Unit]] = {
    "length": ("mm", "px"), "area": ("mm2", "px2"), "angle": ("degrees", "degrees"), "ratio": ("ratio", "ratio"),
}  # fmt: skip

#: A measurement: its name and its bone.
Key = tuple[str, str | None]


def measure_hand(
    segmentation: Segmentation,
    radiograph: Radiograph | None = None,
    *,
    name: str = "",
    spacing: Spacing | None = None,
    doubtful: float = DOUBTFUL,
) -> HandMeasurements:
    """Every number of one hand, bone by bone and of the hand as a whole.

    ``radiograph``: the picture in which the bones lie, for its spacing, the side that is marked and its grey values;
    without it lengths are in px unless ``spacing`` is given, which goes before the picture's own. A bone that is
    absent, cut by an edge, or below the confidence ``doubtful`` gives a reason instead of numbers.

    >>> from ossa import load_schema
    >>> nothing = Segmentation(load_schema(), (8, 8), {})
    >>> measure_hand(nothing).get("ulnar_variance").reason
    'Radius: not found'
    """
    if radiograph is not None:
        _same_shape(segmentation, radiograph)
    known = spacing if spacing is not None or radiograph is None else radiograph.spacing
    sides = known or (None if radiograph is None else radiograph.aspect)
    # Without millimetres lengths count columns; rows of pixels that are not square are made as long.
    row, column = (1.0, 1.0) if sides is None else (sides.row, sides.column)
    scale = Scale(column, row) if known is not None else Scale(1.0, row / column)
    seen = bones_of(segmentation, scale, doubtful, radiograph)
    values_only = replace(scale, drawn=False)
    others = [
        replace(
            seen,
            known={},
            scale=values_only,
            traces={**seen.traces, **{bone: trace(region, scale) for bone, region in one.items()}},
        )
        for one in plausible(segmentation)
    ]
    judged = bool(segmentation.plausible)
    numbers = dict(_found(seen))
    told = {key for key, number in numbers.items() if isinstance(number, Found)}
    taken = _numbers(seen, numbers, [measured_values(other, told) for other in others], judged, known is not None)
    found = list(with_scores(taken, segmentation.schema))
    if radiograph is not None:
        found = list(_with_cortices(found, seen, radiograph, known is not None))
    marked = None if radiograph is None else radiograph.side
    return HandMeasurements(
        name=name,
        schema=segmentation.schema,
        measurements=tuple(found),
        spacing=known,
        side=seen.side,
        marked=marked,
        cut=seen.cut,
        confidence=segmentation.confidence,
        centroids={bone: scale.point(one.centre) for bone, one in seen.traces.items()},
        uncertainty_source=FROM_EDGES if judged else FROM_PIXELS,
        origin=segmentation.origin,
        notes=_notes(segmentation, radiograph),
    )


def bones_of(
    segmentation: Segmentation, scale: Scale, doubtful: float = DOUBTFUL, radiograph: Radiograph | None = None
) -> Bones:
    """The bones of a segmentation as they are measured, in the units of ``scale``.

    ``radiograph``: the picture in which they lie, which tells the faint ends.
    """
    cut, ends_cut = cut_bones(segmentation)
    sure = segmentation.confidence
    bones = Bones(
        schema=segmentation.schema,
        traces={bone: trace(region, scale) for bone, region in segmentation},
        reasons={bone: f"doubtful (confidence {sure[bone]:.2f})" for bone in sure if sure[bone] < doubtful},
        cut=cut,
        ends_cut=ends_cut,
        scale=scale,
        side=side_of(geometry(segmentation)),
    )
    return replace(bones, unseen=unseen_ends(bones, segmentation, radiograph))


def _notes(segmentation: Segmentation, radiograph: Radiograph | None) -> tuple[str, ...]:
    """What a reader must know, each sentence once: of the picture, of the bones, of the side."""
    about = () if radiograph is None else radiograph.provenance.notes
    told = side_notes(segmentation, None if radiograph is None else radiograph.side)
    return tuple(dict.fromkeys((*about, *segmentation.notes, *told)))


def _same_shape(segmentation: Segmentation, radiograph: Radiograph) -> None:
    if segmentation.shape != radiograph.shape:
        raise InputError(
            "these bones do not belong to this picture",
            path=radiograph.provenance.path,
            found="a picture of {}x{}".format(*radiograph.shape),
            expected="{}x{} as the bones".format(*segmentation.shape),
        )


def plausible(segmentation: Segmentation) -> list[Mapping[str, Region]]:
    """The bones as they may as well be: at other thresholds and looks, or with their outlines a pixel in and out."""
    if not segmentation.plausible:
        return [moved(segmentation, 1), moved(segmentation, -1)]
    count = min(ENOUGH, max(len(regions) for regions in segmentation.plausible.values()))
    return [
        {bone: regions[k] for bone, regions in segmentation.plausible.items() if k < len(regions)} for k in range(count)
    ]


def cut_bones(segmentation: Segmentation) -> tuple[frozenset[str], frozenset[str]]:
    """Bones that the picture or the exposed field cuts, and those of the forearm whose end at the wrist is cut."""
    outlines = {bone: outlines_from_region(region) for bone, region in segmentation}
    schema = segmentation.schema
    bones = find_cut(outlines, schema, segmentation.shape).bones
    cut = frozenset(bone for bone, _ in segmentation if bones[schema.index(bone)])
    hand = [one for name, one in segmentation if schema.bone(name).row not in SHAFTS]
    ends = []
    for bone in (one.name for one in schema.bones if one.row in SHAFTS):
        region = segmentation.get(bone)
        if region is not None and hand:
            ends += [bone] * _end_at_border(region, hand, segmentation.shape)
    return cut, frozenset(ends)


def _end_at_border(region: Region, hand: list[Region], shape: tuple[int, int]) -> bool:
    """Whether that third of a region that lies next to the hand's bones touches the picture's border."""
    middle = np.mean([one.middle for one in hand], axis=0)
    rows, columns = np.nonzero(region.mask)
    place = np.stack([columns + region.left, rows + region.top], axis=1)
    way = middle - place.mean(axis=0)
    along = place @ way
    near = place[along > along.max() - np.ptp(along) / 3]
    low, high = near.min(axis=0), near.max(axis=0)
    return bool((low <= 0).any() or high[0] >= shape[1] - 1 or high[1] >= shape[0] - 1)


def measured_values(bones: Bones, wanted: Container[Key] | None = None) -> dict[Key, float]:
    """Every number that can be had of bones, of those that are ``wanted`` (None: all), but those of grey profiles."""
    return {key: found.value for key, found in _found(bones, wanted) if isinstance(found, Found)}


def _found(bones: Bones, wanted: Container[Key] | None = None) -> Iterator[tuple[Key, Found | str]]:
    """Every measurement that is ``wanted`` (None: all), or the reason why there is none; bone by bone, then those of
    the hand; none for what needs bones that the schema does not have."""
    for bone in bones.schema.names:
        for name, of_bone in OF_A_BONE.items():
            if not applies(bones, name, bone) if wanted is None else (name, bone) not in wanted:
                continue
            try:
                yield (name, bone), of_bone(bones, bone)
            except Foreign:
                continue
            except Unmeasured as reason:
                yield (name, bone), str(reason).removeprefix(f"{bones.schema.bone(bone).title}: ")
    for name, of_hand in OF_A_HAND.items():
        if wanted is not None and (name, None) not in wanted:
            continue
        try:
            yield (name, None), of_hand(bones)
        except Foreign:
            continue
        except Unmeasured as reason:
            yield (name, None), str(reason)


def _numbers(
    seen: Bones, numbers: Mapping[Key, Found | str], others: list[dict[Key, float]], judged: bool, metric: bool
) -> Iterator[Measurement]:
    for (name, bone), found in numbers.items():
        unit = _unit(name, metric)
        if isinstance(found, str):
            yield Measurement(name, bone, unit=unit, reason=found)
            continue
        about = [other[name, bone] for other in others if (name, bone) in other]
        size = seen.unit if bone is None else seen.traces[bone].size
        row = HAND if bone is None else seen.schema.bone(bone).row
        doubt = uncertainty(name, row, found.value, about, size, judged)
        yield Measurement(name, bone, found.value, doubt, unit, None, found.strokes)


def _with_cortices(
    numbers: list[Measurement], seen: Bones, radiograph: Radiograph, metric: bool
) -> Iterator[Measurement]:
    """The numbers with those of the grey profiles after each metacarpal that has one."""
    names = {bone.name for bone in seen.schema.bones if bone.row == "metacarpal" and bone.digit in DIGITS}
    for one, after in zip(numbers, [*numbers[1:], None], strict=True):
        yield one
        if one.bone in names and (after is None or after.bone != one.bone):
            yield from _cortices(seen, one.bone, radiograph, metric)


def _cortices(seen: Bones, bone: str, radiograph: Radiograph, metric: bool) -> Iterator[Measurement]:
    names = ("cortical_thickness", "cortical_index")
    try:
        found = cortex(seen, bone, radiograph)
    except Unmeasured as reason:
        told = str(reason).removeprefix(f"{seen.schema.bone(bone).title}: ")
        yield from (Measurement(name, bone, unit=_unit(name, metric), reason=told) for name in names)
        return
    numbers = ((found.thickness, found.thickness_doubt), (found.index, found.index_doubt))
    for name, (number, doubt) in zip(names, numbers, strict=True):
        yield Measurement(name, bone, number.value, doubt, _unit(name, metric), None, number.strokes)


def _unit(name: str, metric: bool) -> Unit:
    return _UNITS[DEFINITIONS[name].quantity][0 if metric else 1]
