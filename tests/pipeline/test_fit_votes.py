"""Weights of a vote, fitted on submission files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helpers_dataset import SCHEMA, write_competition
from ossa.dataset.dataset import open_dataset
from ossa.errors import ConfigError, InputError, SchemaError
from ossa.labels.submission import read_submission, write_submission
from ossa.pipeline.ensemble import read_weights, vote
from ossa.pipeline.fit_votes import fit_votes
from ossa.safety import write_json
from ossa.segmentation.compare import dice
from ossa.segmentation.segmentation import Region, Segmentation

SHAPE = (128, 128)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, list[Path]]:
    """A data set and three files: two move the radius, the third moves everything else."""
    root = write_competition(tmp_path / "data", subjects=4, size=128, tests=0)
    cases = [c for c in open_dataset(root, SCHEMA).cases if c.label is not None]
    paths = []
    for number in range(3):
        rows = []
        for case in cases:
            truth = case.segmentation(SCHEMA, SHAPE)
            wrong = {name for name, _ in truth if (name == "Radius") == (number < 2)}
            regions = {n: replace(r, left=r.left + 3 + number) if n in wrong else r for n, r in truth}
            rows.append((case.id, Segmentation(SCHEMA, SHAPE, regions)))
        paths.append(tmp_path / f"{number}.csv")
        write_submission(paths[-1], rows)
    return root, paths


def mean_dice(path: Path, root: Path, bone: str) -> float:
    found = read_submission(path, SCHEMA, SHAPE)
    cases = open_dataset(root, SCHEMA).labelled_by_image(list(found))
    return float(np.mean([dice(found[i].get(bone), c.segmentation(SCHEMA, SHAPE).get(bone)) for i, c in cases.items()]))


def test_the_files_that_help_a_bone_are_found(files: tuple[Path, list[Path]], tmp_path: Path) -> None:
    root, paths = files
    fitted = fit_votes(paths, root, bones=["Radius", "Ulna"])
    radius, ulna = SCHEMA.index("Radius"), SCHEMA.index("Ulna")
    assert fitted.weights[:, radius].tolist() == [0, 0, 1]
    assert fitted.selected[radius] == pytest.approx(1.0)
    assert fitted.weights[:, ulna].tolist() == pytest.approx([1 / 3] * 3)  # two of three are right already
    assert np.isnan(fitted.uniform[SCHEMA.index("Lunate")])
    # The figures are those of the votes themselves, to the last pixel.
    write_json(tmp_path / "w.json", fitted.to_json())
    for name, weights in (("equal", None), ("fitted", read_weights(tmp_path / "w.json", SCHEMA, 3))):
        vote(paths, tmp_path / f"{name}.csv", weights=weights, shape=SHAPE)
    assert mean_dice(tmp_path / "equal.csv", root, "Radius") == pytest.approx(fitted.uniform[radius], abs=1e-9)
    assert mean_dice(tmp_path / "equal.csv", root, "Ulna") == pytest.approx(fitted.uniform[ulna], abs=1e-9)
    assert mean_dice(tmp_path / "fitted.csv", root, "Radius") == pytest.approx(1.0)


def test_mistakes(files: tuple[Path, list[Path]], tmp_path: Path) -> None:
    root, paths = files
    with pytest.raises(ConfigError, match="several files"):
        fit_votes(paths[:1], root)
    with pytest.raises(SchemaError, match="Radios"):
        fit_votes(paths, root, bones=["Radios"])
    one = Segmentation(SCHEMA, SHAPE, {"Radius": Region(1, 1, np.ones((2, 2), bool))})
    for name in ("x.csv", "y.csv"):
        write_submission(tmp_path / name, [("stranger.png", one)])
    with pytest.raises(InputError, match=r"without truth; found stranger\.png"):
        fit_votes([tmp_path / "x.csv", tmp_path / "y.csv"], root)
