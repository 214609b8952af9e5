"""Draw the pool of strips that ``python -m ossa.training.refiner`` learns from.

    python scripts/draw_strips.py POOL --anatomy FOLDER [--anatomy FOLDER ...] [-n 240] [--model BUNDLE]
    python scripts/draw_strips.py POOL --edges

Each phantom is looked at by the model; strips are laid along what the first look and what the closer looks make of its
bones, and each tells how far off the bone's silhouette lies. Every second phantom is of the flat world, the others are
of the wide one, whole and upright as the finder cuts hands out. A phantom that is in the pool already is not drawn
again. ``--edges`` says of a pool where grey values rise most steeply: training.refiner.VISIBLE.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ossa.errors import InputError
from ossa.hand.phantom.myohand import load_people
from ossa.inference.predictor import Predictor
from ossa.inference.refiner import KEPT
from ossa.models.refiner_shape import ACROSS
from ossa.phantom.options import FLAT, WIDE
from ossa.phantom.scene import generate
from ossa.phantom.skeleton import Anatomy
from ossa.progress import bar
from ossa.radiograph.radiograph import Radiograph
from ossa.safety import replacing
from ossa.segmentation.rings import Ring
from ossa.segmentation.segmentation import Region
from ossa.segmentation.strips import APART, Sampler, Seen, sampled

#: Phantoms of these seeds are for the refiner alone.
SEED = 1_400_000_000

#: Longer sides of the pictures, px: from thumbnails to what detectors deliver.
SIZES = (700, 2600)

WORLDS = (
    replace(FLAT, turned=0, wrist_only=0, fill=(0.6, 1.02), young=0.5),
    replace(
        WIDE, turned=0, tilt=10.0, fill=(0.55, 1.05), parts=0, lateral_views=0, wrist_only=0.04, bent_fingers=0.08,
        children=0.08, worn=0.12, marked=0.05, treated=0.06, overexposed=0.05, inverted=0,
    ),
)  # fmt: skip

#: A free edge: no other bone's logit is higher than this anywhere across it.
ALONE = -2.0

#: The steepest rise is looked for within so many samples of the silhouette, and must be this share of all greys.
NEAR, STEEP = 2.5, 0.04


def main() -> None:
    """Draw, or tell of what was drawn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pool", type=Path)
    parser.add_argument("--anatomy", type=Path, action="append")
    parser.add_argument("--model", type=Path)
    parser.add_argument("-n", type=int, default=240)
    parser.add_argument("--edges", action="store_true")
    a = parser.parse_args()
    if a.edges:
        tell_edges(a.pool)
        return
    predictor = Predictor.load(a.model)
    predictor = replace(predictor, networks=replace(predictor.networks, upright=False))
    anatomy = load_people(a.anatomy) if a.anatomy else None
    a.pool.mkdir(parents=True, exist_ok=True)
    for number in bar(range(a.n), a.n, "Drawing strips"):
        path = a.pool / f"{SEED + number}.npz"
        if path.exists():
            continue
        kept = drawn(predictor, anatomy, number)
        if kept is not None:
            with replacing(path) as temporary, temporary.open("wb") as stream:
                np.savez(stream, **kept)


def drawn(predictor: Predictor, anatomy: Anatomy | None, number: int) -> dict[str, NDArray[np.generic]] | None:
    """The strips of a phantom as a pool keeps them; None when no bone is found."""
    low, high = np.log(SIZES)
    size = round(np.exp(np.random.default_rng([3, number]).uniform(low, high)))
    radiograph, truth = generate(SEED + number, size, WORLDS[number % len(WORLDS)], anatomy)
    look = predictor.networks.look(predictor.networks.prepare(radiograph))
    first = predictor.first_found(look)
    closer = predictor.looked_closer(first, radiograph)
    sampler = Sampler(radiograph.pixels, ACROSS)
    strips, offsets = [], []
    of_first: Mapping[str, Seen] = dict.fromkeys(first.regions, Seen(look.logits, look.placement))
    for found, seen in ((closer.bones, {**of_first, **closer.seen}), (first, of_first)):
        for name, region in found:
            one = sampler.ring(region) if name in seen and name in truth else None
            if one is None:
                continue
            strips.append(sampler.strip(one, seen[name], found.schema.index(name)))
            offsets.append(offset_of(sampler, one, truth.regions[name], radiograph))
    if not strips:
        return None
    return {
        "strips": np.concatenate(strips, axis=2).astype(np.float16),
        "counts": np.array([offset.size for offset in offsets]),
        "offset": np.concatenate(offsets),
    }


def offset_of(sampler: Sampler, one: Ring, true: Region, radiograph: Radiograph) -> NDArray[np.float32]:
    """How many samples outside of a ring's points (N,) the silhouette is left; the nearest such place. NaN where there
    is none, and at the picture's border."""
    inside = sampled(np.pad(true.mask, 1).astype(np.float32), sampler.points(one) - (true.left - 1, true.top - 1)) - 0.5
    here, there = inside[:-1], inside[1:]
    left = (here > 0) & (there <= 0)
    place = np.arange(ACROSS - 1)[:, None] - ACROSS // 2 + here / np.where(left, here - there, 1)
    place = np.where(left, place, np.inf)
    nearest = np.take_along_axis(place, np.argmin(np.abs(place), axis=0)[None], axis=0)[0]
    height, width = radiograph.shape
    x, y = one.points.T
    near = KEPT * sampler.unit
    border = (x < near) | (y < near) | (x > width - 1 - near) | (y > height - 1 - near)
    return np.where(np.isfinite(nearest) & ~border, nearest, np.nan).astype(np.float32)


def tell_edges(pool: Path) -> None:
    """Print where grey values rise most steeply on free edges, in units outside the silhouette."""
    found = []
    for path in sorted(pool.glob("*.npz")):
        with np.load(path, allow_pickle=False) as kept:
            (grey, _, other), offset = kept["strips"].astype(np.float32), kept["offset"]
        free = np.isfinite(offset) & (other.max(axis=0) < ALONE)
        grey, offset = grey[:, free], offset[free]
        if not offset.size:
            continue
        place = np.arange(ACROSS - 1)[:, None] + 0.5 - ACROSS // 2
        rise = np.where(np.abs(place - offset) <= NEAR, grey[:-1] - grey[1:], -np.inf)
        top = np.clip(rise.argmax(axis=0), 1, ACROSS - 3)
        before, at, after = (np.take_along_axis(rise, (top + k)[None], axis=0)[0] for k in (-1, 0, 1))
        good = np.isfinite(before) & np.isfinite(after)
        good &= (at >= before) & (at >= after) & (at > STEEP * np.subtract(*np.percentile(grey, [99, 1])))
        before, at, after, top, offset = (v[good] for v in (before, at, after, top, offset))
        between = 0.5 * (before - after) / (before - 2 * at + after - 1e-9)
        found.append((top + 0.5 - ACROSS // 2 + between - offset) * APART)
    if not found:
        raise InputError("is no pool of strips", path=pool, expected=".npz files of draw_strips.py")
    units = np.concatenate(found)
    low, middle, high = np.percentile(units, [25, 50, 75])
    print(f"{len(units)} free edges of {len(found)} phantoms: {middle:.2f} units (quartiles {low:.2f}, {high:.2f})")


if __name__ == "__main__":
    main()
