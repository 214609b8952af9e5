"""One training sample from a 2048x2048 PNG and 29 polygons: the usual way against ossa's, in one run.

    python benchmarks/bench_loading.py [--size 1024] [--repeat 5]
    python benchmarks/bench_loading.py --start ROOT [--size 512] [--workers 2] [--cache FOLDER]

The usual way decodes the picture, fills 29 full-size masks, moves and resizes a 29-channel array and makes floats of
it. ossa moves a cached grey picture and the polygons' points and draws bit planes on the training grid. Both flip,
shift, scale and rotate with the same ranges.

--start: seconds from the start of a process to the first batch of its first fold, with nothing in the cache and with
everything: all that ``ossa train`` does until then, its look at every picture and label too. By the wall, and of the
processor: of that process alone (nothing of it is done beside something else) and of its workers. --cache keeps the
cache, so that the second row can be taken again alone.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from _real import real_folder
from _record import record
from ossa.dataset.cache import GreyCache
from ossa.dataset.dataset import open_dataset
from ossa.labels.competition import write_case
from ossa.phantom.scene import PhantomOptions, generate
from ossa.radiograph.prepare import Preparation, place
from ossa.schema import load_schema
from ossa.segmentation.outlines import bits_from_outlines, map_outlines, segmentation_from_outlines
from ossa.segmentation.segmentation import Region, Segmentation
from ossa.training.augment_keys import NONE, AugmentConfig
from ossa.training.batches import BoneData, Sample
from ossa.training.samples import CaseSource

FULL = 2048
SCHEMA = load_schema()
#: What both ways do in the main comparison.
AFFINE = AugmentConfig.model_validate(
    NONE.model_dump() | {"p_affine": 1.0, "p_flip": 0.5, "scale": (0.8, 1.2), "shift": 0.06, "rotate": 20.0}
)


def make_dataset(root: Path, count: int) -> None:
    """Phantoms in 2048x2048 three-channel PNGs, labels with a point per contour pixel."""
    for k in range(count):
        radiograph, truth = generate(1_900_000_000 + k, FULL, PhantomOptions(wrist_only=0.0))
        height, width = truth.shape
        pixels = np.zeros((FULL, FULL, 3), np.uint8)
        pixels[:height, :width] = np.asarray(radiograph.pixels)[..., None]
        regions = {name: Region(region.top, region.left, region.mask) for name, region in truth}
        write_case(root, f"ID{k:03d}", f"image{k}.png", pixels, Segmentation(SCHEMA, (FULL, FULL), regions))


def usual_way(image: Path, label: Path, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Float image (3, size, size) and masks (29, size, size), as training scripts make them today."""
    picture = cv2.imread(str(image)) / np.float32(255)
    masks = np.zeros((FULL, FULL, len(SCHEMA)), np.uint8)
    for annotation in json.loads(label.read_text())["annotations"]:
        plane = np.zeros((FULL, FULL), np.uint8)
        cv2.fillPoly(plane, [np.array(annotation["points"], np.int32)], 1)
        masks[..., SCHEMA.index(annotation["label"])] = plane
    if rng.random() < 0.5:
        picture, masks = picture[:, ::-1], masks[:, ::-1]
    affine = cv2.getRotationMatrix2D((FULL / 2, FULL / 2), rng.uniform(-20, 20), np.exp(rng.uniform(-0.22, 0.18)))
    affine[:, 2] += rng.uniform(-0.06, 0.06, 2) * FULL
    picture = cv2.warpAffine(np.ascontiguousarray(picture), affine, (FULL, FULL))
    picture = cv2.resize(picture, (size, size))
    # OpenCV moves at most four channels at once.
    moved = []
    for c in range(0, masks.shape[2], 4):
        part = np.ascontiguousarray(masks[..., c : c + 4])
        part = cv2.warpAffine(part, affine, (FULL, FULL), flags=cv2.INTER_NEAREST)
        part = cv2.resize(part, (size, size), interpolation=cv2.INTER_NEAREST)
        moved.append(part if part.ndim == 3 else part[..., None])
    stacked = np.concatenate(moved, axis=2)
    return (
        np.ascontiguousarray(picture.transpose(2, 0, 1)),
        np.ascontiguousarray(stacked.transpose(2, 0, 1)).astype(np.float32),
    )


def timed(call: Callable[[int], object], count: int) -> float:
    """Median CPU milliseconds of ``call(k)``: on a busy machine wall time measures the others."""
    times = []
    for k in range(count):
        start = time.process_time()
        call(k)
        times.append(time.process_time() - start)
    return float(np.median(times)) * 1000


def travelling(sample: Sample) -> int:
    """Bytes of a sample in a batch."""
    return sample.image.nbytes + sample.bits.nbytes


def truth_kept(size: int, hands: list[tuple[dict, tuple[int, int]]]) -> tuple[float, float]:
    """Mean Dice and mean area ratio of grid truth, brought back bilinearly, against full-size truth."""
    dices, ratios = [], []
    for outlines, shape in hands:
        placement = place(shape, Preparation(size))
        moved = map_outlines(outlines, placement.to_grid)
        grid = Segmentation.from_bits(
            bits_from_outlines(moved, SCHEMA, placement.content_shape, 4 if size < 768 else 2), SCHEMA
        )
        for name, region in segmentation_from_outlines(outlines, SCHEMA, shape):
            back = cv2.resize(grid.plane(name).view(np.uint8) * 255, shape[::-1], interpolation=cv2.INTER_LINEAR) >= 128
            box = back[region.top : region.bottom, region.left : region.right]
            dices.append(2 * np.count_nonzero(box & region.mask) / (np.count_nonzero(back) + region.area))
            ratios.append(np.count_nonzero(back) / region.area)
    return float(np.mean(dices)), float(np.mean(ratios))


