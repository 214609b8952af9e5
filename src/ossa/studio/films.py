"""Several hands on one film: each is a picture of its own in the studio, over the same pixels.

    FOLDER/dropped/<file>.hands.json    what the hands of a dropped film are called, and where they lie

So a left and a right hand are looked at, corrected, exported and trained on one by one, as ``ossa predict`` writes one
result for each. A model that is asked later may see more or fewer hands: the one that lies where this one does is its
answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ossa.errors import InputError
from ossa.radiograph.radiograph import Side
from ossa.safety import read_json, write_json
from ossa.segmentation.segmentation import Segmentation

#: left, top, right, bottom in px, the last two beyond the last pixel.
Box = tuple[int, int, int, int]

HANDS = ".hands.json"

#: Around a hand, where it is cut out of its film: share of its longer side.
MARGIN = 0.06

#: What is noted where a model sees nothing at the place of a hand.
NOT_HERE = "no hand found at this place of the film"


@dataclass(frozen=True, eq=False)
class SeenHand:
    """One hand of a model's answer, in the film's px; ``sure``: how sure the finder is of it."""

    bones: Segmentation
    side: Side | None = None
    sure: float = 0.0


@dataclass(frozen=True)
class FilmHand:
    """Which hand of a film a picture is: ``number`` from 1, left to right, ``boxes`` of all hands; ``name`` its own."""

    name: str
    number: int
    boxes: tuple[Box, ...]
    side: Side | None = None

    @property
    def box(self) -> Box:
        """Where it lies."""
        return self.boxes[self.number - 1]

    def window(self, box: Box | None, shape: tuple[int, int]) -> Box:
        """A part of the film of ``shape`` (H, W) with this hand (and ``box``) and, if that can be, no other."""
        left, top, right, bottom = self.box if box is None else _around([self.box, box])
        margin = round(MARGIN * max(right - left, bottom - top))
        out = [
            max(0, left - margin),
            max(0, top - margin),
            min(shape[1], right + margin),
            min(shape[0], bottom + margin),
        ]
        for k, other in enumerate(self.boxes):
            if k == self.number - 1:
                continue
            if other[0] >= right:
                out[2] = min(out[2], (right + other[0] + 1) // 2)
            elif other[2] <= left:
                out[0] = max(out[0], (left + other[2]) // 2)
            elif other[1] >= bottom:
                out[3] = min(out[3], (bottom + other[1] + 1) // 2)
            elif other[3] <= top:
                out[1] = max(out[1], (top + other[3]) // 2)
        return out[0], out[1], out[2], out[3]


def box_of(bones: Segmentation) -> Box | None:
    """The box around all bones; None without any."""
    boxes = [(r.left, r.top, r.left + r.mask.shape[1], r.top + r.mask.shape[0]) for r in bones.regions.values()]
    return _around(boxes) if boxes else None


def _around(boxes: Sequence[Box]) -> Box:
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return width * height / (areas - width * height)


def hand_for(hands: Sequence[SeenHand], place: Box | None, side: Side | None, *, alone: bool) -> Segmentation:
    """Which of a model's ``hands`` is meant: the one at ``place``, else the surest of this ``side``, else the surest.

    ``alone``: the picture stands for one hand of its film, and gets no other hand's bones.
    """
    if place is not None:
        best = max(hands, key=lambda hand: _at(hand, place))
        if _at(best, place) > 0:
            return best.bones
        if alone:
            first = hands[0].bones
            return replace(first, regions={}, confidence={}, probability={}, plausible={}, notes=(NOT_HERE,))
    of_side = [hand for hand in hands if side is not None and hand.side == side]
    return max(of_side or hands, key=lambda hand: hand.sure).bones


def _at(hand: SeenHand, place: Box) -> float:
    box = box_of(hand.bones)
    return 0.0 if box is None else overlap(box, place)


def write_hands(film: Path, hands: Sequence[FilmHand]) -> None:
    """Keep what the hands of a dropped film are. Raises OutputError."""
    write_json(film.with_name(f"{film.name}{HANDS}"), [asdict(hand) for hand in hands])


def read_hands(film: Path) -> list[FilmHand]:
    """The hands of a dropped film; none where it shows one, or the file says nothing that makes sense."""
    path = film.with_name(f"{film.name}{HANDS}")
    if not path.is_file():
        return []
    try:
        hands = [_hand(one) for one in read_json(path)]
    except (InputError, TypeError, KeyError, ValueError):
        return []
    return hands if len({hand.name for hand in hands}) == len(hands) > 1 else []


def _hand(told: Mapping[str, Any]) -> FilmHand:
    boxes = tuple((int(a), int(b), int(c), int(d)) for a, b, c, d in told["boxes"])
    name, number, side = str(told["name"]), int(told["number"]), told["side"]
    if Path(name).name != name or not 1 <= number <= len(boxes) or side not in ("L", "R", None):
        raise ValueError(name)
    return FilmHand(name, number, boxes, side)
