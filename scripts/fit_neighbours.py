"""Fits src/ossa/hand/neighbours.json to synthetic hands: python scripts/fit_neighbours.py [COUNT]

The shipped file: ossa phantom FOLDER -n 260 --seed 951 --size 512, then --labels FOLDER.
The judge of results does not use it: fitting it anew changes ``ossa data audit`` alone (benchmarks/bench_audit.py).
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

from ossa.hand.cut import find_cut
from ossa.hand.geometry import geometry
from ossa.hand.neighbours import fit_neighbours, upright
from ossa.hand.usual import load_usual
from ossa.phantom.scene import PhantomOptions, generate
from ossa.safety import write_text
from ossa.schema import load_schema
from ossa.segmentation.outlines import outlines_from_segmentation

OUT = Path(__file__).parents[1] / "src" / "ossa" / "hand" / "neighbours.json"
FIRST_SEED = 71_000_000
SIZE = 384


def main() -> None:
    """Draw, fit, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", nargs="?", type=int, default=300, help="how many hands")
    parser.add_argument("--labels", type=Path, help="a data set of phantoms to fit to, instead of drawing them")
    args = parser.parse_args()
    schema = load_schema()
    usual = load_usual(schema)
    assert usual is not None  # it ships
    points, sizes = [], []
    for measured, cut in _of_set(args.labels) if args.labels else _drawn(args.count):
        points.append(upright(measured, cut))
        sizes.append(math.exp(usual.scale(measured)))
    found = fit_neighbours(points, sizes, schema)
    write_text(OUT, json.dumps(found.to_json(), separators=(",", ":")) + "\n")


def _drawn(count):  # type: ignore[no-untyped-def]
    for k in range(count):
        truth = generate(FIRST_SEED + k, SIZE, PhantomOptions())[1]
        yield geometry(truth), find_cut(outlines_from_segmentation(truth), truth.schema, truth.shape).bones


def _of_set(root: Path):  # type: ignore[no-untyped-def]
    from ossa.dataset.dataset import open_dataset
    from ossa.hand.geometry import geometry_of_outlines
    from ossa.radiograph.read import read_size

    dataset = open_dataset(root)
    for case in dataset.labelled:
        outlines = case.outlines(dataset.schema)
        yield (
            geometry_of_outlines(outlines, dataset.schema),
            find_cut(outlines, dataset.schema, read_size(case.image)).bones,
        )


if __name__ == "__main__":
    main()
