"""Anatomy, signs and confidence on schematic hands: planted faults are caught, whole hands are left alone."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from helpers_dataset import SCHEMA, schematic_hand, segmentation
from helpers_judge import a_judge
from ossa.errors import ConfigError
from ossa.hand.bones import rays
from ossa.hand.geometry import geometry
from ossa.hand.usual import Usual
from ossa.hand.usual_fit import fit_usual
from ossa.inference.certainty import Closely
from ossa.inference.judge import (
    KEPT,
    LEFT_OUT,
    MANY_DOUBTFUL,
    NO_HAND,
    NOT_THERE,
    SIGNS,
    Assessment,
    Judge,
    assess,
    covered_shares,
    hand_evidence,
    inputs_of,
    judged,
    notes_of,
    signs_of,
)
from ossa.inference.judge_fit import fit_cover, fit_hand, fit_limits, fit_suspicion
from ossa.inference.suspicion import AROUND, Suspicion, surroundings
from ossa.segmentation.segmentation import Segmentation

SIZE = 256


def hand(seed: int, **how: Any) -> Segmentation:
    return segmentation(schematic_hand(SIZE, seed=seed, **how), SIZE)


def with_planes(truth: Segmentation, change) -> Segmentation:
    planes = truth.planes()
    change(planes)
    return Segmentation.from_planes(planes, SCHEMA)


def logits_of(found: Segmentation) -> np.ndarray:
    return np.where(found.planes(), 6.0, -6.0).astype(np.float32)


def i(name: str) -> int:
    return SCHEMA.index(name)


@pytest.fixture(scope="module")
def usual() -> Usual:
    return fit_usual((geometry(hand(k, side="LR"[k % 2], wrist=(k % 5) * 8.0)) for k in range(60)), SCHEMA)


@pytest.fixture(scope="module")
def judge(usual: Usual) -> Judge:
    """Fitted on whole hands and on hands with one planted fault each."""
    truths = [hand(k, side="LR"[k % 2]) for k in range(40)]
    cover = fit_cover(truths)
    rows, right = [], []
    rng = np.random.default_rng(0)
    for k, truth in enumerate(truths):
        a, b = rng.choice(len(SCHEMA), 2, replace=False)

        def change(planes: np.ndarray, a: int = a, b: int = b, k: int = k) -> None:
            if k % 2:
                planes[[a, b]] = planes[[b, a]]
            else:
                planes[a] = np.roll(planes[a], (25, 25), (0, 1))

        found = with_planes(truth, change)
        signs = signs_of(found, logits_of(found), usual, cover, geometry(found), logits_of(found))
        there = np.isfinite(signs[:, 0])
        rows.append(inputs_of(signs)[there])
        fine = np.ones(len(SCHEMA), bool)
        fine[[a, b] if k % 2 else [a]] = False
        right.append(fine[there])
    inputs, good = np.concatenate(rows), np.concatenate(right)
    suspicion = fit_suspicion(inputs, good, len(SIGNS))
    return Judge(usual, cover, suspicion, fit_limits(inputs[:, : len(SIGNS)], good), 0.5, 0.3)


def test_geometry_is_that_of_plain_moments() -> None:
    truth = hand(1)
    measured = geometry(truth)
    ys, xs = np.nonzero(truth.plane("finger-10"))
    points = np.stack([xs, ys], 1).astype(float)
    values, vectors = np.linalg.eigh(np.cov(points.T, bias=True))
    k = i("finger-10")
    assert measured.centre[k] == pytest.approx(points.mean(axis=0))
    assert measured.length[k] == pytest.approx(4 * np.sqrt(values[1] + 1 / 12))
    assert measured.width[k] == pytest.approx(4 * np.sqrt(values[0] + 1 / 12))
    assert abs(measured.axis[k] @ vectors[:, 1]) == pytest.approx(1)
    assert not measured.cut[k]


def test_rays_run_from_the_wrist_to_the_tip() -> None:
    names = [[SCHEMA.names[k] for k in ray] for ray in rays(SCHEMA)]
    assert names[0] == ["finger-3", "finger-2", "finger-1"]
    assert names[4] == ["finger-19", "finger-18", "finger-17", "finger-16"]


def test_whole_hands_are_not_odd_however_they_lie(usual: Usual) -> None:
    for how in ({"side": "L"}, {"side": "R", "turn": 180.0}, {"wrist": 30.0}):
        for size in (SIZE, 2 * SIZE):
            found = segmentation(schematic_hand(size, seed=901, **how), size)
            odd = usual.oddness(geometry(found))
            assert np.nanmedian(odd.place) < 1.5
            assert np.nanmax(odd.place) < 4.0
            assert np.nanmedian(odd.size) < 1.5
            assert np.nansum(odd.order) == 0


def test_a_bone_in_the_wrong_place_is_odd_and_its_neighbours_are_not(usual: Usual) -> None:
    truth = hand(902)
    moved = with_planes(truth, lambda p: p.__setitem__(i("Lunate"), np.roll(p[i("Lunate")], (-60, 40), (0, 1))))
    odd = usual.oddness(geometry(moved))
    assert odd.place[i("Lunate")] > 4
    assert max(odd.place[i(n)] for n in ("Capitate", "Scaphoid", "Triquetrum")) < 3


def test_bones_out_of_order_along_their_digit(usual: Usual) -> None:
    truth = hand(903)

    def swap(planes: np.ndarray) -> None:
        planes[[i("finger-4"), i("finger-6")]] = planes[[i("finger-6"), i("finger-4")]]

    order = usual.oddness(geometry(with_planes(truth, swap))).order
    assert order[i("finger-6")] == order[i("finger-5")] == 1
    assert order[i("finger-8")] == 0


def test_sizes_of_cut_bones_are_not_judged(usual: Usual) -> None:
    truth = hand(904)
    cut = Segmentation.from_planes(truth.planes()[:, : SIZE - 40], SCHEMA)
    odd = usual.oddness(geometry(cut))
    assert odd.size[i("Radius")] == odd.length[i("Radius")] == 0


def test_an_absent_bone_is_expected_between_or_beyond_its_neighbours(usual: Usual) -> None:
    truth = hand(905)
    for name in ("finger-5", "finger-4", "finger-7"):
        without = Segmentation(SCHEMA, truth.shape, {n: r for n, r in truth if n != name})
        place = usual.expected(geometry(without), i(name))
        assert place is not None
        error = np.linalg.norm(place - geometry(truth).centre[i(name)])
        assert error < 0.5 * geometry(truth).length[i(name)]


def test_covered_shares_against_planes() -> None:
    truth = hand(906)
    planes = truth.planes()
    expected = [max((planes[a] & planes[b]).sum() / planes[a].sum() for b in range(29) if b != a) for a in range(29)]
    assert covered_shares(truth) == pytest.approx(expected)


def test_faults_are_named_and_whole_hands_are_not(judge: Judge) -> None:
    flagged_whole = caught = 0
    for k in range(950, 960):
        truth = hand(k)
        whole = assess(truth, logits_of(truth), judge, logits_of(truth))
        flagged_whole += len(whole.doubtful)
        assert whole.evidence == 1.0
        a, b = [("finger-5", "finger-9"), ("finger-2", "finger-17")][k % 2]

        def swap(planes: np.ndarray, a: str = a, b: str = b) -> None:
            planes[[i(a), i(b)]] = planes[[i(b), i(a)]]

        wrong = with_planes(truth, swap)
        found = assess(wrong, logits_of(wrong), judge, logits_of(wrong))
        caught += {i(a), i(b)} <= set(found.doubtful)
        notes = notes_of(found, judge)
        assert all(isinstance(note, str) for note in notes)
    assert caught >= 8
    assert flagged_whole <= 10  # of 290


def test_missing_bones_are_said_to_be_missing_only_where_they_would_be_in_view(judge: Judge) -> None:
    truth = hand(970)
    without = Segmentation(SCHEMA, truth.shape, {n: r for n, r in truth if n not in ("finger-9", "Hamate")})
    found = assess(without, logits_of(without), judge, logits_of(without))
    assert found.missing == (i("finger-9"), i("Hamate"))
    assert any("finger-9, Hamate" in note for note in notes_of(found, judge))
    top = min(truth.regions[n].bottom for n in ("finger-8", "finger-12", "finger-4"))
    cropped = Segmentation.from_planes(truth.planes()[:, top + 2 :], SCHEMA)
    names = [n for n in SCHEMA.names if n not in cropped.regions]
    assert names
    assert assess(cropped, logits_of(cropped), judge, None).missing == ()


def test_few_scattered_blobs_are_no_hand(judge: Judge) -> None:
    planes = np.zeros((29, SIZE, SIZE), bool)
    planes[3, 20:90, 20:40] = planes[17, 200:220, 30:200] = planes[24, 100:140, 150:190] = True
    found = Segmentation.from_planes(planes, SCHEMA)
    a = assess(found, logits_of(found), judge, logits_of(found))
    assert a.evidence < judge.hand
    result = judged(found, a, judge)
    assert len(result) == 0
    assert result.notes == (NO_HAND,)
    assert hand_evidence(np.full(29, np.nan), np.full((29, len(SIGNS)), np.nan)) == 0


def test_confidences_and_notes_go_into_the_result(judge: Judge) -> None:
    truth = hand(971)
    result = judged(truth, assess(truth, logits_of(truth), judge, logits_of(truth)), judge)
    assert set(result.confidence) == set(truth.regions)
    assert min(result.confidence.values()) >= 0
    assert np.mean(list(result.confidence.values())) > 0.8


def test_unsure_logits_and_disagreement_lower_the_confidence(judge: Judge) -> None:
    """Signs grow with the fault they stand for."""
    truth = hand(972)
    sharp = signs_of(truth, logits_of(truth), judge.usual, judge.cover, geometry(truth), logits_of(truth))
    soft = signs_of(truth, logits_of(truth) * 0.05, judge.usual, judge.cover, geometry(truth), logits_of(truth))
    other = np.roll(logits_of(truth), 6, 2)
    apart = signs_of(truth, logits_of(truth), judge.usual, judge.cover, geometry(truth), other)
    column = {name: k for k, name in enumerate(SIGNS)}
    for name in ("doubt", "blur"):
        assert (soft[:, column[name]] > sharp[:, column[name]]).all()
    assert (apart[:, column["disagreement"]] > sharp[:, column["disagreement"]]).all()
    split = logits_of(truth)
    split[0, 5:15, 5:15] = 6
    parts = signs_of(truth, split, judge.usual, judge.cover, geometry(truth), None)
    assert parts[0, column["parts"]] > 0.1
    assert np.isnan(parts[:, column["disagreement"]]).all()


def test_the_judge_survives_its_file(judge: Judge) -> None:
    back = Judge.from_json(json.loads(json.dumps(judge.to_json())), judge.usual)
    truth = hand(973)
    a = assess(truth, logits_of(truth), judge, logits_of(truth)).confidence
    b = assess(truth, logits_of(truth), back, logits_of(truth)).confidence
    assert np.abs(a - b).max() < 0.01
    with pytest.raises(ConfigError, match="other signs"):
        Judge.from_json({**judge.to_json(), "signs": ["doubt"]}, judge.usual)
    with pytest.raises(ConfigError, match="other bones"):
        Judge.from_json({**judge.to_json(), "cover": [[0, 1]]}, judge.usual)


def test_the_suspicion_finds_what_was_planted_and_never_a_reward_for_a_sign() -> None:
    """A sign counts where another one is high; a third speaks for a bone, which is not believed; what lies around
    may."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(6000, 4))
    planted = 2.0 - 3.0 * np.maximum(x[:, 0] + x[:, 1], 0.0) + 1.0 * x[:, 2] + 1.5 * x[:, 3]
    right = rng.random(6000) < 1 / (1 + np.exp(-planted))
    suspicion = fit_suspicion(x, right, 3, ridge=0.1)
    without = planted - x[:, 2]  # the best that may be believed
    assert np.corrcoef(suspicion.logit(x), without)[0, 1] > 0.97
    for sign in range(3):
        worse = x.copy()
        worse[:, sign] += rng.uniform(0, 3, 6000)
        assert (suspicion(worse) <= suspicion(x) + 1e-12).all()
    better = x + np.eye(4)[3]
    assert (suspicion(better) > suspicion(x)).mean() > 0.9
    with pytest.raises(ConfigError, match="one kind"):
        fit_suspicion(x, np.ones(6000, bool), 3)


