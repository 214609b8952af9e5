"""A model bundle: one folder that holds a network and everything needed to use it.

    card.json            what it is: schema, preparation, thresholds, training, figures, licence, hashes
    model.onnx           the network, any batch, height and width; input "image", output "logits"
    model.safetensors    the same weights for torch
    model_int8.onnx      perhaps: the same network in 8 bits, for CPUs (``Card.quick``)
    finder.onnx, refiner.onnx, consultant.onnx   perhaps: networks that go with it (bundle.companions)

Large weights are rounded to 16-bit float once and stored so in both files; both are cast up when
loaded, so the two ways give the same logits. ``save_bundle`` writes a bundle, ``Bundle.load``
reads one and checks the hash of every file before it is used.

``Bundle.load_all`` is the one place that knows what a model may be given as: a bundle's folder, that of a run, whose
folds are an ensemble, or a file of ``ossa bundle pack`` (bundle.packed).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ossa.bundle.card import Card
from ossa.bundle.hashes import SHIPPED, ahead, digest
from ossa.bundle.packed import Archive, is_packed
from ossa.bundle.runs import bundles_of_run, is_run
from ossa.errors import BundleError, ConfigError, InputError, MissingExtraError, OutputError
from ossa.safety import contents, inside, parse_json, read_json, replacing_folder, sha256, write_bytes, write_json

if TYPE_CHECKING:
    from torch import nn

CARD = "card.json"
ONNX = "model.onnx"
WEIGHTS = "model.safetensors"
QUICK = "model_int8.onnx"

_MAX_CARD_BYTES = 10_000_000


@dataclass(frozen=True)
class Bundle:
    """A bundle on the disk whose hashes were checked; one that is packed lies in ``archive``.

    >>> card = ossa.Bundle.load().card  # the shipped model; every hash is checked
    >>> card.schema.name, card.stride
    ('hand29', 2)
    """

    path: Path
    card: Card
    archive: Archive | None = None

    @property
    def onnx_path(self) -> Path:
        """The ONNX file; of a packed bundle only what it is called (``onnx_bytes``, ``unpacked``)."""
        return self.path / ONNX

    @property
    def quick_path(self) -> Path | None:
        """The ONNX file that stands for it on a CPU (``Card.quick``); of a packed bundle only its name."""
        return self.path / self.card.quick if self.card.quick else None

    @property
    def weights_path(self) -> Path:
        """The safetensors file; of a packed bundle only what it is called."""
        return self.path / WEIGHTS

    @property
    def onnx_bytes(self) -> bytes | None:
        """What a packed bundle's ONNX file holds; None for a bundle whose file can be opened."""
        return self.read_packed(ONNX)

    def read_packed(self, name: str) -> bytes | None:
        """What the file ``name`` of a packed bundle holds, its hash checked; None for a bundle in a folder."""
        if self.archive is None:
            return None
        return self.archive.read(f"{self.path.name}/{name}", self.card.files[name])

    @classmethod
    def load(cls, path: str | os.PathLike[str] | None = None) -> Bundle:
        """The one model that ``path`` stands for (see ``load_all``), or the shipped one.

        Raises BundleError when there are several, when ``path`` is no model, its card is malformed, or a file is
        missing or is not the one whose SHA-256 the card gives.
        """
        found = cls.load_all(path)
        if len(found) > 1:
            raise BundleError(
                "holds several models, and one is asked for",
                path=path,
                found=", ".join(bundle.path.name for bundle in found),
                remedy=f"Give one of them: {found[0].path}",
            )
        return found[0]

    @classmethod
    def load_all(cls, path: str | os.PathLike[str] | None = None) -> tuple[Bundle, ...]:
        """Every model that ``path`` stands for; None for the shipped one.

        ``path``: the folder of a bundle; the folder of a finished run, whose folds' models are meant together; a file
        of ``ossa bundle pack``, or one bundle in it (``model.ossa/bundle0``). Raises BundleError as ``load`` does,
        and for a run that is not finished or wrote no models.
        """
        if path is None:
            return (cls._in_folder(default_bundle(), "ossa was installed without its model"),)
        where = Path(path)
        if is_packed(where):
            archive = Archive.open(where)
            return tuple(cls._in_archive(archive, name) for name in archive.cards)
        if is_packed(where.parent):
            return (cls._in_archive(Archive.open(where.parent), where.name),)
        if not (where / CARD).exists() and is_run(where):
            return tuple(cls._in_folder(folder) for folder in bundles_of_run(where))
        return (cls._in_folder(where),)

    @classmethod
    def _in_folder(cls, folder: Path, what: str = "is not a model bundle") -> Bundle:
        if folder.name == CARD and folder.is_file():
            folder = folder.parent
        card_path = folder / CARD
        if not card_path.is_file():
            raise BundleError(
                what,
                path=folder,
                found="no such folder" if not folder.exists() else "no card.json in it",
                expected="a folder with card.json, model.onnx and model.safetensors",
                remedy="Give the folder of a bundle or of a run, or a packed model, with --model",
            )
        card = _read_card(read_json, card_path)
        ahead(folder / name for name in card.files if Path(name).name == name)
        for name, expected in card.files.items():
            _verify(folder, name, expected)
        _require_onnx(card, card_path)
        return cls(folder, card)

    @classmethod
    def _in_archive(cls, archive: Archive, name: str) -> Bundle:
        path = archive.path / name
        if name not in archive.cards:
            raise BundleError("there is no such bundle in it", path=path, expected=", ".join(archive.cards))

        def read(_path: Path, limit: int) -> Any:
            if archive.sizes.get(f"{name}/{CARD}", 0) > limit:
                raise InputError("the file is too large", path=path / CARD)
            try:
                return parse_json(archive.read(f"{name}/{CARD}", archive.cards[name]).decode("utf-8"))
            except (ValueError, RecursionError) as error:
                raise InputError("is not valid JSON", path=path / CARD, found=str(error)) from error

        card = _read_card(read, path / CARD)
        for file, expected in card.files.items():
            archive.check(f"{name}/{file}", expected)
        _require_onnx(card, path / CARD)
        return cls(path, card, archive)

    @contextmanager
    def unpacked(self) -> Iterator[Bundle]:
        """This bundle as files for readers that need them: itself, or a copy in a temporary folder that is removed."""
        if self.archive is None:
            yield self
            return
        with tempfile.TemporaryDirectory(prefix="ossa-model-") as temporary:
            folder = Path(temporary)
            for name in self.card.files:
                inside(folder, name).write_bytes(self.read_packed(name) or b"")
            write_json(folder / CARD, self.card.to_json())
            yield Bundle(folder, self.card)

    def rewrite_card(self, card: Card) -> Bundle:
        """Put ``card`` in place of the bundle's own (new thresholds, figures); the files stay.

        Raises BundleError for a packed one.
        """
        self.refuse_packed()
        card.check(self.path / CARD)
        updated = replace(card, files=self.card.files, quick=self.card.quick)
        write_json(self.path / CARD, updated.to_json())
        return Bundle(self.path, updated)

    def refuse_packed(self) -> None:
        """Raise BundleError for a packed bundle, which is not altered."""
        if self.archive is not None:
            raise BundleError(
                "a packed model is not altered", path=self.archive.path, remedy="Alter its folder, and pack it again"
            )

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
        with self.unpacked() as files:
            state = read_weights(files.weights_path)
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


