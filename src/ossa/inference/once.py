"""One line for one picture: ``ossa.predict("hand.dcm")``. The predictor that it needs is kept for the next call."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from ossa.inference.prediction import Prediction

if TYPE_CHECKING:
    from ossa.inference.networks import BundlePath
    from ossa.inference.predictor import Picture, Predictor


def predict(
    picture: Picture, model: BundlePath | None = None, *, fast: bool = False, device: str = "auto"
) -> Prediction:
    """The bones of a radiograph: a file's path, a grey array (H, W), or a Radiograph.

    ``model``, ``fast`` and ``device`` as ``Predictor.load`` takes them; the model is loaded once and kept for the next
    call, until its files change. Of several hands the surest (``Predictor.predict_hands`` gives all). A notebook shows
    the result; ``.table()`` and ``.plot()`` ask for more. Raises as ``Predictor.load`` and ``Predictor.predict`` do.

    >>> found = ossa.predict("hand.png", fast=True)
    >>> "Radius" in found, found.radiograph.shape == found.shape
    (True, True)
    """
    where = None if model is None else os.fspath(model)
    return _loaded(where, _stamp(where), fast, device).predict(picture)


@lru_cache(maxsize=2)
def _loaded(model: str | None, _written: tuple[int, ...], fast: bool, device: str) -> Predictor:
    from ossa.inference.predictor import Predictor

    return Predictor.load(model, device, fast=fast)


def _stamp(model: str | None) -> tuple[int, ...]:
    """When a model's folder, or its one file, and its card were last written; 0 for what is not there."""
    if model is None:
        return ()
    times = []
    for path in (Path(model), Path(model) / "card.json"):
        try:
            times.append(path.stat().st_mtime_ns)
        except OSError:
            times.append(0)
    return tuple(times)
