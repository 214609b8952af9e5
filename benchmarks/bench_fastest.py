"""ossa against the fastest public library that is known for each piece of work, in turns in one run.

    python benchmarks/bench_fastest.py [--rounds 9]

Processor time, the least of all rounds: whatever else runs on the machine only adds. One thread (OpenCV's own pool is
switched off). A ratio below 1 says that the other is faster. The naive ways stand in the sections of each part, whole
programs in "Against other ways to train" and "Prediction over many images".
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np
from scipy.spatial import cKDTree

from _made import SHAPE, made_outlines, truth_and_prediction
from _record import record
from bench_rle import rlemask
from ossa.radiograph.display import png
from ossa.radiograph.read import read_radiograph
from ossa.segmentation import compare as c
from ossa.segmentation import rle
from ossa.segmentation.outlines import Outline, region_from_outlines
from ossa.segmentation.segmentation import Region

SAMPLE = Path(__file__).parents[1] / "samples" / "hand.png"

Work = Callable[[], Any]


def borders(region: Region) -> np.ndarray:
    """The pixels (N, 2) of a region that have a side neighbour outside of it."""
    mask = np.pad(region.mask, 1)
    inner = mask[:-2, 1:-1] & mask[2:, 1:-1] & mask[1:-1, :-2] & mask[1:-1, 2:]
    return np.argwhere(region.mask & ~inner) + np.array([region.top, region.left])


def tree_hd95(a: Region, b: Region) -> float:
    """HD95 as the quickest public code takes it: a KD-tree of each border."""
    x, y = borders(a), borders(b)
    return float(max(np.percentile(cKDTree(q).query(p)[0], 95) for p, q in ((x, y), (y, x))))


def filled(outlines: tuple[Outline, ...]) -> np.ndarray:
    """cv2.fillPoly in the box of the outlines; points to whole px."""
    rings = [np.rint(ring).astype(np.int32) for outline in outlines for ring in outline.rings]
    x, y, width, height = cv2.boundingRect(np.vstack(rings))
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [ring - (x, y) for ring in rings], 1)
    return mask


def contests(folder: Path) -> dict[tuple[str, str], tuple[Work, Work]]:
    """(work, the fastest rival) -> (the rival's, ossa's), each checked to give the same."""
    import kornia_rs
    import simplejpeg
    from rlemasklib import RLEMask

    truth, pred = truth_and_prediction()
    names = truth.schema.names
    pairs = [(truth.regions[n], pred.regions[n]) for n in names]
    held = [tuple(RLEMask(r.plane(SHAPE).astype(np.uint8)) for r in pair) for pair in pairs]
    sample = cv2.imread(str(SAMPLE), cv2.IMREAD_GRAYSCALE)
    grey = np.tile(sample, (2, 2))
    colour = cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)
    files = {"grey": folder / "grey.png", "colour": folder / "colour.png", "jpeg": folder / "grey.jpg"}
    for name, path in files.items():
        cv2.imwrite(str(path), colour if name == "colour" else grey)
    drawn = colour.copy()
    drawn[400:900, 300:700, 0] = 200
    outlines = made_outlines()

    def runs(region: Region) -> Any:
        return rlemask(rle.runs_from_region(region, SHAPE[1]))

    def kornia(path: Path, mode: str) -> np.ndarray:
        shape = (*grey.shape, 1 if mode == "mono" else 3)
        return np.asarray(kornia_rs.io.decode_image_png_u8(path.read_bytes(), shape[:2], mode))

    def write_cv2() -> Any:
        return cv2.imencode(".png", drawn[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])[1]

    found = {
        ("IoU of 29 bones, masks at hand", "rlemasklib"): (
            lambda: [a.iou(b) for a, b in held],
            lambda: [c.iou(a, b, 0.0) for a, b in pairs],
        ),
        ("IoU of 29 bones, from regions", "rlemasklib"): (
            lambda: [runs(a).iou(runs(b)) for a, b in pairs],
            lambda: [c.iou(a, b, 0.0) for a, b in pairs],
        ),
        ("HD95 of 29 bones", "scipy's cKDTree on borders"): (
            lambda: [tree_hd95(a, b) for a, b in pairs],
            lambda: [c.hd95(a, b) for a, b in pairs],
        ),
        ("29 outlines to regions", "cv2.fillPoly in the bone's box"): (
            lambda: [filled(one) for one in outlines.values()],
            lambda: [region_from_outlines(one, SHAPE) for one in outlines.values()],
        ),
        ("PNG, grey, read", "kornia-rs, which ossa uses"): (
            lambda: kornia(files["grey"], "mono"),
            lambda: read_radiograph(files["grey"]).pixels,
        ),
        ("PNG, colour, read", "kornia-rs, which ossa uses"): (
            lambda: kornia(files["colour"], "rgb"),
            lambda: read_radiograph(files["colour"]).pixels,
        ),
        ("JPEG, read", "simplejpeg, which ossa uses"): (
            lambda: simplejpeg.decode_jpeg(files["jpeg"].read_bytes(), colorspace="GRAY"),
            lambda: read_radiograph(files["jpeg"]).pixels,
        ),
        ("PNG, colour, encoded", "OpenCV at level 1"): (write_cv2, lambda: png(drawn)),
    }
    for (work, rival), (theirs, ours) in found.items():
        if work.startswith(("IoU", "HD95")) and not np.allclose(theirs(), ours(), atol=1e-5):
            raise SystemExit(f"{rival} disagrees: {work}")
    return found


def main() -> None:
    """Measure in turns and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    cv2.setNumThreads(1)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for (work, rival), both in contests(Path(folder)).items():
            least = [float("inf")] * 2
            for _ in range(rounds):
                for k, one in enumerate(both):
                    start = time.process_time()
                    one()
                    least[k] = min(least[k], 1000 * (time.process_time() - start))
            rows.append(f"| {work} | {rival} | {least[0]:.2f} | {least[1]:.2f} | {least[0] / least[1]:.1f}x |")
    record(
        "Against the fastest (bench_fastest.py)",
        [
            f"Processor time in ms, the least of {rounds} rounds in turns; masks of 2048 x 2048 px, pictures of "
            "2048 x 1536. ossa's reading checks the file and its polarity besides.",
            "",
            "| work | the fastest rival known | its ms | ossa's ms | ratio |",
            "|---|---|---|---|---|",
            *rows,
        ],
    )


if __name__ == "__main__":
    main()