def test_a_suspicion_says_the_same_each_time_and_from_its_file(judge: Judge) -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(500, 5))
    right = rng.random(500) < 1 / (1 + np.exp(x[:, 0]))
    first, again = (fit_suspicion(x, right, 4) for _ in range(2))
    np.testing.assert_array_equal(first(x), again(x))
    back = Suspicion.from_json(json.loads(json.dumps(first.to_json())))
    np.testing.assert_allclose(back(x), first(x), atol=1e-4)
    x[3, 0] = np.nan
    known = x[3].copy()
    known[0] = first.centre[0]
    assert first(x[3:4]) == pytest.approx(first(known[None]))


def test_the_sign_that_speaks_most_is_the_one_whose_absence_helps_most() -> None:
    one = np.array([1.0, 1.0])
    plain = Suspicion(np.zeros(3), np.ones(3), np.array([0.5, 2.0]), np.zeros((1, 3)), np.zeros(1), np.zeros(1), 1.0)
    np.testing.assert_allclose(plain.speaks(np.array([*one, 9.0])), [0.5, 2.0])
    np.testing.assert_allclose(plain.speaks(np.array([-1.0, np.nan, 0.0])), [0.0, 0.0])


def test_surroundings_are_the_means_of_the_other_bones_there() -> None:
    rng = np.random.default_rng(2)
    signs = rng.normal(size=(6, len(SIGNS)))
    signs[4] = np.nan
    signs[1, SIGNS.index("disagreement")] = np.nan
    out = surroundings(signs, SIGNS)
    for bone in range(6):
        if bone == 4:
            assert np.isnan(out[bone]).all()
            continue
        for k, name in enumerate(AROUND):
            others = [signs[j, SIGNS.index(name)] for j in range(6) if j != bone]
            assert out[bone, k] == pytest.approx(np.nanmean(others))
        assert out[bone, -1] == pytest.approx(5 / 6)
    alone = np.full((3, len(SIGNS)), np.nan)
    alone[1] = 0.5
    assert np.isnan(surroundings(alone, SIGNS)[1, :-1]).all()


