"""Variation of training samples: first every parameter is drawn from a seed, then all are applied.

Geometry moves the picture and the points of its outlines together: one affine map, and at times a bend of the
forearm against the hand. Grey-value changes touch the picture alone. ``draw`` reads nothing but the configuration
and a random generator, so that a sample can be replayed; ``Variation`` holds all that was drawn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ossa.schema import BoneSchema
from ossa.segmentation.outlines import Outlines, Ring, map_outlines
from ossa.training.augment_keys import AugmentConfig
from ossa.training.warps import Warp

Grey = NDArray[np.uint8]
Matrix = NDArray[np.float64]

#: Carpal bones that the wrist turns around, best first: the head of the capitate moves against the lunate.
_WRIST_CENTRES = ("Lunate", "Capitate", "Scaphoid", "Hamate", "Triquetrum")
_FOREARM = ("Radius", "Ulna")

#: Side (px) of the square of grain that is repeated over a picture.
_TILE = 384


@dataclass(frozen=True)
class Variation:
    """All that was drawn for one sample. Angles in degrees, ``shift`` as a share of the picture's sides."""

    scale: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)
    angle: float = 0.0
    flip: bool = False
    bend: float = 0.0
    surround: bool = False  # the grey of the picture's edge where nothing is known, instead of black
    gamma: float = 1.0
    gain: float = 1.0
    offset: float = 0.0
    invert: bool = False
    clahe: float = 0.0
    noise: float = 0.0
    noise_seed: int = 0
    blur: float = 0.0
    sharpen: float = 0.0
    boxes: tuple[tuple[float, float, float, float, int], ...] = ()  # x, y, width, height (shares), grey
    crop: tuple[float, float, float] = (0.0, 0.0, 1.0)  # left, top, side of the part that is seen (shares)
    corners: tuple[float, ...] = ()  # shifts of the four corners (warps.warp_of)
    elastic: float = 0.0  # its field follows from noise_seed
    low_resolution: float = 1.0
    transforms: tuple[tuple[int, int], ...] = ()  # number in data.augment.transforms, seed


def draw(config: AugmentConfig, rng: np.random.Generator) -> Variation:
    """All parameters of one sample. The same state of ``rng`` gives the same variation."""

    def happens(share: float) -> bool:
        return bool(rng.random() < share)

    def even(span: tuple[float, float]) -> float:
        return float(rng.uniform(*span))

    def even_log(span: tuple[float, float]) -> float:
        return math.exp(rng.uniform(math.log(span[0]), math.log(span[1])))

    moved = happens(config.p_affine)
    curved = happens(config.p_gamma)
    bent = happens(config.p_bend)
    return Variation(
        scale=even_log(config.scale) if moved else 1.0,
        shift=(even((-config.shift, config.shift)), even((-config.shift, config.shift))) if moved else (0.0, 0.0),
        angle=even((-config.rotate, config.rotate)) if moved else 0.0,
        flip=happens(config.p_flip),
        bend=even(config.bend) * (1 if happens(0.5) else -1) if bent else 0.0,
        surround=happens(0.5) if moved else False,
        gamma=even_log(config.gamma) if curved else 1.0,
        gain=1 + even((-config.contrast, config.contrast)) if curved else 1.0,
        offset=255 * even((-config.contrast, config.contrast)) / 2 if curved else 0.0,
        invert=happens(config.p_invert),
        clahe=even(config.clahe) if happens(config.p_clahe) else 0.0,
        noise=even(config.noise) if happens(config.p_noise) else 0.0,
        noise_seed=int(rng.integers(1 << 31)),
        blur=even(config.blur) if happens(config.p_blur) else 0.0,
        sharpen=even(config.sharpen) if happens(config.p_sharpen) else 0.0,
        boxes=_draw_boxes(config, rng) if happens(config.p_dropout) else (),
        crop=_draw_crop(config, rng) if happens(config.p_crop) else (0.0, 0.0, 1.0),
        corners=tuple(rng.uniform(-config.perspective, config.perspective, 8).tolist())
        if happens(config.p_perspective)
        else (),
        elastic=even(config.elastic) if happens(config.p_elastic) else 0.0,
        low_resolution=even(config.low_resolution) if happens(config.p_low_resolution) else 1.0,
        transforms=tuple(
            (number, int(rng.integers(1 << 31)))
            for number, one in enumerate(config.transforms)
            if happens(float(one.get("p", 1.0)))
        ),
    )


