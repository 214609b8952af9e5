"""Phantoms kept on the disk: each is generated once, when it is first asked for, and read afterwards.

A source may be renewed while a network trains on it: epoch by epoch a share of its phantoms gives way to new seeds.
Which seed stands where in which epoch follows from the numbers alone, so a run with renewed phantoms resumes exactly
and its batches can be replayed, whoever drew them and when (``writers`` draws them ahead).
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ossa.config import PhantomKeys, check_arguments, load_config, unknown_name
from ossa.errors import ConfigError
from ossa.phantom.meshes import meshes
from ossa.phantom.options import WORLDS, PhantomOptions
from ossa.phantom.part import part_of
from ossa.radiograph.prepare import Preparation
from ossa.safety import renewing, sha256
from ossa.schema import BoneSchema, load_schema
from ossa.segmentation.segmentation import Segmentation
from ossa.training.samples import PhantomSource, RawSample

#: Seeds below are for training; a held-out phantom's seed lies above.
FIRST_HELD_OUT_SEED = 1_000_000_000


@dataclass(frozen=True)
class StoredPhantoms:
    """A SampleSource of phantoms whose files lie in ``folder`` as NAME.npz (grey uint8, bits uint32).

    ``renew`` is the share of them that new seeds replace each epoch, round and round; ``epoch`` says how far that is.
    """

    source: PhantomSource
    folder: Path
    renew: float = 0.0
    epoch: int = 0

    def __len__(self) -> int:
        return len(self.source)

    def in_epoch(self, epoch: int) -> StoredPhantoms:
        """The source as it is in an epoch (from 0)."""
        return replace(self, epoch=epoch)

    def replaced(self, epoch: int) -> int:
        """How many were replaced before ``epoch``: seeds below ``first_seed`` + this are not drawn any more."""
        return int(epoch * self.renew * len(self) + 1e-9)

    def seed(self, index: int) -> int:
        """The seed that stands at ``index`` in this epoch: the newest of those that took the place in turn."""
        rounds, further = divmod(self.replaced(self.epoch), len(self))
        return self.source.first_seed + index + len(self) * (rounds + (index < further))

    def path(self, seed: int) -> Path:
        """The file of a phantom."""
        return self.folder / f"{seed // 1000:06d}" / f"{seed}.npz"

    def sample(self, index: int, rng: np.random.Generator) -> RawSample:
        """The phantom ``index``, from its file or generated and kept. A damaged file is made again."""
        del rng
        return self.of_seed(self.seed(index))

    def of_seed(self, seed: int) -> RawSample:
        """The phantom of a seed, from its file or generated and kept."""
        path = self.path(seed)
        if path.exists():
            try:
                with np.load(path, allow_pickle=False) as kept:
                    grey, bits = kept["grey"], kept["bits"]
                return self.source.raw(seed, grey, bits)
            except (OSError, ValueError, KeyError, zipfile.BadZipFile):
                path.unlink(missing_ok=True)
        raw = self.source.of_seed(seed)
        buffer = io.BytesIO()
        assert raw.bits is not None
        np.savez_compressed(buffer, grey=raw.image, bits=raw.bits)
        with renewing(path) as temporary:
            temporary.write_bytes(buffer.getvalue())
        return raw

    def full_truth(self, index: int) -> tuple[Segmentation, frozenset[str]]:
        """The truth at the phantom's own size, for validation."""
        raw = self.of_seed(self.seed(index))
        assert raw.bits is not None
        return Segmentation.from_bits(raw.bits, self.source.schema), raw.annotated


def phantom_options(values: dict[str, Any], world: str = "flat") -> PhantomOptions:
    """A world's options with those of a run file; ConfigError names the nearest right one."""
    known = [field.name for field in fields(PhantomOptions)]
    check_arguments("generator", "phantom", values, known)
    if world not in WORLDS:
        raise unknown_name("world of phantoms", world, sorted(WORLDS))
    try:
        given: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return replace(WORLDS[world], **given)
    except (TypeError, ValueError) as error:
        raise ConfigError("data.phantoms.options cannot be used", found=str(error)) from error


