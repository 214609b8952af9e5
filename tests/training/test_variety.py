"""Augmentations beyond the ordinary ones: warps, parts, CutMix, pasted bones, other packages' transforms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from helpers_dataset import SCHEMA, schematic_hand  # noqa: E402
from helpers_dataset import draw as draw_hand  # noqa: E402
from ossa.errors import ConfigError  # noqa: E402
from ossa.radiograph.prepare import Preparation, place  # noqa: E402
from ossa.segmentation.outlines import bits_from_outlines  # noqa: E402
from ossa.training import transforms  # noqa: E402
from ossa.training.augment import Variation, apply_affine, draw, matrix, move_outlines, move_picture  # noqa: E402
from ossa.training.augment_keys import NONE, AugmentConfig  # noqa: E402
from ossa.training.batches import BoneData, make_batch  # noqa: E402
from ossa.training.mixing import draw_mixing  # noqa: E402
from ossa.training.samples import RawSample  # noqa: E402
from ossa.training.warps import warp_of  # noqa: E402

SIZE = 128


class Hands:
    """Schematic hands with outlines, or with bit planes alone; the second lacks its pisiform."""

    def __init__(self, with_bits: bool = False) -> None:
        self.with_bits = with_bits

    def __len__(self) -> int:
        return 2

    def sample(self, index: int, rng: np.random.Generator) -> RawSample:
        outlines = schematic_hand(SIZE, seed=index)
        image = draw_hand(outlines, SIZE, index)
        names = frozenset(SCHEMA.names) - ({"Pisiform"} if index == 1 else set())
        bits = bits_from_outlines(outlines, SCHEMA, image.shape) if self.with_bits else None
        placement = place(image.shape, Preparation(SIZE))
        return RawSample(image, None if self.with_bits else outlines, bits, names, placement, f"hand {index}")


def only(**values: Any) -> AugmentConfig:
    return AugmentConfig.model_validate(NONE.model_dump() | values)


# --- geometry -----------------------------------------------------------------------------------------------------

shares = st.floats(-0.1, 0.1)


@settings(max_examples=40, deadline=None)
@given(st.one_of(st.just(()), st.tuples(*[shares] * 8)), st.floats(0, 0.12), st.integers(0, 1000))
def test_points_come_back_from_a_warp(corners: tuple[float, ...], elastic: float, seed: int) -> None:
    warp = warp_of(corners, elastic, seed, (90, 120))
    if warp is None:
        assert not corners
        assert elastic == 0
        return
    points = np.random.default_rng(seed).uniform(-5, 125, (60, 2))
    np.testing.assert_allclose(warp.backward(warp.forward(points)), points, atol=0.02)


@pytest.mark.parametrize(
    ("corners", "elastic"), [((0.08, 0.02, -0.05, 0.08, 0, -0.08, 0.06, 0), 0.0), ((), 0.1), ((0.05,) * 8, 0.08)]
)
def test_a_warped_picture_shows_the_warped_outlines(corners: tuple[float, ...], elastic: float) -> None:
    size = 256
    outlines = schematic_hand(size, seed=3)
    truth = bits_from_outlines(outlines, SCHEMA, (size, size))[0] > 0
    picture = np.where(truth, 255, 0).astype(np.uint8)
    warp = warp_of(corners, elastic, 7, picture.shape)
    assert warp is not None
    still = matrix(Variation(), picture.shape)
    seen = move_picture(picture, still, picture.shape, warp=warp) > 127
    moved = bits_from_outlines(move_outlines(outlines, still, warp=warp), SCHEMA, picture.shape)[0] > 0
    assert 2 * (seen & moved).sum() / (seen.sum() + moved.sum()) > 0.97
    assert 2 * (seen & truth).sum() / (seen.sum() + truth.sum()) < 0.97


def test_a_part_fills_the_grid() -> None:
    """The pixel corners of the part go to those of the picture."""
    affine = matrix(Variation(crop=(0.25, 0.5, 0.5)), (100, 80))
    corners = np.array([[0.25 * 80, 0.5 * 100], [0.75 * 80, 100]]) - 0.5
    np.testing.assert_allclose(apply_affine(corners, affine), [[-0.5, -0.5], [79.5, 99.5]])


def test_all_is_off_unless_asked_for_and_older_draws_stay() -> None:
    assert not [n for n, f in AugmentConfig.model_fields.items() if n in NEW and f.default]
    for k in range(50):
        drawn = draw(AugmentConfig(), np.random.default_rng(k))
        assert (drawn.crop, drawn.corners, drawn.elastic) == ((0.0, 0.0, 1.0), (), 0.0)
        everything = draw(AugmentConfig.model_validate(dict.fromkeys(NEW, 1.0)), np.random.default_rng(k))
        assert everything.angle == drawn.angle
        assert everything.boxes == drawn.boxes
        assert everything.crop[2] < 1
        assert len(everything.corners) == 8
        assert everything.elastic > 0


NEW = ("p_cutmix", "p_copy_paste", "p_crop", "p_perspective", "p_elastic", "p_low_resolution")


# --- mixing -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["p_cutmix", "p_copy_paste"])
def test_what_is_pasted_takes_its_truth_along(kind: str) -> None:
    plain = make_batch(BoneData(Hands(), SCHEMA, SIZE), [(0, 0, 0), (0, 1, 1)])
    data = BoneData(Hands(), SCHEMA, SIZE, augment=only(**{kind: 1.0}))
    tried = (make_batch(data, [(e, 0, 0), (e, 1, 1)]) for e in range(40))
    batch = next(b for b in tried if b.partners[0] == 1 and b.paste is not None and 20 < b.paste[0].sum() < 12000)
    assert batch.paste is not None
    paste, x, y = batch.paste, batch.inputs(), batch.targets()[0]
    for n, other in ((0, 1), (1, 0)):
        for mine, source in ((x[n], plain.inputs()), (y[n], plain.targets()[0])):
            assert torch.equal(mine[:, paste[n]], source[other][:, paste[n]])
            assert torch.equal(mine[:, ~paste[n]], source[n][:, ~paste[n]])
    assert batch.targets()[1][:, SCHEMA.index("Pisiform")].tolist() == [0, 0]
    again = make_batch(data, [(batch.number[0], 0, 0), (batch.number[0], 1, 1)])
    assert torch.equal(again.bits, batch.bits)
    assert batch.to("cpu").paste is not None


def test_each_kind_of_mixing_has_its_share() -> None:
    bits = np.ones((4, 1, 32, 32), np.uint32)
    known = np.ones((4, 29), bool)
    config = only(p_mixup=0.3, p_cutmix=0.5, p_copy_paste=1.0)
    drawn = [draw_mixing(config, [1, k], bits, known) for k in range(600)]
    mixed = [d for d in drawn if d.share < 1]
    assert 0.25 < len(mixed) / 600 < 0.35
    assert 0.42 < np.mean([d.share for d in mixed]) < 0.58
    assert all(d.paste is not None for d in drawn if d.share == 1)
    assert all(sorted(d.partners) == [0, 1, 2, 3] for d in drawn)
    assert draw_mixing(config, [1, 0], bits[:1], known[:1]).paste is None
    half = [draw_mixing(only(p_cutmix=1.0), [2, k], bits, known).paste for k in range(200)]
    assert 0.25 < np.mean([p.mean() for p in half if p is not None]) < 0.5  # half of the area, less what is cut off


# --- other packages -----------------------------------------------------------------------------------------------


class Mirror:
    """As Albumentations' HorizontalFlip, at random."""

    def __init__(self, keep: bool = True, away: float = 0.0) -> None:
        self.keep, self.away = keep, away

    def __call__(self, image: Any, keypoints: Any = None, mask: Any = None) -> dict[str, Any]:
        turned = np.random.rand() < 0.5  # noqa: NPY002
        width = image.shape[1]
        out: dict[str, Any] = {"image": image[:, ::-1].copy() if turned else image}
        if mask is not None:
            out["mask"] = mask[:, ::-1].copy() if turned else mask
        if keypoints is not None:
            points = [((width - 1 - x if turned else x) + self.away, y) for x, y in keypoints]
            out["keypoints"] = [p for p in points if self.keep or p[0] < width / 2]
        return out


