"""How many wrong bones the quality flags catch, and at what cost; and whether what is no hand is told from a hand.

    python benchmarks/bench_quality.py --model BUNDLE --fit     fits ossa/inference/judge.json anew, then judges
    python benchmarks/bench_quality.py --model BUNDLE           judges with the fitted file only
    ... --consultant                                            the same of the bundle's consultant, on its films

Everything is learned from and judged on synthetic hands, of other seeds for the fit, for the judgement and for the
network's own training. A third of the pictures is made hard (noise, blur, low contrast, borders cut off), a third of
the results gets a planted fault: two bones exchanged, one moved, shrunk, grown, cut in half, doubled or lost. A bone is
wrong when its Dice is below .8. Real hands, where they are at hand, are only judged, never fitted on.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from _not_hands import not_hands, shipped_medical
from _real import read_hands, read_wrists, real_folder, truth_of
from _record import record
from ossa.hand.geometry import geometry
from ossa.hand.usual import Usual, load_usual
from ossa.inference.certainty import Closely
from ossa.inference.judge import (
    CONSULTED,
    GOOD_DICE,
    SIGNS,
    USUAL,
    Assessment,
    Judge,
    assess,
    inputs_of,
    signs_of,
)
from ossa.inference.judge_fit import fit_cover, fit_hand, fit_limits, fit_suspicion
from ossa.inference.predictor import Predictor
from ossa.phantom.meshes import meshes
from ossa.phantom.options import WIDE, PhantomOptions
from ossa.phantom.scene import generate
from ossa.radiograph.radiograph import Radiograph
from ossa.radiograph.read import read_radiograph
from ossa.schema import load_schema
from ossa.segmentation.compare import dice_per_bone
from ossa.segmentation.segmentation import Segmentation
from ossa.training.finder import FIRST_HELD_OUT, plate_of
from ossa.training.finder_pool import open_sprites
from ossa.training.phantoms import films_of

#: Seeds far from those of training (from 0) and of its own held-out phantoms.
ANATOMY_SEED, FIT_SEED, TEST_SEED, HANDS_SEED = 70_000_000, 71_000_000, 72_000_000, 73_000_000

#: Share of right bones that are named as doubtful, for the sake of the wrong ones.
RIGHT_NAMED = 0.016

#: A consultant's limit is no lower than this: two and a half sure bones.
LEAST_LIMIT = 0.16

FITTED = Path(__file__).resolve().parents[1] / "src" / "ossa" / "inference"

#: Films of all kinds, each hand about upright and filling its picture, as the finder cuts it out.
WORLD = replace(WIDE, fill=(0.45, 1.05), turned=0.03, lateral_views=0.03)

#: Hands and wrists that must not be refused. Of single digits and of lateral views too little can be told.
FRONTAL = replace(WORLD, parts=0.0, lateral_views=0.0)

SCHEMA = load_schema()
Folders = tuple[Path, ...]
Logits = NDArray[np.float32]


@dataclass(frozen=True)
class Case:
    """One result to judge: its signs, Dice per bone (NaN where the truth lacks it), which bones it has, its kind."""

    found: Segmentation
    logits: Logits
    other: Logits
    closely: dict[str, Closely]
    dice: NDArray[np.float64]
    in_truth: NDArray[np.bool_]
    kind: str

    def assessed(self, judge: Judge) -> Assessment:
        """What a judge says of it."""
        return assess(self.found, self.logits, judge, self.other, None, self.closely)


def hard(radiograph: Radiograph, rng: np.random.Generator) -> Radiograph:
    """The same picture, worse; noise and blur are as strong as at 512 px, which the network sees."""
    grey = radiograph.pixels.astype(np.float32)
    finer = max(grey.shape) / 512
    for kind in rng.choice(5, int(rng.integers(1, 4)), replace=False):
        if kind == 0:
            grey += rng.normal(0, finer * rng.uniform(10, 45), grey.shape)
        elif kind == 1:
            grey = cv2.GaussianBlur(grey, (0, 0), finer * rng.uniform(1, 4))
        elif kind == 2:
            grey = (grey - grey.mean()) * rng.uniform(0.05, 0.4) + rng.uniform(60, 180)
        elif kind == 3:
            h, w = grey.shape
            y, x = int(rng.uniform(0, 0.8) * h), int(rng.uniform(0, 0.8) * w)
            grey[y : y + int(h * 0.25), x : x + int(w * 0.3)] = rng.uniform(0, 255)
        else:
            grey = 255 * (np.clip(grey / 255, 0, 1) ** rng.choice([0.25, 3.0]))
    return Radiograph(np.clip(grey, 0, 255).astype(np.uint8), radiograph.spacing, radiograph.side)


def plant(logits: Logits, other: Logits, rng: np.random.Generator) -> tuple[Logits, Logits, str]:
    """A fault in one or two bones, the same in both looks, as a network would make it."""
    logits, other = logits.copy(), other.copy()
    present = np.flatnonzero(logits.max(axis=(1, 2)) > 0)
    if present.size < 2:
        return logits, other, "none"
    a, b = rng.choice(present, 2, replace=False)
    kind = str(rng.choice(["exchanged", "moved", "shrunk", "grown", "halved", "doubled", "lost", "neighbour"]))
    for planes in (logits, other):
        ys, xs = np.nonzero(planes[a] > 0)
        if ys.size == 0:
            continue
        size = float(np.sqrt(ys.size))
        if kind == "exchanged":
            planes[[a, b]] = planes[[b, a]]
        elif kind == "moved":
            step = max(2, round(size * 0.6))
            planes[a] = np.roll(planes[a], (step, -step), (0, 1))
        elif kind in ("shrunk", "grown"):
            kernel = np.ones((2 * max(1, round(size * 0.12)) + 1,) * 2, np.uint8)
            planes[a] = (cv2.erode if kind == "shrunk" else cv2.dilate)(planes[a], kernel)
        elif kind == "halved":
            if np.ptp(ys) > np.ptp(xs):
                planes[a, int(ys.mean()) :] = -8
            else:
                planes[a, :, int(xs.mean()) :] = -8
        elif kind == "doubled":
            planes[a] = np.maximum(planes[a], planes[b])
        elif kind == "neighbour":
            planes[a] = planes[b]
        else:
            planes[a] = -8
    return logits, other, kind


def results(
    predictor: Predictor, seed: int, count: int, anatomy: Folders = (), world: PhantomOptions = WORLD
) -> Iterator[Case]:
    """Predictions of ``count`` phantoms: a third plain, a third hard, a third with a planted fault."""
    size = 2 * predictor.networks.members[0].preparation.size
    for k in range(count):
        rng = np.random.default_rng([seed, k])
        radiograph, truth = generate(seed + k, size, world, meshes(anatomy, size))
        kind = ("plain", "hard", "planted")[k % 3]
        if kind == "hard":
            radiograph = hard(radiograph, rng)
        prepared = predictor.networks.prepare(radiograph)
        look = predictor.networks.look(prepared)
        logits, other = look.logits, predictor.second_look(prepared, look)
        if kind == "planted":
            logits, other, kind = plant(logits, other, rng)
            # A closer look would see what was planted into the first one for what it is.
            found, closely = predictor.tidied(predictor.decode(replace(look, logits=logits))), {}
        else:
            found, closely = predictor.found_in(look, radiograph)
        in_truth = np.array([name in truth.regions for name in SCHEMA.names])
        yield Case(found, logits, other, closely, dice_per_bone(found, truth), in_truth, kind)


def signs_in(case: Case, usual: Usual, cover: NDArray[np.float64]) -> NDArray[np.float64]:
    """(C, signs) of a case."""
    return signs_of(case.found, case.logits, usual, cover, geometry(case.found), case.other, None, case.closely)


def there(case: Case, signs: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(C,) the bones that are judged: those of the first look."""
    return geometry(case.found).found & np.isfinite(signs[:, 0])


