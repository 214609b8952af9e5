"""Transforms of other packages (``data.augment.transforms``), found by entry points of the group ``ossa.transforms``.

An entry point names a function that makes a transform from the options of the run file. The transform is called as
Albumentations' are, ``transform(image=..., keypoints=[(x, y), ...])``, or with ``mask=`` where the truth is bit planes,
and gives a dict with the same keys. ``image`` is (h, w) uint8 and keeps its size; a mask (h, w, n) uint8 holds bits,
so it must be moved by nearest neighbour. Points that leave the picture must be kept: the outlines are cut at its edge.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.metadata import entry_points
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ossa.config import unknown_name
from ossa.errors import ConfigError
from ossa.segmentation.outlines import Outlines, map_outlines

GROUP = "ossa.transforms"

Grey = NDArray[np.uint8]
Transform = Callable[..., Mapping[str, Any]]

#: Seeds with which a transform is tried before a run begins.
TRIALS = 8


def load(wanted: Sequence[Mapping[str, Any]]) -> tuple[Transform, ...]:
    """The transforms of ``data.augment.transforms``: ``name``, ``p`` and the options of each.

    Raises ConfigError for a name that no installed package offers, and for options that it refuses.
    """
    return _load(json.dumps([dict(one) for one in wanted], sort_keys=True))


@cache
def _load(text: str) -> tuple[Transform, ...]:
    offered = {point.name: point for point in entry_points(group=GROUP)}
    out = []
    for one in json.loads(text):
        options = {key: value for key, value in one.items() if key not in ("name", "p")}
        name = str(one.get("name"))
        if name not in offered:
            if not offered:
                raise ConfigError(
                    f"data.augment.transforms: no package offers '{name}'",
                    found=f"no entry point of the group '{GROUP}'",
                    remedy="Install the package that has it (docs/training.md says how one is made)",
                )
            raise unknown_name("transform", name, sorted(offered))
        try:
            made = offered[name].load()(**options)
        except Exception as error:  # whatever a stranger's code does
            raise ConfigError(
                f"data.augment.transforms: '{name}' cannot be made",
                found=f"{type(error).__name__}: {error!s:.160}",
                expected=f"a function that takes {', '.join(options) or 'no option'} and gives a transform",
            ) from error
        out.append(made)
    return tuple(out)


def check(wanted: Sequence[Mapping[str, Any]]) -> None:
    """Try each transform on a made picture. Raises ConfigError for one that loses points or moves all of them out."""
    side = 96
    turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    ring = np.stack([side / 2 + 30 * np.cos(turn), side / 2 + 40 * np.sin(turn)], axis=1)
    picture = np.tile(np.linspace(0, 255, side).astype(np.uint8), (side, 1))
    for one, transform in zip(wanted, load(wanted), strict=True):
        inside = 0
        for seed in range(TRIALS):
            _, points = _with_points(transform, str(one["name"]), seed, picture, ring)
            inside += int(((points >= 0) & (points < side)).all(axis=1).sum())
        if inside == 0:
            raise ConfigError(
                f"data.augment.transforms: '{one['name']}' moves every point out of the picture",
                found=f"none of {len(ring)} points left inside in {TRIALS} trials",
                expected="points in px of the picture, (x, y)",
            )


def move_outlines(
    transform: Transform, name: str, seed: int, picture: Grey, outlines: Outlines
) -> tuple[Grey, Outlines]:
    """A picture (h, w) and its outlines under a transform. Raises ConfigError for an answer that is no such thing."""
    rings: list[NDArray[np.float64]] = []

    def note(ring: NDArray[np.float64]) -> NDArray[np.float64]:
        rings.append(ring)
        return ring

    map_outlines(outlines, note)
    every = np.concatenate(rings) if rings else np.zeros((0, 2))
    moved, points = _with_points(transform, name, seed, picture, every)
    parts = iter(np.split(points, np.cumsum([len(ring) for ring in rings])[:-1]) if rings else [])
    return moved, map_outlines(outlines, lambda _ring: next(parts))


def move_bits(
    transform: Transform, name: str, seed: int, picture: Grey, bits: NDArray[np.uint32]
) -> tuple[Grey, NDArray[np.uint32]]:
    """A picture (h, w) and its bit planes (P, h, w) under a transform."""
    octets = np.ascontiguousarray(np.moveaxis(bits, 0, -1)).view(np.uint8)
    answer = _called(transform, name, seed, image=picture.copy(), mask=octets)
    mask = np.asarray(answer.get("mask"))
    if mask.shape != octets.shape or mask.dtype != np.uint8:
        raise _wrong(name, f"a mask {mask.shape} {mask.dtype}", f"{octets.shape} uint8, moved by nearest neighbour")
    planes = np.moveaxis(np.ascontiguousarray(mask).view(np.uint32), -1, 0)
    return _picture(answer, name, picture.shape), np.ascontiguousarray(planes)


def _with_points(
    transform: Transform, name: str, seed: int, picture: Grey, points: NDArray[np.float64]
) -> tuple[Grey, NDArray[np.float64]]:
    given = [(float(x), float(y)) for x, y in points]
    answer = _called(transform, name, seed, image=picture.copy(), keypoints=given)
    found = np.asarray([tuple(point)[:2] for point in answer.get("keypoints", ())], float).reshape(-1, 2)
    if len(found) != len(given):
        raise ConfigError(
            f"data.augment.transforms: '{name}' loses points",
            found=f"{len(found)} of {len(given)}: probably those that left the picture",
            expected="every point, also outside of the picture, where outlines are cut",
            remedy="With Albumentations: KeypointParams(format='xy', remove_invisible=False)",
        )
    if not np.isfinite(found).all():
        raise _wrong(name, "points that are no numbers", "(x, y) in px")
    return _picture(answer, name, picture.shape), found


def _picture(answer: Mapping[str, Any], name: str, shape: tuple[int, ...]) -> Grey:
    image = np.asarray(answer.get("image"))
    if image.shape != shape or image.dtype != np.uint8:
        raise _wrong(name, f"a picture {image.shape} {image.dtype}", f"{shape} uint8")
    return image


def _wrong(name: str, found: str, expected: str) -> ConfigError:
    return ConfigError(f"data.augment.transforms: '{name}' gave what cannot be used", found=found, expected=expected)


def _called(transform: Transform, name: str, seed: int, **given: Any) -> Mapping[str, Any]:
    with _seeded(seed):
        if hasattr(transform, "set_random_seed"):
            transform.set_random_seed(seed)
        try:
            answer = transform(**given)
        except Exception as error:
            raise ConfigError(
                f"data.augment.transforms: '{name}' failed",
                found=f"{type(error).__name__}: {error!s:.160}",
                expected=f"a transform that takes {', '.join(given)}",
            ) from error
    if not isinstance(answer, Mapping):
        raise _wrong(name, type(answer).__name__, "a dict with 'image' and what else was given")
    return answer


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Python's, numpy's and torch's common generators at ``seed``, and afterwards where they were."""
    import torch

    before = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    torch.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
        torch.set_rng_state(before[2])
