"""Bones as books and models show them: flat or rounded shapes with outlines, without film or flesh.

A network that finds bones in radiographs shall find none here. What tells them apart is the surface: in a radiograph a
bone fades from its cortex inwards, seen through; drawn it is even within its line, photographed brightest inside.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ossa.segmentation.segmentation import Segmentation


def drawing(truth: Segmentation, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A drawing (H, W) of the bones of ``truth``; the same numbers of ``rng`` draw the same."""
    height, width = truth.shape
    u = rng.uniform
    paper, bone, ink = (u(0.0, 0.35), u(0.55, 1.0), u(0.0, 0.3)) if u() < 0.7 else (u(0.8, 1.0), u(0.4, 0.9), u(0, 0.3))
    plane = np.full((height, width), paper, np.float32)
    if u() < 0.3:  # light that falls from one side
        plane += np.linspace(-0.5, 0.5, width, dtype=np.float32)[None] * u(-0.25, 0.25)
    flat, dark = u() < 0.4, u(0.4, 0.9)
    line = int(rng.integers(1, 4)) if flat or u() < 0.5 else 0
    hollow = flat and line > 0 and u() < 0.3
    names = [name for name, _ in truth]
    for name in rng.permutation(names):
        mask = truth.plane(str(name)).astype(np.uint8)
        inside = mask.astype(bool)
        if not hollow:
            own = bone * u(0.9, 1.1)
            depth = cv2.distanceTransform(mask, cv2.DIST_L2, 3)
            edge = 1 - depth[inside] / max(float(depth.max()), 1e-6)
            plane[inside] = own * (1.0 if flat else 1 - dark * edge**2)
        if line:
            contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
            cv2.drawContours(plane, contours, -1, bone if hollow else ink, line)
    soft = cv2.GaussianBlur(plane, (0, 0), u(0.3, 1.0))
    shown = soft.astype(np.float64) + rng.normal(0, u(0.0, 0.03), plane.shape)
    shown = 1 - shown if u() < 0.25 else shown
    return (np.clip(shown, 0, 1) * 255).astype(np.uint8)
