"""How phantoms of hands are made: what ``own = "hand"`` of a schema's [phantom] section asks for (``phantom.ways``)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ossa.hand.phantom.builtin import builtin_anatomy
from ossa.hand.phantom.myohand import load_people
from ossa.hand.phantom.pose import posed_hand
from ossa.hand.phantom.soft import soft_tissue
from ossa.phantom.part import Part
from ossa.phantom.placed import PlacedBone
from ossa.phantom.projection import F32
from ossa.phantom.skeleton import Anatomy
from ossa.phantom.ways import Bits, Ways


def _people(folders: Sequence[str | Path], part: Part) -> Anatomy:
    del part
    return load_people(folders)


def _flesh(bones: list[PlacedBone], bits: Bits, absent: frozenset[str], mm: float, rng: np.random.Generator) -> F32:
    return soft_tissue(bones, absent, (bits.shape[0], bits.shape[1]), mm, rng)


WAYS = Ways(_people, posed_hand, _flesh, builtin_anatomy)
