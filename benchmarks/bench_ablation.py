"""Which part of the phantom the carpals of real hands owe their Dice to: each left out in turn.

    python benchmarks/bench_ablation.py --anatomy myohand [--record] [--only NAME ...]

The shipped model's weights are trained on for a short while on wrists drawn without one part of the phantom, and
once with all parts; then the closer look is taken with them at the traced real hands and the adolescents' carpals. The
control says what the short training itself does. What a part is worth to a training from the start may be more: the
weights have seen it before.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from _real import match_carpals, overlap_scores, read_hands, read_wrists, real_folder, truth_of
from _record import record
from ossa.bundle.bundle import WEIGHTS, default_bundle
from ossa.config import load_config
from ossa.inference.predictor import Predictor
from ossa.inference.views import parse_views
from ossa.models.compact import CompactNet
from ossa.models.weights import load_weights
from ossa.phantom import exposure, tissue
from ossa.phantom.disease import Disease
from ossa.phantom.meshes import meshes
from ossa.phantom.options import PhantomOptions
from ossa.phantom.skeleton import Anatomy
from ossa.radiograph.prepare import Preparation
from ossa.radiograph.radiograph import Radiograph
from ossa.radiograph.read import read_radiograph
from ossa.schema import load_schema
from ossa.segmentation.segmentation import Segmentation
from ossa.training.allocator import keep_freed_memory
from ossa.training.arithmetic import has_bf16
from ossa.training.augment_keys import augment_config
from ossa.training.batches import BoneData, make_batch
from ossa.training.losses import WeightedLoss
from ossa.training.phantoms import FIRST_HELD_OUT_SEED, wrists_of
from ossa.training.sampler import Plan, PlannedBatches
from ossa.training.samples import PhantomSource, RawSample

SIZE = 384
WRISTS = wrists_of(PhantomOptions())


@contextmanager
def everything() -> Iterator[PhantomOptions]:
    yield WRISTS


@contextmanager
def no_joint_plates() -> Iterator[PhantomOptions]:
    with patch.object(tissue, "_joint_plate", lambda *_: 0.0):
        yield WRISTS


@contextmanager
def plain_radius() -> Iterator[PhantomOptions]:
    with patch.object(tissue, "_joint_rim", lambda *given: (np.ones_like(given[1]), np.zeros_like(given[1]))):
        yield WRISTS


@contextmanager
def no_disease() -> Iterator[PhantomOptions]:
    with patch.object(tissue, "sample_disease", lambda *_: Disease(0.0, ())):
        yield WRISTS


@contextmanager
def no_trabeculae() -> Iterator[PhantomOptions]:
    with patch.object(tissue, "_trabeculae", lambda *given: np.ones(given[1], np.float32)):
        yield WRISTS


@contextmanager
def adults_only() -> Iterator[PhantomOptions]:
    yield replace(WRISTS, young=0.0)


@contextmanager
def one_display_curve() -> Iterator[PhantomOptions]:
    def plain(grey: np.ndarray, *_: object) -> np.ndarray:
        low, high = np.percentile(grey, (0.5, 99.8))
        return np.clip((grey - low) / max(float(high - low), 1e-6), 0, 1).astype(np.float32)

    with patch.object(exposure, "_display", plain):
        yield WRISTS


PARTS: dict[str, Callable[[], Any]] = {
    "nothing (control)": everything,
    "plates under joints": no_joint_plates,
    "the radius' joint floor": plain_radius,
    "disease": no_disease,
    "trabeculae": no_trabeculae,
    "young hands": adults_only,
    "display curves": one_display_curve,
}


@dataclass(frozen=True)
class Looked:
    """A real picture, what the shipped model's first look found there, and how a result is judged (higher: better)."""

    film: Radiograph
    found: Segmentation
    judge: Callable[[Segmentation], float]


@dataclass(frozen=True)
class Drawn:
    """Phantoms drawn beforehand, as a source of samples."""

    phantoms: tuple[RawSample, ...]

    def __len__(self) -> int:
        return len(self.phantoms)

    def sample(self, index: int, rng: np.random.Generator) -> RawSample:
        """The phantom ``index``."""
        del rng
        return self.phantoms[index]


def drawn(count: int, options: PhantomOptions, anatomy: Anatomy) -> Drawn:
    source = PhantomSource(
        count, load_schema(), Preparation(SIZE, 32), FIRST_HELD_OUT_SEED // 2, options, anatomy, "wrist"
    )
    return Drawn(tuple(source.sample(k, np.random.default_rng(0)) for k in range(count)))


