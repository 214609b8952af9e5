"""The compact network's own arithmetic."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional  # noqa: E402

from ossa.models.compact import _twice  # noqa: E402


@pytest.mark.parametrize("layout", ["contiguous_format", "channels_last"])
@pytest.mark.parametrize("kind", ["float32", "bfloat16"])
def test_enlarging_gives_the_gradient_of_plain_bilinear_to_the_bit(layout: str, kind: str) -> None:
    torch.manual_seed(1)
    start = torch.randn(2, 6, 5, 7, dtype=getattr(torch, kind)).contiguous(memory_format=getattr(torch, layout))
    beside = torch.randn(2, 3, 10, 14, dtype=start.dtype).contiguous(memory_format=getattr(torch, layout))
    weights = torch.randn(2, 9, 10, 14, dtype=start.dtype)

    def gradient(enlarge: Any) -> Any:
        x = start.clone().requires_grad_()
        (torch.cat([enlarge(x), beside], 1) * weights).sum().backward()  # hands a slice back
        assert x.grad is not None
        return x.grad

    plain = gradient(lambda x: functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False))
    assert torch.equal(gradient(_twice), plain)


def test_enlarging_without_a_gradient_leaves_no_hook() -> None:
    with torch.no_grad():
        assert _twice(torch.ones(1, 2, 3, 3)).shape == (1, 2, 6, 6)
    assert not _twice(torch.ones(1, 2, 3, 3)).requires_grad
