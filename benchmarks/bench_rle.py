"""Run lengths of 29 bones at 2048x2048, both ways, against the numpy code of the notebooks and pycocotools.

Run: python benchmarks/bench_rle.py
"""

from __future__ import annotations

import numpy as np

from _made import SHAPE, timed, truth_and_prediction
from _record import record
from ossa.labels import coco_rle, rle, runs


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
        f"29 made bones at {SHAPE[0]}x{SHAPE[1]}",
        "",
        "| | usual, ms | ossa, ms | ratio |",
        "|---|---|---|---|",
    ]

    def row(what: str, slow: float, fast: float) -> None:
        lines.append(f"| {what} | {slow:.1f} | {fast:.2f} | {slow / fast:.1f}x |")

    slow, expected = timed(lambda: [usual_encode(p) for p in planes], 3)
    fast, texts = timed(lambda: [rle.encode(r, width) for r in regions], 31)
    if texts != expected:
        raise SystemExit("the encoders disagree")
    row("encode to text (numpy on full planes)", slow, fast)

    slow, _ = timed(lambda: [usual_decode(t, SHAPE) for t in texts], 9)
    fast, decoded = timed(lambda: [rle.decode(t, SHAPE) for t in texts], 31)
    if any((a.plane(SHAPE) != b).any() for a, b in zip(decoded, planes, strict=True)):
        raise SystemExit("the decoders disagree")
    row("decode text to regions (numpy to full planes)", slow, fast)
    fast, _ = timed(lambda: [rle.decode(t, SHAPE).plane(SHAPE) for t in texts], 9)
    row("decode text to full planes", slow, fast)

    weights = (1.0, 1.0, 1.0)
    voters = [
        [rle.decode_runs(rle.encode(r, width), SHAPE) for r in (truth.get(n), pred.get(n), truth.get(n))] for n in names
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
    record("Run lengths (bench_rle.py)", lines)


if __name__ == "__main__":
    main()
