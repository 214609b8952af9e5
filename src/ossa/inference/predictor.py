"""Radiograph in, bones out: one network or several, one look or several, averaged and decoded once.

    predictor = Predictor.load()                         # the shipped model through ONNX Runtime
    segmentation = predictor.predict(read_radiograph("hand.png"))

Logits of all members and views are averaged on the finest network grid among them; nothing of the
picture's size is built before the regions.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ossa.bundle.bundle import CARD, Bundle
from ossa.errors import BundleError, ConfigError, SchemaError
from ossa.inference.closer import Closer, look_closer
from ossa.inference.engine import Engine, open_engine
from ossa.inference.tiles import Tiles, run_tiled, run_whole
from ossa.inference.upright import SURE, quarter_turn, sureness, turned
from ossa.inference.views import PLAIN, View, look, look_back
from ossa.radiograph.prepare import Placement, Preparation, prepare
from ossa.schema import BoneSchema
from ossa.segmentation.decode import decode, logit, resample_logits

if TYPE_CHECKING:
    from ossa.inference.judge import Judge
    from ossa.radiograph.radiograph import Radiograph
    from ossa.segmentation.segmentation import Segmentation

Float = NDArray[np.float32]
BundlePath = str | os.PathLike[str]


class Tidy(Protocol):
    """Something done to every decoded result: clean-up, quality notes."""

    def __call__(self, segmentation: Segmentation) -> Segmentation: ...


@dataclass(frozen=True, eq=False)
class Member:
    """One network of a predictor; ``weight`` (bones,) is its share in each bone's mean."""

    bundle: Bundle
    engine: Engine
    preparation: Preparation
    weight: Float


