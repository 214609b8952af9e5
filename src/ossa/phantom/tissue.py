"""What the beam crosses, in mm per pixel: cortical and spongy bone, soft tissue. And the truth.

Cortex is a bone's mesh minus the same mesh moved inwards by the cortex' thickness, which is greatest
at mid-shaft and thin at the ends. Growth plates, sesamoids and texture belong here too: all that a
later exposure cannot change.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ossa.phantom.disease import eroded, fracture, sample_disease, sclerosis, spurred
from ossa.phantom.drawn import DrawnPart
from ossa.phantom.growth import CHILD
from ossa.phantom.mesh import F64, ellipsoid
from ossa.phantom.part import Part, default_part, part_of
from ossa.phantom.placed import PlacedBone, along_axis, axis_of
from ossa.phantom.projection import F32, thickness
from ossa.phantom.variants import Variants, varied
from ossa.schema import BoneSchema

#: Cortex in mm at the ends of a tube and all around a short bone (schematic), and a pixel's least path through bone
#: in mm to belong to the truth: an edge thinner than this cannot be seen.
END_WALL, SHORT_WALL, LEAST_BONE = 0.35, 0.5, 0.05


@dataclass(frozen=True, eq=False)
class Projection:
    """Path lengths in mm, each (H, W) float32, and the truth as ``bits`` (H, W) uint32.

    ``mm`` is the pixel size; ``drawn`` tells what lies where.
    """

    cortex: F32
    spongy: F32
    soft: F32
    metal: F32
    bits: NDArray[np.uint32]
    mm: float
    drawn: DrawnPart


def add_bones(
    bones: list[PlacedBone],
    schema: BoneSchema,
    shape: tuple[int, int],
    mm: float,
    age: float,
    rng: np.random.Generator,
    variants: Variants | None = None,
) -> tuple[F32, F32, NDArray[np.uint32]]:
    """Cortical and spongy path lengths (mm) and the truth's bits, for bones in picture space.

    ``age`` in years opens growth plates and thins the cortex from 50 on. How thick, grainy and dense bone is
    is drawn, for the person and then for each bone, from schematic ranges. ``variants``: what few people have.
    """
    part = part_of(schema)
    cortex, spongy = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    bits = np.zeros(shape, np.uint32)
    thick = rng.uniform(0.55, 1.35) * (1.0 if age < 50 else rng.uniform(0.55, 1.0))
    grain = (0.5 * rng.uniform() ** 1.5, rng.uniform(0.8, 2.2))
    plates = _plate_state(age, rng)
    disease = sample_disease(schema.names, age, rng, part)
    for whole in varied(bones, variants, disease.erosion > 0, mm) if variants else bones:
        bone = eroded(spurred(whole, disease, mm, rng), disease, mm, rng)
        top, left, full = thickness(bone.points, bone.faces, shape)
        if full.size == 0:
            continue
        full = np.clip(full * mm, 0, None)
        wall = thick * rng.normal(1, 0.08) * _wall(bone, part) + _joint_plate(bone, part, rng)
        inner_points = bone.points - bone.normals * (wall / mm)[:, None]
        inner = np.zeros_like(full)
        y, x, core = thickness(inner_points, bone.faces, shape)
        if core.size:
            _overlay(inner, core * mm, y - top, x - left)
        inner = np.clip(inner, 0, full)
        shell = full - inner
        density = max(float(rng.normal(1, 0.08)), 0.7)
        if bone.bone in part.tips:
            fade = _tuft_fade(bone, (top, left, *full.shape), mm, rng)
            shell, inner = shell * fade, inner * fade
        marrow = inner * density * (0.25 + 0.75 * rng.uniform() if bone.bone in part.tubular else rng.uniform(0.7, 1.0))
        marrow *= _trabeculae(bone, full.shape, mm, grain, bone.bone in part.short, rng)
        box = (slice(top, top + full.shape[0]), slice(left, left + full.shape[1]))
        if plates is not None and bone.bone not in part.short:
            gap, edge = _plate(bone, part, full.shape, top, left, mm, plates, rng)
            shell, marrow = shell * gap + full * edge * 0.25, marrow * gap
        extent = (top, left, *full.shape)
        if bone.bone in part.keys.loaded and age >= CHILD:
            lip, band = _joint_rim(bone, full, extent, mm, rng)
            shell, marrow = shell * lip + full * band, marrow * lip
        line = fracture(bone, disease, extent, mm, rng)
        shell, marrow = (shell + full * sclerosis(bone, disease, extent, mm)) * line, marrow * line
        cortex[box] += shell * density
        spongy[box] += marrow
        bits[box][full > LEAST_BONE] |= np.uint32(1 << schema.index(bone.bone))
    return cortex, spongy, bits


def _overlay(target: F32, part: F32, top: int, left: int) -> None:
    """Add ``part`` to ``target`` at (top, left), cut to the target."""
    y0, x0 = max(top, 0), max(left, 0)
    y1, x1 = min(top + part.shape[0], target.shape[0]), min(left + part.shape[1], target.shape[1])
    if y1 > y0 and x1 > x0:
        target[y0:y1, x0:x1] += part[y0 - top : y1 - top, x0 - left : x1 - left]


def _wall(bone: PlacedBone, part: Part) -> F64:
    """Cortex thickness in mm at each vertex. At mid-shaft of a tube about a fifth of its width, before the person's own
    factor (both cortices together are 46 % of the width in women, 53 % in men, where films are usually measured; Ekpo
    et al., J. Radiography & Radiation Sciences 21:1-6, 2007)."""
    middle = 0.20 * min(bone.width, 11.0)
    if bone.bone in part.tubular:
        bump = np.clip(1 - (bone.t / 0.75) ** 2, 0, 1) ** 1.5
        return np.asarray(END_WALL + (middle - END_WALL) * bump)
    if bone.bone in part.shafts:
        # From the broad end, thinly walled, to the shaft.
        bump = np.clip((bone.from_end - 12.0) / 55.0, 0, 1)
        return np.asarray(END_WALL + (middle - END_WALL) * bump)
    return np.full(len(bone.points), SHORT_WALL)


def _joint_plate(bone: PlacedBone, part: Part, rng: np.random.Generator) -> F64 | float:
    """Extra thickness in mm where a bone carries load: the plate under a loaded shaft's joint surface, which films
    show as a white band, and all around a short bone. Schematic."""
    if bone.bone in part.keys.loaded:
        return np.asarray(rng.uniform(0.0, 1.5) * np.clip((10.5 - bone.from_end) / 6.0, 0, 1))
    return float(rng.uniform(0.0, 0.3)) if bone.bone in part.short else 0.0


def _tuft_fade(bone: PlacedBone, box: tuple[int, int, int, int], mm: float, rng: np.random.Generator) -> F32:
    """A factor (h, w) that thins out a digit's last millimetres, whose tuft films hardly show. Schematic."""
    along, _, length = along_axis(bone, box)
    from_tip = (length - along) * mm
    reach, least = rng.uniform(2.0, 6.0), rng.uniform(0.35, 1.0)
    return np.asarray(least + (1 - least) * np.clip(from_tip / reach, 0, 1), np.float32)


