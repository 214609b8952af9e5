"""Lengths of the tubular bones of the hand against published ones: the metacarpophalangeal pattern profile as z-scores.

Buryanov A, Kotiuk V. Proportions of hand segments. Int J Morphol 2010; 28: 755-758, table I: means and standard
deviations in mm on radiographs of 66 right hands of adults of 19 to 78 years, men and women together, from joint space
to joint space. The numbers were taken from two independent transcriptions that agree, rounded to .1 mm, not from the
print itself. Half of each joint space is in them, so that a bone by itself reads a little low; they say
nothing of children, and sex and stature are not taken out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from ossa.measurement.types import Measurement
from ossa.schema import BoneSchema

#: Why there is no z-score although there is a length.
NO_SPACING = "norms are in mm: the size of a pixel is not known"

#: (row, digit) -> mean and standard deviation, mm.
LENGTHS: Mapping[tuple[str, int], tuple[float, float]] = MappingProxyType(
    {
        ("metacarpal", 1): (46.2, 3.9), ("proximal", 1): (31.6, 3.1), ("distal", 1): (21.7, 1.6),
        ("metacarpal", 2): (68.1, 6.3), ("proximal", 2): (39.8, 4.9), ("middle", 2): (22.4, 2.5),
        ("distal", 2): (15.8, 2.3), ("metacarpal", 3): (64.6, 5.4), ("proximal", 3): (44.6, 3.8),
        ("middle", 3): (26.3, 3.0), ("distal", 3): (17.4, 1.9), ("metacarpal", 4): (58.0, 5.1),
        ("proximal", 4): (41.4, 3.9), ("middle", 4): (25.7, 3.3), ("distal", 4): (17.3, 2.2),
        ("metacarpal", 5): (53.7, 4.4), ("proximal", 5): (32.7, 2.8), ("middle", 5): (18.1, 2.5),
        ("distal", 5): (16.0, 2.5),
    }
)  # fmt: skip


def with_scores(numbers: Iterable[Measurement], schema: BoneSchema) -> Iterator[Measurement]:
    """``numbers``, each length of a bone that has a norm followed by its z-score, or by the reason for none. Bones of
    other parts than a hand have no norm."""
    if not schema.in_row("metacarpal"):  # toes have phalanges too
        yield from numbers
        return
    for one in numbers:
        yield one
        bone = None if one.bone is None or one.name != "length" else schema.bone(one.bone)
        norm = None if bone is None or bone.digit is None else LENGTHS.get((bone.row, bone.digit))
        if norm is None:
            continue
        mean, deviation = norm
        if one.value is None or one.unit != "mm":
            yield Measurement("length_z", one.bone, unit="ratio", reason=one.reason or NO_SPACING)
            continue
        doubt = None if one.uncertainty is None else one.uncertainty / deviation
        yield Measurement("length_z", one.bone, (one.value - mean) / deviation, doubt, "ratio")
