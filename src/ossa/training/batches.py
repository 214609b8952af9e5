"""Training samples and batches: one class for training, validation, test and pseudo-labels.

A sample source gives a picture at training size; the sample is varied (or not), its truth drawn as bit planes on the
training grid. A batch travels as uint8 pictures and 32-bit planes, 5 bytes per pixel however many bones there are,
and is normalised and unpacked on the device.

Every sample depends on (seed, epoch, position, index) alone and every batch on its samples and its number, whatever
process draws it and whatever was drawn before: ``make_batch`` replays a batch bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ossa.errors import ConfigError
from ossa.radiograph.prepare import normalise
from ossa.schema import BoneSchema
from ossa.segmentation.outlines import bits_from_outlines
from ossa.training import transforms
from ossa.training.augment import (
    Bend,
    Variation,
    bend_of,
    draw,
    edge_grey,
    matrix,
    mirrored,
    mirrored_bits,
    move_bits,
    move_outlines,
    move_picture,
    vary_grey,
)
from ossa.training.augment_keys import NONE, AugmentConfig
from ossa.training.bitplanes import unpack_bits
from ossa.training.mixing import draw_mixing
from ossa.training.samples import RawSample, SampleSource, in_epoch
from ossa.training.warps import Warp, warp_of

#: What a sample is asked for by: (epoch, position in the epoch, index in the source).
Key = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class Sample:
    """One sample on the training grid.

    ``image`` (H, W) uint8, 0 outside of ``content`` (h, w), which fills the top left corner; ``bits`` (P, H, W)
    uint32; ``annotated`` (C,) bool; ``scaling`` (low, high, mean, SD) brings the picture to what
    ``radiograph.prepare.normalise`` gives; ``index`` in the source.
    """

    image: NDArray[np.uint8]
    bits: NDArray[np.uint32]
    annotated: NDArray[np.bool_]
    scaling: tuple[float, float, float, float]
    content: tuple[int, int]
    index: int
    id: str
    variation: Variation


def scaling_of(grey: NDArray[np.uint8]) -> tuple[float, float, float, float]:
    """(low, high, mean, SD) of ``normalise`` for a picture (h, w) uint8, from its 256 counts.

    clip(grey, low, high), less the mean, over SD + 1e-6 is what ``normalise`` computes.
    """
    import cv2

    counts = cv2.calcHist([grey], [0], None, [256], [0, 256]).ravel().astype(np.int64)
    ends = np.cumsum(counts)
    total = int(ends[-1])
    low, high = (_quantile(ends, total, q) for q in (0.005, 0.995))
    levels = np.clip(np.arange(256.0), low, high)
    mean = float((counts * levels).sum() / total)
    variance = float((counts * (levels - mean) ** 2).sum() / total)
    return low, high, mean, variance**0.5


def centred(scaling: tuple[float, float, float, float]) -> tuple[float, float, float, float, float]:
    """(level, low, high, mean, SD): the first three of ``scaling`` counted from a whole level near the mean.

    What is left of them is small where a picture is nearly constant, so that float32 holds it.
    """
    low, high, mean, sd = scaling
    level = float(round(mean))
    return level, low - level, high - level, mean - level, sd


def _quantile(ends: NDArray[np.int64], total: int, share: float) -> float:
    """numpy's linear percentile of values 0..255 with cumulative counts ``ends``."""
    at = share * (total - 1)
    below = int(at)
    lower = float(np.searchsorted(ends, below, side="right"))
    upper = float(np.searchsorted(ends, min(below + 1, total - 1), side="right"))
    return lower + (upper - lower) * (at - below)


def normalised(sample: Sample) -> NDArray[np.float32]:
    """The network's input (H, W) float32 of a sample: ``normalise`` of its content, 0 around it."""
    out = np.zeros(sample.image.shape, np.float32)
    h, w = sample.content
    out[:h, :w] = normalise(sample.image[:h, :w])
    return out


def supersample(size: int) -> int:
    """How finely truth is drawn on a grid of ``size`` px: 4 times below 768 px, else 2."""
    return 4 if size < 768 else 2


