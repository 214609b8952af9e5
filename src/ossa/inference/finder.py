"""Where the hands are: a first pass over the whole film at low resolution, before any bone is looked for.

    finder = Finder.load(bundle)
    found = finder.find(radiograph)     # the surest hand first

What a bundle without a finder does not know, nobody asks: ``Finder.load`` gives None then.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ossa.bundle.companions import FINDER
from ossa.errors import BundleError
from ossa.inference.engine import open_companion
from ossa.models import finder_maps as maps
from ossa.radiograph.percentiles import percentiles
from ossa.radiograph.prepare import Preparation, height_of_a_pixel, normalise, place, prepare, resample

if TYPE_CHECKING:
    from ossa.bundle.bundle import Bundle
    from ossa.inference.engine import Engine
    from ossa.radiograph.radiograph import Radiograph, Side

Points = NDArray[np.float64]
View = Literal["frontal", "oblique", "lateral", "other"]

#: The grid on which the finder looks.
GRID = Preparation(192, 32)

#: Px on a film's longer side that are enough to find and measure hands.
ENOUGH = 700

#: Two measures are alike that differ by less than this: degrees, and the logarithm of the length.
ALIKE = (4.0, 0.06)

#: A hand less sure than this is looked for on a finer grid too.
CLEAR = 0.45

#: Length in grid px at which a hand, or what is in view of one, is measured, and the longest side in px of a film made
#: small for that.
MEASURED, MOST = 110.0, 1600

#: The bones in view of a whole hand reach over so much less than its length: a part is as large on the grid as it would
#: be if this much more were in view.
IN_VIEW = 1.15

#: A part of a hand is taken to be at least this share of the whole, whatever the finder says of its box.
LEAST_IN_VIEW = 0.1

#: Bones of each part of a hand.
_BONES = {"thumb": 3, "index": 4, "middle": 4, "ring": 4, "little": 4, "carpus": 8, "forearm": 2}

#: A view or a side is told when it is likelier than this.
TOLD = 0.6


@dataclass(frozen=True, eq=False)
class FoundHand:
    """One hand on a film.

    Lengths and points (x, y) are in square px: the film's columns, and its rows times the ratio of row to column
    spacing (the rows themselves where pixels are square); pixel centres are whole numbers. ``sure``: probability that
    there is a hand; ``centre`` (2,): the middle of its skeleton in view; ``up`` (2,): unit vector to the fingers;
    ``length``: of the whole hand from the wrist to the middle finger's tip, as if it lay flat and in view; ``box``
    (4,): how far its bones in view (without the forearm) reach from the centre to the fingers, to the elbow, to the
    left and to the right when the fingers are up. ``side`` as on films from the back of the hand; None when not clear.
    ``view``: None when not clear. ``parts``: which of maps.PARTS are in view. ``negative``: its bones are dark.
    """

    sure: float
    centre: Points
    up: Points
    length: float
    box: Points
    side: Side | None
    view: View | None
    parts: frozenset[str]
    negative: bool

    @property
    def bones(self) -> int:
        """How many bones the parts in view have."""
        return sum(_BONES[part] for part in self.parts)

    @property
    def angle(self) -> float:
        """Degrees from the picture's top to the fingers, clockwise, -180..180."""
        return float(np.degrees(np.arctan2(self.up[0], -self.up[1])))


@dataclass(frozen=True, eq=False)
class Found:
    """What the finder says of a film: its ``hands``, the surest first, and how likely it shows one at all (0..1)."""

    hands: tuple[FoundHand, ...]
    present: float


