"""From the ``data`` part of a run file to what a fold trains and validates on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from ossa.config import RunConfig
from ossa.dataset.cache import GreyCache
from ossa.dataset.folds import refuse_leak
from ossa.errors import ConfigError, TrainingError
from ossa.labels.case import Case
from ossa.radiograph.prepare import Placement, Preparation, normalise, pad
from ossa.safety import sha256
from ossa.schema import BoneSchema
from ossa.training.module import Check
from ossa.training.phantoms import StoredPhantoms, stored_phantoms
from ossa.training.pool import FIRST_HELD_OUT_SEED
from ossa.training.sources import CaseSource, Concat, SampleSource


@dataclass(frozen=True)
class Weighted:
    """A source and its share of the samples drawn."""

    source: SampleSource
    weight: float


@dataclass(frozen=True)
class Material:
    """What one fold trains on (``sources``, mixed by weight) and validates on (``checks``)."""

    sources: tuple[Weighted, ...]
    checks: CaseSource | StoredPhantoms

    @property
    def joined(self) -> Concat:
        """All training sources in a row."""
        return Concat([w.source for w in self.sources])

    @property
    def lengths(self) -> tuple[int, ...]:
        """Entries per source."""
        return tuple(len(w.source) for w in self.sources)


class Checks(Dataset[Check]):
    """Validation pictures, whole and not varied, one at a time.

    ``multiple``: what the network's sides must be multiples of.
    """

    def __init__(self, source: CaseSource | StoredPhantoms, size: int, multiple: int) -> None:
        self.source = source
        self.preparation = Preparation(size, multiple)

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Check:
        raw = self.source.sample(index, np.random.default_rng(0))
        placement = self.placement(raw.placement, raw.image.shape)
        truth, annotated = self.source.full_truth(index)
        image = torch.from_numpy(pad(normalise(raw.image), placement)[None])
        return Check(image, placement, truth, annotated, raw.id)

    def placement(self, of_sample: Placement, content: tuple[int, ...]) -> Placement:
        """The sample's placement on a grid of this network's multiple."""
        step = self.preparation.multiple
        grid = (-(-content[0] // step) * step, -(-content[1] // step) * step)
        return Placement(of_sample.image_shape, grid, of_sample.content_shape, of_sample.scale_y, of_sample.scale_x)


def phantom_sources(config: RunConfig, schema: BoneSchema) -> tuple[StoredPhantoms, StoredPhantoms] | None:
    """Phantoms to train on and held-out ones; None when the run has none. Raises ConfigError for a wrong schema."""
    keys = config.data.phantoms
    if keys is None:
        return None
    if schema.name != "hand29":
        raise ConfigError("phantoms have the bones of 'hand29'", found=f"bones={schema.name}")
    if keys.seed + keys.count > FIRST_HELD_OUT_SEED:
        raise ConfigError("data.phantoms: seeds reach those held out", found=keys.seed + keys.count)
    pool = keys.pool if keys.pool is not None else config.output / "phantoms"
    size = config.data.size
    return (
        stored_phantoms(keys, schema, size, pool, keys.seed, keys.count),
        stored_phantoms(keys, schema, size, pool, FIRST_HELD_OUT_SEED, keys.held_out),
    )


def make_material(
    config: RunConfig,
    schema: BoneSchema,
    cache_folder: Path | None,
    train: Sequence[tuple[Sequence[Case], float]] = (),
    held_out: Sequence[Case] = (),
    pseudo: tuple[Sequence[Case], float] | None = None,
) -> Material:
    """A fold's material: groups of training cases with their weights, the held-out cases, pseudo-labelled cases.

    Raises DatasetError when a subject or a picture is on both sides, TrainingError when a pseudo-label would be
    validated on.
    """
    refuse_leak([case for cases, _ in train for case in cases], held_out)
    cache_ = GreyCache(cache_folder, Preparation(config.data.size, 32))
    sources = [Weighted(CaseSource(tuple(cases), schema, cache_), weight) for cases, weight in train if cases]
    if pseudo is not None and pseudo[0]:
        known = {case.image.resolve() for case in held_out}
        if any(case.image.resolve() in known for case in pseudo[0]):
            raise TrainingError(
                "a picture with pseudo-labels is also validated on", remedy="Leave it out of pseudo.images"
            )
        sources.append(Weighted(CaseSource(tuple(pseudo[0]), schema, cache_), pseudo[1]))
    phantoms = phantom_sources(config, schema)
    checks: CaseSource | StoredPhantoms | None = CaseSource(tuple(held_out), schema, cache_) if held_out else None
    if phantoms is not None:
        keys = config.data.phantoms
        sources.append(Weighted(phantoms[0], 1.0 if keys is None else keys.weight))
        checks = checks or phantoms[1]
    if not sources or checks is None or len(checks) == 0:
        raise ConfigError(
            "there is nothing to train or to validate on",
            expected="data.datasets with labelled pictures, or data.phantoms with held_out above 0",
        )
    return Material(tuple(sources), checks)


def fingerprint_lines(config: RunConfig, groups: Sequence[Sequence[Case]]) -> list[str]:
    """One line per labelled case (id, subject, label hash, picture size) and one for the phantoms."""
    lines = [
        f"{case.id}\t{case.subject}\t{_label_hash(case.label)}\t{case.image.stat().st_size}"
        for cases in groups
        for case in cases
    ]
    phantoms = phantom_sources(config, _schema(config))
    if phantoms is not None:
        source = phantoms[0].source
        lines.append(f"phantoms\t{source.first_seed}\t{source.count}\t{phantoms[0].folder.name}")
    return lines


def _schema(config: RunConfig) -> BoneSchema:
    from ossa.schema import load_schema

    return load_schema(config.bones)


@cache
def _label_hash(path: Path | None) -> str:
    return "" if path is None else sha256(path)
