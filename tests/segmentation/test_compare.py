"""Measures against full-frame reference code: float planes for Dice, scipy's distance transform for surfaces."""

import dataclasses
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from helpers_known import known
from ossa.errors import ConfigError, LabelError, SchemaError
from ossa.radiograph.radiograph import Spacing
from ossa.schema import Bone, BoneSchema, load_schema
from ossa.segmentation import compare as c
from ossa.segmentation.distances import surface_distances
from ossa.segmentation.scores import Scores
from ossa.segmentation.segmentation import Region, Segmentation

SCHEMA = load_schema()


def bone(name: str) -> Bone:
    return Bone(name, name, "carpal", None, (1, 2, 3), None, name)


THREE = BoneSchema("three", "three bones", (bone("a"), bone("b"), bone("c")))
SHAPE = (11, 9)
plane = hnp.arrays(bool, SHAPE, elements=st.booleans(), fill=st.just(False))
three_planes = hnp.arrays(bool, (3, *SHAPE))
spacings = st.sampled_from([None, Spacing(0.15, 0.15, "user"), Spacing(0.1, 0.25, "user"), Spacing(0.3, 0.11, "user")])


def reference_dice(a: np.ndarray, b: np.ndarray, eps: float = 1e-4) -> float:
    """As people write it: float planes, flattened."""
    x, y = a.astype(np.float64).reshape(-1), b.astype(np.float64).reshape(-1)
    return float((2.0 * (x * y).sum() + eps) / (x.sum() + y.sum() + eps))


def reference_distances(a: np.ndarray, b: np.ndarray, spacing: Spacing | None) -> tuple[np.ndarray, np.ndarray]:
    """scipy on the full frame, borders by erosion, as MONAI does."""
    sampling = (1.0, 1.0) if spacing is None else (spacing.row, spacing.column)
    edges = [m ^ ndimage.binary_erosion(m) for m in (a, b)]
    to_a, to_b = (ndimage.distance_transform_edt(~edge, sampling=sampling) for edge in edges)
    return to_b[edges[0]], to_a[edges[1]]


def random_blobs(seed: int, shape: tuple[int, int]) -> np.ndarray:
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(shape), 6)
    return noise > np.quantile(noise, 0.85)


@given(plane, plane)
@settings(deadline=None, max_examples=120)
def test_dice_and_iou_against_float_planes(a: np.ndarray, b: np.ndarray) -> None:
    first, second = Region.tight(a), Region.tight(b)
    assert c.dice(first, second) == pytest.approx(reference_dice(a, b), abs=1e-12)
    assert c.iou(first, second) == pytest.approx(((a & b).sum() + 1e-4) / ((a | b).sum() + 1e-4), abs=1e-12)
    assert c.dice(first, second) == c.dice(second, first)


@given(st.integers(0, 2**32 - 1), st.integers(-40, 40), st.integers(-40, 40))
@settings(deadline=None, max_examples=40)
def test_shared_pixels_are_counted_exactly(seed: int, down: int, right: int) -> None:
    first, second = (
        known(Region.tight(random_blobs(seed, (33, 47)))),
        known(Region.tight(random_blobs(seed + 1, (41, 29)))),
    )
    a, b = Region(50 + first.top, 50 + first.left, first.mask), Region(50 + down, 50 + right, second.mask)
    both = a.plane((150, 150)) & b.plane((150, 150))
    assert c.intersection_area(a, b) == c.intersection_area(b, a) == both.sum()


def test_shared_pixels_of_the_largest_and_of_the_smallest() -> None:
    everything, one = Region(0, 0, np.ones((3001, 2999), bool)), Region(3000, 2998, np.ones((1, 1), bool))
    assert c.intersection_area(everything, everything) == 3001 * 2999
    assert c.intersection_area(everything, one) == c.intersection_area(one, one) == 1
    assert c.intersection_area(one, Region(3001, 2998, one.mask)) == c.intersection_area(one, None) == 0