@dataclass(frozen=True, eq=False)
class Finder:
    """The finder of a bundle, ready to run."""

    engine: Engine

    @classmethod
    def load(cls, bundle: Bundle, threads: int = 1) -> Finder | None:
        """The finder that travels in ``bundle``; None when it has none. Raises BundleError when it cannot be opened."""
        engine = open_companion(bundle, FINDER, threads)
        return None if engine is None else cls(engine)

    def find(self, radiograph: Radiograph) -> Found:
        """The hands of a film: each found in the whole of it, then measured again upright and at one scale.

        Where none is clear the film is looked at once more on a grid twice as fine: small hands are clearer there.
        """
        film = radiograph
        radiograph, reduced = _reduced(film)
        planes, scale = self._whole(radiograph, GRID)
        rough = maps.peaks(planes)
        if not rough or rough[0].sure < CLEAR:
            fine, finer = self._whole(radiograph, replace(GRID, size=2 * GRID.size))
            small = maps.peaks(fine)
            if small and small[0].sure > (rough[0].sure if rough else 0.0):
                planes, scale, rough = fine, finer, small
        hands = _apart([self._settled(radiograph, _on_film(peak, scale)) for peak in rough])
        return Found(tuple(_enlarged(hand, 1 / reduced) for hand in hands), maps.presence(planes))

    def _settled(self, radiograph: Radiograph, rough: FoundHand) -> FoundHand:
        """The hand measured, and once more where that changed much of what the measuring itself starts from."""
        first = self._measured(radiograph, rough)
        turned = abs((first.angle - rough.angle + 180.0) % 360.0 - 180.0)
        if turned < ALIKE[0] and abs(np.log(first.length / rough.length)) < ALIKE[1]:
            return first
        return self._measured(radiograph, first)

    def _whole(self, radiograph: Radiograph, grid: Preparation) -> tuple[NDArray[np.float32], float]:
        """What is seen of the whole film on a grid, and that grid's px per column of the film."""
        picture, placement = prepare(radiograph, grid)
        return self._planes(picture[0])[0], placement.scale_x

    def _planes(self, *pictures: NDArray[np.float32]) -> NDArray[np.float32]:
        """What is seen of each of some pictures (h, w) of one shape: (N, PLANES, h / STRIDE, w / STRIDE)."""
        planes: NDArray[np.float32] = self.engine(np.stack(pictures)[:, None])
        expected = (len(pictures), maps.PLANES, *(side // maps.STRIDE for side in pictures[0].shape))
        if planes.shape != expected:
            raise BundleError("the finder's output is not what it should be", found=planes.shape, expected=expected)
        return planes

    def _measured(self, radiograph: Radiograph, rough: FoundHand) -> FoundHand:
        """The same hand as a second pass sees it, laid upright on the grid, ``MEASURED`` px long; where less of it
        is in view, that part as large. The pass looks at it as it is and mirrored.

        Grey values are scaled by what is around it there, not by the whole film. As it is where that pass sees none.
        """
        import cv2

        side = GRID.size
        reach = float(max(rough.box[:2].sum(), rough.box[2:].sum()))
        scale = MEASURED / min(rough.length, max(IN_VIEW * reach, LEAST_IN_VIEW * rough.length))
        longer = round(scale * max(radiograph.shape[1], radiograph.shape[0] * height_of_a_pixel(radiograph)))
        if not side // 4 <= longer <= MOST:
            return rough
        placement = place(radiograph.shape, Preparation(longer, 1), radiograph.sides)
        scale = placement.scale_x
        turn = np.array([[-rough.up[1], -rough.up[0]], [rough.up[0], -rough.up[1]]])  # columns: right and down
        middle = (rough.centre + 0.5) * scale - 0.5
        to_small = np.hstack([turn, (middle - turn @ np.full(2, (side - 1) / 2))[:, None]])
        small = resample(radiograph.pixels, placement)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        # Bare film around it, as around the field of an exposure: a bone that the film ends does not go on.
        bare = percentiles(small, 1, 99)[int(rough.negative)]
        seen = cv2.warpAffine(small, to_small, (side, side), flags=flags, borderValue=bare)
        upright = normalise(seen)
        plain, mirrored = self._planes(upright, upright[:, ::-1])
        turned_back = maps.mirrored(mirrored)
        # Whatever the network leans to one side by cancels in their mean.
        near = _in_the_middle((plain + turned_back) / 2)
        if not near:
            return rough
        # A peak between two cells is lower in the mean than in either look.
        sure = max(peak.sure for look in (plain, turned_back) for peak in [near[0], *_in_the_middle(look)[:1]])
        centre = (to_small[:, :2] @ near[0].centre + to_small[:, 2] + 0.5) / scale - 0.5
        fine = _on_film(replace(near[0], up=turn @ near[0].up), scale)
        return replace(fine, centre=centre, sure=max(sure, rough.sure))


def _in_the_middle(planes: NDArray[np.float32]) -> list[maps.Peak]:
    """The peaks of a second look that may be the hand it was taken of, the surest first."""
    return [peak for peak in maps.peaks(planes) if np.hypot(*(peak.centre - (GRID.size - 1) / 2)) < 0.4 * MEASURED]


def _apart(hands: list[FoundHand]) -> list[FoundHand]:
    """The surest first, without those that turned out to be a surer one when they were measured."""
    kept: list[FoundHand] = []
    for hand in sorted(hands, key=lambda hand: -hand.sure):
        near = (np.hypot(*(hand.centre - other.centre)) / max(hand.length, other.length) for other in kept)
        if all(distance >= maps.APART for distance in near):
            kept.append(hand)
    return kept


def _reduced(radiograph: Radiograph) -> tuple[Radiograph, float]:
    """The film with at most about ENOUGH px on its longer side, and its px per px of the film."""
    step = max(radiograph.shape) // ENOUGH
    if step < 2 or min(radiograph.shape) < step:
        return radiograph, 1.0
    import cv2

    height, width = (side // step for side in radiograph.shape)
    # Whole steps are averaged much faster than others; less than a step at the right and below is left out.
    pixels = radiograph.pixels[: height * step, : width * step]
    small: Any = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    return replace(radiograph, pixels=small), 1 / step


def _enlarged(hand: FoundHand, scale: float) -> FoundHand:
    """The same hand in a film of which a px is ``scale`` times smaller."""
    centre = (hand.centre + 0.5) * scale - 0.5
    return replace(hand, centre=centre, length=hand.length * scale, box=hand.box * scale)


def _on_film(peak: maps.Peak, scale: float) -> FoundHand:
    """A peak of the grid in square px of the film."""
    best = int(peak.views.argmax())
    side: Side | None = None
    if abs(peak.thumb_left - 0.5) > TOLD - 0.5:
        side = "R" if peak.thumb_left > 0.5 else "L"
    return FoundHand(
        sure=peak.sure,
        centre=(peak.centre + 0.5) / scale - 0.5,
        up=peak.up,
        length=peak.length / scale,
        box=peak.box / scale,
        side=side,
        view=maps.VIEWS[best] if peak.views[best] > TOLD else None,  # type: ignore[arg-type]
        parts=frozenset(name for name, p in zip(maps.PARTS, peak.parts, strict=True) if p > 0.5),
        negative=peak.negative > 0.5,
    )
