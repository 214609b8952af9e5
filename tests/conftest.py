"""What every part's tests may use: a model whose answer is known (pictures for it: helpers_pictures)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import ossa  # noqa: F401  (before the libraries that it keeps from reporting)
from helpers_pictures import HIGH, LOW

os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def bright_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that takes brightness for bone, so that a test knows what must be found.

    In ``hand_picture`` all 29 bones are the bright block; in ``other_picture`` only the first three are found.
    """
    torch = pytest.importorskip("torch")
    from ossa.bundle.bundle import save_bundle
    from ossa.bundle.card import Architecture, Card
    from ossa.radiograph.prepare import Preparation
    from ossa.schema import load_schema

    schema = load_schema()

    class Bright(torch.nn.Module):  # type: ignore[misc, name-defined]
        stride = 2

        def __init__(self) -> None:
            super().__init__()
            self.mix = torch.nn.Conv2d(1, len(schema), 1)
            torch.nn.init.constant_(self.mix.weight, 4.0)
            with torch.no_grad():
                self.mix.bias.copy_(torch.tensor([-4 * (LOW if i < 3 else HIGH) for i in range(len(schema))]))

        def forward(self, x):
            return self.mix(torch.nn.functional.avg_pool2d(x, 2))

    card = Card(
        name="bright",
        schema=schema,
        architecture=Architecture("bright"),
        stride=2,
        preparation=Preparation(128),
    )
    folder = tmp_path_factory.mktemp("model") / "bright"
    save_bundle(folder, Bright(), card)
    return folder
