"""What kinds of films a world of phantoms holds, and how many of each."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

#: Marks shares of which only a part's own room knows anything (``phantom.ways``).
_SPECIAL = {"special": True}


@dataclass(frozen=True)
class PhantomOptions:
    """Shares (0..1) of the pictures in which something happens, and ranges of what all have.

    The person. ``young``: ages 9 to 22, whose growth plates are open or just closed; ``children``: ages 1 to 9, with
    few carpals; all others are up to 90. ``missing``: lacks a finger or the end of one. ``injured``: a bone broken and
    displaced, or a joint out of place. ``variants``: how many times as often as published there are accessory ossicles,
    bones in two parts and neighbours grown together; no share but a factor.

    The pose. ``bent_wrists``, ``oblique_views``, ``lateral_views``; ``bent_fingers``: fists, OK signs, crossed and
    half-bent fingers; ``thumb_across``: the thumb over the palm instead of beside it.

    The frame. ``fill``: the hand's length as a share of the picture's height; ``aspect``: width over height;
    ``turned``: any way up, the others by about ``tilt`` degrees; ``wrist_only``: the wrist alone;
    ``digits_only``: the four fingers, or the thumb with the palm, as a closer look cuts them out; ``parts``: some
    fingers, one digit, a palm, or a wrist with a long forearm; ``one_digit``: one alone, or its end, filling a narrow
    field.

    The film. ``clutter`` scales how often markers, frames and the like appear; ``collimated``: the beam narrowed to the
    hand, at any angle, round at times; ``overexposed``: fingers burnt black; ``treated``: casts, splints, dressings,
    pins, screws and plates; ``marked``: arrows, boxes and letters drawn on it; ``worn``: copies, thumbnails,
    photographs of a light box, grids; ``inverted``: negatives.
    """

    young: float = 0.6
    children: float = 0.0
    missing: float = 0.0
    injured: float = 0.0
    variants: float = 0.0
    bent_wrists: float = field(default=0.15, metadata=_SPECIAL)
    oblique_views: float = 0.12
    lateral_views: float = field(default=0.0, metadata=_SPECIAL)
    bent_fingers: float = field(default=0.0, metadata=_SPECIAL)
    thumb_across: float = field(default=0.01, metadata=_SPECIAL)
    fill: tuple[float, float] = (0.55, 1.02)
    aspect: tuple[float, float] = (0.5, 1.0)
    turned: float = 0.15
    tilt: float = 8.0
    wrist_only: float = 0.10
    digits_only: float = 0.0
    parts: float = 0.0
    one_digit: float = 0.0
    clutter: float = 1.0
    collimated: float = 0.0
    overexposed: float = 0.0
    treated: float = 0.0
    marked: float = 0.0
    worn: float = 0.0
    inverted: float = 0.0

    @property
    def centre_only(self) -> float:
        """``wrist_only`` by a word that fits every part: what its schema calls the centre, alone."""
        return self.wrist_only


def special() -> tuple[str, ...]:
    """The shares that need more than a schema says."""
    return tuple(share.name for share in fields(PhantomOptions) if share.metadata.get("special"))


#: Tidy hands: whole, flat, about filling the frame.
FLAT = PhantomOptions()
#: Films as a hand department gets them.
WIDE = PhantomOptions(
    young=0.35, children=0.12, missing=0.03, injured=0.08, variants=3.0, bent_wrists=0.18, oblique_views=0.20,
    lateral_views=0.06, bent_fingers=0.14, thumb_across=0.02, fill=(0.25, 1.08), aspect=(0.45, 1.0), turned=0.25,
    wrist_only=0.08, parts=0.18, collimated=0.30, overexposed=0.10, treated=0.14, marked=0.12, worn=0.20, inverted=0.03,
)  # fmt: skip
#: The worlds by the names that the command line knows.
WORLDS = {"flat": FLAT, "wide": WIDE}
