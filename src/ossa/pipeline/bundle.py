"""The trips behind ``ossa bundle``: a model for other runtimes, with proof that it is the same, or as one file."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ossa.errors import ConfigError, MissingExtraError
from ossa.safety import output_folder, sha256, write_bytes, write_json, write_text
from ossa.schema import load_schema

if TYPE_CHECKING:
    from ossa.bundle.bundle import Bundle
    from ossa.bundle.card import Card
    from ossa.inference.engine import Engine
    from ossa.radiograph.prepare import Placement
    from ossa.radiograph.radiograph import Radiograph

Float = NDArray[np.float32]

#: What counts as the same model: largest difference of a logit; mean Dice of the decoded bones.
LOGIT_LIMIT = 1e-3
DICE_LIMIT = 0.999

#: Phantoms that stand in when no images are given: far from the seeds that training draws.
PHANTOM_SEEDS = (990_000_001, 990_000_002, 990_000_003, 990_000_004)

#: Mean Dice of the bones with those of the float network from which on the 8-bit file stands for it on CPUs.
QUICK_LIMIT = 0.98

#: Of the pictures that a prediction asks its network about, every so manieth calibrates the 8-bit model.
ASKED_STEP = 3

#: Phantoms that calibrate the 8-bit model when no images are given; none of them is compared on.
CALIBRATION_SEEDS = tuple(range(991_000_001, 991_000_013))


@dataclass(frozen=True)
class Parity:
    """One exported form against the bundle's own network.

    ``logits_max``: largest difference; ``dice_mean`` over bones and images, ``dice_min`` the worst
    bone; ``pixels``: differing pixels over all images and bones; ``ms``: median time of one run.
    """

    form: str
    file: str
    bytes: int
    sha256: str
    logits_max: float
    dice_mean: float
    dice_min: float
    pixels: int
    ms: float

    @property
    def exact(self) -> bool:
        """Whether this is the same model within LOGIT_LIMIT and DICE_LIMIT."""
        return self.logits_max <= LOGIT_LIMIT and self.dice_mean >= DICE_LIMIT


@dataclass(frozen=True)
class Exported:
    """What ``export_bundle`` wrote."""

    folder: Path
    reference: str
    images: tuple[str, ...]
    forms: tuple[Parity, ...]

    def to_json(self) -> dict[str, Any]:
        """As parity.json."""
        return {
            "reference": self.reference,
            "limits": {"logits_max": LOGIT_LIMIT, "dice_mean": DICE_LIMIT},
            "images": list(self.images),
            "forms": [{**asdict(form), "same_model": form.exact} for form in self.forms],
        }

    def to_text(self) -> str:
        """As parity.txt: a table to read."""
        lines = [
            f"Compared on {len(self.images)} pictures with the reference: {self.reference}",
            f"The same model: logits within {LOGIT_LIMIT:g} and mean Dice of at least {DICE_LIMIT}.",
            "",
            f"{'form':9} {'file':28} {'MB':>6} {'logits':>9} {'Dice':>8} {'worst':>7} {'pixels':>8} {'ms':>7}  same",
        ]
        lines += [
            f"{f.form:9} {f.file:28} {f.bytes / 1e6:6.2f} {f.logits_max:9.2e} {f.dice_mean:8.5f} {f.dice_min:7.4f} "
            f"{f.pixels:8d} {f.ms:7.1f}  {'yes' if f.exact else 'no'}"
            for f in self.forms
        ]
        return "\n".join(lines) + "\n"


def export_bundle(
    model: str | Path | None,
    output: str | Path,
    *,
    static: Sequence[tuple[int, int]] = (),
    eight_bit: bool = False,
    openvino: bool = False,
    images: Sequence[str | Path] = (),
    tell: Callable[[str], None] = lambda _: None,
) -> Exported:
    """Write the model of a bundle for other runtimes into the folder ``output``, with a table of parity.

    Always model.onnx (free sizes); ``static`` shapes (H, W) as model_HxW.onnx; ``eight_bit``
    model_int8.onnx; ``openvino`` model.xml and model.bin; card.json; parity.json and parity.txt; and the small networks
    that go with the model (bundle.companions).
    The folder is a bundle without torch weights, which ``ossa predict --model`` takes; on CPUs it then runs in 8 bits
    (``Card.quick``) where the bones are the same within QUICK_LIMIT.
    Compared (and for 8 bit calibrated) on ``images``, or on phantoms when none are given.
    Raises BundleError, MissingExtraError, ConfigError, OutputError.
    """
    from ossa.bundle.bundle import Bundle

    _check_installed(openvino, images)
    with Bundle.load(model).unpacked() as bundle:
        inputs = [bundle.path if model is None else model, *images]
        return _export(bundle, Path(output), inputs, static, eight_bit, openvino, images, tell)


def pack_models(models: Sequence[str | Path], output: str | Path) -> list[str]:
    """Write ``models`` as the one file ``output``, which every ``--model`` takes; the names of the networks in it.

    ``models``: whatever ``Bundle.load_all`` takes, the shipped one where there is none; several, or a run's folds, are
    an ensemble. Raises BundleError (also for models of different bones), ConfigError, OutputError.
    """
    from contextlib import ExitStack

    from ossa.bundle.bundle import CARD, Bundle
    from ossa.bundle.packed import ENDING, MAX_BUNDLES, write_archive
    from ossa.inference.networks import check_same_bones
    from ossa.safety import refuse_inputs

    target = Path(output)
    if target.suffix != ENDING:
        raise ConfigError("a packed model is called so", found=target.name, expected=f"a name that ends in {ENDING}")
    given: Sequence[str | Path | None] = models or [None]
    bundles = [bundle for model in given for bundle in Bundle.load_all(model)]
    if len(bundles) > MAX_BUNDLES:
        raise ConfigError("these are too many networks for one model", found=len(bundles), expected=f"{MAX_BUNDLES}")
    for bundle in bundles[1:]:
        check_same_bones(bundles[0], bundle)
    refuse_inputs(target, [*models, *(bundle.path for bundle in bundles)])
    with ExitStack() as files:
        folders = [files.enter_context(bundle.unpacked()).path for bundle in bundles]
        named = [
            (f"bundle{number}", {name: folder / name for name in (CARD, *bundle.card.files)})
            for number, (folder, bundle) in enumerate(zip(folders, bundles, strict=True))
        ]
        write_archive(target, named)
    return [bundle.card.name for bundle in Bundle.load_all(target)]


def _export(
    bundle: Bundle,
    folder: Path,
    inputs: Sequence[str | Path],
    static: Sequence[tuple[int, int]],
    eight_bit: bool,
    openvino: bool,
    images: Sequence[str | Path],
    tell: Callable[[str], None],
) -> Exported:
    from ossa.bundle import deploy
    from ossa.bundle.bundle import CARD
    from ossa.bundle.companions import companions
    from ossa.inference.engine import OnnxEngine, OpenVinoEngine
    from ossa.radiograph.prepare import prepare

    if bundle.card.channels != 1:
        raise ConfigError("a network with a context channel cannot be exported by itself", found=bundle.card.name)
    with output_folder(folder, inputs, ("parity.json",)):
        preparation = bundle.card.preparation
        reference, named = _reference(bundle)
        pictures = [
            (name, *prepare(radiograph, preparation)) for name, radiograph in _pictures(images, PHANTOM_SEEDS, bundle)
        ]
        made: list[tuple[str, Path, Engine, tuple[int, int] | None]] = []

        tell("model.onnx")
        deploy.dynamic_onnx(bundle, folder / "model.onnx")
        made.append(("dynamic", folder / "model.onnx", OnnxEngine(folder / "model.onnx"), None))
        for height, width in static:
            path = folder / f"model_{height}x{width}.onnx"
            tell(path.name)
            deploy.static_onnx(bundle, path, (height, width))
            made.append(("static", path, OnnxEngine(path), (height, width)))
        if eight_bit:
            path = folder / "model_int8.onnx"
            tell(path.name)
            radiographs = (radiograph for _, radiograph in _pictures(images, CALIBRATION_SEEDS, bundle))
            deploy.int8_onnx(bundle, path, asked_of(bundle, radiographs))
            made.append(("8-bit", path, OnnxEngine(path), None))
        if openvino:
            path = folder / "model.xml"
            tell(path.name)
            deploy.openvino_ir(bundle, path)
            made.append(("OpenVINO", path, OpenVinoEngine(path), None))
        forms = []
        for form, path, engine, shape in made:
            tell(f"comparing {path.name}")
            seen = [_on_grid(grid, placement, shape) for _, grid, placement in pictures]
            forms.append(_parity(form, path, engine, reference, bundle, seen))
        quick = next((form.file for form in forms if form.form == "8-bit" and form.dice_mean >= QUICK_LIMIT), "")
        beside = companions(bundle)
        for name, data in beside.items():
            write_bytes(folder / name, data)
        card = _card_of(bundle.card, [*(path for _, path, _, _ in made), *(folder / name for name in beside)])
        write_json(folder / CARD, replace(card, quick=quick).to_json())
        result = Exported(folder, named, tuple(name for name, _, _ in pictures), tuple(forms))
        write_json(folder / "parity.json", result.to_json())
        write_text(folder / "parity.txt", result.to_text())
    return result


def _check_installed(openvino: bool, images: Sequence[str | Path]) -> None:
    """Raise MissingExtraError that names every extra that this export lacks, before anything is written."""
    needed = {"onnx": "export"}
    if openvino:
        needed["openvino"] = "openvino"
    if not images:
        needed["numba"] = "phantom"
    missing = {package: extra for package, extra in needed.items() if not is_installed(package)}
    if missing:
        other = "" if "numba" not in missing else "; or compare on pictures of your own: --image"
        raise MissingExtraError(
            "this export needs packages that are not installed",
            found="no " + ", no ".join(missing),
            remedy=f"Run: pip install 'ossa[{','.join(missing.values())}]'{other}",
        )


def is_installed(package: str) -> bool:
    """Whether ``package`` can be imported, without importing it."""
    try:
        return find_spec(package) is not None
    except ValueError:  # its place in sys.modules is taken by something that is no module
        return False


def _on_grid(grid: Float, placement: Placement, shape: tuple[int, int] | None) -> tuple[Float, Placement]:
    """A prepared picture (1, H, W) on a fixed grid: padded with 0 to ``shape``, cut where it is larger."""
    if shape is None:
        return grid, placement
    height, width = min(grid.shape[1], shape[0]), min(grid.shape[2], shape[1])
    out = np.zeros((1, *shape), np.float32)
    out[:, :height, :width] = grid[:, :height, :width]
    content = (min(placement.content_shape[0], height), min(placement.content_shape[1], width))
    seen = zip(placement.image_shape, content, (placement.scale_y, placement.scale_x), strict=True)
    tall, wide = (min(side, max(1, round(length / scale))) for side, length, scale in seen)
    return out, replace(placement, image_shape=(tall, wide), grid_shape=shape, content_shape=content)


def _card_of(card: Card, paths: Sequence[Path]) -> Card:
    """``card`` with the hashes of the exported files in place of the bundle's own: the export is a bundle again."""
    weights = [path.with_suffix(".bin") for path in paths if path.suffix == ".xml"]
    return replace(card, files={path.name: sha256(path) for path in [*paths, *weights]})