class Point:
    """An entry point."""

    def __init__(self, name: str, made: Any) -> None:
        self.name, self.made = name, made

    def load(self) -> Any:
        return self.made


@pytest.fixture(autouse=True)
def _offered(monkeypatch: pytest.MonkeyPatch) -> Any:
    table = [Point("mirror", Mirror), Point("small", lambda: lambda **given: {**given, "image": given["image"][::2]})]
    monkeypatch.setattr(transforms, "entry_points", lambda group: table if group == "ossa.transforms" else [])
    transforms._load.cache_clear()
    yield
    transforms._load.cache_clear()


@pytest.mark.parametrize("with_bits", [False, True])
def test_a_transform_moves_picture_and_truth(with_bits: bool) -> None:
    data = BoneData(Hands(with_bits), SCHEMA, SIZE, augment=only(transforms=[{"name": "mirror", "p": 1.0}]))
    plain = BoneData(Hands(with_bits), SCHEMA, SIZE)[0]
    seen = set()
    state = np.random.get_state(legacy=False)["state"]["key"].copy()  # noqa: NPY002
    for position in range(8):
        sample = data[(0, position, 0)]
        again = data[(0, position, 0)]
        np.testing.assert_array_equal(sample.image, again.image)
        turned = not np.array_equal(sample.image, plain.image)
        seen.add(turned)
        np.testing.assert_array_equal(sample.image, plain.image[:, ::-1] if turned else plain.image)
        mine, own = sample.bits[0] > 0, plain.bits[0] > 0
        expected = own[:, ::-1] if turned else own
        assert 2 * (mine & expected).sum() / (mine.sum() + expected.sum()) > 0.99
    assert seen == {False, True}
    np.testing.assert_array_equal(np.random.get_state(legacy=False)["state"]["key"], state)  # noqa: NPY002


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"name": "mirror", "keep": False}, r"'mirror' loses points; found \d+ of 24.*remove_invisible=False"),
        ({"name": "mirror", "away": 500.0}, "moves every point out of the picture"),
        ({"name": "mirro"}, "perhaps 'mirror'"),
        ({"name": "mirror", "kep": True}, "cannot be made.*TypeError"),
        ({"name": "small"}, r"gave what cannot be used; found a picture \(48, 96\) uint8"),
    ],
)
def test_what_cannot_be_used_is_told_before_a_run_begins(wanted: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        transforms.check([wanted])


def test_a_package_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transforms, "entry_points", lambda group: [])
    with pytest.raises(ConfigError, match=r"no package offers 'rain'.*ossa\.transforms"):
        transforms.check([{"name": "rain"}])
