"""How fast this machine trains: a few timed steps of ossa's own network on noise."""

from __future__ import annotations

import time
from statistics import median

from ossa.schema import BoneSchema

#: A grid and a batch that any machine holds.
_GRID, _BATCH, _STEPS = 256, 2, 3


def seconds_per_px(schema: BoneSchema) -> float:
    """Seconds of a step of the compact network per px and sample, the median of three after one to warm up.

    On the GPU that torch sees, else on the processor with torch's own threads. Reading and augmenting pictures, which
    other processes do meanwhile, is not in it.
    """
    import torch

    from ossa.models.architectures import build

    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = build("compact", len(schema)).to(device).train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4)
    image = torch.rand(_BATCH, 1, _GRID, _GRID, device=device)
    times = []
    for _ in range(1 + _STEPS):
        start = time.perf_counter()
        logits = network(image)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, torch.zeros_like(logits))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return median(times[1:]) / (_BATCH * _GRID * _GRID)
