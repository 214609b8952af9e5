"""What a fold may be trained and validated on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

import helpers_training as tiny  # noqa: E402
from helpers_dataset import SCHEMA, write_competition  # noqa: E402
from ossa.dataset.dataset import open_dataset  # noqa: E402
from ossa.errors import TrainingError  # noqa: E402
from ossa.training.material import make_material  # noqa: E402


def test_a_pseudo_label_of_a_validated_picture_is_refused(tmp_path: Path) -> None:
    """Also where it comes by another way to the same file; one of another picture is trained on."""
    pytest.importorskip("lightning")
    cases = open_dataset(write_competition(tmp_path / "set", subjects=2, size=64, tests=0)).labelled
    first = [case for case in cases if case.subject == cases[0].subject]
    rest = [case for case in cases if case.subject != cases[0].subject]
    (tmp_path / "link").symlink_to(tmp_path / "set")
    other_way = tmp_path / "link" / first[0].image.relative_to(tmp_path / "set")
    for image in (first[0].image, other_way):
        pseudo = replace(first[0], subject="pseudo:x", image=image)
        with pytest.raises(TrainingError, match="also validated on"):
            make_material(tiny.tiny_config(), SCHEMA, None, [(rest, 1.0)], first, ([pseudo], 0.5))
    fine = make_material(tiny.tiny_config(), SCHEMA, None, [(rest[:1], 1.0)], first, (rest[1:], 0.5))
    assert fine.lengths == (1, len(rest) - 1)
    assert [w.weight for w in fine.sources] == [1.0, 0.5]