def trained_on(phantoms: Drawn, steps: int, seed: int) -> CompactNet:
    """The shipped weights after ``steps`` more steps of 8, averaged exponentially (over about the last 20)."""
    torch.manual_seed(seed)
    recipe = load_config("shipped")
    data = BoneData(phantoms, load_schema(), SIZE, augment=augment_config(recipe.data.augment), seed=seed)
    plan = Plan((len(phantoms),), (1.0,), 8 * steps, seed)
    loss = WeightedLoss(recipe.loss)
    net, mean = CompactNet(), CompactNet()
    load_weights(net, default_bundle() / WEIGHTS)
    net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    mean.load_state_dict(net.state_dict())
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-3, steps, pct_start=0.1)
    for step, keys in enumerate(PlannedBatches(plan, 8, lambda: 0)):
        batch = make_batch(data, keys, step)
        with torch.autocast("cpu", torch.bfloat16, enabled=has_bf16("cpu")):
            logits = net(batch.inputs().to(memory_format=torch.channels_last))
        total, _ = loss(logits.float(), *batch.targets(CompactNet.stride))
        optimiser.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimiser.step()
        schedule.step()
        for p, q in zip(mean.state_dict().values(), net.state_dict().values(), strict=True):
            p.lerp_(q, 0.05) if p.dtype.is_floating_point else p.copy_(q)
    return mean.eval()


class TorchEngine:
    """The trained network where the predictor expects an engine."""

    description = "torch"

    def __init__(self, net: CompactNet) -> None:
        self.net = net

    def __call__(self, pictures: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return np.asarray(self.net(torch.from_numpy(pictures)).float().numpy())


def looked_once(predictor: Predictor) -> tuple[list[Looked], list[Looked]]:
    """Traced hands (judged by the mean Dice of the carpals) and adolescents' wrists (by mean best-match Dice)."""
    folder = real_folder()
    first = replace(predictor, closer=())
    hands, wrists = [], []
    carpals = predictor.schema.in_row("carpal")
    for hand in read_hands(folder):
        if hand.outlines is not None:
            film = read_radiograph(hand.path)
            truth = truth_of(hand.outlines, film.shape)

            def judge(s: Segmentation, truth: Segmentation = truth) -> float:
                scores = overlap_scores(s, truth)
                return statistics.fmean(scores[n][0] for n in carpals)

            hands.append(Looked(film, first.predict(film), judge))
    for wrist in read_wrists(folder):
        film = read_radiograph(wrist.path)

        def match(s: Segmentation, wrist: Any = wrist) -> float:
            return statistics.fmean(v for _, v in match_carpals(s, wrist).values())

        wrists.append(Looked(film, first.predict(film), match))
    return hands, wrists


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--anatomy", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--count", type=int, default=400, help="wrists drawn for each row")
    parser.add_argument("--only", nargs="*", help="only these rows")
    parser.add_argument("--record", action="store_true")
    a = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(2)
    anatomy = meshes((a.anatomy,), SIZE)
    assert anatomy is not None
    predictor = replace(Predictor.load(views=parse_views("flip")), judge=None)
    if not predictor.closer:
        sys.exit("the shipped model's card asks for no closer look: there is nothing to compare")
    hands, wrists = looked_once(predictor)
    lines = [
        f"`python benchmarks/bench_ablation.py --anatomy myohand --steps {a.steps} --count {a.count} --record`",
        "",
        f"The shipped model after {a.steps} more steps of 8 on {a.count} wrists drawn without one part of the phantom; "
        "Dice of the closer look.",
        "",
        "| left out | carpals, two traced hands | carpals of 24 adolescents |",
        "|---|---|---|",
    ]

    def row(name: str, asked: Predictor) -> None:
        means = [
            statistics.fmean(x.judge(asked.looked_closer(x.found, x.film).bones) for x in group)
            for group in (hands, wrists)
        ]
        lines.append(f"| {name} | {means[0]:.4f} | {means[1]:.4f} |")
        print(lines[-1], flush=True)

    first = [statistics.fmean(x.judge(x.found) for x in group) for group in (hands, wrists)]
    lines.append(f"| (first look alone, as shipped) | {first[0]:.4f} | {first[1]:.4f} |")
    print(lines[-1], flush=True)
    row("(as shipped, not trained on)", predictor)
    for name, part in PARTS.items():
        if a.only and name not in a.only:
            continue
        with part() as options:
            pool = drawn(a.count, options, anatomy)
        net = trained_on(pool, a.steps, 0)
        member = replace(predictor.networks.members[0], engine=TorchEngine(net))
        row(name, replace(predictor, networks=replace(predictor.networks, members=(member,))))
    if a.record:
        record("Ablation of the phantom", lines)


if __name__ == "__main__":
    main()
