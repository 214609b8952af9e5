"""Which labels were read well before, and the wrist and side found in each, so that a second start reads none again.

One file, ``labels.json`` in the cache of decoded pictures. A label is known by what it holds, not by its path, size and
time: copying keeps a file's time, correcting a digit keeps its size, and a start hashes every label anyway, for the
run's fingerprint. All else that decides how a label is read stands in its key: the picture's size, the bones and the
names that they go by, the reader, this version of ossa. What does not follow from that alone (a reader of another
package, or one that asks more files than the label) is never remembered.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ossa.dataset.folds import Stratum
from ossa.errors import InputError, OutputError
from ossa.labels.case import Case
from ossa.labels.names import BoneNames
from ossa.safety import read_json, sha256, write_json
from ossa.schema import BoneSchema

VERSION = 1

#: Largest accepted file (bytes): 130 bytes a label, half a million of them.
_MAX_BYTES = 64_000_000


@dataclass
class KnownLabels:
    """The labels known in the cache ``folder``; ``save`` keeps those asked for since it was loaded, beside the others.

    >>> known = KnownLabels.load(Path("cache"))
    >>> known.get("no such label") is None
    True
    """

    folder: Path
    _strata: dict[str, Stratum] = field(default_factory=dict)
    _hashes: dict[Path, str] = field(default_factory=dict)
    _new: bool = False

    @classmethod
    def load(cls, folder: Path) -> KnownLabels:
        """What is known in ``folder``; nothing where the file is missing or damaged: labels are then read again."""
        strata: dict[str, Stratum] = {}
        try:
            said = read_json(folder / "labels.json", _MAX_BYTES)
            if said["version"] == VERSION:
                strata = {str(key): _stratum(value) for key, value in said["labels"].items()}
        except (InputError, OSError, LookupError, TypeError, ValueError, AttributeError):
            strata = {}
        return cls(folder, strata)

    def key(self, case: Case, schema: BoneSchema, shape: tuple[int, int]) -> str | None:
        """What a case's label is known by, beside a picture of ``shape`` (H, W); None where it is not remembered."""
        reader = _reader(case)
        if reader is None or case.label is None:
            return None
        try:
            if case.label not in self._hashes:  # one file may hold the labels of a whole set
                self._hashes[case.label] = label_hash(case.label)
        except OSError:
            return None  # its reader says what is wrong with it
        from ossa import __version__

        said: list[object] = [__version__, reader, _bones(schema), self._hashes[case.label]]
        said += [case.image.name, case.key, case.side, case.scale_labels, list(shape)]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()

    def get(self, key: str | None) -> Stratum | None:
        """Wrist and side of a label that was read well; None for one that has to be read."""
        return None if key is None else self._strata.get(key)

    def put(self, key: str | None, stratum: Stratum) -> None:
        """Remember a label that was read well."""
        if key is not None:
            self._strata[key] = stratum
            self._new = True

    def save(self) -> None:
        """Write what is known, whole. A cache that cannot be written is no error: the labels are read again."""
        if not self._new:
            return
        labels = {key: [s.bent, s.side, s.angle] for key, s in self._strata.items()}
        try:
            write_json(self.folder / "labels.json", {"version": VERSION, "labels": labels})
        except OutputError:
            return
        self._new = False


def _stratum(value: Any) -> Stratum:
    bent, side, angle = value
    if not isinstance(bent, bool) or side not in ("L", "R", "?"):
        raise ValueError("no stratum")
    if angle is not None and not math.isfinite(angle := float(angle)):
        raise ValueError("no angle")
    return Stratum(bent, side, angle)


def label_hash(label: Path) -> str:
    """The SHA-256 of a label's bytes, or of the names and bytes of all files of one that is a folder of masks."""
    if not label.is_dir():
        return sha256(label)
    parts = [(path.name, sha256(path)) for path in sorted(label.iterdir()) if path.is_file()]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _reader(case: Case) -> list[object] | None:
    """The reader of a case in words; None for one whose answer may hang on more than the label."""
    reader: Any = case.reader
    names = None
    if isinstance(reader, functools.partial):
        if reader.args or set(reader.keywords) != {"names"} or not isinstance(reader.keywords["names"], BoneNames):
            return None
        names = reader.keywords["names"]
        reader = reader.func
    module = getattr(reader, "__module__", "")
    # A DICOM Segmentation refers to its picture, which is another file.
    if not module.startswith("ossa.labels.") or module == "ossa.labels.dicom_seg":
        return None
    return [module, reader.__qualname__, None if names is None else _names(names)]


@functools.lru_cache(maxsize=8)
def _bones(schema: BoneSchema) -> str:
    return hashlib.sha256(repr(schema).encode()).hexdigest()


def _names(names: BoneNames) -> list[object]:
    return [[m.name, sorted((n, list(b)) for n, b in m.bones.items()), sorted(m.skip)] for m in names.maps]
