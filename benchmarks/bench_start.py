"""How soon a network of each family learns, with the background prior and without it, on one small set of phantoms.

    python benchmarks/bench_start.py [--record] [--only NAME ...] [--seconds 120] [--keep FILE] [--weights NAME=FILE]

The same 32 flat phantoms at 96 px in the same order for all, batches of 8, not varied; AdamW at 2e-3, 5 BCE + Dice;
Dice on 8 others, every 10 steps, after which a run that has .8 ends. Processor seconds are those of the training steps.
A course also ends after --seconds. A name followed by @1, @2 or @4 is trained with its logits brought to that stride
before the loss instead of the head's, with the prior alone.
--keep: a JSON file of finished rows, which are not run again.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from _record import record
from ossa.models.architectures import build
from ossa.models.prior import set_prior
from ossa.models.weights import load_weights
from ossa.phantom.options import PhantomOptions
from ossa.radiograph.prepare import Preparation
from ossa.safety import write_json
from ossa.schema import load_schema
from ossa.segmentation.compare import dice
from ossa.segmentation.decode import decode
from ossa.segmentation.segmentation import Segmentation
from ossa.training.allocator import keep_freed_memory
from ossa.training.batches import BoneData, make_batch
from ossa.training.losses import WeightedLoss
from ossa.training.material import Checks
from ossa.training.samples import PhantomSource, RawSample
from ossa.training.shares import bone_shares

SIZE = 96
BATCH = 8
EVERY = 10
FLAT = PhantomOptions(bent_wrists=0, oblique_views=0, wrist_only=0, turned=0, clutter=0, fill=(0.8, 0.98))

#: What each family is asked with: small members, as the question is how they start.
FAMILIES: dict[str, dict[str, Any]] = {
    "compact": {"widths": [24, 32, 64, 128, 192]},
    "unet": {"encoder": "resnet18"},
    "unetplusplus": {"encoder": "resnet18"},
    "manet": {"encoder": "resnet18"},
    "linknet": {"encoder": "resnet18"},
    "fpn": {"encoder": "resnet18"},
    "pspnet": {"encoder": "resnet18"},
    "pan": {"encoder": "resnet18"},
    "deeplabv3plus": {"encoder": "resnet18"},
    "upernet": {"encoder": "resnet18"},
    "segformer": {"encoder": "resnet18"},
    "fcn_resnet50": {},
    "deeplabv3_resnet50": {},
    "segformer_b0": {},
    "upernet_convnext": {"hidden_size": 64, "backbone": {"hidden_sizes": [48, 96, 192, 384], "depths": [2, 2, 2, 2]}},
    "timm": {"backbone": "resnet18"},
    "convnext": {"backbone": "convnext_atto"},
    "swin": {"embed_dim": 48, "depths": [2, 2, 2, 2], "num_heads": [2, 4, 8, 16], "window_size": 4},
    "hrnet": {"backbone": "hrnet_w18_small"},
}


class Kept:
    """A source's samples, drawn once."""

    def __init__(self, source: PhantomSource) -> None:
        self.source = source
        self.samples = [source.sample(i, np.random.default_rng(0)) for i in range(len(source))]

    def __len__(self) -> int:
        return len(self.samples)

    def sample(self, index: int, rng: np.random.Generator) -> RawSample:
        del rng
        return self.samples[index]

    def full_truth(self, index: int) -> tuple[Segmentation, frozenset[str]]:
        raw = self.samples[index]
        assert raw.bits is not None
        return Segmentation.from_bits(raw.bits, self.source.schema), raw.annotated


@dataclass
class Course:
    """Steps and processor seconds to .5 and to .8, and the Dice at the end."""

    half: tuple[int, float] | None = None
    most: tuple[int, float] | None = None
    last: float = 0.0
    steps: int = 0
    seconds: float = 0.0

    @property
    def cells(self) -> str:
        return f"{cell(self.half)} | {cell(self.most)} | {self.last:.2f} after {self.steps} ({self.seconds:.0f} s)"


