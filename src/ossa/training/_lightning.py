"""Lightning, imported so that a torchvision that does not fit torch is no obstacle (torchmetrics imports it)."""

from __future__ import annotations

from ossa.errors import MissingExtraError
from ossa.models._torchvision import repair_torchvision
from ossa.quiet import fonts_elsewhere

repair_torchvision()

try:
    with fonts_elsewhere():
        import lightning.pytorch as pl
        from lightning.fabric.plugins import TorchCheckpointIO
        from lightning.pytorch.callbacks import Callback, Checkpoint, ProgressBar, RichProgressBar
        from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger
except ImportError as error:
    raise MissingExtraError.of("training", "train", error) from error

__all__ = [
    "Callback",
    "Checkpoint",
    "ProgressBar",
    "RichProgressBar",
    "TensorBoardLogger",
    "TorchCheckpointIO",
    "WandbLogger",
    "pl",
]
