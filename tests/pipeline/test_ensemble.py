"""Votes over submission files, means of stores, weights per bone: the trips end to end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from helpers_pictures import hand_picture, save
from ossa.errors import BundleError, ConfigError, InputError, OutputError, SubmissionError
from ossa.inference.predictor import Predictor
from ossa.labels.store import Store
from ossa.labels.submission import read_submission, write_submission
from ossa.pipeline.ensemble import (
    fit_weights,
    image_sizes,
    predict_models,
    read_weights,
    save_probabilities,
    soft_vote,
    vote,
)
from ossa.radiograph.prepare import Placement
from ossa.safety import write_json
from ossa.schema import load_schema
from ossa.segmentation.segmentation import Segmentation

SCHEMA = load_schema()
SHAPE = (23, 31)


def planes(seed: int, share: float = 0.5) -> np.ndarray:
    rng = np.random.default_rng(seed)
    out = rng.random((29, *SHAPE)) < share
    out[rng.integers(0, 29, 5)] = False  # some bones are absent
    out[28, -1, -1] = True  # a run that ends on the last pixel
    return out


def submission(path: Path, images: dict[str, np.ndarray]) -> Path:
    write_submission(path, ((name, Segmentation.from_planes(p, SCHEMA)) for name, p in images.items()))
    return path


def test_vote_is_the_pixelwise_majority(tmp_path: Path) -> None:
    names = ["a_b_c.png", 'quoted "x", y.png', "z.png"]
    masks = [[planes(10 * f + i) for i in range(3)] for f in range(5)]
    files = [submission(tmp_path / f"{f}.csv", dict(zip(names, masks[f], strict=True))) for f in range(5)]
    # one file in another order of rows, with CRLF
    lines = files[3].read_text().splitlines()
    files[3].write_bytes("\r\n".join([lines[0], *reversed(lines[1:])]).encode())
    weights = [3.0, 1, 1, 2, 1]
    assert vote(files, tmp_path / "out.csv", weights=weights, shape=SHAPE) == 3
    voted = read_submission(tmp_path / "out.csv", SCHEMA, SHAPE)
    assert list(voted) == names
    for i, name in enumerate(names):
        share = sum(w * masks[f][i] for f, w in enumerate(weights)) / 8
        assert np.array_equal(voted[name].planes(), share >= 0.5)  # half of the weight is enough


@pytest.mark.parametrize(("threshold", "expected"), [(0.5, "or"), (0.51, "and"), (1.0, "and")])
def test_ties_of_two(tmp_path: Path, threshold: float, expected: str) -> None:
    a, b = planes(1), planes(2)
    files = [submission(tmp_path / "a.csv", {"x": a}), submission(tmp_path / "b.csv", {"x": b})]
    vote(files, tmp_path / "out.csv", threshold=threshold, shape=SHAPE)
    voted = read_submission(tmp_path / "out.csv", SCHEMA, SHAPE)["x"].planes()
    assert np.array_equal(voted, a | b if expected == "or" else a & b)


def test_images_of_different_sizes(tmp_path: Path) -> None:
    sizes = {"small.png": (5, 7), "large.png": (300, 200)}
    rng = np.random.default_rng(0)
    masks = [{name: rng.random((29, *shape)) < 0.5 for name, shape in sizes.items()} for _ in range(3)]
    files = [submission(tmp_path / f"{i}.csv", m) for i, m in enumerate(masks)]
    for name, shape in sizes.items():
        save(tmp_path / "in" / name, np.zeros(shape, np.uint8))
    assert image_sizes([tmp_path / "in"]) == sizes
    vote(files, tmp_path / "out.csv", shape=image_sizes([tmp_path / "in"]))
    voted = read_submission(tmp_path / "out.csv", SCHEMA, sizes)
    for name in sizes:
        assert np.array_equal(voted[name].planes(), sum(m[name].astype(int) for m in masks) >= 2)


def test_weights_per_bone(tmp_path: Path) -> None:
    a, b = planes(1), planes(2)
    files = [submission(tmp_path / "a.csv", {"x": a}), submission(tmp_path / "b.csv", {"x": b})]
    weights = np.ones((2, 29))
    weights[1, :14] = 0
    weights[0, 14:] = 0
    vote(files, tmp_path / "out.csv", weights=weights, shape=SHAPE)
    voted = read_submission(tmp_path / "out.csv", SCHEMA, SHAPE)["x"].planes()
    assert np.array_equal(voted, np.concatenate([a[:14], b[14:]]))


def test_a_broken_run_names_file_image_and_bone(tmp_path: Path) -> None:
    good = submission(tmp_path / "a.csv", {"x": planes(1)})
    bad = submission(tmp_path / "b.csv", {"x": planes(2)})
    lines = bad.read_text().splitlines()
    lines[-1] = "x,Ulna,5 3 7"
    bad.write_text("\n".join(lines))
    with pytest.raises(SubmissionError, match=r"b\.csv: x, Ulna: run lengths are not pairs"):
        vote([good, bad], tmp_path / "out.csv", shape=SHAPE)
    lines[-1] = f"x,Ulna,{SHAPE[0] * SHAPE[1]} 2"
    bad.write_text("\n".join(lines))
    with pytest.raises(SubmissionError, match="leaves the picture"):
        vote([good, bad], tmp_path / "out.csv", shape=SHAPE)
    assert not (tmp_path / "out.csv").exists()


def test_unequal_images(tmp_path: Path) -> None:
    one = submission(tmp_path / "a.csv", {"x": planes(1), "y": planes(1)})
    two = submission(tmp_path / "b.csv", {"y": planes(2), "z": planes(1)})
    with pytest.raises(InputError, match=r"a\.csv lacks 1 of 3: z; .*b\.csv lacks 1 of 3: x"):
        vote([one, two], tmp_path / "out.csv", shape=SHAPE)
    with pytest.raises(ConfigError, match="no submission"):
        vote([], tmp_path / "out.csv", shape=SHAPE)


def test_save_resume_average(bright_model: Path, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        save(tmp_path / "in" / f"{name}.png", hand_picture())
    (tmp_path / "in" / "c.png").write_bytes(b"")
    predictor = Predictor.load(bright_model, fast=True)
    first = save_probabilities([tmp_path / "in" / "a.png"], tmp_path / "s", predictor)
    assert (first.saved, first.before, first.skipped) == (1, 0, ())
    said: list[str] = []
    second = save_probabilities([tmp_path / "in"], tmp_path / "s", predictor, tell=said.append)
    assert (second.saved, second.before, len(second.skipped)) == (1, 1, 1)
    assert "c.png" in said[0]
    assert soft_vote([tmp_path / "s", tmp_path / "s"], tmp_path / "o.csv", rules=bright_model).images == 2
    result = read_submission(tmp_path / "o.csv", SCHEMA, (240, 200))
    from ossa.radiograph.read import read_radiograph

    direct = predictor.predict(read_radiograph(tmp_path / "in" / "a.png"))
    assert (result["a.png"].planes() == direct.planes()).all()


def test_models_as_one(bright_model: Path, tmp_path: Path) -> None:
    save(tmp_path / "in" / "a.png", hand_picture())
    predictor = Predictor.load([bright_model, bright_model], weights=[1, 2], fast=True)
    outcome = predict_models([tmp_path / "in"], tmp_path / "o", predictor)
    assert outcome.done[0].bones == 29
    assert {p.name for p in (tmp_path / "o").iterdir()} == {"a.json", "a_overlay.png", "predictions.csv"}


def test_weights_fitted_on_a_data_set(tmp_path: Path) -> None:
    """Two stores: one right for the fingers, one for the rest; the fit finds which is which."""
    from helpers_dataset import write_competition
    from ossa.dataset.dataset import open_dataset

    root = write_competition(tmp_path / "data", subjects=4, size=128, tests=0)
    cases = [c for c in open_dataset(root, SCHEMA).cases if c.label is not None]
    placement = Placement((128, 128), (128, 128), (128, 128), 1.0, 1.0)
    stores = [Store.create(tmp_path / f"s{m}", SCHEMA, {"m": m}) for m in range(2)]
    for case in cases:
        truth = case.segmentation(SCHEMA, (128, 128)).planes()
        for m, store in enumerate(stores):
            logits = np.where(truth, 4.0, -7.0)
            wrong = np.roll(logits, 4, axis=2)
            mine = np.arange(29) < 19 if m == 0 else np.arange(29) >= 19
            store.write(case.id, np.where(mine[:, None, None], logits, wrong).astype(np.float32), placement)
    fitted = fit_weights([s.path for s in stores], root)
    assert fitted.weights[0, :19].mean() > 0.9
    assert fitted.weights[1, 19:].mean() > 0.9
    assert fitted.mean_gain() > 0.01
    write_json(tmp_path / "w.json", fitted.to_json())
    shares = read_weights(tmp_path / "w.json", load_schema(), 2)
    np.testing.assert_allclose(shares, fitted.weights, atol=1e-5)
    with pytest.raises(ConfigError, match="other members"):
        read_weights(tmp_path / "w.json", load_schema(), 3)
    stores[0].write("stranger.png", np.zeros((29, 8, 8), np.float32), placement)
    stores[1].write("stranger.png", np.zeros((29, 8, 8), np.float32), placement)
    with pytest.raises(InputError, match=r"without truth; found stranger\.png"):
        fit_weights([s.path for s in stores], root)


def test_thresholds_of_a_soft_vote(tmp_path: Path) -> None:
    """A ramp of logits: the probability .5 is crossed in the middle, .88 (logit 2) farther on."""
    store = Store.create(tmp_path / "s", SCHEMA, {})
    ramp = np.broadcast_to(np.linspace(-4, 4, 64, dtype=np.float32), (29, 64, 64))
    store.write("a.png", ramp, Placement((64, 64), (64, 64), (64, 64), 1.0, 1.0))

    def areas(**thresholds: float) -> dict[str, int]:
        given = {"*" if name == "all" else name: value for name, value in thresholds.items()}
        soft_vote([tmp_path / "s"], tmp_path / "o.csv", thresholds=[given] if given else [])
        return {name: region.area for name, region in read_submission(tmp_path / "o.csv", SCHEMA, (64, 64))["a.png"]}

    half, high = areas(), areas(all=0.88)
    assert half["Radius"] == 64 * 32
    assert abs(high["Radius"] - 64 * 16) <= 64
    assert areas(all=0.88, Ulna=0.5) == {**high, "Ulna": half["Ulna"]}
    assert areas(Ulna=0.88) == {**half, "Ulna": high["Ulna"]}
    with pytest.raises(ConfigError, match="out of range"):
        areas(Ulna=1.0)
    both = [{"*": 0.5, "Ulna": 0.88}, {"*": 0.88, "Ulna": 0.88}]
    made = soft_vote([tmp_path / "s"], tmp_path / "t.csv", thresholds=both)
    assert [file.name for file in made.files] == ["t_0.5.csv", "t_0.88.csv"]
    found = [read_submission(file, SCHEMA, (64, 64))["a.png"] for file in made.files]
    assert [{name: region.area for name, region in one} for one in found] == [{**half, "Ulna": high["Ulna"]}, high]


def test_rules_of_no_bundle_are_refused(tmp_path: Path) -> None:
    Store.create(tmp_path / "s", SCHEMA, {})
    with pytest.raises(BundleError):
        soft_vote([tmp_path / "s"], tmp_path / "o.csv", rules=tmp_path / "nowhere")


def test_an_output_is_none_of_the_files_that_vote(tmp_path: Path) -> None:
    one = tmp_path / "one.csv"
    write_submission(one, [("a.png", Segmentation(SCHEMA, SHAPE, {}))])
    before = one.read_bytes()
    (tmp_path / "link.csv").symlink_to(one)
    for output in (one, tmp_path / "link.csv"):
        with pytest.raises(OutputError, match="one of the inputs"):
            vote([one], output, shape=SHAPE)
    assert one.read_bytes() == before


def test_what_is_averaged_can_be_said(tmp_path: Path) -> None:
    """A store that is sure and two that doubt: bone by the mean of logits, none by that of probabilities."""
    schema = load_schema()
    placement = Placement((16, 16), (16, 16), (16, 16), 1.0, 1.0)
    stores = []
    for k, value in enumerate((9.0, -2.0, -2.0)):
        stores.append(tmp_path / str(k))
        logits = np.full((len(schema), 16, 16), value, np.float32)
        Store.create(stores[-1], schema, {"k": k}).write("a.png", logits, placement)
    found = {}
    for mean in ("logits", "probabilities"):
        soft_vote(stores, tmp_path / f"{mean}.csv", mean=mean)
        found[mean] = len(read_submission(tmp_path / f"{mean}.csv", schema, (16, 16))["a.png"])
    assert found == {"logits": 29, "probabilities": 0}
    with pytest.raises(ConfigError, match="no mean of 'median'; expected one of logits, probabilities"):
        soft_vote(stores, tmp_path / "c.csv", mean="median")
