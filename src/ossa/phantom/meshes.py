"""Which meshes phantoms of a given size are drawn with: one rule for ``ossa phantom`` and for training."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from ossa.phantom.part import Part, default_part
from ossa.phantom.skeleton import Anatomy

#: Vertices closer than so many px cannot be told apart in a picture of the whole part, and only cost time.
_PIXELS = 1.2


def meshes(folders: Sequence[str | Path], size: int, part: Part | None = None) -> Anatomy | None:
    """The anatomy of ``folders`` for pictures of ``size`` px; None, the built-in bones, when there are none.

    Raises AnatomyError for a folder without bone meshes, and for a part that has no built-in bones. Kept for the
    process.
    """
    from ossa.phantom.ways import builtin

    part = part or default_part()
    if not folders:
        builtin(part)
        return None
    return _meshes(tuple(str(Path(folder).resolve()) for folder in folders), size, part)


@cache
def _meshes(folders: tuple[str, ...], size: int, part: Part) -> Anatomy:
    from ossa.phantom.ways import ways_of

    return ways_of(part).people(folders, part).lightened(part.keys.extent / size * _PIXELS)
