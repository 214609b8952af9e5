"""What a model bundle says of itself: ``card.json`` read into types, and every entry checked once, on reading.

Whoever holds a ``Card`` need not look again: names are bones of its schema, numbers are in their ranges. What is wrong
in a file is a BundleError that names the file and the entry.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ossa.errors import BundleError, ConfigError, SchemaError
from ossa.radiograph.prepare import Preparation
from ossa.schema import Bone, BoneSchema, load_schema
from ossa.segmentation.cleanup import Cleanup

#: Version of the card, and of the bundle's layout, in every card.
FORMAT = 1

#: Said of a model whose owner has not said under which licence it may be used.
UNKNOWN_LICENCE = "unknown"

#: Largest longer side of a network's grid, px: 29 planes of logits at stride 2 then take 1.9 GB.
MAX_GRID = 8192


@dataclass(frozen=True)
class Architecture:
    """What rebuilds the network in torch: ``models.architectures.build(name, ..., **options)``."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {"name": self.name, "options": dict(self.options)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Architecture:
        """Back from ``to_json``; ConfigError for anything else. Whether the name is known, only models can tell."""
        name, options = values.get("name"), values.get("options", {})
        if set(values) - {"name", "options"} or not isinstance(name, str) or not isinstance(options, Mapping):
            raise ConfigError(
                "the architecture is not understood", found=dict(values), expected="a name and its options"
            )
        return cls(name, dict(options))


@dataclass(frozen=True, slots=True)
class Closer:
    """A closer look at some of the bones (inference.closer).

    ``bones``: those looked at and taken from the closer look; ``size``: longer side of its grid, px; ``margin``: what
    is seen around them, as a share of their own extent; ``least``: how many of them must have been found at the first
    look for their place to be known. Raises ConfigError out of range.
    """

    bones: tuple[str, ...]
    size: int = 384
    margin: float = 0.6
    least: int = 4

    def __post_init__(self) -> None:
        if not self.bones or not 64 <= self.size <= 4096 or not 0 <= self.margin <= 4 or self.least < 1:
            raise ConfigError(
                "the closer look is out of range",
                found=self,
                expected="at least one bone, size 64..4096, margin 0..4, least 1 or more",
            )

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {**asdict(self), "bones": list(self.bones)}

    @classmethod
    def from_json(cls, values: Any) -> Closer:
        """Back from ``to_json``; ConfigError for anything else."""
        if not isinstance(values, Mapping):
            raise ConfigError("the closer look is not understood", found=type(values).__name__, expected="an object")
        kinds: dict[str, tuple[type, ...]] = {"bones": (list,), "size": (int,), "margin": (int, float), "least": (int,)}
        wrong = [k for k, v in values.items() if k not in kinds or isinstance(v, bool) or not isinstance(v, kinds[k])]
        bones = values.get("bones")
        if wrong or not isinstance(bones, list) or not all(isinstance(name, str) for name in bones):
            raise ConfigError(
                "the closer look is not understood",
                found=dict(values),
                expected="bones (a list of names), size and least (whole numbers), margin (a number)",
            )
        return cls(**{**values, "bones": tuple(bones)})