def score(network: Any, checks: Checks) -> float:
    network.eval()
    values = []
    for i in range(len(checks)):
        check = checks[i]
        with torch.no_grad():
            found = decode(network(check.image[None])[0].numpy(), check.placement, load_schema())
        values += [dice(found.get(name), check.truth.get(name)) for name in check.annotated]
    network.train()
    return float(np.mean(values))


def course(
    name: str, prior: bool, data: BoneData, checks: Checks, steps: int, seconds: float, weights: str | None
) -> Course:
    plain, _, stride = name.partition("@")
    torch.manual_seed(1)
    network: Any = build(plain, 29, **FAMILIES[plain])
    if plain == "compact" and not prior:
        set_prior(network, torch.full((29,), float(torch.tensor(-4.0).sigmoid())))
    if prior:
        set_prior(network, bone_shares(data, [(data.source, 1.0)]))
    if weights is not None:
        load_weights(network, weights)
    at = int(stride) if stride else network.stride
    loss = WeightedLoss({"bce": 5.0, "dice": 1.0})
    optimiser = torch.optim.AdamW(network.parameters(), 2e-3, weight_decay=1e-4)
    network.train()
    out, used = Course(), 0.0
    orders = np.random.default_rng(1)
    order: list[int] = []
    for step in range(1, steps + 1):
        if len(order) < BATCH:
            order = orders.permutation(len(data)).tolist()
        keys = [(0, i, order.pop()) for i in range(BATCH)]
        batch = make_batch(data, keys, step)
        began = time.process_time()
        logits = network(batch.inputs())
        if at != network.stride:
            logits = F.interpolate(logits, size=(SIZE // at, SIZE // at), mode="bilinear", align_corners=False)
        total, _ = loss(logits, *batch.targets(at))
        optimiser.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        used += time.process_time() - began
        if step % EVERY == 0 or used > seconds or step == steps:
            out.last, out.steps = score(network, checks), step
            if out.half is None and out.last >= 0.5:
                out.half = (step, used)
            if out.last >= 0.8:
                out.most = (step, used)
            out.seconds = used
            if out.most or used > seconds:
                break
    return out


def cell(reached: tuple[int, float] | None) -> str:
    return "not reached" if reached is None else f"{reached[0]} ({reached[1]:.0f} s)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--only", nargs="+", default=[*FAMILIES, "fcn_resnet50@1", "deeplabv3_resnet50@1"])
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--seconds", type=float, default=120.0, help="processor seconds of steps of one course")
    parser.add_argument("--weights", nargs="+", default=[], metavar="NAME=FILE")
    parser.add_argument("--keep", type=Path, metavar="FILE")
    given = parser.parse_args()
    kept: dict[str, str] = json.loads(given.keep.read_text()) if given.keep and given.keep.exists() else {}
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    keep_freed_memory()
    files = dict(text.split("=", 1) for text in given.weights)
    schema = load_schema()
    source = Kept(PhantomSource(32, schema, Preparation(SIZE, 32), 1, FLAT))
    apart = Kept(PhantomSource(8, schema, Preparation(SIZE, 32), 900_001, FLAT))
    data = BoneData(source, schema, SIZE)
    lines = [
        f"32 phantoms at {SIZE} px, batches of {BATCH}, at most {given.steps} steps and {given.seconds:.0f} s, one "
        "thread; steps (processor s)",
        "",
        "| network | .5 with the prior | .8 with it | Dice at the end | .5 without | .8 without | Dice at the end |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in given.only:
        if name in kept:
            lines.append(kept[name])
            continue
        checks = Checks(apart, SIZE, 32)
        own = course(name, True, data, checks, given.steps, given.seconds, files.get(name))
        without = "- | - | -"
        if "@" not in name:
            without = course(name, False, data, checks, given.steps, given.seconds, files.get(name)).cells
        lines.append(f"| {name} | {own.cells} | {without} |")
        kept[name] = lines[-1]
        if given.keep:
            write_json(given.keep, kept)
        print(lines[-1], flush=True)
    if given.record:
        record("How soon each network learns (bench_start.py)", lines)


if __name__ == "__main__":
    main()
