"""Put a trained finder or refiner into a bundle: scripts/ship_companion.py finder|refiner OUT/last.pt BUNDLE"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from ossa.bundle.bundle import Bundle
from ossa.bundle.companions import FINDER, REFINER, add_companion
from ossa.models.finder import FinderNet
from ossa.models.refiner import RefinerNet

KINDS = {"finder": (FINDER, FinderNet), "refiner": (REFINER, RefinerNet)}


def main() -> None:
    """Parse, read the averaged weights, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("checkpoint", type=Path, help="last.pt of ossa.training.finder or ossa.training.refiner")
    parser.add_argument("bundle", type=Path)
    args = parser.parse_args()
    name, network = KINDS[args.kind]
    net = network()
    net.load_state_dict(torch.load(args.checkpoint, weights_only=True)["mean"])
    bundle = add_companion(Bundle.load(args.bundle), name, net)
    print(f"{bundle.path / name}: {(bundle.path / name).stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
