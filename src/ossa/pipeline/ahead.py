"""What a command that runs a network begins before it imports anything heavy; nothing heavy is imported here."""

from __future__ import annotations

import os
from pathlib import Path

from ossa.bundle.hashes import ahead_of


def begin_ahead(model: Path | None) -> None:
    """Hash the files of ``model`` (None: the shipped one) while numpy, OpenCV and ONNX Runtime are imported.

    The linear algebra in numpy and in OpenCV gets one thread: nothing that a prediction multiplies is worth two, and
    for some 50 ms after each import its threads would spin on the core that hashes.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    ahead_of(model)
