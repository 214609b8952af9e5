"""Super-resolution networks from weight files that the user gives (Real-ESRGAN and whatever spandrel knows).

A .pth or .safetensors file goes in, a function from a grey tile to a larger one comes out. A .pth is opened with
torch's ``weights_only`` reader: no code in it is ever run.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ossa.errors import BundleError, DeviceError, MissingExtraError

if TYPE_CHECKING:
    from torch import Tensor

Float = NDArray[np.float32]

#: Largest accepted weight file, in bytes. RealESRGAN_x4plus.pth has 67 MB, the largest transformers about 1 GB.
_MAX_BYTES = 4_000_000_000


class Upscaler:
    """A loaded network: ``scale`` (2: twice as many pixels along each side), ``architecture`` in words, ``device``.

    Called with grey (h, w) float32 in 0..1 it gives (h * scale, w * scale) in 0..1. Raises DeviceError when the
    device runs out of memory.
    """

    def __init__(self, descriptor: Any, device: str) -> None:
        self.scale: int = int(descriptor.scale)
        self.architecture: str = str(descriptor.architecture.name)
        self.device = device
        self._descriptor = descriptor

    def __call__(self, grey: Float) -> Float:
        """One tile; a colour network gets the grey three times and the mean of its answer is taken."""
        import torch

        tile = torch.from_numpy(np.ascontiguousarray(grey)).to(self.device)[None, None]
        tile = tile.expand(1, self._descriptor.input_channels, -1, -1)
        try:
            answer = self._descriptor(tile)
        except torch.OutOfMemoryError as error:
            raise DeviceError(
                f"super-resolution ran out of memory on {self.device}",
                found=f"a tile of {grey.shape[0]}x{grey.shape[1]} px",
                remedy="Give a smaller --tile",
            ) from error
        out: Float = answer[0].float().mean(dim=0).cpu().numpy()
        return out


def load_upscaler(path: str | Path, device: str = "auto") -> Upscaler:
    """The network of a weight file on ``device`` ("auto", "cpu", "cuda", "cuda:1").

    The architecture is read off the names and shapes of the weights. Raises BundleError when the file is missing,
    is no plain weight file or of an unknown architecture, MissingExtraError without torch and spandrel, DeviceError
    when the device is not there.
    """
    from ossa.models._torchvision import ensure_torchvision

    try:
        ensure_torchvision()
        import spandrel
        import torch
    except (ImportError, MissingExtraError) as error:
        raise MissingExtraError.of("super-resolution", "super-resolution", error) from error
    place = _device(device, torch)
    state = _read_weights(Path(path))
    try:
        descriptor = spandrel.ModelLoader().load_from_state_dict(state)
    except Exception as error:  # each architecture fails in its own way on weights that only look like its own
        known = isinstance(error, spandrel.UnsupportedModelError)
        raise BundleError(
            "is not a super-resolution network that spandrel knows" if known else "does not fit its own architecture",
            path=path,
            found="weights named " + ", ".join(list(state)[:4]) + (", ..." if len(state) > 4 else ""),
            expected="for instance RealESRGAN_x2plus.pth or RealESRGAN_x4plus.pth",
        ) from error
    if not isinstance(descriptor, spandrel.ImageModelDescriptor) or descriptor.input_channels not in (1, 3):
        raise BundleError(
            "is not a network from a picture to a larger picture",
            path=path,
            found=f"{descriptor.architecture.name} with {descriptor.input_channels} input channels",
            expected="1 or 3 input channels",
        )
    descriptor.eval().float().to(place)
    for parameter in descriptor.model.parameters():
        parameter.requires_grad_(False)
    return Upscaler(descriptor, place)


def _device(device: str, torch: Any) -> str:
    text = device.strip().lower()
    if text == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        place = torch.device(text)
    except RuntimeError as error:
        raise DeviceError(f"'{device}' is not a device", expected="auto, cpu, cuda or cuda:N") from error
    if place.type == "cuda" and (place.index or 0) >= torch.cuda.device_count():
        raise DeviceError(
            f"there is no device '{device}'",
            found=f"{torch.cuda.device_count()} CUDA devices",
            remedy="Give --device cpu, or install a torch that was built for your GPU",
        )
    return text


def _read_weights(path: Path) -> dict[str, Tensor]:
    """Names and tensors of a weight file; a wrapping "params_ema", "params" or "state_dict" is taken off."""
    from ossa.models.weights import read_tensors

    # isfile and not stat: what is missing or may not be looked at is the reader's to refuse.
    if os.path.isfile(path) and (size := os.path.getsize(path)) > _MAX_BYTES:
        raise BundleError("the file is too large", path=path, found=f"{size:,} bytes")
    return read_tensors(path, ("params_ema", "params", "state_dict"))
