"""Outlines moved to the edges that the picture shows.

A network's logits lie some pixels apart, and between them an outline is guessed. The refiner looks at the picture
itself, across each outline, and says how far off the edge lies and how sure that is (segmentation.strips,
models.refiner). What a bundle without a refiner does not know, nobody asks: ``Refiner.load`` gives None then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ossa.bundle.companions import REFINER
from ossa.errors import BundleError
from ossa.inference.engine import open_companion
from ossa.models.refiner_shape import ACROSS, AROUND
from ossa.segmentation.rings import Ring, moved
from ossa.segmentation.segmentation import Segmentation
from ossa.segmentation.strips import APART, Sampler, Seen, closed, normalised

if TYPE_CHECKING:
    from ossa.bundle.bundle import Bundle
    from ossa.inference.engine import Engine

#: What lies nearer to the picture's border than so many units stays as it was found.
KEPT = 2.0


@dataclass(frozen=True, eq=False)
class Refiner:
    """The refiner of a bundle, ready to run."""

    engine: Engine

    @classmethod
    def load(cls, bundle: Bundle, threads: int = 1) -> Refiner | None:
        """The refiner that travels in ``bundle``; None when it has none. Raises BundleError if it cannot be opened."""
        engine = open_companion(bundle, REFINER, threads)
        return None if engine is None else cls(engine)

    def refine(
        self, found: Segmentation, seen: Mapping[str, Seen], picture: NDArray[Any], edges: bool = False
    ) -> Segmentation:
        """``found`` with the outer edge of each bone's largest part where the ``picture`` (H, W) shows it.

        ``seen``: what the look says that a bone's outline was taken from; a bone without one stays as it is. With
        ``edges`` the plausible edges of refined bones are those one standard deviation further out and further in.
        """
        sampler = Sampler(picture, ACROSS)
        rings: dict[str, Ring] = {}
        for name, region in found:
            one = sampler.ring(region) if name in seen else None
            if one is not None:
                rings[name] = one
        if not rings:
            return found
        raw = [sampler.strip(one, seen[name], found.schema.index(name)) for name, one in rings.items()]
        strips = [closed(strip, AROUND) for strip in normalised(raw)]
        answer = self._asked(np.concatenate(strips, axis=2))
        regions, plausible = dict(found.regions), dict(found.plausible)
        start, move = 0, partial(moved, shape=found.shape, kept=KEPT * sampler.unit)
        for (name, one), strip in zip(rings.items(), strips, strict=True):
            offset, spread = answer[:, start : start + len(one.points)] * (APART * sampler.unit)
            start += strip.shape[2]
            regions[name] = move(one, offset) or regions[name]
            if edges:
                several = (move(one, offset + by * spread) for by in (1.0, -1.0))
                plausible[name] = tuple(region for region in several if region is not None)
        return replace(found, regions=regions, plausible=plausible)

    def _asked(self, strips: NDArray[np.float32]) -> NDArray[np.float32]:
        """(2, L - 2 * AROUND) samples outwards and their spread, of all strips side by side."""
        answer = self.engine(strips[None])
        expected = (1, 2, 1, strips.shape[2] - 2 * AROUND)
        if answer.shape != expected or not np.isfinite(answer).all():
            raise BundleError("the refiner's output is not what it should be", found=answer.shape, expected=expected)
        return answer[0, :, 0]