@dataclass(frozen=True)
class Card:
    """What a bundle says about itself.

    ``stride``: logits are 1/stride of the grid in each direction; ``channels`` of the input: 1 the picture, 2 the
    picture and the whole part as context; ``licence``: whatever the owner says, UNKNOWN_LICENCE where nothing is said;
    ``thresholds`` bone name -> probability in (0, 1), .5 where nothing is said; ``cleanup``: None for
    none; ``closer``: looked at one after the other; ``shafts``: followed to the film's end (inference.shafts), where a
    model is to find all of them that shows; ``training`` data, seed, steps; ``figures`` measured quality;
    ``files`` name -> SHA-256; ``quick``: the one of them that stands for model.onnx on a CPU, the same network in 8
    bits, checked to find the same bones (pipeline.bundle); empty for none.
    """

    name: str
    schema: BoneSchema
    architecture: Architecture
    stride: int
    preparation: Preparation
    licence: str = UNKNOWN_LICENCE
    channels: int = 1
    thresholds: Mapping[str, float] = field(default_factory=dict)
    cleanup: Cleanup | None = None
    closer: tuple[Closer, ...] = ()
    shafts: bool = False
    training: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    quick: str = ""

    def to_json(self) -> dict[str, Any]:
        """The card as JSON values."""
        return {
            "format": FORMAT,
            "name": self.name,
            "licence": self.licence,
            "schema": self.schema.name,
            "schema_title": self.schema.title,
            "bones": [bone.to_json() for bone in self.schema.bones],
            "architecture": self.architecture.to_json(),
            "stride": self.stride,
            "channels": self.channels,
            "preparation": self.preparation.to_json(),
            "thresholds": dict(self.thresholds),
            "cleanup": {} if self.cleanup is None else self.cleanup.to_json(),
            "closer": [look.to_json() for look in self.closer],
            **({"shafts": True} if self.shafts else {}),
            "training": dict(self.training),
            "figures": dict(self.figures),
            "files": dict(self.files),
            **({"quick": self.quick} if self.quick else {}),
        }

    @classmethod
    def from_json(cls, value: Any, path: Path | None = None) -> Card:
        """A card from JSON values; BundleError names the file ``path`` and the entry that is wrong."""
        if not isinstance(value, dict):
            raise BundleError("the card is not a JSON object", path=path, found=type(value).__name__)
        if value.get("format") != FORMAT:
            raise BundleError(
                "the bundle has another format",
                path=path,
                found=f"format {value.get('format')!r:.40}",
                expected=f"format {FORMAT}",
                remedy="Export the model again with this version of ossa, or update ossa",
            )
        with _told("architecture", path):
            architecture = Architecture.from_json(_take(value, "architecture", dict, path))
        with _told("preparation", path):
            preparation = Preparation.from_json(_take(value, "preparation", dict, path))
        with _told("cleanup", path):
            cleanup = Cleanup.from_json(given) if (given := _take(value, "cleanup", dict, path, {})) else None
        with _told("closer", path):
            # One look, as cards had it before there were several, or a list of them.
            given = value.get("closer") or []
            closer = tuple(Closer.from_json(look) for look in (given if isinstance(given, list) else [given]))
        card = cls(
            name=_take(value, "name", str, path),
            schema=_schema(value, path),
            architecture=architecture,
            stride=_take(value, "stride", int, path),
            preparation=preparation,
            licence=_take(value, "licence", str, path, UNKNOWN_LICENCE),
            channels=_take(value, "channels", int, path, 1),
            thresholds=_take(value, "thresholds", dict, path, {}),
            cleanup=cleanup,
            closer=closer,
            shafts=_take(value, "shafts", bool, path, False),
            training=_take(value, "training", dict, path, {}),
            figures=_take(value, "figures", dict, path, {}),
            files=_take(value, "files", dict, path, {}),
            quick=_take(value, "quick", str, path, ""),
        )
        card.check(path)
        return card

    def check(self, path: Path | None = None) -> None:
        """BundleError when a number is out of its range, or when something is said of a bone that is none."""
        size, multiple = self.preparation.size, self.preparation.multiple
        if self.channels not in (1, 2) or self.stride < 1 or multiple % self.stride:
            raise BundleError(
                "stride or channels out of range",
                path=path,
                found=f"stride {self.stride}, channels {self.channels}, preparation to multiples of {multiple}",
                expected="1 or 2 channels, and a stride that divides the preparation's multiple",
            )
        if max(size, multiple) > MAX_GRID:
            found = f"size {size}, multiple {multiple}"
            raise BundleError("the network's grid is too large", path=path, found=found, expected=f"at most {MAX_GRID}")
        for name, threshold in self.thresholds.items():
            what = f"the threshold of '{name:.40}' is out of range"
            number = isinstance(threshold, (int, float)) and not isinstance(threshold, bool)
            if not number or not 0.0 < threshold < 1.0:
                raise BundleError(what, path=path, found=f"{threshold!r:.40}", expected="a number between 0 and 1")
        spoken_of: dict[str, tuple[str, ...]] = {
            "thresholds": tuple(self.thresholds),
            "cleanup": () if self.cleanup is None else tuple(self.cleanup.bones),
            "closer": tuple(name for look in self.closer for name in look.bones),
        }
        for entry, names in spoken_of.items():
            for name in names:
                if name not in self.schema:
                    what = f"the card's '{entry}' speaks of a bone that the model does not have"
                    raise BundleError(what, path=path, found=f"{name!r:.40}")
        for name, sha in self.files.items():
            if not isinstance(sha, str):
                raise BundleError(f"the SHA-256 of '{name:.40}' is no text", path=path, found=f"{sha!r:.40}")
        if self.quick and (self.quick not in self.files or not self.quick.endswith(".onnx")):
            raise BundleError(
                "the card's 'quick' is none of its networks",
                path=path,
                found=f"{self.quick!r:.40}",
                expected="the name of an ONNX file that the card gives a SHA-256 of",
            )


@contextmanager
def _told(entry: str, path: Path | None) -> Iterator[None]:
    """Whatever is wrong with an ``entry`` of the card is said as a BundleError."""
    try:
        yield
    except ConfigError as error:
        raise BundleError(
            f"the card's '{entry}' is wrong: {error.what}",
            path=path,
            found=None if error.found is None else f"{error.found!s:.160}",
            expected=error.expected,
        ) from error


def _take(value: dict[str, Any], key: str, kind: type, path: Path | None, default: Any = None) -> Any:
    found = value.get(key, default)
    if not isinstance(found, kind) or (isinstance(found, bool) and kind is not bool):
        what = f"the card's '{key}' is missing or wrong"
        raise BundleError(what, path=path, found=f"{found!r:.80}", expected=f"a {kind.__name__}")
    return found


# Bones -----------------------------------------------------------------------------------------


def _schema(value: dict[str, Any], path: Path | None) -> BoneSchema:
    """The schema of a card; a shipped one of the same name must have the same bones in the same order."""
    name = _take(value, "schema", str, path)
    title = _take(value, "schema_title", str, path, name)
    try:
        told = BoneSchema(name, title, tuple(Bone.from_json(entry) for entry in _take(value, "bones", list, path)))
    except (KeyError, TypeError, ValueError, AttributeError, SchemaError) as error:
        raise BundleError(
            "the card's list of bones is wrong", path=path, found=f"{type(error).__name__}: {error!s:.160}"
        ) from error
    try:
        known = load_schema(name) if re.fullmatch(r"\w+", name, re.ASCII) else None
    except SchemaError:
        known = None
    if known is None:
        return told
    if known.names != told.names:
        raise BundleError(
            f"the bundle's bones are not those of the schema '{name}'",
            path=path,
            found=_difference(told.names, known.names),
            expected=f"the {len(known)} bones of '{name}' in their order",
        )
    return known


def _difference(found: tuple[str, ...], expected: tuple[str, ...]) -> str:
    extra = [n for n in found if n not in expected]
    missing = [n for n in expected if n not in found]
    if extra or missing:
        return f"unknown {extra or 'none'!s:.160}, missing {missing or 'none'}"
    return "another order"
