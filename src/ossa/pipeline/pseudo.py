"""Labelling unlabelled radiographs with models, for training: what is sure enough is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ossa.config import Pseudo
from ossa.errors import BundleError, ConfigError, ImageError
from ossa.progress import Track, silent
from ossa.schema import BoneSchema

if TYPE_CHECKING:
    from ossa.inference.predictor import Predictor
    from ossa.training.pseudo import Kept


def make_pseudo(wanted: Pseudo, schema: BoneSchema, folder: Path, track: Track = silent) -> tuple[int, int]:
    """Predict ``wanted.images``, write what passes the floor below ``folder``; (pictures kept, left out).

    Raises ConfigError when nothing passes, BundleError for a model of other bones, InputError for no pictures.
    """
    from ossa.inference.predictor import Predictor
    from ossa.pipeline.films import find_films
    from ossa.radiograph.read import read_radiograph
    from ossa.training.pseudo import keep, write_index, write_pseudo

    models: Sequence[str] | None = list(wanted.models) or None
    # Not judged: what is kept is decided by the floor, which is the network's own probability.
    predictor = replace(Predictor.load(models, weights=list(wanted.weights) or None), judge=None)
    if predictor.schema.names != schema.names:
        raise BundleError(
            "the model for pseudo-labels finds other bones",
            found=predictor.schema.name,
            expected=f"bones={schema.name}",
        )
    kept: list[Kept] = []
    left_out: dict[str, str] = {}
    films = find_films(wanted.images, folder)
    for film in track(films, len(films), "pseudo-labels"):
        try:
            found = predictor.predict(read_radiograph(film.path))
        except ImageError as error:
            left_out[str(film.path)] = str(error)
            continue
        sure = keep(found, wanted.floor)
        if len(sure) < wanted.min_bones:
            left_out[str(film.path)] = f"{len(sure)} bones at probability {wanted.floor:g} or more"
            continue
        kept.append(write_pseudo(folder, film.path.resolve(), film.name, sure))
    if not kept:
        raise ConfigError(
            "no picture passes as a pseudo-label",
            found=f"{len(left_out)} left out, such as {next(iter(left_out.items()))}",
            remedy="Lower pseudo.floor or pseudo.min_bones",
        )
    write_index(folder, _provenance(wanted, predictor), kept, left_out)
    return len(kept), len(left_out)


def _provenance(wanted: Pseudo, predictor: Predictor) -> dict[str, Any]:
    models = [{"name": m.bundle.card.name, "files": dict(m.bundle.card.files)} for m in predictor.networks.members]
    return {"models": models, "weights": list(wanted.weights), "floor": wanted.floor, "min_bones": wanted.min_bones}
