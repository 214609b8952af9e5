"""Ensembles of results: hard votes of submission files, saved probabilities and their mean, against the usual scripts.

    python benchmarks/bench_ensemble.py [--images 288]

Votes: five files of ``--images`` images x 29 bones at 2048 x 2048 (made from six phantoms, each file shifted by some
pixels). The usual way decodes every row to a full plane, adds, compares and encodes; it is timed on a few images and
scaled up. Probabilities: the usual way keeps 29 x 2048 x 2048 uint16 planes in a compressed npz per image and model.
Targets: five files of 288 images in 60 s on 2 cores; disk at most 1/20.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from _made import timed
from _record import record
from bench_after_network import SIZE, made_logits, usual
from ossa.ensemble.vote import mean_logits
from ossa.labels.store import Store
from ossa.labels.submission import read_submission, write_submission
from ossa.phantom.scene import generate
from ossa.pipeline.ensemble import soft_vote, vote
from ossa.radiograph.prepare import Placement
from ossa.schema import load_schema
from ossa.segmentation.segmentation import Region, Segmentation

FILES = 5
SHAPE = (SIZE, SIZE)


def shifted(truth: Segmentation, rng: np.random.Generator) -> Segmentation:
    """The bones moved by up to 4 px each, as another model would see them."""
    regions = {}
    for name, region in truth:
        plane = np.zeros((region.mask.shape[0] + 8, region.mask.shape[1] + 8), bool)
        dy, dx = rng.integers(0, 9, 2)
        plane[dy : dy + region.mask.shape[0], dx : dx + region.mask.shape[1]] = region.mask
        top, left = max(0, region.top - 4), max(0, region.left - 4)
        moved = Region.tight(plane[: SIZE - top, : SIZE - left], top, left)
        if moved is not None:
            regions[name] = moved
    return Segmentation(truth.schema, SHAPE, regions)


def usual_vote(rows: list[list[str]], weights: list[float]) -> list[str]:
    """One image: ``rows[file][bone]``; decode to full planes, add, compare, encode."""
    out = []
    for bone in range(len(rows[0])):
        total = np.zeros(SIZE * SIZE)
        for texts, weight in zip(rows, weights, strict=True):
            numbers = np.array(texts[bone].split(), dtype=int)
            plane = np.zeros(SIZE * SIZE, dtype=np.uint8)
            for start, length in zip(numbers[0::2], numbers[1::2], strict=True):
                plane[start - 1 : start - 1 + length] = 1
            total += weight * plane
        pixels = np.concatenate([[0], (total >= sum(weights) / 2).astype(np.uint8), [0]])
        runs = np.where(pixels[1:] != pixels[:-1])[0] + 1
        runs[1::2] -= runs[::2]
        out.append(" ".join(str(x) for x in runs))
    return out


def votes(folder: Path, images: int) -> list[str]:
    """The table's rows of the hard vote."""
    rng = np.random.default_rng(0)
    schema = load_schema()
    truths = []
    for seed in range(6):
        full = generate(990_000_100 + seed, SIZE)[1]
        planes = Segmentation(schema, SHAPE, dict(full.regions))
        truths.append(planes)
    paths = []
    for number in range(FILES):
        variants = [shifted(truth, rng) for truth in truths]
        path = folder / f"{number}.csv"
        write_submission(path, ((f"image{i:04d}.png", variants[i % len(variants)]) for i in range(images)))
        paths.append(path)
    start = time.perf_counter()
    vote(paths, folder / "voted.csv", shape=SHAPE)
    ours = time.perf_counter() - start
    files = [read_submission(path, schema, SHAPE) for path in paths]
    names = [f"image{i:04d}.png" for i in range(2)]
    rows = {n: [[f.text(n, bone) for bone in schema.names] for f in files] for n in names}
    usual_ms, _ = timed(lambda: [usual_vote(rows[n], [1.0] * FILES) for n in names], 1)
    expected = {n: usual_vote(rows[n], [1.0] * FILES) for n in names}
    voted = read_submission(folder / "voted.csv", schema, SHAPE)
    if any([voted.text(n, bone) for bone in schema.names] != expected[n] for n in names):
        raise SystemExit("the votes disagree")
    usual_s = usual_ms / 1000 / len(names) * images
    megabytes = sum(path.stat().st_size for path in paths) / 1e6
    return [
        f"| hard vote of {FILES} files, {images} images x 29 bones, {megabytes:.0f} MB of text, s "
        f"| {usual_s:.0f} | {ours:.1f} | {usual_s / ours:.0f}x |"
    ]


