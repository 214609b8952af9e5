"""From the ``data`` part of a run file to what a fold trains and validates on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from ossa.config import RunConfig
from ossa.dataset.cache import GreyCache
from ossa.dataset.folds import refuse_leak
from ossa.dataset.known_labels import label_hash
from ossa.errors import ConfigError, TrainingError
from ossa.labels.case import Case
from ossa.phantom.part import part_of
from ossa.radiograph.prepare import Placement, Preparation, normalise, pad
from ossa.schema import BoneSchema
from ossa.training.augment import Variation
from ossa.training.batches import BoneData
from ossa.training.module import Check
from ossa.training.phantoms import FIRST_HELD_OUT_SEED, PhantomSet, StoredPhantoms, phantom_sets, stored_phantoms
from ossa.training.samples import CaseSource, CheckConcat, CheckSource, Concat, RawSample, SampleSource


@dataclass(frozen=True)
class Weighted:
    """A source and its share of the samples drawn; samples of sources of another ``size`` share no batch with its.

    ``size`` is its pictures' longest side in px; 0: that of the run's grid.
    """

    source: SampleSource
    weight: float
    size: int = 0


@dataclass(frozen=True)
class Material:
    """What one fold trains on (``sources``, mixed by weight) and validates on (``checks``)."""

    sources: tuple[Weighted, ...]
    checks: CheckSource

    @property
    def joined(self) -> Concat:
        """All training sources in a row."""
        return Concat([w.source for w in self.sources])

    @property
    def lengths(self) -> tuple[int, ...]:
        """Entries per source."""
        return tuple(len(w.source) for w in self.sources)

    @property
    def phantoms(self) -> tuple[StoredPhantoms, ...]:
        """The sources that are phantoms."""
        return tuple(w.source for w in self.sources if isinstance(w.source, StoredPhantoms))


class Checks(Dataset[Check]):
    """Validation pictures, whole and not varied, one at a time.

    ``multiple``: what the network's sides must be multiples of. ``drawn``: draws the truth on the grid too, for a
    validation loss (its own source is not asked).
    """

    def __init__(self, source: CheckSource, size: int, multiple: int, drawn: BoneData | None = None) -> None:
        self.source = source
        self.preparation = Preparation(size, multiple)
        self.drawn = drawn

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Check:
        raw = self.source.sample(index, np.random.default_rng(0))
        placement = self.placement(raw.placement, raw.image.shape)
        truth, annotated = self.source.full_truth(index)
        image = torch.from_numpy(pad(normalise(raw.image), placement)[None])
        return Check(image, placement, truth, annotated, raw.id, self._bits(raw, index, placement.grid_shape))

    def _bits(self, raw: RawSample, index: int, grid: tuple[int, int]) -> torch.Tensor | None:
        """The truth on the grid (P, h, w) int32."""
        if self.drawn is None:
            return None
        bits = self.drawn.varied(raw, Variation(), index).bits
        h, w = min(grid[0], bits.shape[1]), min(grid[1], bits.shape[2])
        out = np.zeros((len(bits), *grid), np.uint32)
        out[:, :h, :w] = bits[:, :h, :w]
        return torch.from_numpy(out.view(np.int32))

    def placement(self, of_sample: Placement, content: tuple[int, ...]) -> Placement:
        """The sample's placement on a grid of this network's multiple."""
        step = self.preparation.multiple
        grid = (-(-content[0] // step) * step, -(-content[1] // step) * step)
        return Placement(of_sample.image_shape, grid, of_sample.content_shape, of_sample.scale_y, of_sample.scale_x)


def phantom_sources(config: RunConfig, schema: BoneSchema) -> list[tuple[PhantomSet, StoredPhantoms, StoredPhantoms]]:
    """Each kind of phantoms, those of it to train on, and the held-out ones; none when the run has none.

    Raises ConfigError for a wrong schema, and for seeds that reach those held out.
    """
    keys = config.data.phantoms
    if keys is None:
        return []
    part_of(schema)  # says what is missing where a schema knows nothing of phantoms
    pool = keys.pool if keys.pool is not None else config.output / "phantoms"
    out = []
    for kind in phantom_sets(keys, config.data.size):
        if kind.share == 0:
            continue
        apart = max(1, round(keys.held_out * kind.share)) if keys.held_out else 0
        count = max(1, round(keys.count * kind.share))
        training = stored_phantoms(keys, kind, schema, pool, keys.seed, count, keys.renew)
        if keys.seed + count + training.replaced(config.train.epochs) > FIRST_HELD_OUT_SEED:
            raise ConfigError("data.phantoms: seeds reach those held out", found=keys.seed + keys.count)
        held_out = stored_phantoms(keys, kind, schema, pool, FIRST_HELD_OUT_SEED, apart)
        out.append((kind, training, held_out))
    return out


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
    checks: CheckSource | None = CaseSource(tuple(held_out), schema, cache_) if held_out else None
    if phantoms:
        weight = 1.0 if config.data.phantoms is None else config.data.phantoms.weight
        sources += [Weighted(training, weight * kind.share, kind.size) for kind, training, _ in phantoms]
        checks = checks or CheckConcat([apart for *_, apart in phantoms])
    if not sources or checks is None or len(checks) == 0:
        raise ConfigError(
            "there is nothing to train or to validate on",
            expected="data.datasets with labelled pictures, or data.phantoms with held_out above 0",
        )
    return Material(tuple(sources), checks)


def fingerprint_lines(config: RunConfig, groups: Sequence[Sequence[Case]]) -> list[str]:
    """One line per labelled case (id, subject, label hash, picture size) and one for the phantoms."""
    hashes: dict[Path, str] = {}  # one file may hold the labels of a whole set
    lines = []
    for case in (case for cases in groups for case in cases):
        if case.label is not None and case.label not in hashes:
            hashes[case.label] = label_hash(case.label)
        hash_ = "" if case.label is None else hashes[case.label]
        lines.append(f"{case.id}\t{case.subject}\t{hash_}\t{case.image.stat().st_size}")
    for kind, training, _ in phantom_sources(config, _schema(config)):
        source = training.source
        lines.append(f"{kind.name}\t{source.first_seed}\t{source.count}\t{training.renew:g}\t{training.folder.name}")
    return lines


def _schema(config: RunConfig) -> BoneSchema:
    from ossa.schema import load_schema

    return load_schema(config.bones)
