"""Trains the network that refines outlines (models.refiner) on a pool of strips, resumable to the step.

    python scripts/draw_strips.py POOL --anatomy FOLDER
    python -m ossa.training.refiner POOL OUT --steps 6000

OUT/last.pt is the state it goes on from, OUT/log.jsonl its losses and figures. A pool holds an .npz file per phantom:
``strips`` (3, ACROSS, L) float16 of all its bones side by side, ``counts`` (bones,) columns of each, and ``offset``
(L,) float32, how many samples outside the outline the bone's silhouette lies, NaN where nobody knows.

Like the finder's, this training knows no bone and stands apart from the trainer of ``ossa train``.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ossa.errors import InputError
from ossa.models.refiner import RefinerNet
from ossa.models.refiner_shape import ACROSS, AROUND, LAYERS
from ossa.segmentation.strips import APART, normalised
from ossa.training.averages import towards
from ossa.training.parts import load_parts, save_parts

Float = NDArray[np.float32]
Generator = np.random.Generator

#: So many units inside a bone's silhouette grey values rise most steeply on a phantom (the median of free edges:
#: ``scripts/draw_strips.py POOL --edges``): that is the edge one sees, and the edge that is asked
#: for. Blur puts it there: where a ray grazes a bone it meets little of it.
VISIBLE = 0.7

#: How far, in samples, the right answer is spread over its neighbours.
SOFT = 0.7

#: Of so many columns of a bone less than a share must be unknown.
LEAST_KNOWN = 0.4

#: Every so many-th phantom of a pool is held out.
HELD_OUT_EVERY = 12

#: Columns of one example.
LENGTH = 64


@dataclass(frozen=True, eq=False)
class Example:
    """One bone: ``strip`` (3, ACROSS, L) as the network takes it, and its edge's ``offset`` (L,) in samples."""

    strip: Float
    offset: Float


def read_pool(folder: Path) -> tuple[list[Example], list[Example]]:
    """The examples of a pool for training, and those held out. Raises InputError where there are none."""
    files = sorted(folder.glob("*.npz"))
    if len(files) < 2:
        raise InputError(
            "is no pool of strips",
            path=folder,
            found=f"{len(files)} .npz files",
            expected="one for each of several phantoms",
            remedy="Draw them: python scripts/draw_strips.py",
        )
    parts: tuple[list[Example], list[Example]] = ([], [])
    for number, path in enumerate(files):
        parts[number % HELD_OUT_EVERY == 0].extend(_examples(path))
    return parts


def _examples(path: Path) -> list[Example]:
    with np.load(path, allow_pickle=False) as kept:
        strips, counts, offset = kept["strips"].astype(np.float32), kept["counts"], kept["offset"]
    ends = np.cumsum(counts)[:-1]
    each = normalised(np.split(strips, ends, axis=2))
    visible = offset - np.float32(VISIBLE / APART)
    return [
        Example(strip, own)
        for strip, own in zip(each, np.split(visible, ends), strict=True)
        if own.size and np.isfinite(own).mean() >= LEAST_KNOWN
    ]


def batch(examples: list[Example], rng: Generator, size: int) -> tuple[Tensor, Tensor]:
    """(size, LAYERS, ACROSS, LENGTH + 2 * AROUND) strips, each varied, and (size, LENGTH) offsets."""
    strips = np.empty((size, LAYERS, ACROSS, LENGTH + 2 * AROUND), np.float32)
    offsets = np.empty((size, LENGTH), np.float32)
    for k in range(size):
        one = examples[int(rng.integers(len(examples)))]
        count = one.offset.size
        at = (int(rng.integers(count)) + np.arange(-AROUND, LENGTH + AROUND)) % count
        if rng.uniform() < 0.5:
            at = at[::-1]
        strips[k], offsets[k] = varied(one.strip[:, :, at], rng), one.offset[at[AROUND:-AROUND]]
    return torch.from_numpy(strips), torch.from_numpy(offsets)


def varied(strip: Float, rng: Generator) -> Float:
    """A strip as another film would show it: contrast, brightness, noise and blur; logits a little off."""
    u = rng.uniform
    out = strip.copy()
    grey = out[0]
    if u() < 0.25:  # softer, across and along alike
        share = u(0.1, 0.3)
        for axis in (0, 1):
            grey = (1 - 2 * share) * grey + share * (np.roll(grey, 1, axis) + np.roll(grey, -1, axis))
    grey = grey * u(0.75, 1.3) + rng.normal(0, 0.15)
    if u() < 0.35:
        grey = grey + rng.normal(0, u(0, 0.2), grey.shape)
    if u() < 0.02:  # a negative that nobody noticed
        grey = -grey
    out[0] = grey
    out[1:] *= u(0.85, 1.2)
    return out


