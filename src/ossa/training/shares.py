"""How much of the training pictures each bone fills: where a new network's output biases start (models.prior)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ossa.training.augment import Variation
from ossa.training.batches import BoneData
from ossa.training.bitplanes import unpack_bits
from ossa.training.samples import SampleSource, in_epoch

#: Pictures of each source that are looked at: a bone's share differs little between hands.
LOOKED_AT = 24


def bone_shares(data: BoneData, sources: Sequence[tuple[SampleSource, float]]) -> Tensor:
    """The mean share of a picture's pixels that each bone fills (C,), over ``sources`` in proportion to their weights.

    Of every source ``LOOKED_AT`` pictures, evenly spread, not varied. A bone that none of them annotates gets the mean
    of the others; all get 0.01 where nothing is annotated.
    """
    sums = np.zeros((2, len(data.schema)))
    for source, weight in sources:
        if weight <= 0 or len(source) == 0:
            continue
        chosen = np.unique(np.linspace(0, len(source) - 1, LOOKED_AT).astype(int))
        now = in_epoch(source, 0)
        for index in chosen.tolist():
            sample = data.varied(now.sample(index, np.random.default_rng(0)), Variation(), index)
            planes = unpack_bits(torch.from_numpy(sample.bits.view(np.int32))[None], len(data.schema))[0]
            filled = planes.sum(dim=(1, 2)).numpy() / (sample.content[0] * sample.content[1])
            part = weight / len(chosen)
            sums += part * np.stack([filled * sample.annotated, sample.annotated.astype(float)])
    known = sums[1] > 0
    if not known.any():
        return torch.full((len(data.schema),), 0.01)
    shares = np.divide(sums[0], sums[1], out=np.zeros_like(sums[0]), where=known)
    shares[~known] = shares[known].mean()
    return torch.from_numpy(shares).float()
