"""How far measurements of predicted bones are from the truth, and whether their uncertainties say so.

    python benchmarks/bench_measure.py [--data FOLDER] [--anatomy FOLDER ...] [-n 30] [--size 1400] [--fit] [--record]

Truth are the same measurements taken on the true outlines of phantoms: drawn here (seeds that no model was trained on,
"flat hands" of bench_phantoms), or those of a data set with labels (--data), whose hands count as having a third
metacarpal of 65 mm, since pictures of a data set carry no spacing. ``--fit`` fits the gains and floors of
measurement/uncertainty.json on every other hand and judges them on the rest. Real hands with landmarks
(benchmarks/_real.py) are compared joint by joint where they are at hand.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import cv2
import numpy as np
from numpy.typing import NDArray

from _real import DIGITS, read_hands, real_folder
from _record import record
from bench_phantoms import FIRST_SEED, FLAT
from ossa.inference.predictor import Predictor
from ossa.measurement import uncertainty
from ossa.measurement.anatomy import Unmeasured
from ossa.measurement.definitions import DEFINITIONS
from ossa.measurement.measure import bones_of, measure_hand, measured_values, plausible
from ossa.measurement.single import base_and_tip
from ossa.measurement.trace import Scale, trace
from ossa.radiograph.radiograph import Radiograph, Spacing
from ossa.radiograph.read import read_radiograph
from ossa.segmentation.segmentation import Segmentation

FITTED = Path(uncertainty.__file__).with_name("uncertainty.json")

#: Phantoms of this benchmark alone.
SEED = FIRST_SEED + 7_000_000

#: Third metacarpal of a hand whose spacing is not known, mm.
METACARPAL = 65.0

#: With fewer numbers a row is not fitted by itself.
LEAST = 12

GAINS = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0)


@dataclass(frozen=True)
class Number:
    """One measurement of one hand: predicted and true, the change over plausible edges, the size floors scale with."""

    hand: int
    name: str
    bone: str | None
    row: str
    found: float
    true: float
    spread: float
    size: float

    @property
    def error(self) -> float:
        return uncertainty.apart(self.name, self.found, self.true)


def hands(args: argparse.Namespace) -> Iterator[tuple[Radiograph, Segmentation]]:
    """Pictures with their true bones, with a spacing."""
    if args.data is None:
        from ossa.hand.phantom.myohand import load_people
        from ossa.phantom.scene import generate

        anatomy = load_people(args.anatomy) if args.anatomy else None
        for k in range(args.n):
            yield generate(args.seed + k, args.size, FLAT, anatomy)
        return
    from ossa.labels.results import find_pictures, open_results

    opened = open_results(args.data)
    entries = [entry for entry in opened.entries.values() if entry.labelled]
    found = find_pictures(args.images, [(entry,) for entry in entries]) if args.images else {}
    for k, entry in enumerate(entries[: args.n]):
        picture = found.get(k, entry.image)
        if picture is None:
            continue
        radiograph = read_radiograph(picture)
        truth = entry.read(radiograph.shape)
        length = measured_values(bones_of(truth, Scale(1.0, 1.0))).get(("length", "finger-11"))
        if length is None:
            continue
        mm = METACARPAL / length
        yield replace(radiograph, spacing=Spacing(mm, mm, "third metacarpal 65 mm")), truth


def numbers_of(k: int, radiograph: Radiograph, found: Segmentation, truth: Segmentation) -> tuple[list[Number], int]:
    """What can be measured in both, and how many numbers are had in truth alone."""
    spacing = radiograph.spacing
    assert spacing is not None
    scale = Scale(spacing.column, spacing.row, drawn=False)
    bones = bones_of(found, scale, radiograph=radiograph)
    # Of the truth ends are known that do not show.
    seen, told = measured_values(bones), measured_values(replace(bones_of(truth, scale), unseen={}))
    others = []
    for one in plausible(found):
        traces = {**bones.traces, **{bone: trace(region, scale) for bone, region in one.items()}}
        others.append(measured_values(replace(bones, traces=traces, known={})))
    out = []
    for (name, bone), true in told.items():
        if (name, bone) not in seen:
            continue
        value = seen[name, bone]
        apart = [uncertainty.apart(name, other[name, bone], value) for other in others if (name, bone) in other]
        row = uncertainty.HAND if bone is None else found.schema.bone(bone).row
        size = uncertainty.scaled(name, bones.unit if bone is None else bones.traces[bone].size)
        out.append(Number(k, name, bone, row, value, true, max(apart, default=0.0), size))
    return out, len(told) - len(out)


def fit(numbers: list[Number]) -> dict[str, dict[str, tuple[float, float]]]:
    """Gain and floor of each measurement in each row of bones: the narrowest that hold 95 of 100 errors."""
    groups: dict[tuple[str, str], list[Number]] = defaultdict(list)
    for one in numbers:
        groups[one.name, one.row].append(one)
    out: dict[str, dict[str, tuple[float, float]]] = defaultdict(dict)
    for (name, row), own in groups.items():
        if len(own) >= LEAST:
            out[name][row] = narrowest(own)
    return dict(out)


def narrowest(own: list[Number]) -> tuple[float, float]:
    """The gain and the floor whose uncertainties are smallest on average, of those that hold 95 of 100 errors."""
    error, spread, size = (np.array(x) for x in zip(*((n.error, n.spread, n.size) for n in own), strict=True))
    best = (np.inf, 0.0, 0.0)
    for gain in GAINS:
        short = np.maximum(error**2 - (gain * spread) ** 2, 0) / size**2
        floor = float(np.sqrt(np.quantile(short, 0.955, method="higher")))
        best = min(best, (float(np.mean(np.hypot(gain * spread, floor * size))), gain, floor))
    return best[1], float(f"{best[2]:.4g}")


def held(numbers: list[Number], fitted: uncertainty.Fitted) -> NDArray[np.bool_]:
    """Which errors lie inside their uncertainty; of experimental numbers nothing is claimed."""
    inside = []
    for n in numbers:
        if n.name in fitted and not DEFINITIONS[n.name].experimental:
            gain, floor = uncertainty.gain_and_floor(fitted, n.name, n.row)
            inside.append(bool(n.error <= np.hypot(gain * n.spread, floor * n.size)))
    return np.array(inside, bool)


def about(numbers: list[Number], fitted: uncertainty.Fitted) -> list[str]:
    """A row for each measurement, one for the lengths of each bone."""
    units = {"length": "mm", "area": "mm²", "angle": "°", "ratio": ""}
    lines = ["| measurement | numbers | median error | 95 % | in % | within +- u |", "|---|---|---|---|---|---|"]
    for name, one in DEFINITIONS.items():
        own = [n for n in numbers if n.name == name]
        if not own:
            continue
        error = np.array([n.error for n in own])
        # Of what may be about 0 a share says nothing.
        signed = one.quantity == "angle" or name in ("ulnar_variance", "metacarpal_sign", "radial_height")
        share = "" if signed else f"{100 * np.median(error / np.abs([n.true for n in own])):.1f}"
        inside = held(own, fitted)
        cover = f"{100 * inside.mean():.0f} %" if inside.size else ""
        unit = units[one.quantity]
        lines.append(
            f"| {one.title} | {len(own)} | {np.median(error):.3g} {unit} | {np.quantile(error, 0.95):.3g} {unit} | "
            f"{share} | {cover} |"
        )
    lines += ["", "Lengths by bone, median error in % (95th percentile):", ""]
    by_bone: dict[str, list[float]] = defaultdict(list)
    for n in numbers:
        if n.name == "length":
            by_bone[str(n.bone)].append(100 * n.error / n.true)
    lines.append(", ".join(f"{b} {np.median(v):.1f} ({np.quantile(v, 0.95):.1f})" for b, v in by_bone.items()) + ".")
    return lines


def summary(numbers: list[Number], fitted: uncertainty.Fitted) -> str:
    lengths = [100 * n.error / n.true for n in numbers if n.name == "length"]
    tubular = [100 * n.error / n.true for n in numbers if n.name == "length" and str(n.bone).startswith("finger")]
    return (
        f"Lengths: median error {np.median(lengths):.2f} %, 95th percentile {np.quantile(lengths, 0.95):.1f} %; of the "
        f"19 tubular bones {np.median(tubular):.2f} and {np.quantile(tubular, 0.95):.1f} %. Numbers within their "
        f"uncertainty: {100 * held(numbers, fitted).mean():.1f} %."
    )


def timed(predictor: Predictor, radiograph: Radiograph, repeats: int = 3) -> str:
    """What measuring adds to predicting one picture, processor time."""
    plain, more = [], []
    for _ in range(repeats):
        start = time.process_time()
        predictor.predict_hands(radiograph)
        between = time.process_time()
        for hand in replace(predictor, edges=True).predict_hands(radiograph):
            measure_hand(hand.segmentation, radiograph)
        plain.append(between - start)
        more.append(time.process_time() - between)
    a, b = median(plain), median(more)
    height, width = radiograph.shape
    return (
        f"A picture of {height} x {width} px: found in {1000 * a:.0f} ms of processor time, found and measured in "
        f"{1000 * b:.0f} ms: {100 * (b / a - 1):+.0f} %."
    )


def real(predictor: Predictor) -> list[str]:
    """Distances from joint to joint on real hands against the experts' landmarks."""
    root = real_folder()
    if root is None:
        return []
    found: dict[str, list[float]] = defaultdict(list)
    for hand in read_hands(root):
        radiograph = read_radiograph(hand.path)
        seen = bones_of(predictor.predict(radiograph), Scale(*hand.spacing))
        marks = hand.landmarks * hand.spacing
        for names, indices in DIGITS:
            ends = {}
            for name in names:
                try:
                    ends[name] = base_and_tip(seen, name)
                except Unmeasured:
                    continue
            for k, name in enumerate(names):
                last = k + 1 == len(names)
                if name not in ends or (not last and names[k + 1] not in ends):
                    continue
                there = ends[name][1] if last else ends[names[k + 1]][0]
                expert = float(np.hypot(*(marks[indices[k + 1]] - marks[indices[k]])))
                own = float(np.hypot(*(there - ends[name][0])))
                kind = "distal phalanges, to the tip" if last else f"{seen.schema.bone(name).row} bones"
                found[kind].append(100 * (own / expert - 1))
    told = "; ".join(
        f"{kind} {np.median(np.abs(v)):.1f} % (95th percentile {np.quantile(np.abs(v), 0.95):.1f} %, "
        f"mean {np.mean(v):+.1f} %)"
        for kind, v in found.items()
    )
    return [
        "",
        f"Five real hands, distances from joint to joint against the experts' landmarks, median error: {told}. The "
        "experts' spacing sets the wrist's width to 50 mm: only shares can be compared.",
    ]


