"""Trains the network that finds hands (models.finder) on plates composed of a pool of sprites, resumable to the step.

    python -m ossa.training.finder_pool POOL --anatomy FOLDER --foot FOLDER
    python -m ossa.training.finder POOL OUT --steps 6000

OUT/last.pt is the state it goes on from, OUT/log.jsonl its losses and figures. ``--weights`` starts a new run from
another one's averaged weights.

It stands apart from the trainer of ``ossa train``, whose cases, losses, validation and bundles all speak of a schema's
bones. Here nothing does: the planes are a hand's place and pose, and a batch is composed once and turned over. What the
two could share is a loop of thirty lines, and it would need more hooks than that.
"""

from __future__ import annotations

import argparse
import json
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ossa.hand.phantom.plates import Plate, compose
from ossa.models import finder_maps as maps
from ossa.models.finder import FinderNet
from ossa.radiograph.prepare import Preparation, normalise, pad, place
from ossa.training.allocator import keep_freed_memory
from ossa.training.averages import towards
from ossa.training.finder_pool import SpritePool, open_sprites
from ossa.training.parts import load_parts, save_parts

#: Longer side of the finder's grid when it is used, px.
SIZE = 192

#: How often a composed plate is trained on: composing costs a third of a step, turning over nearly nothing.
USES = 2

#: Plates of these seeds are never trained on.
FIRST_HELD_OUT = 1 << 40

#: Sprites of the pool that are kept for held-out plates: every so many-th one.
HELD_OUT_EVERY = 20


def plate_of(pool: SpritePool, seed: int, size: int = SIZE, held_out: bool = False) -> Plate:
    """The plate of a seed, from the pool's training sprites or from its held-out ones."""
    rng = np.random.default_rng([11, seed])

    def draw(kinds: tuple[str, ...]) -> Any:
        ready = pool.ready((str(rng.choice(kinds)),))
        own = ready[(ready % HELD_OUT_EVERY == 0) == held_out]
        return pool.get(int(rng.choice(own)))

    return compose(rng, draw, size)


def batch(pool: SpritePool, first: int, count: int, size: int = SIZE, held_out: bool = False) -> tuple[Tensor, ...]:
    """Pictures (N, 1, size, size), targets (N, PLANES, h, w) and the weight of their cells (N, h, w).

    The ``count`` plates of seeds ``first``, ``first`` + 1, ...; ``size`` is a multiple of 32.
    """
    cells = size // maps.STRIDE
    pictures = np.zeros((count, 1, size, size), np.float32)
    targets = np.zeros((count, maps.PLANES, cells, cells), np.float32)
    counts = np.zeros((count, cells, cells), np.float32)
    for i in range(count):
        plate = plate_of(pool, first + i, size, held_out)
        grey = pad(normalise(plate.grey), place(plate.grey.shape, Preparation(size, 32)))
        pictures[i, 0, : grey.shape[0], : grey.shape[1]] = grey
        targets[i], counts[i] = maps.planes_of(plate.hands, plate.negative, (size, size))
    return torch.from_numpy(pictures), torch.from_numpy(targets), torch.from_numpy(counts)


def turned_over(parts: tuple[Tensor, ...], across: bool, down: bool, swapped: bool) -> tuple[Tensor, ...]:
    """A ``batch`` mirrored left to right (``across``), top to bottom (``down``), then with its axes ``swapped``."""
    pictures, targets, counts = parts
    y = targets.clone()
    sides = [side for side, flip in ((-1, across), (-2, down)) if flip]
    pictures, y, counts = (part.flip(sides) for part in (pictures, y, counts))
    for vector in maps.VECTORS:
        y[:, vector.start] *= -1.0 if across else 1.0
        y[:, vector.start + 1] *= -1.0 if down else 1.0
    if swapped:
        pictures, y, counts = (part.transpose(-1, -2).contiguous() for part in (pictures, y, counts))
        for vector in maps.VECTORS:
            y[:, vector] = y[:, vector].flip(1)
    if (across + down + swapped) % 2:
        aside = slice(maps.BOX.start + 2, maps.BOX.stop)
        y[:, aside] = y[:, aside].flip(1)
    return pictures, y, counts


_pool: SpritePool | None = None


def _open(folder: Path) -> None:
    """In a process that composes batches."""
    import cv2

    global _pool
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    _pool = open_sprites(folder)


