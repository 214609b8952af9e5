"""Making torchvision importable beside a CPU build of torch.

torchvision's wheel for CUDA does not find its compiled operators beside a CPU torch and fails on import with
"operator torchvision::nms does not exist". Declaring the two operators' schemas lets everything but ``ops.nms``
and ``torchvision.io`` work, which is all that timm, segmentation-models-pytorch and spandrel need.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import Any

#: Keeps the declarations alive: torch forgets a library's operators when the object goes.
_kept: list[Any] = []


def ensure_torchvision() -> None:
    """Import torchvision, declaring its missing operators when the import fails for exactly that reason.

    Raises MissingExtraError when torch or torchvision is not installed; any other failure stays as it is.
    """
    try:
        import torchvision  # noqa: F401
    except RuntimeError as error:
        if "torchvision::nms does not exist" not in str(error):
            raise
        _declare()
    except ImportError as error:
        from ossa.errors import MissingExtraError

        raise MissingExtraError.of("this network", "networks", error) from error


def repair_torchvision() -> None:
    """As ``ensure_torchvision`` where torchvision is installed, nothing where it is not.

    For libraries that import it only when they find it (transformers, torchmetrics).
    """
    if find_spec("torchvision") is not None:
        ensure_torchvision()


def _declare() -> None:
    import torch

    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]
    make: Any = torch.library.Library
    library = make("torchvision", "DEF")
    _kept.append(library)
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import torchvision  # noqa: F401
