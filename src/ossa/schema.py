"""Bones and the ordered list of them that a model, a data set and a submission share.

A schema is one TOML file in ``ossa/schemas``; everything else asks it for names, order, colours
and codes and never spells a bone's name itself.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from ossa.errors import SchemaError

#: Largest schema file, in bytes.
_MAX_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Bone:
    """One bone of a schema.

    ``name`` is the label in files, ``title`` the anatomical name, ``digit`` 1 (thumb) to 5
    (little finger) or None, ``row`` the anatomical row ("distal", "middle", "proximal",
    "metacarpal", "carpal", "forearm"), ``colour`` an RGB triple, ``snomed`` the SNOMED CT
    concept of the bone (side not said) or None, ``mirror`` the name this bone takes when the
    picture is mirrored (itself, in a schema that does not tell left from right),
    ``snomed_left`` and ``snomed_right`` the concept of the bone of one side or None.
    """

    name: str
    title: str
    row: str
    digit: int | None
    colour: tuple[int, int, int]
    snomed: str | None
    mirror: str
    aliases: tuple[str, ...] = ()
    snomed_left: str | None = None
    snomed_right: str | None = None

    def snomed_of(self, side: str | None) -> str | None:
        """The SNOMED CT concept for a hand of ``side`` ("L", "R" or None): that of the side, else the general one."""
        return {"L": self.snomed_left, "R": self.snomed_right}.get(side or "") or self.snomed


@dataclass(frozen=True)
class BoneSchema:
    """An ordered set of bones. ``schema.index(name)`` is the channel, the bit and the CSV order."""

    name: str
    title: str
    bones: tuple[Bone, ...]
    source: str = ""
    _index: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        index = {bone.name: i for i, bone in enumerate(self.bones)}
        if not index or len(index) != len(self.bones):
            raise SchemaError(
                f"schema '{self.name}' needs at least one bone and unique names", found=[b.name for b in self.bones]
            )
        for bone in self.bones:
            if bone.mirror not in index:
                raise SchemaError(
                    f"schema '{self.name}': the mirror partner of '{bone.name}' is not a bone of it", found=bone.mirror
                )
        object.__setattr__(self, "_index", index)

    def __len__(self) -> int:
        return len(self.bones)

    def __contains__(self, name: object) -> bool:
        return name in self._index

    @property
    def names(self) -> tuple[str, ...]:
        """All names, in order."""
        return tuple(bone.name for bone in self.bones)

    def index(self, name: str) -> int:
        """The position of ``name``; SchemaError names the nearest bone when there is none."""
        try:
            return self._index[name]
        except KeyError:
            from difflib import get_close_matches

            near = get_close_matches(name, self._index, n=1)
            raise SchemaError(
                f"no bone of schema '{self.name}' is called '{name}'",
                expected=f"perhaps '{near[0]}'" if near else "one of " + ", ".join(self.names),
            ) from None

    def bone(self, name: str) -> Bone:
        """The bone called ``name``."""
        return self.bones[self.index(name)]

    def in_row(self, row: str) -> tuple[str, ...]:
        """Names of the bones of a row ("carpal", "forearm", "metacarpal", ...), in schema order."""
        return tuple(bone.name for bone in self.bones if bone.row == row)

    def mirror_order(self) -> tuple[int, ...]:
        """For each channel, the channel whose mask it takes over when a picture is mirrored."""
        return tuple(self._index[bone.mirror] for bone in self.bones)


def _bone(entry: dict[str, Any]) -> Bone:
    colour = entry["colour"]
    rgb = (int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16))
    return Bone(
        name=str(entry["name"]),
        title=str(entry["title"]),
        row=str(entry["row"]),
        digit=int(entry["digit"]) if "digit" in entry else None,
        colour=rgb,
        snomed=str(entry["snomed"]) if "snomed" in entry else None,
        mirror=str(entry.get("mirror", entry["name"])),
        aliases=tuple(str(a) for a in entry.get("aliases", ())),
        snomed_left=str(entry["snomed_left"]) if "snomed_left" in entry else None,
        snomed_right=str(entry["snomed_right"]) if "snomed_right" in entry else None,
    )


def parse_schema(text: str, origin: str) -> BoneSchema:
    """A schema from TOML text; ``origin`` names the file in errors."""
    try:
        data = tomllib.loads(text)
        return BoneSchema(
            name=str(data["name"]),
            title=str(data["title"]),
            bones=tuple(_bone(entry) for entry in data["bone"]),
            source=str(data.get("source", "")),
        )
    except SchemaError:
        raise
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, RecursionError) as error:
        raise SchemaError(
            "is not a bone schema",
            path=origin,
            found=f"{type(error).__name__}: {error}",
            expected="name, title and [[bone]] entries",
        ) from error


@cache
def load_schema(name: str = "hand29") -> BoneSchema:
    """A shipped schema by name ("hand29"), or one from a .toml file's path."""
    if name.endswith(".toml"):
        path = Path(name)
        try:
            if (size := path.stat().st_size) > _MAX_BYTES:
                raise SchemaError("is not a bone schema", path=name, found=f"{size:,} bytes", expected="a short file")
            return parse_schema(path.read_text(encoding="utf-8"), name)
        except OSError as error:
            raise SchemaError("cannot be read", path=name, found=error.strerror or str(error)) from error
        except ValueError as error:  # no UTF-8, or a name that no file can have
            raise SchemaError("is not a bone schema", path=name, found=str(error), expected="UTF-8 text") from error
    # Looked up among what is there: a name out of a card is never made a path of.
    known = {p.name: p for p in files("ossa").joinpath("schemas").iterdir() if p.name.endswith(".toml")}
    resource = known.get(f"{name}.toml")
    if resource is None:
        names = ", ".join(sorted(file.removesuffix(".toml") for file in known))
        raise SchemaError(f"no schema is called '{name:.80}'", expected=f"one of {names}, or the path of a .toml file")
    return parse_schema(resource.read_text(encoding="utf-8"), f"schemas/{name}.toml")