def _batch(first: int, count: int, size: int) -> tuple[Any, ...]:
    assert _pool is not None
    return tuple(part.numpy() for part in batch(_pool, first, count, size))


def losses(planes: Tensor, targets: Tensor, counts: Tensor) -> dict[str, Tensor]:
    """The parts of the loss by name, each already weighted.

    "heat" is CenterNet's focal loss (Zhou et al. 2019, arXiv:1904.07850), over the number of hands; the others are
    means over the cells that count.
    """
    heat, target = planes[:, maps.HEAT], targets[:, maps.HEAT]
    p = heat.sigmoid().clamp(1e-4, 1 - 1e-4)
    peak = target > 0.999
    positive = -(torch.log(p) * (1 - p) ** 2)[peak].sum()
    negative = -(torch.log(1 - p) * p**2 * (1 - target) ** 4)[~peak].sum()
    total = counts.sum().clamp(min=1)

    def mean(value: Tensor, cells: Tensor = counts) -> Tensor:
        return (value * cells).sum() / total

    def gap(where: slice | int) -> Tensor:
        return (planes[:, where] - targets[:, where]).abs()

    def cross(where: slice | int) -> Tensor:
        return functional.binary_cross_entropy_with_logits(planes[:, where], targets[:, where], reduction="none")

    # Seen from the side, a thumb is on neither.
    sided = counts * (1 - targets[:, maps.VIEW][:, maps.VIEWS.index("lateral")])
    views = -(planes[:, maps.VIEW].log_softmax(1) * targets[:, maps.VIEW]).sum(1)
    return {
        "heat": (positive + negative) / peak.sum().clamp(min=1),
        "offset": 0.5 * mean(gap(maps.OFFSET).sum(1)),
        "length": 2.0 * mean(gap(maps.LENGTH)),
        "up": 1.5 * mean(gap(maps.UP).sum(1)),
        "box": 1.5 * mean(gap(maps.BOX).sum(1)),
        "thumb": mean(gap(maps.THUMB).sum(1), sided),
        "view": 0.6 * mean(views),
        "parts": 0.15 * mean(cross(maps.IN_VIEW).sum(1)),
        "negative": 0.3 * mean(cross(maps.NEGATIVE)),
        "present": 2.0 * cross(maps.PRESENT).mean(),
    }


@torch.no_grad()
def figures(net: nn.Module, pool: SpritePool, count: int) -> dict[str, float]:
    """How good ``net`` is on ``count`` held-out plates: hands found and invented, median errors of what was found."""
    net.eval()
    table: dict[str, list[float]] = {k: [] for k in ("found", "degrees", "length", "centre", "box", "thumb", "view")}
    invented = empty = refused = 0
    for start in range(0, count, 20):
        plates = [plate_of(pool, FIRST_HELD_OUT + start + i, held_out=True) for i in range(20)]
        planes = net(batch(pool, FIRST_HELD_OUT + start, 20, held_out=True)[0]).numpy()
        for plate, plane in zip(plates, planes, strict=True):
            found = list(maps.peaks(plane))
            empty += not plate.hands
            refused += not plate.hands and not found
            for hand in plate.hands:
                near = [f for f in found if np.hypot(*(f.centre - hand.centre)) < 0.3 * hand.length]
                table["found"].append(float(bool(near)))
                if not near:
                    continue
                best = near[0]
                found = [f for f in found if f is not best]
                turn = np.degrees(np.arccos(np.clip(best.up @ hand.up, -1, 1)))
                table["degrees"].append(float(turn))
                table["length"].append(abs(float(np.log(best.length / hand.length))))
                table["centre"].append(float(np.hypot(*(best.centre - hand.centre))) / hand.length)
                table["box"].append(float(np.abs(best.box - hand.box).mean()) / hand.length)
                if hand.view != "lateral":
                    table["thumb"].append(float((best.thumb_left > 0.5) == hand.thumb_left))
                table["view"].append(float(maps.VIEWS[int(best.views.argmax())] == hand.view))
            invented += len(found)
    net.train()
    out = {k: float(np.mean(v)) for k, v in table.items() if k in ("found", "thumb", "view")}
    for k in ("degrees", "length", "centre", "box"):
        out[k], out[f"{k}_p90"] = float(np.median(table[k])), float(np.quantile(table[k], 0.9))
    return {**out, "invented_per_plate": invented / count, "empty_refused": refused / max(empty, 1)}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pool", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--size", type=int, default=SIZE, help=f"of the plates, px; figures are taken at {SIZE}")
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=3.0, help="between checkpoints")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--weights", type=Path, help="start from this checkpoint's averaged weights")
    return parser.parse_args()


