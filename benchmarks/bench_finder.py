"""The finder of hands: the same hand at any size and turn, two hands on a film, and pictures that are no hands.

    python benchmarks/bench_finder.py [--model FOLDER] [--step 15] [--only sizes,pairs,films] [--record]

The two traced hands are laid onto a plate of 2000 px at 100 to 15 % of its side and every 15 degrees; side by side on a
plate at the same turns; the loss of Dice is against the hand alone, upright, filling the plate. ``wild`` films count as
refused when no bone is given back. Nothing here is ever trained on.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from _real import Hand, overlap_scores, read_hands, real_folder
from _record import record
from ossa.inference.predictor import Predictor
from ossa.radiograph.radiograph import Radiograph
from ossa.radiograph.read import read_radiograph
from ossa.schema import load_schema
from ossa.segmentation.outlines import map_outlines, segmentation_from_outlines
from ossa.segmentation.segmentation import Segmentation

PLATE = 2000
SHARES = (1.0, 0.5, 0.25, 0.15)

Picture = NDArray[np.uint8]
Affine = NDArray[np.float64]


def onto(plate: Picture, hand: Hand, height: float, angle: float, middle: tuple[float, float]) -> Segmentation:
    """Lay a hand's film onto ``plate``, ``height`` px high and turned by ``angle`` degrees; its truth there."""
    film = cv2.imread(str(hand.path), cv2.IMREAD_GRAYSCALE)
    scale = height / film.shape[0]
    turn = np.radians(angle)
    c, s = scale * np.cos(turn), scale * np.sin(turn)
    matrix = np.array([[c, -s], [s, c]])
    centre = np.array([film.shape[1] - 1, film.shape[0] - 1]) / 2
    affine = np.hstack([matrix, (np.array(middle) - matrix @ centre)[:, None]])
    size = (plate.shape[1], plate.shape[0])
    # Averaged where it shrinks: enlarged four times over, then halved twice.
    fine = np.vstack([affine, [0, 0, 1]])
    if scale < 0.75:
        steps = int(np.ceil(np.log2(0.75 / scale)))
        for _ in range(steps):
            film = cv2.resize(film, (film.shape[1] // 2, film.shape[0] // 2), interpolation=cv2.INTER_AREA)
            fine = fine @ np.array([[2.0, 0, 0.5], [0, 2.0, 0.5], [0, 0, 1]])
    laid = cv2.warpAffine(film, fine[:2], size)
    there = cv2.warpAffine(np.full(film.shape, 255, np.uint8), fine[:2], size) > 127
    plate[there] = laid[there]
    assert hand.outlines is not None
    moved = map_outlines(hand.outlines, lambda points: points @ affine[:, :2].T + affine[:, 2])
    return segmentation_from_outlines(moved, load_schema(), (plate.shape[0], plate.shape[1]))


def fitting(hand: Hand, angle: float, width: float, height: float) -> float:
    """The largest height in px at which the turned film fits into ``width`` x ``height``."""
    film = cv2.imread(str(hand.path), cv2.IMREAD_GRAYSCALE)
    aspect = film.shape[1] / film.shape[0]
    c, s = abs(np.cos(np.radians(angle))), abs(np.sin(np.radians(angle)))
    return float(min(width / (aspect * c + s), height / (aspect * s + c)))


def dice_of(found: Segmentation, truth: Segmentation) -> float:
    """Mean Dice over the bones in the truth."""
    scores = overlap_scores(found, truth)
    return statistics.fmean(scores[name][0] for name, _ in truth)


def sizes(predictor: Predictor, hands: list[Hand], step: float) -> list[str]:
    """Dice of each hand by its share of the plate, over all turns."""
    lines = ["| share of the plate | mean Dice | lowest | loss | refused |", "|---|---|---|---|---|"]
    upright: float | None = None
    for share in SHARES:
        values, refused = [], 0
        for hand, angle in itertools.product(hands, np.arange(0, 360, step).tolist()):
            plate = np.zeros((PLATE, PLATE), np.uint8)
            height = share * (PLATE if share < 1 else fitting(hand, angle, PLATE, PLATE))
            truth = onto(plate, hand, height, angle, (PLATE / 2 - 0.5, PLATE / 2 - 0.5))
            found = predictor.predict(Radiograph(plate))
            refused += len(found) == 0
            values.append(dice_of(found, truth))
        mean = statistics.fmean(values)
        upright = mean if upright is None else upright
        lines.append(f"| {share:.0%} | {mean:.4f} | {min(values):.4f} | {upright - mean:+.4f} | {refused} |")
    return lines


def alone(predictor: Predictor, hands: list[Hand]) -> list[str]:
    """Each hand as its file holds it."""
    values, times = [], []
    for hand in hands:
        radiograph = read_radiograph(hand.path)
        assert hand.outlines is not None
        truth = segmentation_from_outlines(hand.outlines, load_schema(), radiograph.shape)
        begin = time.perf_counter()
        values.append(dice_of(predictor.predict(radiograph), truth))
        times.append(time.perf_counter() - begin)
    return [f"As their files hold them: mean Dice {statistics.fmean(values):.4f}, {statistics.fmean(times):.2f} s each"]


def pairs(predictor: Predictor, hands: list[Hand], step: float) -> list[str]:
    """Both hands on one plate, against each alone on a plate of that size, as large and turned alike."""
    together, apart, counts = [], [], []
    for angle in np.arange(0, 360, step).tolist():
        height = fitting(hands[0], angle, PLATE / 2, PLATE)
        truths, single = [], []
        both = np.zeros((PLATE, PLATE), np.uint8)
        for hand, x in zip(hands[:2], (PLATE * 0.25, PLATE * 0.75), strict=True):
            truths.append(onto(both, hand, height, angle, (x, PLATE / 2)))
            plate = np.zeros((PLATE, PLATE), np.uint8)
            single.append((plate, onto(plate, hand, height, angle, (x, PLATE / 2))))
        found = [hand.segmentation for hand in predictor.predict_hands(Radiograph(both))]
        counts.append(len(found))
        for truth, (plate, own) in zip(truths, single, strict=True):
            together.append(max(dice_of(one, truth) for one in found))
            apart.append(dice_of(predictor.predict(Radiograph(plate)), own))
    right = sum(count == 2 for count in counts)
    pair, one = statistics.fmean(together), statistics.fmean(apart)
    return [
        f"Two hands on a plate, {len(counts)} turns: both found {right} times; mean Dice {pair:.4f}, "
        f"alone {one:.4f}, loss {one - pair:+.4f}"
    ]


def films(predictor: Predictor, folder: Path) -> list[str]:
    """How many of the wild hands and of the pictures that are no hands are refused."""
    kinds: dict[bool, list[tuple[str, bool]]] = {True: [], False: []}
    for path in sorted(folder.glob("[fhn]*.*")):
        hands = predictor.predict_hands(read_radiograph(path))
        kinds[path.name.startswith("h")].append((path.stem, all(len(hand.segmentation) == 0 for hand in hands)))
    out = []
    for is_hand, told in (("hands", kinds[True]), ("pictures that are no hands", kinds[False])):
        refused = [name for name, no in told if no]
        out.append(f"Wild {is_hand}: {len(refused)} of {len(told)} refused ({len(refused) / max(len(told), 1):.1%})")
        wrong = refused if is_hand == "hands" else [name for name, no in told if not no]
        if wrong:
            out.append(f"  wrongly: {', '.join(wrong)}")
    return out


def main() -> None:
    """Parse, measure, print or record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="bundle folder (default: the shipped one)")
    parser.add_argument("--real", help="folder of real hands (default: OSSA_REAL, or ../shared/real)")
    parser.add_argument("--step", type=float, default=15.0, help="degrees between turns")
    parser.add_argument("--only", default="alone,sizes,pairs,films")
    parser.add_argument("--without", action="store_true", help="leave the finder out, for comparison")
    parser.add_argument("--record", action="store_true", help="put the figures into RESULTS.md")
    args = parser.parse_args()
    root = real_folder(args.real)
    if root is None:
        raise SystemExit("no real hands: give --real FOLDER or set OSSA_REAL")
    from dataclasses import replace

    predictor = Predictor.load(args.model)
    if args.without:
        predictor = replace(predictor, finder=None)
    hands = [hand for hand in read_hands(root) if hand.outlines is not None]
    measures = {
        "alone": lambda: alone(predictor, hands),
        "sizes": lambda: sizes(predictor, hands, args.step),
        "pairs": lambda: pairs(predictor, hands, args.step),
        "films": lambda: films(predictor, root / "wild"),
    }
    lines: list[str] = []
    for name in args.only.split(","):
        part = measures[name]()
        print("\n".join(part), flush=True)
        lines += [*part, ""]
    if args.record:
        record("The finder of hands (bench_finder.py)", lines)


if __name__ == "__main__":
    main()
