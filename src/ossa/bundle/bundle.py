"""A model bundle: one folder that holds a network and everything needed to use it.

    card.json            what it is: schema, preparation, thresholds, training, figures, licence, hashes
    model.onnx           the network, any batch, height and width; input "image", output "logits"
    model.safetensors    the same weights for torch

Large weights are rounded to 16-bit float once and stored so in both files; both are cast up when
loaded, so the two ways give the same logits. ``save_bundle`` writes a bundle, ``Bundle.load``
reads one and checks the hash of every file before it is used.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ossa.errors import BundleError, InputError, MissingExtraError, OutputError, SchemaError
from ossa.safety import contents, inside, read_json, replacing_folder, sha256, write_json
from ossa.schema import Bone, BoneSchema, load_schema

if TYPE_CHECKING:
    from torch import nn

#: Version of the folder's layout, in every card.
FORMAT = 1

CARD = "card.json"
ONNX = "model.onnx"
WEIGHTS = "model.safetensors"

_MAX_CARD_BYTES = 10_000_000


@dataclass(frozen=True)
class Card:
    """What a bundle says about itself.

    ``architecture`` {"name", "options"} rebuilds the network through models.architectures;
    ``stride``: logits are 1/stride of the grid in each direction; ``channels`` of the input:
    1 the picture, 2 the picture and the whole hand as context; ``preparation`` the JSON of
    radiograph.prepare.Preparation; ``thresholds`` bone name -> probability in (0, 1), .5 where
    nothing is said; ``cleanup`` the JSON of the clean-up rules; ``closer`` that of inference.closer.Closer, empty for
    none; ``training`` data, seed, steps;
    ``figures`` measured quality; ``files`` name -> SHA-256.
    """

    name: str
    schema: BoneSchema
    architecture: Mapping[str, Any]
    stride: int
    preparation: Mapping[str, Any]
    licence: str = "Apache-2.0"
    channels: int = 1
    thresholds: Mapping[str, float] = field(default_factory=dict)
    cleanup: Mapping[str, Any] = field(default_factory=dict)
    closer: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The card as JSON values."""
        return {
            "format": FORMAT,
            "name": self.name,
            "licence": self.licence,
            "schema": self.schema.name,
            "schema_title": self.schema.title,
            "bones": [_bone_json(bone) for bone in self.schema.bones],
            "architecture": dict(self.architecture),
            "stride": self.stride,
            "channels": self.channels,
            "preparation": dict(self.preparation),
            "thresholds": dict(self.thresholds),
            "cleanup": dict(self.cleanup),
            "closer": dict(self.closer),
            "training": dict(self.training),
            "figures": dict(self.figures),
            "files": dict(self.files),
        }

    @classmethod
    def from_json(cls, value: Any, path: Path | None = None) -> Card:
        """A card from JSON values; BundleError names the field that is wrong."""
        if not isinstance(value, dict):
            raise BundleError("the card is not a JSON object", path=path, found=type(value).__name__)
        if value.get("format") != FORMAT:
            raise BundleError(
                "the bundle has another format",
                path=path,
                found=f"format {value.get('format')!r}",
                expected=f"format {FORMAT}",
                remedy="Export the model again with this version of ossa, or update ossa",
            )
        card = cls(
            name=_take(value, "name", str, path),
            schema=_schema(value, path),
            architecture=_take(value, "architecture", dict, path),
            stride=_take(value, "stride", int, path),
            preparation=_take(value, "preparation", dict, path),
            licence=_take(value, "licence", str, path),
            channels=_take(value, "channels", int, path, 1),
            thresholds={k: float(v) for k, v in _take(value, "thresholds", dict, path, {}).items()},
            cleanup=_take(value, "cleanup", dict, path, {}),
            closer=_take(value, "closer", dict, path, {}),
            training=_take(value, "training", dict, path, {}),
            figures=_take(value, "figures", dict, path, {}),
            files=_take(value, "files", dict, path, {}),
        )
        card.check(path)
        return card

    def check(self, path: Path | None = None) -> None:
        """BundleError when a number is out of its range or a threshold names no bone."""
        if self.stride < 1 or self.channels not in (1, 2):
            raise BundleError(
                "stride or channels out of range", path=path, found=f"stride {self.stride}, channels {self.channels}"
            )
        for name, threshold in self.thresholds.items():
            if name not in self.schema:
                raise BundleError("a threshold for a bone that the model does not have", path=path, found=repr(name))
            if not 0.0 < threshold < 1.0:
                raise BundleError(
                    f"the threshold of '{name}' is out of range", path=path, found=threshold, expected="between 0 and 1"
                )