def first_batch(root: Path, cache: Path, size: int, workers: int) -> None:
    """What ``ossa train`` does up to its first batch; run in a process of its own."""
    from ossa.config import load_config
    from ossa.pipeline.train import check_early
    from ossa.pipeline.train_data import fingerprint_of, first_look, folds_of, material_from, read_groups
    from ossa.progress import silent
    from ossa.training.batches import loader
    from ossa.training.run import first_shares, make_network, planned
    from ossa.training.sampler import PlannedBatches

    sets = [f"data.datasets=[{{path: {root}}}]", "data.phantoms=null", f"data.size={size}", f"data.cache={cache}"]
    config = load_config("laptop", [*sets, f"data.workers={workers}", f"output={cache / 'runs'}", "folds.count=5"])
    check_early(config, SCHEMA)
    groups = read_groups(config, SCHEMA, print)
    strata = first_look(config, SCHEMA, groups, silent, print)
    fingerprint_of(config, groups)
    folds = folds_of(config, SCHEMA, groups, cache / "none", False, silent, strata)
    material = material_from(config, SCHEMA, groups, folds, 0, ())
    data, plan = planned(config, SCHEMA, material)
    make_network(config, SCHEMA, first_shares(config, data, material))
    batches = iter(loader(data, PlannedBatches(plan, config.train.batch, lambda: 0), workers))
    next(batches)
    print(time.process_time(), flush=True)
    os._exit(0)  # workers are not waited for


def measure_start(root: Path, size: int, workers: int, kept: Path | None) -> None:
    """The cache of a whole set, and the first batch without and with it."""
    count = len(open_dataset(root).labelled)
    lines = [
        f"{count} pictures, grid {size}, {workers} workers",
        "",
        "| | wall s | processor s of the training's own process |",
        "|---|---|---|",
    ]
    first, again = "first batch, nothing cached: the whole cache is built", "first batch, everything cached"
    with tempfile.TemporaryDirectory() as temporary:
        folder = kept or Path(temporary)
        code = (
            f"from bench_loading import *; first_batch(Path({str(root)!r}), Path({str(folder)!r}), {size}, {workers})"
        )
        for what in (again,) if (folder / "labels.json").exists() else (first, again):
            start = time.perf_counter()
            done = subprocess.run(
                [sys.executable, "-c", code], check=True, cwd=Path(__file__).parent, capture_output=True, text=True
            )
            wall, own = time.perf_counter() - start, float(done.stdout.split()[-1])
            lines.append(f"| {what} | {wall:.1f} | {own:.1f} |")
    load = (
        f"; load of the machine's {os.cpu_count()} cores: {os.getloadavg()[0]:.0f}" if hasattr(os, "getloadavg") else ""
    )
    lines += ["", f"From the start of the process, imports and every check included{load}."]
    record("Start of a training (bench_loading.py --start)", lines)


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--start", type=Path, metavar="ROOT")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--cache", type=Path)
    given = parser.parse_args()
    if given.start is not None:
        measure_start(given.start.resolve(), given.size, given.workers, given.cache)
        return
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make_dataset(root, 3)
        dataset = open_dataset(root)
        cases = dataset.labelled
        lines = ["| sample of a 2048x2048 PNG and 29 polygons | CPU ms | MB that travel |", "|---|---|---|"]
        rng = np.random.default_rng(0)
        usual: list[tuple[np.ndarray, np.ndarray]] = []

        def one(k: int) -> None:
            case = cases[k % len(cases)]
            assert case.label is not None
            usual[:] = [usual_way(case.image, case.label, given.size, rng)]

        one(0)
        slow = timed(one, given.repeat)
        heavy = sum(array.nbytes for array in usual[0])
        usual.clear()
        lines.append(f"| usual way, {given.size} px: 29 full masks, affine | {slow:,.0f} | {heavy / 1e6:.1f} |")
        ratio = ""
        for size in sorted({given.size, 512, 384}, reverse=True):
            cache = GreyCache(root / "cache", Preparation(size))
            cache.build([case.image for case in cases], workers=1)
            source = CaseSource(cases, SCHEMA, cache)
            for what, config in (("the same affine", AFFINE), ("all augmentations", AugmentConfig())):
                data = BoneData(source, SCHEMA, size, augment=config)
                for k in range(len(cases)):
                    data[(0, k, k)]
                fast = timed(lambda k, data=data: data[(1, k, k % len(cases))], 20 * given.repeat)  # type: ignore[misc]
                light = travelling(data[0])
                lines.append(f"| ossa, {size} px, cached: {what} | {fast:.1f} | {light / 1e6:.1f} |")
                if not ratio:
                    ratio = f"{slow / fast:,.0f}x faster, {heavy / light:.0f}x fewer bytes per sample"
        lines += ["", f"{ratio} (medians of CPU time, one thread)", ""]
        hands = {"phantoms": [(dict(case.outlines(SCHEMA)), (FULL, FULL)) for case in cases]}
    real = real_folder()
    if real is not None:
        traced = open_dataset(real / "hands").labelled
        hands["traced real hands"] = [(dict(c.outlines(SCHEMA)), c.radiograph().shape) for c in traced]
    lines += [
        "| truth drawn at | " + " | ".join(f"{name}: Dice, area" for name in hands) + " |",
        "|---|" + "---|" * len(hands),
    ]
    for size in (384, 512, 1024):
        kept = [truth_kept(size, some) for some in hands.values()]
        lines.append(f"| {size} px | " + " | ".join(f"{dice:.4f}, x{area:.4f}" for dice, area in kept) + " |")
    record("Loading a training sample (bench_loading.py)", lines)


if __name__ == "__main__":
    main()