def table(
    cases: list[Case], usual: Usual, cover: NDArray[np.float64], judge: Judge | None = None
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]:
    """(N, inputs), whether each bone found was right, and its confidence (NaN without a ``judge``)."""
    rows, right, sure = [], [], []
    for case in cases:
        signs = signs_in(case, usual, cover)
        judged = there(case, signs)
        rows.append(inputs_of(signs)[judged])
        right.append(case.dice[judged] >= GOOD_DICE)
        sure.append(np.full(judged.sum(), np.nan) if judge is None else judge.confidence(signs)[judged])
    return np.concatenate(rows), np.concatenate(right), np.concatenate(sure)


def fit(predictor: Predictor, count: int, anatomy: Folders, world: PhantomOptions) -> Judge:
    """Cover from truths, the suspicion from predictions, the signs' limits from the fit's own cases; what is a hand is
    still open."""
    truths = [generate(ANATOMY_SEED + k, 384, PhantomOptions())[1] for k in range(count)]
    usual, cover = fitted_usual(), fit_cover(truths)
    inputs, right, _ = table(list(results(predictor, FIT_SEED, count, anatomy, world)), usual, cover)
    return fitted_judge(usual, cover, inputs, right)


def hand_limit(predictor: Predictor, judge: Judge, count: int, anatomy: Folders, pool: Path | None) -> float:
    """The evidence below which the model sees no hand: between what frontal hands show and what is none."""
    bones = meshes(anatomy, 512)
    hands = [evidence_of(predictor, judge, generate(HANDS_SEED + k, 512, FRONTAL, bones)[0]) for k in range(count)]
    others = [evidence_of(predictor, judge, Radiograph(grey)) for _, grey in negatives(count // 40, 4, pool)]
    return round(fit_hand(np.array(hands), np.array(others)), 3)


def consultants_limit(predictor: Predictor, judge: Judge, count: int, pool: Path | None) -> float:
    """The same of a consultant, which has the last word: twice what it sees of 99 % of what is none."""
    others = negatives(max(6, count // 20), 4, pool)
    seen = [0.0, *(evidence_of(predictor, judge, Radiograph(grey)) for _, grey in others)]
    return round(max(LEAST_LIMIT, 2 * float(np.quantile(seen, 0.99))), 3)


def fitted_judge(
    usual: Usual, cover: NDArray[np.float64], inputs: NDArray[np.float64], right: NDArray[np.bool_]
) -> Judge:
    """The judge of bones; what is a hand is still open (0)."""
    suspicion = fit_suspicion(inputs, right, len(SIGNS))
    limits = fit_limits(suspicion.usual(inputs)[:, : len(SIGNS)], right)
    # Named are bones below the confidence under which RIGHT_NAMED of the right bones lie.
    unsure = round(float(np.clip(np.quantile(suspicion(inputs)[right], RIGHT_NAMED), 0.1, 0.9)), 3)
    return Judge(usual, cover, suspicion, limits, unsure, 0.0)


def negatives(count: int, seed: int, pool: Path | None) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """What is no hand: ``count`` drawn pictures of each kind, and as many plates without a hand of the finder's
    ``pool`` (feet with a real foot's bones, other things, drawings) again as those together.
    """
    drawn = list(not_hands(max(3, count), seed))
    yield from drawn
    if pool is None:
        return
    sprites = open_sprites(pool)
    first = FIRST_HELD_OUT + (seed << 20)
    plates = (plate_of(sprites, first + k, 700, held_out=True) for k in itertools.count())
    yield from (("plates", plate.grey) for plate in itertools.islice((p for p in plates if not p.hands), len(drawn)))


def fitted_usual() -> Usual:
    """What scripts/fit_usual.py fitted."""
    usual = load_usual(SCHEMA)
    assert usual is not None, "run scripts/fit_usual.py first"
    return usual


def judge_of(path: Path) -> Judge:
    """The judge in a fitted file."""
    value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return Judge.from_json(value, fitted_usual())


def auc(score: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Probability that a right bone scores above a wrong one."""
    order = np.argsort(np.argsort(score)) + 1
    n, m = int(right.sum()), int((~right).sum())
    return float((order[right].sum() - n * (n + 1) / 2) / (n * m)) if n and m else float("nan")


def judge_bones(cases: list[Case], judge: Judge) -> list[str]:
    """The lines about bones."""
    inputs, right, sure = table(cases, judge.usual, judge.cover, judge)
    signs = judge.suspicion.usual(inputs)[:, : len(SIGNS)]
    lines = [
        f"{len(right)} bones found in {len(cases)} phantoms, {int((~right).sum())} of them wrong (Dice < {GOOD_DICE}). "
        f"AUC {auc(sure, right):.3f}.",
        "",
        "| warning below | wrong bones caught | right bones flagged | of the flagged, wrong |",
        "|---|---|---|---|",
    ]
    for limit in sorted({0.3, 0.5, 0.7, 0.9, judge.unsure}):
        flagged = sure < limit
        caught, false = flagged[~right].mean(), flagged[right].mean()
        mark = " (default)" if limit == judge.unsure else ""
        share = (~right)[flagged].mean() if flagged.any() else float("nan")
        lines.append(f"| {limit:.2f}{mark} | {100 * caught:.1f} % | {100 * false:.2f} % | {100 * share:.0f} % |")
    lines += ["", "Wrong bones caught at the default, by what was done to the picture or the result:", ""]
    by_kind: dict[str, list[tuple[int, int]]] = {}
    lost: dict[str, list[int]] = {}
    for case in cases:
        a = case.assessed(judge)
        for i, name in enumerate(SCHEMA.names):
            if name in case.found.regions and case.dice[i] < GOOD_DICE:
                by_kind.setdefault(case.kind, []).append((int(i in a.doubtful), 1))
            if name not in case.found.regions and case.in_truth[i]:
                kind = "planted" if case.kind == "lost" else case.kind if case.kind in ("plain", "hard") else "other"
                lost.setdefault(kind, []).append(int(i in a.missing))
    lines.append(", ".join(f"{kind} {sum(c for c, _ in v)}/{len(v)}" for kind, v in sorted(by_kind.items())) + ".")
    told = ", ".join(f"{kind} {sum(v)}/{len(v)}" for kind, v in sorted(lost.items()))
    lines.append(f"Bones in view that were not found, and said to be missing: {told or 'none'}.")
    absent = [
        (c, i)
        for c in cases
        for i in range(len(SCHEMA))
        if not c.in_truth[i] and SCHEMA.names[i] not in c.found.regions
    ]
    wrongly = sum(i in c.assessed(judge).missing for c, i in absent)
    lines.append(f"Bones truly out of view and said to be missing: {wrongly} of {len(absent)}.")
    single = ", ".join(f"{name} {auc(-signs[:, k], right):.2f}" for k, name in enumerate(SIGNS))
    lines.append(f"AUC of each sign alone: {single}.")
    return lines


def looked_at(predictor: Predictor, radiograph: Radiograph, judge: Judge) -> tuple[Segmentation, Assessment]:
    """What was found, as it was decoded, and its assessment."""
    prepared = predictor.networks.prepare(radiograph)
    look = predictor.networks.look(prepared)
    found, closely = predictor.found_in(look, radiograph)
    other = predictor.second_look(prepared, look)
    return found, assess(found, look.logits, judge, other, predictor.thresholds, closely)


def evidence_of(predictor: Predictor, judge: Judge, radiograph: Radiograph) -> float:
    """Evidence for a hand in any picture."""
    return looked_at(predictor, radiograph, judge)[1].evidence


def judge_hands(
    predictor: Predictor, judge: Judge, cases: list[Case], count: int, anatomy: Folders, pool: Path | None
) -> list[str]:
    """The lines about what is no hand."""
    bones = meshes(anatomy, 512)
    radiographs = (generate(HANDS_SEED + 500_000 + k, 512, FRONTAL, bones)[0] for k in range(len(cases) // 2))
    plain = [evidence_of(predictor, judge, radiograph) for radiograph in radiographs]
    lines = [
        f"Phantoms (also wrist-only views) taken for no hand: {sum(e < judge.hand for e in plain)} of {len(plain)}."
    ]
    kinds: dict[str, list[float]] = {}
    for kind, grey in negatives(count, 5, pool):
        kinds.setdefault(kind, []).append(evidence_of(predictor, judge, Radiograph(grey)))
    for _, grey in shipped_medical():
        kinds.setdefault("other medical pictures", []).append(evidence_of(predictor, judge, Radiograph(grey)))
    told = ", ".join(f"{k} {sum(e < judge.hand for e in v)}/{len(v)} (highest {max(v):.2f})" for k, v in kinds.items())
    lines.append(f"Told to be no hand (evidence below {judge.hand:.2f}): {told}.")
    return lines


def judge_real(predictor: Predictor, judge: Judge) -> list[str]:
    """The lines about real hands; none where they are not at hand."""
    root = real_folder()
    if root is None:
        return []
    flagged_right = flagged_wrong = rights = wrongs = 0
    evidence = []
    for path in [h.path for h in read_hands(root)] + [w.path for w in read_wrists(root)]:
        found, a = looked_at(predictor, read_radiograph(path), judge)
        evidence.append(a.evidence)
        hand = next((h for h in read_hands(root) if h.path == path and h.outlines is not None), None)
        if hand is not None and hand.outlines is not None:
            dice = dice_per_bone(found, truth_of(hand.outlines, found.shape))
            for i, name in enumerate(SCHEMA.names):
                if name in found.regions:
                    wrong = dice[i] < GOOD_DICE
                    wrongs += wrong
                    rights += not wrong
                    flagged_wrong += wrong and i in a.doubtful
                    flagged_right += not wrong and i in a.doubtful
    return [
        f"Real hands taken for no hand: {sum(e < judge.hand for e in evidence)} of {len(evidence)} "
        f"(lowest evidence {min(evidence):.2f}). "
        f"On the two traced ones {flagged_wrong} of {wrongs} wrong bones are "
        f"flagged, and {flagged_right} of {rights} right ones."
    ]


def main() -> None:
    """Fit if asked, judge, record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="bundle folder (default: the shipped one)")
    parser.add_argument("--fit", action="store_true", help="fit judge.json anew")
    parser.add_argument("--record", action="store_true", help="put the figures into RESULTS.md")
    parser.add_argument("--count", type=int, default=300, help="phantoms for the fit, and for the judgement")
    parser.add_argument("--anatomy", type=Path, action="append", default=[], help="folders of meshes, blended")
    parser.add_argument("--pool", type=Path, help="the finder's sprites (training.finder_pool), for what is no hand")
    parser.add_argument("--consultant", action="store_true", help="the model's consultant instead of itself")
    parser.add_argument("--fitted", type=Path, help="the fitted file, if not the one of the package")
    args = parser.parse_args()
    predictor = Predictor.load(args.model, device="cpu")
    anatomy, world = tuple(args.anatomy), WORLD
    args.fitted = args.fitted or FITTED / (CONSULTED if args.consultant else USUAL)
    if args.consultant:
        if predictor.consultant is None:
            sys.exit("this model has no consultant: scripts/ship_companion.py puts one into its bundle")
        networks, world = predictor.consultant.networks, films_of("consultant")
        predictor = replace(predictor, networks=networks, closer=(), consultant=None)
    if args.fit:
        judge = fit(predictor, args.count, anatomy, world)
        limit = (
            consultants_limit(predictor, judge, args.count, args.pool)
            if args.consultant
            else hand_limit(predictor, judge, args.count, anatomy, args.pool)
        )
        judge = replace(judge, hand=limit)
        args.fitted.write_text(json.dumps(judge.to_json(), separators=(",", ":")) + "\n", encoding="utf-8")
        print(f"fitted: unsure {judge.unsure}, hand {judge.hand}")
    judge = judge_of(args.fitted)
    cases = list(results(predictor, TEST_SEED, args.count, anatomy, world))
    lines = [f"Model: {predictor.description}.", "", *judge_bones(cases, judge), ""]
    lines += [*judge_hands(predictor, judge, cases, max(4, args.count // 30), anatomy, args.pool)]
    lines += [] if args.consultant else judge_real(predictor, judge)
    if args.record:
        whose = ", the consultant's" if args.consultant else ""
        record(f"Quality flags{whose} (bench_quality.py)", lines)
    else:
        print("\n".join(lines))


if __name__ == "__main__":
    main()
