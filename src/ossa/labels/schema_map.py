"""How another data set's names stand for the bones of a schema; the maps are TOML files in ``ossa/schemas/maps``."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from ossa.errors import LabelError, SchemaError
from ossa.labels.case import Merged
from ossa.schema import BoneSchema
from ossa.segmentation.outlines import Outline


@dataclass(frozen=True)
class SchemaMap:
    """``bones``: the set's own name -> the schema's bones (several when the set outlines them as one), in the set's
    order. ``skip``: names of the set that are no bones. ``subject``: finds the person in a picture's stem."""

    name: str
    bones: Mapping[str, tuple[str, ...]]
    skip: frozenset[str]
    subject: re.Pattern[str]

    @property
    def annotated(self) -> frozenset[str]:
        """The bones that the set outlines on their own."""
        return frozenset(targets[0] for targets in self.bones.values() if len(targets) == 1)

    def targets(self, name: str, path: Path) -> tuple[str, ...]:
        """The bones that ``name`` stands for, () for no bone. Case and blanks do not matter.

        Raises LabelError with the nearest name when the set is not known to have it.
        """
        wanted = _plain(name)
        for known, bones in self.bones.items():
            if _plain(known) == wanted:
                return bones
        if wanted in {_plain(word) for word in self.skip}:
            return ()
        from difflib import get_close_matches

        near = get_close_matches(name, [*self.bones, *self.skip], n=1, cutoff=0.0)
        raise LabelError(
            f"an unknown category '{name}'",
            path=path,
            expected=f"a name of the {self.name} map, perhaps '{near[0]}'",
            remedy="Add it to the map in ossa/schemas/maps",
        )

    def subject_of(self, stem: str) -> str:
        """The person in a picture's stem; the stem without its side when the pattern does not fit."""
        match = self.subject.match(stem)
        return match.group(1) if match else re.sub(r"_[LR]$", "", stem)


def _plain(name: str) -> str:
    return re.sub(r"[\s_&-]+", "", name).lower()


def collect(
    found: Mapping[tuple[str, ...], tuple[Outline, ...]], schema: BoneSchema
) -> tuple[dict[str, tuple[Outline, ...]], tuple[Merged, ...]]:
    """Sort parts by their targets into outlines of single bones (schema order) and merged ones."""
    outlines = {name: found[(name,)] for name in schema.names if (name,) in found}
    merged = tuple(Merged(frozenset(t), parts) for t, parts in found.items() if len(t) > 1)
    return outlines, merged


@cache
def load_map(name: str, schema: BoneSchema) -> SchemaMap:
    """A shipped map by name ("ram-h1200"). Raises SchemaError when it does not fit ``schema``."""
    text = files("ossa").joinpath("schemas", "maps", f"{name}.toml").read_text(encoding="utf-8")
    data = tomllib.loads(text)
    bones = {str(k): tuple(str(b) for b in v) for k, v in data["bones"].items()}
    unknown = sorted({b for targets in bones.values() for b in targets} - set(schema.names))
    if unknown:
        raise SchemaError(
            f"the data set map '{name}' is made for schema '{data['schema']}', not for '{schema.name}'",
            found=", ".join(unknown[:5]),
            expected=f"bones of '{schema.name}'",
        )
    return SchemaMap(name, bones, frozenset(map(str, data["skip"])), re.compile(str(data["subject"])))
