"""Ends that do not show give no length: what lies under other bones, and tips that fade into what is around them."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from helpers_hands import BARS, SHAPE, made_hand
from helpers_known import known
from ossa.measurement.measure import bones_of, measure_hand
from ossa.measurement.trace import Scale
from ossa.radiograph.radiograph import Radiograph
from ossa.segmentation.segmentation import Region, Segmentation

TIP = "finger-8"


def covering(hand: Segmentation, bone: str, share: float, end: str) -> Segmentation:
    """``hand`` with its capitate as a bar over so much of a bone's width at one end: 30 px up and down of it."""
    (base, tip, wide) = BARS[bone]
    x, y = base if end == "base" else tip
    mask = np.zeros(SHAPE, np.uint8)
    left = round(x - wide / 2)
    cv2.rectangle(mask, (left - 20, round(y) - 30), (left + round(share * wide), round(y) + 30), 1, -1)
    covered = Region.tight(mask.astype(bool))
    assert covered is not None
    return replace(hand, regions={**hand.regions, "Capitate": covered})


@pytest.mark.parametrize(
    ("end", "share", "reason"), [("base", 0.9, "its base"), ("head", 0.9, "its head"), ("head", 0.4, None)]
)
def test_an_end_under_another_bone_gives_no_length(end: str, share: float, reason: str | None) -> None:
    whole = made_hand()
    found = measure_hand(covering(whole, "finger-10", share, end))
    length, relative = known(found.get("length", "finger-10")), known(found.get("relative_length", "finger-10"))
    if reason is None:
        assert length.value == pytest.approx(known(measure_hand(whole).get("length", "finger-10")).value)
        return
    assert length.value is None
    assert length.reason == relative.reason == f"{reason} lies under other bones"
    # What is measured elsewhere on the bone stays.
    assert known(found.get("width_middle", "finger-10")).value is not None


def film(hand: Segmentation, tip: float, negative: bool = False) -> Radiograph:
    """Bones of grey 140 on 60, with noise; the last fifth of TIP's bar fades to ``tip`` above what is around."""
    grey = np.full(SHAPE, 60.0)
    for _, region in hand:
        grey[region.top : region.bottom, region.left : region.right][region.mask] = 140
    region = hand.regions[TIP]
    last = slice(region.top, region.top + region.mask.shape[0] // 5)
    box = grey[last, region.left : region.right]
    box[region.mask[: box.shape[0]]] = 60 + tip
    grey += np.random.default_rng(0).normal(0, 6, SHAPE)
    pixels = np.clip(255 - grey if negative else grey, 0, 255).astype(np.uint8)
    return Radiograph(pixels)


@pytest.mark.parametrize("negative", [False, True])
@pytest.mark.parametrize(("tip", "shows"), [(80.0, True), (25.0, True), (3.0, False), (0.0, False)])
def test_a_faint_tip_gives_no_length(tip: float, shows: bool, negative: bool) -> None:
    hand = made_hand()
    found = measure_hand(hand, film(hand, tip, negative))
    length = known(found.get("length", TIP))
    assert (length.value is not None) == shows, length.reason
    assert shows or length.reason == "its tip is too faint to tell where it ends"
    # Nothing is said of it without the picture, nor of the other tips.
    assert TIP not in bones_of(hand, Scale(1.0, 1.0)).unseen
    assert all(known(found.get("length", bone)).value for bone in ("finger-4", "finger-12", "finger-16"))


def test_ratios_take_a_hidden_base_where_it_was_outlined() -> None:
    found = measure_hand(covering(made_hand(), "finger-11", 0.9, "base"))
    assert known(found.get("length", "finger-11")).value is None
    assert known(found.get("relative_length", "finger-10")).value is not None
    assert known(found.get("metacarpal_index")).value is not None


def test_rows_that_are_not_square_are_the_same_end() -> None:
    hand = covering(made_hand(), "finger-10", 0.9, "base")
    tall = Segmentation(
        hand.schema,
        (SHAPE[0] // 2, SHAPE[1]),
        {
            name: seen
            for name, one in hand
            if (seen := Region.tight(one.mask[one.top % 2 :: 2], (one.top + 1) // 2, one.left))
        },
    )
    assert bones_of(tall, Scale(1.0, 2.0)).unseen == bones_of(hand, Scale(1.0, 1.0)).unseen


def test_a_carpal_under_another_gives_no_length_and_one_that_touches_it_does() -> None:
    hand = made_hand()
    over = {**hand.regions, "Pisiform": hand.regions["Triquetrum"]}
    found = measure_hand(replace(hand, regions=over))
    assert known(found.get("length", "Pisiform")).reason == "most of it lies under other bones"
    assert known(measure_hand(hand).get("length", "Pisiform")).value is not None