def test_dice_of_absent_bones_follows_the_competition() -> None:
    one = Region.tight(np.ones((3, 4), bool))
    assert c.dice(None, None) == 1.0
    assert c.iou(None, None) == 1.0
    assert c.dice(one, None) == pytest.approx(1e-4 / (12 + 1e-4), abs=1e-15)
    assert c.dice(one, one) == pytest.approx(1.0)


@given(plane, plane, spacings)
@settings(deadline=None, max_examples=120)
def test_surface_measures_against_scipy(a: np.ndarray, b: np.ndarray, spacing: Spacing | None) -> None:
    assume(a.any() and b.any())
    first, second = known(Region.tight(a)), known(Region.tight(b))
    expected = reference_distances(a, b, spacing)
    for got, wanted in zip(surface_distances(first, second, spacing), expected, strict=True):
        np.testing.assert_allclose(np.sort(got), np.sort(wanted), atol=1e-6)
    joined = np.concatenate(expected)
    assert c.hd95(first, second, spacing) == pytest.approx(max(np.percentile(d, 95) for d in expected), abs=1e-6)
    assert c.assd(first, second, spacing) == pytest.approx(joined.mean(), abs=1e-6)
    for tolerance in (0.05, 0.45, 1.05, 2.5):  # no distance of these spacings lies on one of them
        assert c.surface_dice(first, second, tolerance, spacing) == pytest.approx(
            (joined <= tolerance).mean(), abs=1e-12
        )


