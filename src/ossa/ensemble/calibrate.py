"""Thresholds and clean-up per bone, fitted on out-of-fold probabilities, judged on subjects not fitted on.

Saved logits and truths go in, image by image; a ``Calibration`` comes out. Dice is that of the full
picture: for every threshold at once, from one histogram of the interpolated logits per bone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ossa.ensemble.crossfit import both_ways, judged
from ossa.errors import ConfigError
from ossa.schema import BoneSchema
from ossa.segmentation.cleanup import Cleanup, Rule
from ossa.segmentation.compare import EPS, dice
from ossa.segmentation.decode import GridPlacement, decode, interpolate, logit, reach, scales, taps
from ossa.segmentation.scores import finite_mean
from ossa.segmentation.segmentation import Region, Segmentation

Table = NDArray[np.float64]

#: Probabilities that are tried as thresholds.
THRESHOLDS = tuple(round(0.10 + 0.05 * k, 2) for k in range(17))

#: Ways to tidy a bone that are tried, the mildest first (an equal score keeps the milder one).
RULES: tuple[Rule, ...] = (
    Rule(),
    Rule(part=0.1),
    Rule(part=0.1, hole=1.0),
    Rule(part=1.0),
    Rule(part=1.0, hole=1.0),
)

#: A fitted choice must beat the plain one by this much Dice in its cross-fitted mean, or the plain one stays.
MINIMAL_GAIN = 1e-4

#: Gives one image's logits (C, h, w), its placement and its truth again; called a second time for the clean-up.
Reader = Callable[[], "OutOfFold"]


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """One image: logits (C, h, w) over the grid of ``placement``, the truth, and which bones are annotated."""

    logits: NDArray[Any]
    placement: GridPlacement
    truth: Segmentation
    annotated: frozenset[str]


@dataclass(frozen=True, eq=False)
class Choice:
    """What was fitted for one bone, and its worth.

    ``plain``: mean Dice at .5 without clean-up; ``with_threshold`` and ``with_rule``: after one and after both steps,
    each on subjects that neither had been fitted on; 0 where no image has the bone annotated. ``threshold`` and
    ``rule`` are those to be used: fitted on everything, but .5 and no rule where the gain was not positive.
    ``images``: how many had the bone annotated.
    """

    bone: str
    images: int
    plain: float
    with_threshold: float
    with_rule: float
    threshold: float
    rule: Rule

    @property
    def gain(self) -> float:
        """Cross-fitted gain of both steps, as they came out: also where they were not kept."""
        return self.with_rule - self.plain


@dataclass(frozen=True, eq=False)
class Calibration:
    """The choices for all bones, from ``images`` pictures of ``subjects`` people."""

    schema: BoneSchema
    choices: tuple[Choice, ...]
    images: int
    subjects: int

    @property
    def thresholds(self) -> dict[str, float]:
        """Bone -> threshold, for the bones that do not keep .5."""
        return {c.bone: c.threshold for c in self.choices if c.threshold != 0.5}

    @property
    def cleanup(self) -> Cleanup:
        """The clean-up rules."""
        return Cleanup(Rule(), {c.bone: c.rule for c in self.choices if c.rule != Rule()})

    def means(self) -> tuple[float, float, float]:
        """Mean over bones of ``plain``, ``with_threshold`` and ``with_rule``."""
        scored = [c for c in self.choices if c.images]
        rows = np.array([[c.plain, c.with_threshold, c.with_rule] for c in scored]).reshape(-1, 3)
        mean = rows.mean(axis=0) if len(rows) else np.full(3, np.nan)
        return float(mean[0]), float(mean[1]), float(mean[2])


def dice_curve(
    plane: NDArray[Any], placement: GridPlacement, truth: Region | None, thresholds: Sequence[float]
) -> Table:
    """Dice (T,) of one bone at every threshold, over the full picture, from its logits ``plane`` (h, w).

    The same pixels as ``decode`` at that threshold, counted from one histogram instead of T masks.
    """
    limits = np.array([logit(t) for t in thresholds], np.float32)
    order = np.argsort(limits)
    area = 0 if truth is None else truth.area
    found = np.zeros(len(limits))
    both = np.zeros(len(limits))
    rows = np.flatnonzero(plane.max(axis=1) > limits.min())
    if rows.size:
        columns = np.flatnonzero(plane.max(axis=0) > limits.min())
        height, width = placement.image_shape
        scale_y, scale_x = scales((plane.shape[0], plane.shape[1]), placement)
        top, bottom = reach(int(rows[0]), int(rows[-1]) + 1, scale_y, height)
        left, right = reach(int(columns[0]), int(columns[-1]) + 1, scale_x, width)
        if top < bottom and left < right:
            down = taps(top, bottom, scale_y, plane.shape[0])
            across = taps(left, right, scale_x, plane.shape[1])
            fine = interpolate(plane.astype(np.float32), down, across)
            inside = np.zeros(fine.shape, bool)
            both_boxes = None if truth is None else truth.shared(Region(top, left, inside))
            if both_boxes is not None:
                both_boxes[1][...] = both_boxes[0]
            # How many limits each pixel is above: a pixel above its k lowest limits counts for those k.
            rank = np.searchsorted(limits[order], fine.ravel(), side="left")
            found[order] = _above_each(rank, len(limits))
            both[order] = _above_each(rank[inside.ravel()], len(limits))
    return (2 * both + EPS) / (found + area + EPS)


def _above_each(rank: NDArray[np.intp], count: int) -> Table:
    """How many pixels lie above limit 0, 1, ... of ``count`` ascending ones."""
    histogram = np.bincount(rank, minlength=count + 1)[: count + 1]
    above: Table = histogram[::-1].cumsum()[::-1][1:].astype(np.float64)
    return above


def calibrate(
    readers: Sequence[Reader],
    subjects: Sequence[str],
    schema: BoneSchema,
    thresholds: Sequence[float] = THRESHOLDS,
    rules: Sequence[Rule] = RULES,
    track: Callable[[Iterable[int], int, str], Iterable[int]] | None = None,
) -> Calibration:
    """Fit a threshold and a clean-up rule per bone.

    ``readers`` give out-of-fold answers, ``subjects`` whose they are. The subjects are split into two halves; what is
    fitted on one half is judged on the other, both ways, and the means of both are reported. The final choice is
    fitted on all. Raises ConfigError with fewer than two subjects.
    """
    people = len(set(subjects))
    if people < 2:
        raise ConfigError(
            "a fit that is judged on other subjects needs at least two of them",
            found=f"{len(readers)} images of {people} subject",
        )
    if 0.5 not in thresholds or not rules or rules[0] != Rule():
        raise ConfigError("calibration needs .5 among its thresholds, and no clean-up as its first rule")
    follow = track if track is not None else lambda items, _total, _what: items
    plain = list(thresholds).index(0.5)
    curves = np.full((len(readers), len(schema), len(thresholds)), np.nan)
    for n in follow(range(len(readers)), len(readers), "Fitting thresholds"):
        answer = readers[n]()
        for i, name in enumerate(schema.names):
            if name in answer.annotated:
                curves[n, i] = dice_curve(answer.logits[i], answer.placement, answer.truth.get(name), thresholds)
    sides = both_ways(subjects)
    # Three sets of thresholds: fitted on either half, for the honest judgement, and on all, for use.
    fitted = [_best(curves[fit], plain) for fit, _ in sides] + [_best(curves, plain)]
    tidied = np.full((3, len(readers), len(schema), len(rules)), np.nan)
    for n in follow(range(len(readers)), len(readers), "Fitting clean-up"):
        answer = readers[n]()
        for k, choice in enumerate(fitted):
            at = {name: thresholds[t] for name, t in zip(schema.names, choice, strict=True)}
            tidied[k, n] = _rule_dice(answer, schema, at, rules)
    bones = np.arange(len(schema))
    by_threshold = [curves[:, bones, fitted[k]] for k in (0, 1)]
    by_rule = [tidied[k][:, bones, _best(tidied[k][fit], 0)] for k, (fit, _) in enumerate(sides)]
    base = _mean(curves[:, :, plain])
    threshold_dice = _mean(judged(by_threshold, subjects))
    rule_dice = _mean(judged(by_rule, subjects))
    counts = np.isfinite(curves[:, :, plain]).sum(axis=0)
    final_rules = _best(tidied[2], 0)
    choices = []
    for i, name in enumerate(schema.names):
        keep_threshold = threshold_dice[i] - base[i] >= MINIMAL_GAIN
        keep_rule = rule_dice[i] - threshold_dice[i] >= MINIMAL_GAIN
        choices.append(
            Choice(
                bone=name,
                images=int(counts[i]),
                plain=float(base[i]),
                with_threshold=float(threshold_dice[i]),
                with_rule=float(rule_dice[i]),
                threshold=float(thresholds[fitted[2][i]]) if keep_threshold else 0.5,
                rule=rules[final_rules[i]] if keep_rule else Rule(),
            )
        )
    return Calibration(schema, tuple(choices), len(readers), people)


def _mean(table: Table) -> Table:
    """Mean over the images (first axis); 0 for what no image has: it is written down, and decides nothing."""
    return np.nan_to_num(finite_mean(table, axis=0))


def _best(table: Table, plain: int) -> NDArray[np.intp]:
    """Per bone the choice (last axis) with the highest mean over images; equal ones: nearest to ``plain``."""
    distance = np.abs(np.arange(table.shape[2]) - plain)
    out: NDArray[np.intp] = np.argmax(np.round(_mean(table), 9) - 1e-12 * distance, axis=1)
    return out


def _rule_dice(answer: OutOfFold, schema: BoneSchema, at: Mapping[str, float], rules: Sequence[Rule]) -> Table:
    """Dice (C, R) of one image, decoded at thresholds ``at`` and tidied by each rule."""
    found = decode(answer.logits, answer.placement, schema, at)
    out = np.full((len(schema), len(rules)), np.nan)
    for i, name in enumerate(schema.names):
        if name not in answer.annotated:
            continue
        region, truth = found.get(name), answer.truth.get(name)
        for r, rule in enumerate(rules):
            out[i, r] = dice(None if region is None else rule.tidied(region, found.shape), truth)
    return out