def test_the_limit_of_evidence_keeps_hands() -> None:
    assert 0.1 < fit_hand(np.linspace(0.8, 1, 100), np.linspace(0, 0.1, 100)) < 0.8
    assert fit_hand(np.linspace(0.2, 1, 1000), np.linspace(0, 0.9, 1000)) <= 0.21


def test_too_few_hands_teach_nothing() -> None:
    with pytest.raises(ConfigError, match="too few"):
        fit_usual([geometry(hand(0))] * 5, SCHEMA)


def test_a_bone_that_looks_different_closely_is_less_sure(judge: Judge) -> None:
    truth = hand(3)
    name = "finger-10"
    alike = assess(truth, logits_of(truth), judge, logits_of(truth), closely={name: Closely(0.97)})
    unlike = assess(truth, logits_of(truth), judge, logits_of(truth), closely={name: Closely(0.2)})
    other = [k for k in range(len(SCHEMA)) if k != i(name)]
    closely = SIGNS.index("closely")
    assert unlike.signs[i(name), closely] == pytest.approx(0.8)
    assert unlike.confidence[i(name)] <= alike.confidence[i(name)]
    np.testing.assert_array_equal(unlike.confidence[other], alike.confidence[other])
    # Of a bone that was not looked at closely that is not known, and the first look stands for how sure it is.
    plain = assess(truth, logits_of(truth), judge, logits_of(truth)).signs
    assert np.isnan(plain[:, closely]).all()
    np.testing.assert_array_equal(plain[:, closely + 1 :], plain[:, :2])
    unsure = assess(truth, logits_of(truth), judge, logits_of(truth), closely={name: Closely(0.97, 0.4, 0.9)}).signs
    np.testing.assert_array_equal(unsure[i(name), closely + 1 :], [0.4, 0.9])


