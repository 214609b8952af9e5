"""Weight files that would fill the memory are refused from what they say of themselves."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest

from ossa.bundle.bundle import Bundle, weights_file
from ossa.errors import BundleError

torch = pytest.importorskip("torch")

from ossa.models.weights import read_weights  # noqa: E402


@pytest.mark.parametrize("length", [10**6, 2**40, 2**64 - 1])
def test_a_header_that_leaves_its_file(length: int, tmp_path: Path) -> None:
    path = tmp_path / "bomb.safetensors"
    path.write_bytes(length.to_bytes(8, "little") + b"{}")
    with pytest.raises(BundleError, match=r"bomb\.safetensors: the header of the weight file is too long"):
        read_weights(path)


def test_a_header_of_many_megabytes(tmp_path: Path) -> None:
    path = tmp_path / "bomb.safetensors"
    header = json.dumps({"__metadata__": {"a": " " * 25_000_000}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(BundleError, match="too long"):
        read_weights(path)


@pytest.mark.parametrize("data", [b"", b"\0", b"\0" * 8, b"\x02" + b"\0" * 7 + b"{}", b"PK\x03\x04"])
def test_what_is_no_weight_file(data: bytes, tmp_path: Path) -> None:
    for name in ("a.safetensors", "a.pth"):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(BundleError, match=name):
            read_weights(tmp_path / name)


def test_a_packed_archive(tmp_path: Path) -> None:
    plain = io.BytesIO()
    torch.save({"w": torch.zeros(4_000_000)}, plain)
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as target:
        for entry in source.infolist():
            target.writestr(entry.filename, source.read(entry))
    assert (tmp_path / "bomb.pth").stat().st_size < 100_000
    with pytest.raises(BundleError, match=r"is packed.*would unpack to 16,000,000"):
        read_weights(tmp_path / "bomb.pth")


def test_one_number_that_is_said_to_be_a_billion(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(1).expand(1000, 1000, 1000)}, tmp_path / "bomb.pth")
    with pytest.raises(BundleError, match=r"larger than what is stored.*\(1000, 1000, 1000\)"):
        read_weights(tmp_path / "bomb.pth")


def test_the_weights_of_a_bundle(bundle: Bundle, tmp_path: Path) -> None:
    with weights_file(bundle.path) as path:
        assert path == bundle.weights_path
        assert read_weights(path)["second.weight"].dtype == torch.float32
    with weights_file(tmp_path / "a.pth") as path:
        assert path == tmp_path / "a.pth"
    with pytest.raises(BundleError, match="is not a model bundle"), weights_file(tmp_path):
        pass
