"""A folder of synthetic radiographs with perfect truth, in the competition's layout: the trip behind ``ossa phantom``.

    OUT/phantoms.json                                   how the folder was made
    OUT/train/DCM/ID001/phantom1_000000_R.png           two hands per subject folder
    OUT/train/outputs_json/ID001/phantom1_000000_R.json

Phantom i of seed s is the same picture whatever the count, the number of processes and the order of work, so a run
that was stopped is continued by the same command, and a larger count extends a folder.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ossa.errors import ConfigError, DeviceError, InputError
from ossa.parallel import cores
from ossa.parallel.pool import Here, Lost, Needs, Pool, doing
from ossa.places import Place, place_for
from ossa.progress import Track, silent
from ossa.safety import contents, read_json, write_json
from ossa.schema import BoneSchema, load_schema

if TYPE_CHECKING:
    from ossa.phantom.scene import PhantomOptions

RECORD = "phantoms.json"
SPLIT = "train"

#: Sides in px between which pictures are made: below, carpal bones are a few pixels; above, a picture takes minutes.
SIZES = (64, 8192)


@dataclass(frozen=True)
class Made:
    """What a run did: ``made`` new pictures, ``kept`` that were there before; ``without``: shares of the options that
    are none, since nothing is known of them for these bones."""

    output: str | Path
    made: int
    kept: int
    without: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Job:
    place: Place
    seed: int
    index: int
    size: int
    options: PhantomOptions
    anatomies: tuple[Path, ...]
    schema: BoneSchema


def make_phantoms(
    output: str | Path,
    count: int,
    *,
    seed: int = 1,
    size: int = 2048,
    options: PhantomOptions | str = "flat",
    anatomies: Sequence[str | Path] = (),
    schema: BoneSchema | None = None,
    processes: int | None = None,
    pool: Pool | None = None,
    track: Track = silent,
) -> Made:
    """Make phantoms 0 .. ``count`` - 1 of ``seed`` in ``output``; those already there are kept.

    ``size`` is the longest side in px; ``options`` what kinds of films there are, or a world's name. ``anatomies`` are
    folders of bone meshes (none: the built-in bones): a MyoHand folder and, if several, other people's bones.
    ``schema``: the bones (None: those of the default one), whose file has a [phantom] section; a part without built-in
    bones needs meshes. ``processes`` None takes one per core; ``pool``: who does the work, if not they. Raises
    ConfigError for settings out of range and for a folder that was made with others or holds something else,
    AnatomyError, SchemaError, MissingExtraError, OutputError, and DeviceError when workers are killed: the same call
    goes on.
    """
    check(count, seed, size, processes)
    from ossa.errors import MissingExtraError

    try:
        from ossa.phantom.options import WORLDS
        from ossa.phantom.part import part_of
        from ossa.phantom.scene import PhantomOptions
        from ossa.phantom.ways import builtin, settled
    except ImportError as error:
        raise MissingExtraError.of("making phantoms", "phantom", error) from error
    asked = options if isinstance(options, PhantomOptions) else WORLDS[options]
    bones = schema or load_schema()
    part = part_of(bones)
    chosen = settled(asked, part)
    if not anatomies:
        builtin(part)  # refuses bones that need meshes before anything is written
    meshes = tuple(Path(anatomy).resolve() for anatomy in anatomies)
    with place_for(output, meshes, (RECORD,)) as place:
        kinds = asdict(chosen)
        if not chosen.variants:  # folders were begun before there were any
            del kinds["variants"]
        told = {"seed": seed, "size": size, "anatomy": anatomy_name(meshes), "options": kinds}
        if part.keys.own is None:  # folders of hands were begun before there were others
            told["schema"] = part.schema.name
        claim(place.folder, RECORD, told)
        present = _present(place.names())
        jobs = [
            _Job(place, seed, i, size, chosen, meshes, bones) for i in range(count) if _stem(seed, i) not in present
        ]
        here = Here(min(processes if processes is not None else cores(), max(len(jobs), 1)))
        needs = Needs(remedy="Give fewer processes with -j or a smaller --size; the same command continues")
        for number, made in track((pool or here).each(doing(_make), jobs, needs), len(jobs), "Making phantoms"):
            if isinstance(made, Lost):
                raise DeviceError(f"phantom {jobs[number].index} {made.reason}")
    without = tuple(key for key, share in asdict(asked).items() if share != getattr(chosen, key))
    return Made(output, len(jobs), count - len(jobs), without)


def check(count: int, seed: int, size: int, processes: int | None) -> None:
    """Raise ConfigError for settings out of range."""
    if count < 1:
        raise ConfigError("the number of phantoms is out of range", found=count, expected="at least 1")
    if not 0 <= seed < 2**31:
        raise ConfigError("the seed is out of range", found=seed, expected=f"0 to {2**31 - 1}")
    if not SIZES[0] <= size <= SIZES[1]:
        raise ConfigError("the size is out of range", found=f"{size} px", expected=f"{SIZES[0]} to {SIZES[1]} px")
    if processes is not None and processes < 1:
        raise ConfigError("the number of processes is out of range", found=processes, expected="at least 1")


def anatomy_name(folders: tuple[Path, ...]) -> str:
    """The name in the record; the folders' own, since the same meshes may lie elsewhere tomorrow."""
    return "+".join(folder.name for folder in folders) or "built-in"


