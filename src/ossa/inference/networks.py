"""The networks of a prediction: a radiograph goes in, logits come out, and nothing is decided yet.

    networks = Networks.load()                        # the shipped model through ONNX Runtime
    look = networks.look(networks.prepare(radiograph))

Logits of all members and views are averaged on the finest network grid among them. Where the networks are unsure,
the picture is also tried on its side and upside down (inference.upright); the logits always lie as the picture does.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ossa.bundle.bundle import Bundle
from ossa.bundle.hashes import ahead_of
from ossa.errors import BundleError, ConfigError
from ossa.inference.by_rows import told_by_rows
from ossa.inference.engine import Engine, lanes_of, libraries, open_engine, runs_quick
from ossa.inference.tiles import Tiles, run_tiled, run_whole
from ossa.inference.upright import SURE, quarter_turn, sureness, turned
from ossa.inference.views import PLAIN, View, look, look_back
from ossa.parallel import at_once
from ossa.radiograph.prepare import Placement, Preparation, prepare
from ossa.schema import BoneSchema
from ossa.segmentation.decode import logit, resample_logits

if TYPE_CHECKING:
    from ossa.radiograph.radiograph import Radiograph

Float = NDArray[np.float32]
BundlePath = str | os.PathLike[str]

#: A picture on every grid that a member asks for: preparation -> ((1, H, W), Placement).
Prepared = Mapping[Preparation, tuple[Float, Placement]]

#: What a network said of views of one picture, on the views' own grids.
Said = dict[View, Float]


@dataclass(frozen=True, eq=False)
class Member:
    """One network of several; ``weight`` (bones,) is its share in each bone's mean; ``quick``: it runs in 8 bits."""

    bundle: Bundle
    engine: Engine
    preparation: Preparation
    weight: Float
    quick: bool = False


@dataclass(frozen=True, eq=False)
class Look:
    """What the networks see in a picture: ``logits`` (bones, h, w) over the whole grid of ``placement``.

    ``angle``: the quarter turn in degrees (0, 180, 90 or -90) under which they looked. The logits are turned back.
    """

    logits: Float
    placement: Placement
    angle: float = 0.0