def _joint_rim(
    bone: PlacedBone, full: F32, box: tuple[int, int, int, int], mm: float, rng: np.random.Generator
) -> tuple[F32, F32]:
    """A loaded shaft's joint surface as films show it: a factor (h, w) on the bone, and how much denser (h, w) it is.

    The surface is a hollow. Its floor is a white band, 1 to 6 mm short of the bone's end; what lies beyond is one lip
    alone, which covers the short bones there and is the fainter for it (schematic, after films).
    """
    one, none = np.ones_like(full), np.zeros_like(full)
    if rng.uniform() < 0.15:
        return one, none
    along, across, _ = along_axis(bone, box)
    inside = full > LEAST_BONE
    step = np.round(across).astype(np.intp)
    step -= step.min()
    edge = np.full(int(step.max()) + 1, -np.inf)
    np.maximum.at(edge, step[inside], along[inside])
    there = np.flatnonzero(np.isfinite(edge))
    if there.size < 2:
        return one, none
    wide = max(1, round(3.0 / mm))
    edge = np.interp(np.arange(edge.size), there, edge[there])
    edge = np.convolve(np.pad(edge, wide, "edge"), np.full(2 * wide + 1, 1 / (2 * wide + 1)), "valid")
    side = 2 * (step - there[0]) / max(int(there[-1] - there[0]), 1) - 1.0
    depth = (edge[step] - along) * mm
    floor = rng.uniform(1.0, 5.0) + rng.normal(0, 0.7) * side + rng.uniform(-0.5, 1.0) * (1 - side**2)
    width = max(rng.uniform(0.4, 1.1), 0.6 * mm)
    band = rng.uniform(0.05, 0.5) * np.exp(-(((depth - floor) / width) ** 2))
    beyond = 1 / (1 + np.exp(np.clip((depth - floor) / 0.3, -30, 30)))
    lip = 1 - (1 - rng.uniform(0.3, 0.95)) * beyond
    return np.asarray(lip, np.float32), np.asarray(band, np.float32)


