"""Where training samples come from: cases of a data set through its cache, phantoms, pseudo-labels, and mixtures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ossa.dataset.cache import GreyCache
from ossa.errors import DatasetError
from ossa.labels.case import Case, Truth
from ossa.phantom.scene import PhantomOptions
from ossa.phantom.skeleton import Anatomy
from ossa.radiograph.prepare import Placement, Preparation, place
from ossa.schema import BoneSchema
from ossa.segmentation.outlines import Outlines, map_outlines
from ossa.segmentation.segmentation import Segmentation


@dataclass(frozen=True, eq=False)
class RawSample:
    """A picture at training size before any variation.

    ``image`` (h, w) uint8, content only. The truth is ``outlines`` (points in px of ``image``) or, where a source
    has no outlines, ``bits`` (P, h, w) uint32. ``annotated``: the bones whose truth is known. ``placement`` leads
    back to the full-size picture. ``id`` names the sample in messages.
    """

    image: NDArray[np.uint8]
    outlines: Outlines | None
    bits: NDArray[np.uint32] | None
    annotated: frozenset[str]
    placement: Placement
    id: str


class SampleSource(Protocol):
    """Anything that samples can be drawn from by index; ``rng`` is for sources that vary what an index gives."""

    def __len__(self) -> int: ...

    def sample(self, index: int, rng: np.random.Generator) -> RawSample:
        """The sample of an index. The same index and state of ``rng`` give the same sample."""
        ...


@runtime_checkable
class Renewed(Protocol):
    """A source whose samples change from epoch to epoch."""

    def in_epoch(self, epoch: int) -> SampleSource:
        """The source as it is in an epoch (from 0)."""
        ...


def in_epoch(source: SampleSource, epoch: int) -> SampleSource:
    """``source`` as it is in an epoch; itself where it never changes."""
    return source.in_epoch(epoch) if isinstance(source, Renewed) else source


class CheckSource(SampleSource, Protocol):
    """A source that can be validated on."""

    def full_truth(self, index: int) -> tuple[Segmentation, frozenset[str]]:
        """The truth at the picture's own size, and the bones that are annotated."""
        ...


@dataclass
class CaseSource:
    """Labelled cases of a data set (training, validation, test or pseudo-labelled: there is no difference here).

    Pictures come through ``cache`` at training size. Outlines are read once and kept in memory in px of the training
    size: about .1 MB per hand.
    """

    cases: tuple[Case, ...]
    schema: BoneSchema
    cache: GreyCache
    _truths: dict[int, Truth] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        bare = next((case for case in self.cases if case.label is None), None)
        if bare is not None:
            raise DatasetError(
                f"'{bare.id}' has no label", path=bare.image, remedy="Train on the labelled cases of the data set only"
            )

    def __len__(self) -> int:
        return len(self.cases)

    def sample(self, index: int, rng: np.random.Generator) -> RawSample:
        """The case ``index``. Raises ImageError or LabelError when its files cannot be used."""
        del rng
        case = self.cases[index]
        image, placement = self.cache.get(case.image)
        truth = self._truths.get(index)
        if truth is None:
            full = case.truth(self.schema, placement.image_shape)
            truth = self._truths[index] = Truth(map_outlines(full.outlines, placement.to_grid), full.annotated)
        return RawSample(image, truth.outlines, None, truth.annotated, placement, case.id)

    def full_truth(self, index: int) -> tuple[Segmentation, frozenset[str]]:
        """The truth of a case at its picture's own size, and the bones that are annotated, for validation."""
        case = self.cases[index]
        shape = self.cache.get(case.image)[1].image_shape
        truth = case.truth(self.schema, shape)
        return truth.segmentation(self.schema, shape), truth.annotated


@dataclass(frozen=True)
class PhantomSource:
    """Phantoms drawn as they are asked for: index i is the phantom of seed ``first_seed`` + i, every time.

    A share of ``others`` shows the ``other`` anatomy, another part of the body, and one of ``drawings`` shows bones as
    books draw them: nothing is to be found there.
    """

    count: int
    schema: BoneSchema
    preparation: Preparation
    first_seed: int = 0
    options: PhantomOptions = field(default_factory=PhantomOptions)
    anatomy: Anatomy | None = None
    name: str = "phantom"
    other: Anatomy | None = None
    others: float = 0.0
    drawings: float = 0.0

    def __len__(self) -> int:
        return self.count

    def sample(self, index: int, rng: np.random.Generator) -> RawSample:
        """The phantom ``index``: its longer side has the preparation's size, so nothing is resampled."""
        del rng
        return self.of_seed(self.first_seed + index)

    def of_seed(self, seed: int) -> RawSample:
        """The phantom of a seed, drawn."""
        from ossa.phantom.drawing import drawing
        from ossa.phantom.scene import generate

        rng = np.random.default_rng([20261128, seed])
        kind = rng.uniform()
        shown = self.other if kind < self.others else None
        drawn = self.others <= kind < self.others + self.drawings
        radiograph, truth = generate(seed, self.preparation.size, self.options, shown or self.anatomy)
        picture = drawing(truth, rng) if drawn else np.asarray(radiograph.pixels, dtype=np.uint8)
        if drawn or shown is not None:
            truth = Segmentation(self.schema, truth.shape, {})
        return self.raw(seed, picture, truth.bits())

    def raw(self, seed: int, image: NDArray[np.uint8], bits: NDArray[np.uint32]) -> RawSample:
        """The sample of a phantom drawn before."""
        placement = place(image.shape, self.preparation)
        return RawSample(image, None, bits, frozenset(self.schema.names), placement, f"{self.name} {seed}")


@dataclass(frozen=True)
class Concat:
    """Several sources as one, each ``times`` over (a weight: 3 draws a source's samples three times an epoch)."""

    sources: Sequence[SampleSource]
    times: Sequence[int] = ()

    def __len__(self) -> int:
        return sum(len(source) * n for source, n in self._pairs())

    def _pairs(self) -> list[tuple[SampleSource, int]]:
        return list(zip(self.sources, self.times or [1] * len(self.sources), strict=True))

    def sample(self, index: int, rng: np.random.Generator) -> RawSample:
        """The sample ``index`` of all sources in a row."""
        source, own = self._at(index)
        return source.sample(own, rng)

    def in_epoch(self, epoch: int) -> Concat:
        """All sources as they are in an epoch."""
        return Concat([in_epoch(source, epoch) for source in self.sources], self.times)

    def _at(self, index: int) -> tuple[SampleSource, int]:
        for source, times in self._pairs():
            if index < len(source) * times:
                return source, index % len(source)
            index -= len(source) * times
        raise IndexError(index)


@dataclass(frozen=True)
class CheckConcat:
    """Several sources to validate on, as one."""

    sources: Sequence[CheckSource]

    def __len__(self) -> int:
        return sum(len(source) for source in self.sources)

    def sample(self, index: int, rng: np.random.Generator) -> RawSample:
        """The sample ``index`` of all sources in a row."""
        source, own = self._at(index)
        return source.sample(own, rng)

    def full_truth(self, index: int) -> tuple[Segmentation, frozenset[str]]:
        """The truth of sample ``index``."""
        source, own = self._at(index)
        return source.full_truth(own)

    def _at(self, index: int) -> tuple[CheckSource, int]:
        for source in self.sources:
            if index < len(source):
                return source, index
            index -= len(source)
        raise IndexError(index)


def image_paths(cases: Sequence[Case]) -> list[Path]:
    """The picture files of cases, in order, as ``GreyCache.build`` takes them."""
    return [case.image for case in cases]