@dataclass(frozen=True, eq=False)
class Networks:
    """Networks of one schema and how they are asked.

    ``views``: test-time looks (inference.views); ``tiles``: sliding windows, or None for the whole picture at once;
    ``upright``: turn films that lie on their side or upside down; ``rows``: bones are told by their rows first
    (inference.by_rows); ``lanes``: how many views a network is asked at once.
    """

    schema: BoneSchema
    members: tuple[Member, ...]
    views: tuple[View, ...] = PLAIN
    tiles: Tiles | None = None
    upright: bool = True
    rows: bool = False
    lanes: int = 1

    @classmethod
    def load(
        cls,
        model: BundlePath | Sequence[BundlePath] | None = None,
        device: str = "auto",
        *,
        weights: Sequence[float] | NDArray[np.floating] | None = None,
        views: Sequence[View] = PLAIN,
        tiles: Tiles | None = None,
        threads: int | None = None,
    ) -> Networks:
        """The network of ``model``, those of several as an ensemble, or the shipped one (None).

        ``model``: whatever ``Bundle.load_all`` takes; a run's folds are an ensemble. ``device``: see inference.engine.
        ``weights``: one per model given, or (models, bones); equal when not given. The folds of one model share its
        weight. Raises BundleError (also for bundles of different schemas), DeviceError, ConfigError.
        """
        return cls.opened(bundles_of(model), device, weights=weights, views=views, tiles=tiles, threads=threads)

    @classmethod
    def opened(
        cls,
        given: Sequence[Sequence[Bundle]],
        device: str = "auto",
        *,
        weights: Sequence[float] | NDArray[np.floating] | None = None,
        views: Sequence[View] = PLAIN,
        tiles: Tiles | None = None,
        threads: int | None = None,
    ) -> Networks:
        """``load`` with the bundles of each model (``bundles_of``), which are loaded already."""
        bundles = [bundle for several in given for bundle in several]
        schema = bundles[0].card.schema
        for bundle in bundles[1:]:
            check_same_bones(bundles[0], bundle)
        folds = [len(several) for several in given]
        each = member_weights(weights, len(given), len(schema)) / np.array(folds, np.float32)[:, None]
        shares = np.repeat(each, folds, axis=0)
        members = tuple(
            Member(
                bundle, open_engine(bundle, device, threads), bundle.card.preparation, share, runs_quick(bundle, device)
            )
            for bundle, share in zip(bundles, shares, strict=True)
        )
        lanes = min(lanes_of(member.engine) for member in members)
        return cls(schema, members, tuple(views) or PLAIN, tiles, lanes=lanes)

    @property
    def description(self) -> str:
        """Models and device in words."""
        names = ", ".join(member.bundle.card.name for member in self.members)
        return f"{names} ({self.members[0].engine.description})"

    def source(self) -> dict[str, Any]:
        """What decides the logits, as JSON values."""
        return {
            "models": [
                {
                    "name": m.bundle.card.name,
                    "files": dict(m.bundle.card.files),
                    "weights": _rounded(m.weight),
                    "bits": 8 if m.quick else 32,
                }
                for m in self.members
            ],
            "views": [asdict(view) for view in self.views],
            "tiles": None if self.tiles is None else asdict(self.tiles),
            "upright": self.upright,
        }

    def prepare(self, radiograph: Radiograph) -> Prepared:
        """The picture on every grid that a member asks for, for any number of looks."""
        return {p: prepare(radiograph, p) for p in {member.preparation: None for member in self.members}}

    def look(self, prepared: Prepared) -> Look:
        """The mean of all members and views; of a turned picture where that way more bones are sure."""
        said: Said = {}
        logits, placement = self._mean(prepared, self.views, said)
        if not self.upright or sureness(logits) >= SURE:
            return Look(logits, placement)
        first = self.members[0]
        picture = prepared[first.preparation][0]
        angle, seen = quarter_turn(lambda view: self._ask(first, picture, view, said))
        if not angle:
            return Look(logits, placement)
        # What was seen at the surest turn is one of the views that make the mean: it is not asked again.
        return Look(*self._mean(prepared, turned(self.views, angle), {View(angle=angle): seen}), angle)

    def look_through(self, prepared: Prepared, views: Sequence[View], angle: float = 0.0) -> Look:
        """The mean of all members over other ``views`` of the picture turned by ``angle`` degrees, as it lies."""
        return Look(*self._mean(prepared, turned(tuple(views), angle), {}), angle)

    def _mean(self, prepared: Prepared, views: tuple[View, ...], said: Said) -> tuple[Float, Placement]:
        """Mean logits and their placement; ``said``: what the first member said of some views already."""
        logits, placement = self._plain_mean(prepared, views, said)
        return told_by_rows(logits, self.schema) if self.rows else logits, placement

    def _plain_mean(self, prepared: Prepared, views: tuple[View, ...], said: Said) -> tuple[Float, Placement]:
        finest = max(self.members, key=lambda m: m.preparation.size / m.bundle.card.stride)
        placement = prepared[finest.preparation][1]
        stride = finest.bundle.card.stride
        shape = (placement.grid_shape[0] // stride, placement.grid_shape[1] // stride)
        total = np.zeros((0,), np.float32)
        for number, member in enumerate(self.members):
            picture, own = prepared[member.preparation]
            logits = self._member_mean(member, picture, views, said if number == 0 else {})
            if len(self.members) == 1:
                return logits, placement
            if logits.shape[1:] != shape:
                logits = resample_logits(logits, own, placement, shape)
            if number == 0:
                total = np.zeros((len(self.schema), *shape), np.float32)
            total += logits * member.weight[:, None, None]
        return total, placement

    def _member_mean(self, member: Member, picture: Float, views: tuple[View, ...], said: Said) -> Float:
        grid = (picture.shape[1], picture.shape[2])
        multiple = member.preparation.multiple
        mirror = self.schema.mirror_order()
        mean: Float | None = None
        share = sum(view.weight for view in views)
        jobs = [partial(self._ask, member, picture, view, said) for view in views]
        for view, seen in zip(views, at_once(jobs, self.lanes if len(views) > 1 else 1), strict=True):
            if len(views) == 1 and view == PLAIN[0]:
                return seen
            logits = look_back(seen, view, grid, multiple, mirror)
            # Not in place where this is what the network said itself, which may be asked for again.
            logits = np.multiply(logits, np.float32(view.weight / share), out=None if logits is seen else logits)
            mean = logits if mean is None else np.add(mean, logits, out=mean)
        if mean is None:
            raise ConfigError("no test-time view was given")
        return mean

    def _ask(self, member: Member, picture: Float, view: View, said: Said) -> Float:
        """What a network says of one view, still on the view's own grid; a plain look is kept in ``said``."""
        key = replace(view, weight=1.0)
        if key in said:
            return said[key]
        card = member.bundle.card
        seen = look(picture, view, member.preparation.multiple)
        if self.tiles is None:
            logits = run_whole(member.engine, seen, card.channels)
        else:
            logits = run_tiled(member.engine, seen, card.channels, card.stride, self.tiles)
        self._check_output(member, logits, seen)
        if key == PLAIN[0]:
            said[key] = logits
        return logits

    def _check_output(self, member: Member, logits: Float, picture: Float) -> None:
        stride = member.bundle.card.stride
        expected = (len(self.schema), picture.shape[1] // stride, picture.shape[2] // stride)
        if logits.shape != expected:
            raise BundleError(
                "the network's output is not what its card says",
                path=member.bundle.path,
                found=f"logits {logits.shape}",
                expected=f"{expected} (bones, height/{stride}, width/{stride})",
            )


def bundles_of(model: BundlePath | Sequence[BundlePath] | None) -> list[tuple[Bundle, ...]]:
    """The bundles of each model that is meant, one or the folds of a run: see ``Networks.load``. Raises as it does."""
    paths: list[BundlePath | None]
    if model is None or isinstance(model, (str, os.PathLike)):
        paths = [model]
    else:
        paths = list(model)
    if not paths:
        raise ConfigError("no model was given", expected="the folder of at least one bundle")
    for path in paths:
        ahead_of(None if path is None else Path(path))
    libraries()  # while the hashes are taken
    return [Bundle.load_all(path) for path in paths]


def member_weights(weights: Sequence[float] | NDArray[np.floating] | None, members: int, bones: int) -> Float:
    """Weights as (members, bones) float32 whose sum over the members is 1 for every bone.

    ``weights``: None (equal), one per member, or (members, bones). Raises ConfigError.
    """
    given = np.ones((members, bones)) if weights is None else np.asarray(weights, np.float64)
    if given.ndim == 1:
        given = np.repeat(given[:, None], bones, axis=1)
    if given.shape != (members, bones):
        raise ConfigError(
            "the weights do not fit", found=given.shape, expected=f"{members} numbers, or {members} x {bones}"
        )
    total = given.sum(axis=0)
    if not np.isfinite(given).all() or (given < 0).any() or (total <= 0).any():
        raise ConfigError(
            "weights must be 0 or larger and not all 0 for a bone", found=np.array2string(given, threshold=12)
        )
    return np.asarray(given / total, np.float32)


def mean_thresholds(schema: BoneSchema, members: Sequence[Member]) -> dict[str, float]:
    """Bone -> probability: the members' thresholds, their weighted mean as logits; of none that nobody says."""
    if len(members) == 1:
        return dict(members[0].bundle.card.thresholds)
    out = {}
    for i, name in enumerate(schema.names):
        if any(name in member.bundle.card.thresholds for member in members):
            mean = sum(float(m.weight[i]) * logit(m.bundle.card.thresholds.get(name, 0.5)) for m in members)
            out[name] = float(1.0 / (1.0 + np.exp(-mean)))
    return out


def _rounded(weights: Float) -> float | list[float]:
    """A member's weights as JSON: one number when they are equal."""
    numbers = [round(float(w), 6) for w in weights]
    return numbers[0] if len(set(numbers)) == 1 else numbers


def check_same_bones(first: Bundle, other: Bundle) -> None:
    """Raise BundleError where two models do not find the same bones in the same order."""
    a, b = first.card.schema, other.card.schema
    if a.names != b.names:
        only_a = [n for n in a.names if n not in b]
        only_b = [n for n in b.names if n not in a]
        raise BundleError(
            f"the bundles find different bones: '{a.name}' ({len(a)}) and '{b.name}' ({len(b)})",
            path=other.path,
            found=f"only in {first.path}: {only_a}; only here: {only_b}" if only_a or only_b else "another order",
            expected="bundles of one schema",
        )