def _reference(bundle: Bundle) -> tuple[Engine, str]:
    """The bundle's network in torch where torch is installed, else its ONNX file."""
    from ossa.inference.engine import open_engine

    try:
        return open_engine(bundle, "torch:cpu"), "the weights in torch, 32 bit"
    except MissingExtraError:
        return open_engine(bundle, "onnx:cpu"), "the bundle's own ONNX file (torch is not installed)"


def asked_of(bundle: Bundle, radiographs: Iterable[Radiograph]) -> Iterator[Float]:
    """Pictures (C, H, W) that predictions of the ``radiographs`` ask the bundle's network about: whole hands, closer
    looks, mirrored and smaller ones; every ASKED_STEP-th of them.
    """
    from ossa.inference.predictor import Predictor

    asked: list[Float] = []
    predictor = Predictor.load(bundle.path, "onnx:cpu")
    (member,) = predictor.networks.members
    engine = member.engine

    class Listening:
        description = engine.description

        def __call__(self, batch: Float) -> Float:
            asked.extend(batch)
            return engine(batch)

    networks = replace(predictor.networks, members=(replace(member, engine=Listening()),))
    listening = replace(predictor, networks=networks)
    for radiograph in radiographs:
        listening.predict_hands(radiograph)
        yield from asked[::ASKED_STEP]
        asked.clear()


