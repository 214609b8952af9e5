"""Who comes to a rehearsal of the hand-bone competition: subjects with two hands each, and how their films are taken.

The plan follows from a seed alone; it knows no pixels. The shares are those that were measured in the published set
(docs/training.md): bent wrists, file names that tell the side, sesamoids that an annotator left out, label errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ossa.hand.wrist import BENT, wrist_angle
from ossa.phantom.options import FLAT, PhantomOptions
from ossa.phantom.scene import Sitter, project
from ossa.phantom.skeleton import Anatomy
from ossa.radiograph.radiograph import Side
from ossa.schema import load_schema
from ossa.segmentation.outlines import outlines_from_region
from ossa.segmentation.segmentation import Segmentation

Split = Literal["train", "test"]
#: The four mistakes of the published labels: finger labels in reverse order, a row of carpals labelled from the wrong
#: side, a ring outlined as the bone that wears it, the pisiform's outline on the ulna.
Mistake = Literal["reversed", "carpal row", "ring", "pisiform"]
MISTAKES: tuple[Mistake, ...] = ("reversed", "carpal row", "ring", "pisiform")

#: Hands with the wrist bent by 20 to 60 degrees: 11-12 % of the training pictures, 57-60 % of the test pictures.
BENT_SHARE: dict[Split, float] = {"train": 0.12, "test": 0.58}
#: Subjects whose file names end in _R and _L ("a few"), pictures whose sesamoid was left out, and pictures for one
#: label error of each kind.
NAMED_SHARE, LEFT_OUT_SHARE, PICTURES_PER_MISTAKE = 0.06, 0.077, 800
#: Subject numbers go from 1 to this, with gaps; more subjects take more numbers.
LAST_ID = 550

#: Whole hands of (mostly) grown-up people, flat on a square plate, so large that the bones have the published areas.
FILMS = replace(
    FLAT, young=0.25, oblique_views=0.0, turned=0.0, tilt=6.0, wrist_only=0.0, aspect=(1.0, 1.0), fill=(0.58, 0.74),
    clutter=0.25, thumb_across=0.005, treated=0.02,
)  # fmt: skip
#: Mean of a film's grey values (of 1) and its spread among films: the published pictures are dark.
GREY_MEAN, GREY_SPREAD = 0.12, 0.02

#: A wrist counts as planned this many degrees beyond the limit, since its outlines will be drawn by people.
_CLEAR = 1.5
#: Longest side (px) of the drawing on which a wrist's angle is told, and how many poses are tried.
_SKETCH, _TRIES = 160, 12


@dataclass(frozen=True)
class ContestHand:
    """One picture of the contest. ``index`` counts pictures, ``person`` people; ``stem`` is the file's name without
    ending. ``sesamoid``: whether the annotator counted it to the thumb's metacarpal; ``mistake``: what the label gets
    wrong, in training pictures alone.
    """

    index: int
    person: int
    subject: str
    split: Split
    stem: str
    side: Side
    bent: bool
    sesamoid: bool
    mistake: Mistake | None = None

    @property
    def sitter(self) -> Sitter:
        """Whose hand it is."""
        return Sitter(self.person, self.side, self.sesamoid)

    @property
    def options(self) -> PhantomOptions:
        """How its film is taken."""
        return replace(FILMS, bent_wrists=float(self.bent))


def plan(train: int, test: int, seed: int) -> tuple[ContestHand, ...]:
    """The hands of ``train`` + ``test`` subjects, a right and a left one each, sorted by subject.

    Shares are kept to the picture (12 % of 80 are 10 bent wrists), not drawn one by one; every kind of label error
    occurs at least once.
    """
    rng = np.random.default_rng(np.random.SeedSequence([20260103, seed]))
    count = train + test
    numbers = np.sort(rng.choice(max(LAST_ID, round(1.35 * count)), count, replace=False) + 1)
    tests = set(rng.choice(count, test, replace=False).tolist())
    splits: list[Split] = ["test" if i in tests else "train" for i in range(count)]
    named = set(rng.choice(count, max(1, round(NAMED_SHARE * count)), replace=False).tolist())
    stamps = 1_661_116_000_000 + np.cumsum(rng.integers(9_000, 90_000_000, 2 * count) // (1 + np.arange(2 * count) % 2))
    hands = [
        ContestHand(
            index=2 * i + k,
            person=int(np.random.SeedSequence([seed, i]).generate_state(1)[0]),
            subject=f"ID{numbers[i]:03d}",
            split=splits[i],
            stem=f"image{stamps[2 * i + k]}" + (f"_{side}" if i in named else ""),
            side=side,
            bent=False,
            sesamoid=True,
        )
        for i in range(count)
        for k, side in enumerate(_SIDES)
    ]
    for split, share in BENT_SHARE.items():
        for i in _some([h.index for h in hands if h.split == split], share, rng):
            hands[i] = replace(hands[i], bent=True)
    for i in _some([h.index for h in hands], LEFT_OUT_SHARE, rng):
        hands[i] = replace(hands[i], sesamoid=False)
    training = rng.permutation([h.index for h in hands if h.split == "train"]).tolist()
    each = max(1, round(len(training) / PICTURES_PER_MISTAKE))
    for i, mistake in zip(training, MISTAKES * each, strict=False):
        hands[i] = replace(hands[i], mistake=mistake)
    return tuple(hands)


_SIDES: tuple[Side, Side] = ("R", "L")


def _some(indices: Sequence[int], share: float, rng: np.random.Generator) -> list[int]:
    return [int(i) for i in rng.permutation(np.asarray(indices, np.int64))[: round(share * len(indices))]]


def picture_seed(hand: ContestHand, seed: int, anatomy: Anatomy | None) -> int:
    """The seed of the hand's picture: the first of a few whose wrist, sketched, is bent as the plan has it."""
    schema = load_schema("hand29")
    chosen = 0
    for attempt in range(_TRIES):
        chosen = int(np.random.SeedSequence([20260104, seed, hand.index, attempt]).generate_state(1)[0])
        rng = np.random.default_rng(np.random.SeedSequence([20260101, chosen]))
        bits = project(rng, _SKETCH, hand.options, anatomy, hand.sitter).bits
        outlines = {name: outlines_from_region(region) for name, region in Segmentation.from_bits(bits, schema)}
        angle = wrist_angle(outlines, schema)
        if angle is not None and (abs(angle) > BENT + _CLEAR if hand.bent else abs(angle) < BENT - _CLEAR):
            break
    return chosen


def developed(picture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A picture (H, W) as one department's machine shows it: black ground, dark on the whole.

    The least and largest greys are spread, and a gamma curve brings the mean to about ``GREY_MEAN``; what is brightest
    stays a little below white.
    """
    counts = np.bincount(picture.ravel(), minlength=256) / picture.size
    below = np.cumsum(counts)
    low, high = int(np.searchsorted(below, 0.02)), int(np.searchsorted(below, 0.9995))
    level = np.clip((np.arange(256) - low) / max(high - low, 1), 0, 1)
    wanted = float(np.clip(rng.normal(GREY_MEAN, GREY_SPREAD), 0.06, 0.2))
    top = float(rng.uniform(0.7, 1.0))
    gammas = np.linspace(0.4, 4.0, 73)
    means = [top * float(counts @ level**gamma) for gamma in gammas]
    gamma = float(gammas[int(np.argmin(np.abs(np.array(means) - wanted)))])
    curve = np.round(255 * top * level**gamma).astype(np.uint8)
    return np.asarray(curve[picture])
