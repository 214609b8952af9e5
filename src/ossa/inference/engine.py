"""What runs a network: ONNX Runtime (the default, needs no torch), torch, or OpenVINO.

An ``Engine`` takes a batch (N, C, H, W) float32 and gives logits (N, bones, h, w) float32. Which
one is said by a device string:

    auto            ONNX Runtime on the best provider it has
    cpu             ONNX Runtime on the CPU; like auto there, in 8 bits where that is quicker (``runs_quick``)
    cuda, cuda:1    an NVIDIA GPU, through ONNX Runtime or else torch, whichever can reach it
    onnx:cpu, onnx:cuda:0, torch:cpu, torch:cuda:0, openvino:CPU    exactly that one, in 32-bit float on a CPU
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ossa.bundle.bundle import Bundle
from ossa.bundle.companions import companion_path
from ossa.bundle.self_contained import check_self_contained
from ossa.errors import BundleError, DeviceError, MissingExtraError

Float = NDArray[np.float32]

#: Threads inside one network run when nothing is said.
THREADS = 2

#: OpenCV's number of AVX2 among the units of a processor (cv::CpuFeatures).
_AVX2 = 11

#: Batches that ONNX Runtime is asked at once on a CPU. Two keep two threads busier than one that both share, where each
#: waits for the other at the end of every layer; each more would take the memory of another run.
LANES = 2

BACKENDS = ("onnx", "torch", "openvino")


class Engine(Protocol):
    """A loaded network."""

    @property
    def description(self) -> str:
        """Backend and device in words ("ONNX Runtime, CPU, 2 threads")."""
        ...

    def __call__(self, batch: Float) -> Float:
        """Logits (N, bones, h, w) of a batch (N, C, H, W). Raises DeviceError when memory runs out."""
        ...


def parse_device(device: str) -> tuple[str | None, str]:
    """A device string as (backend or None for any, place): "torch:cuda:1" -> ("torch", "cuda:1")."""
    text = device.strip()
    head, _, rest = text.partition(":")
    if head.lower() in BACKENDS:
        return head.lower(), rest.lower() or "auto"
    if head.lower() in ("auto", "cpu", "cuda"):
        return None, text.lower()
    raise DeviceError(
        f"'{device}' is not a device",
        expected="auto, cpu, cuda, cuda:N, or one of them after onnx:, torch: or openvino:",
        remedy=f"Here there is {_existing()}",
    )


def open_engine(bundle: Bundle, device: str = "auto", threads: int | None = None) -> Engine:
    """The network of ``bundle`` ready to run on ``device`` with ``threads`` (default 2) CPU threads.

    Raises DeviceError, naming what exists, when the device is not there.
    """
    backend, place = parse_device(device)
    count = max(1, threads if threads is not None else min(THREADS, os.cpu_count() or 1))
    if backend == "torch":
        return TorchEngine(bundle, place, count)
    if backend == "openvino":
        with bundle.unpacked() as files:
            return OpenVinoEngine(files.onnx_path, place, count)
    if backend is None and place.startswith("cuda") and not runs_on_cuda():
        if find_spec("torch") is None:
            raise _absent(place)  # and no word of a whole training stack, where another ONNX Runtime would do
        return TorchEngine(bundle, place, count)
    if runs_quick(bundle, device):
        assert bundle.quick_path is not None
        return OnnxEngine(bundle.quick_path, "cpu", count, bundle.read_packed(bundle.quick_path.name), "8 bit")
    return OnnxEngine(bundle.onnx_path, place, count, bundle.onnx_bytes)


def open_companion(bundle: Bundle, name: str, threads: int) -> OnnxEngine | None:
    """The small network ``name`` (bundle.companions) that travels in ``bundle``, on the CPU; None when it has none.

    Raises BundleError when it cannot be opened.
    """
    path = companion_path(bundle, name)
    return None if path is None else OnnxEngine(path, "cpu", threads, bundle.read_packed(path.name))


def libraries() -> None:
    """Import what a prediction runs on, which takes longer than to take the hashes of most models."""
    import cv2  # noqa: F401
    import onnxruntime  # noqa: F401


def lanes_of(engine: Engine) -> int:
    """How many threads may best ask ``engine`` at once; 1 where it is not known to bear more than one."""
    return engine.lanes if isinstance(engine, OnnxEngine) else 1


def runs_quick(bundle: Bundle, device: str = "auto") -> bool:
    """Whether ``device`` stands for the bundle's network in 8 bits here: on x86 CPUs with AVX2, where there is one.

    Measured there (benchmarks/bench_engines.py): ONNX Runtime in 8 bits is the quickest, with and without
    instructions for 8-bit dot products; in float it is no slower than OpenVINO. Other CPUs were not measured.
    """
    backend, place = parse_device(device)
    if backend is not None or place not in ("auto", "cpu") or bundle.quick_path is None:
        return False
    if place == "auto" and runs_on_cuda():
        return False
    import cv2

    return bool(cv2.checkHardwareSupport(_AVX2))


class OnnxEngine:
    """A network in ONNX Runtime, of a file, or of ``data`` that lies in the packed model ``path``.

    ``form``: what the description says of the file besides.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        place: str = "cpu",
        threads: int = THREADS,
        data: bytes | None = None,
        form: str = "",
    ) -> None:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Threads that spin between pictures take time from the one that decodes the next picture.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        providers: list[Any] = ["CPUExecutionProvider"]
        cuda = runs_on_cuda()
        if place.startswith("cuda"):
            if not cuda:
                raise _absent(place)
            providers.insert(0, ("CUDAExecutionProvider", {"device_id": _index(place)}))
        elif place == "auto" and cuda:
            providers.insert(0, "CUDAExecutionProvider")
        elif place not in ("auto", "cpu"):
            raise _absent(place)
        check_self_contained(Path(path), data)
        try:
            self._session = ort.InferenceSession(data or str(Path(path)), options, providers=providers)
        except Exception as error:  # ONNX Runtime's exceptions share no public base class
            raise BundleError("ONNX Runtime cannot open the model", path=path, found=_first_line(error)) from error
        if place.startswith("cuda") and "CUDAExecutionProvider" not in self._session.get_providers():
            raise _absent(place)
        self._input = self._session.get_inputs()[0].name
        on_cuda = self._session.get_providers()[0].startswith("CUDA")
        self.lanes = 1 if on_cuda else min(LANES, threads)
        where = "CUDA" if on_cuda else f"CPU, {threads} threads"
        self.description = ", ".join(part for part in ("ONNX Runtime", where, form) if part)

    def __call__(self, batch: Float) -> Float:
        """See Engine."""
        try:
            return np.asarray(self._session.run(None, {self._input: batch})[0], np.float32)
        except Exception as error:  # as above
            raise _failed(error, batch.shape) from error