def claim(folder: Path, name: str, settings: dict[str, Any]) -> None:
    """Write the record ``name`` into a new folder; refuse one that was made otherwise or is not ours."""
    from ossa import __version__

    record = folder / name
    settings = json.loads(json.dumps({"ossa": __version__, **settings}))  # as they will be read back
    if record.is_file():
        try:
            found = read_json(record)
        except InputError as error:
            raise ConfigError("the record of the folder cannot be read", path=record, found=error.found) from error
        known = found if isinstance(found, dict) else {}
        different = [key for key, value in settings.items() if known.get(key) != value]
        if different:
            raise ConfigError(
                "the folder was begun with other settings",
                path=folder,
                found=", ".join(f"{key} {known.get(key)!r}" for key in different),
                expected=", ".join(f"{key} {settings[key]!r}" for key in different),
                remedy="Give the same settings to continue it, or another folder",
            )
        return
    if strange := contents(folder):
        raise ConfigError(
            "the folder holds something else",
            path=folder,
            found=", ".join(strange[:5]),
            expected=f"a new folder, or one with {name}",
            remedy="Give another folder",
        )
    write_json(record, settings)


def _stem(seed: int, index: int) -> str:
    """The part of a picture's name that is known before it is made; its side follows."""
    return f"phantom{seed}_{index:06d}"


def _present(names: Iterable[str]) -> set[str]:
    """Stems of finished pictures. A label is written before its picture, so a picture is complete."""
    pictures = (name for name in names if name.startswith(f"{SPLIT}/DCM/") and name.endswith(".png"))
    return {Path(name).stem.rpartition("_")[0] for name in pictures}


def _make(job: _Job) -> None:
    import numpy as np

    from ossa.labels.competition import write_case
    from ossa.phantom.meshes import meshes
    from ossa.phantom.part import part_of
    from ossa.phantom.scene import generate

    # Neighbouring (seed, index) pairs give unrelated streams (numpy's SeedSequence, after O'Neill's seed_seq).
    seed = int(np.random.SeedSequence([job.seed, job.index]).generate_state(1)[0])
    part = part_of(job.schema)
    radiograph, segmentation = generate(seed, job.size, job.options, meshes(job.anatomies, job.size, part))
    name = f"{_stem(job.seed, job.index)}_{radiograph.side or 'R'}.png"
    with job.place.writing() as folder:
        write_case(folder, f"ID{job.index // 2 + 1:03d}", name, radiograph.pixels, segmentation, SPLIT)
