"""Outlines of 29 bones at 2048x2048 filled to regions, against cv2.fillPoly in each bone's own box.

Run: python benchmarks/bench_outlines.py
"""

from __future__ import annotations

import time

import cv2
import numpy as np
from numpy.typing import NDArray

from _made import SHAPE, made_outlines, timed
from _record import record
from ossa.segmentation.outlines import map_outlines, region_from_outlines
from ossa.segmentation.segmentation import Region


def filled(points: NDArray[np.int32]) -> Region:
    """The shortest way: one call in a box that just holds the ring."""
    x, y, wide, high = cv2.boundingRect(points)
    box = np.zeros((high, wide), np.uint8)
    cv2.fillPoly(box, [points - (x, y)], 1)
    return Region(y, x, box.view(np.bool_))


def main() -> None:
    traced = made_outlines()
    whole = map_outlines(traced, np.rint)
    rings = [part.exterior.astype(np.int32) for parts in whole.values() for part in parts]
    for points, parts in zip(rings, whole.values(), strict=True):
        ours, theirs = region_from_outlines(parts, SHAPE), filled(points)
        if ours is None or (ours.top, ours.left) != (theirs.top, theirs.left) or (ours.mask != theirs.mask).any():
            raise SystemExit("cv2 fills other pixels")
    contests = {
        "whole-number points (the same pixels)": whole,
        "fractional points, filled at 1/256 px (cv2: rounded first)": traced,
    }
    lines = ["| 29 outlines to regions | cv2.fillPoly in the bone's box, ms | ossa, ms | ratio |", "|---|---|---|---|"]
    for what, outlines in contests.items():
        parts = list(outlines.values())
        pairs = [
            (
                timed(lambda: [filled(ring) for ring in rings], 1, time.process_time)[0],
                timed(lambda parts=parts: [region_from_outlines(p, SHAPE) for p in parts], 1, time.process_time)[0],
            )
            for _ in range(31)
        ]
        cv, own = (float(np.median(column)) for column in zip(*pairs, strict=True))
        lines.append(f"| {what} | {cv:.2f} | {own:.2f} | {cv / own:.1f}x |")
    record("Outlines (bench_outlines.py)", ["Processor time of one thread, median, in turns.", "", *lines])


if __name__ == "__main__":
    main()