class TorchEngine:
    """A network in torch, on the CPU or a GPU (there in 16-bit float where the card can)."""

    def __init__(self, bundle: Bundle, place: str = "cpu", threads: int = THREADS) -> None:
        try:
            import torch
        except ImportError as error:
            raise MissingExtraError.of(f"the device '{place}' through torch", "train", error) from error
        name = ("cuda" if torch.cuda.is_available() else "cpu") if place == "auto" else place
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if name != "cpu" and (not name.startswith("cuda") or _index(name) >= count):
            raise _absent(place)
        self._device = torch.device(name)
        if name == "cpu":
            torch.set_num_threads(threads)
        self._module = bundle.torch_module().to(self._device)
        where = f"CPU, {threads} threads" if name == "cpu" else torch.cuda.get_device_name(self._device)
        self.description = f"torch, {where}"

    def __call__(self, batch: Float) -> Float:
        """See Engine."""
        import torch

        half = self._device.type == "cuda"
        try:
            with torch.inference_mode(), torch.autocast(self._device.type, dtype=torch.float16, enabled=half):
                logits = self._module(torch.from_numpy(np.ascontiguousarray(batch)).to(self._device))
            return np.asarray(logits.float().cpu().numpy(), np.float32)
        except RuntimeError as error:
            raise _failed(error, batch.shape) from error


class OpenVinoEngine:
    """A network in OpenVINO, in 32-bit float (its own default on new CPUs is bfloat16)."""

    def __init__(self, path: str | os.PathLike[str], place: str = "cpu", threads: int = THREADS) -> None:
        try:
            import openvino
        except ImportError as error:
            raise MissingExtraError.of("running a model with OpenVINO", "openvino", error) from error
        name = "CPU" if place in ("auto", "cpu") else place.upper()
        core = openvino.Core()
        if name.split(".")[0] not in {device.split(".")[0] for device in core.available_devices}:
            raise _absent(place, "OpenVINO has " + ", ".join(core.available_devices))
        settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32"}
        if name == "CPU":
            settings["INFERENCE_NUM_THREADS"] = threads
        if Path(path).suffix == ".onnx":
            check_self_contained(Path(path))
        try:
            self._model = core.compile_model(core.read_model(str(path)), name, settings)
        except RuntimeError as error:
            raise BundleError("OpenVINO cannot open the model", path=path, found=_first_line(error)) from error
        self.description = f"OpenVINO, {name}, {threads} threads"

    def __call__(self, batch: Float) -> Float:
        """See Engine."""
        try:
            return np.array(self._model([batch])[0], np.float32)
        except RuntimeError as error:
            raise _failed(error, batch.shape) from error


def runs_on_cuda() -> bool:
    """Whether the ONNX Runtime that is installed reaches an NVIDIA GPU."""
    import onnxruntime as ort

    return "CUDAExecutionProvider" in ort.get_available_providers()


def _index(place: str) -> int:
    number = place.partition(":")[2]
    if not number:
        return 0
    if not number.isdigit():
        raise _absent(place)
    return int(number)


def _existing() -> str:
    """The devices of this machine in words; torch is asked only when it is loaded already."""
    import sys

    known: list[str] = ["cpu"]
    probes: list[Callable[[], str | None]] = [lambda: "onnx:cuda" if runs_on_cuda() else None]
    torch = sys.modules.get("torch")
    if torch is not None:
        probes.append(lambda: ", ".join(f"torch:cuda:{i}" for i in range(torch.cuda.device_count())) or "torch:cpu")
    known += [text for probe in probes if (text := probe()) is not None]
    return ", ".join(known)


def _absent(place: str, existing: str | None = None) -> DeviceError:
    return DeviceError(
        f"there is no device '{place}'",
        found=existing or _existing(),
        remedy="Use --device cpu, or install what reaches the device: onnxruntime-gpu in place of onnxruntime "
        "(pip uninstall onnxruntime; pip install onnxruntime-gpu), or torch with CUDA",
    )


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def _failed(error: BaseException, shape: tuple[int, ...]) -> DeviceError:
    text = _first_line(error)
    memory = "memory" in str(error).lower() or "alloc" in str(error).lower()
    return DeviceError(
        "the device ran out of memory" if memory else "the network did not run",
        found=f"{text} (input {shape})",
        remedy="Use sliding windows, a smaller batch, or --device cpu"
        if memory
        else "Check the model with 'ossa info'",
    )
