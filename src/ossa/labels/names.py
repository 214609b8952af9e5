"""How other names stand for the bones of a schema: aliases, shipped maps, and a map that the user gives.

Shipped maps are TOML files in ``ossa/schemas/maps``. A user's map is TOML, JSON or YAML and holds names with the bones
that they mean; several bones where a set outlines them as one, none for what is no bone:

    thumb_tip = "finger-1"
    Pisifrom_Triquetrum = ["Triquetrum", "Pisiform"]
    ring = []
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from ossa.errors import LabelError, SchemaError
from ossa.labels.case import Merged
from ossa.safety import parse_json, parse_yaml
from ossa.schema import BoneSchema
from ossa.segmentation.outlines import Outline

#: Largest map file, in bytes.
_MAX_BYTES = 1_000_000


@dataclass(frozen=True)
class SchemaMap:
    """``bones``: the set's own name -> the schema's bones (several when the set outlines them as one), in the set's
    order. ``skip``: names of the set that are no bones. ``subject``: finds the person in a picture's stem."""

    name: str
    bones: Mapping[str, tuple[str, ...]]
    skip: frozenset[str] = frozenset()
    subject: re.Pattern[str] | None = None
    _plain: dict[str, tuple[str, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        table = {_plain(word): () for word in self.skip} | {_plain(n): targets for n, targets in self.bones.items()}
        object.__setattr__(self, "_plain", table)

    @property
    def annotated(self) -> frozenset[str]:
        """The bones that the set outlines on their own."""
        return frozenset(targets[0] for targets in self.bones.values() if len(targets) == 1)

    def targets(self, name: str) -> tuple[str, ...] | None:
        """The bones that ``name`` stands for, () for no bone, None for a name that the map does not have.

        Case, blanks, hyphens and underscores do not matter.
        """
        return self._plain.get(_plain(name))

    def subject_of(self, stem: str) -> str | None:
        """The person in a picture's stem; None when the pattern does not fit."""
        match = self.subject.match(stem) if self.subject is not None else None
        return match.group(1) if match else None


def _plain(name: str) -> str:
    return re.sub(r"[\s_&-]+", "", name).casefold()


@dataclass(frozen=True)
class BoneNames:
    """What a name in a label file means: the user's map is asked first, then the schema, then the shipped maps."""

    schema: BoneSchema
    maps: tuple[SchemaMap, ...] = field(default=())

    def targets(self, name: str) -> tuple[str, ...] | None:
        """The bones that ``name`` stands for, () for what is known to be no bone, None for an unknown name."""
        return next((found for known in self.maps if (found := known.targets(name)) is not None), None)

    def only(self, name: str) -> str | None:
        """The one bone that ``name`` stands for; None for an unknown name, no bone, or several."""
        targets = self.targets(name)
        return targets[0] if targets is not None and len(targets) == 1 else None

    def nearest(self, name: str) -> str:
        """The known name that is most like ``name``."""
        known = [n for m in self.maps for n in m.bones]
        return (get_close_matches(name.strip(), known, n=1) or get_close_matches(name, known, n=1, cutoff=0.0))[0]

    def known(self, name: str, path: Path) -> tuple[str, ...]:
        """``targets``, of a label in the file ``path``. Raises LabelError for an unknown name."""
        targets = self.targets(name)
        if targets is None:
            raise LabelError(
                f"an unknown bone '{name}'",
                path=path,
                expected=f"perhaps '{self.nearest(name)}'",
                remedy="Correct the label in the file, or map it (--map)",
            )
        return targets

    def subject_of(self, stem: str) -> str | None:
        """The person in a picture's stem by the first map whose pattern fits."""
        return next((found for known in self.maps if (found := known.subject_of(stem)) is not None), None)


def bone_names(schema: BoneSchema, user: str | Path | None = None) -> BoneNames:
    """The names of ``schema``, after those of the ``user``'s map file. Raises SchemaError that names a wrong file."""
    own = SchemaMap(schema.name, {n: (bone.name,) for bone in schema.bones for n in (bone.name, *bone.aliases)})
    titles = SchemaMap(f"titles of {schema.name}", {bone.title: (bone.name,) for bone in schema.bones})
    shipped = tuple(map_ for name in ("ram-h1200",) if (map_ := _fitting(name, schema)) is not None)
    given = () if user is None else (read_map(Path(user), schema),)
    return BoneNames(schema, (*given, own, titles, *shipped))


def _fitting(name: str, schema: BoneSchema) -> SchemaMap | None:
    try:
        return load_map(name, schema)
    except SchemaError:
        return None


def read_map(path: Path, schema: BoneSchema) -> SchemaMap:
    """A user's map (.toml, .json, .yaml). Raises SchemaError for what is none, or names bones that do not exist."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise SchemaError("is no map of names", path=path, found="a large file", expected=f"{_MAX_BYTES:,} bytes")
        data = _parsed(path.read_text(encoding="utf-8-sig"), path.suffix.lower())
    except OSError as error:
        raise SchemaError("cannot be read", path=path, found=error.strerror or str(error)) from error
    except (ValueError, RecursionError) as error:  # also UnicodeDecodeError and TOMLDecodeError
        raise SchemaError(
            "is no map of names",
            path=path,
            found=str(error)[:120] or type(error).__name__,
            expected="TOML, JSON or YAML",
        ) from error
    entries = data.get("bones", data) if isinstance(data, dict) else None
    if not isinstance(entries, dict):
        raise SchemaError("is no map of names", path=path, found=type(data).__name__, expected='lines of name = "bone"')
    skip = data.get("skip", []) if "bones" in data else []
    bones = {str(name): _targets(value, str(name), schema, path) for name, value in entries.items()}
    return SchemaMap(path.name, bones, frozenset(map(str, skip)) if isinstance(skip, list) else frozenset())


def _parsed(text: str, ending: str) -> Any:
    if ending == ".toml":
        return tomllib.loads(text)
    if ending == ".json":
        return parse_json(text)
    import yaml

    try:
        return parse_yaml(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def _targets(value: object, name: str, schema: BoneSchema, path: Path) -> tuple[str, ...]:
    wanted = [value] if isinstance(value, str) else value if isinstance(value, list) else None
    if value is None or value in ("", False):
        return ()
    own = SchemaMap("", {n: (bone.name,) for bone in schema.bones for n in (bone.name, *bone.aliases, bone.title)})
    found = [own.targets(str(bone)) for bone in wanted] if wanted is not None else [None]
    if None in found:
        wrong = value if wanted is None else wanted[found.index(None)]
        near = get_close_matches(_shown(wrong), schema.names, n=1, cutoff=0.0)[0]
        raise SchemaError(
            f"'{name}' is mapped to what is no bone of '{schema.name}'",
            path=path,
            found=_shown(wrong),
            expected=f"a bone, perhaps '{near}', or [] for no bone",
        )
    return tuple(dict.fromkeys(bone for targets in found if targets for bone in targets))


def _shown(value: object) -> str:
    """The beginning of what stands there; tables within tables may be too deep even to be shown."""
    try:
        return f"{value!r:.200}"
    except RecursionError:
        return f"a {type(value).__name__} within itself or too deep"


def collect(
    found: Mapping[tuple[str, ...], tuple[Outline, ...]], schema: BoneSchema
) -> tuple[dict[str, tuple[Outline, ...]], tuple[Merged, ...]]:
    """Sort parts by their targets into outlines of single bones (schema order) and merged ones."""
    outlines = {name: found[(name,)] for name in schema.names if found.get((name,))}
    merged = tuple(Merged(frozenset(t), parts) for t, parts in found.items() if len(t) > 1 and parts)
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