def _begin(parts: dict[str, Any], checkpoint: Path, weights: Path | None) -> int:
    """Load what an earlier run left, or other weights to start from; the step to go on with."""
    if checkpoint.exists():
        return load_parts(parts, checkpoint)
    if weights is not None:
        for name in ("net", "mean"):
            parts[name].load_state_dict(torch.load(weights, weights_only=True)["mean"])
    return 0


def rate(step: int, steps: int) -> float:
    """Share of the highest learning rate: up over the first hundred steps, then down along a cosine to a hundredth.

    It depends on nothing else, so a run may go on with another number of steps than it was begun with.
    """
    return float(min((step + 1) / 100, 0.01 + 0.99 * (0.5 + 0.5 * np.cos(np.pi * min(step / steps, 1.0)))))


def _average(mean: nn.Module, net: nn.Module, step: int) -> None:
    """Let ``mean`` follow ``net``: an exponential average over some 500 steps, fewer at the beginning."""
    keep = min(0.998, step / (step + 20))
    with torch.no_grad():
        towards(mean.state_dict(), net.state_dict(), 1 - keep)


def main() -> None:
    """Parse, train, checkpoint."""
    a = _arguments()
    torch.set_num_threads(a.threads)
    keep_freed_memory()
    torch.manual_seed(a.seed)
    a.out.mkdir(parents=True, exist_ok=True)
    pool = open_sprites(a.pool)
    missing = [kind for kind in ("whole", "close") if not len(pool.ready((kind,)))]
    if missing:
        raise SystemExit(f"{a.pool} holds no sprites of the kind {missing[0]}: run ossa.training.finder_pool first")
    net, mean = FinderNet(), FinderNet()
    for module in (net, mean):
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(net.parameters(), lr=a.lr, weight_decay=1e-3)
    parts: dict[str, Any] = {"net": net, "mean": mean, "optimiser": optimiser}
    checkpoint = a.out / "last.pt"
    step = _begin(parts, checkpoint, a.weights)
    log = (a.out / "log.jsonl").open("a")
    begun, start, saved, saves = step, time.monotonic(), time.monotonic(), 0
    sums: dict[str, float] = {}
    first = a.seed << 32
    with ProcessPoolExecutor(1, initializer=_open, initargs=(a.pool,)) as composer:
        coming = [
            composer.submit(_batch, first + k * a.batch, a.batch, a.size) for k in range(step // USES, step // USES + 3)
        ]
        while step < a.steps:
            if step % USES == 0 or step == begun:
                composed = tuple(torch.from_numpy(part) for part in coming.pop(0).result())
                coming.append(composer.submit(_batch, first + (step // USES + 3) * a.batch, a.batch, a.size))
            across, down, swapped = (np.random.default_rng([a.seed, step]).uniform(size=3) < 0.5).tolist()
            x, y, counts = turned_over(composed, across, down, swapped)
            each = losses(net(x.to(memory_format=torch.channels_last)), y, counts)
            loss = torch.stack(list(each.values())).sum()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(net.parameters(), 10.0)
            for group in optimiser.param_groups:
                group["lr"] = a.lr * rate(step, a.steps)
            optimiser.step()
            step += 1
            _average(mean, net, step)
            for name, value in each.items():
                sums[name] = sums.get(name, 0.0) + float(value.detach())
            if step % 50 == 0:
                told = {k: round(v / 50, 4) for k, v in sums.items()}
                line = {"step": step, "s_per_step": round((time.monotonic() - start) / (step - begun), 3), **told}
                print(json.dumps(line), file=log, flush=True)
                sums.clear()
            if time.monotonic() - saved > 60 * a.minutes or step == a.steps:
                save_parts(parts, checkpoint, step)
                saves, saved = saves + 1, time.monotonic()
                if saves % 4 == 0 or step == a.steps:
                    told = {k: round(v, 4) for k, v in figures(mean, pool, 100).items()}
                    print(json.dumps({"step": step, "held_out": told}), file=log, flush=True)


if __name__ == "__main__":
    main()
