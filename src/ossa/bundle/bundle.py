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
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from ossa.bundle.card import Card
from ossa.errors import BundleError, ConfigError, InputError, MissingExtraError, OutputError
from ossa.safety import contents, inside, read_json, replacing_folder, sha256, write_json

if TYPE_CHECKING:
    from torch import nn

CARD = "card.json"
ONNX = "model.onnx"
WEIGHTS = "model.safetensors"

_MAX_CARD_BYTES = 10_000_000


@dataclass(frozen=True)
class Bundle:
    """A bundle on the disk whose hashes were checked.

    >>> card = ossa.Bundle.load().card  # the shipped model; every hash is checked
    >>> card.schema.name, card.stride
    ('hand29', 2)
    """

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
            _verify(folder, name, expected)
        if ONNX not in card.files:  # it would be opened without a look at its hash
            raise BundleError(f"the card lists no {ONNX}", path=card_path, found=", ".join(card.files)[:160])
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
            from ossa.models.architectures import build
            from ossa.models.weights import read_weights
        except ImportError as error:
            raise MissingExtraError.of("running a model with torch", "train", error) from error
        wanted = self.card.architecture
        try:
            module = build(wanted.name, len(self.card.schema), channels=self.card.channels, **wanted.options)
        except (ConfigError, TypeError) as error:  # TypeError: an option that is called as a parameter of build
            found = f"{error!s:.200}"
            raise BundleError("the card's 'architecture' is wrong", path=self.path / CARD, found=found) from error
        state = read_weights(self.weights_path)
        try:
            module.load_state_dict(state)
        except RuntimeError as error:
            raise BundleError(
                "the weights do not fit the architecture",
                path=self.weights_path,
                found=str(error).splitlines()[0],
                expected=f"the weights of {wanted.name}",
            ) from error
        module.eval()
        return module


def default_bundle() -> Path:
    """The folder of the shipped bundle."""
    return Path(str(files("ossa").joinpath("models", "default")))


def weights_file(path: str | os.PathLike[str]) -> Path:
    """The weight file that ``path`` stands for: of a bundle's folder its own, whose hash is checked; else ``path``."""
    where = Path(path)
    return Bundle.load(where).weights_path if where.is_dir() else where


def _verify(folder: Path, name: str, expected: str) -> None:
    try:
        path = inside(folder, name)
    except InputError as error:
        raise BundleError("the card names a file outside the bundle", path=folder / CARD, found=repr(name)) from error
    if not path.is_file():
        raise BundleError("a file of the bundle is missing", path=path, remedy="Copy the whole folder again")
    try:
        found = sha256(path)
    except OSError as error:
        raise BundleError("a file of the bundle cannot be read", path=path, found=error.strerror or error) from error
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