def test_where_less_evidence_is_enough_the_doubtful_bones_are_left_out() -> None:
    truth = hand(973)
    first, second, third = (name for name, _ in list(truth)[:3])
    found = replace(
        truth,
        regions={name: truth.regions[name] for name in (first, second, third)},
        probability={first: 0.9, second: 0.9},
        notes=("something of the film",),
    )
    confidence = np.full(len(SCHEMA), np.nan)
    for name, value in ((first, 0.9), (second, KEPT - 0.2), (third, KEPT + 0.1)):
        confidence[SCHEMA.index(name)] = value
    doubtful = (SCHEMA.index(second),)
    signs = np.zeros((len(SCHEMA), len(SIGNS)))
    little = Assessment(confidence, signs, evidence=0.3, doubtful=doubtful, missing=())
    judge = replace(a_judge(0.4), unsure=0.4)
    assert judged(found, little, judge).notes[-1] == NO_HAND
    told = judged(found, little, judge, 0.5)
    assert list(told.regions) == [first, third]
    assert set(told.confidence) == {first, third}
    assert set(told.probability) == {first}
    assert told.notes == ("something of the film", LEFT_OUT + second)
    # With the usual evidence every bone is given, and the doubtful ones are named.
    much = replace(little, evidence=0.5)
    assert list(judged(found, much, judge, 0.5).regions) == [first, second, third]
    assert any(note.startswith(f"{second} is doubtful") for note in judged(found, much, judge, 0.5).notes)
    # Where more than the usual is asked, the usual is not enough.
    assert len(judged(found, much, judge, 1.3)) == 0
    many = replace(little, doubtful=tuple(range(20)))
    assert not any(note.endswith(MANY_DOUBTFUL) for note in judged(found, many, judge, 0.5).notes)


