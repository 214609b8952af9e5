"""How long a gallery of 800 pictures of 2048 x 2048 px takes, against drawing overlays picture by picture.

    python benchmarks/bench_gallery.py [--pictures 800] [--keep FOLDER]

The data set is made of schematic hands with film grain (PNG, three channels); pictures repeat under other names
after the first 40, because decoding does not get faster by that. The reference way is the usual notebook loop: full
decode, fillPoly into 29 full planes, run lengths into 29 full planes, Dice on full planes, an overlay PNG of truth
and of prediction; it runs on a few pictures and is scaled up.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from _record import record
from helpers_dataset import SCHEMA, draw, schematic_hand
from ossa.labels.competition import read_label, write_case
from ossa.labels.submission import read_submission, write_submission
from ossa.pipeline.gallery import gallery
from ossa.segmentation.outlines import segmentation_from_outlines

SIZE = 2048
DISTINCT = 40


def make(root: Path, count: int) -> Path:
    """The data set, and a submission whose bones are shifted by a few pixels."""
    rows = []
    first: list[tuple[Path, Path]] = []
    for k in range(count):
        subject, name = f"ID{k // 2 + 1:03d}", f"image{1661130828152 + k}.png"
        if k < DISTINCT:
            outlines = schematic_hand(SIZE, seed=k // 2, side="RL"[k % 2], wrist=5.0 * (k % 7))
            grey = draw(outlines, SIZE, k)
            truth = segmentation_from_outlines(outlines, SCHEMA, (SIZE, SIZE))
            image = write_case(root, subject, name, cv2.merge([grey, grey, grey]), truth)
            first.append((image, root / "train" / "outputs_json" / subject / f"{Path(name).stem}.json"))
        else:
            image, label = first[k % DISTINCT]
            for source, target in (
                (image, root / "train" / "DCM" / subject / name),
                (label, root / "train" / "outputs_json" / subject / f"{Path(name).stem}.json"),
            ):
                target.parent.mkdir(parents=True, exist_ok=True)
                os.link(source, target)
        rows.append((name, k % DISTINCT))

    def predictions():  # type: ignore[no-untyped-def]
        shifted = []
        for k in range(min(count, DISTINCT)):
            outlines = schematic_hand(SIZE, seed=k // 2, side="RL"[k % 2], wrist=5.0 * (k % 7))
            moved = {n: tuple(p.mapped(lambda r: r + 3.0) for p in parts) for n, parts in outlines.items()}
            shifted.append(segmentation_from_outlines(moved, SCHEMA, (SIZE, SIZE)))
        for name, k in rows:
            yield name, shifted[k]

    path = root.parent / "submission.csv"
    write_submission(path, predictions())
    return path


def reference(root: Path, csv: Path, out: Path, count: int) -> float:
    """Seconds per picture of the usual loop."""
    submission = read_submission(csv, SCHEMA, (SIZE, SIZE))
    images = sorted((root / "train" / "DCM").rglob("*.png"))[:count]
    start = time.perf_counter()
    for image in images:
        picture = cv2.imread(str(image))
        label = root / "train" / "outputs_json" / image.parent.name / f"{image.stem}.json"
        truth = np.zeros((29, SIZE, SIZE), np.uint8)
        for name, parts in read_label(label, SCHEMA).items():
            cv2.fillPoly(truth[SCHEMA.index(name)], [np.rint(p.exterior).astype(np.int32) for p in parts], 1)
        found = np.zeros((29, SIZE * SIZE), np.uint8)
        for i, name in enumerate(SCHEMA.names):
            numbers = np.array(submission.text(image.name, name).split(), dtype=int)
            for begin, length in zip(numbers[0::2] - 1, numbers[1::2], strict=True):
                found[i, begin : begin + length] = 1
        found = found.reshape(29, SIZE, SIZE)
        a, b = truth.reshape(29, -1).astype(np.float32), found.reshape(29, -1).astype(np.float32)
        _ = (2 * (a * b).sum(1) + 1e-4) / (a.sum(1) + b.sum(1) + 1e-4)
        for kind, planes in (("truth", truth), ("prediction", found)):
            shown = picture.copy()
            for bone, plane in zip(SCHEMA.bones, planes, strict=True):
                shown[plane > 0] = bone.colour
            cv2.imwrite(str(out / f"{image.stem}_{kind}.png"), cv2.addWeighted(picture, 0.6, shown, 0.4, 0))
    return (time.perf_counter() - start) / len(images)


def main() -> None:
    """Make, time, record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=800)
    parser.add_argument("--keep", type=Path, help="leave data set and gallery in this folder")
    args = parser.parse_args()
    folder = args.keep or Path(tempfile.mkdtemp())
    try:
        root = folder / "data"
        csv = make(root, args.pictures) if not root.exists() else folder / "submission.csv"
        (folder / "reference").mkdir(exist_ok=True)
        slow = reference(root, csv, folder / "reference", 3)
        start, busy = time.perf_counter(), time.process_time()
        written = gallery([root, csv], folder / "gallery")
        seconds, busy = time.perf_counter() - start, time.process_time() - busy
        size = sum(p.stat().st_size for p in (folder / "gallery").rglob("*") if p.is_file())
        full = sum(p.stat().st_size for p in (folder / "reference").glob("*")) / 3 * args.pictures
        record(
            "Gallery (bench_gallery.py)",
            [
                f"{written.pictures} pictures of {SIZE} x {SIZE} px with truth and one submission: {seconds:.0f} s "
                f"({busy:.0f} s of processor time, {1000 * seconds / written.pictures:.0f} ms a picture), "
                f"{size / 1e6:.0f} MB.",
                f"Usual loop (full planes, two overlay PNGs): {slow:.2f} s a picture, "
                f"{slow * args.pictures / 60:.0f} minutes and {full / 1e9:.1f} GB for all. "
                f"Ratio {slow * written.pictures / seconds:.0f} x in time, {full / size:.0f} x in bytes.",
            ],
        )
    finally:
        if args.keep is None:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
