"""How long labels of a whole set take to another format and back, and whether they come back equal.

    python benchmarks/bench_convert.py [--labels 800] [--record]

The set has the competition's layout: 29 outlines of schematic hands at 2048 x 2048 px per picture, points at whole and
at fractional places in turn. It goes to COCO, and from there to the competition's labels again (pictures are linked).
"Equal" is asked of every pixel of every bone, and of the outlines: how far a point of one lies from the other at most.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from _record import record
from helpers_dataset import SCHEMA, competition_json, save_json, schematic_hand
from ossa.dataset.dataset import open_dataset
from ossa.pipeline.convert import convert

SIZE = 2048
DISTINCT = 100


def make(root: Path, count: int) -> Path:
    """The set: one black picture under many names, labels of ``DISTINCT`` hands that repeat."""
    first = root / "train" / "DCM" / "ID001" / "image0_R.png"
    for k in range(count):
        subject, stem = f"ID{k // 2 + 1:03d}", f"image{k}_{'RL'[k % 2]}"
        image = root / "train" / "DCM" / subject / f"{stem}.png"
        image.parent.mkdir(parents=True, exist_ok=True)
        if k == 0:
            cv2.imwrite(str(first), np.zeros((SIZE, SIZE), np.uint8))
        else:
            os.link(first, image)
        outlines = schematic_hand(SIZE, seed=k % DISTINCT, side="RL"[k % 2], wrist=5.0 * (k % 7))
        label = competition_json(outlines, f"{stem}.png", seed=k, whole=k % 2 == 0)
        save_json(root / "train" / "outputs_json" / subject / f"{stem}.json", label)
    return root


def differences(before: Path, after: Path, every: int) -> tuple[int, float]:
    """(pixels that differ, largest distance in px of a point of an outline from the other's border) over some cases."""
    first, second = open_dataset(before), open_dataset(after)
    differ, farthest = 0, 0.0
    for case in first.labelled[::every]:
        one = case.truth(SCHEMA)
        two = second.case(case.id).truth(SCHEMA)
        a, b = (truth.segmentation(SCHEMA, (SIZE, SIZE)) for truth in (one, two))
        for name, region in a:
            plane = b.plane(name)
            differ += int(np.count_nonzero(region.plane((SIZE, SIZE)) != plane))
            border = np.concatenate([part.exterior for part in two.outlines[name]]).astype(np.float32)
            for part in one.outlines[name]:
                away = [abs(cv2.pointPolygonTest(border[:, None], tuple(map(float, p)), True)) for p in part.exterior]
                farthest = max(farthest, *away)
    return differ, farthest


def main() -> None:
    """Make, convert there and back, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=int, default=800)
    parser.add_argument("--record", action="store_true", help="into RESULTS.md too")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make(root / "set", args.labels)
        times = []
        for source, target, to in (("set", "coco", "coco"), ("coco", "back", "competition")):
            start, spent = time.perf_counter(), time.process_time()
            done = convert(root / source, root / target, to, pictures="link")
            assert done.written == args.labels
            times.append((time.perf_counter() - start, time.process_time() - spent))
        differ, farthest = differences(root / "set", root / "back", max(1, args.labels // 40))
    wall, cpu = (sum(column) for column in zip(*times, strict=True))
    lines = [
        f"{args.labels} labels of 29 bones at {SIZE} x {SIZE} px, pictures linked",
        "",
        "| | s | s of one processor |",
        "|---|---|---|",
        f"| competition to COCO | {times[0][0]:.1f} | {times[0][1]:.1f} |",
        f"| COCO to competition | {times[1][0]:.1f} | {times[1][1]:.1f} |",
        f"| there and back | {wall:.1f} | {cpu:.1f} |",
        "",
        f"Pixels that differ afterwards: {differ}. Farthest point from the new border: {farthest:.2f} px.",
    ]
    if args.record:
        record("Labels to COCO and back (bench_convert.py)", lines)
    else:
        print("\n".join(lines))


if __name__ == "__main__":
    main()
