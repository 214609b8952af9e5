"""ossa finds the bones of the hand and wrist in X-rays.

The names below are the public API. Each is imported on first use, so that ``import ossa`` costs
nothing and a machine without torch can use everything that does not need it.

    prediction = ossa.predict("hand.dcm")
    ossa.write_overlay("hand_overlay.png", prediction.radiograph, prediction)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ossa.quiet import hush

hush()

__version__ = "0.1.0"

if TYPE_CHECKING:
    from ossa.bundle.bundle import Bundle as Bundle
    from ossa.dataset.dataset import Case as Case
    from ossa.dataset.dataset import Dataset as Dataset
    from ossa.dataset.dataset import open_dataset as open_dataset
    from ossa.errors import OssaError as OssaError
    from ossa.export.overlay import overlay as overlay
    from ossa.export.overlay import write_overlay as write_overlay
    from ossa.inference.once import predict as predict
    from ossa.inference.prediction import Prediction as Prediction
    from ossa.inference.predictor import Predictor as Predictor
    from ossa.labels.submission import read_submission as read_submission
    from ossa.labels.submission import write_submission as write_submission
    from ossa.radiograph.prepare import Placement as Placement
    from ossa.radiograph.prepare import Preparation as Preparation
    from ossa.radiograph.prepare import prepare as prepare
    from ossa.radiograph.radiograph import Radiograph as Radiograph
    from ossa.radiograph.radiograph import Spacing as Spacing
    from ossa.radiograph.read import read_radiograph as read_radiograph
    from ossa.schema import Bone as Bone
    from ossa.schema import BoneSchema as BoneSchema
    from ossa.schema import load_schema as load_schema
    from ossa.segmentation.compare import compare as compare
    from ossa.segmentation.segmentation import Region as Region
    from ossa.segmentation.segmentation import Segmentation as Segmentation

#: Public name -> the module that holds it.
_HOME = {
    "Bone": "ossa.schema",
    "BoneSchema": "ossa.schema",
    "Bundle": "ossa.bundle.bundle",
    "Case": "ossa.dataset.dataset",
    "Dataset": "ossa.dataset.dataset",
    "OssaError": "ossa.errors",
    "Placement": "ossa.radiograph.prepare",
    "Prediction": "ossa.inference.prediction",
    "Predictor": "ossa.inference.predictor",
    "Preparation": "ossa.radiograph.prepare",
    "Radiograph": "ossa.radiograph.radiograph",
    "Region": "ossa.segmentation.segmentation",
    "Segmentation": "ossa.segmentation.segmentation",
    "Spacing": "ossa.radiograph.radiograph",
    "compare": "ossa.segmentation.compare",
    "load_schema": "ossa.schema",
    "open_dataset": "ossa.dataset.dataset",
    "overlay": "ossa.export.overlay",
    "predict": "ossa.inference.once",
    "prepare": "ossa.radiograph.prepare",
    "read_radiograph": "ossa.radiograph.read",
    "read_submission": "ossa.labels.submission",
    "write_overlay": "ossa.export.overlay",
    "write_submission": "ossa.labels.submission",
}

__all__ = [*sorted(_HOME), "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'ossa' has no attribute '{name}'")
    from importlib import import_module

    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
