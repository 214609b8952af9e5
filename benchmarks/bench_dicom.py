"""A DICOM Segmentation of 29 overlapping bones at 2048x2048: time, size, and whether it comes back to the bit.

highdicom alone, given the planes, is what it is compared with. Needs ossa[dicom].

Run: python benchmarks/bench_dicom.py [--record]
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from _made import SHAPE, truth_and_prediction
from _record import record
from ossa.export.dicom import seg
from ossa.export.dicom.hands import segments, told_apart
from ossa.export.dicom.seg import segmentation_object, write_object
from ossa.export.dicom.source import Source, quietly, source_from, wrapped
from ossa.labels.dicom_seg import regions
from ossa.radiograph.radiograph import Radiograph
from ossa.segmentation.segmentation import Segmentation


def by_highdicom(source: Source, found: Segmentation, path: Path) -> None:
    """What highdicom does when it is given all planes."""
    from highdicom.seg import Segmentation as SegmentationObject

    hands = told_apart([found], "L")
    listed = list(segments(hands))
    planes = np.stack([one.region.plane(found.shape) for one in listed], axis=-1)[None].astype(np.uint8)
    with quietly():
        made = SegmentationObject(
            [source.header], planes, "BINARY", [seg._description(one, source, False) for one in listed],
            "1.2.3", 1, "1.2.3.4", 1, "ossa", "ossa", "0", "0",
        )  # fmt: skip
        made.save_as(path)


def main() -> None:
    found, _ = truth_and_prediction()
    grey = np.random.default_rng(0).integers(0, 255, SHAPE, np.uint8)
    source = source_from(wrapped(Radiograph(grey)), Path("made"))
    folder = Path(tempfile.mkdtemp())
    path = folder / "seg.dcm"
    times: dict[str, list[float]] = {"make": [], "write": [], "read": [], "highdicom": []}

    def took(what: str, start: float) -> None:
        times[what].append(time.process_time() - start)

    same = True
    for _ in range(5):
        start = time.process_time()
        made = segmentation_object(source, told_apart([found], "L"))
        took("make", start)
        start = time.process_time()
        write_object(path, made)
        took("write", start)
        start = time.process_time()
        [(_, back)] = regions(path, found.schema)
        took("read", start)
        same = same and all(
            (r.top, r.left) == (back[n].top, back[n].left) and np.array_equal(r.mask, back[n].mask) for n, r in found
        )
    for _ in range(2):
        start = time.process_time()
        by_highdicom(source, found, folder / "highdicom.dcm")
        took("highdicom", start)
    first = times["make"][0] + times["write"][0]
    make, write, read, other = (float(np.median(times[k])) for k in ("make", "write", "read", "highdicom"))
    size, plain = path.stat().st_size, (folder / "highdicom.dcm").stat().st_size
    lines = [
        f"{len(found)} made bones at {SHAPE[0]}x{SHAPE[1]}, seconds of the processor, median of 5",
        "",
        "| | s |",
        "|---|---|",
        f"| make the object | {make:.2f} |",
        f"| write it, deflated | {write:.2f} |",
        f"| both, the first time | {first:.2f} |",
        f"| read it back | {read:.2f} |",
        f"| highdicom with all planes, written plain | {other:.2f} ({other / (make + write):.1f}x) |",
        "",
        f"Size {size / 1e3:,.0f} kB (plain {plain / 1e3:,.0f} kB). Equal to the bit: {'yes' if same else 'NO'}.",
    ]
    if "--record" in sys.argv:
        record("DICOM Segmentation", lines)
    else:
        print("\n".join(lines))


if __name__ == "__main__":
    main()