def _draw_crop(config: AugmentConfig, rng: np.random.Generator) -> tuple[float, float, float]:
    side = float(rng.uniform(*config.crop))
    return float(rng.uniform(0, 1 - side)), float(rng.uniform(0, 1 - side)), side


def _draw_boxes(config: AugmentConfig, rng: np.random.Generator) -> tuple[tuple[float, float, float, float, int], ...]:
    count = int(rng.integers(config.dropout[0], config.dropout[1] + 1))
    return tuple(
        (
            float(rng.uniform(-0.05, 1)),
            float(rng.uniform(-0.05, 1)),
            float(rng.uniform(*config.dropout_size)),
            float(rng.uniform(*config.dropout_size)),
            int(rng.integers(256)),
        )
        for _ in range(count)
    )


# --- geometry -----------------------------------------------------------------------------------------------------


def matrix(variation: Variation, shape: tuple[int, int]) -> Matrix:
    """The affine map (2, 3) of points (x, y) in a picture of ``shape`` (h, w) px.

    Of a part that is seen alone, first the part is enlarged. Then mirrored, then turned and scaled about the picture's
    centre, then shifted.
    """
    height, width = shape
    cx, cy = (width - 1) / 2, (height - 1) / 2
    a = math.radians(variation.angle)
    c, s = math.cos(a) * variation.scale, math.sin(a) * variation.scale
    m = -1.0 if variation.flip else 1.0
    dx, dy = variation.shift[0] * width, variation.shift[1] * height
    moved = np.array([[c * m, -s, cx - c * m * cx + s * cy + dx], [s * m, c, cy - s * m * cx - c * cy + dy]])
    left, top, side = variation.crop
    if side == 1.0:
        return moved
    # A pixel's corner, not its centre, is where the part begins.
    start = np.array([left * width, top * height]) - 0.5
    part = np.array([[1 / side, 0, -start[0] / side - 0.5], [0, 1 / side, -start[1] / side - 0.5]])
    return np.column_stack([moved[:, :2] @ part[:, :2], moved[:, :2] @ part[:, 2] + moved[:, 2]])


def mirrored(outlines: Outlines, schema: BoneSchema) -> Outlines:
    """Outlines under the names that their bones have in a mirrored picture."""
    return {schema.bone(name).mirror: parts for name, parts in outlines.items()}


@dataclass(frozen=True)
class Bend:
    """The forearm turned about the wrist while the hand stays: a change of direction that depends on direction alone.

    Seen from ``centre`` (x, y), a point at direction phi moves to phi + ``angle`` * w(|phi - ``forearm``|), its
    distance kept; w is 1 within ``PLATEAU`` of the forearm's direction and falls along a half cosine to 0 at
    ``REACH``. All angles in radians, from x towards y. The map is one-to-one while |angle| < ``LIMIT``.
    """

    centre: tuple[float, float]
    forearm: float
    angle: float

    PLATEAU = math.radians(40)
    REACH = math.radians(125)
    LIMIT = 2 * (REACH - PLATEAU) / math.pi

    def _share(self, delta: NDArray[np.float64]) -> NDArray[np.float64]:
        t = np.clip((np.abs(delta) - self.PLATEAU) / (self.REACH - self.PLATEAU), 0, 1)
        share: NDArray[np.float64] = 0.5 + 0.5 * np.cos(np.pi * t)
        return share

    def forward(self, points: Ring) -> Ring:
        """Points (..., 2) to where they are in the bent picture."""
        x, y = points[..., 0] - self.centre[0], points[..., 1] - self.centre[1]
        delta = _wrapped(np.arctan2(y, x) - self.forearm)
        return self._turned(x, y, self.angle * self._share(delta))

    def backward(self, points: Ring) -> Ring:
        """Points of the bent picture to where they were; inverts ``forward`` to some 1e-6 of their distance."""
        table = np.linspace(-np.pi, np.pi, 4097)
        moved = table + self.angle * self._share(table)
        x, y = points[..., 0] - self.centre[0], points[..., 1] - self.centre[1]
        delta = _wrapped(np.arctan2(y, x) - self.forearm)
        before = np.interp(delta, moved, table)
        return self._turned(x, y, before - delta)

    def _turned(self, x: NDArray[np.float64], y: NDArray[np.float64], by: NDArray[np.float64]) -> Ring:
        c, s = np.cos(by), np.sin(by)
        return np.stack([c * x - s * y + self.centre[0], s * x + c * y + self.centre[1]], axis=-1)


