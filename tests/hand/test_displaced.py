"""Single bones out of their place, and two exchanged ones, as their neighbours see them; whole hands raise nothing."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from helpers_dataset import SCHEMA, schematic_hand, segmentation
from ossa.errors import ConfigError
from ossa.hand.displaced import CONTRAST, displaced_findings, exchanged_findings, metacarpal_findings
from ossa.hand.geometry import geometry_of_outlines
from ossa.hand.neighbours import Neighbours, fit_neighbours, load_neighbours, pose, upright

NOTHING_CUT = np.zeros(len(SCHEMA), bool)


def points(seed: int, **how: object):
    outlines = schematic_hand(512, seed=seed, **how)  # type: ignore[arg-type]
    return upright(geometry_of_outlines(outlines, SCHEMA), NOTHING_CUT)


@pytest.fixture(scope="module")
def model() -> Neighbours:
    """Fitted to schematic hands of both sides."""
    hands = [points(seed, side="RL"[seed % 2], wrist=seed % 9 - 4.0, turn=float(seed % 30)) for seed in range(80)]
    return fit_neighbours(hands, [512.0] * len(hands), SCHEMA)


def test_whole_hands_are_left_alone(model: Neighbours) -> None:
    for seed in (100, 101, 102):
        seen = points(seed, side="RL"[seed % 2], turn=77.0)
        regions = dict(segmentation(schematic_hand(512, seed=seed, side="RL"[seed % 2], turn=77.0), 512))
        assert not list(exchanged_findings(seen, model))
        assert not list(displaced_findings(model.oddness(seen), SCHEMA, regions, dict.fromkeys(regions, 40.0)))


@pytest.mark.parametrize(("a", "b"), [("finger-7", "finger-11"), ("Trapezoid", "Capitate"), ("finger-4", "finger-5")])
def test_two_exchanged_bones_are_named(model: Neighbours, a: str, b: str) -> None:
    seen = points(100)
    i, j = SCHEMA.index(a), SCHEMA.index(b)
    seen[[i, j]] = seen[[j, i]]
    ((kind, sentence, bones),) = exchanged_findings(seen, model)
    assert kind == "misplaced"
    assert set(bones) == {a, b}
    assert "exchanged" in sentence


def test_metacarpals_the_wrong_way_round_are_told_without_the_rest_of_the_hand() -> None:
    for side in "RL":
        outlines = schematic_hand(512, seed=100, side=side, turn=40.0)
        wrist = {name: outlines[name] for name in ("finger-7", "finger-11", "finger-15", "Scaphoid", "Triquetrum")}
        assert not list(metacarpal_findings(geometry_of_outlines(wrist, SCHEMA)))
        wrist["finger-11"], wrist["finger-15"] = wrist["finger-15"], wrist["finger-11"]
        ((_, _, bones),) = metacarpal_findings(geometry_of_outlines(wrist, SCHEMA))
        assert bones == ("finger-11", "finger-15")


def test_a_moved_bone_is_named_and_its_neighbours_are_not(model: Neighbours) -> None:
    seen = points(100)
    seen[SCHEMA.index("finger-9")] += 60 + 20j
    regions = dict(segmentation(schematic_hand(512, seed=100), 512))
    told = list(displaced_findings(model.oddness(seen), SCHEMA, regions, dict.fromkeys(regions, 40.0)))
    assert [bones for _, _, bones in told] == [("finger-9",)]


def test_the_picture_speaks_against_a_bone_that_lies_a_little_off(model: Neighbours) -> None:
    seen = points(100)
    i = SCHEMA.index("finger-9")
    regions = dict(segmentation(schematic_hand(512, seed=100), 512))
    bright = dict.fromkeys(regions, 40.0)
    for step in np.linspace(0, 60, 61):
        trial = seen.copy()
        trial[i] += step
        if 2.2 < model.oddness(trial)[i] < 5:
            break
    assert not list(displaced_findings(model.oddness(trial), SCHEMA, regions, bright))
    dark = {**bright, "finger-9": 40.0 * CONTRAST["middle"] - 1}
    ((_, sentence, bones),) = displaced_findings(model.oddness(trial), SCHEMA, regions, dark)
    assert bones == ("finger-9",)
    assert "no bone" in sentence


def test_bones_that_all_lie_oddly_are_a_pose(model: Neighbours) -> None:
    seen = points(100)
    regions = dict(segmentation(schematic_hand(512, seed=100), 512))
    usual = pose(model.oddness(seen))
    bent = model.oddness(seen + np.random.default_rng(1).normal(0, 25, (len(seen), 2)) @ [1, 1j])
    assert pose(bent) > 3 * usual >= 3
    assert list(displaced_findings(bent, SCHEMA, regions, {}))
    assert not list(displaced_findings(bent / pose(bent), SCHEMA, regions, {}))
    assert pose(None) == pose(np.full(3, np.nan)) == 1.0
    seen[SCHEMA.index("finger-9")] += 60 + 20j
    assert pose(model.oddness(seen)) < 1.5 * usual  # one bone is none


def test_few_bones_are_not_judged(model: Neighbours) -> None:
    seen = points(100)
    seen[5:] = np.nan
    assert not np.isfinite(model.oddness(np.full(len(SCHEMA), np.nan, complex))).any()
    assert not list(exchanged_findings(seen, model))


def test_the_shipped_file_and_back() -> None:
    shipped = load_neighbours(SCHEMA)
    assert shipped is not None
    again = Neighbours.from_json(json.loads(json.dumps(shipped.to_json())), SCHEMA)
    seen = points(3)
    np.testing.assert_allclose(again.oddness(seen), shipped.oddness(seen), rtol=1e-3)
    other = replace(SCHEMA, bones=SCHEMA.bones[:5])
    assert load_neighbours(other) is None
    with pytest.raises(ConfigError, match="other bones"):
        Neighbours.from_json(shipped.to_json(), other)
