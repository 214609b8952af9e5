"""Weight files of strangers: read as tensors only, known by their shapes, refused with a reason."""

from __future__ import annotations

import os
import pickle
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from helpers_films import film
from helpers_rrdb import rrdb_file, rrdb_state

torch = pytest.importorskip("torch")
if find_spec("spandrel") is None:  # imported by ossa itself, which mends torchvision first
    pytest.skip("spandrel is not installed", allow_module_level=True)

from ossa.errors import BundleError, DeviceError, MissingExtraError  # noqa: E402
from ossa.models.superres import load_upscaler  # noqa: E402
from ossa.radiograph.superres import Tiling, enhance  # noqa: E402

FILM = film(96)


@pytest.mark.parametrize(("scale", "wrapper"), [(2, "params_ema"), (2, "params"), (4, None)])
def test_real_esrgan_files(tmp_path: Path, scale: int, wrapper: str | None) -> None:
    upscaler = load_upscaler(rrdb_file(tmp_path / "a.pth", scale, wrapper), "cpu")
    assert (upscaler.scale, upscaler.architecture, upscaler.device) == (scale, "ESRGAN", "cpu")
    grey = (FILM[:33, :50] / 255).astype(np.float32)
    large = upscaler(grey)
    assert large.shape == (33 * scale, 50 * scale)
    assert large.dtype == np.float32
    assert large.min() >= 0
    assert large.max() <= 1
    assert large.std() > 1e-4
    np.testing.assert_array_equal(upscaler(grey), large)


def test_safetensors(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file(rrdb_state(2), tmp_path / "a.safetensors")
    one = load_upscaler(tmp_path / "a.safetensors", "cpu")
    two = load_upscaler(rrdb_file(tmp_path / "a.pth"), "cpu")
    grey = (FILM[:16, :16] / 255).astype(np.float32)
    np.testing.assert_array_equal(one(grey), two(grey))


def test_tiles_of_the_network_leave_no_seams(tmp_path: Path) -> None:
    """One RRDB looks 3 x 5 layers far; with the other convolutions less than 24 px (twice that for 2x2 blocks)."""
    upscaler = load_upscaler(rrdb_file(tmp_path / "a.pth", 4), "cpu")
    whole = enhance(FILM, upscaler, 4, Tiling(tile=96, overlap=0))
    tiled = enhance(FILM, upscaler, 4, Tiling(tile=32, overlap=24))
    assert np.abs(whole.astype(int) - tiled).max() <= 1


def refused(path: Path, words: str) -> None:
    with pytest.raises(BundleError, match=words) as caught:
        load_upscaler(path, "cpu")
    assert str(path) in str(caught.value)


class Evil:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (os.system, (f"touch {self.target}",))


def test_code_in_a_weight_file_is_not_run(tmp_path: Path) -> None:
    for number, write in enumerate((torch.save, lambda value, path: path.write_bytes(pickle.dumps(value)))):
        path = tmp_path / f"{number}.pth"
        write({"params": Evil(tmp_path / "harm")}, path)
        refused(path, "not a plain weight file")
    assert not (tmp_path / "harm").exists()


def test_files_that_are_no_network(tmp_path: Path) -> None:
    refused(tmp_path / "none.pth", "No such file")
    (tmp_path / "text.pth").write_text("404: not found")
    refused(tmp_path / "text.pth", "not a plain weight file")
    (tmp_path / "text.safetensors").write_text("404: not found")
    refused(tmp_path / "text.safetensors", "not a plain weight file")
    whole = rrdb_file(tmp_path / "a.pth").read_bytes()
    (tmp_path / "cut.pth").write_bytes(whole[: len(whole) // 2])
    refused(tmp_path / "cut.pth", "not a plain weight file")
    torch.save([1, 2], tmp_path / "list.pth")
    refused(tmp_path / "list.pth", "holds no weights; found list")
    torch.save({"layer.weight": torch.zeros(3, 3)}, tmp_path / "other.pth")
    refused(tmp_path / "other.pth", "not a super-resolution network that spandrel knows")
    state = rrdb_state()
    state["body.0.rdb1.conv2.weight"] = torch.zeros(1, 2, 3, 3)
    torch.save(state, tmp_path / "mixed.pth")
    refused(tmp_path / "mixed.pth", "does not fit")


def test_oversized_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ossa.models.superres._MAX_BYTES", 100)
    refused(rrdb_file(tmp_path / "a.pth"), "too large")


def test_a_network_for_something_else(tmp_path: Path) -> None:
    state = rrdb_state(4)
    state["conv_first.weight"] = torch.zeros(8, 4, 3, 3)
    state["conv_last.weight"] = torch.zeros(4, 8, 3, 3)
    state["conv_last.bias"] = torch.zeros(4)
    torch.save(state, tmp_path / "rgba.pth")
    refused(tmp_path / "rgba.pth", "ESRGAN with 4 input channels")


@pytest.mark.parametrize(("device", "words"), [("cuda:77", "no device 'cuda:77'"), ("quantum", "is not a device")])
def test_devices(tmp_path: Path, device: str, words: str) -> None:
    with pytest.raises(DeviceError, match=words):
        load_upscaler(rrdb_file(tmp_path / "a.pth"), device)


def test_out_of_memory_says_what_to_lower(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    upscaler = load_upscaler(rrdb_file(tmp_path / "a.pth"), "cpu")

    class Burst:
        input_channels = 3

        def __call__(self, tile: object) -> None:
            raise torch.OutOfMemoryError("2 TiB")

    monkeypatch.setattr(upscaler, "_descriptor", Burst())
    with pytest.raises(DeviceError, match=r"a tile of 8x9 px\. Give a smaller --tile"):
        upscaler(np.zeros((8, 9), np.float32))


def test_missing_spandrel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "spandrel", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'ossa\[super-resolution\]'"):
        load_upscaler(rrdb_file(tmp_path / "a.pth"))
