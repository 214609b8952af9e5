"""Libraries that report to their makers, or keep files in the home folder, do neither where ossa uses them.

ossa reads patients' films: nothing of them, and nothing of who looks at them, may leave the machine or lie about in
places that nobody asked for. ``hush`` runs with the first import of anything of ossa, before any of these libraries can
be imported by it; tests/test_quiet.py watches every command's files and sockets.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: What each library reads, before it is first imported, to keep quiet.
_SILENCE = {
    "ORT_DISABLE_TELEMETRY": "1",  # onnxruntime: device id, interpreter, model names and errors, kept and sent
    "HF_HUB_DISABLE_TELEMETRY": "1",  # huggingface_hub, below transformers and timm
    "WANDB_ERROR_REPORTING": "false",  # wandb's reports of its own crashes; runs are logged as the run file says
    "RAY_USAGE_STATS_ENABLED": "0",  # ray: machines, versions and library use of a cluster that is started
    "DO_NOT_TRACK": "1",
}


def hush() -> None:
    """Silence the libraries for this process and those that it starts; what is imported already stays as it is."""
    os.environ.update(_SILENCE)
    # openvino reports its very import, without a switch to turn that off but a file in the home folder. Where this
    # module is missing, it uses a dummy of its own.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]


@contextmanager
def fonts_elsewhere() -> Iterator[None]:
    """matplotlib, which torchmetrics imports where it finds it, writes no list of fonts into the home folder here."""
    if "matplotlib" in sys.modules or "MPLCONFIGDIR" in os.environ:
        yield
        return
    import tempfile

    with tempfile.TemporaryDirectory(prefix="ossa-fonts-") as folder:
        os.environ["MPLCONFIGDIR"] = folder
        try:
            yield
        finally:
            del os.environ["MPLCONFIGDIR"]


def may_keep_beside(source: str) -> bool:
    """Whether compiled code may be kept beside the module ``source`` (its ``__file__``), as Python keeps its own.

    Where it may not, numba would keep it in the home folder.
    """
    beside = Path(source).parent / "__pycache__"
    return os.access(beside if beside.is_dir() else beside.parent, os.W_OK)