#: Side of a periodic noise tile, in px.
_TILE = 256


def _noise_tile(seed: int, stretch: float) -> F32:
    """A periodic tile (256, 256) of unit-variance noise around a wavelength of 9 px, ``stretch`` times longer
    along the columns than across them."""
    rng = np.random.default_rng(seed)
    fy, fx = np.meshgrid(np.fft.fftfreq(_TILE), np.fft.fftfreq(_TILE), indexing="ij")
    radius = np.sqrt((fy * stretch) ** 2 + fx**2)
    band = np.exp(-((np.log(np.maximum(radius, 1e-4) / 0.11)) ** 2) / (2 * 0.75**2))
    tile = np.fft.ifft2(np.fft.fft2(rng.standard_normal((_TILE, _TILE))) * band).real
    return np.asarray((tile - tile.mean()) / tile.std(), dtype=np.float32)


_tiles: list[F32] = []


def _trabeculae(
    bone: PlacedBone,
    shape: tuple[int, int],
    mm: float,
    grain: tuple[float, float],
    short: bool,
    rng: np.random.Generator,
) -> F32:
    """A factor around 1 that follows the bone's long axis, as trabeculae follow the load."""
    import cv2

    if not _tiles:
        _tiles.extend(_noise_tile(seed, stretch) for seed, stretch in ((11, 3.0), (12, 2.0), (13, 1.2), (14, 4.0)))
    strength, spacing = grain
    tile = _tiles[int(rng.integers(len(_tiles)))]
    _, direction, _ = axis_of(bone)
    # In short bones the pattern runs any way.
    angle = np.arctan2(direction[0], direction[1]) + rng.normal(0, 0.8 if short else 0.2)
    # One tile pixel is spacing * .09 mm: the band's wavelength of 9 px then is about .8 mm.
    scale = mm / (0.09 * spacing)
    c, s = np.cos(angle) * scale, np.sin(angle) * scale
    offset = rng.uniform(0, _TILE, 2)
    matrix = np.array([[c, -s, offset[0]], [s, c, offset[1]]], np.float64)
    noise = cv2.warpAffine(
        tile, matrix, (shape[1], shape[0]), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_WRAP
    )
    return np.asarray(np.clip(1 + strength * noise, 0.05, None), dtype=np.float32)


def _plate_state(age: float, rng: np.random.Generator) -> tuple[float, float, float] | None:
    """(gap, width in mm, bright margin) of growth plates at an age in years; None when there are none.

    Schematic, after the usual course of skeletal maturation: open before about 13, closing until about 17, then
    a scar (gap 0) until about 25. In children they are gaps in the bones themselves (growth.py).
    """
    if age < CHILD:
        return None
    if age < 13.5:
        return float(rng.uniform(0.6, 0.95)), float(rng.uniform(0.9, 1.8)), float(rng.uniform(0, 0.5))
    if age < 17.5:
        return float(rng.uniform(0.0, 0.7)), float(rng.uniform(0.5, 1.2)), float(rng.uniform(0.2, 0.8))
    if age < 25:
        return 0.0, float(rng.uniform(0.4, 0.8)), float(rng.uniform(0, 0.6))
    return None


