"""Hands made by hand: bars of known length and width in known places, as a right hand seen from the back."""

from __future__ import annotations

import numpy as np

from ossa.schema import load_schema
from ossa.segmentation.outlines import Outline, region_from_outlines
from ossa.segmentation.segmentation import Region, Segmentation

SCHEMA = load_schema()
SHAPE = (1200, 900)

#: Bone -> (middle of its base, tip, width) in px. The thumb lies at the left, the fingers point up.
BARS: dict[str, tuple[tuple[float, float], tuple[float, float], float]] = {
    "finger-3": ((280, 740), (200, 620), 44), "finger-2": ((196, 612), (140, 520), 36),
    "finger-1": ((136, 512), (100, 440), 20),
    "finger-7": ((360, 700), (330, 460), 44), "finger-6": ((328, 450), (310, 300), 36),
    "finger-5": ((309, 292), (300, 200), 30), "finger-4": ((299, 194), (294, 140), 18),
    "finger-11": ((430, 700), (430, 450), 44), "finger-10": ((430, 440), (430, 270), 36),
    "finger-9": ((430, 262), (430, 150), 30), "finger-8": ((430, 144), (430, 80), 18),
    "finger-15": ((500, 705), (530, 480), 40), "finger-14": ((531, 470), (550, 320), 34),
    "finger-13": ((551, 312), (562, 210), 28), "finger-12": ((563, 204), (570, 144), 18),
    "finger-19": ((560, 715), (620, 510), 38), "finger-18": ((623, 500), (660, 380), 32),
    "finger-17": ((662, 373), (680, 300), 26), "finger-16": ((681, 294), (690, 240), 16),
    "Trapezium": ((320, 780), (320, 730), 54), "Trapezoid": ((384, 778), (384, 728), 46),
    "Capitate": ((440, 840), (440, 720), 58), "Hamate": ((520, 820), (520, 728), 60),
    "Scaphoid": ((350, 890), (350, 800), 64), "Lunate": ((440, 920), (440, 850), 66),
    "Triquetrum": ((530, 900), (530, 834), 54), "Pisiform": ((560, 880), (560, 836), 40),
}  # fmt: skip

#: The radius: a shaft that the lower border cuts; its end rises 58 px over its 160 px from ulnar corner to styloid.
RADIUS = np.array(
    [(320, 1199.0), (320, 1080), (290, 1010), (290, 922), (450, 980), (450, 1020), (430, 1080), (430, 1199)]
)
#: The ulna's head ends 10 px short of the radius's corner; its styloid reaches 30 px beyond the head.
ULNA = np.array([(490, 1199.0), (490, 1060), (470, 1030), (470, 990), (530, 990), (535, 960), (550, 960), (560, 1199)])


def bar(base: tuple[float, float], tip: tuple[float, float], wide: float) -> Region:
    """A rectangle, as the pixels whose centres lie inside it."""
    a, b = np.array(base), np.array(tip)
    axis = (b - a) / np.hypot(*(b - a))
    across = np.array([-axis[1], axis[0]]) * wide / 2
    # A polygon is filled half a pixel larger all around.
    inset = 0.5 * axis, 0.5 * across / np.hypot(*across)
    corners = [a + inset[0] + across - inset[1], b - inset[0] + across - inset[1]]
    corners += [b - inset[0] - across + inset[1], a + inset[0] - across + inset[1]]
    found = region_from_outlines([Outline(np.array(corners))], SHAPE)
    assert found is not None
    return found


def made_hand(without: tuple[str, ...] = ()) -> Segmentation:
    """The right hand, some of its bones left out."""
    regions = {name: bar(*place) for name, place in BARS.items()}
    for name, ring in (("Radius", RADIUS), ("Ulna", ULNA)):
        found = region_from_outlines([Outline(ring)], SHAPE)
        assert found is not None
        regions[name] = found
    return Segmentation(SCHEMA, SHAPE, {name: region for name, region in regions.items() if name not in without})


def mirrored(hand: Segmentation) -> Segmentation:
    """The same bones in the mirrored picture: a left hand."""
    width = hand.shape[1]
    regions = {n: Region(r.top, width - r.right, np.ascontiguousarray(r.mask[:, ::-1])) for n, r in hand}
    return Segmentation(hand.schema, hand.shape, regions)