def _bone_json(bone: Bone) -> dict[str, Any]:
    return {
        "name": bone.name,
        "title": bone.title,
        "row": bone.row,
        "digit": bone.digit,
        "colour": list(bone.colour),
        "snomed": bone.snomed,
        "mirror": bone.mirror,
        "aliases": list(bone.aliases),
    }


def _take(value: dict[str, Any], key: str, kind: type, path: Path | None, default: Any = None) -> Any:
    found = value.get(key, default)
    if not isinstance(found, kind) or isinstance(found, bool):
        what = f"the card's '{key}' is missing or wrong"
        raise BundleError(what, path=path, found=repr(found)[:80], expected=f"a {kind.__name__}")
    return found


def _schema(value: dict[str, Any], path: Path | None) -> BoneSchema:
    """The schema of a card; a shipped one of the same name must have the same bones in the same order."""
    name = _take(value, "schema", str, path)
    try:
        bones = tuple(
            Bone(
                name=str(entry["name"]),
                title=str(entry["title"]),
                row=str(entry["row"]),
                digit=None if entry.get("digit") is None else int(entry["digit"]),
                colour=(int(entry["colour"][0]), int(entry["colour"][1]), int(entry["colour"][2])),
                snomed=None if entry.get("snomed") is None else str(entry["snomed"]),
                mirror=str(entry["mirror"]),
                aliases=tuple(str(alias) for alias in entry.get("aliases", ())),
            )
            for entry in _take(value, "bones", list, path)
        )
        told = BoneSchema(name=name, title=_take(value, "schema_title", str, path, name), bones=bones)
    except (KeyError, TypeError, ValueError, IndexError, SchemaError) as error:
        raise BundleError(
            "the card's list of bones is wrong", path=path, found=f"{type(error).__name__}: {error}"
        ) from error
    try:
        known = load_schema(name) if re.fullmatch(r"\w+", name) else None
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
        return f"unknown {extra or 'none'}, missing {missing or 'none'}"
    return "another order"


@dataclass(frozen=True)
class Bundle:
    """A bundle on the disk whose hashes were checked."""

    path: Path
    card: Card

    @property
    def onnx_path(self) -> Path:
        """The ONNX file."""
        return self.path / ONNX

    @property
    def weights_path(self) -> Path:
        """The safetensors file."""
        return self.path / WEIGHTS

    @classmethod
    def load(cls, path: str | os.PathLike[str] | None = None) -> Bundle:
        """Read the bundle in folder ``path``, or the shipped one.

        Raises BundleError when the folder is no bundle, its card is malformed, or a file is
        missing or is not the one whose SHA-256 the card gives.
        """
        folder = default_bundle() if path is None else Path(path)
        if folder.name == CARD and folder.is_file():
            folder = folder.parent
        card_path = folder / CARD
        if not card_path.is_file():
            raise BundleError(
                "is not a model bundle" if path is not None else "ossa was installed without its model",
                path=folder,
                found="no such folder" if not folder.exists() else "no card.json in it",
                expected="a folder with card.json, model.onnx and model.safetensors",
                remedy="Give the folder of a bundle with --model",
            )
        try:
            card = Card.from_json(read_json(card_path, _MAX_CARD_BYTES), card_path)
        except BundleError:
            raise
        except InputError as error:
            raise BundleError("the card cannot be read", path=card_path, found=error.found or error.what) from error
        if not card.files:
            raise BundleError("the card lists no files", path=card_path, expected="the SHA-256 of every file")
        for name, expected in card.files.items():
            _verify(folder, name, str(expected))
        return cls(folder, card)

    def rewrite_card(self, card: Card) -> Bundle:
        """Put ``card`` in place of the bundle's own (new thresholds, figures); the files stay."""
        card.check(self.path / CARD)
        updated = replace(card, files=self.card.files)
        write_json(self.path / CARD, updated.to_json())
        return Bundle(self.path, updated)

    def torch_module(self) -> nn.Module:
        """The network in torch, float32, in eval mode, on the CPU.

        Raises MissingExtraError without torch, BundleError when the weights do not fit the
        architecture that the card names.
        """
        if WEIGHTS not in self.card.files:
            raise BundleError(
                "the bundle has no torch weights", path=self.path, remedy="Use ONNX Runtime for this model"
            )
        try:
            from safetensors import SafetensorError
            from safetensors.torch import load_file

            from ossa.models.architectures import build
        except ImportError as error:
            raise MissingExtraError.of("running a model with torch", "train", error) from error
        options = self.card.architecture.get("options", {})
        module = build(
            str(self.card.architecture["name"]), len(self.card.schema), channels=self.card.channels, **options
        )
        try:
            state = load_file(self.weights_path)
            module.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in state.items()})
        except (SafetensorError, RuntimeError, OSError) as error:
            raise BundleError(
                "the weights do not fit the architecture",
                path=self.weights_path,
                found=str(error).splitlines()[0],
                expected=f"the weights of {self.card.architecture['name']}",
            ) from error
        module.eval()
        return module