def main() -> None:
    """Measure, fit if asked, judge, record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--data", type=Path, help="a data set with labels instead of phantoms drawn here")
    parser.add_argument("--images", type=Path, help="the pictures that the labels of --data belong to")
    parser.add_argument("--anatomy", type=Path, action="append", default=[], help="again: people blended")
    parser.add_argument("-n", type=int, default=30)
    parser.add_argument("--size", type=int, default=1400)
    parser.add_argument("--seed", type=int, default=SEED, help="of the first phantom; others than these to develop on")
    parser.add_argument("--fit", action="store_true", help="fit uncertainty.json on every other hand")
    parser.add_argument("--record", action="store_true", help="put the figures into RESULTS.md")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    predictor = Predictor.load(args.model, device="cpu", threads=1)
    asked = replace(predictor, edges=True)
    numbers, lost, count = [], 0, 0
    largest: Radiograph | None = None
    for k, (radiograph, truth) in enumerate(hands(args)):
        best = max(asked.predict_hands(radiograph), key=lambda hand: len(hand.segmentation))
        own, missed = numbers_of(k, radiograph, best.segmentation, truth)
        numbers, lost, count = [*numbers, *own], lost + missed, k + 1
        largest = radiograph
        print(f"\r{count}", end="", flush=True)
    print("\r", end="")
    fitted: uncertainty.Fitted = uncertainty.fitted()
    judged = numbers
    if args.fit:
        fitted = fit([n for n in numbers if n.hand % 2 == 0])
        judged = [n for n in numbers if n.hand % 2]
        FITTED.write_text(json.dumps(fitted, indent=1) + "\n", encoding="utf-8")
    which = "flat phantoms" if args.data is None else f"hands of {args.data.resolve().name}"
    lines = [f"{count} {which}, {predictor.description}; judged on {len({n.hand for n in judged})} of them.", ""]
    lines += [summary(judged, fitted), f"{lost} numbers could be had of the truth alone.", ""]
    lines += about(judged, fitted)
    if largest is not None:
        lines += ["", timed(predictor, largest)]
    lines += real(predictor)
    if args.record:
        record("Measurements (bench_measure.py)", lines)
    else:
        print("\n".join(lines))


if __name__ == "__main__":
    main()
