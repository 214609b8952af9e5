"""What samples of one batch give each other: MixUp, CutMix, and bones that are pasted from one picture into another.

All is drawn from the batch's number, so that a batch can be made again. What is pasted takes its truth along, of every
bone: where one picture covers another, nothing of the other is left.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ossa.training.augment_keys import AugmentConfig

Bits = NDArray[np.uint32]


@dataclass(frozen=True, eq=False)
class Mixing:
    """Each sample's ``partners`` (N,); ``share`` of the sample itself in the mixture, 1 when nothing is mixed.

    ``paste`` (N, H, W) bool: where the partner's picture covers the sample's; None when nothing is pasted.
    """

    partners: NDArray[np.int64]
    share: float = 1.0
    paste: NDArray[np.bool_] | None = None


def draw_mixing(config: AugmentConfig, seed: list[int], bits: Bits, annotated: NDArray[np.bool_]) -> Mixing:
    """The mixing of one batch with bit planes ``bits`` (N, P, H, W) and ``annotated`` (N, C); at most one kind."""
    count = len(bits)
    plain = Mixing(np.arange(count))
    if count < 2:
        return plain
    rng = np.random.default_rng([*seed, 0x4D6978])
    if rng.random() < config.p_mixup:
        # Zhang et al., mixup: Beyond Empirical Risk Minimization, ICLR 2018.
        share = float(rng.beta(config.mixup, config.mixup))
        return Mixing(rng.permutation(count), share)
    rng = np.random.default_rng([*seed, 0x437574])
    cut, paste = rng.random(2)
    if cut < config.p_cutmix:
        return Mixing(rng.permutation(count), paste=_boxes(config.cutmix, rng, (count, *bits.shape[2:])))
    if paste < config.p_copy_paste:
        partners = rng.permutation(count)
        return Mixing(partners, paste=_bones(config, rng, bits[partners], annotated[partners]))
    return plain


def _boxes(spread: float, rng: np.random.Generator, shape: tuple[int, int, int]) -> NDArray[np.bool_]:
    """A box per sample whose area is 1 - l of the picture, l from Beta(a, a). Yun et al., CutMix, ICCV 2019, eq. 1."""
    out = np.zeros(shape, bool)
    for plane in out:
        side = (1 - rng.beta(spread, spread)) ** 0.5
        (top, bottom), (left, right) = (
            np.clip(np.rint(rng.uniform() * n + np.array([-0.5, 0.5]) * side * n), 0, n).astype(int) for n in shape[1:]
        )
        plane[top:bottom, left:right] = True
    return out


def _bones(
    config: AugmentConfig, rng: np.random.Generator, bits: Bits, annotated: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Some bones of each partner, with a rim around them. Ghiasi et al., Simple Copy-Paste, CVPR 2021."""
    import cv2

    out = np.zeros((len(bits), *bits.shape[2:]), bool)
    rim = max(1, round(config.copy_paste_rim * max(bits.shape[2:])))
    brush = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * rim + 1, 2 * rim + 1))
    for plane, planes, known in zip(out, bits, annotated, strict=True):
        there = [c for c in np.flatnonzero(known).tolist() if (planes[c // 32] >> np.uint32(c % 32) & 1).any()]
        low, high = config.copy_paste
        wanted = int(rng.integers(low, high + 1))
        chosen = rng.permutation(there)[:wanted]
        mask = np.zeros(plane.shape, np.uint8)
        for c in chosen.tolist():
            mask |= (planes[c // 32] >> np.uint32(c % 32) & 1).astype(np.uint8)
        plane[:] = cv2.dilate(mask, brush) > 0
    return out
