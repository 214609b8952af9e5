"""What ``ossa predict`` makes of every kind of film, on phantoms of seeds that no model was trained on.

    python benchmarks/bench_kinds.py [--model BUNDLE] [--anatomy FOLDER ...] [--foot FOLDER] [-n 16] [--record]

A bone is right when its Dice is at least .8; what was found but is not in the truth is wrong, what is in the truth but
was not found is missed. Mean Dice is that of all bones of the truth, 0 where nothing was found. Named: bones that a
result names as doubtful. Each kind is told with the model's consultant and without it, where the model has one.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from _record import record
from ossa.inference.judge import GOOD_DICE, MANY_DOUBTFUL
from ossa.inference.predictor import Predictor
from ossa.measurement.measure import DOUBTFUL
from ossa.phantom.meshes import meshes
from ossa.phantom.options import WIDE, PhantomOptions
from ossa.phantom.part import part_of
from ossa.phantom.scene import generate
from ossa.progress import bar
from ossa.radiograph.radiograph import Radiograph
from ossa.schema import load_schema
from ossa.segmentation.compare import dice_per_bone
from ossa.segmentation.segmentation import Segmentation

#: Phantoms of this benchmark alone; each kind has seeds of its own.
SEED, APART = 94_000_000, 100_000

WHOLE = replace(WIDE, parts=0.0, one_digit=0.0, wrist_only=0.0, lateral_views=0.0, bent_fingers=0.0, children=0.0)

KINDS: dict[str, PhantomOptions] = {
    "whole hands": WHOLE,
    "small, turned": replace(WHOLE, fill=(0.2, 0.45), turned=1.0),
    "oblique views": replace(WHOLE, oblique_views=1.0),
    "bent fingers": replace(WHOLE, bent_fingers=1.0),
    "lateral views": replace(WHOLE, lateral_views=1.0),
    "parts of a hand": replace(WHOLE, parts=1.0),
    "one digit": replace(WHOLE, one_digit=1.0),
    "wrists": replace(WHOLE, wrist_only=1.0),
    "children of 1 to 9": replace(WHOLE, children=1.0, young=0.0),
}

FEET = "feet (no hand is there)"


@dataclass
class Score:
    """What came of the films of one kind."""

    films: int = 0
    refused: int = 0
    right: int = 0
    wrong: int = 0
    missed: int = 0
    right_named: int = 0
    wrong_named: int = 0
    dice: list[float] = field(default_factory=list)

    def add(self, found: Segmentation, truth: Segmentation) -> None:
        """One more film."""
        self.films += 1
        self.refused += not len(found)
        names, there = named(found), dice_per_bone(found, truth)
        for i, name in enumerate(found.schema.names):
            if name in found:
                right = name in truth and there[i] >= GOOD_DICE
                self.right += right
                self.wrong += not right
                self.right_named += right and name in names
                self.wrong_named += not right and name in names
            elif name in truth:
                self.missed += 1
            if name in truth:
                self.dice.append(float(np.nan_to_num(there[i])))

    def row(self) -> str:
        """As cells of a table."""
        dice = f"{np.mean(self.dice):.3f}" if self.dice else ""
        caught, false = share(self.wrong_named, self.wrong), share(self.right_named, self.right)
        counts = f"{self.refused} of {self.films} | {self.right} | {self.wrong} | {self.missed}"
        return f"{counts} | {dice} | {caught} | {false}"


def share(part: int, whole: int) -> str:
    """In percent."""
    return f"{100 * part / whole:.1f} %" if whole else ""


def named(found: Segmentation) -> set[str]:
    """The bones that a result names as doubtful, or counts as such."""
    many = any(note.endswith(MANY_DOUBTFUL) for note in found.notes)
    return {
        name
        for name, _ in found
        if any(note.startswith(f"{name} is doubtful") for note in found.notes)
        or (many and found.confidence.get(name, 1.0) < DOUBTFUL)
    }


def films(args: argparse.Namespace) -> Iterator[tuple[str, Radiograph, Segmentation]]:
    """Kind, film and truth."""
    hands = meshes(tuple(args.anatomy), args.size)
    for k, (kind, options) in enumerate(KINDS.items()):
        for i in range(args.n):
            yield kind, *generate(SEED + k * APART + i, args.size, options, hands)
    if args.foot is not None:
        feet = meshes((args.foot,), args.size, part_of(load_schema("foot28")))
        for i in range(args.n):
            film, truth = generate(SEED + len(KINDS) * APART + i, args.size, WHOLE, feet)
            yield FEET, film, Segmentation(load_schema(), truth.shape, {})


def main() -> None:
    """Draw, predict with and without the consultant, tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--anatomy", type=Path, action="append", default=[], help="again: people blended")
    parser.add_argument("--foot", type=Path, help="folder of a foot's meshes")
    parser.add_argument("-n", type=int, default=16, help="films of each kind")
    parser.add_argument("--size", type=int, default=900)
    parser.add_argument("--record", action="store_true", help="put the figures into RESULTS.md")
    args = parser.parse_args()
    predictor = Predictor.load(args.model, device="cpu", threads=1)
    asked = {"": predictor}
    if predictor.consultant is not None:
        asked[", without its consultant"] = replace(predictor, consultant=None)
    scores: dict[tuple[str, str], Score] = {}
    total = args.n * (len(KINDS) + (args.foot is not None))
    for kind, film, truth in bar(films(args), total, "films"):
        for whose, one in asked.items():
            best = max(one.predict_hands(film), key=lambda hand: len(hand.segmentation))
            scores.setdefault((kind, whose), Score()).add(best.segmentation, truth)
    lines = [
        f"{args.n} phantoms of each kind, {args.size} px, {predictor.description}.",
        "",
        "| films | refused | bones right | wrong | missed | mean Dice | wrong ones named | right ones named |",
        "|---|---|---|---|---|---|---|---|",
        *(f"| {kind}{whose} | {score.row()} |" for (kind, whose), score in scores.items()),
    ]
    for whose in asked:
        own = [score for (kind, whom), score in scores.items() if whom == whose and kind != FEET]
        right, wrong = sum(s.right for s in own), sum(s.wrong for s in own)
        caught, false = sum(s.wrong_named for s in own), sum(s.right_named for s in own)
        lines += [
            "",
            f"All hands{whose}: {share(caught, wrong)} of {wrong} wrong bones are named, {share(false, right)} ",
        ]
        lines[-1] += f"of {right} right ones."
    if args.record:
        record("Films of every kind (bench_kinds.py)", lines)
    else:
        print("\n".join(lines))


if __name__ == "__main__":
    main()