def default_bundle() -> Path:
    """The folder of the shipped bundle."""
    return Path(str(files("ossa").joinpath("models", "default")))


def _verify(folder: Path, name: str, expected: str) -> None:
    try:
        path = inside(folder, name)
    except InputError as error:
        raise BundleError("the card names a file outside the bundle", path=folder / CARD, found=repr(name)) from error
    if not path.is_file():
        raise BundleError("a file of the bundle is missing", path=path, remedy="Copy the whole folder again")
    found = sha256(path)
    if found != expected:
        raise BundleError(
            "the file is not the one that the card describes",
            path=path,
            found=f"SHA-256 {found[:16]}...",
            expected=f"{expected[:16]}...",
            remedy="Copy the bundle again; do not use an altered model",
        )


def save_bundle(folder: str | os.PathLike[str], module: nn.Module, card: Card) -> Bundle:
    """Write ``module`` and ``card`` as a bundle into ``folder``, the whole folder or nothing.

    The large weights are rounded to 16-bit float (``module`` itself stays as it is). An existing
    bundle in ``folder`` is replaced; any other non-empty folder is refused with OutputError.
    Batch, height and width of the ONNX file are free; a network that cannot do that is written for
    pictures of its ``side``.
    """
    import copy

    try:
        from safetensors.torch import save_file

        from ossa.bundle.onnx import HALF_FROM
    except ImportError as error:
        raise MissingExtraError.of("saving a model", "train", error) from error
    card.check()
    final = Path(folder)
    if final.exists() and not (final / CARD).is_file() and (not final.is_dir() or contents(final)):
        raise OutputError("is in the way", path=final, found="something that is no bundle", remedy="Give a new folder")
    rounded = copy.deepcopy(module).cpu().float().eval()
    state = {}
    for name, tensor in rounded.state_dict().items():
        if tensor.is_floating_point() and tensor.numel() >= HALF_FROM:
            half = tensor.half()
            if not bool(half.isfinite().all()):
                raise BundleError(
                    f"the weight '{name}' does not fit 16-bit float",
                    found=f"largest value {float(tensor.abs().max()):g}",
                )
            tensor.copy_(half.float())
            tensor = half
        state[name] = tensor.clone().contiguous()
    with replacing_folder(final) as work:
        save_file(state, work / WEIGHTS, metadata={"format": "pt"})
        _write_onnx(rounded, card, work / ONNX)
        written = replace(card, files={name: sha256(work / name) for name in (ONNX, WEIGHTS)})
        write_json(work / CARD, written.to_json())
        for name in (ONNX, WEIGHTS):
            os.chmod(work / name, (work / CARD).stat().st_mode)  # usual permissions, whatever the libraries give
    return Bundle(final, written)


def _write_onnx(module: nn.Module, card: Card, path: Path) -> None:
    """Write the ONNX file with free sizes; with a fixed one when the network knows its ``side`` only."""
    from ossa.bundle.onnx import write_half_onnx

    side = getattr(module, "side", None)
    multiple = getattr(module, "multiple", 32)
    step = max(32, *(n for n in (side, multiple) if isinstance(n, int)), 32)
    try:
        write_half_onnx(module, path, (2, card.channels, 2 * step, 3 * step))
    except BundleError:
        if not isinstance(side, int):
            raise
        write_half_onnx(module, path, (2, card.channels, side, side), free=("batch",))
