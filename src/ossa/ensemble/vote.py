"""Several opinions as one: means of saved probabilities, votes of masks, and weights per bone.

The streamed ensemble of models is inference.networks.Networks itself; here is what works on
results that other runs left behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ossa.ensemble.crossfit import both_ways, judged
from ossa.errors import ConfigError, InputError
from ossa.inference.networks import member_weights
from ossa.labels.store import Store
from ossa.radiograph.prepare import Placement
from ossa.segmentation.decode import decode, resample_logits, scales
from ossa.segmentation.scores import finite_mean
from ossa.segmentation.segmentation import Segmentation

Float = NDArray[np.float32]
Table = NDArray[np.float64]

#: Rounds of forward selection; every round adds one member to each bone's mean.
ROUNDS = 12

#: Names listed of a difference between image sets.
_LISTED = 5


def same_images(sets: Mapping[str, Sequence[str]]) -> list[str]:
    """The images that every source (name -> image names) has, in the first one's order.

    Raises InputError with the difference listed when the sets are not equal.
    """
    names = list(sets)
    if not names:
        raise ConfigError("nothing to combine was given", expected="at least one file or folder")
    everything = set().union(*sets.values())
    lines = []
    for name in names:
        missing = sorted(everything - set(sets[name]))
        if missing:
            more = f" and {len(missing) - _LISTED} more" if len(missing) > _LISTED else ""
            lines.append(f"{name} lacks {len(missing)} of {len(everything)}: {', '.join(missing[:_LISTED])}{more}")
    if lines:
        raise InputError(
            "the image sets differ",
            found="; ".join(lines),
            expected="the same images everywhere",
            remedy="Give results of the same images",
        )
    return list(sets[names[0]])


#: Puts one image's saved probabilities together: (stores, image, shares) -> logits (C, h, w) and their placement.
Average = Callable[[Sequence[Store], str, Float], tuple[Float, Placement]]


def mean_logits(stores: Sequence[Store], image: str, shares: Float) -> tuple[Float, Placement]:
    """The weighted mean logits (C, h, w) of one image over ``stores``, on the finest of their grids.

    A store that is very sure outweighs one that hesitates: the mean of the logits is the geometric mean of the odds.
    It is how ``ossa predict`` joins several models and several looks. ``shares`` (stores, C) sum to 1 over the stores.
    Raises InputError when the stores saw pictures of different sizes under this name.
    """
    parts, placement = _on_one_grid(stores, image)
    total = np.zeros((shares.shape[1], *parts[0].shape[1:]), np.float32)
    for logits, share in zip(parts, shares, strict=True):
        total += logits * share[:, None, None]
    return total, placement


def mean_probabilities(stores: Sequence[Store], image: str, shares: Float) -> tuple[Float, Placement]:
    """As ``mean_logits``, but the mean of the probabilities (and its logits): no store outweighs the rest.

    At .5 a pixel is bone where the weighted mean probability is above .5.
    """
    parts, placement = _on_one_grid(stores, image)
    total = np.zeros((shares.shape[1], *parts[0].shape[1:]), np.float64)
    for logits, share in zip(parts, shares, strict=True):
        total += share[:, None, None] / (1.0 + np.exp(-logits.astype(np.float64)))
    total = np.clip(total, 1e-7, 1 - 1e-7)
    return np.log(total / (1.0 - total)).astype(np.float32), placement


#: What the mean of ``soft_vote`` may be called.
AVERAGES: Mapping[str, Average] = {"logits": mean_logits, "probabilities": mean_probabilities}


def _on_one_grid(stores: Sequence[Store], image: str) -> tuple[list[Float], Placement]:
    """Every store's logits (C, h, w) of an image on the finest of their grids, and that grid's placement."""
    saved = [store.read(image) for store in stores]
    first = saved[0].placement
    for store, other in zip(stores, saved, strict=True):
        if other.placement.image_shape != first.image_shape:
            raise InputError(
                f"the probabilities of '{image}' belong to a picture of another size",
                path=store.path,
                found="{}x{}".format(*other.placement.image_shape),
                expected="{}x{} as in {}".format(*first.image_shape, stores[0].path),
            )
    finest = max(saved, key=lambda s: scales(s.shape, s.placement)[0])
    parts = []
    for one in saved:
        logits = one.logits()
        if one.shape != finest.shape or one.placement != finest.placement:
            logits = resample_logits(logits, one.placement, finest.placement, finest.shape)
        parts.append(logits)
    return parts, finest.placement


def soft_vote(
    stores: Sequence[Store],
    weights: Sequence[float] | NDArray[np.floating] | None = None,
    thresholds: Sequence[Mapping[str, float]] = ({},),
    average: Average = mean_logits,
) -> Iterator[tuple[str, list[Segmentation]]]:
    """The bones by a mean of what the stores saved: (image, bones at each threshold), one image in memory at a time.

    ``weights``: one per store, or (stores, bones), or None for equal ones. ``thresholds``: bone -> probability, .5
    where nothing is said, any number of times. ``average``: ``mean_logits`` or ``mean_probabilities``. The first step
    checks that all stores hold the same images (InputError lists the difference).
    """
    images = same_images({str(store.path): store.images() for store in stores})
    schema = stores[0].schema
    shares = member_weights(weights, len(stores), len(schema))
    for image in images:
        logits, placement = average(stores, image, shares)
        yield image, [decode(logits, placement, schema, given) for given in thresholds]


#: A score of weights (members, bones): Dice (images, bones) on out-of-fold images, NaN where a bone does not count.
Score = Callable[[Table], Table]


@dataclass(frozen=True, eq=False)
class Selection:
    """Weights fitted per bone, and what they are worth.

    ``weights`` (members, bones). ``uniform`` and ``selected`` (bones,): mean Dice of equal weights
    and of selected ones, both on images that the selection under test had not seen (two-fold
    cross-fitting by group), 0 where no image has the bone. A bone whose gain is not positive keeps equal weights.
    """

    weights: Table
    uniform: Table
    selected: Table

    @property
    def gain(self) -> Table:
        """Cross-fitted gain per bone over equal weights; what is used gains 0 where it is negative."""
        return self.selected - self.uniform


def select_weights(score: Score, groups: Sequence[str], members: int, bones: int, rounds: int = ROUNDS) -> Selection:
    """Weights per bone by greedy forward selection with replacement, judged on images not used for it.

    ``score`` must be out-of-fold (no image scored by a model that trained on it); ``groups`` names
    the subject of each image, and no subject is on both sides of the cross-fit. Method: Caruana et
    al., Ensemble selection from libraries of models, ICML 2004. All bones are searched at once, so
    a round costs ``members`` calls of ``score``.
    """
    subjects = len(set(groups))
    if members < 2 or subjects < 2:
        raise ConfigError(
            "weights cannot be selected",
            found=f"{members} members, {subjects} subjects",
            expected="at least two of each",
        )
    equal = np.full((members, bones), 1.0 / members)
    base = score(equal)
    if base.shape != (len(groups), bones):
        raise ConfigError("the score does not fit", found=base.shape, expected=f"({len(groups)}, {bones})")
    by_half = [score(_greedy(score, fit, members, bones, rounds)) for fit, _ in both_ways(groups)]
    # NaN for a bone that no image has: nothing is gained there.
    selected, uniform = finite_mean(judged(by_half, groups), axis=0), finite_mean(base, axis=0)
    weights = _greedy(score, np.ones(len(groups), bool), members, bones, rounds)
    weights[:, ~(selected > uniform)] = 1.0 / members
    return Selection(weights, np.nan_to_num(uniform), np.nan_to_num(selected))


def _greedy(score: Score, rows: NDArray[np.bool_], members: int, bones: int, rounds: int) -> Table:
    """Weights (members, bones) found on the images of ``rows``; equal ones for a bone that none of them has."""
    counts = np.zeros((members, bones))
    best = np.full(bones, -np.inf)
    kept = counts.copy()
    for _ in range(rounds):
        trials = np.stack([finite_mean(score(_plus(counts, m))[rows], axis=0) for m in range(members)])
        trials[np.isnan(trials)] = -np.inf
        choice = trials.argmax(axis=0)
        counts[choice, np.arange(bones)] += 1
        top = trials.max(axis=0)
        better = top > best + 1e-9
        kept[:, better] = counts[:, better]
        best = np.maximum(best, top)
    kept[:, kept.sum(axis=0) == 0] = 1.0
    out: Table = kept / kept.sum(axis=0)
    return out


def _plus(counts: Table, member: int) -> Table:
    more = counts.copy()
    more[member] += 1
    out: Table = more / more.sum(axis=0)
    return out
