"""Measures src/ossa/schemas/reference/hand29.toml on synthetic hands: python scripts/hand_reference.py [COUNT]

Phantoms come from the built-in anatomy with seeds of their own. Bones that touch the picture's border are left out,
those of the forearm excepted. Anchors are means after each hand was fitted to the others by its core bones.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from ossa.hand.geometry import area, side_of
from ossa.hand.reference import CORE, STUBS, anchors_of
from ossa.phantom.scene import PhantomOptions, generate
from ossa.safety import write_text
from ossa.schema import load_schema
from ossa.segmentation.outlines import outlines_from_segmentation

OUT = Path(__file__).parents[1] / "src" / "ossa" / "schemas" / "reference" / "hand29.toml"
FIRST_SEED = 700_000_000
SIZE = 320
#: Least spread, as a share of the hand's unit: tracing by hand, and anatomy that phantoms do not vary.
FLOOR = 0.03


def main() -> None:
    """Draw, fit, write."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    schema = load_schema()
    names = schema.names
    points = np.full((count, len(names)), np.nan, complex)
    areas = np.full((count, len(names)), np.nan)
    options = PhantomOptions(wrist_only=0.0, clutter=0.0)
    for k in range(count):
        _, truth = generate(FIRST_SEED + k, SIZE, options)
        outlines = outlines_from_segmentation(truth)
        inside = {}
        for name, region in truth:
            cut = (
                region.top == 0 or region.left == 0 or region.bottom == truth.shape[0] or region.right == truth.shape[1]
            )
            if not cut or name in STUBS:
                inside[name] = outlines[name]
        for name, at in anchors_of(inside).items():
            points[k, names.index(name)] = -at.conjugate() if side_of(outlines) == "L" else at
            areas[k, names.index(name)] = area(inside, name)
    core = np.array([name in CORE for name in names])
    usable = np.isfinite(points[:, core]).all(axis=1)
    points, areas = points[usable], areas[usable]
    mean = points[0] - points[0, core].mean()
    mean = np.where(np.isfinite(mean), mean, 0)
    for _ in range(10):
        aligned, sizes = align(points, mean, core)
        mean = np.nanmedian(aligned.real, axis=0) + 1j * np.nanmedian(aligned.imag, axis=0)
        mean -= mean[core].mean()
        mean /= np.sqrt((np.abs(mean[core]) ** 2).mean())
        # Upright: from the capitate to the middle finger's proximal phalanx.
        up = mean[names.index("finger-10")] - mean[names.index("Capitate")]
        mean *= -1j * abs(up) / up
    aligned, sizes = align(points, mean, core)
    distance2 = np.abs(aligned - mean) ** 2
    spread = np.maximum(np.sqrt(np.nanmedian(distance2, axis=0) / (2 * np.log(2))), FLOOR)
    logs = np.log(areas / sizes[:, None] ** 2)
    middle = np.nanmedian(logs, axis=0)
    area_spread = 1.4826 * np.nanmedian(np.abs(logs - middle), axis=0)
    lines = [
        f"# Made by scripts/hand_reference.py from {len(points)} synthetic right hands.",
        "# Seen from the back, fingers up, y down.",
        "# Unit: root mean square distance of the core bones' anchors from their mean. area: logarithm, unit squared.",
        "[bones]",
    ]
    for i, name in enumerate(names):
        row = f"x = {mean[i].real:.4f}, y = {mean[i].imag:.4f}, spread = {spread[i]:.4f}"
        lines.append(f"{name} = {{ {row}, log_area = {middle[i]:.4f}, area_spread = {area_spread[i]:.4f} }}")
    write_text(OUT, "\n".join(lines) + "\n")


def align(points, mean, core):
    """Each hand turned, sized and shifted onto ``mean`` by its core bones; and its size in px per unit."""
    p, m = points[:, core], mean[core]
    centre = p.mean(axis=1, keepdims=True)
    a = ((p - centre) * (m - m.mean()).conjugate()).sum(axis=1) / (np.abs(m - m.mean()) ** 2).sum()
    return (points - centre) / a[:, None] + m.mean(), np.abs(a)


if __name__ == "__main__":
    main()