@dataclass(frozen=True, eq=False)
class Predictor:
    """Networks of one schema and how they are asked.

    ``views``: test-time looks (inference.views); ``tiles``: sliding windows, or None for the whole
    picture at once; ``thresholds``: bone name -> probability; ``tidy``: applied in turn to the
    decoded bones; ``judge``: gives confidences and warnings, and tells what is no hand; ``upright``:
    turn films that lie on their side or upside down; ``closer``: bones that are looked at again, enlarged.
    """

    schema: BoneSchema
    members: tuple[Member, ...]
    views: tuple[View, ...] = PLAIN
    tiles: Tiles | None = None
    thresholds: Mapping[str, float] = field(default_factory=dict)
    tidy: tuple[Tidy, ...] = ()
    judge: Judge | None = None
    upright: bool = True
    closer: Closer | None = None

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
    ) -> Predictor:
        """The bundle ``model``, several of them as an ensemble, or the shipped one (None).

        ``device``: see inference.engine. ``weights``: one per bundle, or (bundles, bones); equal
        when not given. Thresholds, clean-up rules and the closer look come from the bundles; an ensemble takes
        the weighted mean of its members' thresholds as logits, and the first one's clean-up and closer look.
        Raises BundleError (also for bundles of different schemas), DeviceError, ConfigError.
        """
        paths: list[BundlePath | None]
        if model is None or isinstance(model, (str, os.PathLike)):
            paths = [model]
        else:
            paths = list(model)
        if not paths:
            raise ConfigError("no model was given", expected="the folder of at least one bundle")
        bundles = [Bundle.load(path) for path in paths]
        schema = bundles[0].card.schema
        for bundle in bundles[1:]:
            _check_same_bones(bundles[0], bundle)
        shares = member_weights(weights, len(bundles), len(schema))
        members = tuple(
            Member(bundle, open_engine(bundle, device, threads), Preparation.from_json(bundle.card.preparation), share)
            for bundle, share in zip(bundles, shares, strict=True)
        )
        return cls(
            schema=schema,
            members=members,
            views=tuple(views) or PLAIN,
            tiles=tiles,
            thresholds=_mean_thresholds(schema, members),
            tidy=_tidy(bundles[0]),
            closer=_closer(bundles[0]) if tiles is None else None,
        )

    @property
    def description(self) -> str:
        """Models and device in words."""
        names = ", ".join(member.bundle.card.name for member in self.members)
        return f"{names} ({self.members[0].engine.description})"

    def settings(self) -> dict[str, Any]:
        """What decides the result, as JSON values: a run with equal settings may go on where another stopped."""
        cleanup = dict(self.members[0].bundle.card.cleanup)
        closer = None if self.closer is None else self.closer.to_json()
        judged = self.judge is not None
        more = {"thresholds": dict(self.thresholds), "cleanup": cleanup, "closer": closer, "judged": judged}
        return {**self.source(), **more}

    def source(self) -> dict[str, Any]:
        """What decides the logits, as JSON values."""
        return {
            "models": [
                {"name": m.bundle.card.name, "files": dict(m.bundle.card.files), "weights": _rounded(m.weight)}
                for m in self.members
            ],
            "views": [asdict(view) for view in self.views],
            "tiles": None if self.tiles is None else asdict(self.tiles),
            "upright": self.upright,
        }

    def prepare(self, radiograph: Radiograph) -> dict[Preparation, tuple[Float, Placement]]:
        """The picture on every grid that a member asks for: preparation -> ((1, H, W), Placement)."""
        return {p: prepare(radiograph, p) for p in {member.preparation: None for member in self.members}}

    def network(self, prepared: Mapping[Preparation, tuple[Float, Placement]]) -> tuple[Float, Placement]:
        """The mean logits (bones, h, w) of all members and views, on the finest grid among them.

        Where the network is sure of few bones, the picture is also tried on its side and upside down
        (inference.upright), and the surest way kept; the logits always lie as the picture does.
        """
        logits, placement = self._seen_through(self.views, prepared)
        if self.upright and sureness(logits) < SURE:
            member = self.members[0]
            picture = prepared[member.preparation][0]
            angle = quarter_turn(lambda view: self._raw_logits(member, picture, view))
            if angle:
                logits, placement = self._seen_through(turned(self.views, angle), prepared)
        return logits, placement

    def _seen_through(
        self, views: tuple[View, ...], prepared: Mapping[Preparation, tuple[Float, Placement]]
    ) -> tuple[Float, Placement]:
        finest = max(self.members, key=lambda m: m.preparation.size / m.bundle.card.stride)
        placement = prepared[finest.preparation][1]
        stride = finest.bundle.card.stride
        shape = (placement.grid_shape[0] // stride, placement.grid_shape[1] // stride)
        if len(self.members) == 1:
            return self._member_logits(finest, prepared[finest.preparation][0], views), placement
        total = np.zeros((len(self.schema), *shape), np.float32)
        for member in self.members:
            picture, own = prepared[member.preparation]
            logits = self._member_logits(member, picture, views)
            if logits.shape[1:] != shape:
                logits = resample_logits(logits, own, placement, shape)
            total += logits * member.weight[:, None, None]
        return total, placement

    def logits(self, radiograph: Radiograph) -> tuple[Float, Placement]:
        """Logits (bones, h, w) over the grid of the returned Placement."""
        return self.network(self.prepare(radiograph))

    def decode(self, logits: Float, placement: Placement) -> Segmentation:
        """Bones at the picture's size from logits, with this predictor's thresholds and clean-up."""
        found = decode(logits, placement, self.schema, self.thresholds)
        for step in self.tidy:
            found = step(found)
        return found

    def found_in(self, radiograph: Radiograph, logits: Float, placement: Placement) -> Segmentation:
        """The bones of ``logits``, some of them looked at again more closely (``closer``); not judged."""
        found = self.decode(logits, placement)
        return found if self.closer is None else look_closer(self, radiograph, found, self.closer)

    def predict(self, radiograph: Radiograph) -> Segmentation:
        """The bones of a radiograph; judged, with warnings as notes, when the predictor is ``examined``."""
        if self.judge is None:
            return self.found_in(radiograph, *self.logits(radiograph))
        from ossa.inference.examine import examine

        return examine(self, radiograph, self.judge)

    def examined(self) -> Predictor:
        """The same predictor with a judge of its results (inference.judge), where one was fitted for the schema."""
        from ossa.inference.judge import default_judge

        return replace(self, judge=default_judge(self.schema))

    def _raw_logits(self, member: Member, picture: Float, view: View) -> Float:
        """What a network says of one view, still on the view's own grid."""
        card = member.bundle.card
        seen = look(picture, view, member.preparation.multiple)
        if self.tiles is None:
            logits = run_whole(member.engine, seen, card.channels)
        else:
            logits = run_tiled(member.engine, seen, card.channels, card.stride, self.tiles)
        self._check_output(member, logits, seen)
        return logits

    def _member_logits(self, member: Member, picture: Float, views: tuple[View, ...]) -> Float:
        grid = (picture.shape[1], picture.shape[2])
        multiple = member.preparation.multiple
        mirror = self.schema.mirror_order()
        mean: Float | None = None
        share = sum(view.weight for view in views)
        for view in views:
            logits = self._raw_logits(member, picture, view)
            if len(views) == 1 and view == PLAIN[0]:
                return logits
            logits = look_back(logits, view, grid, multiple, mirror)
            logits *= np.float32(view.weight / share)
            mean = logits if mean is None else np.add(mean, logits, out=mean)
        if mean is None:
            raise ConfigError("no test-time view was given")
        return mean

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


def _rounded(weights: Float) -> float | list[float]:
    """A member's weights as JSON: one number when they are equal."""
    numbers = [round(float(w), 6) for w in weights]
    return numbers[0] if len(set(numbers)) == 1 else numbers


def _check_same_bones(first: Bundle, other: Bundle) -> None:
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


def _mean_thresholds(schema: BoneSchema, members: Sequence[Member]) -> dict[str, float]:
    if len(members) == 1:
        return dict(members[0].bundle.card.thresholds)
    out = {}
    for i, name in enumerate(schema.names):
        if any(name in member.bundle.card.thresholds for member in members):
            mean = sum(float(m.weight[i]) * logit(m.bundle.card.thresholds.get(name, 0.5)) for m in members)
            out[name] = float(1.0 / (1.0 + np.exp(-mean)))
    return out


def _closer(bundle: Bundle) -> Closer | None:
    """The closer look that the bundle's card asks for."""
    if not bundle.card.closer:
        return None
    try:
        closer = Closer.from_json(bundle.card.closer)
        for name in closer.bones:
            bundle.card.schema.index(name)
    except (ConfigError, SchemaError) as error:
        raise BundleError(f"the card's 'closer' is wrong: {error}", path=bundle.path / CARD) from error
    return closer


def _tidy(bundle: Bundle) -> tuple[Tidy, ...]:
    """The clean-up that the bundle's card asks for."""
    if not bundle.card.cleanup:
        return ()
    from ossa.segmentation.cleanup import Cleanup

    return (Cleanup.from_json(bundle.card.cleanup),)