class BoneData(Dataset[Sample]):
    """Samples of a source on a grid of ``size`` x ``size`` px, varied as ``augment`` says (default: not at all).

    ``fineness`` is how finely truth is drawn (``bits_from_outlines``); ``supersample(size)`` unless given.
    Samples are whole pictures: windows for training at high resolution are cut from the batch on the device
    (``module.window_corners``), as the network sees the whole hand beside each of them.
    """

    def __init__(
        self,
        source: SampleSource,
        schema: BoneSchema,
        size: int,
        *,
        augment: AugmentConfig = NONE,
        seed: int = 0,
        fineness: int | None = None,
    ) -> None:
        self.source = source
        self.schema = schema
        self.augment = augment
        self.seed = seed
        side = -(-size // 32) * 32
        self.grid = (side, side)
        self.supersample = fineness if fineness is not None else supersample(size)

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, key: int | Key) -> Sample:
        """The sample of a key (epoch, position, index); a plain index is asked for as (0, index, index)."""
        epoch, position, index = key if isinstance(key, tuple) else (0, key, key)
        rng = np.random.default_rng([self.seed, epoch, position, index])
        raw = in_epoch(self.source, epoch).sample(index, rng)
        return self.varied(raw, draw(self.augment, rng), index)

    def varied(self, raw: RawSample, variation: Variation, index: int) -> Sample:
        """A raw sample under a given variation, its truth drawn."""
        outlines = raw.outlines
        bend = bend_of(outlines, variation.bend) if outlines is not None else None
        content = (min(raw.image.shape[0], self.grid[0]), min(raw.image.shape[1], self.grid[1]))
        warp = warp_of(variation.corners, variation.elastic, variation.noise_seed, content)
        move = (matrix(variation, raw.image.shape), bend, warp)
        surround = edge_grey(raw.image) if variation.surround else 0
        picture = vary_grey(move_picture(raw.image, move[0], content, bend, surround, warp), variation)
        picture, bits = self._truth(raw, variation, move, picture)
        image = np.zeros(self.grid, np.uint8)
        image[: content[0], : content[1]] = picture
        annotated = np.array([name in raw.annotated for name in self.schema.names])
        if variation.flip:
            annotated = annotated[list(self.schema.mirror_order())]
        return Sample(image, bits, annotated, scaling_of(picture), content, index, raw.id, variation)

    def _truth(
        self, raw: RawSample, variation: Variation, move: tuple[Any, Bend | None, Warp | None], picture: Any
    ) -> tuple[Any, Any]:
        """The picture after other packages' transforms, and bit planes (P, H, W) of the truth that moved with it."""
        affine, bend, warp = move
        content = picture.shape
        others = self._others(variation)
        if raw.outlines is not None:
            outlines = move_outlines(raw.outlines, affine, bend, warp)
            for other in others:
                picture, outlines = transforms.move_outlines(*other, picture, outlines)
            outlines = mirrored(outlines, self.schema) if variation.flip else outlines
            bits = bits_from_outlines(outlines, self.schema, content, self.supersample)
        else:
            if raw.bits is None:
                raise ConfigError(f"the source gave '{raw.id}' neither outlines nor bit planes")
            bits = move_bits(raw.bits, affine, content, bend, warp)
            for other in others:
                picture, bits = transforms.move_bits(*other, picture, bits)
            bits = mirrored_bits(bits, self.schema) if variation.flip else bits
        if content == self.grid:
            return picture, bits
        padded = np.zeros((bits.shape[0], *self.grid), np.uint32)
        padded[:, : content[0], : content[1]] = bits
        return picture, padded

    def _others(self, variation: Variation) -> list[tuple[transforms.Transform, str, int]]:
        """Transform, name and seed of what other packages do to a sample."""
        if not variation.transforms:
            return []
        wanted = self.augment.transforms
        made = transforms.load(wanted)
        return [(made[number], str(wanted[number]["name"]), seed) for number, seed in variation.transforms]


