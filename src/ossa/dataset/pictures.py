"""The same labels with other pictures: a sharpened copy of the pictures of a data set, such as train_resolx2."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ossa.errors import ConfigError
from ossa.labels.case import Case
from ossa.radiograph.read import read_size


def other_pictures(cases: Sequence[Case], root: Path, images: str) -> tuple[Case, ...]:
    """``cases`` of the data set in ``root`` with their pictures from the folder ``images``.

    That is a folder in ``root`` that stands in the place of ``train`` (``train_resolx2/DCM/ID001/a.png``), or any
    folder with the pictures' paths below ``root``, as ``ossa prepare super-resolve`` writes it. Other endings than the
    originals' are found too. Raises ConfigError where there is no such folder, a picture has none there, or one of
    another size, which its label would not fit.
    """
    base = next((p for p in (root / images, Path(images).expanduser()) if p.is_dir()), None)
    if base is None:
        raise ConfigError("data.images names no folder", found=images, expected=f"a folder in {root}, or a path to one")
    out = []
    for case in cases:
        picture = _counterpart(case.image, root, base)
        if picture is None:
            raise ConfigError(
                f"there is no picture of '{case.name}' in data.images",
                path=base,
                expected=f"such as {_candidates(case.image, root, base)[-1].relative_to(base)}",
                remedy="Make all of them (ossa prepare super-resolve goes on where it was stopped)",
            )
        if (found := read_size(picture)) != (own := read_size(case.image)):
            raise ConfigError(
                f"the picture of '{case.name}' in data.images has another size, and its label would not fit",
                path=picture,
                found="{}x{}".format(*found),
                expected="{}x{}".format(*own),
            )
        out.append(replace(case, image=picture))
    return tuple(out)


def _candidates(image: Path, root: Path, base: Path) -> list[Path]:
    """Where the counterpart may lie: at the same path, or without the first folders of it."""
    try:
        parts = image.resolve().relative_to(root.resolve()).parts
    except ValueError:
        parts = (image.name,)
    return [base.joinpath(*parts[skip:]) for skip in range(min(len(parts), 3))]


def _counterpart(image: Path, root: Path, base: Path) -> Path | None:
    for path in _candidates(image, root, base):
        for known in (path, path.with_suffix(".png")):
            if known.is_file():
                return known
    return None