def test_carpals_of_a_small_child_that_are_hardly_there_are_left_out() -> None:
    truth = hand(973)
    carpals = SCHEMA.in_row("carpal")
    found = replace(truth, notes=("Lunate is doubtful (its border is blurred)", "something else"))

    def told(unlikely: int, others: float) -> Segmentation:
        confidence = np.array([others if name in truth else np.nan for name in SCHEMA.names])
        for name in carpals:
            confidence[SCHEMA.index(name)] = 0.99
        for name in ("Lunate", "Scaphoid", "Pisiform", "Triquetrum", "Trapezoid")[:unlikely]:
            confidence[SCHEMA.index(name)] = 0.1
        signs = np.zeros((len(SCHEMA), len(SIGNS)))
        return judged(found, Assessment(confidence, signs, 1.0, (), ()), replace(a_judge(0.4), unsure=0.3))

    child = told(4, 0.97)
    assert [name for name in carpals if name in child] == ["Trapezium", "Trapezoid", "Capitate", "Hamate"]
    assert child.notes == ("something else", NOT_THERE + "Scaphoid, Lunate, Triquetrum, Pisiform")
    assert set(child.confidence) == set(child.regions)
    # Where few are unlikely, or the whole hand is hard to see, they are given and doubted.
    for usual in (told(3, 0.97), told(5, 0.6)):
        assert set(usual.regions) == set(truth.regions)
