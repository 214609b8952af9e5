"""A plain loop that trains the compact network on phantoms alone, resumable to the step.

    python -m ossa.training.synthetic OUT --anatomy FOLDER --steps 6000 --wrists 0.4

Batches hold whole hands, or (a share of ``--wrists``) wrists alone at a larger scale, for the closer look that a
prediction takes at the carpus (inference/closer.py).

It reads from top to bottom; folds, mixtures, other networks and everything else live in run.py.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ossa.models.compact import CompactNet
from ossa.phantom.options import WORLDS, PhantomOptions
from ossa.phantom.scene import render
from ossa.radiograph.prepare import normalise
from ossa.training.allocator import keep_freed_memory
from ossa.training.arithmetic import has_bf16
from ossa.training.pool import FIRST_HELD_OUT_SEED, Pool, open_pool, start_writers, wait_until_ready

CLASSES = 29


def worlds(world: PhantomOptions) -> tuple[PhantomOptions, PhantomOptions]:
    """Hands and, for the closer look, wrists alone of a world: about upright, wrists nearly square.

    A finder lays hands upright before the network sees them, at a size that fills the frame more or less.
    """
    hands = replace(world, wrist_only=0.05, turned=0.06, tilt=12.0, fill=(0.45, 1.08))
    return world if world == WORLDS["flat"] else hands, replace(
        world, wrist_only=1.0, parts=0.0, turned=0.05, tilt=12.0, aspect=(0.75, 1.0)
    )


WRISTS = worlds(WORLDS["flat"])[1]


def batch(pool: Pool, size: int, count: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Pictures (N, 1, S, S) float32 and truth (N, 29, S/2, S/2): the share of each 2x2 cell that is bone."""
    ready = np.flatnonzero(pool.shapes[:, 0] > 0)
    pictures = np.zeros((count, 1, size, size), np.float32)
    truth = np.zeros((count, CLASSES, size // 2, size // 2), np.float32)
    for i, k in enumerate(rng.choice(ready, count, replace=False)):
        grey, bits = pool.get(int(k))
        if grey.size == 0:
            continue
        grey, bits = vary_grey(grey, rng), bits
        if rng.uniform() < 0.5:
            grey, bits = grey[:, ::-1], bits[:, ::-1]
        h, w = grey.shape
        pictures[i, 0, :h, :w] = normalise(grey)
        truth[i, :, : (h + 1) // 2, : (w + 1) // 2] = half_planes(bits)
    return torch.from_numpy(pictures), torch.from_numpy(truth)


def vary_grey(
    grey: np.ndarray[Any, np.dtype[np.uint8]], rng: np.random.Generator
) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Another display curve, at times a negative: cheap variation for phantoms drawn more than once."""
    curve = (np.linspace(0, 1, 256) ** np.exp(rng.normal(0, 0.25)) * 255).astype(np.uint8)
    if rng.uniform() < 0.08:
        curve = 255 - curve
    return np.asarray(curve[grey])


def half_planes(bits: np.ndarray[Any, np.dtype[np.uint32]]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Bits (h, w) to (29, ceil(h/2), ceil(w/2)): mean over 2x2 cells, whose centre is the logit's."""
    h, w = bits.shape
    padded = np.zeros((h + h % 2, w + w % 2), "<u4")
    padded[:h, :w] = bits
    planes = np.unpackbits(padded[..., None].view(np.uint8), axis=-1, bitorder="little")[..., :CLASSES]
    cells = planes[0::2, 0::2] + planes[1::2, 0::2] + planes[0::2, 1::2] + planes[1::2, 1::2]
    return np.asarray(np.moveaxis(cells, -1, 0), dtype=np.float32) / np.float32(4)


def loss_of(logits: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """(binary cross-entropy, 1 - soft Dice over the batch per bone), both averaged over bones."""
    cross = functional.binary_cross_entropy_with_logits(logits, truth)
    p = logits.sigmoid()
    both = (p * truth).sum((0, 2, 3))
    total = (p + truth).sum((0, 2, 3))
    return cross, (1 - (2 * both + 1) / (total + 1)).mean()


@torch.no_grad()
def held_out_dice(
    net: nn.Module, size: int, count: int, anatomy: Any, options: PhantomOptions
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Dice per bone over phantoms never trained on; a bone absent from a picture does not count there."""
    net.eval()
    table = np.full((count, CLASSES), np.nan)
    for i in range(count):
        picture, scene = render(FIRST_HELD_OUT_SEED + i, size, options, anatomy)
        h, w = picture.shape
        x = np.zeros((1, 1, -(-h // 32) * 32, -(-w // 32) * 32), np.float32)
        x[0, 0, :h, :w] = normalise(picture)
        logits = functional.interpolate(
            net(torch.from_numpy(x)), scale_factor=2.0, mode="bilinear", align_corners=False
        )[0, :, :h, :w].numpy()
        truth = (
            np.moveaxis(
                np.unpackbits(np.ascontiguousarray(scene.bits)[..., None].view(np.uint8), axis=-1, bitorder="little")[
                    ..., :CLASSES
                ],
                -1,
                0,
            )
            > 0
        )
        found = logits > 0
        size_of = truth.sum((1, 2))
        dice = 2 * (found & truth).sum((1, 2)) / np.maximum(found.sum((1, 2)) + size_of, 1)
        table[i] = np.where(size_of > 0, dice, np.nan)
    net.train()
    return np.asarray(np.nanmean(table, axis=0))


def _writer(folder: Path, count: int, size: int, first: int, rest: tuple[Any, ...], k: int) -> tuple[object, ...]:
    """The k-th writer's arguments of training.pool.fill."""
    return (folder, count, size, first + k, *rest)


def main() -> None:
    """Parse, train, checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--anatomy", action="append", default=[], help="given more than once: people blended")
    parser.add_argument("--world", choices=sorted(WORLDS), default="flat")
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--wrists", type=float, default=0.0, help="share of the batches that show wrists alone")
    parser.add_argument("--wrist-size", type=int, default=384)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--lr", type=float, default=2.5e-3)
    parser.add_argument("--pool", type=int, default=4000)
    parser.add_argument("--writers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=5.0, help="between checkpoints")
    parser.add_argument("--weights", type=Path, help="start from this checkpoint's averaged weights")
    parser.add_argument("--first-seed", type=int, default=0)
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    half = has_bf16("cpu")
    print(f"training in {'bf16' if half else 'float32: this CPU has no bf16 units'}", file=sys.stderr)  # noqa: T201
    keep_freed_memory()
    torch.manual_seed(a.seed)
    a.out.mkdir(parents=True, exist_ok=True)
    anatomy = None
    if a.anatomy:
        from ossa.phantom.people import load_people

        anatomy = load_people(a.anatomy).lightened(0.55)
    hands, close = worlds(WORLDS[a.world])
    kinds = [("hands", a.size, hands, 1 - a.wrists), ("wrists", a.wrist_size, close, a.wrists)]
    kinds = [kind for kind in kinds if kind[3] > 0]
    pools = [open_pool(a.out / f"{name}{size}", a.pool, size) for name, size, _, _ in kinds]
    net, mean = CompactNet(), CompactNet()
    for module in (net, mean):
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(net.parameters(), lr=a.lr, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, a.lr, a.steps, pct_start=0.1)
    step = 0
    checkpoint = a.out / "last.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        net.load_state_dict(state["net"])
        mean.load_state_dict(state["mean"])
        optimiser.load_state_dict(state["optimiser"])
        schedule.load_state_dict(state["schedule"])
        step = int(state["step"])
    elif a.weights:
        net.load_state_dict(torch.load(a.weights, weights_only=True)["mean"])
        mean.load_state_dict(net.state_dict())
    # Phantoms of one process are drawn every `writers`-th seed, on from where the last run stopped.
    first = a.first_seed + step * a.batch
    writers = []
    for (name, size, options, _), pool in zip(kinds, pools, strict=True):
        folder = a.out / f"{name}{size}"
        arguments = (a.writers, options, tuple(a.anatomy), 1000, 19)
        own = start_writers(a.writers, partial(_writer, folder, a.pool, size, first, arguments))
        wait_until_ready(pool, min(200, a.pool), own)
        writers += own
    started = saved = time.time()
    begin = step
    log = (a.out / "log.jsonl").open("a")
    sums, saves = np.zeros(2), 0
    ahead = ThreadPoolExecutor(1)
    shares = np.array([share for *_, share in kinds])

    def draw(step: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng([a.seed, step])
        which = int(rng.choice(len(kinds), p=shares))
        return batch(pools[which], kinds[which][1], a.batch, rng)

    coming = ahead.submit(draw, step)
    while step < a.steps:
        x, y = coming.result()
        coming = ahead.submit(draw, step + 1)
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            logits = net(x.to(memory_format=torch.channels_last))
        cross, dice = loss_of(logits.float(), y)
        loss = 5 * cross + dice
        if not torch.isfinite(loss):
            raise RuntimeError(f"the loss is not a number at step {step}")
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimiser.step()
        schedule.step()
        step += 1
        keep = min(0.998, step / (step + 20))
        with torch.no_grad():
            for p, q in zip(mean.state_dict().values(), net.state_dict().values(), strict=True):
                p.mul_(keep).add_(q, alpha=1 - keep) if p.dtype.is_floating_point else p.copy_(q)
        sums += (cross.item(), dice.item())
        if step % 50 == 0:
            line = {
                "step": step,
                "bce": sums[0] / 50,
                "dice": sums[1] / 50,
                "s_per_step": (time.time() - started) / (step - begin),
                "pool": [pool.ready() for pool in pools],
            }
            log.write(json.dumps(line) + "\n")
            log.flush()
            sums[:] = 0
        if time.time() - saved > 60 * a.minutes or step == a.steps:
            state = {
                "net": net.state_dict(),
                "mean": mean.state_dict(),
                "optimiser": optimiser.state_dict(),
                "schedule": schedule.state_dict(),
                "step": step,
            }
            torch.save(state, checkpoint.with_suffix(".part"))
            checkpoint.with_suffix(".part").replace(checkpoint)
            saves += 1
            saved = time.time()
            if saves % 4 and step < a.steps:
                continue
            for name, size, options, _ in kinds:
                table = held_out_dice(mean, size, 24, anatomy, options)
                line = {"step": step, name: float(np.nanmean(table)), "bones": [round(float(v), 3) for v in table]}
                log.write(json.dumps(line) + "\n")
            log.flush()
    for process in writers:
        process.terminate()


if __name__ == "__main__":
    main()
