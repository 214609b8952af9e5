"""A judge for tests that need its workings, not its opinion."""

from __future__ import annotations

import numpy as np

from helpers_dataset import SCHEMA, schematic_hand
from ossa.hand.geometry import geometry
from ossa.hand.usual_fit import fit_usual
from ossa.inference.judge import SIGNS, Judge
from ossa.inference.suspicion import AROUND, Suspicion
from ossa.segmentation.outlines import segmentation_from_outlines


def a_judge(hand: float) -> Judge:
    """Every bone gets the confidence .73, whatever its signs."""
    hands = (segmentation_from_outlines(schematic_hand(128, seed=k), SCHEMA, (128, 128)) for k in range(20))
    usual = fit_usual(map(geometry, hands), SCHEMA)
    signs = len(SIGNS)
    inputs = signs + len(AROUND) + 1
    blind = Suspicion(
        np.zeros(inputs), np.ones(inputs), np.zeros(signs), np.zeros((1, inputs)), np.zeros(1), np.zeros(1), 1.0
    )
    return Judge(usual, np.tile([0.0, 1.0], (29, 1)), blind, np.full(signs, 1e9), 0.5, hand)
