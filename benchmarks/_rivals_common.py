"""What the four trainings of bench_rivals.py share: pictures with their truth, a clock of processor time, the score."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ossa.dataset.cache import GreyCache
from ossa.dataset.dataset import open_dataset
from ossa.dataset.folds import make_folds, strata_of
from ossa.labels.case import Case
from ossa.radiograph.prepare import Placement, Preparation
from ossa.schema import BoneSchema, load_schema
from ossa.segmentation.compare import dice_per_bone
from ossa.segmentation.decode import decode
from ossa.segmentation.outlines import bits_from_outlines, map_outlines
from ossa.segmentation.segmentation import Segmentation

BATCH = 8

Grey = NDArray[np.uint8]
Planes = NDArray[np.uint8]

#: Content (h, w) uint8 of a picture on the grid, and its placement -> logits (29, h', w') of the whole grid.
Logits = Callable[[Grey, Placement], NDArray[np.float32]]


@dataclass
class Spent:
    """A clock of this process' processor time: ``budget`` seconds of it are for training."""

    budget: float
    began: float = 0.0

    def start(self) -> None:
        self.began = time.process_time()

    @property
    def used(self) -> float:
        return time.process_time() - self.began

    @property
    def share(self) -> float:
        """Of the budget, what is used."""
        return self.used / self.budget


@dataclass(frozen=True)
class Trained:
    """A training that used up its time: optimiser steps, samples, processor seconds, and its network as logits."""

    steps: int
    samples: int
    seconds: float
    logits: Logits
    note: str = ""


@dataclass(frozen=True)
class Pictures:
    """Cases to train on and cases held out (of other subjects), brought to grids of ``size`` px by ``cache``."""

    training: tuple[Case, ...]
    held_out: tuple[Case, ...]
    schema: BoneSchema
    cache: GreyCache
    size: int
    work: Path

    def prepared(self) -> list[tuple[Grey, Planes]]:
        """Training pictures (h, w) with planes (29, h, w) of 0 and 1 on the grid, for loops that hold both in memory.

        A pixel is bone where at least half of it is in the truth, as for ossa.
        """
        out = []
        for case in self.training:
            image, placement = self.cache.get(case.image)
            outlines = map_outlines(case.outlines(self.schema, placement.image_shape), placement.to_grid)
            shape = (image.shape[0], image.shape[1])
            bits = bits_from_outlines(outlines, self.schema, shape)
            out.append((image, Segmentation.from_bits(bits, self.schema).planes().astype(np.uint8)))
        return out


def open_pictures(data: Path, work: Path, size: int, training: int, held_out: int) -> Pictures:
    """The first ``training`` labelled pictures of four folds, the first ``held_out`` of the fifth; folds are drawn by
    subject, with seed 1."""
    schema = load_schema()
    cache = GreyCache(work / f"cache{size}", Preparation(size, 32))
    cases = tuple(open_dataset(data, schema).labelled)
    own, other = make_folds(strata_of(cases, schema), 5, 1).split(cases, 0)
    order = np.random.default_rng(1)
    chosen = tuple(own[i] for i in order.permutation(len(own))[:training])
    judged = tuple(other[i] for i in order.permutation(len(other))[:held_out])
    problems = cache.build([case.image for case in (*chosen, *judged)], 1)
    if problems:
        raise SystemExit(f"{problems[0].path}: {problems[0].message}")
    return Pictures(chosen, judged, schema, cache, size, work)


def score(pictures: Pictures, logits: Logits) -> float:
    """Mean Dice over held-out pictures and all bones at the pictures' full size, threshold .5, one look, no tidying."""
    rows = []
    for case in pictures.held_out:
        image, placement = pictures.cache.get(case.image)
        truth: Segmentation = case.segmentation(pictures.schema, placement.image_shape)
        found = decode(logits(image, placement), placement, pictures.schema)
        rows.append(dice_per_bone(found, truth))
    return float(np.mean(rows))


def order_of(count: int, seed: int) -> Iterator[list[int]]:
    """Batches of indices without end, shuffled anew every epoch; the last, smaller batch of an epoch is left out."""
    rng = np.random.default_rng(seed)
    while True:
        shuffled = rng.permutation(count).tolist()
        yield from (shuffled[i : i + BATCH] for i in range(0, count - BATCH + 1, BATCH))


def padded(image: NDArray[np.float32], placement: Placement) -> NDArray[np.float32]:
    """``image`` (h, w) on its whole grid, 0 at bottom and right."""
    out = np.zeros(placement.grid_shape, np.float32)
    out[: image.shape[0], : image.shape[1]] = image
    return out
