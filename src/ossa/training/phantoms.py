"""Phantoms kept on the disk: each is generated once, when it is first asked for, and read afterwards."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ossa.config import PhantomSource as PhantomKeys
from ossa.config import check_arguments
from ossa.errors import ConfigError
from ossa.phantom.scene import PhantomOptions
from ossa.phantom.skeleton import Anatomy
from ossa.radiograph.prepare import Preparation, place
from ossa.safety import sha256, write_bytes
from ossa.schema import BoneSchema
from ossa.segmentation.segmentation import Segmentation
from ossa.training.sources import PhantomSource, RawSample

#: Share of a mesh's triangles that is kept for drawing: at radiograph scale the rest cannot be seen.
_LIGHTENED = 0.55


@dataclass(frozen=True)
class StoredPhantoms:
    """A SampleSource of phantoms whose files lie in ``folder`` as NAME.npz (grey uint8, bits uint32)."""

    source: PhantomSource
    folder: Path

    def __len__(self) -> int:
        return len(self.source)

    def sample(self, index: int, rng: np.random.Generator) -> RawSample:
        """The phantom ``index``, from its file or generated and kept. A damaged file is made again."""
        seed = self.source.first_seed + index
        path = self.folder / f"{seed // 1000:06d}" / f"{seed}.npz"
        if path.exists():
            try:
                with np.load(path, allow_pickle=False) as kept:
                    grey, bits = kept["grey"], kept["bits"]
                placement = place(grey.shape, self.source.preparation)
                names = frozenset(self.source.schema.names)
                return RawSample(grey, None, bits, names, placement, f"phantom {seed}")
            except (OSError, ValueError, KeyError, zipfile.BadZipFile):
                path.unlink(missing_ok=True)
        raw = self.source.sample(index, rng)
        buffer = io.BytesIO()
        assert raw.bits is not None
        np.savez_compressed(buffer, grey=raw.image, bits=raw.bits)
        write_bytes(path, buffer.getvalue())
        return raw

    def full_truth(self, index: int) -> tuple[Segmentation, frozenset[str]]:
        """The truth at the phantom's own size, for validation."""
        raw = self.sample(index, np.random.default_rng(0))
        assert raw.bits is not None
        return Segmentation.from_bits(raw.bits, self.source.schema), raw.annotated


def phantom_options(values: dict[str, Any]) -> PhantomOptions:
    """Generator options from a run file; ConfigError names the nearest right one."""
    known = [field.name for field in fields(PhantomOptions)]
    check_arguments("generator", "phantom", values, known)
    try:
        given: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return PhantomOptions(**given)
    except (TypeError, ValueError) as error:
        raise ConfigError("data.phantoms.options cannot be used", found=str(error)) from error


def stored_phantoms(
    keys: PhantomKeys, schema: BoneSchema, size: int, pool: Path, first_seed: int, count: int
) -> StoredPhantoms:
    """``count`` phantoms from ``first_seed`` on at ``size`` px, kept below ``pool``.

    Files of other options, meshes or versions of the generator lie in other folders.
    """
    anatomy = None if keys.anatomy is None else _anatomy(str(keys.anatomy))
    meshes = "built-in" if keys.anatomy is None else _folder_hash(keys.anatomy)
    options = phantom_options(keys.options)
    told = json.dumps([size, keys.options, meshes, _generator_version()], sort_keys=True)
    folder = pool / f"{size}-{hashlib.sha256(told.encode()).hexdigest()[:12]}"
    source = PhantomSource(count, schema, Preparation(size, 32), first_seed, options, anatomy)
    return StoredPhantoms(source, folder)


@cache
def _anatomy(folder: str) -> Anatomy:
    from ossa.phantom.skeleton import load_anatomy

    return load_anatomy(folder).lightened(_LIGHTENED)


@cache
def _generator_version() -> str:
    """A hash of the generator's own source: phantoms of another version of it are other phantoms."""
    import ossa.phantom

    folder = Path(str(ossa.phantom.__file__)).parent
    parts = [sha256(path) for path in sorted(folder.glob("*.py"))]
    return hashlib.sha256("".join(parts).encode()).hexdigest()


def _folder_hash(folder: Path) -> str:
    found = sorted(p for p in folder.rglob("*") if p.is_file())
    return hashlib.sha256("".join(f"{p.relative_to(folder)}{sha256(p)}" for p in found).encode()).hexdigest()