def _pictures(images: Sequence[str | Path], seeds: Iterable[int], bundle: Bundle) -> Iterator[tuple[str, Radiograph]]:
    """The pictures to compare on: those given, or phantoms of a hand. Raises ConfigError for other bones without."""
    if images:
        from ossa.radiograph.read import read_radiograph

        for path in images:
            yield Path(path).name, read_radiograph(path)
        return
    bones = bundle.card.schema
    if bones.names != load_schema().names:
        raise ConfigError(
            "there are no phantoms of these bones without meshes",
            found=f"a model of schema {bones.name}",
            expected="pictures to compare the network's forms on",
            remedy="Give some with --images",
        )
    try:
        from ossa.phantom.scene import generate
    except ImportError as error:
        raise MissingExtraError.of("comparing on phantoms (or give --images)", "phantom", error) from error
    for seed in seeds:
        yield f"phantom {seed}", generate(seed, 2 * bundle.card.preparation.size)[0]


def _parity(
    form: str,
    path: Path,
    engine: Engine,
    reference: Engine,
    bundle: Bundle,
    pictures: Sequence[tuple[Float, Placement]],
) -> Parity:
    from ossa.segmentation.compare import dice
    from ossa.segmentation.decode import decode

    card = bundle.card
    largest, pixels = 0.0, 0
    scores: list[float] = []
    times: list[float] = []
    for grid, placement in pictures:
        full = reference(grid[None])[0]
        started = time.perf_counter()
        logits = engine(grid[None])[0]
        times.append(1000 * (time.perf_counter() - started))
        largest = max(largest, float(np.abs(logits - full).max()))
        found = decode(logits, placement, card.schema, card.thresholds)
        truth = decode(full, placement, card.schema, card.thresholds)
        for name in card.schema.names:
            scores.append(dice(found.get(name), truth.get(name)))
            pixels += int(np.count_nonzero(found.plane(name) != truth.plane(name)))
    return Parity(
        form=form,
        file=path.name,
        bytes=path.stat().st_size + (path.with_suffix(".bin").stat().st_size if path.suffix == ".xml" else 0),
        sha256=sha256(path),
        logits_max=largest,
        dice_mean=statistics.fmean(scores),
        dice_min=min(scores),
        pixels=pixels,
        ms=statistics.median(times),
    )
