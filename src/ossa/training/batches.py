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
from ossa.training.augment import (
    Variation,
    bend_of,
    draw,
    draw_mixup,
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
from ossa.training.samples import RawSample, SampleSource, in_epoch

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
        affine = matrix(variation, raw.image.shape)
        bend = bend_of(outlines, variation.bend) if outlines is not None else None
        content = (min(raw.image.shape[0], self.grid[0]), min(raw.image.shape[1], self.grid[1]))
        image = np.zeros(self.grid, np.uint8)
        surround = edge_grey(raw.image) if variation.surround else 0
        picture = move_picture(raw.image, affine, content, bend, surround)
        picture = vary_grey(picture, variation)
        image[: content[0], : content[1]] = picture
        bits = self._bits(raw, variation, affine, bend, content)
        annotated = np.array([name in raw.annotated for name in self.schema.names])
        if variation.flip:
            annotated = annotated[list(self.schema.mirror_order())]
        return Sample(image, bits, annotated, scaling_of(picture), content, index, raw.id, variation)

    def _bits(self, raw: RawSample, variation: Variation, affine: Any, bend: Any, content: tuple[int, int]) -> Any:
        """Bit planes (P, H, W) of the varied truth, nothing outside of the content."""
        if raw.outlines is not None:
            outlines = move_outlines(raw.outlines, affine, bend)
            outlines = mirrored(outlines, self.schema) if variation.flip else outlines
            bits = bits_from_outlines(outlines, self.schema, content, self.supersample)
        else:
            if raw.bits is None:
                raise ConfigError(f"the source gave '{raw.id}' neither outlines nor bit planes")
            bits = move_bits(raw.bits, affine, content, bend)
            bits = mirrored_bits(bits, self.schema) if variation.flip else bits
        if content == self.grid:
            return bits
        padded = np.zeros((bits.shape[0], *self.grid), np.uint32)
        padded[:, : content[0], : content[1]] = bits
        return padded


# --- batches ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Batch:
    """N samples as they travel: ``images`` (N, H, W) uint8, ``bits`` (N, P, H, W) int32 (the 32 bits of uint32),
    ``annotated`` (N, C) bool, ``scaling`` (N, 5) float32 as ``centred`` gives it, ``content`` (N, 2) int32, ``indices``
    (N,) int64.

    ``mix`` is the share of each sample against its partner ``partners`` (N,) int64; 1 when nothing is mixed.
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

    def _moved(self, change: Any) -> Batch:
        names = ("images", "bits", "annotated", "scaling", "content", "indices", "partners")
        return replace(self, **{name: change(getattr(self, name)) for name in names})

    def to(self, device: torch.device | str, non_blocking: bool = True) -> Batch:
        """The batch on another device."""
        return self._moved(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Batch:
        """The batch in page-locked memory (called by torch's DataLoader)."""
        return self._moved(lambda tensor: tensor.pin_memory())

    def inputs(self) -> Tensor:
        """The network's input (N, 1, H, W) float32 on the batch's device: normalised, mixed."""
        x = normalise_batch(self.images, self.scaling, self.content)
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


def unpack_bits(bits: Tensor, classes: int, stride: int = 1) -> Tensor:
    """Bit planes (N, P, H, W) int32 to (N, C, H / stride, W / stride) float32: the share of each cell that is bone.

    H and W must be multiples of ``stride``. Works on the tensor's own device; no more than one byte per bone and
    cell is held besides the result.
    """
    if bits.ndim != 4 or bits.shape[1] * 32 < classes:
        raise ConfigError("bit planes do not fit", found=tuple(bits.shape), expected=f"(N, {-(-classes // 32)}, H, W)")
    if bits.shape[2] % stride or bits.shape[3] % stride:
        raise ConfigError(
            "bit planes cannot be pooled", found=tuple(bits.shape), expected=f"sides divisible by {stride}"
        )
    cells = None
    for dy in range(stride):
        for dx in range(stride):
            planes = _planes(bits[:, :, dy::stride, dx::stride], classes)
            cells = planes if cells is None else cells.add_(planes)
    assert cells is not None
    return cells.to(torch.float32).div_(stride * stride) if stride > 1 else cells.to(torch.float32)


def _planes(bits: Tensor, classes: int) -> Tensor:
    """(N, P, h, w) int32 to (N, C, h, w) uint8."""
    if bits.device.type == "cpu":
        # numpy unpacks a byte at a time: 10 to 20 times faster than shifts on a CPU.
        octets = bits.permute(0, 2, 3, 1).contiguous().numpy().astype("<i4", copy=False).view(np.uint8)
        flat = np.unpackbits(octets, axis=-1, bitorder="little", count=classes)
        return torch.from_numpy(flat).permute(0, 3, 1, 2)
    return planes_by_shifting(bits, classes)


def planes_by_shifting(bits: Tensor, classes: int) -> Tensor:
    """(N, P, h, w) int32 to (N, C, h, w) uint8 on any device, one bone at a time."""
    out = torch.empty((bits.shape[0], classes, *bits.shape[2:]), dtype=torch.uint8, device=bits.device)
    for c in range(classes):
        out[:, c] = (bits[:, c // 32] >> (c % 32)) & 1
    return out


def collate(samples: Sequence[Sample], augment: AugmentConfig, seed: int, number: tuple[int, int]) -> Batch:
    """Samples as a batch, on no larger a grid than its pictures need; MixUp is drawn from (seed, epoch, batch)."""
    side = -(-max(max(s.content) for s in samples) // 32) * 32
    mixed = draw_mixup(augment, np.random.default_rng([seed, *number, 0x4D6978]), len(samples))
    share, partners = mixed if mixed is not None else (1.0, np.arange(len(samples)))
    bits = np.stack([s.bits[:, :side, :side] for s in samples]).view(np.int32)
    return Batch(
        images=torch.from_numpy(np.stack([s.image[:side, :side] for s in samples])),
        bits=torch.from_numpy(bits),
        annotated=torch.from_numpy(np.stack([s.annotated for s in samples])),
        scaling=torch.tensor([centred(s.scaling) for s in samples], dtype=torch.float32),
        content=torch.tensor([s.content for s in samples], dtype=torch.int32),
        indices=torch.tensor([s.index for s in samples], dtype=torch.int64),
        partners=torch.from_numpy(partners.astype(np.int64)),
        mix=share,
        ids=tuple(s.id for s in samples),
        number=number,
        classes=int(samples[0].annotated.size),
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
