"""What a small training goes on from: the states of its parts and the step it is at, in one file.

For trainings that are no runs of ``ossa train`` (training.finder, training.refiner).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ossa.safety import replacing


def save_parts(parts: Mapping[str, Any], checkpoint: Path, step: int) -> None:
    """Write the state of each part (whatever has a ``state_dict``) and the ``step`` to ``checkpoint``."""
    with replacing(checkpoint) as temporary:
        torch.save({**{name: part.state_dict() for name, part in parts.items()}, "step": step}, temporary)


def load_parts(parts: Mapping[str, Any], checkpoint: Path) -> int:
    """Bring each part to the state it has in ``checkpoint``; the step to go on with."""
    state = torch.load(checkpoint, weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(state[name])
    return int(state["step"])
