"""Opens radiographs in napari, with their bones where a label lies beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

#: What napari calls a layer: data, arguments, kind.
LayerData = tuple[Any, dict[str, Any], str]


def reader(path: str | Sequence[str]) -> Callable[[str | Sequence[str]], list[LayerData]] | None:
    """What reads ``path``: one radiograph, or several; None for folders, which napari's own readers know better."""
    given = [path] if isinstance(path, str) else list(path)
    return read if given and not any(Path(one).is_dir() for one in given) else None


def read(path: str | Sequence[str]) -> list[LayerData]:
    """The layers of one radiograph or of several. Raises ImageError and LabelError, which napari shows."""
    from ossa.pipeline.layers import layers_at

    given = [path] if isinstance(path, str) else list(path)
    return [layer for one in given for layer in layers_at(one)]