def _plate(
    bone: PlacedBone,
    part: Part,
    shape: tuple[int, int],
    top: int,
    left: int,
    mm: float,
    state: tuple[float, float, float],
    rng: np.random.Generator,
) -> tuple[F32, F32]:
    """A factor on the bone (a dark gap across it) and the brightness of the gap's margins, both of ``shape``.

    ``top`` and ``left`` place the bone's box in the picture; ``state`` is that of ``_plate_state``. The plate lies
    2 to 10 mm from the bone's end, depending on the bone (schematic).
    """
    near, direction, length = axis_of(bone)
    gap, width, margin = state
    depth = rng.uniform(4.5, 8.0) if bone.bone in part.shafts else rng.uniform(2.2, 4.2)
    if bone.bone in part.keys.heads and bone.bone not in part.shafts:
        depth = rng.uniform(7.0, 10.0)
    at = length - depth / mm if bone.bone in part.keys.heads else depth / mm
    y, x = np.mgrid[top : top + shape[0], left : left + shape[1]].astype(np.float32)
    along = (x - near[0]) * direction[0] + (y - near[1]) * direction[1]
    across = (x - near[0]) * -direction[1] + (y - near[1]) * direction[0]
    wavy = rng.normal(0, 0.25, 3) / mm
    curve = (
        wavy[0] * np.sin(across * mm * 0.8 + rng.uniform(0, 6))
        + wavy[1] * np.sin(across * mm * 0.4)
        + rng.normal(0, 0.03) * mm * across**2 / 3
    )
    distance = np.abs(along - at - curve) * mm
    half = max(width / 2, 0.6 * mm)
    inside = np.clip(1.5 - distance / half, 0, 1)
    edge = np.exp(-(((distance - half) / max(0.35, 0.7 * mm)) ** 2)) * margin
    if gap == 0.0:
        edge = np.exp(-((distance / max(0.35, 0.7 * mm)) ** 2)) * margin
    return np.asarray(1 - gap * inside, np.float32), np.asarray(edge, np.float32)


def add_sesamoids(
    bones: list[PlacedBone],
    cortex: F32,
    spongy: F32,
    mm: float,
    age: float,
    rng: np.random.Generator,
    first_aside: float = 1.0,
    part: Part | None = None,
) -> NDArray[np.bool_]:
    """Small round bones before the heads of bones, as the schema says, from the ages of 11 to 14 on; sizes schematic.
    They are not in the truth, as no bones of the schema; where (H, W) those of its first entry lie is told.
    ``first_aside``: how much farther from the middle of the head these lie, since digit 1 is often seen from its
    side."""
    part = part or default_part()
    shape = (cortex.shape[0], cortex.shape[1])
    at_first = np.zeros(shape, bool)
    if age < rng.uniform(11, 14):
        return at_first
    by_name = {bone.bone: bone for bone in bones}
    for kind in part.keys.sesamoid:
        if kind.bone not in by_name or rng.uniform() > kind.chance:
            continue
        bone, small, first = by_name[kind.bone], kind.size, kind.bone == part.sesamoid_bone
        near, direction, length = axis_of(bone)
        for side in kind.sides:
            radii = small * rng.uniform(1.2, 2.8, 3) / mm
            mesh = ellipsoid((float(radii[0]), float(radii[1] * 1.2), float(radii[2])), 8)
            aside = side * rng.uniform(1.0, 5.5) if side else rng.normal(0, 1.0)
            aside *= first_aside if first else 1.0
            across = np.array([-direction[1], direction[0]]) * aside / mm
            middle = near + direction * (length - small * rng.uniform(0.5, 6.0) / mm) + across
            points = mesh.vertices + np.array([middle[0], middle[1], 0.0])
            y, x, crossed = thickness(points, mesh.faces, shape)
            if crossed.size:
                depth = np.clip(crossed * mm, 0, None)
                box = (slice(y, y + depth.shape[0]), slice(x, x + depth.shape[1]))
                cortex[box] += 0.3 * depth
                spongy[box] += 0.7 * depth
                if first:
                    at_first[box] |= depth > LEAST_BONE
    return at_first