@pytest.mark.parametrize("spacing", [None, Spacing(0.2, 0.2, "user"), Spacing(0.2, 0.13, "user")])
@pytest.mark.parametrize("shape", [(300, 200), (120, 400)])
def test_surface_measures_of_large_shapes(shape: tuple[int, int], spacing: Spacing | None) -> None:
    a, b = random_blobs(1, shape), random_blobs(2, shape)
    b[:, : shape[1] // 2] = False  # far from much of a
    for got, wanted in zip(
        surface_distances(known(Region.tight(a)), known(Region.tight(b)), spacing),
        reference_distances(a, b, spacing),
        strict=True,
    ):
        np.testing.assert_allclose(got, wanted, atol=1e-6)


def test_uneven_spacing_is_searched_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    spacing = Spacing(0.2, 0.13, "user")
    a, b = (known(Region.tight(random_blobs(seed, (90, 80)))) for seed in (3, 4))
    whole = surface_distances(a, b, spacing)
    monkeypatch.setattr("ossa.segmentation.distances._AT_ONCE", 500)
    for got, wanted in zip(surface_distances(a, b, spacing), whole, strict=True):
        np.testing.assert_array_equal(got, wanted)


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> Iterator[None]:
    """OpenCV on one and on two threads: its distance transforms round differently."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(request.param)
    yield
    cv2.setNumThreads(before)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("size", [600, 900, 1400, 2048, 6000])
def test_bones_far_apart_are_measured_exactly(size: int) -> None:
    """Against all pairs of pixels: far apart a float32 distance would be off by up to 6e-4 px."""
    rng = np.random.default_rng(size)
    a = known(Region.tight(rng.random((30, 40)) < 0.5, 0, int(rng.integers(0, size - 40))))
    b = known(Region.tight(rng.random((40, 30)) < 0.3, size - 40, int(rng.integers(0, size - 40))))
    first, second = (np.argwhere(r.mask) + np.array([r.top, r.left]) for r in (a, b))
    pairs = np.sqrt(np.square(first[:, None] - second[None]).sum(axis=2).astype(np.float64))
    got = surface_distances(a, b)
    # the nearest pixel of a shape is always one of its border
    edges = [m.mask ^ ndimage.binary_erosion(m.mask) for m in (a, b)]
    np.testing.assert_array_equal(got[0], pairs.min(axis=1)[edges[0][a.mask]])
    np.testing.assert_array_equal(got[1], pairs.min(axis=0)[edges[1][b.mask]])


def test_surface_measures_of_a_shift_known_by_hand() -> None:
    square = np.zeros((40, 40), bool)
    square[10:20, 10:20] = True
    a, b = Region.tight(square), Region.tight(np.roll(square, 3, axis=1))
    assert c.hd95(a, b) == 3.0
    assert c.hd95(a, b, Spacing(9.0, 0.5, "user")) == 1.5
    assert c.surface_dice(a, b, 3.0) == 1.0
    assert c.surface_dice(a, b, 0.0) == pytest.approx((2 * 14) / (2 * 36))  # 7 columns of top and bottom coincide
    assert c.surface_dice(a, a, 0.0) == 1.0
    assert c.assd(a, a) == 0.0


def test_surface_measures_of_absent_bones() -> None:
    one = Region.tight(np.ones((3, 4), bool))
    assert c.surface_dice(None, None, 1.0) == 1.0
    assert c.surface_dice(one, None, 1.0) == c.surface_dice(None, one, 1.0) == 0.0
    for measure in (c.hd95, c.assd):
        assert np.isnan(measure(None, None))
        assert measure(one, None) == measure(None, one) == np.inf


@given(three_planes, three_planes)
@settings(deadline=None, max_examples=100)
def test_overlap_dice_against_a_pixel_loop(p: np.ndarray, t: np.ndarray) -> None:
    got = c.overlap_dice(Segmentation.from_planes(p, THREE), Segmentation.from_planes(t, THREE))
    for i in range(3):
        both = only_p = only_t = 0
        for y in range(SHAPE[0]):
            for x in range(SHAPE[1]):
                if p[:, y, x].sum() >= 2 or t[:, y, x].sum() >= 2:
                    both += p[i, y, x] and t[i, y, x]
                    only_p += p[i, y, x] and not t[i, y, x]
                    only_t += t[i, y, x] and not p[i, y, x]
        if both + only_p + only_t == 0:
            assert np.isnan(got[i])
        else:
            assert got[i] == pytest.approx((2 * both + 1e-4) / (2 * both + only_p + only_t + 1e-4), abs=1e-12)


def test_overlap_dice_tells_one_bone_per_pixel_from_whole_bones() -> None:
    truth = np.zeros((3, 20, 20), bool)
    truth[0, 2:12, 2:12] = truth[1, 6:16, 6:16] = True
    one_each = truth.copy()
    one_each[0] &= ~truth[1]
    found = c.overlap_dice(Segmentation.from_planes(one_each, THREE), Segmentation.from_planes(truth, THREE))
    assert found[0] < 1e-3
    assert found[1] == pytest.approx(1.0)
    assert np.isnan(found[2])


@given(three_planes, three_planes, spacings)
@settings(deadline=None, max_examples=60)
def test_the_table_holds_the_single_measures(p: np.ndarray, t: np.ndarray, spacing: Spacing | None) -> None:
    p[2], t[1] = False, False
    pred, truth = Segmentation.from_planes(p, THREE), Segmentation.from_planes(t, THREE)
    table = c.compare(pred, truth, tolerance=0.77, spacing=spacing)
    for i, name in enumerate(THREE.names):
        a, b = pred.get(name), truth.get(name)
        assert table.dice[i] == pytest.approx(c.dice(a, b), abs=1e-12)
        assert table.iou[i] == pytest.approx(c.iou(a, b), abs=1e-12)
        np.testing.assert_equal(table.surface_dice[i], c.surface_dice(a, b, 0.77, spacing))
        np.testing.assert_equal(table.hd95[i], c.hd95(a, b, spacing))
        np.testing.assert_equal(table.assd[i], c.assd(a, b, spacing))
    np.testing.assert_array_equal(table.overlap_dice, c.overlap_dice(pred, truth))
    np.testing.assert_allclose(c.dice_per_bone(pred, truth), table.dice, atol=1e-12)
    np.testing.assert_array_equal(table.predicted_area, p.sum(axis=(1, 2)))
    np.testing.assert_array_equal(table.annotated_area, t.sum(axis=(1, 2)))
    assert sum(table.counts().values()) == 3
    assert (table.unit, table.spacing_source) == (("px", None) if spacing is None else ("mm", "user"))


def two_pictures() -> list[c.Comparison]:
    """a: found twice; b: found once, missed once; c: extra once, absent once."""
    base = np.zeros((3, 30, 30), bool)
    base[0, 3:10, 3:10] = base[1, 15:25, 15:25] = True
    first = base.copy()
    first[2, 1:3, 20:25] = True
    second = base.copy()
    second[1] = False
    second[0, 3:5] = False
    truth = Segmentation.from_planes(base, THREE)
    return [c.compare(Segmentation.from_planes(p, THREE), truth) for p in (first, second)]


def test_rows_means_and_counts_of_one_picture() -> None:
    table = two_pictures()[1]
    rows = table.rows()
    assert [row["bone"] for row in rows] == ["a", "b", "c"]
    assert rows[1]["predicted"] is False
    assert rows[1]["annotated_area"] == 100
    assert table.counts() == {"both": 1, "missed": 1, "extra": 0, "absent": 1}
    means = table.means()
    # the absent bone counts 1, as in the competition; distances speak of the bone on both sides only
    assert means["dice"] == pytest.approx((2 * 35 / (35 + 49) + 0 + 1) / 3, abs=1e-5)
    assert means["hd95"] == table.hd95[0]
    assert np.isnan(means["overlap_dice"])


def test_pictures_put_together() -> None:
    tables = two_pictures()
    summary = c.aggregate(iter(tables))
    assert summary.images == 2
    np.testing.assert_allclose(summary.dice, (tables[0].dice + tables[1].dice) / 2)
    assert summary.means()["dice"] == pytest.approx(
        np.mean([table.dice for table in tables])
    )  # the competition's score
    assert summary.both.tolist() == [2, 1, 0]
    assert summary.missed.tolist() == [0, 1, 0]
    assert summary.extra.tolist() == [0, 0, 1]
    assert summary.absent.tolist() == [0, 0, 1]
    assert summary.hd95[1] == tables[0].hd95[1]  # the picture where it is missed has no distance
    assert np.isnan(summary.hd95[2])
    assert summary.rows()[0]["both"] == 2
    assert set(c.METRICS) <= set(summary.rows()[0])


def test_a_measure_has_one_mean_wherever_it_is_told() -> None:
    """Of the overlap's Dice few pictures have a value: the table of bones and the table of all scores agree on it."""
    rng = np.random.default_rng(0)
    tables = []
    for k in range(6):
        p, t = rng.random((3, 12, 12)) < 0.3, rng.random((3, 12, 12)) < 0.3
        p[1:], t[1:] = p[1:] & (k < 4), t[1:] & (k < 2)
        tables.append(c.compare(Segmentation.from_planes(p, THREE), Segmentation.from_planes(t, THREE)))
    names = tuple("abcdef")
    scores = Scores(names, names, THREE.names, {m: np.stack([getattr(x, m) for x in tables]) for m in c.METRICS})
    means = c.aggregate(tables).means()
    for metric in c.METRICS:
        assert means[metric] == pytest.approx(scores.mean(metric)), metric


def test_what_cannot_be_compared_is_refused() -> None:
    planes = np.ones((3, 4, 4), bool)
    a = Segmentation.from_planes(planes, THREE)
    with pytest.raises(SchemaError, match="hand29"):
        c.compare(a, Segmentation(SCHEMA, (4, 4), {}))
    with pytest.raises(LabelError, match="4x5"):
        c.dice_per_bone(a, Segmentation(THREE, (4, 5), {}))
    for tolerance in (-1.0, float("nan")):
        with pytest.raises(ConfigError, match="tolerance"):
            c.compare(a, a, tolerance=tolerance)
        with pytest.raises(ConfigError, match="tolerance"):
            c.surface_dice(a.get("a"), a.get("a"), tolerance)


def test_what_cannot_be_put_together_is_refused() -> None:
    first = two_pictures()[0]
    with pytest.raises(ConfigError, match="no comparison"):
        c.aggregate([])
    with pytest.raises(ConfigError, match="unit"):
        c.aggregate([first, dataclasses.replace(first, unit="mm")])
    with pytest.raises(ConfigError, match="bones"):
        c.aggregate([first, dataclasses.replace(first, schema=SCHEMA)])
