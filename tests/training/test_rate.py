"""The learning rate at which the loss falls fastest."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

torch = pytest.importorskip("torch")
if find_spec("lightning") is None:
    pytest.skip("lightning is not installed", allow_module_level=True)

import helpers_training as tiny  # noqa: E402
from ossa.errors import TrainingError  # noqa: E402
from ossa.training.rate import HIGHEST, LOWEST, find_rate, steepest  # noqa: E402


def test_the_steepest_fall_before_the_least_loss() -> None:
    rates = np.geomspace(1e-5, 1, 26)
    losses = 1 - 0.6 / (1 + np.exp(-4 * (np.log10(rates) + 3))) + (rates > 0.3) * 5
    assert steepest(list(zip(rates, losses, strict=True))) == pytest.approx(1e-3, rel=0.5)
    with pytest.raises(TrainingError, match="at no learning rate"):
        steepest([(1e-5, 1.0), (1e-4, 1.1), (1e-3, 2.0)])


def test_it_is_found_on_the_runs_own_batches_and_the_same_every_time() -> None:
    config = tiny.tiny_config(loss={"bce": 5.0, "dice": 1.0}, train={"precision": "32"})
    one, two = (find_rate(config, tiny.schema(), tiny.material(), 25) for _ in range(2))
    assert one == two
    assert LOWEST < one.rate < HIGHEST
    assert one.curve[0][0] == LOWEST
