"""New heads start at the bones' shares of the pictures; heads that pool a picture take one at a time."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from ossa.models.architectures import build  # noqa: E402
from ossa.models.prior import head_of, set_prior  # noqa: E402

ENCODER = {"encoder": "tu-mobilenetv3_small_050"}
NARROW: dict[str, Any] = {"widths": [16, 16, 16, 16, 16]}
#: One network of each library.
KINDS: dict[str, tuple[str | None, dict[str, Any]]] = {
    "compact": (None, NARROW),
    "unet": ("segmentation_models_pytorch", ENCODER),
    "deeplabv3plus": ("segmentation_models_pytorch", ENCODER),
    "fcn_resnet50": ("torchvision", {}),
    "deeplabv3_resnet50": ("torchvision", {}),
    "timm": ("timm", {"backbone": "mobilenetv3_small_050", "width": 8}),
    "segformer_b0": (
        "transformers",
        {
            "hidden_sizes": [8, 8, 16, 16],
            "depths": [1, 1, 1, 1],
            "num_attention_heads": [1, 1, 2, 2],
            "decoder_hidden_size": 16,
        },
    ),
}


def made(name: str) -> Any:
    library, options = KINDS[name]
    if library is not None and find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    torch.manual_seed(0)
    return build(name, 3, **options)


@pytest.mark.parametrize("name", KINDS)
def test_a_blind_network_answers_with_the_shares(name: str) -> None:
    """With weights of 0 behind them, the output biases alone speak."""
    network = made(name)
    shares = torch.tensor([0.01, 0.2, 0.0])
    assert set_prior(network, shares)
    head = head_of(network)
    torch.nn.init.zeros_(head.weight)
    said = network.eval()(torch.randn(1, 1, 64, 64)).sigmoid().mean(dim=(0, 2, 3))
    assert torch.allclose(said, torch.tensor([0.01, 0.2, 1e-4]), rtol=1e-4)
    assert not network.training


def test_both_parts_of_a_context_network_say_it_once() -> None:
    part = {"architecture": "compact", **NARROW}
    network: Any = build("context", 3, coarse=part, fine=part, scale=2)
    assert set_prior(network, torch.tensor([0.01, 0.2, 0.05]))
    for head in (network.coarse.out, network.fine.out):
        torch.nn.init.zeros_(head.weight)
    said = network.eval()(torch.zeros(1, 1, 64, 64)).sigmoid()[0, :, 3, 3]
    assert torch.allclose(said, torch.tensor([0.01, 0.2, 0.05]), rtol=1e-4)


def test_a_head_without_biases_is_told() -> None:
    network: Any = build("compact", 3, **NARROW)
    network.out = torch.nn.Conv2d(48, 3, 1, bias=False)
    assert head_of(network) is None
    assert not set_prior(network, torch.full((3,), 0.1))


@pytest.mark.parametrize("name", ["deeplabv3plus", "deeplabv3_resnet50"])
def test_a_pooled_norm_takes_one_picture_at_a_time(name: str) -> None:
    network = made(name)
    names = list(network.state_dict())
    network.train()(torch.randn(1, 1, 64, 64)).square().mean().backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)
    assert not any("Pooled" in key for key in names)
    pooled = [m for m in network.modules() if type(m).__name__ == "PooledNorm"]
    assert pooled
    for norm in pooled:
        assert torch.equal(norm.running_mean, torch.zeros_like(norm.running_mean))
        plain = torch.nn.BatchNorm2d(norm.num_features)
        plain.load_state_dict(norm.state_dict())
        two = torch.randn(2, norm.num_features, 1, 1)
        assert torch.equal(norm.train()(two), plain.train()(two))
        assert torch.equal(norm.eval()(two), plain.eval()(two))
