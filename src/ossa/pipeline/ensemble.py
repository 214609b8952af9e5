"""The trips behind ``ossa ensemble``: save probabilities, average them, vote over submissions, fit weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ossa.errors import BundleError, ConfigError, DeviceError, InputError, OutputError, SubmissionError, reason_of
from ossa.parallel import read_ahead
from ossa.progress import Track, silent
from ossa.safety import output_folder, refuse_inputs
from ossa.schema import BoneSchema, load_schema

if TYPE_CHECKING:
    from ossa.inference.predictor import Predictor
    from ossa.labels.store import Store
    from ossa.pipeline.films import Film
    from ossa.pipeline.predict import Outcome
    from ossa.segmentation.cleanup import Cleanup

#: Votes that make a pixel bone: half of the weight is enough, so a tie counts as bone.
MAJORITY = 0.5


@dataclass(frozen=True)
class Saved:
    """What a run of ``save_probabilities`` did: images saved now, found from before, skipped with the reason."""

    store: Path
    saved: int
    before: int
    skipped: tuple[str, ...]


def save_probabilities(
    paths: Iterable[str | Path],
    output: str | Path,
    predictor: Predictor,
    *,
    track: Track = silent,
    tell: Callable[[str], None] = lambda _: None,
) -> Saved:
    """Save the mean logits of ``predictor`` for every radiograph of ``paths`` in the store ``output``.

    Images that the store has already are left; a file that cannot be used is skipped. Raises
    ConfigError when another model wrote the store, OutputError when it lies among the radiographs or is written to.
    """
    from ossa.labels.store import Store
    from ossa.pipeline.films import find_films

    given = [Path(path) for path in paths]
    films = find_films(given, output, tell)
    with output_folder(output, [*given, *(film.path for film in films)], ("store.json",)):
        store = Store.create(output, predictor.schema, predictor.networks.source())
        return _save(films, store, predictor, track, tell)


def _save(
    films: Sequence[Film], store: Store, predictor: Predictor, track: Track, tell: Callable[[str], None]
) -> Saved:
    from ossa.radiograph.read import read_radiograph

    waiting = [film for film in films if film.image_name not in store]
    skipped = []
    stream = read_ahead(waiting, lambda film: read_radiograph(film.path))
    for film, radiograph in track(stream, len(waiting), "Saving probabilities"):
        try:
            if isinstance(radiograph, Exception):
                raise radiograph
            look = predictor.networks.look(predictor.networks.prepare(radiograph))
            store.write(film.image_name, look.logits, look.placement)
        except (DeviceError, OutputError):
            raise
        except Exception as error:  # whatever one file does, the others are done
            skipped.append(reason_of(error, film.path))
            tell(f"skipped: {skipped[-1]}")
    return Saved(store.path, len(waiting) - len(skipped), len(films) - len(waiting), tuple(skipped))


def predict_models(
    paths: Iterable[str | Path],
    output: str | Path,
    predictor: Predictor,
    *,
    track: Track = silent,
    tell: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """``ossa predict`` with an ensemble: the same results in the same places, resumable."""
    from ossa.pipeline.predict import predict_with

    return predict_with(lambda: predictor, paths, output, track=track, tell=tell)


@dataclass(frozen=True)
class SoftVote:
    """``images`` averaged, and the ``files`` written: one, or one at each of several thresholds."""

    images: int
    files: tuple[Path, ...]


def soft_vote(
    stores: Sequence[str | Path],
    output: str | Path,
    *,
    schema: BoneSchema | None = None,
    weights: Sequence[float] | NDArray[np.floating[Any]] | None = None,
    rules: str | Path | None = None,
    thresholds: Sequence[Mapping[str, float]] = (),
    mean: str = "logits",
    track: Track = silent,
) -> SoftVote:
    """Average saved probabilities and write the submission ``output``.

    ``weights``: one per store, or (stores, bones). ``mean``: what is averaged, "logits" (as ``ossa predict`` joins
    several models) or "probabilities". ``rules``: the bundle whose thresholds and clean-up are used; without it the
    threshold is .5 and nothing is cleaned. ``thresholds`` (bone -> probability, "*" for every bone) go before those of
    the rules; of several, each gives a file (``labels.several.named``). Raises InputError when the stores hold
    different images or pictures of different sizes, OutputError when ``output`` lies in one of them.
    """
    from ossa.ensemble.vote import AVERAGES
    from ossa.ensemble.vote import soft_vote as average
    from ossa.labels.several import named, write_submissions
    from ossa.labels.store import Store
    from ossa.segmentation.decode import per_bone

    bones = load_schema() if schema is None else schema
    opened = [Store.open(path, bones) for path in stores]
    _check_given(opened, "store")
    files = named(output, thresholds) if len(thresholds) > 1 else (Path(output),)
    for file in files:
        refuse_inputs(file, stores)
    usual, tidy = _rules(rules, bones)
    if mean not in AVERAGES:
        raise ConfigError(f"there is no mean of '{mean}'", expected="one of " + ", ".join(AVERAGES))
    cuts = [{**usual, **per_bone(bones, given)} for given in (thresholds or [{}])]
    stream = average(opened, weights, cuts, AVERAGES[mean])
    tidied = ((image, [tidy(found) for found in at]) for image, at in stream)
    return SoftVote(write_submissions(files, track(tidied, len(opened[0].images()), "Averaging")), files)


def _rules(bundle: str | Path | None, bones: BoneSchema) -> tuple[Mapping[str, float], Cleanup]:
    from ossa.bundle.bundle import Bundle
    from ossa.segmentation.cleanup import Cleanup

    if bundle is None:
        return {}, Cleanup()
    card = Bundle.load(bundle).card
    if card.schema.names != bones.names:
        raise BundleError("the bundle finds other bones", path=bundle, found=card.schema.name, expected=bones.name)
    return card.thresholds, card.cleanup or Cleanup()


def vote(
    submissions: Sequence[str | Path],
    output: str | Path,
    *,
    schema: BoneSchema | None = None,
    weights: Sequence[float] | NDArray[np.floating[Any]] | None = None,
    threshold: float = MAJORITY,
    shape: tuple[int, int] | Mapping[str, tuple[int, int]],
    track: Track = silent,
) -> int:
    """Let submission files vote pixel by pixel and write the result; the number of images.

    A pixel is bone where the files that say so hold at least ``threshold`` of the total weight:
    with .5 a tie is bone. ``weights``: one per file, or (files, bones). ``shape`` (H, W) of the
    images, or one per image name. Rows may stand in any order; an empty mask
    votes against. Everything happens on run lengths, one image at a time. Raises SubmissionError
    for a malformed file or run, InputError when the files hold different images, OutputError when ``output`` is one
    of them.
    """
    from ossa.ensemble.vote import same_images
    from ossa.inference.networks import member_weights
    from ossa.labels.submission import read_submission, write_texts
    from ossa.segmentation.rle import runs_from_text, text_from_runs
    from ossa.segmentation.runs import vote as vote_runs

    bones = load_schema() if schema is None else schema
    _check_given(submissions, "submission")
    refuse_inputs(output, submissions)
    files = [read_submission(path, bones, shape) for path in submissions]
    images = same_images({str(file.path): list(file) for file in files})
    shares = member_weights(weights, len(files), len(bones)).astype(np.float64)

    def rows() -> Iterator[tuple[str, dict[str, str]]]:
        for image in track(images, len(images), "Voting"):
            here = files[0].shape(image)
            texts = [file.texts(image) for file in files]
            voted = {}
            for i, name in enumerate(bones.names):
                masks = []
                for file, said in zip(files, texts, strict=True):
                    try:
                        masks.append(runs_from_text(said[name], here))
                    except SubmissionError as error:
                        raise SubmissionError(
                            f"{image}, {name}: {error.what}", path=file.path, found=error.found, expected=error.expected
                        ) from error
                voted[name] = text_from_runs(vote_runs(masks, [float(w) for w in shares[:, i]], threshold))
            yield image, voted

    return write_texts(output, rows())


@dataclass(frozen=True, eq=False)
class Fitted:
    """Weights per bone and what they gain, ready to be written."""

    schema: BoneSchema
    members: tuple[str, ...]
    weights: NDArray[np.float64]
    uniform: NDArray[np.float64]
    selected: NDArray[np.float64]

    def mean_gain(self) -> float:
        """Mean gain over all bones, 0 for those that keep equal weights."""
        return float(np.nan_to_num(np.maximum(self.selected - self.uniform, 0.0)).mean())

    def to_json(self) -> dict[str, Any]:
        """For ``ossa ensemble soft --weights FILE``."""
        return {
            "schema": self.schema.name,
            "members": list(self.members),
            "note": "Dice of equal and of selected weights, each on subjects that the selection had not seen",
            "bones": {
                name: {
                    "weights": [round(float(w), 6) for w in self.weights[:, i]],
                    "uniform": _rounded(self.uniform[i]),
                    "selected": _rounded(self.selected[i]),
                }
                for i, name in enumerate(self.schema.names)
            },
        }


def _rounded(value: float) -> float | None:
    """None for a bone that was not asked for."""
    return None if np.isnan(value) else round(float(value), 6)


def fit_weights(
    stores: Sequence[str | Path],
    dataset: str | Path,
    *,
    schema: BoneSchema | None = None,
    track: Track = silent,
) -> Fitted:
    """Fit one weight per store and bone on out-of-fold probabilities against the truth of ``dataset``.

    The stores must be out-of-fold: each image's probabilities from a model that has not seen its
    subject. The search scores masks on the network's grid (inference.ensemble.select_weights).
    Raises InputError when an image has no truth or the stores' images differ.
    """
    from ossa.dataset.dataset import open_dataset
    from ossa.ensemble.vote import same_images, select_weights
    from ossa.labels.store import Store

    bones = load_schema() if schema is None else schema
    opened = [Store.open(path, bones) for path in stores]
    _check_given(opened, "store")
    images = same_images({str(store.path): store.images() for store in opened})
    cases = open_dataset(dataset, bones).labelled_by_image(images)
    missing = [image for image in images if image not in cases]
    if missing:
        raise InputError(
            "images without truth",
            path=dataset,
            found=", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else ""),
            expected="a label for every image of the stores",
        )
    scorer = _GridDice(opened, bones)
    for image in track(images, len(images), "Reading truth"):
        scorer.add(image, cases[image])
    groups = [cases[image].subject for image in images]
    found = select_weights(scorer, groups, len(opened), len(bones))
    return Fitted(bones, tuple(str(path) for path in stores), found.weights, found.uniform, found.selected)


class _GridDice:
    """Dice (images, bones) of weighted means of saved logits, on the network's grid.

    Per image and bone only the box where any member or the truth has something is kept, 16-bit:
    about 40 kB per image and member.
    """

    def __init__(self, stores: Sequence[Store], schema: BoneSchema) -> None:
        self._stores = stores
        self._schema = schema
        self._boxes: list[list[tuple[NDArray[np.float16], NDArray[np.bool_]]]] = []

    def add(self, image: str, case: Any) -> None:
        from ossa.ensemble.vote import mean_logits
        from ossa.segmentation.decode import scales
        from ossa.segmentation.outlines import bits_from_outlines, map_outlines

        count = len(self._stores)
        first, placement = mean_logits(self._stores, image, np.full((count, len(self._schema)), 1 / count, np.float32))
        members = []
        for m in range(count):
            share = np.zeros((count, len(self._schema)), np.float32)
            share[m] = 1
            members.append(mean_logits(self._stores, image, share)[0])
        height, width = first.shape[1:]
        scale_y, scale_x = scales((height, width), placement)
        outlines = map_outlines(case.outlines(self._schema), lambda p: (p + 0.5) * (scale_x, scale_y) - 0.5)
        truth = bits_from_outlines(outlines, self._schema, (height, width))
        rows = []
        for i in range(len(self._schema)):
            plane = (truth[i // 32] >> np.uint32(i % 32)) & 1 == 1
            logits = np.stack([member[i] for member in members])
            any_bone = plane | (logits.max(axis=0) > 0)
            ys, xs = np.flatnonzero(any_bone.any(axis=1)), np.flatnonzero(any_bone.any(axis=0))
            box = np.s_[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1] if ys.size else np.s_[:0, :0]
            rows.append((logits[:, *box].astype(np.float16), plane[box]))
        self._boxes.append(rows)

    def __call__(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        out = np.empty((len(self._boxes), len(self._schema)))
        for n, rows in enumerate(self._boxes):
            for i, (logits, truth) in enumerate(rows):
                mean = np.tensordot(weights[:, i].astype(np.float32), logits.astype(np.float32), axes=1)
                found = mean > 0
                out[n, i] = (2 * np.count_nonzero(found & truth) + 1e-4) / (found.sum() + truth.sum() + 1e-4)
        return out


def read_weights(path: str | Path, schema: BoneSchema, members: int) -> NDArray[np.float64]:
    """The (members, bones) weights of a file that ``fit_weights`` filled. Raises ConfigError when they do not fit."""
    from ossa.safety import read_json

    value = read_json(path, 10_000_000)
    try:
        out = np.array([value["bones"][name]["weights"] for name in schema.names], np.float64).T
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"{path}: not a file of weights",
            found=f"{type(error).__name__}: {error}",
            expected="from 'ossa ensemble fit'",
        ) from error
    if out.shape != (members, len(schema)):
        raise ConfigError(f"{path}: weights for other members", found=out.shape, expected=(members, len(schema)))
    return out


def load_models(
    models: Sequence[str | Path], device: str, weights: Sequence[float] | None, tta: str, tile: int | None
) -> Predictor:
    """A predictor of one or several bundles (none: the shipped one) from command-line words."""
    from ossa.inference.predictor import Predictor
    from ossa.inference.tiles import Tiles
    from ossa.inference.views import parse_views

    tiles = None if tile is None else Tiles(tile)
    return Predictor.load(list(models) or None, device, weights=weights, views=parse_views(tta), tiles=tiles)


def image_sizes(paths: Iterable[str | Path]) -> dict[str, tuple[int, int]]:
    """The (H, W) of every radiograph of ``paths`` by image name, from the files' headers."""
    from ossa.pipeline.films import find_films
    from ossa.radiograph.read import read_size

    return {film.image_name: read_size(film.path) for film in find_films(paths, None)}


def _check_given(given: Sequence[object], what: str) -> None:
    if not given:
        raise ConfigError(f"no {what} was given", expected="at least one")
