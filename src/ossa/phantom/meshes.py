"""Which meshes phantoms of a given size are drawn with: one rule for ``ossa phantom`` and for training."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from ossa.phantom.skeleton import Anatomy

#: A hand with its wrist is about 230 mm long: vertices closer than 1.2 px of it cannot be told apart in a picture, and
#: only cost time.
_HAND_MM, _PIXELS = 230.0, 1.2


def meshes(folders: Sequence[str | Path], size: int) -> Anatomy | None:
    """The anatomy of ``folders`` for pictures of ``size`` px; None, the built-in hand, when there are none.

    Raises AnatomyError for a folder without bone meshes. Kept for the process.
    """
    return _meshes(tuple(str(Path(folder).resolve()) for folder in folders), size) if folders else None


@cache
def _meshes(folders: tuple[str, ...], size: int) -> Anatomy:
    from ossa.phantom.people import load_people

    return load_people(folders).lightened(_HAND_MM / size * _PIXELS)
