"""Make the bundle that the package carries from a run of ``ossa train shipped``.

    python scripts/ship_model.py RUN/stage5/fold0/best.safetensors --size 512 --anatomy myohand --recipe "..."
        [--real JSON --phantoms JSON]

Takes the averaged weights, of best.safetensors or of a last.pt of the trainer that was before. ``--real`` is the
figures.json of benchmarks/bench_real.py and ``--phantoms`` the JSON of benchmarks/bench_phantoms.py, both measured
with the same weights (make the bundle once without them); they go into the card, so that the model says of itself how
good it was measured to be.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import torch

from ossa.bundle.bundle import CARD, Bundle, default_bundle, save_bundle
from ossa.bundle.card import Architecture, Card, Closer
from ossa.bundle.companions import companions, put_companion
from ossa.models.compact import CompactNet
from ossa.models.weights import load_weights
from ossa.radiograph.prepare import Preparation
from ossa.schema import BoneSchema, load_schema
from ossa.segmentation.cleanup import Cleanup, Rule


def real_figures(measured: dict[str, Any]) -> dict[str, Any]:
    """What the card says of the real hands: means, every bone's Dice, tips in mm, carpals, the drop over variants."""
    overlap = measured["overlap"]
    tips = [error for hand in measured["landmarks"]["per_hand"].values() for error in hand["tips"].values()]
    return {
        "hands traced": len(overlap["per_hand"]),
        "mean Dice": round(overlap["mean_dice"], 4),
        "mean Dice of groups": {name: round(value, 4) for name, value in overlap["groups_dice"].items()},
        "Dice per bone": {name: round(value["dice"], 4) for name, value in overlap["per_bone"].items()},
        "NSD at 2 px of 2048": round(overlap["mean_nsd"], 4),
        "finger tips, median mm": round(statistics.median(tips), 2),
        "carpals of 24 adolescents, mean best-match Dice": round(measured["carpals"]["mean_dice"], 4),
        "drop over variants": round(measured["variants_mean_drop"], 4),
    }


def looks(schema: BoneSchema, wrist: int, digits: int | None) -> tuple[Closer, ...]:
    """The closer looks: the wrist; with ``digits`` the four fingers, and the thumb with the metacarpals."""
    close = [Closer(schema.in_row("carpal"), wrist)]
    if digits is not None:
        fingers = [b.name for b in schema.bones if b.row in ("distal", "middle", "proximal") and b.digit != 1]
        palm = [b.name for b in schema.bones if b.digit == 1 or b.row == "metacarpal"]
        close += [Closer(tuple(fingers), digits, 0.1), Closer(tuple(palm), digits, 0.1)]
    return tuple(close)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--size", type=int, required=True, help="longest side of the network's grid in px")
    parser.add_argument("--closer", type=int, default=384, help="longest side of the closer look at the wrist in px")
    parser.add_argument("--digits", type=int, help="longest side of the closer looks at fingers, thumb and palm in px")
    parser.add_argument("--anatomy", required=True, help="whose bones the phantoms were made of, and their licence")
    parser.add_argument("--recipe", action="append", default=[], help="a command of the training; give all, in order")
    parser.add_argument("--steps", type=int, help="steps of the last stage")
    parser.add_argument("--real", type=Path, help="figures.json of benchmarks/bench_real.py")
    parser.add_argument("--phantoms", type=Path, help="JSON of benchmarks/bench_phantoms.py")
    parser.add_argument("--out", type=Path, default=default_bundle())
    a = parser.parse_args()
    net, steps = CompactNet(), a.steps
    if a.checkpoint.suffix == ".pt":
        state = torch.load(a.checkpoint, weights_only=True)
        net.load_state_dict(state["mean"])
        steps = steps or int(state["step"])
    else:
        load_weights(net, a.checkpoint)
    figures: dict[str, Any] = {}
    if a.real:
        figures["real hands"] = real_figures(json.loads(a.real.read_text(encoding="utf-8")))
    if a.phantoms:
        figures["held-out phantoms"] = json.loads(a.phantoms.read_text(encoding="utf-8"))
    schema = load_schema("hand29")
    card = Card(
        name="ossa-phantom-4",
        schema=schema,
        architecture=Architecture("compact"),
        stride=CompactNet.stride,
        preparation=Preparation(a.size),
        cleanup=Cleanup(Rule(part=1.0, hole=0.25)),
        closer=looks(schema, a.closer, a.digits),
        licence="Apache-2.0",
        training={
            "data": "synthetic radiographs only; no picture of a patient",
            "anatomy": a.anatomy,
            "recipe": a.recipe,
            "steps of the last command": steps,
            "seed": 0,
            "held_out_seeds": "from 1,000,000,000 on",
        },
        figures=figures,
    )
    # They are trained by themselves (scripts/ship_companion.py), and stay.
    kept = companions(Bundle.load(a.out)) if (a.out / CARD).is_file() else {}
    bundle = save_bundle(a.out, net, card)
    for name, data in kept.items():
        bundle = put_companion(bundle, name, data)
    total = sum(p.stat().st_size for p in bundle.path.iterdir())
    print(f"{bundle.path}: {total / 1e6:.1f} MB, step {steps}; now: python scripts/ship_int8.py {bundle.path}")
    print("and, for the shipped model: python scripts/upload_model.py --write-card")


if __name__ == "__main__":
    main()