def probabilities(folder: Path) -> list[str]:
    """The table's rows of saved probabilities: size of one image, and the mean of five models."""
    import torch

    schema = load_schema()
    placement = Placement(SHAPE, (512, 512), (512, 512), 0.25, 0.25)
    rng = np.random.default_rng(1)
    logits = made_logits(256, SHAPE)
    stores, files = [], []
    for number in range(FILES):
        one = logits + rng.normal(0, 0.3, (len(schema), 1, 1)).astype(np.float32)
        store = Store.create(folder / f"store{number}", schema, {"model": number})
        store.write("hand.png", one, placement)
        stores.append(store)
        full = torch.nn.functional.interpolate(torch.from_numpy(one)[None], size=SHAPE, mode="bilinear")[0]
        files.append(folder / f"{number}.npz")
        np.savez_compressed(files[-1], (torch.sigmoid(full) * 65535).to(torch.int32).numpy().astype(np.uint16))
        del full
    before = sum(path.stat().st_size for path in files) / FILES
    after = sum(path.stat().st_size for store in stores for path in store.path.rglob("*.prob")) / FILES
    write_ms, _ = timed(lambda: stores[0].write("hand.png", logits, placement), 5)

    def usual_mean() -> list[np.ndarray]:
        total = np.zeros((len(schema), *SHAPE), np.float32)
        for path in files:
            total += np.load(path)["arr_0"].astype(np.float32) / 65535 / FILES
        return list(total > 0.5)

    usual_ms, masks = timed(usual_mean, 1)
    ours_ms, _ = timed(lambda: soft_vote([s.path for s in stores], folder / "soft.csv"), 3)
    shares = np.full((FILES, len(schema)), 1 / FILES, np.float32)
    mean, _ = mean_logits(stores, "hand.png", shares)
    found = read_submission(folder / "soft.csv", schema, SHAPE)["hand.png"].planes()
    exact = usual(mean, SHAPE)
    written = read_submission(folder / "soft.csv", schema, SHAPE)
    same = sum(t == written.text("hand.png", n) for t, n in zip(exact, schema.names, strict=True))
    overlap = 2 * sum(int((a & b).sum()) for a, b in zip(masks, found, strict=True))
    dice = overlap / (sum(int(m.sum()) for m in masks) + int(found.sum()))
    return [
        f"| saved probabilities of one image and model, kB | {before / 1000:.0f} | {after / 1000:.0f} "
        f"| {before / after:.0f}x smaller |",
        f"| mean of {FILES} models' saved probabilities, one image, to masks (ours: to the CSV), ms "
        f"| {usual_ms:.0f} | {ours_ms:.0f} | {usual_ms / ours_ms:.0f}x |",
        "",
        f"Writing one image to the store takes {write_ms:.0f} ms. The two means (of probabilities, of logits) "
        f"agree to Dice {dice:.5f}; {same} of 29 run lengths equal those of full-frame interpolation of the stores' "
        "mean logits.",
    ]


def main(images: int) -> None:
    lines = ["| | usual | ossa | ratio |", "|---|---|---|---|"]
    with tempfile.TemporaryDirectory() as work:
        lines += votes(Path(work), images)
        lines += probabilities(Path(work))
    record("Ensembles of results (bench_ensemble.py)", lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=288)
    main(parser.parse_args().images)
