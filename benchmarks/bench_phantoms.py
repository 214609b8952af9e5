"""How good a model is on phantoms that no model was trained on (seeds from 1,000,000,000 on).

    python benchmarks/bench_phantoms.py [--model BUNDLE] [--anatomy FOLDER ...] [-n 100] [--size 1024] [--views SPEC]

Prints the Dice per bone over the pictures that show it. "Any view" draws as the training does (wrists bent, turned
films, cut hands, markers, noise); "flat hands" is the share of them a clinic would call a standard view; "wide" are
films as they come, laid about upright.
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from _record import record
from ossa.hand.phantom.myohand import load_people
from ossa.inference.predictor import Predictor
from ossa.inference.views import parse_views
from ossa.phantom.options import WIDE, PhantomOptions
from ossa.phantom.scene import generate
from ossa.phantom.skeleton import Anatomy
from ossa.safety import write_json
from ossa.segmentation.compare import dice

FIRST_SEED = 1_000_000_000
FLAT = PhantomOptions(bent_wrists=0, oblique_views=0, wrist_only=0, turned=0)
UPRIGHT = replace(WIDE, turned=0.06, tilt=12.0, fill=(0.45, 1.08))


def table(
    predictor: Predictor, anatomy: Anatomy | None, options: PhantomOptions, count: int, size: int, first: int
) -> np.ndarray:
    """Dice (count, bones); NaN where a bone is not in the picture."""
    names = predictor.schema.names
    out = np.full((count, len(names)), np.nan)
    for i in range(count):
        radiograph, truth = generate(first + i, size, options, anatomy)
        found = predictor.predict(radiograph)
        for k, name in enumerate(names):
            if truth.get(name) is not None:
                out[i, k] = dice(found.get(name), truth.get(name))
        print(f"\r{i + 1}/{count}", end="", flush=True)
    print("\r", end="")
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--anatomy", type=Path, action="append", default=[], help="again: people blended")
    parser.add_argument("-n", type=int, default=100)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--views", default="none")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    parser.add_argument("--record", action="store_true", help="put the figures into RESULTS.md")
    a = parser.parse_args()
    cv2.setNumThreads(1)
    predictor = replace(Predictor.load(a.model, views=parse_views(a.views)), judge=None)
    anatomy = load_people(a.anatomy) if a.anatomy else None
    lines = [f"Held-out phantoms ({anatomy.name if anatomy else 'built-in anatomy'}), {a.size} px, views {a.views}:"]
    columns, figures = [], {}
    for title, options, first in (
        ("any view", PhantomOptions(), FIRST_SEED),
        ("flat hands", FLAT, FIRST_SEED + 500_000),
        ("wide", UPRIGHT, FIRST_SEED + 1_000_000),
    ):
        scores = table(predictor, anatomy, options, a.n, a.size, first)
        means = np.nanmean(scores, axis=0)
        columns.append(means)
        per_picture = np.nanmean(scores, axis=1)
        figures[title] = {
            "pictures": a.n,
            "mean Dice": round(float(means.mean()), 4),
            "Dice per bone": {name: round(float(m), 4) for name, m in zip(predictor.schema.names, means, strict=True)},
        }
        lines.append(
            f"  {title:<11} mean Dice {means.mean():.4f} over {a.n} pictures; pictures: "
            f"median {statistics.median(per_picture):.4f}, 5th percentile {np.percentile(per_picture, 5):.4f}; "
            f"lowest bone {predictor.schema.names[int(means.argmin())]} {means.min():.4f}"
        )
    print("\n".join(lines))
    for k, name in enumerate(predictor.schema.names):
        print(f"  {name:<12}" + "".join(f"{column[k]:9.4f}" for column in columns))
    if a.json:
        write_json(a.json, figures)
    if a.record:
        record("Held-out phantoms", lines)


if __name__ == "__main__":
    main()
