"""Dice and surface distances of 29 bones at 2048x2048, against the full-frame code that people use today.

Run: python benchmarks/bench_metrics.py
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from _made import SHAPE, timed, truth_and_prediction
from _record import record
from ossa.radiograph.radiograph import Spacing
from ossa.segmentation import compare as c
from ossa.segmentation.segmentation import Segmentation


def float_dice(truth: np.ndarray, pred: np.ndarray, eps: float = 1e-4) -> np.ndarray:
    """The reference pipeline's metric: (C, H, W) float planes, flattened, multiplied, summed."""
    t, p = truth.reshape(len(truth), -1), pred.reshape(len(pred), -1)
    both = np.sum(t * p, axis=-1)
    return (2.0 * both + eps) / (np.sum(t, axis=-1) + np.sum(p, axis=-1) + eps)


def full_frame_distances(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Border distances both ways by scipy on whole planes, as MONAI's hausdorff_distance does without its crop."""
    edges = [m ^ ndimage.binary_erosion(m) for m in (a, b)]
    to_a, to_b = (ndimage.distance_transform_edt(~edge) for edge in edges)
    return to_b[edges[0]], to_a[edges[1]]


def dice_row(truth: Segmentation, pred: Segmentation) -> str:
    planes = [s.planes().astype(np.float32) for s in (truth, pred)]
    slow, expected = timed(lambda: float_dice(*planes), 3)
    fast, got = timed(lambda: c.dice_per_bone(pred, truth), 31)
    gap = float(np.abs(expected - got).max())
    return f"| Dice (float planes, flattened) | {slow:.0f} | {fast:.2f} | {slow / fast:.0f}x | {gap:.1e} |"


def distance_rows(truth: Segmentation, pred: Segmentation) -> list[str]:
    names = truth.schema.names
    slow, distances = timed(lambda: [full_frame_distances(pred.plane(n), truth.plane(n)) for n in names], 1)
    hd95 = np.array([max(np.percentile(d, 95) for d in both) for both in distances])
    assd = np.array([np.concatenate(both).mean() for both in distances])
    fast, got = timed(lambda: np.array([c.hd95(pred.get(n), truth.get(n)) for n in names]), 9)
    gap = float(np.abs(hd95 - got).max())
    rows = [f"| HD95 (scipy on full frames) | {slow:.0f} | {fast:.1f} | {slow / fast:.0f}x | {gap:.1e} px |"]
    fast, table = timed(lambda: c.compare(pred, truth), 9)
    gap = float(max(np.abs(hd95 - table.hd95).max(), np.abs(assd - table.assd).max()))
    rows.append(
        f"| all six measures (against HD95 alone) | {slow:.0f} | {fast:.1f} | {slow / fast:.0f}x | {gap:.1e} px |"
    )
    uneven = Spacing(0.1, 0.12, "user")
    fast, _ = timed(lambda: c.compare(pred, truth, 0.2, uneven), 5)
    return [*rows, f"| the same with uneven spacing | {slow:.0f} | {fast:.1f} | {slow / fast:.0f}x | |"]


def main() -> None:
    truth, pred = truth_and_prediction()
    lines = [
        f"29 made bones at {SHAPE[0]}x{SHAPE[1]}, mean Dice {c.dice_per_bone(pred, truth).mean():.4f}",
        "",
        "| | usual, ms | ossa, ms | ratio | largest difference |",
        "|---|---|---|---|---|",
        dice_row(truth, pred),
        *distance_rows(truth, pred),
    ]
    record("Metrics (bench_metrics.py)", lines)


if __name__ == "__main__":
    main()
