"""``ossa prepare super-resolve``: a folder of radiographs through a super-resolution network, at their own size."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ossa.errors import InputError, MissingExtraError, OssaError, OutputError, reason_of
from ossa.pipeline.films import find_films
from ossa.progress import Track, silent
from ossa.radiograph.display import png
from ossa.radiograph.read import read_radiograph, read_size
from ossa.radiograph.superres import Tiling, enhance_tiles, pixels_seen, tile_count
from ossa.safety import output_folder, read_json, sha256, write_bytes, write_json

#: Says with what an output folder was made; another weight file or tiling needs another folder.
RECORD = "super-resolve.json"

#: Side in px of the tile that is timed for the estimate; the time grows with the area.
_TRIAL = 64


@dataclass(frozen=True)
class SuperResolved:
    """How many pictures were made, how many were there already, and (path, reason) of those left out."""

    output: Path
    made: int
    kept: int
    skipped: tuple[tuple[Path, str], ...] = field(default=())
    #: Labelled pictures of the data set that was made; 0 where the source was none.
    labelled: int = 0


def _nobody(sentence: str) -> None:
    del sentence


def super_resolve(
    source: str | Path,
    output: str | Path,
    weights: str | Path,
    *,
    tile: int = 192,
    overlap: int = 32,
    device: str = "auto",
    track: Track = silent,
    tell: Callable[[str], None] = _nobody,
) -> SuperResolved:
    """Enlarge every radiograph of ``source`` (a folder or a file), average it back and write it below ``output``.

    Folders below ``source`` and names are kept, so that labels still fit; files other than PNG become PNG. A picture
    that is there already is kept: the same call continues a run that was stopped. Pictures are worked on in squares of
    ``tile`` px that see ``overlap`` px around themselves. The label files of a data set come along, so that the result
    can be trained on; where they name their pictures by another ending, ``tell`` says that they do not fit. ``tell``
    gets the estimated time before the work begins. A bad picture is left out, the others are made. Raises BundleError
    for the weights, DeviceError, ConfigError for the tiles, OutputError when ``output`` holds the sources or was made
    with other weights or tiles.
    """
    from ossa.models.superres import load_upscaler

    root, folder, tiles = Path(source), Path(output), Tiling(tile, overlap)
    targets = _targets(root, folder)
    upscaler = load_upscaler(weights, device)
    with output_folder(folder, [root, weights], (RECORD,)):
        _check_record(folder, weights, tiles)
        missing = {path: target for path, target in targets.items() if not target.exists()}
        kept = len(targets) - len(missing)
        skipped: list[tuple[Path, str]] = []
        shapes: dict[Path, tuple[int, int]] = {}
        for path in missing:
            try:
                shapes[path] = read_size(path)
            except OssaError as error:
                skipped.append((path, reason_of(error, path)))
        tell(_estimate(upscaler, shapes, tiles, kept))
        made = 0

        def work() -> Iterator[None]:
            nonlocal made
            for path in shapes:
                try:
                    radiograph = read_radiograph(path)
                    out = np.empty_like(radiograph.pixels)
                    yield from enhance_tiles(radiograph.pixels, out, upscaler, upscaler.scale, tiles)
                except (InputError, MissingExtraError) as error:
                    skipped.append((path, reason_of(error, path)))
                    continue
                write_bytes(missing[path], png(out))
                made += 1

        total = sum(tile_count(shape, tiles) for shape in shapes.values())
        for _ in track(work(), total, "super-resolution, tiles"):
            pass
        labelled = _bring_labels(root, folder, tell)
    return SuperResolved(folder, made, kept, tuple(skipped), labelled)


def _bring_labels(root: Path, folder: Path, tell: Callable[[str], None]) -> int:
    """Copy the label files of the data set ``root``; how many pictures of ``folder`` then have a label."""
    from ossa.dataset.dataset import open_dataset

    try:
        labelled = open_dataset(root).labelled if root.is_dir() else ()
    except InputError:
        return 0  # pictures alone
    top = root.resolve()
    labels = {case.label.resolve() for case in labelled if case.label is not None}
    for path in sorted([*labels, *top.glob("meta_data.xlsx")]):
        if path.is_relative_to(top):
            write_bytes(folder / path.relative_to(top), path.read_bytes())
    if not labelled:
        return 0
    try:
        found = len(open_dataset(folder).labelled)
    except InputError:
        found = 0
    if found < len(labelled):
        tell(
            f"{len(labelled) - found} of {len(labelled)} labels do not fit the new pictures by name, as the old ones "
            "were no PNG: 'ossa data convert' writes labels that do"
        )
    return found


def _targets(root: Path, folder: Path) -> dict[Path, Path]:
    """Source file -> output file, in order."""
    found: dict[Path, Path] = {}
    taken: set[Path] = set()
    for film in find_films([root], folder):
        name = film.path.relative_to(root) if root.is_dir() else Path(film.path.name)
        target = folder / (name if name.suffix.lower() == ".png" else name.with_suffix(".png"))
        if target in taken:  # "hand.jpg" beside "hand.png"
            target = folder / name.with_name(name.name + ".png")
        taken.add(target)
        found[film.path] = target
    clash = [path for path, target in found.items() if target.resolve() == path.resolve()]
    if clash:
        raise OutputError(
            "the result would replace the picture itself", path=clash[0], remedy="Give another output folder"
        )
    return found


def _check_record(folder: Path, weights: str | Path, tiling: Tiling) -> None:
    """Write what the folder is made with, or compare it with what stands there."""
    told = {"weights": Path(weights).name, "sha256": sha256(weights), "tile": tiling.tile, "overlap": tiling.overlap}
    record = folder / RECORD
    if not record.exists():
        write_json(record, told)
        return
    there = read_json(record)
    keys = [key for key in ("sha256", "tile", "overlap") if not isinstance(there, dict) or there.get(key) != told[key]]
    if keys:
        found = there.get("weights", "an unknown file") if isinstance(there, dict) else "an unknown file"
        raise OutputError(
            "was made with other settings",
            path=folder,
            found=f"{found}, other {', '.join(keys)}",
            remedy="Give another output folder, or the same weights, tile and overlap",
        )


def _estimate(upscaler: Any, shapes: dict[Path, tuple[int, int]], tiling: Tiling, kept: int) -> str:
    """One sentence on how long it will take, from one timed tile."""
    there = f", {kept} are there already" if kept else ""
    if not shapes:
        return f"No picture to make{there}."
    trial = np.random.default_rng(0).random((_TRIAL, _TRIAL), np.float32)
    upscaler(trial)  # the first call prepares the device
    began = time.perf_counter()
    upscaler(trial)
    seconds = (time.perf_counter() - began) / _TRIAL**2
    work = sum(pixels_seen(shape, tiling) for shape in shapes.values())
    sentence = (
        f"{len(shapes)} pictures to make{there}: {upscaler.architecture} x{upscaler.scale} on {upscaler.device}, "
        f"about {_duration(seconds * work)}."
    )
    slow = seconds * work > 3600 and str(upscaler.device) == "cpu"
    return sentence + (" On a GPU (--device cuda) it takes a small part of that." if slow else "")


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172800 else f"{seconds / 86400:.1f} days"
