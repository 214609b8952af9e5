"""Run lengths of 29 bones at 2048x2048, both ways, against the notebooks' numpy code, pycocotools and rlemasklib.

The last two are asked where they are installed; no part of ossa needs them.

Run: python benchmarks/bench_rle.py
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import numpy as np

from _made import SHAPE, truth_and_prediction
from _made import timed as timed_by
from _record import record
from ossa.labels import coco_rle
from ossa.segmentation import rle, runs
from ossa.segmentation.compare import iou
from ossa.segmentation.segmentation import Region, Segmentation

#: What follows from the rows against rlemasklib; to be looked at again when they change.
NOT_ADOPTED = """\
rlemasklib 0.8.1 (October 2026, permissive, numpy alone, 11 MB) keeps masks as run lengths in compiled code. On masks
that are its own already it is ahead in IoU and vote. ossa's are pixels in boxes or the competition's text, and the rows
marked "trip" start and end there: a vote takes about as long both ways, since the making of its masks costs what
the merge wins, and it knows no weights. Only IoU or Dice alone of two files would gain, 1.5 ms a picture: `ossa
evaluate` needs the pixels for the surface measures, which take fifty times that. Full planes are made only to be
written, and 29 PNGs take 246 ms. Hence it is what tests and this table compare with, and no dependency."""

#: The weights of a vote of three.
EQUAL = (1.0, 1.0, 1.0)

#: Milliseconds of this process's own processor time, so that what else the machine does is not counted.
timed = partial(timed_by, clock=time.process_time)


def usual_encode(mask: np.ndarray) -> str:
    """The competition notebooks' encoder."""
    pixels = mask.flatten()
    pixels = np.concatenate([[0], pixels, [0]])
    changes = np.where(pixels[1:] != pixels[:-1])[0] + 1
    changes[1::2] -= changes[::2]
    return " ".join(str(x) for x in changes)


def usual_decode(text: str, shape: tuple[int, int]) -> np.ndarray:
    """The competition notebooks' decoder."""
    numbers = text.split()
    starts, lengths = (np.asarray(x, dtype=int) for x in (numbers[0::2], numbers[1::2]))
    starts -= 1
    flat = np.zeros(shape[0] * shape[1], dtype=np.uint8)
    for low, high in zip(starts, starts + lengths, strict=True):
        flat[low:high] = 1
    return flat.reshape(shape)


def main() -> None:
    truth, pred = truth_and_prediction()
    names, width = truth.schema.names, SHAPE[1]
    regions = [truth.get(n) for n in names]
    planes = [r.plane(SHAPE).astype(np.uint8) for r in regions]
    lines = [
        f"29 made bones at {SHAPE[0]}x{SHAPE[1]}; processor time of one thread, median",
        "",
        "| | usual, ms | ossa, ms | ratio |",
        "|---|---|---|---|",
    ]

    def row(what: str, slow: float, fast: float) -> None:
        lines.append(f"| {what} | {slow:.1f} | {fast:.2f} | {slow / fast:.1f}x |")

    slow, expected = timed(lambda: [usual_encode(p) for p in planes], 3)
    fast, texts = timed(lambda: [rle.text_from_region(r, width) for r in regions], 31)
    if texts != expected:
        raise SystemExit("the encoders disagree")
    row("encode to text (numpy on full planes)", slow, fast)

    slow, _ = timed(lambda: [usual_decode(t, SHAPE) for t in texts], 9)
    fast, decoded = timed(lambda: [rle.region_from_text(t, SHAPE) for t in texts], 31)
    if any((a.plane(SHAPE) != b).any() for a, b in zip(decoded, planes, strict=True)):
        raise SystemExit("the decoders disagree")
    row("decode text to regions (numpy to full planes)", slow, fast)
    fast, _ = timed(lambda: [rle.region_from_text(t, SHAPE).plane(SHAPE) for t in texts], 9)
    row("decode text to full planes", slow, fast)

    weights = (1.0, 1.0, 1.0)
    voters = [
        [rle.runs_from_text(rle.text_from_region(r, width), SHAPE) for r in (truth.get(n), pred.get(n), truth.get(n))]
        for n in names
    ]

    def usual_vote() -> list[np.ndarray]:
        kept = []
        for n in names:
            total = sum(w * s.plane(n).astype(np.float32) for w, s in zip(weights, (truth, pred, truth), strict=True))
            kept.append(total >= 1.5)
        return kept

    slow, wanted = timed(usual_vote, 1)
    fast, voted = timed(lambda: [runs.vote(v, weights, 0.5) for v in voters], 9)
    if any((rle.region_from_runs(v, width).plane(SHAPE) != w).any() for v, w in zip(voted, wanted, strict=True)):
        raise SystemExit("the votes disagree")
    del wanted
    row("vote of three results (float planes)", slow, fast)

    try:
        from pycocotools import mask as coco
    except ImportError:
        lines.append("| COCO: pycocotools is not installed | | | |")
    else:
        slow, theirs = timed(lambda: [coco.encode(np.asfortranarray(p))["counts"] for p in planes], 5)
        fast, ours = timed(
            lambda: [coco_rle.compress_counts(coco_rle.counts_from_region(r, SHAPE)).encode() for r in regions], 31
        )
        if ours != theirs:
            raise SystemExit("pycocotools disagrees")
        row("encode to COCO's compressed text (pycocotools, transposed)", slow, fast)
        sizes = [{"size": list(SHAPE), "counts": t} for t in theirs]
        slow, _ = timed(lambda: [np.ascontiguousarray(coco.decode(s)) for s in sizes], 5)
        fast, _ = timed(lambda: [coco_rle.region_from_counts(coco_rle.decompress_counts(t), SHAPE) for t in theirs], 31)
        row("decode COCO's compressed text (pycocotools, C order)", slow, fast)
    lines += rlemasklib_rows(truth, pred)
    record("Run lengths (bench_rle.py)", lines)


