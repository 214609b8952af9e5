"""How the phantoms of a part are made, where parts differ: by its own rooms, or as its schema says (``limb``)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ossa.errors import AnatomyError
from ossa.phantom import limb
from ossa.phantom.builtin import builtin_anatomy
from ossa.phantom.options import PhantomOptions
from ossa.phantom.part import Part
from ossa.phantom.people import load_people
from ossa.phantom.placed import PlacedBone
from ossa.phantom.pose import Pose, posed_hand
from ossa.phantom.projection import F32
from ossa.phantom.skeleton import Anatomy
from ossa.phantom.soft import soft_tissue

Bits = NDArray[np.uint32]


@dataclass(frozen=True)
class Ways:
    """``people``: the anatomy in mesh folders, the first one's with the others' shapes; ``posed``: a pose of it;
    ``flesh``: mm of soft tissue (H, W) around bones in picture space, given the truth's bits (H, W) and what is absent;
    ``unknown``: shares of ``PhantomOptions`` of which these ways know nothing."""

    people: Callable[[Sequence[str | Path], Part], Anatomy]
    posed: Callable[[Anatomy, PhantomOptions, np.random.Generator], Pose]
    flesh: Callable[[list[PlacedBone], Bits, frozenset[str], float, np.random.Generator], F32]
    unknown: tuple[str, ...] = ()


def _hand_people(folders: Sequence[str | Path], part: Part) -> Anatomy:
    del part
    return load_people(folders)


def _hand_flesh(
    bones: list[PlacedBone], bits: Bits, absent: frozenset[str], mm: float, rng: np.random.Generator
) -> F32:
    return soft_tissue(bones, absent, (bits.shape[0], bits.shape[1]), mm, rng)


_HAND = Ways(_hand_people, posed_hand, _hand_flesh)


def ways_of(part: Part) -> Ways:
    """The ways in which phantoms of a part are made."""
    if part.keys.own == "hand":
        return _HAND

    def flesh(bones: list[PlacedBone], bits: Bits, absent: frozenset[str], mm: float, rng: np.random.Generator) -> F32:
        del bones, absent
        return limb.flesh(bits > 0, part.keys.flesh, mm, rng)

    unknown = limb.UNKNOWN if part.keys.growth else (*limb.UNKNOWN, "children")
    return Ways(limb.load_limbs, limb.posed_limb, flesh, unknown)


def settled(options: PhantomOptions, part: Part) -> PhantomOptions:
    """The options without what nothing is known of for this part: such shares are 0."""
    none: dict[str, Any] = dict.fromkeys(ways_of(part).unknown, 0.0)
    return replace(options, **none) if any(getattr(options, share) for share in none) else options


def builtin(part: Part | None = None) -> Anatomy:
    """The anatomy made from numbers. Raises AnatomyError for a part that has none."""
    if part is None or part.keys.own == "hand":
        return builtin_anatomy()
    raise AnatomyError(
        f"schema '{part.schema.name}' has no built-in bones",
        expected="a folder of its bones' meshes",
        remedy="Give the folder with --anatomy (or data.phantoms.anatomy in a run file)",
    )
