"""One suite for every architecture, at a tiny size."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from ossa.errors import BundleError, ConfigError  # noqa: E402
from ossa.models.architectures import ARCHITECTURES, SEGFORMER, SMP, TIMM, build  # noqa: E402

TINY_SWIN = {"embed_dim": 12, "depths": [1, 1, 1, 1], "num_heads": [1, 1, 2, 2], "window_size": 4}
TINY_CONVNEXT = {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1]}
TINY_SEGFORMER = {
    "hidden_sizes": [8, 8, 16, 16],
    "depths": [1, 1, 1, 1],
    "num_attention_heads": [1, 1, 2, 2],
    "decoder_hidden_size": 16,
}

#: Options that make each architecture small; the names of architectures are those of the registry.
SMALL: dict[str, dict[str, Any]] = {
    "compact": {"widths": [16, 16, 16, 16, 16]},
    "context": {
        "coarse": {"architecture": "compact", "widths": [16, 16, 16, 16, 16]},
        "fine": {"architecture": "compact", "widths": [16, 16, 16, 16, 16]},
    },
    **{name: {"encoder": "tu-mobilenetv3_small_050"} for name in SMP},
    "dpt": {"encoder": "tu-vit_tiny_patch16_224", "decoder_fusion_channels": 16},
    "upernet_convnext": {"hidden_size": 8, "backbone": TINY_CONVNEXT},
    "upernet_swin": {"hidden_size": 8, "backbone": TINY_SWIN},
    **dict.fromkeys(SEGFORMER, TINY_SEGFORMER),
    "timm": {"backbone": "mobilenetv3_small_050", "width": 8},
    "convnext": {"backbone": "convnext_atto", "width": 8},
    "hrnet": {"backbone": "hrnet_w18_small", "width": 8},
    "swin": {"backbone": "swin_tiny_patch4_window7_224", "width": 8, **TINY_SWIN},
}
#: Too slow to build one by one here; their smaller sisters run.
SKIPPED = {"fcn_resnet101", "deeplabv3_resnet101", "segformer_b2", "segformer_b3", "segformer_b4", "segformer_b5"}
NEEDS = {
    **dict.fromkeys(SMP, "segmentation_models_pytorch"),
    **dict.fromkeys(TIMM, "timm"),
    **dict.fromkeys([*SEGFORMER, "upernet_convnext", "upernet_swin"], "transformers"),
    **dict.fromkeys(["fcn_resnet50", "deeplabv3_resnet50"], "torchvision"),
}
#: Other tests register networks of their own.
NAMES = sorted(n for n in set(ARCHITECTURES) - SKIPPED if not n.endswith("_test"))


def small(name: str, classes: int = 3, **more: Any) -> Any:
    if name in NEEDS and find_spec(NEEDS[name]) is None:
        pytest.skip(f"{NEEDS[name]} is not installed")
    return build(name, classes, **SMALL.get(name, {}), **more)


@pytest.mark.parametrize("name", NAMES)
def test_the_contract_of_every_architecture(name: str) -> None:
    torch.manual_seed(0)
    network = small(name)
    multiple = network.multiple
    fixed = name == "dpt"  # its vision transformer has one input size
    height, width = (224, 224) if fixed else (2 * max(64, multiple), max(64, multiple) * 3)
    image = torch.randn(2, 1, height, width)
    logits = network.train()(image)
    assert logits.shape == (2, 3, height // network.stride, width // network.stride)
    logits.square().mean().backward()
    grads = [p.grad for p in network.parameters() if p.grad is not None]
    assert len(grads) > 4
    assert any(g.abs().sum() > 0 for g in grads)
    network.eval()
    with torch.no_grad():
        assert torch.equal(network(image), network(image))
    if multiple > 1 and not fixed:
        with pytest.raises(ConfigError, match=rf"multiples of {multiple}.*Pad to \({2 * multiple}, {multiple}\)"):
            network(torch.zeros(1, 1, multiple + 1, multiple))


def test_unknown_names_and_options_get_the_nearest() -> None:
    with pytest.raises(ConfigError, match="perhaps 'unet'"):
        build("unett", 3)
    with pytest.raises(ConfigError, match="perhaps 'widths'"):
        build("compact", 3, width=[4])
    for widths in ([8, 8], [8, 8, 8, 8, 0], []):
        with pytest.raises(ConfigError, match="'compact' has five levels"):
            build("compact", 3, widths=widths)
    if find_spec("segmentation_models_pytorch"):
        with pytest.raises(ConfigError, match="perhaps 'resnet34'"):
            build("unet", 3, encoder="resnett34")
        with pytest.raises(ConfigError, match="perhaps 'decoder_channels'"):
            build("unet", 3, encoder="resnet18", decoder_chanels=[1])
        with pytest.raises(ConfigError, match="cannot be built"):
            build("unet", 3, encoder="resnet18", decoder_channels=[8])
    with pytest.raises(ConfigError, match="no ImageNet weights"):
        build("compact", 3, imagenet=True)


def test_imagenet_without_a_network_is_one_clear_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    if find_spec("torchvision") is None:
        pytest.skip("torchvision is not installed")
    import urllib.request

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("Network is unreachable")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.setenv("TORCH_HOME", "/nonexistent-folder-for-this-test")
    with pytest.raises(BundleError, match=r"could not be had.*set model.weights to a local file or null"):
        build("fcn_resnet50", 3, imagenet=True)


def test_stem_for_grey_equals_rgb_on_equal_channels() -> None:
    from ossa.models.adapters import grey_first

    rgb = torch.nn.Conv2d(3, 5, 3, 2, 1)
    image = torch.randn(1, 1, 8, 8)
    assert torch.allclose(grey_first(rgb, 1)(image), rgb(image.expand(-1, 3, -1, -1)), atol=1e-5)


@pytest.mark.parametrize("name", ["segformer_b0", "upernet_convnext"])
def test_rgb_weights_are_rebuilt_from_the_options(name: str) -> None:
    """What a card holds after training from ImageNet weights builds the same shapes again."""
    if find_spec("transformers") is None:
        pytest.skip("transformers is not installed")
    network = build(name, 3, **SMALL[name], rgb=True)
    options: Any = network.options
    again = build(name, 3, **options)
    own, other = network.state_dict(), again.state_dict()
    assert {k: v.shape for k, v in own.items()} == {k: v.shape for k, v in other.items()}
    assert network.eval()(torch.zeros(1, 1, 64, 64)).shape[1] == 3


class TestContext:
    """Windows of the context network against the whole picture."""

    def test_windows_equal_the_whole_away_from_their_border(self) -> None:
        torch.manual_seed(1)
        network = small("context").eval()
        image = torch.randn(1, 1, 256, 256)
        with torch.no_grad():
            whole = network(image)
            logits, guess = network.windows(image, torch.tensor([[[0, 0], [64, 96]]]), 128)
            full, _ = network.windows(image, torch.tensor([[[0, 0]]]), 256)
        assert torch.allclose(full, whole, atol=1e-4)
        assert logits.shape == (2, 3, 64, 64)
        assert guess.shape == (1, 3, 32, 32)

    def test_it_is_an_ordinary_network_as_onnx(self, tmp_path: Path) -> None:
        runtime = pytest.importorskip("onnxruntime")
        pytest.importorskip("onnxscript")
        from ossa.bundle.onnx import write_onnx

        network = small("context").eval()
        write_onnx(network, tmp_path / "m.onnx", (2, 1, 256, 384))
        image = torch.randn(1, 1, 128, 256)
        (got,) = runtime.InferenceSession(tmp_path / "m.onnx").run(None, {"image": image.numpy()})
        with torch.no_grad():
            assert torch.allclose(torch.from_numpy(got), network(image), atol=1e-4)

    def test_crop_resized_equals_interpolate(self) -> None:
        from ossa.models.context import crop_resized

        plane = torch.randn(2, 12, 20)
        whole = torch.nn.functional.interpolate(plane[None], size=(96, 160), mode="bilinear", align_corners=False)[0]
        got = crop_resized(plane, (16, 64, 48, torch.Size((96, 160))), 48)
        assert torch.allclose(got, whole[:, 16:64, 64:112], atol=1e-5)


class TestWeights:
    """Files from which a network starts."""

    def test_round_trip_through_every_container(self, tmp_path: Path) -> None:
        from safetensors.torch import save_file

        from ossa.models.weights import load_weights

        source = small("compact")
        state = {k: v.contiguous() for k, v in source.state_dict().items()}
        save_file(state, tmp_path / "a.safetensors")
        torch.save(state, tmp_path / "a.pth")
        torch.save({"state_dict": {f"network.{k}": v for k, v in state.items()}, "epoch": 3}, tmp_path / "a.ckpt")
        inner = {k.removeprefix("body."): v for k, v in state.items()}
        torch.save({f"module.{k}": v for k, v in inner.items()}, tmp_path / "ddp.pth")
        for name in ("a.safetensors", "a.pth", "a.ckpt", "ddp.pth"):
            target = small("compact")
            load_weights(target, tmp_path / name)
            assert all(torch.equal(v, target.state_dict()[k]) for k, v in state.items()), name

    def test_other_schema_other_architecture_and_code(self, tmp_path: Path) -> None:
        from safetensors.torch import save_file

        from ossa.models.weights import load_matching, load_weights

        other = small("compact", classes=5)
        save_file(other.state_dict(), tmp_path / "five.safetensors")
        target = small("compact")
        with pytest.raises(BundleError, match=r"another bone schema.*matching_only"):
            load_weights(target, tmp_path / "five.safetensors")
        done, everything = load_matching(target, tmp_path / "five.safetensors")
        assert 0 < done < everything
        save_file({"x.weight": torch.zeros(1)}, tmp_path / "x.safetensors")
        with pytest.raises(BundleError, match="another architecture"):
            load_weights(target, tmp_path / "x.safetensors")
        torch.save({"a": Path("x")}, tmp_path / "evil.pth")
        with pytest.raises(BundleError, match="read safely"):
            load_weights(target, tmp_path / "evil.pth")
        (tmp_path / "text.safetensors").write_text("no")
        with pytest.raises(BundleError, match="read safely"):
            load_weights(target, tmp_path / "text.safetensors")
        with pytest.raises(BundleError, match="no such weight file"):
            load_weights(target, tmp_path / "absent.pth")