def put_quick(bundle: Bundle, data: bytes) -> Bundle:
    """Have ``data``, the network of ``bundle`` as an ONNX file in 8 bits, stand for it on CPUs.

    Whether both find the same bones is for the caller to check.
    """
    bundle.refuse_packed()
    path = bundle.path / QUICK
    write_bytes(path, data)
    card = replace(bundle.card, files={**bundle.card.files, QUICK: sha256(path)}, quick=QUICK)
    write_json(bundle.path / CARD, card.to_json())
    return Bundle(bundle.path, card)


def default_bundle() -> Path:
    """The folder of the shipped bundle."""
    return SHIPPED


@contextmanager
def weights_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """The weight file that ``path`` stands for: of a model its own, whose hash is checked; else ``path`` itself.

    Raises BundleError as ``Bundle.load`` does.
    """
    where = Path(path)
    if not where.is_dir() and not is_packed(where) and not is_packed(where.parent):
        yield where
        return
    with Bundle.load(where).unpacked() as bundle:
        yield bundle.weights_path


def _read_card(read: Callable[[Path, int], Any], path: Path) -> Card:
    """The card at ``path``, which lists the files of its model."""
    try:
        card = Card.from_json(read(path, _MAX_CARD_BYTES), path)
    except BundleError:
        raise
    except InputError as error:
        raise BundleError("the card cannot be read", path=path, found=error.found or error.what) from error
    if not card.files:
        raise BundleError("the card lists no files", path=path, expected="the SHA-256 of every file")
    return card


def _require_onnx(card: Card, path: Path) -> None:
    if ONNX not in card.files:  # it would be opened without a look at its hash
        raise BundleError(f"the card lists no {ONNX}", path=path, found=", ".join(card.files)[:160])


def _verify(folder: Path, name: str, expected: str) -> None:
    try:
        path = inside(folder, name)
    except InputError as error:
        raise BundleError("the card names a file outside the bundle", path=folder / CARD, found=repr(name)) from error
    if not path.is_file():
        raise BundleError("a file of the bundle is missing", path=path, remedy="Copy the whole folder again")
    try:
        found = digest(path)
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
        written = replace(card, files={name: sha256(work / name) for name in (ONNX, WEIGHTS)}, quick="")
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
