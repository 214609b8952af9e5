"""What age, arthritis and accidents do to bones: worn joints with spurs and dense margins, eroded ends, fracture lines.

Spurs belong to their bone, what is eroded does not, and a fracture line does not end one. Frequencies and sizes are
schematic and drawn wide; lengths in mm.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from ossa.phantom.part import Part, default_part
from ossa.phantom.placed import PlacedBone, along_axis
from ossa.phantom.projection import F32


@dataclass(frozen=True)
class Disease:
    """``wear``: 0 (none) to 1 (severe osteoarthritis); ``broken``: the bones with a fracture line; ``erosion``: 0 to 1
    (severe rheumatoid arthritis); ``part``: whose bones these are."""

    wear: float
    broken: tuple[str, ...]
    erosion: float = 0.0
    part: Part = field(default_factory=default_part)


def sample_disease(names: tuple[str, ...], age: float, rng: np.random.Generator, part: Part | None = None) -> Disease:
    """Worn joints in half of the people from 50 on (I. Haugen et al., Ann Rheum Dis 70:1581-1586, 2011), a
    fracture line or two in one of twelve, eroded joints in one of thirty from 25 on: more than among all people, for
    such joints are often filmed."""
    wear = float(rng.uniform(0.1, 1.0)) if age > 50 and rng.uniform() < 0.5 else 0.0
    count = int(rng.integers(1, 3)) if rng.uniform() < 0.08 else 0
    broken = tuple(str(n) for n in rng.choice(names, count, replace=False))
    eroded = float(rng.uniform(0.2, 1.0)) if age > 25 and rng.uniform() < 1 / 30 else 0.0
    return Disease(wear, broken, eroded, part or default_part())


def spurred(bone: PlacedBone, disease: Disease, mm: float, rng: np.random.Generator) -> PlacedBone:
    """The bone with osteophytes: its ends swollen by up to 1.3 mm, here and there more than elsewhere."""
    wear = disease.wear * disease.part.keys.wear.get(bone.bone, 0.0) * rng.uniform(0.2, 1.0)
    if wear == 0.0:
        return bone
    end = np.exp(-(((1 - np.abs(bone.t)) / 0.12) ** 2))
    around = np.arctan2(bone.points[:, 1] - bone.points[:, 1].mean(), bone.points[:, 0] - bone.points[:, 0].mean())
    lumps = np.clip(np.sin(around * rng.integers(2, 5) + rng.uniform(0, 6)) + rng.uniform(-0.3, 0.6), 0, None)
    swelling = 0.8 * wear * end * lumps / mm
    return replace(bone, points=np.asarray(bone.points + bone.normals * swelling[:, None]))


def eroded(bone: PlacedBone, disease: Disease, mm: float, rng: np.random.Generator) -> PlacedBone:
    """The bone with bites of up to 2.5 mm out of its ends, or all around a short one; tips are spared."""
    depth = disease.erosion * rng.uniform(-0.6, 1.0)
    # Rheumatoid arthritis hardly erodes what lies beyond the end joints, and the shafts.
    if depth <= 0 or bone.bone in disease.part.tips or bone.bone in disease.part.shafts:
        return bone
    points = bone.points - bone.points.mean(axis=0)
    near_joint = np.exp(-(((1 - np.abs(bone.t)) / 0.15) ** 2)) if bone.bone in disease.part.tubular else 1.0
    bites = np.zeros(len(points))
    for _ in range(int(rng.integers(2, 6))):
        at = points[int(rng.integers(len(points)))]
        reach = rng.uniform(1.5, 3.5) / mm
        bites = np.maximum(bites, np.exp(-((points - at) ** 2).sum(axis=1) / reach**2))
    return replace(bone, points=bone.points - bone.normals * (2.5 * depth * near_joint * bites / mm)[:, None])


def sclerosis(bone: PlacedBone, disease: Disease, box: tuple[int, int, int, int], mm: float) -> F32 | float:
    """How much denser (h, w) the bone is under its worn ends, within ``box`` (top, left, h, w); 0 when it is not."""
    wear = disease.wear * disease.part.keys.wear.get(bone.bone, 0.0)
    if wear == 0.0:
        return 0.0
    along, _, length = along_axis(bone, box)
    depth = np.minimum(np.abs(along), np.abs(along - length)) * mm
    return np.asarray(0.35 * wear * np.exp(-((depth / 1.5) ** 2)), np.float32)


def fracture(
    bone: PlacedBone, disease: Disease, box: tuple[int, int, int, int], mm: float, rng: np.random.Generator
) -> F32 | float:
    """A factor (h, w) on the bone's tissue: a thin dark line across it; 1 when the bone is whole."""
    if bone.bone not in disease.broken:
        return 1.0
    along, across, length = along_axis(bone, box)
    at, slope = rng.uniform(0.1, 0.9) * length, rng.uniform(-1.2, 1.2)
    wave = rng.uniform(0.2, 1.0) / mm * np.sin(across * mm * rng.uniform(0.5, 2.0) + rng.uniform(0, 6))
    distance = np.abs(along - at - slope * across - wave) / np.hypot(1.0, slope) * mm
    width = max(rng.uniform(0.15, 0.6), 0.5 * mm)
    return np.asarray(1 - rng.uniform(0.2, 0.8) * np.exp(-((distance / width) ** 2)), np.float32)
