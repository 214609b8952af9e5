"""What ``predict`` leaves of a picture that it has begun and not finished: nothing, whatever ended it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers_pictures import hand_picture, save
from ossa.errors import InputError
from ossa.inference.hands import Hand
from ossa.pipeline.parts import Parts
from ossa.pipeline.predict import predict_with
from ossa.schema import load_schema
from ossa.segmentation.segmentation import Region, Segmentation


class Ulnas:
    """A predictor that finds one bone in everything; ``removed`` is a picture that disappears meanwhile."""

    schema = load_schema()
    description = "one bone in everything"

    def __init__(self, removed: Path | None = None) -> None:
        self.removed = removed

    def settings(self) -> dict[str, Any]:
        return {}

    def predict_hands(self, radiograph: Any) -> tuple[Hand, ...]:
        if self.removed is not None and radiograph.provenance.path.endswith(self.removed.name):
            self.removed.unlink()
        region = Region.tight(np.ones((9, 9), np.uint8))
        assert region is not None
        return (Hand(Segmentation(self.schema, radiograph.shape, {"Ulna": region})),)


def run(folder: Path, *names: str, predictor: Ulnas | None = None) -> Any:
    given: Any = predictor or Ulnas()
    return predict_with(lambda: given, [folder / "in" / f"{name}.png" for name in names], folder / "out")


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "out").iterdir())


@pytest.fixture
def films(tmp_path: Path) -> Path:
    for name in "ab":
        save(tmp_path / "in" / f"{name}.png", hand_picture())
    return tmp_path


ONE = ["a.json", "a_overlay.png", "predictions.csv"]
BOTH = ["a.json", "a_overlay.png", "b.json", "b_overlay.png", "predictions.csv"]


def test_a_picture_that_disappears_leaves_nothing_and_may_come_back(films: Path) -> None:
    gone = films / "in" / "b.png"
    outcome = run(films, "a", "b", predictor=Ulnas(gone))
    assert [one.path for one in outcome.skipped] == [gone]
    assert names_in(films) == ONE
    save(gone, hand_picture())
    assert len(run(films, "a", "b").done) == 2
    assert names_in(films) == BOTH


def test_the_only_picture_disappears(films: Path) -> None:
    with pytest.raises(InputError):
        run(films, "b", predictor=Ulnas(films / "in" / "b.png"))
    assert not (films / "out").exists()


def test_what_a_killed_run_had_begun_is_nobodys_though_the_next_is_of_other_pictures(
    films: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def dies(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Parts, "put", dies)
        with pytest.raises(Killed):
            run(films, "b")
    assert {"b.json", "b_overlay.png"} < set(names_in(films))
    run(films, "a")
    assert names_in(films) == ONE
    run(films, "b")
    assert names_in(films) == BOTH