def _wrapped(angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Into -pi..pi."""
    wrapped: NDArray[np.float64] = np.mod(angle + np.pi, 2 * np.pi) - np.pi
    return wrapped


def bend_of(outlines: Outlines, degrees: float) -> Bend | None:
    """The bend of this hand by ``degrees``; None when the wrist is not outlined or ``degrees`` is 0."""
    from ossa.hand.geometry import middle_of

    if not degrees:
        return None
    centre = next((c for c in (middle_of(outlines, (name,)) for name in _WRIST_CENTRES) if c is not None), None)
    forearm = middle_of(outlines, _FOREARM)
    if centre is None or forearm is None:
        return None
    x, y = forearm - centre
    angle = float(np.clip(math.radians(degrees), -0.95 * Bend.LIMIT, 0.95 * Bend.LIMIT))
    return Bend((float(centre[0]), float(centre[1])), math.atan2(y, x), angle)


def move_picture(
    picture: Grey,
    affine: Matrix,
    shape: tuple[int, int],
    bend: Bend | None = None,
    surround: int = 0,
    warp: Warp | None = None,
) -> Grey:
    """The picture under ``bend``, then ``affine``, then ``warp``, on a grid of ``shape`` (h, w), bilinear.

    Outlines move the same way through ``move_outlines``. Where nothing is known the grid has the grey ``surround``:
    repeating the edge would draw bones on that the truth does not have.
    """
    import cv2

    if bend is None and warp is None:
        if shape == picture.shape and np.array_equal(affine, [[1, 0, 0], [0, 1, 0]]):
            return picture
        return np.asarray(cv2.warpAffine(picture, affine, shape[::-1], flags=cv2.INTER_LINEAR, borderValue=surround))
    xs, ys = _source_map(affine, shape, bend, warp)
    return np.asarray(cv2.remap(picture, xs, ys, cv2.INTER_LINEAR, borderValue=surround))


def edge_grey(picture: Grey) -> int:
    """The median grey of the picture's outermost pixels."""
    return int(np.median(np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])))


