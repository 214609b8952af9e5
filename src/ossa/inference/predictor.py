"""Radiograph in, bones out: look, decode, look closer, tidy, judge, refine.

    predictor = Predictor.load()  # the shipped model through ONNX Runtime, as ``ossa predict`` uses it
    prediction = predictor.predict("hand.png")

Nothing of the picture's size is built before the regions.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ossa.hand.bones import called
from ossa.hand.sides import side_notes
from ossa.inference.certainty import Certainty, Closely
from ossa.inference.closer import CloserLook, LookedCloser, look_closer, with_closer
from ossa.inference.consultant import Consultant
from ossa.inference.engine import THREADS
from ossa.inference.finder import Finder
from ossa.inference.hands import Glance, Hand, looked_at
from ossa.inference.judge import SECOND, assess, default_judge, judged, told_apart
from ossa.inference.networks import BundlePath, Float, Look, Networks, Prepared, bundles_of, mean_thresholds
from ossa.inference.opinion import Opinion, joined
from ossa.inference.prediction import Prediction
from ossa.inference.refiner import Refiner
from ossa.inference.shafts import followed_on
from ossa.inference.views import FLIPPED, PLAIN, View
from ossa.parallel import at_once
from ossa.radiograph.radiograph import Grey, Radiograph
from ossa.radiograph.read import read_radiograph
from ossa.schema import BoneSchema
from ossa.segmentation.compare import dice
from ossa.segmentation.decode import decode
from ossa.segmentation.edges import with_edges, with_look
from ossa.segmentation.origin import Model, Origin
from ossa.segmentation.strips import Seen

if TYPE_CHECKING:
    from ossa.bundle.card import Closer
    from ossa.inference.judge import Judge
    from ossa.inference.tiles import Tiles
    from ossa.segmentation.segmentation import Segmentation

#: What can be asked: a file, pixels, or a radiograph.
Picture = str | os.PathLike[str] | Grey | Radiograph

#: Below this share of the schema's bones the reader is told that few were found.
FEW_BONES = 0.5


class Tidy(Protocol):
    """Something done to every bone of a decoded result by itself, as segmentation.cleanup does."""

    def __call__(self, segmentation: Segmentation) -> Segmentation: ...

    def to_json(self) -> dict[str, Any]: ...


@dataclass(frozen=True, eq=False)
class Predictor:
    """Networks and what is done with their answer.

    ``thresholds``: bone name -> probability; ``closer``: bones that are looked at again, enlarged, group by group,
    through ``closer_views``;
    ``tidy``: applied in turn to the decoded bones; ``judge``: gives confidences and warnings, and tells what is no
    hand; ``finder``: finds the hands of a film first, and each is then looked at upright and by itself; ``refiner``:
    moves outlines to the edges that the picture shows; ``shafts``: whether these are followed to the film's end, after
    all else; ``consultant``: asked where too little is found; ``edges``: bones get plausible edges too.

    >>> predictor = ossa.Predictor.load(fast=True)
    >>> prediction = predictor.predict("hand.png")
    >>> "Radius" in prediction, "Ulna" in prediction
    (True, True)
    """

    networks: Networks
    thresholds: Mapping[str, float] = field(default_factory=dict)
    closer: tuple[Closer, ...] = ()
    closer_views: tuple[View, ...] = FLIPPED
    tidy: tuple[Tidy, ...] = ()
    judge: Judge | None = None
    finder: Finder | None = None
    refiner: Refiner | None = None
    shafts: bool = False
    consultant: Consultant | None = None
    edges: bool = False

    @classmethod
    def load(
        cls,
        model: BundlePath | Sequence[BundlePath] | None = None,
        device: str = "auto",
        *,
        fast: bool = False,
        weights: Sequence[float] | NDArray[np.floating] | None = None,
        views: Sequence[View] | None = None,
        tiles: Tiles | None = None,
        threads: int | None = None,
    ) -> Predictor:
        """``model``, several of them as an ensemble, or the shipped one (None), as ``ossa predict`` asks it.

        A model is the folder of a bundle, or of a run, whose folds are an ensemble, or a file of ``ossa bundle pack``.

        The usual way looks at every bone twice, mirrored too, where its outline is taken: at the closer looks, or at
        the whole picture where the model has none; and it judges what it found. ``fast`` (as ``ossa predict --fast``)
        looks once, and neither closer nor back. ``views``: other test-time looks than these, for every look
        (inference.views). ``device``: see inference.engine. ``weights``: one per model, or (models, bones); equal
        when not given. Thresholds, clean-up rules and the closer looks come from the bundles; an ensemble takes
        the weighted mean of its members' thresholds as logits, and the first one's clean-up and closer looks.
        Sliding windows (``tiles``) leave out the closer looks, the finder and the refiner. The judge is the shipped
        one, where it knows the bones. Raises BundleError (also for bundles of different schemas), DeviceError,
        ConfigError.
        """
        given = bundles_of(model)
        first = given[0][0]
        # ONNX Runtime lets go of the interpreter while it opens a network: two are opened at once.
        with ThreadPoolExecutor(1, "ossa-finder") as beside:
            finder = None if tiles is not None else beside.submit(Finder.load, first)
            refiner = None if tiles is not None else beside.submit(Refiner.load, first, threads or THREADS)
            networks = Networks.opened(given, device, weights=weights, tiles=tiles, threads=threads)
        card = first.card
        closer = card.closer if tiles is None and not fast else ()
        # Most outlines come from the closer looks, and what else the first look says is no better for a mirrored one.
        first_views = views if views is not None else PLAIN if fast or closer else FLIPPED
        return cls(
            replace(networks, views=tuple(first_views) or PLAIN),
            thresholds=mean_thresholds(networks.schema, networks.members),
            closer=closer,
            closer_views=FLIPPED if views is None else tuple(views) or PLAIN,
            tidy=() if card.cleanup is None else (card.cleanup,),
            judge=None if fast else default_judge(networks.schema),
            finder=None if finder is None else finder.result(),
            refiner=None if refiner is None else refiner.result(),
            shafts=card.shafts and tiles is None,
            consultant=None if fast or tiles is not None else Consultant.of(first, threads or THREADS),
        )

    @property
    def schema(self) -> BoneSchema:
        """The bones that can be found."""
        return self.networks.schema

    @property
    def description(self) -> str:
        """Models and device in words."""
        return self.networks.description

    def settings(self) -> dict[str, Any]:
        """What decides the result, as JSON values: a run with equal settings may go on where another stopped."""
        return {
            **self.networks.source(),
            "thresholds": dict(self.thresholds),
            "cleanup": [step.to_json() for step in self.tidy],
            "closer": [look.to_json() for look in self.closer],
            "closer_views": [asdict(view) for view in self.closer_views] if self.closer else [],
            "judged": self.judge is not None,
            "finder": self.finder is not None,
            "refiner": self.refiner is not None,
            "shafts": self.shafts,
            "consultant": self.consultant is not None,
        }

    def origin(self) -> Origin:
        """Who finds the bones, as every result tells it: models with the hashes of their files, and what is asked."""
        from ossa import __version__

        cards = [member.bundle.card for member in self.networks.members]
        tiles = {} if self.networks.tiles is None else {"tiles": self.networks.tiles.size}
        return Origin(
            __version__,
            tuple(Model(card.name, card.licence, dict(card.files)) for card in cards),
            {
                "views": len(self.networks.views),
                "closer": len(self.closer),
                "closer_views": len(self.closer_views) if self.closer else 0,
                "judged": self.judge is not None,
                "finder": self.finder is not None,
                "refiner": self.refiner is not None,
                "shafts": self.shafts,
                "consultant": self.consultant is not None,
                "cleanup": bool(self.tidy),
                "thresholds": {name: round(value, 4) for name, value in self.thresholds.items()},
                **tiles,
                "device": self.networks.members[0].engine.description,
            },
        )

    def predict(self, picture: Picture) -> Prediction:
        """The bones of a radiograph: a file's path, a grey array (H, W) of uint8 or uint16, or a Radiograph.

        What the reader, a judge or anybody else warns of stands in the result's notes. Of several hands
        (``predict_hands``) the one that the finder is surest of; a note tells of the others. Raises ImageError for what
        is no radiograph, DeviceError when memory runs out.
        """
        radiograph = as_radiograph(picture)
        hands = self.predict_hands(radiograph)
        surest = max(hands, key=lambda hand: 0.0 if hand.where is None else hand.where.sure)
        return Prediction.of(surest.segmentation, radiograph)

    def predict_hands(self, picture: Picture) -> tuple[Hand, ...]:
        """Every hand of a radiograph from left to right, in the radiograph's px; at least one, perhaps without bones.

        A predictor without a finder takes every radiograph for one hand. For ``picture`` and errors see ``predict``.
        """
        radiograph = as_radiograph(picture)
        origin = self.origin()
        hands = self._hands(radiograph)
        if self.shafts:
            hands = followed_on(radiograph, hands)
        return tuple(
            replace(hand, segmentation=replace(_told(hand.segmentation, radiograph), origin=origin)) for hand in hands
        )

    def _hands(self, radiograph: Radiograph) -> tuple[Hand, ...]:
        if self.finder is None:
            return (Hand(self._glance(radiograph).finished()),)
        upright = replace(self, networks=replace(self.networks, upright=False))

        def look_at_forearm(picture: Radiograph) -> Segmentation:
            networks = replace(upright.networks, views=self.closer_views if self.closer else upright.networks.views)
            look = networks.look(networks.prepare(picture))
            shafts = self.edged(self.first_found(look, forearm), look)
            return self.refined(shafts, dict.fromkeys(shafts.regions, Seen(look.logits, look.placement)), picture)

        forearm = self.schema.in_row("forearm")
        found = self.finder.find(radiograph)
        # Nothing is known of how a hand lies that the finder does not see.
        single = upright if found.hands else self

        return looked_at(radiograph, found, single._glance, look_at_forearm)

    def _glance(self, radiograph: Radiograph, asked: float = 1.0) -> Glance:
        """A first look at a radiograph that is taken for one hand; for ``asked`` see ``judge.judged``."""
        prepared = self.networks.prepare(radiograph)
        look = self.networks.look(prepared)
        first = self.first_found(look)
        return Glance(first, lambda: self._finished(first, look, prepared, radiograph, asked))

    def _finished(
        self, first: Segmentation, look: Look, prepared: Prepared, radiograph: Radiograph, asked: float
    ) -> Segmentation:
        """The bones ``first`` found by ``look``, looked at more closely and judged."""
        if self.judge is None:
            closer = self.looked_closer(first, radiograph)
            return self.refined(self.edged(closer.bones, look), closer.seen_after(look), radiograph)
        own = self._opinion(self.judge, first, look, prepared, radiograph)
        if self.consultant is not None and own.in_doubt:
            own = joined(own, self._consulted(self.consultant, radiograph), asked, self.thresholds)
        result = judged(own.bones, own.assessment, own.judge, asked)
        if own.judge is not self.judge:  # a consultant's films are hard: what is rather wrong than right is left out
            result = told_apart(result)
        result = replace(result, notes=(*result.notes, *side_notes(result, radiograph.side)))
        return self.refined(result, own.seen, radiograph)

    def _opinion(
        self, judge: Judge, first: Segmentation, look: Look, prepared: Prepared, radiograph: Radiograph
    ) -> Opinion:
        looks = self._closer_looks(first, radiograph)
        jobs: list[Callable[[], Any]] = [*looks, partial(self.second_look, prepared, look)]
        *said, second = at_once(jobs, self.networks.lanes)
        closer = self._joined(first, said)
        found = self.edged(closer.bones, look)
        assessment = assess(found, look.logits, judge, second, self.thresholds, closer.closely)
        if self._doubts_looks:
            found = with_look(found, second, look.placement, self.thresholds)
        return Opinion(found, look, second, closer.closely, closer.seen_after(look), assessment, judge)

    def _consulted(self, consultant: Consultant, radiograph: Radiograph) -> Opinion:
        """What the ``consultant`` thinks of a radiograph."""
        other = replace(self, networks=consultant.networks, thresholds={}, closer=())
        prepared = other.networks.prepare(radiograph)
        look = other.networks.look(prepared)
        return other._opinion(consultant.judge, other.first_found(look), look, prepared, radiograph)

    def found_in(self, look: Look, radiograph: Radiograph) -> tuple[Segmentation, dict[str, Closely]]:
        """The bones of ``look``, some of them looked at again more closely (``looked_closer``); neither judged nor
        refined."""
        closer = self.looked_closer(self.first_found(look), radiograph)
        return self.edged(closer.bones, look), closer.closely

    def first_found(self, look: Look, names: Collection[str] | None = None) -> Segmentation:
        """The bones of ``look``, or those called ``names`` alone, tidied."""
        return self.tidied(decode(look.logits, look.placement, self.schema, self.thresholds, names))

    def edged(self, found: Segmentation, look: Look) -> Segmentation:
        """``found``, with those edges of ``look`` that are asked for, for bones that no closer look gave any."""
        if not self._doubts_looks:
            return found
        names = found.regions.keys() - found.plausible.keys()
        return with_edges(found, look.logits, look.placement, self.thresholds, names)

    @property
    def _doubts_looks(self) -> bool:
        """Whether plausible edges are taken from what looks say: a refiner knows better ones."""
        return self.edges and self.refiner is None

    def looked_closer(self, found: Segmentation, radiograph: Radiograph) -> LookedCloser:
        """The bones ``found`` at the first look, those of ``closer`` as the closer looks see them."""
        return self._joined(found, at_once(self._closer_looks(found, radiograph), self.networks.lanes))

    def _closer_looks(self, found: Segmentation, radiograph: Radiograph) -> Sequence[Callable[[], CloserLook | None]]:
        """What gives each look of ``closer``. They are taken at once, so each asks for one view after the other."""
        networks = replace(self.networks, views=self.closer_views, lanes=1)
        # Where to look is known from the first look alone, so that the order of the looks does not matter.
        return [
            partial(look_closer, networks, radiograph, found, closer, self.thresholds, self._doubts_looks)
            for closer in self.closer
        ]

    def _joined(self, found: Segmentation, looks: Iterable[CloserLook | None]) -> LookedCloser:
        """``looked_closer`` with its ``looks`` at hand."""
        first = found
        closely: dict[str, Closely] = {}
        outlined: dict[str, Seen] = {}
        for closer, look in zip(self.closer, looks, strict=True):
            if look is None:
                continue
            seen = look.bones
            found = with_closer(found, seen, self.tidied(seen))
            outlined.update(dict.fromkeys(seen.regions, look.seen))
            names = [name for name in closer.bones if name in first.regions or name in seen.regions]
            for name in names:
                sure = look.certainty.get(name, Certainty())
                closely[name] = Closely(dice(first.get(name), seen.get(name)), sure.doubt, sure.blur)
        return LookedCloser(found, closely, outlined)

    def refined(self, found: Segmentation, seen: Mapping[str, Seen], radiograph: Radiograph) -> Segmentation:
        """``found``, its outlines where the picture shows edges; ``seen``: the look that gave each bone's outline."""
        return found if self.refiner is None else self.refiner.refine(found, seen, radiograph.pixels, self.edges)

    def decode(self, look: Look) -> Segmentation:
        """Bones at the picture's size from logits, with this predictor's thresholds, not tidied."""
        return decode(look.logits, look.placement, self.schema, self.thresholds)

    def tidied(self, found: Segmentation) -> Segmentation:
        """The same bones, cleaned up."""
        for step in self.tidy:
            found = step(found)
        return found

    def second_look(self, prepared: Prepared, look: Look) -> Float:
        """The logits of another look at the same picture, on the grid of the first one, for the judge."""
        return self.networks.look_through(prepared, (SECOND,), look.angle).logits


def as_radiograph(picture: Picture) -> Radiograph:
    """The radiograph that is meant: itself, the one in a file, or the one of these pixels. Raises ImageError."""
    if isinstance(picture, Radiograph):
        return picture
    if isinstance(picture, (str, os.PathLike)):
        return read_radiograph(Path(picture))
    return Radiograph(picture)


def _told(found: Segmentation, radiograph: Radiograph) -> Segmentation:
    """``found`` with the notes of its ``radiograph`` before its own, and one after them where few bones were found."""
    return _told_if_few(replace(found, notes=(*radiograph.provenance.notes, *found.notes)))


def _told_if_few(found: Segmentation) -> Segmentation:
    """``found``, with a note when less than FEW_BONES of the schema's bones are there, unless one says "no hand"."""
    count, of = len(found), len(found.schema)
    if count >= FEW_BONES * of or any(note.startswith("no hand found") for note in found.notes):
        return found
    names = ", ".join(found.regions) or "none"
    asked = f"Is this a radiograph of one {called(found.schema)}, and is all of it in view?"
    note = f"few bones found: {count} of {of} ({names}). {asked}"
    return replace(found, notes=(*found.notes, note))