# --- batches ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Batch:
    """N samples as they travel: ``images`` (N, H, W) uint8, ``bits`` (N, P, H, W) int32 (the 32 bits of uint32),
    ``annotated`` (N, C) bool, ``scaling`` (N, 5) float32 as ``centred`` gives it, ``content`` (N, 2) int32, ``indices``
    (N,) int64.

    ``mix`` is the share of each sample against its partner ``partners`` (N,) int64; 1 when nothing is mixed. ``paste``
    (N, H, W) bool: where the partner's picture covers the sample's, whose ``bits`` are then the partner's already.
    ``ids`` and ``number`` (epoch, batch) name the batch in messages.
    """

    images: Tensor
    bits: Tensor
    annotated: Tensor
    scaling: Tensor
    content: Tensor
    indices: Tensor
    partners: Tensor
    mix: float
    ids: tuple[str, ...]
    number: tuple[int, int]
    classes: int
    paste: Tensor | None = None

    def _moved(self, change: Any) -> Batch:
        names = ("images", "bits", "annotated", "scaling", "content", "indices", "partners")
        paste = None if self.paste is None else change(self.paste)
        return replace(self, paste=paste, **{name: change(getattr(self, name)) for name in names})

    def to(self, device: torch.device | str, non_blocking: bool = True) -> Batch:
        """The batch on another device."""
        return self._moved(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Batch:
        """The batch in page-locked memory (called by torch's DataLoader)."""
        return self._moved(lambda tensor: tensor.pin_memory())

    def inputs(self) -> Tensor:
        """The network's input (N, 1, H, W) float32 on the batch's device: normalised, mixed."""
        x = normalise_batch(self.images, self.scaling, self.content)
        if self.paste is not None:
            x = torch.where(self.paste[:, None], x[self.partners], x)
        return x if self.mix == 1.0 else self.mix * x + (1 - self.mix) * x[self.partners]

    def targets(self, stride: int = 1) -> tuple[Tensor, Tensor]:
        """Targets (N, C, H / stride, W / stride) float32 in 0..1, mixed, and ``annotated`` (N, C) float32."""
        y = unpack_bits(self.bits, self.classes, stride)
        known = self._known()
        return (y if self.mix == 1.0 else self.mix * y + (1 - self.mix) * y[self.partners]), known

    def window_targets(self, corners: Tensor, size: int, stride: int = 1) -> tuple[Tensor, Tensor]:
        """``targets`` in K windows of ``size`` px per sample: (N * K, C, size / stride, ...) and (N * K, C).

        ``corners`` (N, K, 2) int: top and left. What is mixed into a sample is cut where the sample is.
        """
        y = unpack_bits(_windows_of(self.bits, corners, size), self.classes, stride)
        if self.mix != 1.0:
            other = unpack_bits(_windows_of(self.bits[self.partners], corners, size), self.classes, stride)
            y = self.mix * y + (1 - self.mix) * other
        return y, self._known().repeat_interleave(corners.shape[1], dim=0)

    def _known(self) -> Tensor:
        """(N, C) float32: 1 where a bone is annotated in a sample and in what is mixed into it."""
        known = self.annotated.to(torch.float32)
        if self.paste is not None:
            covered = self.paste.flatten(1).any(dim=1)[:, None]
            return torch.where(covered, known * known[self.partners], known)
        return known if self.mix == 1.0 else known * known[self.partners]


def _windows_of(bits: Tensor, corners: Tensor, size: int) -> Tensor:
    """(N, P, H, W) to (N * K, P, size, size)."""
    pieces = [
        bits[n, :, top : top + size, left : left + size]
        for n, of_image in enumerate(corners.tolist())
        for top, left in of_image
    ]
    return torch.stack(pieces)


def normalise_batch(images: Tensor, scaling: Tensor, content: Tensor) -> Tensor:
    """(N, H, W) uint8 to (N, 1, H, W) float32, as ``normalise`` does; 0 outside of each sample's content."""
    level, low, high, mean, sd = scaling[:, :, None, None].unbind(1)
    x = images.to(torch.float32) - level
    x = (torch.minimum(torch.maximum(x, low), high) - mean) / (sd + 1e-6)
    rows = torch.arange(images.shape[1], device=images.device)[None, :, None] < content[:, 0, None, None]
    columns = torch.arange(images.shape[2], device=images.device)[None, None, :] < content[:, 1, None, None]
    return (x * (rows & columns))[:, None]


def collate(samples: Sequence[Sample], augment: AugmentConfig, seed: int, number: tuple[int, int]) -> Batch:
    """Samples as a batch, on no larger a grid than its pictures need; what is mixed follows from its number."""
    side = -(-max(max(s.content) for s in samples) // 32) * 32
    bits = np.stack([s.bits[:, :side, :side] for s in samples])
    annotated = np.stack([s.annotated for s in samples])
    mixing = draw_mixing(augment, [seed, *number], bits, annotated)
    if mixing.paste is not None:
        bits = np.where(mixing.paste[:, None], bits[mixing.partners], bits)
    return Batch(
        images=torch.from_numpy(np.stack([s.image[:side, :side] for s in samples])),
        bits=torch.from_numpy(bits.view(np.int32)),
        annotated=torch.from_numpy(annotated),
        scaling=torch.tensor([centred(s.scaling) for s in samples], dtype=torch.float32),
        content=torch.tensor([s.content for s in samples], dtype=torch.int32),
        indices=torch.tensor([s.index for s in samples], dtype=torch.int64),
        partners=torch.from_numpy(mixing.partners.astype(np.int64)),
        mix=mixing.share,
        ids=tuple(s.id for s in samples),
        number=number,
        classes=int(samples[0].annotated.size),
        paste=None if mixing.paste is None else torch.from_numpy(mixing.paste),
    )


def make_batch(data: BoneData, keys: Sequence[Key], number: int = 0) -> Batch:
    """The batch of ``keys`` (of one epoch), the ``number``-th of its epoch: the same pixels whenever it is made."""
    return collate([data[key] for key in keys], data.augment, data.seed, (keys[0][0], number))


class KeySampler(Protocol):
    """What ``loader`` needs of a sampler: the keys of one batch after the other (see ``training.sampler``)."""

    batch_size: int

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[list[Key]]: ...


class _Numbered(Dataset[Batch]):
    """Whole batches by their keys, so that a worker process makes a batch and knows its number."""

    def __init__(self, data: BoneData, batch_size: int) -> None:
        self.data, self.batch_size = data, batch_size

    def __getitem__(self, keys: list[Key]) -> Batch:
        number = keys[0][1] // self.batch_size
        return make_batch(self.data, keys, number)


def loader(data: BoneData, sampler: KeySampler, workers: int = 0, pin_memory: bool = False) -> DataLoader[Batch]:
    """A DataLoader over ``sampler`` whose items are whole ``Batch``es, made in ``workers`` processes."""
    return DataLoader(
        _Numbered(data, sampler.batch_size),
        sampler=cast(Any, sampler),
        batch_size=None,
        num_workers=workers,
        pin_memory=pin_memory,
        persistent_workers=workers > 0,
        multiprocessing_context="spawn" if workers else None,
        worker_init_fn=_start_worker if workers else None,
    )


def _start_worker(_worker: int) -> None:
    """One OpenCV and torch thread per worker: the workers are the parallelism."""
    import cv2

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
