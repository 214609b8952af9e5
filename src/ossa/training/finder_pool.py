"""A pool of sprites on disk (hand.phantom.sprites): each is drawn once and laid onto many plates in training.

    python -m ossa.training.finder_pool POOL --anatomy FOLDER --foot FOLDER --count 4000

It goes on where it was stopped; the same arguments draw the same sprites.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ossa.hand.phantom.sprites import SIDE, VIEWS, Sprite, hand_sprite
from ossa.phantom.skeleton import Anatomy

#: Shares of the pool: whole hands, parts of hands, feet, other things, drawings of hands.
KINDS = ("whole", "close", "foot", "other", "drawing")
SHARES = (0.42, 0.24, 0.15, 0.13, 0.06)

_ABOUT = np.dtype(
    [
        ("ready", "u1"), ("kind", "u1"), ("view", "u1"), ("thumb_left", "u1"), ("open_ended", "u1"),
        ("up", "f4", 2), ("length", "f4"), ("mm", "f4"), ("ends", "f4", (29, 2, 2)),
    ]
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class SpritePool:
    """Memory maps under one folder: ``mu`` (N, S, S) float16 and what is known of each sprite."""

    mu: NDArray[np.float16]
    about: NDArray[Any]

    def ready(self, kinds: tuple[str, ...] = KINDS) -> NDArray[np.intp]:
        """Indices of the sprites that are drawn, of some kinds."""
        wanted = np.isin(self.about["kind"], [KINDS.index(kind) for kind in kinds])
        return np.flatnonzero((self.about["ready"] > 0) & wanted)

    def get(self, index: int) -> Sprite:
        """One sprite."""
        row = self.about[index]
        return Sprite(
            self.mu[index].astype(np.float32),
            row["ends"].astype(np.float64),
            VIEWS[int(row["view"])],
            row["up"].astype(np.float64),
            float(row["length"]),
            bool(row["thumb_left"]),
            float(row["mm"]),
            bool(row["open_ended"]),
        )

    def put(self, index: int, sprite: Sprite, kind: str) -> None:
        """Keep a sprite; it is ready when all of it is written."""
        self.mu[index] = np.clip(sprite.mu, 0, 60).astype(np.float16)
        row = (
            1, KINDS.index(kind), VIEWS.index(sprite.view), sprite.thumb_left, sprite.open_ended,
            sprite.up, sprite.length, sprite.mm, sprite.ends,
        )  # fmt: skip
        self.about[index] = row


def open_sprites(folder: Path, count: int | None = None) -> SpritePool:
    """The pool in ``folder``; made for ``count`` sprites when it is not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / "mu.npy", folder / "about.npy"
    if not paths[1].exists() and count is not None:
        np.lib.format.open_memmap(paths[0], "w+", np.float16, (count, SIDE, SIDE))
        np.lib.format.open_memmap(paths[1], "w+", _ABOUT, (count,))
    mu, about = (np.lib.format.open_memmap(path, "r+") for path in paths)
    return SpritePool(mu, about)


def draw(seed: int, anatomy: Anatomy, foot: Anatomy | None) -> tuple[Sprite, str]:
    """The sprite of a seed, and its kind; no feet where no ``foot`` is given."""
    from ossa.hand.phantom.feet import foot_sprite
    from ossa.hand.phantom.others import drawing_of, other_sprite

    rng = np.random.default_rng([7, seed])
    kind = str(rng.choice(KINDS, p=SHARES))
    if kind == "foot" and foot is not None:
        return foot_sprite(rng, foot), kind
    if kind == "foot":
        kind = "other"
    if kind == "other":
        return other_sprite(rng), kind
    if kind == "drawing":
        return drawing_of(hand_sprite(rng, anatomy, bool(rng.uniform() < 0.3)), rng), kind
    return hand_sprite(rng, anatomy, kind == "close"), kind


def main() -> None:
    """Parse, draw what is missing."""
    import cv2

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pool", type=Path)
    parser.add_argument("--anatomy", action="append", default=[], help="folder of meshes; several are blended")
    parser.add_argument("--foot", type=Path, help="folder of a foot's meshes, as for ossa phantom --schema foot28")
    parser.add_argument("--count", type=int, default=4000)
    parser.add_argument("--first", type=int, default=0, help="the first index to draw, for several processes at once")
    parser.add_argument("--step", type=int, default=1)
    a = parser.parse_args()
    cv2.setNumThreads(1)
    if a.anatomy:
        from ossa.hand.phantom.myohand import load_people

        anatomy = load_people(a.anatomy).lightened(0.8)
    else:
        from ossa.hand.phantom.builtin import builtin_anatomy

        anatomy = builtin_anatomy()
    foot: Anatomy | None = None
    if a.foot:
        from ossa.hand.phantom.feet import load_foot

        foot = load_foot(a.foot)
    pool = open_sprites(a.pool, a.count)
    for index in range(a.first, len(pool.about), a.step):
        if not pool.about[index]["ready"]:
            pool.put(index, *draw(index, anatomy, foot))


if __name__ == "__main__":
    main()