def films_of(recipe: str) -> PhantomOptions:
    """The films that a recipe trains on, such as "consultant"; ConfigError where it draws no phantoms."""
    keys = load_config(recipe).data.phantoms
    if keys is None:
        raise ConfigError(f"recipe '{recipe}' draws no phantoms", expected="a recipe with data.phantoms")
    return phantom_options(keys.options, keys.world)


#: Close-ups are about upright and nearly square, as a closer look cuts them out.
_CUT_OUT: dict[str, Any] = {"parts": 0.0, "turned": 0.05, "tilt": 12.0, "aspect": (0.75, 1.0)}


def wrists_of(options: PhantomOptions) -> PhantomOptions:
    """The same world's wrists alone, as the closer look cuts them out."""
    return replace(options, wrist_only=1.0, digits_only=0.0, **_CUT_OUT)


def digits_of(options: PhantomOptions) -> PhantomOptions:
    """The same world's fingers alone, and thumbs with their palms, as closer looks cut them out."""
    return replace(options, wrist_only=0.0, digits_only=1.0, **_CUT_OUT)


@dataclass(frozen=True)
class PhantomSet:
    """Phantoms of one kind: ``name`` of one in messages, ``size`` px, their options, their share of the phantoms."""

    name: str
    size: int
    options: PhantomOptions
    share: float


def phantom_sets(keys: PhantomKeys, size: int) -> tuple[PhantomSet, ...]:
    """The kinds of phantoms that ``data.phantoms`` asks for: whole pictures at ``size`` px, and close-ups."""
    options = phantom_options(keys.options, keys.world)
    close = [("wrist", keys.wrists, wrists_of), ("digits", keys.digits, digits_of)]
    asked = [(name, own, how) for name, own, how in close if own is not None]
    rest = 1 - sum(own.share for _, own, _ in asked)
    if rest <= 0:
        raise ConfigError(
            "no phantom of a whole part is left",
            found=f"close-ups of a share of {1 - rest:g} (data.phantoms.wrists.share and data.phantoms.digits.share)",
            expected="less than 1 together",
        )
    sets = [PhantomSet(name, own.size or size, how(options), own.share) for name, own, how in asked]
    return (PhantomSet("phantom", size, options, rest), *sets)


def stored_phantoms(
    keys: PhantomKeys, kind: PhantomSet, schema: BoneSchema, pool: Path, first_seed: int, count: int, renew: float = 0.0
) -> StoredPhantoms:
    """``count`` phantoms of a kind from ``first_seed`` on, kept below ``pool``.

    Files of other options, meshes or versions of the generator lie in other folders.
    """
    part = part_of(schema)
    anatomy = meshes(keys.anatomy, kind.size, part)
    bones = [_folder_hash(folder) for folder in keys.anatomy] or "built-in"
    says = [kind.size, repr(kind.options), bones, _generator_version(), schema.names, schema.phantom]
    other, share = None, 0.0
    if keys.others is not None:
        share = keys.others.share
        other = meshes([keys.others.anatomy], kind.size, part_of(load_schema(keys.others.bones)))
        says += [keys.others.bones, share, _folder_hash(keys.others.anatomy)]
    says += [keys.drawings] if keys.drawings else []
    told = json.dumps(says)
    folder = pool / f"{kind.size}-{hashlib.sha256(told.encode()).hexdigest()[:12]}"
    source = PhantomSource(
        count,
        schema,
        Preparation(kind.size, 32),
        first_seed,
        kind.options,
        anatomy,
        kind.name,
        other,
        share,
        keys.drawings,
    )
    return StoredPhantoms(source, folder, renew)


@cache
def _generator_version() -> str:
    """A hash of the generator's own source: phantoms of another version of it are other phantoms."""
    import ossa.phantom

    package = Path(str(ossa.phantom.__file__)).parents[1]  # whose rooms for single parts count too
    parts = [sha256(path) for path in sorted(package.glob("**/phantom/**/*.py"))]
    return hashlib.sha256("".join(parts).encode()).hexdigest()


@cache
def _folder_hash(folder: Path) -> str:
    found = sorted(p for p in folder.rglob("*") if p.is_file())
    return hashlib.sha256("".join(f"{p.relative_to(folder)}{sha256(p)}" for p in found).encode()).hexdigest()
