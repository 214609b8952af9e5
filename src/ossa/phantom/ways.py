"""How the phantoms of a part are made, where parts differ: as its schema says (``limb``), or by a room of its own.

That room is the folder ``phantom`` of the one that the schema names (``own``), and nothing here knows it: its ``ways``
hold the ``Ways`` called ``WAYS``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ossa.errors import AnatomyError, SchemaError
from ossa.phantom import limb
from ossa.phantom.options import PhantomOptions, special
from ossa.phantom.part import Part, default_part
from ossa.phantom.placed import PlacedBone
from ossa.phantom.pose import Pose
from ossa.phantom.projection import F32
from ossa.phantom.skeleton import Anatomy

Bits = NDArray[np.uint32]


@dataclass(frozen=True)
class Ways:
    """``people``: the anatomy in mesh folders, the first one's with the others' shapes; ``posed``: a pose of it;
    ``flesh``: mm of soft tissue (H, W) around bones in picture space, given the truth's bits (H, W) and what is absent;
    ``builtin``: the anatomy made from numbers, None where there is none; ``unknown``: shares of ``PhantomOptions`` of
    which these ways know nothing."""

    people: Callable[[Sequence[str | Path], Part], Anatomy]
    posed: Callable[[Anatomy, PhantomOptions, np.random.Generator], Pose]
    flesh: Callable[[list[PlacedBone], Bits, frozenset[str], float, np.random.Generator], F32]
    builtin: Callable[[], Anatomy] | None = None
    unknown: tuple[str, ...] = ()


def ways_of(part: Part) -> Ways:
    """The ways in which phantoms of a part are made. Raises SchemaError where its schema names a room that is none."""
    if part.keys.own is not None:
        return _own(part.keys.own, part.schema.name)

    def flesh(bones: list[PlacedBone], bits: Bits, absent: frozenset[str], mm: float, rng: np.random.Generator) -> F32:
        del bones, absent
        return limb.flesh(bits > 0, part.keys.flesh, mm, rng)

    known = {"children": part.keys.growth is not None, "variants": part.keys.knows_variants}
    unknown = (*special(), *(share for share, is_known in known.items() if not is_known))
    return Ways(limb.load_limbs, limb.posed_limb, flesh, unknown=unknown)


@cache
def _own(room: str, schema: str) -> Ways:
    """The ways of a part that has a room: code of ossa alone, since a schema may be anybody's file."""
    name = f"ossa.{room}.phantom.ways"
    try:
        ways: Ways = import_module(name).WAYS
    except ModuleNotFoundError as error:
        if not name.startswith(error.name or " "):
            raise  # something that the room needs is not installed
        raise SchemaError(
            f"schema '{schema}': phantom.own names no room of ossa that makes phantoms",
            found=room,
            expected="a room with a folder called phantom, or no such line",
        ) from error
    return ways


def settled(options: PhantomOptions, part: Part) -> PhantomOptions:
    """The options without what nothing is known of for this part: such shares are 0."""
    none: dict[str, Any] = dict.fromkeys(ways_of(part).unknown, 0.0)
    return replace(options, **none) if any(getattr(options, share) for share in none) else options


def builtin(part: Part | None = None) -> Anatomy:
    """The anatomy made from numbers. Raises AnatomyError for a part that has none."""
    part = part or default_part()
    make = ways_of(part).builtin
    if make is None:
        raise AnatomyError(
            f"schema '{part.schema.name}' has no built-in bones",
            expected="a folder of its bones' meshes",
            remedy="Give the folder with --anatomy (or data.phantoms.anatomy in a run file)",
        )
    return make()