def rlemasklib_rows(truth: Segmentation, pred: Segmentation) -> list[str]:
    """The rows against rlemasklib, each timed in turns with ossa's; a ratio below 1 says that rlemasklib is faster."""
    try:
        from rlemasklib import RLEMask
    except ImportError:
        return ["| rlemasklib is not installed | | | |"]
    names, width = truth.schema.names, SHAPE[1]
    first, second = [truth.get(n) for n in names], [pred.get(n) for n in names]
    planes = [r.plane(SHAPE).astype(np.uint8) for r in first]
    a, b = ([RLEMask(r.plane(SHAPE).astype(np.uint8)) for r in regions] for regions in (first, second))
    ra, rb = ([rle.runs_from_region(r, width) for r in regions] for regions in (first, second))
    ta, tb = ([rle.text_from_runs(r) for r in taken] for taken in (ra, rb))

    def read(text: str) -> Any:
        return rlemask(rle.runs_from_text(text, SHAPE))

    contests = {
        "IoU of masks at hand (theirs run lengths, ours in boxes)": (
            lambda: [x.iou(y) for x, y in zip(a, b, strict=True)],
            lambda: [iou(x, y, 0.0) for x, y in zip(first, second, strict=True)],
        ),
        "trip: IoU of regions": (
            lambda: [
                rlemask(rle.runs_from_region(x, width)).iou(rlemask(rle.runs_from_region(y, width)))
                for x, y in zip(first, second, strict=True)
            ],
            lambda: [iou(x, y, 0.0) for x, y in zip(first, second, strict=True)],
        ),
        "trip: IoU alone of two files' texts": (
            lambda: [read(x).iou(read(y)) for x, y in zip(ta, tb, strict=True)],
            lambda: [
                iou(rle.region_from_text(x, SHAPE), rle.region_from_text(y, SHAPE), 0.0)
                for x, y in zip(ta, tb, strict=True)
            ],
        ),
        "vote of three masks at hand": (
            lambda: [RLEMask.merge_count([x, y, x], 2) for x, y in zip(a, b, strict=True)],
            lambda: [runs.vote((x, y, x), EQUAL, 0.5) for x, y in zip(ra, rb, strict=True)],
        ),
        "trip: vote of three, run lengths to run lengths": (
            lambda: [
                runs_of(RLEMask.merge_count([rlemask(x), rlemask(y), rlemask(x)], 2))
                for x, y in zip(ra, rb, strict=True)
            ],
            lambda: [runs.vote((x, y, x), EQUAL, 0.5) for x, y in zip(ra, rb, strict=True)],
        ),
        "trip: vote of three, texts to text": (
            lambda: [
                rle.text_from_runs(runs_of(RLEMask.merge_count([read(x), read(y), read(x)], 2)))
                for x, y in zip(ta, tb, strict=True)
            ],
            lambda: [
                rle.text_from_runs(runs.vote([rle.runs_from_text(t, SHAPE) for t in (x, y, x)], EQUAL, 0.5))
                for x, y in zip(ta, tb, strict=True)
            ],
        ),
        "encode from full planes": (
            lambda: [RLEMask(plane) for plane in planes],
            lambda: [rle.runs_from_region(Region.tight(plane), width) for plane in planes],
        ),
        "decode run lengths to full planes": (
            lambda: [x.to_array() for x in a],
            lambda: [rle.region_from_runs(x, width).plane(SHAPE) for x in ra],
        ),
    }
    for what, (theirs, ours) in contests.items():
        if what.startswith("trip: vote"):
            if not all(np.array_equal(x, y) for x, y in zip(theirs(), ours(), strict=True)):
                raise SystemExit("rlemasklib votes otherwise")
        elif "IoU" in what and not np.allclose(theirs(), ours()):
            raise SystemExit("rlemasklib disagrees")
    rows = []
    for what, (theirs, ours) in contests.items():
        pairs = [(timed(theirs, 1)[0], timed(ours, 1)[0]) for _ in range(15)]
        slow, fast = (float(np.median(column)) for column in zip(*pairs, strict=True))
        rows.append(f"| {what} (rlemasklib) | {slow:.2f} | {fast:.2f} | {slow / fast:.1f}x |")
    return [*rows, "", NOT_ADOPTED]


def rlemask(of: rle.Runs) -> Any:
    """ossa's runs as rlemasklib's mask of the transposed picture, the quickest way that it offers."""
    from rlemasklib import RLEMask

    edges = np.zeros(2 * len(of.starts) + 2, np.int64)
    edges[1:-1:2], edges[2:-1:2], edges[-1] = of.starts, of.starts + of.lengths, SHAPE[0] * SHAPE[1]
    return RLEMask.from_counts(np.diff(edges).astype(np.uint32), SHAPE[::-1], validate_sum=False)


def runs_of(mask: Any) -> rle.Runs:
    """The way back."""
    edges = np.cumsum(mask.counts, dtype=np.int64)
    starts = edges[0:-1:2]
    return rle.Runs(starts, edges[1::2] - starts)


if __name__ == "__main__":
    main()
