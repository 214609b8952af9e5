"""The predictor that a command's options ask for, wherever it is to work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ossa.errors import DeviceError
from ossa.parallel.pool import Needs

if TYPE_CHECKING:
    from ossa.inference.predictor import Predictor


class Loaded:
    """A predictor that is loaded once in each process; to another one only the way to load it travels.

    ``load`` must be one that travels: a function of a module, or ``functools.partial`` of one. ``settings``: what a
    machine elsewhere must come to as well.
    """

    def __init__(self, load: Callable[[], Predictor], settings: Mapping[str, Any] | None = None) -> None:
        self._load, self._settings = load, settings
        self._loaded: Predictor | None = None

    def __call__(self) -> Predictor:
        """The predictor. Raises DeviceError where it would not give the results of the machine that leads."""
        if self._loaded is None:
            loaded = self._load()
            if self._settings is not None and loaded.settings() != self._settings:
                raise DeviceError(
                    "a machine of the cluster runs the model otherwise than the one that leads",
                    found=loaded.description,
                    remedy="Give --device onnx:cpu, which is the same on all",
                )
            self._loaded = loaded
        return self._loaded

    def __reduce__(self) -> tuple[type[Loaded], tuple[Callable[[], Predictor], Mapping[str, Any]]]:
        return Loaded, (self._load, self().settings())

    def needs(self) -> Needs:
        """What a worker with this predictor takes of a machine of a cluster."""
        from ossa.inference.engine import THREADS

        gpus = 1 if "cuda" in self().description.lower() else 0
        return Needs(THREADS, gpus, remedy="Give fewer --workers, or larger machines")


def usual_predictor(model: str | Path | None, device: str, looks: str, tile: int | None = None) -> Predictor:
    """What ``predict`` asks: every look, the closer one at the wrist, and a judge of the result."""
    from ossa.inference.predictor import Predictor
    from ossa.inference.tiles import Tiles
    from ossa.inference.views import parse_views

    views = None if looks == "auto" else parse_views(looks)
    return Predictor.load(model, device=device, views=views, tiles=None if tile is None else Tiles(tile))


def fast_predictor(model: str | Path | None, device: str, tile: int | None = None) -> Predictor:
    """One look at each picture, none closer, and no judge."""
    from ossa.inference.predictor import Predictor
    from ossa.inference.tiles import Tiles

    return Predictor.load(model, device=device, fast=True, tiles=None if tile is None else Tiles(tile))


def asked_predictor(
    model: str | Path | None,
    device: str,
    looks: str,
    thresholds: Mapping[str, float],
    *,
    fast: bool,
    tile: int | None = None,
) -> Predictor:
    """The predictor that a command's options ask for: the usual one or the fast one, with ``thresholds``."""
    loaded = fast_predictor(model, device, tile) if fast else usual_predictor(model, device, looks, tile)
    return with_thresholds(loaded, thresholds)


def with_thresholds(predictor: Predictor, thresholds: Mapping[str, float]) -> Predictor:
    """The same predictor with other ``thresholds`` (bone -> probability, "*" for every bone) than its model's."""
    from ossa.segmentation.decode import per_bone

    given = per_bone(predictor.schema, thresholds)
    return replace(predictor, thresholds={**predictor.thresholds, **given}) if given else predictor
