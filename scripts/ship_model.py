"""Make the bundle that the package carries from a checkpoint of ``python -m ossa.training.synthetic``.

    python scripts/ship_model.py CHECKPOINT --size 512 --anatomy myohand --recipe "..." [--figures FILE.json ...]

Takes the averaged weights. ``--figures`` are JSON files as the benchmarks write them (bench_real.py); their content
goes into the card, so that the model says of itself how good it was measured to be.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from ossa.models.bundle import Card, default_bundle, save_bundle
from ossa.models.compact import CompactNet
from ossa.radiograph.prepare import Preparation
from ossa.schema import load_schema
from ossa.segmentation.cleanup import Cleanup, Rule


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--size", type=int, required=True, help="longest side of the network's grid in px")
    parser.add_argument("--anatomy", required=True, help="whose bones the phantoms were made of, and their licence")
    parser.add_argument("--recipe", action="append", default=[], help="a command of the training; give all, in order")
    parser.add_argument("--figures", type=Path, action="append", default=[])
    parser.add_argument("--out", type=Path, default=default_bundle())
    a = parser.parse_args()
    state = torch.load(a.checkpoint, weights_only=True)
    net = CompactNet()
    net.load_state_dict(state["mean"])
    figures = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in a.figures}
    card = Card(
        name="ossa-phantom-1",
        schema=load_schema("hand29"),
        architecture={"name": "compact", "options": {}},
        stride=CompactNet.stride,
        preparation=Preparation(a.size).to_json(),
        cleanup=Cleanup(Rule(part=1.0, hole=0.25)).to_json(),
        training={
            "data": "synthetic radiographs only; no picture of a patient",
            "anatomy": a.anatomy,
            "recipe": a.recipe,
            "steps": int(state["step"]),
            "seed": 0,
            "held_out_seeds": "from 1,000,000,000 on",
        },
        figures=figures,
    )
    bundle = save_bundle(a.out, net, card)
    total = sum(p.stat().st_size for p in bundle.path.iterdir())
    print(f"{bundle.path}: {total / 1e6:.1f} MB, step {state['step']}")


if __name__ == "__main__":
    main()
