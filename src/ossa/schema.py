"""Bones and the ordered list of them that a model, a data set and a submission share.

A schema is one TOML file in ``ossa/schemas``; everything else asks it for names, order, colours
and codes and never spells a bone's name itself.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from ossa.errors import SchemaError

#: Largest schema file, in bytes.
_MAX_BYTES = 1_000_000

#: Codes of the bone of one side, all optional, as the keys of a schema file and the fields of a Bone.
SIDED_CODES = ("snomed_left", "snomed_right", "fma_left", "fma_right")


@dataclass(frozen=True, slots=True)
class Bone:
    """One bone of a schema.

    ``name`` is the label in files, ``title`` the anatomical name, ``digit`` 1 (thumb, great toe) to 5
    or None, ``row`` the anatomical row ("distal", "middle", "proximal",
    "metacarpal", "carpal", "forearm"), ``colour`` an RGB triple, ``snomed`` the SNOMED CT
    concept of the bone (side not said) or None, ``mirror`` the name this bone takes when the
    picture is mirrored (itself, in a schema that does not tell left from right),
    ``snomed_left`` and ``snomed_right`` the concept of the bone of one side or None, ``fma_left`` and ``fma_right``
    the same in the Foundational Model of Anatomy.

    >>> ossa.load_schema().bone("Capitate").row
    'carpal'
    >>> ossa.load_schema().bone("Radius").snomed_of("L") != ossa.load_schema().bone("Radius").snomed_of("R")
    True
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
    fma_left: str | None = None
    fma_right: str | None = None

    def snomed_of(self, side: str | None) -> str | None:
        """The SNOMED CT concept for the bone of ``side`` ("L", "R" or None): that of the side, else the general one."""
        return {"L": self.snomed_left, "R": self.snomed_right}.get(side or "") or self.snomed

    def fma_of(self, side: str | None) -> str | None:
        """The identifier of the bone of ``side`` ("L", "R") in the Foundational Model of Anatomy; None without one."""
        return {"L": self.fma_left, "R": self.fma_right}.get(side or "")

    def to_json(self) -> dict[str, Any]:
        """As plain values: what the card of a model says of the bone."""
        sides = {key: getattr(self, key) for key in SIDED_CODES}
        return {
            "name": self.name,
            "title": self.title,
            "row": self.row,
            "digit": self.digit,
            "colour": list(self.colour),
            "snomed": self.snomed,
            **{key: code for key, code in sides.items() if code is not None},
            "mirror": self.mirror,
            "aliases": list(self.aliases),
        }

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Bone:
        """Back from ``to_json``, or from a [[bone]] of a schema file; its ``colour`` may be "#cc5b5b" too.

        Without a ``mirror`` a bone is its own. Raises KeyError, TypeError, AttributeError or ValueError for anything
        else: who reads the file knows its name.
        """
        digit, colour = entry.get("digit"), _rgb(entry["colour"])
        if digit is not None and (isinstance(digit, bool) or not isinstance(digit, int)):
            raise ValueError(f"digit {digit!r:.40}")
        texts: dict[str, Any] = {key: entry[key] for key in ("name", "title", "row")}
        texts["mirror"] = entry.get("mirror", texts["name"])
        codes: dict[str, Any] = {key: entry.get(key) for key in ("snomed", *SIDED_CODES)}
        aliases = tuple(entry.get("aliases", ()))
        told = [*texts.values(), *(code for code in codes.values() if code is not None), *aliases]
        if not all(isinstance(text, str) for text in told):
            raise TypeError(f"a text that is none in {entry!r:.80}")
        return cls(digit=digit, colour=colour, aliases=aliases, **texts, **codes)


def _rgb(colour: Any) -> tuple[int, int, int]:
    """Red, green and blue of "#cc5b5b" or [204, 91, 91]; ValueError or TypeError for anything else."""
    if isinstance(colour, str) and re.fullmatch("#[0-9a-fA-F]{6}", colour):
        colour = bytes.fromhex(colour[1:])
    red, green, blue = colour
    if not all(isinstance(part, int) and 0 <= part <= 255 for part in (red, green, blue)):
        raise ValueError(f"colour {colour!r:.40}")
    return red, green, blue


@dataclass(frozen=True)
class BoneSchema:
    """An ordered set of bones. ``schema.index(name)`` is the channel, the bit and the CSV order.

    ``phantom``: what the schema's file says of making phantoms, as it stands there (read by ``ossa.phantom.part``).

    >>> schema = ossa.load_schema()
    >>> len(schema), schema.index("Radius"), "Femur" in schema
    (29, 27, False)
    >>> schema.in_row("forearm")
    ('Radius', 'Ulna')
    """

    name: str
    title: str
    bones: tuple[Bone, ...]
    source: str = ""
    phantom: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
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


def parse_schema(text: str, origin: str) -> BoneSchema:
    """A schema from TOML text; ``origin`` names the file in errors."""
    try:
        data = tomllib.loads(text)
        return BoneSchema(
            name=str(data["name"]),
            title=str(data["title"]),
            bones=tuple(Bone.from_json(entry) for entry in data["bone"]),
            source=str(data.get("source", "")),
            phantom=dict(data.get("phantom", {})),
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


def shipped_schemas() -> tuple[str, ...]:
    """The names of the schemas that ossa brings along.

    >>> ossa.schema.shipped_schemas()
    ('foot28', 'hand29')
    """
    found = (p.name for p in files("ossa").joinpath("schemas").iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in found if name.endswith(".toml")))


@cache
def load_schema(name: str = "hand29") -> BoneSchema:
    """A shipped schema by name ("hand29"), or one from a .toml file's path.

    >>> ossa.load_schema("hand29").title
    'Hand and wrist, 29 bones'
    """
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
