"""From path lengths to a grey picture: attenuation, quantum noise, detector, film and display curve."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ossa.phantom import clutter, marks
from ossa.phantom.options import PhantomOptions
from ossa.phantom.projection import F32
from ossa.phantom.tissue import Projection
from ossa.phantom.treatment import cast
from ossa.phantom.wear import worn

U8 = NDArray[np.uint8]


def noise_field(rng: np.random.Generator, shape: tuple[int, int], cells: int) -> F32:
    """Smooth noise (H, W) of unit variance at its ``cells`` x ``cells`` nodes."""
    import cv2

    nodes = rng.standard_normal((cells, cells)).astype(np.float32)
    return np.asarray(cv2.resize(nodes, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC))


def expose(scene: Projection, rng: np.random.Generator, options: PhantomOptions) -> tuple[U8, NDArray[np.bool_]]:
    """One picture (H, W) uint8 of a scene, bone bright, and where bones can be seen (H, W) bool: where the beam reached
    and no plate lies.

    Attenuation follows Beer and Lambert with effective coefficients per mm for exposures of
    45-60 kVp, drawn wide: cortical bone .03-.08, spongy .006-.028, soft tissue .012-.026 (orders of
    magnitude from NIST's mass attenuation coefficients at 30-40 keV, scaled to contrast in log space).
    """
    import cv2

    shape = (scene.cortex.shape[0], scene.cortex.shape[1])
    uniform = rng.uniform
    cortical, spongy, soft = uniform(0.03, 0.08), uniform(0.006, 0.028), uniform(0.012, 0.026)
    mu = cortical * scene.cortex + spongy * scene.spongy + soft * scene.soft + 0.9 * scene.metal
    clutter.add_objects(mu, scene.mm, rng, options.clutter)
    if uniform() < 0.5 * options.treated:
        mu += cast(scene.soft, scene.drawn, scene.mm, rng)
    # Heel effect and scatter: slow changes over the field.
    mu += noise_field(rng, shape, 3) * uniform(0, 0.06)
    if uniform() < 0.5:
        scatter = uniform(0.05, 0.4)
        mu = mu * (1 - scatter) + scatter * cv2.GaussianBlur(mu, (0, 0), 0.06 * max(shape))
    mu = cv2.GaussianBlur(mu, (0, 0), uniform(0.25, 0.9))
    quanta = 10 ** (uniform(2.9, 5.0) if uniform() < 0.8 else uniform(2.3, 2.9))
    arrived = np.maximum(np.exp(-np.maximum(mu, 0)) * quanta, 1e-3)
    grain = rng.standard_normal(shape, dtype=np.float32) * np.sqrt(arrived)
    if uniform() < 0.5:
        grain = cv2.GaussianBlur(grain, (0, 0), uniform(0.3, 0.8))
    grey = -np.log(np.maximum(arrived + grain, 0.5) / quanta)
    grey = cv2.GaussianBlur(grey, (0, 0), uniform(0.2, 0.7)) if uniform() < 0.6 else grey
    floor = _burnt(grey, scene, rng) if uniform() < options.overexposed else None
    picture = _display(grey.astype(np.float32), floor, rng)
    seen = clutter.add_frame(picture, scene.drawn, rng, options.clutter, options.collimated)
    seen &= ~marks.add_labels(picture, scene.bits > 0, rng, options.clutter)
    if uniform() < options.marked:
        marks.add_drawings(picture, rng)
    if uniform() < options.worn:
        picture = worn(picture, rng)
    return _digitise(picture, rng), seen


def _burnt(grey: F32, scene: Projection, rng: np.random.Generator) -> float | None:
    """The signal below which all is black on an overexposed film: the flesh, and more or less of the thin bones."""
    flesh = grey[(scene.soft > 2.0) & (scene.bits == 0)]
    bone = grey[scene.bits > 0]
    if not flesh.size or not bone.size:
        return None
    between = rng.uniform(-0.3, 0.6)
    return float((1 - between) * np.percentile(flesh, 50) + between * np.percentile(bone, 30))


def _display(grey: F32, floor: float | None, rng: np.random.Generator) -> F32:
    """Log signal to display grey 0..1: window (from ``floor`` on), curve, edge enhancement, local contrast."""
    import cv2

    uniform = rng.uniform
    low = np.percentile(grey, uniform(0, 2.0)) if floor is None else floor
    high = np.percentile(grey, uniform(99.3, 100.0) if uniform() < 0.8 else uniform(98.0, 99.3))
    out = (grey - low) / max(float(high - low), 1e-6)
    if uniform() < 0.35:
        radius = uniform(1.0, 12.0)
        out = out + uniform(0.2, 1.2) * (out - cv2.GaussianBlur(out, (0, 0), radius))
    out = np.clip(out, 0, 1)
    curve = uniform()
    if curve < 0.7:
        out = out ** uniform(0.5, 1.7)
    else:
        steep = uniform(3.0, 7.0)
        middle = uniform(0.35, 0.65)
        ends = 1 / (1 + np.exp(-steep * (np.array([0.0, 1.0]) - middle)))
        out = (1 / (1 + np.exp(-steep * (out - middle))) - ends[0]) / (ends[1] - ends[0])
    if uniform() < 0.3:
        tiles = int(rng.integers(4, 12))
        out = (
            cv2.createCLAHE(uniform(1.0, 4.0), (tiles, tiles)).apply((out * 255).astype(np.uint8)).astype(np.float32)
            / 255
        )
    return np.asarray(out, dtype=np.float32)


def _digitise(picture: F32, rng: np.random.Generator) -> U8:
    """Scale to part of the range, add read-out noise, make 8 bits, at times through JPEG."""
    import cv2

    uniform = rng.uniform
    low = uniform(0, 0.45) if uniform() < 0.4 else uniform(0, 0.06)
    high = uniform(max(low + 0.3, 0.55), 1.0)
    out = low + (high - low) * picture
    out += rng.standard_normal(picture.shape, dtype=np.float32) * uniform(0, 0.015)
    grey = (np.clip(out, 0, 1) * 255 + 0.5).astype(np.uint8)
    if uniform() < 0.3:
        ok, data = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(35, 95))])
        if ok:
            grey = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
    return np.asarray(grey, dtype=np.uint8)
