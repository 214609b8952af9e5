"""``ossa ensemble`` and ``ossa bundle`` from the outside: what is printed, what is written, exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from helpers_pictures import hand_picture, save
from ossa.cli import cli


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(a) for a in arguments])


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        save(tmp_path / "in" / f"{name}.png", hand_picture())
    return tmp_path / "in"


def test_models_stores_and_votes(images: Path, bright_model: Path, tmp_path: Path) -> None:
    two = ("-m", bright_model, "-m", bright_model)
    done = run("ensemble", "models", images, *two, "--weights", "2,1", "--tta", "flip", "-o", tmp_path / "o")
    assert done.exit_code == 0, done.output
    assert "2 of 2 images, 2 models" in done.stdout
    for store in ("s1", "s2"):
        saved = run("ensemble", "save", images, "-m", bright_model, "-o", tmp_path / store)
        assert saved.exit_code == 0, saved.output
        assert "2 images saved" in saved.stdout
    again = run("ensemble", "save", images, "-m", bright_model, "-o", tmp_path / "s1")
    assert "0 images saved (2 were there)" in again.stdout
    soft = run("ensemble", "soft", tmp_path / "s1", tmp_path / "s2", "-o", tmp_path / "soft.csv")
    assert soft.exit_code == 0, soft.output
    csv = tmp_path / "o" / "predictions.csv"
    voted = run("ensemble", "vote", csv, tmp_path / "soft.csv", csv, "-o", tmp_path / "v.csv", "--images", images)
    assert voted.exit_code == 0, voted.output
    assert (tmp_path / "v.csv").read_bytes() == csv.read_bytes()


def test_a_skipped_file_is_said_and_the_exit_code_is_1(images: Path, bright_model: Path, tmp_path: Path) -> None:
    (images / "b.png").write_bytes(b"")
    for command in ("models", "save"):
        result = run("ensemble", command, images, "-m", bright_model, "-o", tmp_path / command)
        assert result.exit_code == 1
        assert "b.png" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--device", "tpu"), "'tpu' is not a device"),
        (("--device", "cuda:77"), "there is no device 'cuda:77'; found cpu"),
        (("--tta", "spin"), "test-time augmentation not understood"),
        (("--tile", "33"), "window's size is out of range"),
        (("--weights", "1,2,3"), "weights do not fit"),
        (("--weights", "one"), "weights are not numbers"),
        (("-m", "nowhere"), "is not a model bundle"),
    ],
)
def test_refusals(images: Path, bright_model: Path, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    result = run("ensemble", "models", images, "-m", bright_model, "-o", tmp_path / "o", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert not (tmp_path / "o" / "predictions.csv").exists()


def test_bundle_export(images: Path, bright_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnx")
    from torch import nn

    from ossa.bundle.bundle import Bundle

    def no_torch(self: Bundle) -> nn.Module:
        from ossa.errors import MissingExtraError

        raise MissingExtraError.of("torch", "train")

    monkeypatch.setattr(Bundle, "torch_module", no_torch)  # this network is of no registered architecture
    result = run("bundle", "export", bright_model, "-o", tmp_path / "x", "--image", images / "a.png")
    assert result.exit_code == 0, result.output
    assert "the bundle's own ONNX file" in result.stdout
    assert (tmp_path / "x" / "parity.txt").read_text() in result.stdout
    refused = run("bundle", "export", tmp_path, "-o", tmp_path / "y")
    assert refused.exit_code == 2
    assert "is not a model bundle" in refused.stderr
