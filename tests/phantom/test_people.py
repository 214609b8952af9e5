"""Bones of several people: laid over each other exactly, and hands drawn between them."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ossa.errors import AnatomyError
from ossa.hand.bones import CARPALS
from ossa.hand.phantom.builtin import LENGTHS, builtin_anatomy
from ossa.hand.phantom.myohand import load_people
from ossa.hand.phantom.pose import DIGITS
from ossa.phantom.mesh import Mesh, ellipsoid
from ossa.phantom.part import default_part
from ossa.phantom.people import lay_over, spread
from ossa.phantom.pose import rotation
from ossa.phantom.variation import Build, _blended, long_axis, vary

MYOHAND_FOLDER = Path(os.environ.get("OSSA_ANATOMY", Path(__file__).parents[3] / "shared" / "anatomy" / "myohand"))


def test_a_turned_and_stretched_bone_is_laid_over_its_own_shape() -> None:
    template = ellipsoid((6.0, 11.0, 4.5), 14)
    stretched = template.vertices * (1.15, 0.9, 1.1)
    other = Mesh(stretched @ rotation((0.1, -0.2, 0.5)).T + (3.0, 4.0, 5.0), template.faces)
    points, moved, misfit = lay_over(template, other)
    assert points is template.vertices
    assert misfit < 0.45
    np.testing.assert_allclose(np.ptp(moved, axis=0), np.ptp(stretched, axis=0), rtol=0.06)
    assert Mesh(moved, template.faces).volume() == pytest.approx(Mesh(stretched, template.faces).volume(), rel=0.08)


def test_displacements_spread_smoothly() -> None:
    at = np.array([[0.0, 0, 0], [10.0, 0, 0]])
    values = np.array([[1.0, 0, 0], [3.0, 0, 0]])
    out = spread(at, values, np.array([[0.0, 0, 0], [5.0, 0, 0], [10.0, 0, 0], [400.0, 0, 0]]), 2.0)
    np.testing.assert_allclose(out[:, 0], [1, 2, 3, 3], atol=0.01)


def test_a_hand_lies_between_the_people_and_keeps_its_joints_together() -> None:
    """A metacarpal of another person who has it 6 mm longer: half of that person lengthens it by 3, and its far end
    tells the next bone where to begin."""
    hand = builtin_anatomy()
    body = next(b for b in hand.bodies if b.bone == "finger-11")
    axis = long_axis(body.mesh.vertices)
    along = body.mesh.vertices @ axis
    t = (along - along.min()) / np.ptp(along)
    longer = replace(body, forms=(6.0 * t[:, None] * axis)[None])
    build = Build(1.0, 1.0, 1.0, (1.0,) * 5, np.array([0.5]))
    rng = np.random.default_rng(0)
    blended = [_blended(longer, build, default_part(), rng) for _ in range(40)]
    gained = [np.ptp(b.mesh.vertices @ axis) - np.ptp(along) for b, _ in blended]
    assert np.mean(gained) == pytest.approx(3.0, abs=0.5)
    for (_, tip), gain in zip(blended, gained, strict=True):
        assert float(tip @ axis) == pytest.approx(gain, abs=0.5)


def test_carpals_of_one_hand_are_of_one_size() -> None:
    """Their extents scale alike: what is left of single differences is the bulges' few percent."""
    before = {b.bone: np.ptp(b.mesh.vertices, axis=0) for b in builtin_anatomy().bodies}
    for seed in range(12):
        hand = vary(builtin_anatomy(), np.random.default_rng(seed))
        ratio = [
            float((np.ptp(b.mesh.vertices, axis=0) / before[b.bone]).mean()) for b in hand.bodies if b.bone in CARPALS
        ]
        assert np.std(ratio) / np.mean(ratio) < 0.06


def test_finger_bones_have_the_published_lengths_on_average() -> None:
    lengths: dict[str, list[float]] = {}
    for seed in range(40):
        for body in vary(builtin_anatomy(), np.random.default_rng(seed)).bodies:
            lengths.setdefault(body.bone, []).append(float(np.ptp(body.mesh.vertices @ long_axis(body.mesh.vertices))))
    for digit, bones in DIGITS.items():
        for bone, mean in zip(bones, LENGTHS[digit], strict=True):
            assert np.mean(lengths[bone]) == pytest.approx(mean, rel=0.04), bone


def test_radius_and_ulna_end_side_by_side_in_every_hand() -> None:
    before = {b.bone: float(b.mesh.vertices[:, 1].min()) for b in builtin_anatomy().bodies}
    rest = before["Radius"] - before["Ulna"]
    for seed in range(20):
        ends = {
            b.bone: float(b.mesh.vertices[:, 1].min())
            for b in vary(builtin_anatomy(), np.random.default_rng(seed)).bodies
        }
        assert abs(ends["Radius"] - ends["Ulna"] - rest) < 4.0


def test_a_folder_without_bones_is_named(tmp_path: Path) -> None:
    if not MYOHAND_FOLDER.is_dir():
        pytest.skip("no MyoHand folder")
    with pytest.raises(AnatomyError, match="holds no bone meshes"):
        load_people([MYOHAND_FOLDER, tmp_path])