def loss_of(net: RefinerNet, strips: Tensor, offsets: Tensor) -> Tensor:
    """Cross-entropy with the softened place of the edge, and half the smooth distance of the mean from it."""
    known = torch.isfinite(offsets)
    half = ACROSS // 2
    true = torch.where(known, offsets, torch.zeros_like(offsets)).clamp(-half, half)
    levels = net.levels(strips)[:, :, 0]
    place = cast(Tensor, net.place)[:, :, 0]
    wanted = torch.exp(-0.5 * ((place - true[:, None]) / SOFT) ** 2)
    wanted = wanted / wanted.sum(1, keepdim=True)
    likely = functional.log_softmax(levels, 1)
    entropy = -(wanted * likely).sum(1)
    apart = functional.smooth_l1_loss((likely.exp() * place).sum(1), true, reduction="none", beta=0.5)
    return ((entropy + 0.5 * apart) * known).sum() / known.sum().clamp(min=1)


def judge(net: RefinerNet, examples: list[Example], batches: int = 12) -> dict[str, float]:
    """Errors of held-out edges in samples, refined and as they were."""
    rng = np.random.default_rng(1)
    left, were = [], []
    with torch.no_grad():
        for _ in range(batches):
            strips, offsets = batch(examples, rng, 64)
            known = torch.isfinite(offsets)
            left.append((net(strips)[:, 0, 0] - offsets)[known].abs())
            were.append(offsets[known].abs())
    out = {}
    for name, errors in (("refined", torch.cat(left)), ("before", torch.cat(were))):
        out[f"{name}_mean"] = round(float(errors.mean()), 4)
        out[f"{name}_median"] = round(float(errors.median()), 4)
        out[f"{name}_p90"] = round(float(errors.quantile(0.9)), 4)
    return out


class Training:
    """The state of a training: its network, the mean of its weights, its optimiser, the step it is at."""

    def __init__(self, steps: int, rate: float) -> None:
        torch.manual_seed(0)
        self.net, self.mean, self.step = RefinerNet(), RefinerNet(), 0
        self.mean.load_state_dict(self.net.state_dict())
        self.optimiser = torch.optim.AdamW(self.net.parameters(), rate, weight_decay=1e-4)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(self.optimiser, rate, total_steps=steps, pct_start=0.05)
        self.parts: dict[str, Any] = {
            "net": self.net, "mean": self.mean, "optimiser": self.optimiser, "schedule": self.schedule
        }  # fmt: skip

    def go(self, examples: list[Example], size: int) -> float:
        """One step; its loss. Which examples it sees follows from its number."""
        strips, offsets = batch(examples, np.random.default_rng([7, self.step]), size)
        loss = loss_of(self.net, strips, offsets)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.net.parameters(), 5.0)
        self.optimiser.step()
        self.schedule.step()
        self.step += 1
        kept = min(0.998, self.step / (self.step + 10))
        with torch.no_grad():
            towards(self.mean.state_dict(), self.net.state_dict(), 1 - kept)
        return float(loss.detach())


def main() -> None:
    """Train, or go on."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pool", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--every", type=int, default=250, help="steps between two checkpoints")
    parser.add_argument("--threads", type=int, default=1)
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    train, held_out = read_pool(a.pool)
    a.out.mkdir(parents=True, exist_ok=True)
    training, last = Training(a.steps, a.rate), a.out / "last.pt"
    if last.exists():
        training.step = load_parts(training.parts, last)
        begun = training.schedule.total_steps
        if begun != a.steps:
            raise InputError("was begun with another number of steps", path=last, found=begun, expected=a.steps)
    losses: list[float] = []
    start = time.monotonic()
    while training.step < a.steps:
        losses.append(training.go(train, a.batch))
        if training.step % a.every and training.step < a.steps:
            continue
        seconds = round(time.monotonic() - start, 1)
        line = {"step": training.step, "loss": round(float(np.mean(losses)), 4), "s": seconds}
        line |= judge(training.mean, held_out)
        save_parts(training.parts, last, training.step)
        with (a.out / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
        losses = []


if __name__ == "__main__":
    main()