def _source_map(
    affine: Matrix, shape: tuple[int, int], bend: Bend | None, warp: Warp | None = None, step: int = 4
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """For each grid pixel the picture's x and y, computed at every ``step``-th pixel and interpolated between."""
    import cv2

    inverse = np.asarray(cv2.invertAffineTransform(affine), np.float64)
    rows, columns = -(-shape[0] // step) + 1, -(-shape[1] // step) + 1
    y, x = np.meshgrid(np.arange(rows) * float(step), np.arange(columns) * float(step), indexing="ij")
    points = np.stack([x, y], axis=-1)
    points = apply_affine(points if warp is None else warp.backward(points), inverse)
    before = (points if bend is None else bend.backward(points)).astype(np.float32)
    # resize puts coarse sample k at (k + .5) * step - .5; a shift by half a coarse pixel puts it at k * step.
    back = np.array([[1 / step, 0, 0], [0, 1 / step, 0]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    fine = [
        cv2.warpAffine(
            np.ascontiguousarray(before[..., k]), back, shape[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE
        )
        for k in (0, 1)
    ]
    return np.asarray(fine[0], np.float32), np.asarray(fine[1], np.float32)


def apply_affine(points: Ring, affine: Matrix) -> Ring:
    """Points (..., 2) through an affine map (2, 3)."""
    return points @ affine[:, :2].T + affine[:, 2]


def move_outlines(outlines: Outlines, affine: Matrix, bend: Bend | None = None, warp: Warp | None = None) -> Outlines:
    """Outlines under ``bend``, then ``affine``, then ``warp``, as ``move_picture`` moves the picture."""

    def moved(ring: Ring) -> Ring:
        points = ring if bend is None and warp is None else _denser(ring)
        points = apply_affine(points if bend is None else bend.forward(points), affine)
        return points if warp is None else warp.forward(points)

    return map_outlines(outlines, moved)


def _denser(ring: Ring, step: float = 8.0) -> Ring:
    """The ring with points at most some ``step`` px apart, so that a bend can curve its long edges."""
    following = np.roll(ring, -1, axis=0)
    counts = np.maximum(1, np.ceil(np.hypot(*(following - ring).T) / step).astype(int))
    if int(counts.max()) == 1:
        return ring
    starts = np.repeat(np.arange(len(ring)), counts)
    share = (np.arange(len(starts)) - np.repeat(np.cumsum(counts) - counts, counts)) / counts[starts]
    dense: Ring = ring[starts] + share[:, None] * (following - ring)[starts]
    return dense


def move_bits(
    bits: NDArray[np.uint32],
    affine: Matrix,
    shape: tuple[int, int],
    bend: Bend | None = None,
    warp: Warp | None = None,
) -> NDArray[np.uint32]:
    """Bit planes (P, h, w) as ``move_picture`` moves the picture, by nearest neighbour: all bones at once."""
    import cv2

    if bend is None and warp is None and shape == bits.shape[1:] and np.array_equal(affine, [[1, 0, 0], [0, 1, 0]]):
        return bits
    # OpenCV has no 32-bit unsigned pictures; four channels of bytes hold the same bits.
    bytes_of = [np.ascontiguousarray(plane).view(np.uint8).reshape(*plane.shape, 4) for plane in bits]
    if bend is None and warp is None:
        moved = [cv2.warpAffine(plane, affine, shape[::-1], flags=cv2.INTER_NEAREST) for plane in bytes_of]
    else:
        xs, ys = _source_map(affine, shape, bend, warp)
        moved = [cv2.remap(plane, xs, ys, cv2.INTER_NEAREST) for plane in bytes_of]
    return np.stack([np.ascontiguousarray(plane).view(np.uint32)[..., 0] for plane in moved])


def mirrored_bits(bits: NDArray[np.uint32], schema: BoneSchema) -> NDArray[np.uint32]:
    """Bit planes whose bones take their mirror partners' bits (the picture itself is not mirrored here)."""
    order = schema.mirror_order()
    if order == tuple(range(len(schema))):
        return bits
    out = np.zeros_like(bits)
    for i, source in enumerate(order):
        bit = (bits[source // 32] >> np.uint32(source % 32)) & np.uint32(1)
        out[i // 32] |= bit << np.uint32(i % 32)
    return out


# --- grey values --------------------------------------------------------------------------------------------------


def vary_grey(picture: Grey, variation: Variation) -> Grey:
    """The picture (h, w) with the variation's grey-value changes; the given one is left as it is."""
    import cv2

    v = variation
    out = picture
    if v.low_resolution < 1:
        small = tuple(max(1, round(n * v.low_resolution)) for n in out.shape[::-1])
        out = np.asarray(cv2.resize(cv2.resize(out, small, interpolation=cv2.INTER_AREA), picture.shape[::-1]))
    if v.clahe:
        out = np.asarray(cv2.createCLAHE(clipLimit=v.clahe, tileGridSize=(8, 8)).apply(out))
    if v.blur:
        out = np.asarray(cv2.GaussianBlur(out, (0, 0), v.blur))
    if v.sharpen:
        out = np.asarray(cv2.addWeighted(out, 1 + v.sharpen, cv2.GaussianBlur(out, (0, 0), 1.5), -v.sharpen, 0))
    if v.noise:
        out = _grain(out, v.noise, v.noise_seed)
    if (v.gamma, v.gain, v.offset, v.invert) != (1.0, 1.0, 0.0, False):
        out = np.asarray(cv2.LUT(out, curve(v)))
    if v.boxes:
        out = out.copy()
        height, width = out.shape
        for x, y, w, h, grey in v.boxes:
            x0, y0 = max(0, round(x * width)), max(0, round(y * height))
            out[y0 : max(y0, round((y + h) * height)), x0 : max(x0, round((x + w) * width))] = grey
    return out


def curve(variation: Variation) -> Grey:
    """The display curve (256,) of gamma, contrast about the middle grey, brightness and inversion."""
    levels = (np.arange(256) / 255) ** variation.gamma * 255
    levels = np.clip((levels - 127.5) * variation.gain + 127.5 + variation.offset, 0, 255)
    table = np.rint(levels).astype(np.uint8)
    return 255 - table if variation.invert else table


def _grain(picture: Grey, sd: float, seed: int) -> Grey:
    """Gaussian grain of ``sd`` grey levels, the same for the same ``seed``."""
    import cv2

    # One square, repeated: drawing grain for every pixel would cost more than all else together.
    tile = np.random.default_rng(seed).standard_normal((_TILE, _TILE), dtype=np.float32) * np.float32(sd)
    out = np.empty_like(picture)
    for top in range(0, picture.shape[0], _TILE):
        for left in range(0, picture.shape[1], _TILE):
            part = picture[top : top + _TILE, left : left + _TILE]
            grain = tile[: part.shape[0], : part.shape[1]]
            out[top : top + _TILE, left : left + _TILE] = cv2.add(part, grain, dtype=cv2.CV_8U)
    return out
